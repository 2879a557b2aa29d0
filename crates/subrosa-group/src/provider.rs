//! What the MLS library is given: cryptography, randomness, storage.

use std::{
    fmt,
    sync::{LazyLock, Mutex, PoisonError},
};

use openmls::prelude::tls_codec::SecretVLBytes;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::{
    OpenMlsProvider,
    crypto::OpenMlsCrypto,
    types::{
        AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig, HpkeKeyPair,
        KemOutput, SignatureScheme,
    },
};
use sha2::{Digest, Sha256};

use crate::{
    hpke::{self, Kem},
    profile::CIPHERSUITE,
    random::{RandomError, Randomness},
    rows::Rows,
};

/// One group's (or key package's) provider.
#[derive(Debug)]
pub(crate) struct Provider {
    crypto: Crypto,
    random: Randomness,
    rows: Rows,
}

impl Provider {
    pub(crate) fn new(rows: Rows, random: Randomness) -> Self {
        Self { crypto: Crypto::default(), random, rows }
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Draws what hedges the encryptions of the next commit.
    pub(crate) fn refresh(&self) -> Result<(), RandomError> {
        let fresh = self.random.array()?;
        self.crypto.set(Some(fresh));
        Ok(())
    }

    /// Forgets the draw: it served one commit.
    pub(crate) fn spend(&self) {
        self.crypto.set(None);
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = Randomness;
    type StorageProvider = Rows;

    fn storage(&self) -> &Rows {
        &self.rows
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Randomness {
        &self.random
    }
}

/// The RustCrypto provider, except for the randomness of public-key encryption: that is derived from one fresh draw
/// per commit and from what is encrypted to whom. So a run can be repeated from its seed although path encryption
/// uses several threads, and a weak draw alone does not repeat an ephemeral key.
#[derive(Default)]
pub(crate) struct Crypto {
    draw: Mutex<Option<[u8; 32]>>,
}

/// The library's own generator is never used for anything that leaves this crate; it is seeded once.
static RUST_CRYPTO: LazyLock<RustCrypto> = LazyLock::new(RustCrypto::default);

impl Crypto {
    fn set(&self, draw: Option<[u8; 32]>) {
        *self.draw.lock().unwrap_or_else(PoisonError::into_inner) = draw;
    }

    /// The ephemeral input of one encryption.
    fn ephemeral(&self, recipient: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<[u8; 32], CryptoError> {
        let draw = *self.draw.lock().unwrap_or_else(PoisonError::into_inner);
        let draw = draw.ok_or(CryptoError::InsufficientRandomness)?;
        let mut hash = Sha256::new();
        hash.update(b"subrosa hpke ephemeral 1");
        hash.update(draw);
        for part in [recipient, aad, plaintext] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Ok(hash.finalize().into())
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto").finish_non_exhaustive()
    }
}

impl OpenMlsCrypto for Crypto {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        if ciphersuite == CIPHERSUITE { Ok(()) } else { Err(CryptoError::UnsupportedCiphersuite) }
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        vec![CIPHERSUITE]
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        RUST_CRYPTO.hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        RUST_CRYPTO.hmac(hash, key, message)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        length: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        RUST_CRYPTO.hkdf_expand(hash, prk, info, length)
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        RUST_CRYPTO.hash(hash, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        RUST_CRYPTO.aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        sealed: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        RUST_CRYPTO.aead_decrypt(alg, key, sealed, nonce, aad)
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        RUST_CRYPTO.signature_key_gen(alg)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        key: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        RUST_CRYPTO.verify_signature(alg, data, key, signature)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        RUST_CRYPTO.sign(alg, data, key)
    }

    fn hpke_seal(
        &self,
        _: HpkeConfig,
        recipient: &[u8],
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        let ephemeral = self.ephemeral(recipient, aad, plaintext)?;
        let (kem_output, mut context) =
            hpke::sender(Kem::Curve25519, recipient, info, &ephemeral).map_err(|_| CryptoError::SenderSetupError)?;
        let ciphertext = context.seal(aad, plaintext).map_err(|_| CryptoError::HpkeEncryptionError)?;
        Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        RUST_CRYPTO.hpke_open(config, input, key, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        recipient: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        RUST_CRYPTO.hpke_setup_sender_and_export(config, recipient, info, exporter_context, length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        key: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        RUST_CRYPTO.hpke_setup_receiver_and_export(config, enc, key, info, exporter_context, length)
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        RUST_CRYPTO.derive_hpke_keypair(config, ikm)
    }
}
