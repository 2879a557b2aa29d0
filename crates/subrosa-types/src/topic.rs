//! Topics: where an envelope is published (envelopes §2).

use std::fmt;

use crate::{GroupId, InboxId, InstallationId, hex};

/// The stream an envelope belongs to.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Topic {
    /// Messages of one group.
    Group(GroupId),
    /// Welcomes of one installation, or of the random destination of a welcome pointer.
    Welcomes(InstallationId),
    /// The identity log of one inbox.
    Identity(InboxId),
    /// Key packages of one installation.
    KeyPackages(InstallationId),
}

/// Why bytes are not a topic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TopicError {
    /// A topic has 2 to 128 bytes.
    Length(usize),
    /// The first byte is not a kind that clients use.
    Kind(u8),
    /// The identifier has a length that its kind does not allow.
    Identifier {
        /// The kind.
        kind: u8,
        /// The identifier's length in bytes.
        length: usize,
    },
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(got) => write!(f, "a topic has 2 to 128 bytes, {got} came"),
            Self::Kind(kind) => write!(f, "unknown topic kind {kind}"),
            Self::Identifier { kind, length } => {
                write!(f, "a topic of kind {kind} has no identifier of {length} bytes")
            }
        }
    }
}

impl std::error::Error for TopicError {}

impl Topic {
    /// Longest binary topic in bytes (envelopes §2.2).
    pub const MAX: usize = 128;

    /// Encodes the binary form (envelopes §2.2).
    ///
    /// ```text
    /// offset  size  field
    /// 0       1     kind: 0 group, 1 welcomes, 2 identity, 3 key packages
    /// 1       n     identifier, raw bytes
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, identifier): (u8, &[u8]) = match self {
            Self::Group(id) => (0, id.as_bytes()),
            Self::Welcomes(id) => (1, id.as_bytes()),
            Self::Identity(id) => (2, id.as_bytes()),
            Self::KeyPackages(id) => (3, id.as_bytes()),
        };
        let mut bytes = Vec::with_capacity(1 + identifier.len());
        bytes.push(kind);
        bytes.extend_from_slice(identifier);
        bytes
    }

    /// Decodes the binary form.
    ///
    /// # Errors
    /// [`TopicError`] unless the bytes are a topic that clients use.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TopicError> {
        let [kind, identifier @ ..] = bytes else { return Err(TopicError::Length(0)) };
        if identifier.is_empty() || bytes.len() > Self::MAX {
            return Err(TopicError::Length(bytes.len()));
        }
        let refused = TopicError::Identifier { kind: *kind, length: identifier.len() };
        match kind {
            0 => GroupId::from_slice(identifier).map(Self::Group).map_err(|_| refused),
            1 => InstallationId::from_slice(identifier).map(Self::Welcomes).map_err(|_| refused),
            2 => InboxId::from_slice(identifier).map(Self::Identity).map_err(|_| refused),
            3 => InstallationId::from_slice(identifier).map(Self::KeyPackages).map_err(|_| refused),
            other => Err(TopicError::Kind(*other)),
        }
    }

    /// The text form that push servers and applications see (envelopes §2.1); key packages and identity logs
    /// have none.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Group(id) => Some(format!("/xmtp/mls/1/g-{}/proto", hex::encode(id.as_bytes()))),
            Self::Welcomes(id) => Some(format!("/xmtp/mls/1/w-{}/proto", hex::encode(id.as_bytes()))),
            Self::Identity(_) | Self::KeyPackages(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group() -> GroupId {
        "101112131415161718191a1b1c1d1e1f".parse().unwrap()
    }

    #[test]
    fn text_and_binary_match_the_specification() {
        let topic = Topic::Group(group());
        assert_eq!(topic.to_text().unwrap(), "/xmtp/mls/1/g-101112131415161718191a1b1c1d1e1f/proto");
        assert_eq!(hex::encode(&topic.to_bytes()), "00101112131415161718191a1b1c1d1e1f");
    }

    #[test]
    fn bad_topics_are_refused() {
        assert_eq!(Topic::from_bytes(&[]), Err(TopicError::Length(0)));
        assert_eq!(Topic::from_bytes(&[0]), Err(TopicError::Length(1)));
        assert_eq!(Topic::from_bytes(&[4, 1, 2, 3, 4]), Err(TopicError::Kind(4)));
        assert_eq!(Topic::from_bytes(&[1, 1, 2]), Err(TopicError::Identifier { kind: 1, length: 2 }));
        assert_eq!(Topic::from_bytes(&[0; 129]), Err(TopicError::Length(129)));
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(kind in 0u8..4, id: [u8; 32]) {
            let mut bytes = vec![kind];
            bytes.extend_from_slice(&id);
            prop_assert_eq!(Topic::from_bytes(&bytes).unwrap().to_bytes(), bytes);
        }
    }
}
