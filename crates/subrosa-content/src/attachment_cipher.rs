//! Encryption of files that lie outside the network (client §5.4).
//!
//! ```text
//! plaintext      serialised EncodedContent of type attachment
//! key            HKDF-SHA256(salt, secret, no info, 32 bytes)
//! ciphertext     AES-256-GCM(key, nonce, no AAD), tag appended
//! contentDigest  lower-case hex of SHA-256(ciphertext)
//! ```

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, generic_array::GenericArray},
};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use subrosa_types::hex;
use zeroize::Zeroizing;

use crate::{Attachment, AttachmentSecret, Content, ContentError, EncodedContent, RemoteAttachment};

/// Length of secret and salt in bytes.
const SECRET_LEN: usize = 32;

/// Length of the nonce in bytes.
const NONCE_LEN: usize = 12;

/// A file, encrypted, and what a reader needs to open it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SealedAttachment {
    /// The ciphertext, to be uploaded.
    pub payload: Vec<u8>,
    /// Lower-case hex of the SHA-256 of the ciphertext.
    pub content_digest: String,
    /// What the key is derived from.
    pub secret: AttachmentSecret,
    /// Salt of the derivation.
    pub salt: [u8; SECRET_LEN],
    /// Nonce of the encryption.
    pub nonce: [u8; NONCE_LEN],
    /// Name of the file.
    pub filename: Option<String>,
}

/// Why a remote attachment cannot be sealed or opened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentCipherError {
    /// The payload is not what the message tells of.
    #[error("content digest mismatch: expected {want}, got {got}")]
    Digest {
        /// Digest in the message.
        want: String,
        /// Digest of the payload.
        got: String,
    },
    /// The nonce does not have 12 bytes but this many.
    #[error("nonce of {0} bytes")]
    Nonce(usize),
    /// The secrets do not fit the payload.
    #[error("decryption failed")]
    Decryption,
    /// The file is too large for the cipher.
    #[error("encryption failed")]
    Encryption,
    /// What was decrypted cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// What was decrypted is not a file.
    #[error("decrypted content is no attachment")]
    NoAttachment,
}

impl SealedAttachment {
    /// Encrypts a file. All three values must be drawn at random for this file alone.
    ///
    /// # Errors
    /// [`AttachmentCipherError::Encryption`] above 64 GiB.
    pub fn seal(
        attachment: Attachment,
        secret: [u8; SECRET_LEN],
        salt: [u8; SECRET_LEN],
        nonce: [u8; NONCE_LEN],
    ) -> Result<Self, AttachmentCipherError> {
        let secret = AttachmentSecret::new(secret.to_vec());
        let filename = attachment.filename.clone();
        let plaintext = Content::Attachment(attachment).to_encoded();
        let payload = cipher(secret.as_bytes(), &salt)
            .encrypt(GenericArray::from_slice(&nonce), plaintext.as_bytes())
            .map_err(|_| AttachmentCipherError::Encryption)?;
        Ok(Self { content_digest: digest(&payload), payload, secret, salt, nonce, filename })
    }

    /// The content to send once the payload lies at `url`. The scheme is that of the URL, normally `https`.
    #[must_use]
    pub fn at(&self, url: String, scheme: String) -> RemoteAttachment {
        RemoteAttachment {
            url,
            content_digest: self.content_digest.clone(),
            secret: self.secret.clone(),
            salt: self.salt.to_vec(),
            nonce: self.nonce.to_vec(),
            scheme,
            content_length: u32::try_from(self.payload.len()).ok(),
            filename: self.filename.clone(),
        }
    }
}

impl RemoteAttachment {
    /// Opens a payload that was fetched: checks its digest first, then decrypts it.
    ///
    /// # Errors
    /// [`AttachmentCipherError`]: the payload is not the one the message tells of, or not a file.
    pub fn open(&self, payload: &[u8]) -> Result<Attachment, AttachmentCipherError> {
        let got = digest(payload);
        if !got.eq_ignore_ascii_case(&self.content_digest) {
            return Err(AttachmentCipherError::Digest { want: self.content_digest.clone(), got });
        }
        if self.nonce.len() != NONCE_LEN {
            return Err(AttachmentCipherError::Nonce(self.nonce.len()));
        }
        let plaintext = cipher(self.secret.as_bytes(), &self.salt)
            .decrypt(GenericArray::from_slice(&self.nonce), payload)
            .map_err(|_| AttachmentCipherError::Decryption)?;
        match Content::decode(&EncodedContent::from_bytes(&plaintext)?)? {
            Content::Attachment(attachment) => Ok(attachment),
            _ => Err(AttachmentCipherError::NoAttachment),
        }
    }
}

fn digest(payload: &[u8]) -> String {
    hex::encode(&Sha256::digest(payload))
}

fn cipher(secret: &[u8], salt: &[u8]) -> Aes256Gcm {
    let mut key = Zeroizing::new([0; 32]);
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
    Hkdf::<Sha256>::new(Some(salt), secret).expand(&[], &mut key[..]).expect("32 bytes");
    Aes256Gcm::new(GenericArray::from_slice(&key[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Attachment {
        Attachment { filename: Some("f".into()), mime_type: "a/b".into(), data: b"x".to_vec() }
    }

    fn sealed() -> SealedAttachment {
        SealedAttachment::seal(file(), [1; 32], [2; 32], [3; 12]).unwrap()
    }

    #[test]
    fn the_key_matches_the_client_chapter() {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(&[2; 32]), &[1; 32]).expand(&[], &mut key).unwrap();
        assert_eq!(hex::encode(&key), "f13753d996ddf621689ee1baf81726ca065217bb9d98360dd0b4f546aefc5c82");
    }

    #[test]
    fn the_ciphertext_of_the_client_chapter_opens() {
        let payload = hex::decode(
            "f7c0f02e720f494cafe4950e64397a19978b55365a20f71c9e672f179f4ccb8e698f3d1a324417e57c1accaee01b895736a1bce8b\
             3ef635e24de09afabb05c37b08d4a03a319fbb606a817c251860ea3547556dbda4ed5aa0e6327f366f96311c2f8d012b98099a839\
             e79bc9de3f4936009457c8f8bee2c98eb56826d97f65dd4aa6f6eb01",
        )
        .unwrap();
        let remote = RemoteAttachment {
            content_digest: "e558dc446248e01b0e85962a465025b17ead6bd51400387e7a5366eb2fd57a99".into(),
            ..sealed().at(String::new(), String::new())
        };
        assert_eq!(remote.open(&payload), Ok(file()));
    }

    #[test]
    fn opening_inverts_sealing() {
        let sealed = sealed();
        let remote = sealed.at("https://x/y".into(), "https".into());
        assert_eq!(remote.content_length, Some(u32::try_from(sealed.payload.len()).unwrap()));
        assert_eq!(remote.open(&sealed.payload), Ok(file()));
    }

    #[test]
    fn another_payload_or_secret_is_refused() {
        let sealed = sealed();
        let remote = sealed.at("https://x/y".into(), "https".into());
        let mut payload = sealed.payload.clone();
        payload[0] ^= 1;
        assert!(matches!(remote.open(&payload), Err(AttachmentCipherError::Digest { .. })));
        let forged = RemoteAttachment { content_digest: digest(&payload), ..remote.clone() };
        assert_eq!(forged.open(&payload), Err(AttachmentCipherError::Decryption));
        let wrong = RemoteAttachment { secret: AttachmentSecret::new(vec![9; 32]), ..remote.clone() };
        assert_eq!(wrong.open(&sealed.payload), Err(AttachmentCipherError::Decryption));
        let short = RemoteAttachment { nonce: vec![3; 11], ..remote };
        assert_eq!(short.open(&sealed.payload), Err(AttachmentCipherError::Nonce(11)));
    }

    #[test]
    fn a_decrypted_content_of_another_type_is_refused() {
        let text = Content::Text("x".into()).to_encoded();
        let payload = cipher(&[1; 32], &[2; 32]).encrypt(GenericArray::from_slice(&[3; 12]), text.as_bytes()).unwrap();
        let remote = RemoteAttachment { content_digest: digest(&payload), ..sealed().at(String::new(), String::new()) };
        assert_eq!(remote.open(&payload), Err(AttachmentCipherError::NoAttachment));
    }
}
