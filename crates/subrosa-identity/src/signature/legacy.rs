//! Keys of version-2 accounts that stand in for their wallet once (identity §5.4).

use prost::Message as _;
use subrosa_proto::xmtp::message_contents::{UnsignedPublicKey, unsigned_public_key};
use subrosa_types::hex;

use super::{SignedText, ecdsa};
use crate::{VerifyError, text::eip191_hash};

/// A signature by an old account's key, with the wallet's signature over that key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LegacyDelegatedSignature {
    /// Serialised public key of the old account, as the wallet signed it.
    pub key_bytes: Vec<u8>,
    /// The wallet's signature over the key. Without one nothing verifies.
    pub wallet_signature: Option<LegacyWalletSignature>,
    /// The old key's signature over the text: `r || s || v`.
    pub signature: Vec<u8>,
}

/// The wallet's signature over an old key, in either form that old clients wrote. They mean the same.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the old message is frozen")]
pub enum LegacyWalletSignature {
    /// Field `ecdsa_compact`.
    EcdsaCompact {
        /// `r || s`, 64 bytes when well formed.
        bytes: Vec<u8>,
        /// 0 or 1, or 27 or 28. Only the low 8 bits count.
        recovery: u32,
    },
    /// Field `wallet_ecdsa_compact`.
    WalletEcdsaCompact {
        /// `r || s`, 64 bytes when well formed.
        bytes: Vec<u8>,
        /// 0 or 1, or 27 or 28. Only the low 8 bits count.
        recovery: u32,
    },
}

impl LegacyWalletSignature {
    /// `r || s || v`.
    fn recoverable(&self) -> Option<[u8; 65]> {
        let (Self::EcdsaCompact { bytes, recovery } | Self::WalletEcdsaCompact { bytes, recovery }) = self;
        let mut recoverable = [0; 65];
        recoverable[..64].copy_from_slice(<&[u8; 64]>::try_from(bytes.as_slice()).ok()?);
        recoverable[64] = recovery.to_le_bytes()[0];
        Some(recoverable)
    }
}

impl LegacyDelegatedSignature {
    /// The wallet's address and the value that replays are compared by: the wallet's signature, so that every use of
    /// one key collides with its first.
    pub(super) fn verify(&self, text: &SignedText<'_>) -> Result<(String, [u8; 65]), VerifyError> {
        let (key_address, _) = ecdsa::recover_ethereum_address(text.eip191(), &self.signature)?;
        let by_wallet =
            self.wallet_signature.as_ref().and_then(|s| s.recoverable()).ok_or(VerifyError::LegacyKeyInvalid)?;
        let (wallet, seen) =
            ecdsa::recover_ethereum_address(&eip191_hash(&create_identity_text(&self.key_bytes)), &by_wallet)?;
        let delegated = delegated_address(&self.key_bytes).ok_or(VerifyError::LegacyKeyInvalid)?;
        if delegated != key_address {
            return Err(VerifyError::LegacyKeyInvalid);
        }
        Ok((wallet, seen))
    }
}

/// What the wallet signed when the old account was made. Its link, unlike today's, ends in a slash.
fn create_identity_text(key_bytes: &[u8]) -> String {
    format!("XMTP : Create Identity\n{}\n\nFor more info: https://xmtp.org/signatures/", hex::encode(key_bytes))
}

/// Address of a serialised public key.
fn delegated_address(key_bytes: &[u8]) -> Option<String> {
    let unsigned_public_key::Union::Secp256k1Uncompressed(key) = UnsignedPublicKey::decode(key_bytes).ok()?.union?;
    (key.bytes.len() == 65 && key.bytes[0] == 4).then(|| ecdsa::address_of_point(&key.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_low_bits_of_the_recovery_number_count() {
        let signature = LegacyWalletSignature::EcdsaCompact { bytes: vec![1; 64], recovery: 0x101 };
        assert_eq!(signature.recoverable().unwrap()[64], 1);
        let short = LegacyWalletSignature::WalletEcdsaCompact { bytes: vec![1; 63], recovery: 0 };
        assert_eq!(short.recoverable(), None);
    }

    #[test]
    fn key_bytes_without_a_whole_key_have_no_address() {
        assert_eq!(delegated_address(&[]), None);
        assert_eq!(delegated_address(&[0xff]), None);
        assert_eq!(delegated_address(&[0x1a, 2, 0x0a, 0]), None);
    }
}
