//! Ids of inboxes, installations, groups and messages.

use std::{fmt, str::FromStr};

use crate::hex;

/// Why bytes or text are not an id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IdError {
    /// The id has another length, in bytes.
    Length {
        /// Length of this kind of id.
        want: usize,
        /// Length of what was given.
        got: usize,
    },
    /// The text is not lower-case hex.
    NotHex,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { want, got } => write!(f, "an id of {want} bytes was expected, {got} came"),
            Self::NotHex => write!(f, "an id in lower-case hex was expected"),
        }
    }
}

impl std::error::Error for IdError {}

macro_rules! fixed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; Self::LEN]);

        impl $name {
            /// Length in bytes, on the wire and in storage.
            pub const LEN: usize = 32;

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
                Self(bytes)
            }

            /// Reads an id from the wire or from a row.
            ///
            /// # Errors
            /// [`IdError::Length`] unless `bytes` is exactly [`Self::LEN`] long.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
                let raw = bytes.try_into().map_err(|_| IdError::Length { want: Self::LEN, got: bytes.len() })?;
                Ok(Self(raw))
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
                &self.0
            }

            /// Lower-case hex, the form in text fields of the protocol.
            #[must_use]
            pub fn to_hex(&self) -> String {
                hex::encode(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            /// Reads lower-case hex. Upper case is refused: texts are compared byte for byte on the network.
            fn from_str(text: &str) -> Result<Self, IdError> {
                if text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(IdError::NotHex);
                }
                Self::from_slice(&hex::decode(text).ok_or(IdError::NotHex)?)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            /// Shortened: enough to tell ids apart in a log.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}…", hex::encode(&self.0[..4]))
            }
        }
    };
}

fixed_id! {
    /// Names an addressable user: a SHA-256 output (identity §2.3). Text form: 64 hex characters.
    InboxId
}

fixed_id! {
    /// Public key that names one installation: Ed25519 (identity §1). It is also the MLS leaf signature key.
    InstallationId
}

fixed_id! {
    /// Names one message of a group, equal on sender and receivers (envelopes §6.1).
    MessageId
}

/// Names one group: 16 random bytes as created here; other lengths from 1 to 255 are legal in MLS
/// (envelopes §1).
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GroupId(Vec<u8>);

impl GroupId {
    /// Length in bytes of a group id created by this project and by the official clients.
    pub const LEN: usize = 16;
    /// Longest group id that is accepted, in bytes.
    pub const MAX: usize = 255;

    /// Reads a group id from the wire or from a row.
    ///
    /// # Errors
    /// [`IdError::Length`] for an empty id or one longer than [`Self::MAX`].
    pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
        if bytes.is_empty() || bytes.len() > Self::MAX {
            return Err(IdError::Length { want: Self::LEN, got: bytes.len() });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Lower-case hex.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }
}

impl FromStr for GroupId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::from_slice(&hex::decode(text).ok_or(IdError::NotHex)?)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", hex::encode(&self.0[..self.0.len().min(4)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_case_hex_is_not_an_inbox_id() {
        let text = "AB".repeat(32);
        assert_eq!(text.parse::<InboxId>(), Err(IdError::NotHex));
        assert!(text.to_lowercase().parse::<InboxId>().is_ok());
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert_eq!(InstallationId::from_slice(&[0; 31]), Err(IdError::Length { want: 32, got: 31 }));
        assert_eq!(GroupId::from_slice(&[]), Err(IdError::Length { want: 16, got: 0 }));
        assert!(GroupId::from_slice(&[0; 256]).is_err());
    }

    #[test]
    fn debug_shows_a_shortened_id() {
        assert_eq!(format!("{:?}", InboxId::from_bytes([0xab; 32])), "abababab…");
    }
}
