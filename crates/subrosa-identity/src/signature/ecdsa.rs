//! Signatures of externally owned Ethereum accounts (identity §5.1).

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest as _, Keccak256};
use subrosa_types::hex;

use crate::VerifyError;

/// Recovers the signer's address from `r || s || v` over a hash, and the bytes that stand for the signature when
/// replays are looked for: `r || low s || v` (identity §5.1).
///
/// A wrong text or key gives some other address, not an error.
///
/// # Errors
/// `Ecdsa…` of [`VerifyError`], in the order of the specification.
pub fn recover_ethereum_address(hash: &[u8; 32], signature: &[u8]) -> Result<(String, [u8; 65]), VerifyError> {
    let (scalars, v) = match signature.len() {
        64 => (signature, None),
        65 => (&signature[..64], Some(signature[64])),
        _ => return Err(VerifyError::EcdsaLength),
    };
    let signature = Signature::from_slice(scalars).map_err(|_| VerifyError::EcdsaScalar)?;
    // v stays as it is: a genuine signature of high s therefore recovers to a foreign address.
    let signature = signature.normalize_s().unwrap_or(signature);
    let v = v.ok_or(VerifyError::EcdsaNoRecoveryByte)?;
    let is_y_odd = parity(v).ok_or(VerifyError::EcdsaRecoveryByte)?;
    let id = RecoveryId::new(is_y_odd, false);
    let key = VerifyingKey::recover_from_prehash(hash, &signature, id).map_err(|_| VerifyError::EcdsaRecover)?;

    let mut seen = [0; 65];
    seen[..64].copy_from_slice(&signature.to_bytes());
    seen[64] = v;
    Ok((ethereum_address(&key), seen))
}

/// Whether the y coordinate of R is odd; `None` for a value that no wallet uses.
const fn parity(v: u8) -> Option<bool> {
    match v {
        0 | 27 => Some(false),
        1 | 28 => Some(true),
        35..=255 => Some((v - 35) % 2 == 1),
        _ => None,
    }
}

/// `0x` and lower-case hex of the last 20 bytes of the Keccak-256 hash of the 64-byte public key.
pub(crate) fn ethereum_address(key: &VerifyingKey) -> String {
    address_of_point(key.to_encoded_point(false).as_bytes())
}

/// Address of an uncompressed point with its leading 0x04.
pub(super) fn address_of_point(point: &[u8]) -> String {
    let hash = Keccak256::digest(point.get(1..).unwrap_or_default());
    format!("0x{}", hex::encode(&hash[12..]))
}

#[cfg(test)]
mod tests {
    use k256::{AffinePoint, elliptic_curve::sec1::ToEncodedPoint as _};

    use super::*;
    use crate::{WalletKey, eip191_hash};

    #[test]
    fn what_a_wallet_signs_recovers_to_it() {
        for seed in 1..=16 {
            let key = WalletKey::from_bytes(&[seed; 32]).unwrap();
            let bytes = key.sign("text");
            assert_eq!(recover_ethereum_address(&eip191_hash("text"), &bytes), Ok((key.address(), bytes)));
            let (other, _) = recover_ethereum_address(&eip191_hash("another text"), &bytes).unwrap();
            assert_ne!(other, key.address());
        }
    }

    #[test]
    fn an_x_that_is_on_no_point_is_refused() {
        // 5³ + 7 is not a square modulo the field's prime.
        let mut bytes = [0; 65];
        bytes[31] = 5;
        bytes[63] = 1;
        bytes[64] = 27;
        assert_eq!(recover_ethereum_address(&[1; 32], &bytes), Err(VerifyError::EcdsaRecover));
    }

    #[test]
    fn the_point_at_infinity_is_refused() {
        // R = G, s = z, so that s·R − z·G is nothing.
        let mut bytes = [0; 65];
        let generator = AffinePoint::GENERATOR.to_encoded_point(true);
        bytes[..32].copy_from_slice(&generator.as_bytes()[1..]);
        bytes[63] = 9;
        bytes[64] = 27 + (generator.as_bytes()[0] & 1);
        let mut hash = [0; 32];
        hash[31] = 9;
        assert_eq!(recover_ethereum_address(&hash, &bytes), Err(VerifyError::EcdsaRecover));
    }

    #[test]
    fn v_has_the_values_of_wallets_only() {
        let odd: Vec<u8> = (0..=255).filter(|v| parity(*v) == Some(true)).collect();
        let none: Vec<u8> = (0..=255).filter(|v| parity(*v).is_none()).collect();
        assert_eq!(odd[..3], [1, 28, 36]);
        assert_eq!(odd.len(), 2 + 110);
        assert_eq!(none, (2..=26).chain(29..=34).collect::<Vec<_>>());
    }
}
