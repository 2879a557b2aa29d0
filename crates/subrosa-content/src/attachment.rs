//! Attachments: inside the message, or encrypted somewhere else (client §5.2, §5.4).

use std::{collections::BTreeMap, fmt};

use prost::Message;
use subrosa_proto::xmtp::mls::message_contents::content_types as wire;
use subrosa_types::hex;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{ContentError, EncodedContent};

const MIME_TYPE: &str = "mimeType";
const FILENAME: &str = "filename";
const CONTENT_DIGEST: &str = "contentDigest";
const SALT: &str = "salt";
const NONCE: &str = "nonce";
const SECRET: &str = "secret";
const SCHEME: &str = "scheme";
const CONTENT_LENGTH: &str = "contentLength";

/// What a fallback calls a file without a name.
const UNNAMED: &str = "this content";

/// A file inside the message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Attachment {
    /// Name of the file.
    pub filename: Option<String>,
    /// Its MIME type.
    pub mime_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl Attachment {
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let mut parameters = BTreeMap::from([(MIME_TYPE.to_owned(), self.mime_type.clone())]);
        parameters.extend(self.filename.clone().map(|name| (FILENAME.to_owned(), name)));
        parameters
    }

    pub(crate) fn fallback(&self) -> String {
        let name = self.filename.as_deref().unwrap_or(UNNAMED);
        format!("Can't display {name}. This app doesn't support attachments.")
    }

    pub(crate) fn from_encoded(encoded: &EncodedContent) -> Result<Self, ContentError> {
        Ok(Self {
            filename: encoded.parameter(FILENAME).map(str::to_owned),
            mime_type: encoded.required(MIME_TYPE)?.to_owned(),
            data: encoded.content().to_vec(),
        })
    }
}

/// Secret that an attachment's key is derived from: 32 bytes if well-formed. Wiped on drop, never printed.
#[derive(Clone, Eq, Hash, PartialEq, Zeroize, ZeroizeOnDrop)]
pub struct AttachmentSecret(Vec<u8>);

impl AttachmentSecret {
    /// The secret with these bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AttachmentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AttachmentSecret").finish_non_exhaustive()
    }
}

/// A file that lies encrypted somewhere else. Nothing here was checked against what lies there.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RemoteAttachment {
    /// Where: a peer's word; fetch it with care.
    pub url: String,
    /// Lower-case hex of the SHA-256 of the ciphertext.
    pub content_digest: String,
    /// What its key is derived from.
    pub secret: AttachmentSecret,
    /// Salt of the derivation, 32 bytes if well-formed.
    pub salt: Vec<u8>,
    /// Nonce of the encryption, 12 bytes if well-formed.
    pub nonce: Vec<u8>,
    /// Scheme of the URL.
    pub scheme: String,
    /// Length of the ciphertext in bytes.
    pub content_length: Option<u32>,
    /// Name of the file.
    pub filename: Option<String>,
}

impl RemoteAttachment {
    pub(crate) fn parameters(&self) -> BTreeMap<String, String> {
        let required = [
            (CONTENT_DIGEST, self.content_digest.clone()),
            (SECRET, hex::encode(self.secret.as_bytes())),
            (SALT, hex::encode(&self.salt)),
            (NONCE, hex::encode(&self.nonce)),
            (SCHEME, self.scheme.clone()),
        ];
        let length = self.content_length.map(|length| (CONTENT_LENGTH, length.to_string()));
        let filename = self.filename.clone().map(|name| (FILENAME, name));
        let all = required.into_iter().chain(length).chain(filename);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    pub(crate) fn fallback(&self) -> String {
        let name = self.filename.as_deref().unwrap_or(UNNAMED);
        format!("Can't display {name}. This app doesn't support remote attachments.")
    }

    pub(crate) fn from_encoded(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let bytes = |name| hex::decode(encoded.required(name)?).ok_or(ContentError::Parameter(name));
        let length = |text: &str| text.parse().map_err(|_| ContentError::Parameter(CONTENT_LENGTH));
        Ok(Self {
            url: encoded.text()?,
            content_digest: encoded.required(CONTENT_DIGEST)?.to_owned(),
            secret: AttachmentSecret::new(bytes(SECRET)?),
            salt: bytes(SALT)?,
            nonce: bytes(NONCE)?,
            scheme: encoded.required(SCHEME)?.to_owned(),
            content_length: encoded.parameter(CONTENT_LENGTH).map(length).transpose()?,
            filename: encoded.parameter(FILENAME).map(str::to_owned),
        })
    }
}

/// What is shown where several remote attachments are not understood.
pub(crate) const MULTI_FALLBACK: &str =
    "Can't display this content. This app doesn't support multiple remote attachments.";

/// Encodes several remote attachments.
pub(crate) fn multi_to_content(attachments: &[RemoteAttachment]) -> Vec<u8> {
    let attachments = attachments
        .iter()
        .map(|attachment| wire::RemoteAttachmentInfo {
            content_digest: attachment.content_digest.clone(),
            secret: attachment.secret.as_bytes().to_vec(),
            nonce: attachment.nonce.clone(),
            salt: attachment.salt.clone(),
            scheme: attachment.scheme.clone(),
            url: attachment.url.clone(),
            content_length: attachment.content_length,
            filename: attachment.filename.clone(),
        })
        .collect();
    wire::MultiRemoteAttachment { attachments }.encode_to_vec()
}

/// Decodes several remote attachments.
pub(crate) fn multi_from_content(bytes: &[u8]) -> Result<Vec<RemoteAttachment>, ContentError> {
    let wire = wire::MultiRemoteAttachment::decode(bytes).map_err(|_| ContentError::Protobuf)?;
    let attachments = wire.attachments.into_iter().map(|info| RemoteAttachment {
        url: info.url,
        content_digest: info.content_digest,
        secret: AttachmentSecret::new(info.secret),
        salt: info.salt,
        nonce: info.nonce,
        scheme: info.scheme,
        content_length: info.content_length,
        filename: info.filename,
    });
    Ok(attachments.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", AttachmentSecret::new(vec![1; 32])), "AttachmentSecret(..)");
    }
}
