//! Hashes that recognise an envelope (envelopes §6).

use std::fmt;

use sha2::{Digest, Sha256};
use subrosa_types::hex;

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; Self::LEN]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = 32;

            /// The hash with these bytes, read back from a row.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            /// Shortened.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}…", hex::encode(&self.0[..4]))
            }
        }
    };
}

digest! {
    /// SHA-256 of the `data` of a group message: how a sender knows its own message (envelopes §6.2).
    PayloadHash
}

digest! {
    /// What a node compares to store a repeated envelope once: SHA-256 of topic identifier and payload
    /// (envelopes §6.4).
    DedupeKey
}

impl PayloadHash {
    /// Hashes the `data` of a group message.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        Self(Sha256::digest(data).into())
    }
}

impl DedupeKey {
    /// Hashes the identifier of a topic (group id or installation key) and what is published there.
    #[must_use]
    pub fn of(identifier: &[u8], payload: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(identifier).chain_update(payload).finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dedupe_key_matches_the_specification() {
        let group = hex::decode("101112131415161718191a1b1c1d1e1f").unwrap();
        let want = "43ea422e80955c7a0d810b8ed306e884ceb5f6f9039eb90c242fe5228649fff3";
        assert_eq!(hex::encode(DedupeKey::of(&group, b"hello").as_bytes()), want);
    }

    #[test]
    fn payload_hash_covers_the_data_alone() {
        let want = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(hex::encode(PayloadHash::of(b"hello").as_bytes()), want);
        assert_eq!(format!("{:?}", PayloadHash::of(b"hello")), "2cf24dba…");
    }
}
