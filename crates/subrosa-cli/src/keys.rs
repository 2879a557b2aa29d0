//! Keys on disk: hex in a file that only its owner can read, or in the environment. Never an argument, which every
//! process of the machine could see.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use subrosa_identity::WalletKey;
use subrosa_types::hex;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// A secret of 32 bytes. Wiped on drop.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// More than a key file can hold: 64 digits and some white space.
const FILE_LIMIT: u64 = 256;

/// Random bytes of the operating system.
pub(crate) fn fresh() -> Result<Secret, Failure> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *secret)
        .map_err(|error| Failure::new("no random bytes").because(&io::Error::other(error.to_string())))?;
    Ok(secret)
}

/// A new wallet.
pub(crate) fn fresh_wallet() -> Result<WalletKey, Failure> {
    loop {
        // All but one in 2^128 numbers are keys.
        if let Ok(wallet) = WalletKey::from_bytes(&*fresh()?) {
            return Ok(wallet);
        }
    }
}

/// A secret from hex, one `0x` tolerated.
pub(crate) fn from_hex(text: &str) -> Option<Secret> {
    let text = text.trim();
    let bytes = Zeroizing::new(hex::decode(text.strip_prefix("0x").unwrap_or(text))?);
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

/// The secret as hex.
pub(crate) fn to_hex(secret: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(secret))
}

/// The secret in the environment, else in the file; `None` if there is neither.
pub(crate) fn load(variable: &str, path: &Path) -> Result<Option<Secret>, Failure> {
    if let Some(value) = env::var_os(variable) {
        let value = Zeroizing::new(value.into_string().unwrap_or_default());
        return from_hex(&value).map(Some).ok_or_else(|| {
            Failure::new(format!("the environment variable {variable} holds no key")).advise("64 hex digits")
        });
    }
    let failed =
        |error: io::Error| Failure::new(format!("cannot read the key file {}", path.display())).because(&error);
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(file) => {
            let mode = file.metadata().map_err(failed)?.mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(Failure::new(format!("others can read the key file {} (mode {mode:o})", path.display()))
                    .advise(format!("chmod 600 {}", path.display())));
            }
            let mut text = Zeroizing::new(String::new());
            file.take(FILE_LIMIT).read_to_string(&mut text).map_err(failed)?;
            from_hex(&text).map(Some).ok_or_else(|| {
                Failure::new(format!("the file {} holds no key", path.display())).advise("a file of 64 hex digits")
            })
        }
    }
}

/// Writes a secret to a new file that only its owner can read.
pub(crate) fn save(secret: &[u8; 32], path: &Path) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(to_hex(secret).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().map_err(|error| Failure::new(format!("cannot write the key file {}", path.display())).because(&error))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_key_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(load("SUBROSA_NO_SUCH_VARIABLE", &path).unwrap().is_none());
        save(&[7; 32], &path).unwrap();
        assert_eq!(*load("SUBROSA_NO_SUCH_VARIABLE", &path).unwrap().unwrap(), [7; 32]);
        assert!(save(&[8; 32], &path).is_err(), "a key is never overwritten");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = load("SUBROSA_NO_SUCH_VARIABLE", &path).unwrap_err().text();
        assert!(refused.contains("chmod 600"), "{refused}");
    }

    #[test]
    fn only_64_digits_are_a_key() {
        assert!(from_hex(&"0b".repeat(32)).is_some());
        assert!(from_hex(&format!("0x{}\n", "0b".repeat(32))).is_some());
        assert!(from_hex(&"0b".repeat(31)).is_none());
        assert!(from_hex("secret").is_none());
    }
}
