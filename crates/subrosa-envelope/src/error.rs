//! Why bytes are not an envelope.

use std::fmt;

use subrosa_types::IdError;

/// Why bytes are not an MLS message that a group may hold (envelopes §8, rows E2 to E7).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// There are no bytes.
    #[error("empty group message")]
    Empty,
    /// The structure ends before it is complete.
    #[error("truncated group message")]
    Truncated,
    /// The protocol version is not 1.
    #[error("protocol version {0}")]
    Version(u16),
    /// Neither a public nor a private message.
    #[error("wire format {0} is not a group message")]
    WireFormat(u16),
    /// The group id is empty, or longer than 255 bytes.
    #[error("group id of {0} bytes")]
    GroupId(usize),
    /// Neither application data, proposal nor commit.
    #[error("content type {0}")]
    ContentType(u8),
    /// A length that is not in its shortest form, or has the reserved prefix (envelopes §1).
    #[error("malformed vector length")]
    VectorLength,
    /// A field inside a public message has a value that MLS does not define.
    #[error("undefined value {0} in a public message")]
    Undefined(u16),
    /// A list inside a public message has two extensions of this type.
    #[error("two extensions of type {0} in a public message")]
    Duplicate(u16),
}

/// Why a protobuf message is not an envelope that the network may store (envelopes §8).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not this protobuf message.
    #[error("undecodable envelope")]
    Protobuf,
    /// No known version is set (E1, E13).
    #[error("envelope without a known version")]
    Version,
    /// The data of a group message (E2 to E7).
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The position cannot be that of an item (E30).
    #[error("sequence id {0}")]
    Sequence(u64),
    /// A field that must not be empty is (E14, E18).
    #[error("empty {0}")]
    Empty(Field),
    /// A field has a length that it must not have (E15, E21).
    #[error("{field} of {got} bytes")]
    Length {
        /// Which.
        field: Field,
        /// Its length in bytes.
        got: usize,
    },
    /// The welcome is sealed with an unknown algorithm (E16, E18, E21).
    #[error("wrapper algorithm {0}")]
    Algorithm(i32),
}

impl DecodeError {
    /// The error of an id field.
    pub(crate) const fn id(field: Field, error: IdError) -> Self {
        match error {
            IdError::Length { got: 0, .. } => Self::Empty(field),
            IdError::Length { got, .. } => Self::Length { field, got },
            _ => Self::Length { field, got: 0 },
        }
    }
}

/// Fields that errors name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Field {
    /// `group_id`.
    GroupId,
    /// `installation_key`.
    InstallationKey,
    /// `data`.
    Data,
    /// `welcome_pointer`.
    WelcomePointer,
    /// `hpke_public_key`.
    HpkePublicKey,
    /// `key_package_tls_serialized`.
    KeyPackage,
    /// `serialized_commit_log_entry`.
    CommitLogEntry,
    /// `signature`.
    Signature,
    /// `destination` of a welcome pointer.
    Destination,
    /// `encryption_key` of a welcome pointer.
    EncryptionKey,
    /// A nonce of a welcome pointer.
    Nonce,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GroupId => "group_id",
            Self::InstallationKey => "installation_key",
            Self::Data => "data",
            Self::WelcomePointer => "welcome_pointer",
            Self::HpkePublicKey => "hpke_public_key",
            Self::KeyPackage => "key_package_tls_serialized",
            Self::CommitLogEntry => "serialized_commit_log_entry",
            Self::Signature => "signature",
            Self::Destination => "destination",
            Self::EncryptionKey => "encryption_key",
            Self::Nonce => "nonce",
        })
    }
}
