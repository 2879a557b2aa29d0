//! Keys of installations and what they sign (identity §5.3, §10.1).

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha512};
use subrosa_types::InstallationId;
use zeroize::Zeroizing;

/// Context of signatures inside identity updates.
pub(crate) const UPDATE_CONTEXT: &[u8] = b"IDENTITY UPDATE SIGNATURE";
/// Context of signatures over application texts.
const TEXT_CONTEXT: &[u8] = b"PUBLIC SIGNATURE CONTEXT";

/// The Ed25519 secret of an installation. Wiped on drop, never printed.
pub struct InstallationKey {
    key: SigningKey,
}

/// The signature was not made over this text by this installation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signature does not match text and installation")]
pub struct SignatureMismatch;

impl InstallationKey {
    /// A new key.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self { key: SigningKey::from_bytes(&seed) }
    }

    /// The key with this seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self { key: SigningKey::from_bytes(&seed) }
    }

    /// The seed, to be stored encrypted.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The installation's id: the public key.
    #[must_use]
    pub fn id(&self) -> InstallationId {
        InstallationId::from_bytes(self.key.verifying_key().to_bytes())
    }

    /// The public key, ready to verify with.
    pub(crate) fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// Signs the text of an identity update: Ed25519ph with the context of updates (identity §5.3).
    #[must_use]
    pub fn sign_update(&self, text: &str) -> [u8; 64] {
        self.sign_prehashed(text, UPDATE_CONTEXT)
    }

    /// Signs an application's text: Ed25519ph with the public context, so that it can never pass for an update.
    #[must_use]
    pub fn sign_text(&self, text: &str) -> [u8; 64] {
        self.sign_prehashed(text, TEXT_CONTEXT)
    }

    /// Signs MLS content: plain Ed25519 (identity §10.1).
    #[must_use]
    pub fn sign_mls(&self, content: &[u8]) -> [u8; 64] {
        self.key.sign(content).to_bytes()
    }

    #[expect(clippy::expect_used, reason = "signing fails for contexts above 255 bytes only, and ours are constants")]
    fn sign_prehashed(&self, text: &str, context: &[u8]) -> [u8; 64] {
        let prehash = Sha512::new().chain_update(text);
        self.key.sign_prehashed(prehash, Some(context)).expect("the context is short").to_bytes()
    }
}

impl Clone for InstallationKey {
    fn clone(&self) -> Self {
        Self { key: self.key.clone() }
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _ } = self;
        f.debug_struct("InstallationKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Checks a signature of [`InstallationKey::sign_text`] (identity §11.5). Needs no client and no network: it says
/// which installation signed, not whose installation that is.
///
/// # Errors
/// [`SignatureMismatch`] unless `signature` is 64 bytes, `by` is a point of the curve, and they match the text.
pub fn verify_text(text: &str, signature: &[u8], by: &InstallationId) -> Result<(), SignatureMismatch> {
    let key = VerifyingKey::from_bytes(by.as_bytes()).map_err(|_| SignatureMismatch)?;
    let signature = Signature::from_slice(signature).map_err(|_| SignatureMismatch)?;
    let prehash = Sha512::new().chain_update(text);
    key.verify_prehashed(prehash, Some(TEXT_CONTEXT), &signature).map_err(|_| SignatureMismatch)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn contexts_keep_texts_updates_and_mls_apart() {
        let key = InstallationKey::from_seed([7; 32]);
        assert_eq!(verify_text("a", &key.sign_text("a"), &key.id()), Ok(()));
        for other in [key.sign_update("a"), key.sign_mls(b"a"), key.sign_text("b")] {
            assert_eq!(verify_text("a", &other, &key.id()), Err(SignatureMismatch));
        }
        assert_eq!(verify_text("a", &key.sign_text("a")[..63], &key.id()), Err(SignatureMismatch));
    }

    #[test]
    fn the_generator_decides_the_key() {
        let key = |seed| InstallationKey::generate(&mut ChaCha20Rng::seed_from_u64(seed)).id();
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
    }

    #[test]
    fn the_seed_is_not_printed() {
        let key = InstallationKey::from_seed([0x5e; 32]);
        assert!(!format!("{key:?}").contains("5e5e"));
        assert_eq!(*InstallationKey::from_seed(*key.seed()).seed(), [0x5e; 32]);
    }
}
