//! Sender HMACs: a push server can tell a user's own messages from others' (envelopes §6.3, client §11).
//!
//! ```text
//! epoch        floor(Unix seconds / 2 592 000), i64
//! PRK          HKDF-SHA256-Extract(salt "libXMTP HKDF salt!", root key ‖ group id)
//! key          HKDF-SHA256-Expand(PRK, group id ‖ LE64(epoch), 42 bytes)
//! sender_hmac  HMAC-SHA256(key, data)
//! ```

use std::fmt;

use hkdf::HkdfExtract;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subrosa_types::{GroupId, UnixNanos};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limits::HMAC_EPOCH_SECONDS;

/// Salt of the key derivation.
const SALT: &[u8] = b"libXMTP HKDF salt!";

/// Length of root keys and group keys in bytes.
pub const KEY_LEN: usize = 42;

/// Root of an inbox's HMAC keys: random bytes that its installations share by device sync. Wiped on drop, never
/// printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct HmacRootKey([u8; KEY_LEN]);

impl HmacRootKey {
    /// The key with these bytes, drawn at random or read back from storage.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for storage and device sync.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for HmacRootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HmacRootKey").finish_non_exhaustive()
    }
}

/// HMAC key of one group in one epoch of 30 days. Wiped on drop, never printed. Push servers get it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct HmacKey([u8; KEY_LEN]);

impl HmacKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the application's push server.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Whether this key made `sender_hmac` over `data`; compared in constant time.
    #[must_use]
    pub fn verifies(&self, data: &[u8], sender_hmac: &[u8]) -> bool {
        mac(self, data).verify_slice(sender_hmac).is_ok()
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HmacKey").finish_non_exhaustive()
    }
}

/// The epoch of a time: its number of whole periods of 30 days since 1970.
#[must_use]
pub const fn hmac_epoch(now: UnixNanos) -> i64 {
    now.as_seconds().div_euclid(HMAC_EPOCH_SECONDS)
}

/// Derives the key of a group in an epoch. Applications get those of the previous, current and next epoch.
#[must_use]
pub fn group_key(root: &HmacRootKey, group: &GroupId, epoch: i64) -> HmacKey {
    let mut extract = HkdfExtract::<Sha256>::new(Some(SALT));
    extract.input_ikm(&root.0);
    extract.input_ikm(group.as_bytes());
    let (_, prk) = extract.finalize();
    let mut key = HmacKey([0; KEY_LEN]);
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
    prk.expand_multi_info(&[group.as_bytes(), &epoch.to_le_bytes()], &mut key.0).expect("42 bytes");
    key
}

/// The MAC that goes with a group message: 32 bytes over its `data`, commits and messages alike.
#[must_use]
pub fn sender_hmac(key: &HmacKey, data: &[u8]) -> [u8; 32] {
    mac(key, data).finalize().into_bytes().into()
}

fn mac(key: &HmacKey, data: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("a key");
    mac.chain_update(data)
}

#[cfg(test)]
mod tests {
    use subrosa_types::hex;

    use super::*;

    fn root() -> HmacRootKey {
        HmacRootKey::from_bytes(std::array::from_fn(|i| u8::try_from(i).unwrap()))
    }

    #[track_caller]
    fn check(group: &str, epoch: i64, key: &str, macs: &[(&[u8], &str)]) {
        let derived = group_key(&root(), &group.parse().unwrap(), epoch);
        assert_eq!(hex::encode(derived.as_bytes()), key);
        for (data, want) in macs {
            let got = sender_hmac(&derived, data);
            assert_eq!(hex::encode(&got), *want);
            assert!(derived.verifies(data, &got));
            assert!(!derived.verifies(data, &got[..31]));
            assert!(!derived.verifies(b"another", &got));
        }
    }

    #[test]
    fn keys_and_macs_match_the_envelope_chapter() {
        check(
            "101112131415161718191a1b1c1d1e1f",
            689,
            "9366625cd5defb0a6fb0d3b12adc66c75dd955a3b8e7b6046a97a01e0de1cba0e2f501640c43fe596c4f",
            &[(b"hello", "6725cb3262edd811803cf923834ef59281bcf1c05c3ebb13ce61202336723589")],
        );
    }

    #[test]
    fn keys_and_macs_match_the_group_and_client_chapters() {
        let group = "000102030405060708090a0b0c0d0e0f";
        check(
            group,
            692,
            "f8e382dcf47a9c9c55177b02df9af80f0e2c73d47c24d761e81106dbc8743e69d06f2c7241b3b85391e8",
            &[
                (b"hello", "ccaaefec6591e32025bfe5870434839100827494df40f8a6a5174854d0b39b51"),
                (b"payload", "dbe7bdb3e9cdb2210b54b1822a269209cca4830f0f570ed98a0849c8e767ae0b"),
            ],
        );
        check(group, 691, "41a530bc9919ba4515a409a29836178d8b93c25b409f2db98fa0690ab04a3577ffd9d03bcd51aaf4b27d", &[]);
    }

    #[test]
    fn an_epoch_is_thirty_days_rounded_down() {
        let at = |seconds: i64| hmac_epoch(UnixNanos::from_nanos(seconds * 1_000_000_000));
        assert_eq!(at(0), 0);
        assert_eq!(at(2_591_999), 0);
        assert_eq!(at(2_592_000), 1);
        assert_eq!(at(-1), -1);
        assert_eq!(at(1_795_435_151), 692);
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", root()), "HmacRootKey(..)");
        assert_eq!(format!("{:?}", HmacKey::from_bytes([7; 42])), "HmacKey(..)");
    }
}
