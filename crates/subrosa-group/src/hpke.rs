//! HPKE as welcomes use it: base mode, two KEMs, the generator handed in (groups §6.2).
//!
//! Key schedule, AEAD and decapsulation are those of `hpke-rs`. Encapsulation is done here from bytes that the caller
//! drew, since `hpke-rs` always asks the operating system.

use hpke_rs::{
    Context, Hpke, HpkePrivateKey, Mode,
    hpke_types::{AeadAlgorithm, KdfAlgorithm, KemAlgorithm},
    rustcrypto::HpkeRustCrypto,
};
use hpke_rs_crypto::HpkeCrypto;
use zeroize::Zeroizing;

/// Label `MLS_WELCOME` as MLS encodes it, with an empty context: 21 bytes. The double "MLS" is real.
pub(crate) const WELCOME_INFO: &[u8] = b"\x13MLS 1.0 MLS_WELCOME\x00";

/// Bytes that [`sender`] needs for the KEM with the larger need.
pub(crate) const EPHEMERAL: usize = 64;

/// A key encapsulation mechanism.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kem {
    /// DHKEM(X25519, HKDF-SHA256), `0x0020`.
    Curve25519,
    /// X-Wing draft 06 under its obsolete number `0x004d`; the registered number does not decrypt.
    XWing,
}

/// An HPKE step failed: a key or ciphertext of the wrong shape, or not for us.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("public-key encryption failed")]
pub(crate) struct HpkeFailed;

pub(crate) type HpkeContext = Context<HpkeRustCrypto>;

impl Kem {
    #[expect(deprecated, reason = "the shipped client 1.10.0 uses the obsolete number of X-Wing")]
    const fn algorithm(self) -> KemAlgorithm {
        match self {
            Self::Curve25519 => KemAlgorithm::DhKem25519,
            Self::XWing => KemAlgorithm::XWingDraft06Obsolete,
        }
    }

    fn config(self) -> Hpke<HpkeRustCrypto> {
        Hpke::new(Mode::Base, self.algorithm(), KdfAlgorithm::HkdfSha256, AeadAlgorithm::ChaCha20Poly1305)
    }
}

/// The X-Wing public key (1216 bytes) of a 32-byte seed.
pub(crate) fn x_wing_public_key(seed: &[u8; 32]) -> Result<Vec<u8>, HpkeFailed> {
    let (public, _) = HpkeRustCrypto::kem_key_gen_derand(Kem::XWing.algorithm(), seed).map_err(|_| HpkeFailed)?;
    Ok(public)
}

/// Sets up encryption to `recipient` with the given ephemeral bytes: at least 32 for Curve25519, 64 for X-Wing.
/// Returns the KEM output and the context.
pub(crate) fn sender(
    kem: Kem,
    recipient: &[u8],
    info: &[u8],
    ephemeral: &[u8],
) -> Result<(Vec<u8>, HpkeContext), HpkeFailed> {
    let (kem_output, shared) = match kem {
        Kem::Curve25519 => encapsulate_curve25519(recipient, ephemeral)?,
        Kem::XWing => encapsulate_x_wing(recipient, ephemeral)?,
    };
    let context = kem.config().key_schedule(&shared, info, &[], &[]).map_err(|_| HpkeFailed)?;
    Ok((kem_output, context))
}

/// Sets up decryption of what was sealed to `private_key` (32 bytes; for X-Wing the seed).
pub(crate) fn receiver(
    kem: Kem,
    kem_output: &[u8],
    private_key: &[u8],
    info: &[u8],
) -> Result<HpkeContext, HpkeFailed> {
    let key = HpkePrivateKey::new(private_key.to_vec());
    kem.config().setup_receiver(kem_output, &key, info, None, None, None).map_err(|_| HpkeFailed)
}

type Encapsulated = (Vec<u8>, Zeroizing<Vec<u8>>);

/// RFC 9180 §4.1 Encap with DeriveKeyPair(ephemeral) as the ephemeral pair.
fn encapsulate_curve25519(recipient: &[u8], ephemeral: &[u8]) -> Result<Encapsulated, HpkeFailed> {
    const SUITE: &[u8] = b"KEM\x00\x20";
    let kem = KemAlgorithm::DhKem25519;
    let prk = labeled_extract(SUITE, b"dkp_prk", ephemeral)?;
    let secret = labeled_expand(SUITE, &prk, b"sk", &[])?;
    let kem_output = HpkeRustCrypto::secret_to_public(kem, &secret).map_err(|_| HpkeFailed)?;
    let shared = Zeroizing::new(HpkeRustCrypto::dh(kem, recipient, &secret).map_err(|_| HpkeFailed)?);
    let context = [kem_output.as_slice(), recipient].concat();
    let prk = labeled_extract(SUITE, b"eae_prk", &shared)?;
    let shared = labeled_expand(SUITE, &prk, b"shared_secret", &context)?;
    Ok((kem_output, shared))
}

fn encapsulate_x_wing(recipient: &[u8], ephemeral: &[u8]) -> Result<Encapsulated, HpkeFailed> {
    let key = x_wing::EncapsulationKey::try_from(recipient).map_err(|_| HpkeFailed)?;
    let ephemeral: [u8; EPHEMERAL] = ephemeral.try_into().map_err(|_| HpkeFailed)?;
    let (kem_output, shared) = key.encapsulate_deterministic(&ephemeral.into());
    Ok((kem_output.to_vec(), Zeroizing::new(shared.to_vec())))
}

fn labeled_extract(suite: &[u8], label: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, HpkeFailed> {
    let input = Zeroizing::new([b"HPKE-v1", suite, label, ikm].concat());
    HpkeRustCrypto::kdf_extract(KdfAlgorithm::HkdfSha256, &[], &input).map(Zeroizing::new).map_err(|_| HpkeFailed)
}

/// Expands to 32 bytes.
fn labeled_expand(suite: &[u8], prk: &[u8], label: &[u8], info: &[u8]) -> Result<Zeroizing<Vec<u8>>, HpkeFailed> {
    let info = [&[0, 32], b"HPKE-v1".as_slice(), suite, label, info].concat();
    HpkeRustCrypto::kdf_expand(KdfAlgorithm::HkdfSha256, prk, &info, 32).map(Zeroizing::new).map_err(|_| HpkeFailed)
}

#[cfg(test)]
mod tests {
    use subrosa_types::hex;

    use super::*;

    #[test]
    fn info_is_that_of_the_specification() {
        assert_eq!(hex::encode(WELCOME_INFO), "134d4c5320312e30204d4c535f57454c434f4d4500");
    }

    #[test]
    fn what_is_sealed_opens_with_the_library_that_draws_itself() {
        let seed = [5; 32];
        let pair = Kem::Curve25519.config().derive_key_pair(&seed).unwrap();
        let curve_private = pair.private_key().as_slice().to_vec();
        let cases = [
            (Kem::Curve25519, pair.public_key().as_slice().to_vec(), curve_private),
            (Kem::XWing, x_wing_public_key(&seed).unwrap(), seed.to_vec()),
        ];
        for (kem, public, private) in cases {
            let (output, mut sealing) = sender(kem, &public, WELCOME_INFO, &[9; EPHEMERAL]).unwrap();
            let sealed = [sealing.seal(b"", b"one").unwrap(), sealing.seal(b"", b"two").unwrap()];
            let mut opening = receiver(kem, &output, &private, WELCOME_INFO).unwrap();
            assert_eq!(opening.open(b"", &sealed[0]).unwrap(), b"one");
            assert_eq!(opening.open(b"", &sealed[1]).unwrap(), b"two");
        }
    }

    /// RFC 9180 A.2.1 (DHKEM X25519, HKDF-SHA256, ChaCha20-Poly1305, base mode).
    #[test]
    fn encapsulation_matches_rfc_9180() {
        let ikm = hex::decode("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b").unwrap();
        let recipient = hex::decode("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a").unwrap();
        let info = hex::decode("4f6465206f6e2061204772656369616e2055726e").unwrap();
        let (output, mut context) = sender(Kem::Curve25519, &recipient, &info, &ikm).unwrap();
        assert_eq!(hex::encode(&output), "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
        let aad = hex::decode("436f756e742d30").unwrap();
        let plaintext = hex::decode("4265617574792069732074727574682c20747275746820626561757479").unwrap();
        assert_eq!(
            hex::encode(&context.seal(&aad, &plaintext).unwrap()),
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
        );
    }
}
