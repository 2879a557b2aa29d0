//! WebAuthn assertions of passkeys on P-256 (identity §5.5).

use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{Passkey, VerifyError};

/// An assertion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PasskeySignature {
    /// SEC1 encoding of the public key.
    pub public_key: Vec<u8>,
    /// ECDSA signature in DER.
    pub signature: Vec<u8>,
    /// What the authenticator says about itself. Signed, not checked.
    pub authenticator_data: Vec<u8>,
    /// What the browser says, with challenge and origin.
    pub client_data_json: Vec<u8>,
}

/// The members of the client data that count.
///
/// The derived reader is the rule of the network, quirks included (identity §5.5): other members are ignored and may
/// repeat, these two may not, and an array of exactly two strings stands for the object. The order of the fields is
/// therefore part of the format.
#[derive(Deserialize)]
struct ClientData {
    origin: String,
    challenge: String,
}

impl PasskeySignature {
    /// The passkey with its origin, and `r || s` not normalised. Type, relying-party hash, flags and counter must not
    /// be checked: logs of the network hold assertions that would fail.
    pub(super) fn verify(&self, challenge: &str) -> Result<(Passkey, [u8; 64]), VerifyError> {
        let json = std::str::from_utf8(&self.client_data_json).map_err(|_| VerifyError::PasskeyClientData)?;
        let client_data: ClientData = serde_json::from_str(json).map_err(|_| VerifyError::PasskeyClientData)?;
        if client_data.challenge != challenge {
            return Err(VerifyError::PasskeyClientData);
        }
        let key = VerifyingKey::from_sec1_bytes(&self.public_key).map_err(|_| VerifyError::PasskeyPublicKey)?;
        let signature = Signature::from_der(&self.signature).map_err(|_| VerifyError::PasskeySignatureEncoding)?;
        let mut signed = self.authenticator_data.clone();
        signed.extend_from_slice(&Sha256::digest(&self.client_data_json));
        key.verify(&signed, &signature).map_err(|_| VerifyError::PasskeySignature)?;
        let passkey = Passkey { key: self.public_key.clone(), relying_party: Some(client_data.origin) };
        Ok((passkey, signature.to_bytes().into()))
    }
}

/// Base64url without padding: the form of a challenge.
pub(super) fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[word >> (18 - 6 * digit) & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_matches_the_examples_of_rfc_4648() {
        for (bytes, want) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(base64url(bytes.as_bytes()), want);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }

    fn origin_of(json: &str) -> Option<String> {
        serde_json::from_str::<ClientData>(json).ok().filter(|data| data.challenge == "c").map(|data| data.origin)
    }

    #[test]
    fn client_data_is_an_object_or_a_pair() {
        for good in [
            r#"{"origin":"o","challenge":"c"}"#,
            r#" {"challenge":"c","x":1,"x":[{}],"origin":"o"} "#,
            r#"{"\u006frigin":"o","challenge":"\u0063"}"#,
            r#"["o","c"]"#,
        ] {
            assert_eq!(origin_of(good).as_deref(), Some("o"), "{good}");
        }
        for bad in [
            r#"{"origin":"o","origin":"o","challenge":"c"}"#,
            r#"{"origin":"o","challenge":"c"}x"#,
            r#"{"origin":null,"challenge":"c"}"#,
            "\u{feff}{\"origin\":\"o\",\"challenge\":\"c\"}",
            r#"["o","c","x"]"#,
            r#"["o"]"#,
            r#""c""#,
            "",
        ] {
            assert_eq!(origin_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_or_ignored_without_overflow() {
        let deep = format!(r#"{{"x":{}{},"origin":"o","challenge":"c"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let _ = origin_of(&deep);
    }
}
