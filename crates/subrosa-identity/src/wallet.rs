//! Ethereum keys held locally: for bots, tools and tests (identity §5.1).

use std::fmt;

use k256::ecdsa::SigningKey;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{Identifier, signature::ethereum_address, text::eip191_hash};

/// The secp256k1 secret of an externally owned account. Wiped on drop, never printed.
#[derive(Clone)]
pub struct WalletKey {
    key: SigningKey,
}

/// The number is 0 or not below the order of the curve.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a secret key of the curve")]
pub struct WalletKeyError;

impl WalletKey {
    /// A new key.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        loop {
            rng.fill_bytes(&mut *secret);
            if let Ok(key) = Self::from_bytes(&secret) {
                return key;
            }
        }
    }

    /// The key with this secret, big-endian.
    ///
    /// # Errors
    /// [`WalletKeyError`] for 0 and numbers that are not below the order of the curve.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, WalletKeyError> {
        SigningKey::from_slice(secret).map(|key| Self { key }).map_err(|_| WalletKeyError)
    }

    /// The secret, big-endian, to be stored encrypted.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }

    /// The address: `0x` and 40 lower-case hex digits.
    #[must_use]
    pub fn address(&self) -> String {
        ethereum_address(self.key.verifying_key())
    }

    /// The address as identifier.
    #[must_use]
    pub fn identifier(&self) -> Identifier {
        Identifier::Ethereum(self.address())
    }

    /// Signs a text as wallets do: EIP-191 hash, RFC 6979 nonce, `r || s || v` with low s and v 27 or 28.
    #[must_use]
    #[expect(clippy::expect_used, reason = "signing a hash of 32 bytes fails for one nonce in 2^256")]
    pub fn sign(&self, text: &str) -> [u8; 65] {
        let (signature, recovery) =
            self.key.sign_prehash_recoverable(&eip191_hash(text)).expect("the hash has 32 bytes");
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + u8::from(recovery.is_y_odd());
        bytes
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _ } = self;
        f.debug_struct("WalletKey").field("address", &self.address()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn numbers_outside_the_order_are_no_keys() {
        assert_eq!(WalletKey::from_bytes(&[0; 32]).err(), Some(WalletKeyError));
        assert_eq!(WalletKey::from_bytes(&[0xff; 32]).err(), Some(WalletKeyError));
    }

    #[test]
    fn the_generator_decides_the_key() {
        let key = |seed| WalletKey::generate(&mut ChaCha20Rng::seed_from_u64(seed)).address();
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
    }

    #[test]
    fn the_secret_is_not_printed() {
        let key = WalletKey::from_bytes(&[0x5e; 32]).unwrap();
        assert!(!format!("{key:?}").contains("5e5e"));
        assert_eq!(*key.to_bytes(), [0x5e; 32]);
    }
}
