//! Why a call of the network failed, sorted by who has to act.

use std::{fmt, time::Duration};

use subrosa_types::SequenceId;
use tonic::{Code, Status};

/// Why a call of the network failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The node could not be reached or could not serve now. A write may have happened: repeat it with the same
    /// bytes, later (sync §2.12).
    #[error("the network is not available ({cause}): {message}")]
    Unreachable {
        /// What went wrong.
        cause: Outage,
        /// How long the node asks to wait.
        retry_after: Option<Duration>,
        /// What the node or the connection said.
        message: NodeMessage,
    },
    /// The node refuses this request for good; nothing was written by it.
    #[error("the node refused ({code}): {message}")]
    Refused {
        /// The class of the refusal.
        code: Refusal,
        /// What the node said.
        message: NodeMessage,
    },
    /// The node's answer cannot be true; nothing of it may be used (sync §3.8). The node has to be repaired.
    #[error("the node's answer is wrong")]
    BadAnswer(#[from] BadAnswer),
    /// One item of the request is larger than any node accepts; nothing was sent.
    #[error("{size} bytes do not fit into one request of {limit} bytes")]
    TooLarge {
        /// Size in bytes of the smallest request that would carry the item.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// Why the network is not available.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Outage {
    /// No connection, or it broke.
    Connection,
    /// No answer in time.
    TimedOut,
    /// The node says that it cannot serve now.
    Unavailable,
    /// The node asks for fewer requests.
    Exhausted,
    /// The node ended the call because of a conflict or a slow reader.
    Aborted,
    /// The answer is larger than a client accepts. Asking for less at a time may help.
    AnswerTooLarge,
    /// The node failed, or gave no usable reason.
    Internal,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "no connection",
            Self::TimedOut => "timed out",
            Self::Unavailable => "unavailable",
            Self::Exhausted => "too many requests",
            Self::Aborted => "aborted",
            Self::AnswerTooLarge => "answer too large",
            Self::Internal => "internal error",
        })
    }
}

/// Why a node refuses for good.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request is malformed or does not verify.
    InvalidArgument,
    /// The caller may not do this.
    PermissionDenied,
    /// The caller did not prove who it is.
    Unauthenticated,
    /// The node does not have this method.
    Unimplemented,
    /// The state of the log does not allow it, for example a full inbox log.
    FailedPrecondition,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidArgument => "invalid argument",
            Self::PermissionDenied => "permission denied",
            Self::Unauthenticated => "unauthenticated",
            Self::Unimplemented => "unimplemented",
            Self::FailedPrecondition => "failed precondition",
        })
    }
}

/// What is wrong with an answer (sync §3.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAnswer {
    /// A position outside 1 to 2⁶³−1.
    #[error("{0} is no position")]
    Position(u64),
    /// Positions that do not ascend, or are not after the one asked for.
    #[error("position {got} comes after {after}")]
    Order {
        /// The position before it.
        after: SequenceId,
        /// The offending position.
        got: SequenceId,
    },
    /// An item of another topic than was asked for.
    #[error("an item of another topic")]
    Topic,
    /// More or fewer answers than questions.
    #[error("{got} answers to {asked} questions")]
    Count {
        /// Number of questions.
        asked: usize,
        /// Number of answers.
        got: usize,
    },
    /// An inbox id that is none.
    #[error("an inbox id that is none")]
    InboxId,
    /// The stream ended although streams stay open (transport §4.8).
    #[error("the stream ended without an error")]
    Ended,
}

/// Text a node sent, for people: at most 512 characters, control characters escaped.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeMessage(String);

impl NodeMessage {
    /// Longest text kept, in characters.
    pub const MAX: usize = 512;

    /// Cuts and escapes a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut kept = String::new();
        for (count, character) in text.chars().enumerate() {
            if count == Self::MAX {
                kept.push('…');
                break;
            }
            if character.is_control() || is_invisible(character) {
                kept.extend(character.escape_default());
            } else {
                kept.push(character);
            }
        }
        Self(kept)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that change the direction of text or have no width.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl NetworkError {
    /// Whether the request was refused for good: nothing was written, and the same request will never succeed
    /// (sync §2.12).
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::TooLarge { .. } => true,
            Self::Unreachable { .. } | Self::BadAnswer(_) => false,
        }
    }

    /// Whether the answer would have been larger than a client accepts.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Self::Unreachable { cause: Outage::AnswerTooLarge, .. })
    }

    /// How long the node asks to wait before the next try.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unreachable { retry_after, .. } => *retry_after,
            Self::Refused { .. } | Self::BadAnswer(_) | Self::TooLarge { .. } => None,
        }
    }
}

impl From<Status> for NetworkError {
    fn from(status: Status) -> Self {
        let message = NodeMessage::new(status.message());
        match classify(&status) {
            Class::Refused(code) => Self::Refused { code, message },
            Class::Outage(cause) => Self::Unreachable { cause, retry_after: retry_after(&status), message },
        }
    }
}

enum Class {
    Refused(Refusal),
    Outage(Outage),
}

/// Sorts the codes of gRPC (transport §7.1). A code outside the five refusals says nothing about the bytes.
fn classify(status: &Status) -> Class {
    match status.code() {
        Code::InvalidArgument => Class::Refused(Refusal::InvalidArgument),
        Code::PermissionDenied => Class::Refused(Refusal::PermissionDenied),
        Code::Unauthenticated => Class::Refused(Refusal::Unauthenticated),
        Code::Unimplemented => Class::Refused(Refusal::Unimplemented),
        Code::FailedPrecondition => Class::Refused(Refusal::FailedPrecondition),
        Code::Unavailable if has_connection_error(status) => Class::Outage(Outage::Connection),
        Code::Unavailable => Class::Outage(Outage::Unavailable),
        Code::ResourceExhausted => Class::Outage(Outage::Exhausted),
        Code::DeadlineExceeded => Class::Outage(Outage::TimedOut),
        Code::Cancelled if is_timeout(status) => Class::Outage(Outage::TimedOut),
        Code::Aborted => Class::Outage(Outage::Aborted),
        Code::OutOfRange => Class::Outage(Outage::AnswerTooLarge),
        Code::Unknown if has_connection_error(status) => Class::Outage(Outage::Connection),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Internal
        | Code::DataLoss => Class::Outage(Outage::Internal),
    }
}

/// A status that came over the wire has no source; one that the connection made has.
fn has_connection_error(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

fn is_timeout(status: &Status) -> bool {
    has_connection_error(status) || status.message().contains("Timeout")
}

/// `retry-after` in whole seconds, at most one hour.
fn retry_after(status: &Status) -> Option<Duration> {
    let seconds: u64 = status.metadata().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(3600)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_class() {
        for code in 0..=16 {
            let code = Code::from(code);
            let refused = matches!(
                code,
                Code::InvalidArgument
                    | Code::PermissionDenied
                    | Code::Unauthenticated
                    | Code::Unimplemented
                    | Code::FailedPrecondition
            );
            assert_eq!(NetworkError::from(Status::new(code, "x")).is_refusal(), refused, "{code:?}");
        }
    }

    #[test]
    fn texts_of_nodes_are_cut_and_escaped() {
        let message = NodeMessage::new(&format!("a\u{1b}[2J\n\u{202e}{}", "x".repeat(2000)));
        assert!(message.as_str().starts_with("a\\u{1b}[2J\\n\\u{202e}xxx"));
        assert!(message.as_str().chars().count() < NodeMessage::MAX + 32);
    }

    #[test]
    fn retry_after_is_bounded() {
        let mut status = Status::resource_exhausted("slow down");
        status.metadata_mut().insert("retry-after", "999999999".parse().unwrap());
        assert_eq!(NetworkError::from(status).retry_after(), Some(Duration::from_secs(3600)));
    }
}
