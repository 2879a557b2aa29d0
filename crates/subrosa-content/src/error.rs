//! Why bytes are not content.

/// Why bytes are not an application plaintext. The message is skipped for good (envelopes §8, E9).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaintextError {
    /// The bytes are not this protobuf message.
    #[error("undecodable application plaintext")]
    Protobuf,
    /// No known version is set.
    #[error("application plaintext without a known version")]
    Version,
}

/// Why a content does not decode. The message is kept; what shows contents leaves it out (client §5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The bytes are not this protobuf message.
    #[error("undecodable content")]
    Protobuf,
    /// The bytes are not JSON of this shape.
    #[error("undecodable JSON content")]
    Json,
    /// The bytes are not UTF-8.
    #[error("content is not UTF-8")]
    Utf8,
    /// The text is said to be in another encoding than UTF-8.
    #[error("text in another encoding than UTF-8")]
    Encoding,
    /// A parameter is missing.
    #[error("content without parameter {0}")]
    MissingParameter(&'static str),
    /// A parameter cannot be read.
    #[error("malformed parameter {0}")]
    Parameter(&'static str),
    /// An id cannot be read.
    #[error("malformed id")]
    Id,
    /// A time cannot be read.
    #[error("malformed time")]
    Time,
    /// Actions are 1 to 10 (client §5.2).
    #[error("{0} actions")]
    ActionCount(usize),
    /// Two actions have the same id.
    #[error("action ids are not unique")]
    ActionIds,
    /// The metadata of an intent has at most 10 KiB (client §5.2).
    #[error("intent metadata of {0} bytes")]
    IntentMetadata(usize),
}
