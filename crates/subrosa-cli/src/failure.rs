//! What a person reads when a command did not do what it was asked to.

use std::{error::Error, fmt::Write as _, process::ExitCode};

use crate::printable::line;

/// Why a command failed: what happened, why, and what to do about it.
///
/// Libraries below have typed errors; this is the last stop, where they become sentences.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    because: Vec<String>,
    advice: Option<String>,
    code: Code,
}

/// Why a command fails, for its exit code. 2 is taken by the command line itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    /// It was tried and did not work.
    Failed,
    /// The arguments make no sense together.
    Usage,
    /// The input is not what it should be, or does not verify.
    BadInput,
    /// It cannot be told now: somebody did not answer.
    Unchecked,
    /// Members of a conversation do not see the same.
    Disagree,
}

impl Failure {
    /// Something failed.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), because: Vec::new(), advice: None, code: Code::Failed }
    }

    /// Adds the cause, with its own causes.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        self.because = causes(error);
        self
    }

    /// Adds the cause in words.
    pub(crate) fn because_text(mut self, why: &str) -> Self {
        self.because = vec![why.to_owned()];
        self
    }

    /// Adds what to do about it.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Sets the exit code.
    pub(crate) const fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The text for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error: {}", self.what);
        for cause in &self.because {
            let _ = write!(text, "\n  because: {}", line(cause));
        }
        if let Some(advice) = &self.advice {
            let _ = write!(text, "\n  try: {advice}");
        }
        text
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.code {
            Code::Failed => 1,
            Code::Usage => 2,
            Code::BadInput | Code::Unchecked => 3,
            Code::Disagree => 4,
        })
    }
}

/// An error and its causes, each once: a transparent error says the same as its cause.
pub(crate) fn causes(error: &dyn Error) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        next = error.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let why = std::io::Error::other("no\u{1b}[2Jspace");
        let text = Failure::new("cannot write").because(&why).advise("free some").text();
        assert_eq!(text, "error: cannot write\n  because: no\\u{1b}[2Jspace\n  try: free some");
    }
}
