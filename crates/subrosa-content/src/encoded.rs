//! Any content with its type (client §5.1).

use std::{collections::BTreeMap, fmt};

use prost::Message;
use subrosa_proto::xmtp::mls::message_contents as mc;

use crate::ContentError;

/// Names a content type. Decoding looks at `type_id` and `major` only.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ContentTypeId {
    /// Who defined the type: `xmtp.org` for most built-in ones.
    pub authority_id: String,
    /// The type's name.
    pub type_id: String,
    /// Changes when older readers cannot read the content.
    pub major: u32,
    /// Changes when they can.
    pub minor: u32,
}

impl ContentTypeId {
    /// A content type of version `major`.0.
    #[must_use]
    pub fn new(authority_id: &str, type_id: &str, major: u32) -> Self {
        Self { authority_id: authority_id.to_owned(), type_id: type_id.to_owned(), major, minor: 0 }
    }
}

impl fmt::Display for ContentTypeId {
    /// `authority/type:major.minor`, as in the parameters of a reply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}.{}", self.authority_id, self.type_id, self.major, self.minor)
    }
}

/// The fields of an [`EncodedContent`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContentParts {
    /// The type; absent means unknown.
    pub content_type: Option<ContentTypeId>,
    /// Parameters of the type.
    pub parameters: BTreeMap<String, String>,
    /// What a reader shows that does not know the type.
    pub fallback: Option<String>,
    /// The content itself, in the type's own encoding.
    pub content: Vec<u8>,
    /// Number of the compression, 0 deflate, 1 gzip; absent means none. Neither made nor undone here.
    pub compression: Option<i32>,
}

/// A content in its wire form. Keeps the bytes it was read from: message ids cover them, and protobuf maps have no
/// defined order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncodedContent {
    bytes: Vec<u8>,
    parts: ContentParts,
}

impl EncodedContent {
    /// Encodes a content, parameters in the order of their names.
    #[must_use]
    pub fn new(parts: ContentParts) -> Self {
        let wire = mc::EncodedContent {
            r#type: parts.content_type.clone().map(|id| mc::ContentTypeId {
                authority_id: id.authority_id,
                type_id: id.type_id,
                version_major: id.major,
                version_minor: id.minor,
            }),
            parameters: parts.parameters.clone(),
            fallback: parts.fallback.clone(),
            compression: parts.compression,
            content: parts.content.clone(),
        };
        Self { bytes: wire.encode_to_vec(), parts }
    }

    /// Decodes a content.
    ///
    /// # Errors
    /// [`ContentError::Protobuf`]; a message with such a content is kept with an unknown type (envelopes §8, E11).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        let wire = mc::EncodedContent::decode(bytes).map_err(|_| ContentError::Protobuf)?;
        let parts = ContentParts {
            content_type: wire.r#type.map(|id| ContentTypeId {
                authority_id: id.authority_id,
                type_id: id.type_id,
                major: id.version_major,
                minor: id.version_minor,
            }),
            parameters: wire.parameters,
            fallback: wire.fallback,
            content: wire.content,
            compression: wire.compression,
        };
        Ok(Self { bytes: bytes.to_vec(), parts })
    }

    /// The bytes that were read or made.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A copy of the bytes that were read or made.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// All fields.
    #[must_use]
    pub const fn parts(&self) -> &ContentParts {
        &self.parts
    }

    /// The type.
    #[must_use]
    pub const fn content_type(&self) -> Option<&ContentTypeId> {
        self.parts.content_type.as_ref()
    }

    /// One parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parts.parameters.get(name).map(String::as_str)
    }

    /// One parameter that the type requires.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, ContentError> {
        self.parameter(name).ok_or(ContentError::MissingParameter(name))
    }

    /// What a reader shows that does not know the type.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        self.parts.fallback.as_deref()
    }

    /// The content itself.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.parts.content
    }

    /// The content as text.
    pub(crate) fn text(&self) -> Result<String, ContentError> {
        String::from_utf8(self.parts.content.clone()).map_err(|_| ContentError::Utf8)
    }

    /// The content as JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, ContentError> {
        serde_json::from_slice(self.content()).map_err(|_| ContentError::Json)
    }
}

/// Compact JSON, keys in the order of the fields.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "our types have text keys only, and writing to memory does not fail")]
    serde_json::to_vec(value).expect("JSON")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use subrosa_types::hex;

    use super::*;

    #[test]
    fn received_bytes_are_kept() {
        // Fields in another order, a default that is written out, an unknown field.
        let bytes = hex::decode("2202686912040a0012000a080a0178120179180122005a0100").unwrap();
        let encoded = EncodedContent::from_bytes(&bytes).unwrap();
        assert_eq!(encoded.as_bytes(), bytes);
        assert_ne!(EncodedContent::new(encoded.parts().clone()).as_bytes(), bytes);
    }

    #[test]
    fn a_type_is_written_as_in_replies() {
        assert_eq!(ContentTypeId::new("xmtp.org", "text", 1).to_string(), "xmtp.org/text:1.0");
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(
            id: Option<(String, String, u32, u32)>,
            parameters: BTreeMap<String, String>,
            fallback: Option<String>,
            content: Vec<u8>,
            compression in prop::option::of(0..2),
        ) {
            let content_type =
                id.map(|(authority_id, type_id, major, minor)| ContentTypeId { authority_id, type_id, major, minor });
            let encoded =
                EncodedContent::new(ContentParts { content_type, parameters, fallback, content, compression });
            prop_assert_eq!(EncodedContent::from_bytes(encoded.as_bytes()), Ok(encoded));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _ = EncodedContent::from_bytes(&bytes);
        }
    }
}
