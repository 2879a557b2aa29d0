//! Mutable metadata, extension `0xff00` (groups §2.3).

use std::{collections::BTreeMap, fmt};

use prost::Message as _;
use subrosa_proto::xmtp::mls::message_contents::{GroupMutableMetadataV1, Inboxes};
use subrosa_types::InboxId;

use super::{ContextError, Role};
use crate::profile::MUTABLE_METADATA as CODE;

/// Names of the attributes that the protocol knows; others are kept as they are.
pub mod attribute {
    /// The group's name, at most 100 bytes.
    pub const NAME: &str = "group_name";
    /// What the group is about, at most 1000 bytes.
    pub const DESCRIPTION: &str = "description";
    /// URL of a square image, at most 2048 bytes.
    pub const IMAGE_URL: &str = "group_image_url_square";
    /// Opaque to the protocol, at most 8192 bytes.
    pub const APP_DATA: &str = "app_data";
    /// Disappearing messages: since when, Unix nanoseconds in decimal.
    pub const DISAPPEAR_FROM: &str = "message_disappear_from_ns";
    /// Disappearing messages: after how long, nanoseconds in decimal.
    pub const DISAPPEAR_IN: &str = "message_disappear_in_ns";
    /// Ed25519 seed that signs the remote commit log, 64 hex characters.
    pub const COMMIT_LOG_SIGNER: &str = "_commit_log_signer";
    /// The lowest protocol version that may read the group.
    pub const MINIMUM_VERSION: &str = "minimum_supported_protocol_version";

    /// The byte limit of an attribute's value, if it has one (groups §2.3).
    #[must_use]
    pub fn limit(key: &str) -> Option<usize> {
        match key {
            NAME => Some(100),
            DESCRIPTION => Some(1_000),
            IMAGE_URL => Some(2_048),
            APP_DATA => Some(8_192),
            _ => None,
        }
    }
}

/// One attribute with its value before and after a commit.
#[derive(Clone, Eq, PartialEq)]
pub struct Attribute {
    /// The attribute's key.
    pub key: String,
    /// Value before; `None` if it did not exist.
    pub old: Option<String>,
    /// Value after; `None` if it does not exist any more.
    pub new: Option<String>,
}

/// Disappearing message settings (groups §7.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Disappearing {
    /// Since when, Unix nanoseconds.
    pub from_ns: i64,
    /// How long a message stays, nanoseconds.
    pub in_ns: i64,
}

impl Disappearing {
    /// Whether messages stored now get an end: both values are above 0.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.from_ns > 0 && self.in_ns > 0
    }
}

/// Attributes and roles of a group (groups §2.3).
#[derive(Clone, Default, Eq, PartialEq)]
pub struct MutableMetadata {
    /// Attributes by key; see [`attribute`]. Unknown keys are kept.
    pub attributes: BTreeMap<String, String>,
    /// Inbox ids of admins, as text, in the order written.
    pub admins: Vec<String>,
    /// Inbox ids of super admins, as text, in the order written.
    pub super_admins: Vec<String>,
}

impl MutableMetadata {
    /// Encodes the extension's body. Both lists are written even when empty.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        GroupMutableMetadataV1 {
            attributes: self.attributes.clone(),
            admin_list: Some(Inboxes { inbox_ids: self.admins.clone() }),
            super_admin_list: Some(Inboxes { inbox_ids: self.super_admins.clone() }),
        }
        .encode_to_vec()
    }

    /// Decodes the extension's body.
    ///
    /// # Errors
    /// [`ContextError::Malformed`], or [`ContextError::FieldMissing`] when one of the lists is absent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContextError> {
        let message = GroupMutableMetadataV1::decode(bytes).map_err(|_| ContextError::Malformed(CODE))?;
        let (Some(admins), Some(super_admins)) = (message.admin_list, message.super_admin_list) else {
            return Err(ContextError::FieldMissing(CODE));
        };
        Ok(Self { attributes: message.attributes, admins: admins.inbox_ids, super_admins: super_admins.inbox_ids })
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }

    /// What `inbox` is in this group (groups §3.1).
    #[must_use]
    pub fn role(&self, inbox: &InboxId) -> Role {
        let text = inbox.to_hex();
        Role { admin: self.admins.contains(&text), super_admin: self.super_admins.contains(&text) }
    }

    /// The disappearing settings, if both attributes exist and are numbers (groups §7.4).
    #[must_use]
    pub fn disappearing(&self) -> Option<Disappearing> {
        let number = |key| self.get(key)?.parse().ok();
        Some(Disappearing { from_ns: number(attribute::DISAPPEAR_FROM)?, in_ns: number(attribute::DISAPPEAR_IN)? })
    }

    /// Every attribute that differs in `new`, in order of the keys (groups §3.2).
    #[must_use]
    pub fn changes_to(&self, new: &Self) -> Vec<Attribute> {
        let keys: std::collections::BTreeSet<&String> = self.attributes.keys().chain(new.attributes.keys()).collect();
        keys.into_iter()
            .filter(|key| self.attributes.get(*key) != new.attributes.get(*key))
            .map(|key| Attribute {
                key: key.clone(),
                old: self.attributes.get(key).cloned(),
                new: new.attributes.get(key).cloned(),
            })
            .collect()
    }
}

impl fmt::Debug for Attribute {
    /// The key only: values are content, one of them a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, old: _, new: _ } = self;
        f.debug_struct("Attribute").field("key", key).finish_non_exhaustive()
    }
}

impl fmt::Debug for MutableMetadata {
    /// Keys of attributes only: values are content, one of them a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attributes, admins, super_admins } = self;
        f.debug_struct("MutableMetadata")
            .field("attributes", &attributes.keys())
            .field("admins", admins)
            .field("super_admins", super_admins)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_lists_are_written() {
        assert_eq!(MutableMetadata::default().to_bytes(), [0x12, 0, 0x1a, 0]);
    }

    #[test]
    fn a_missing_list_is_refused() {
        assert_eq!(MutableMetadata::from_bytes(&[0x12, 0]), Err(ContextError::FieldMissing(CODE)));
        assert_eq!(MutableMetadata::from_bytes(&[0x1a, 0]), Err(ContextError::FieldMissing(CODE)));
        assert_eq!(MutableMetadata::from_bytes(&[0xff]), Err(ContextError::Malformed(CODE)));
    }

    #[test]
    fn changes_name_old_and_new() {
        let attributes = [("a".into(), "1".into()), ("b".into(), "2".into())].into();
        let old = MutableMetadata { attributes, ..MutableMetadata::default() };
        let mut new = old.clone();
        new.attributes.remove("a");
        new.attributes.insert("c".into(), "3".into());
        let changes = old.changes_to(&new);
        assert_eq!(changes[0], Attribute { key: "a".into(), old: Some("1".into()), new: None });
        assert_eq!(changes[1], Attribute { key: "c".into(), old: None, new: Some("3".into()) });
        assert_eq!(changes.len(), 2);
    }

    #[test]
    fn values_are_not_printed() {
        let attributes = [(attribute::COMMIT_LOG_SIGNER.into(), "5ec4e7".into())].into();
        let metadata = MutableMetadata { attributes, ..MutableMetadata::default() };
        let changes = MutableMetadata::default().changes_to(&metadata);
        assert!(!format!("{metadata:?}{changes:?}").contains("5ec4e7"));
    }

    #[test]
    fn settings_need_two_numbers() {
        let mut metadata = MutableMetadata::default();
        metadata.attributes.insert(attribute::DISAPPEAR_FROM.into(), "5".into());
        assert_eq!(metadata.disappearing(), None);
        metadata.attributes.insert(attribute::DISAPPEAR_IN.into(), "0".into());
        assert!(!metadata.disappearing().unwrap().is_enabled());
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(
            attributes: BTreeMap<String, String>, admins: Vec<String>, super_admins: Vec<String>
        ) {
            let metadata = MutableMetadata { attributes, admins, super_admins };
            prop_assert_eq!(MutableMetadata::from_bytes(&metadata.to_bytes()), Ok(metadata));
        }
    }
}
