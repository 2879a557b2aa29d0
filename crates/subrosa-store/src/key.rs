//! Where a database is and what opens it.

use std::{fmt, path::PathBuf};

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Where a database lives.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a database is in a file or it is not kept")]
pub enum Location {
    /// In this file and two beside it (`-wal`, `-shm`). It is made if missing, readable only by its owner; its folder
    /// must exist.
    File(PathBuf),
    /// In memory, gone when the last clone of the store is.
    Memory,
}

/// The key of a database: 32 bytes, used as they are (SQLCipher's raw key, no derivation). Wiped on drop, never
/// printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DatabaseKey([u8; Self::LEN]);

impl DatabaseKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The key with these bytes; they should be random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The statement that gives the key to the connection. It must be the first.
    pub(crate) fn pragma(&self) -> Zeroizing<String> {
        let hex = Zeroizing::new(subrosa_types::hex::encode(&self.0));
        Zeroizing::new(format!("PRAGMA key = \"x'{}'\"", hex.as_str()))
    }
}

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseKey(…)")
    }
}

/// Whether a database is encrypted at rest. There is no default: leaving a file readable is a decision.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a database is encrypted or it is not")]
pub enum Encryption {
    /// With SQLCipher under this key.
    Key(DatabaseKey),
    /// Not at all: whoever reads the file reads every message and every secret.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let encryption = Encryption::Key(DatabaseKey::from_bytes([0x9d; 32]));
        let text = format!("{encryption:?}");
        assert!(!text.contains("9d") && !text.contains("157"), "{text}");
    }
}
