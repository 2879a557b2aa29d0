//! Immutable metadata, extension `0xf000` (groups §2.2).

use prost::Message as _;
use subrosa_proto::xmtp::mls::message_contents::{
    ConversationType, DmMembers as DmMembersProto, GroupMetadataV1, Inbox, OneshotMessage,
};
use subrosa_types::InboxId;

use super::ContextError;
use crate::{
    profile::IMMUTABLE_METADATA as CODE,
    vector::{with_length, without_length},
};

/// What kind of conversation a group is (groups §2.7). The number is the one on the wire.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a group of an unknown kind is refused")]
pub enum ConversationKind {
    /// A group of any members.
    Group,
    /// A conversation of two inboxes.
    Dm,
    /// The own inbox's installations among themselves.
    Sync,
    /// Carries one message in its metadata and is never used again.
    Oneshot,
}

impl ConversationKind {
    /// The number on the wire and in a store, 1 to 4.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Group => 1,
            Self::Dm => 2,
            Self::Sync => 3,
            Self::Oneshot => 4,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Group, Self::Dm, Self::Sync, Self::Oneshot].into_iter().find(|kind| kind.number() == number)
    }

    /// Whether applications get to see it; the same conversations are kept up to date with their members'
    /// installations.
    #[must_use]
    pub const fn is_shown(self) -> bool {
        matches!(self, Self::Group | Self::Dm)
    }
}

/// The two inboxes of a DM. Order has no meaning to a reader; a creator writes itself first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DmMembers {
    /// The creator.
    pub one: String,
    /// The peer.
    pub two: String,
}

impl DmMembers {
    /// Whether `inbox` is one of the two.
    #[must_use]
    pub fn contains(&self, inbox: &InboxId) -> bool {
        let text = inbox.to_hex();
        self.one == text || self.two == text
    }
}

/// What a group's creator fixed (groups §2.2).
#[derive(Clone, Debug, PartialEq)]
pub struct ImmutableMetadata {
    /// The conversation's kind.
    pub kind: ConversationKind,
    /// Inbox id of the creator, as text. Gives no power by itself.
    pub creator: String,
    /// The two inboxes; only in a DM.
    pub dm_members: Option<DmMembers>,
    /// The message; only in a oneshot group.
    pub oneshot: Option<OneshotMessage>,
}

impl Eq for ImmutableMetadata {}

impl ImmutableMetadata {
    /// Encodes the extension's body.
    ///
    /// ```text
    /// field              type
    /// metadata<V>        opaque, GroupMetadataV1
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let kind = match self.kind {
            ConversationKind::Group => ConversationType::Group,
            ConversationKind::Dm => ConversationType::Dm,
            ConversationKind::Sync => ConversationType::Sync,
            ConversationKind::Oneshot => ConversationType::Oneshot,
        };
        let inbox = |inbox_id: &str| Some(Inbox { inbox_id: inbox_id.to_owned() });
        let message = GroupMetadataV1 {
            conversation_type: kind.into(),
            creator_account_address: String::new(),
            creator_inbox_id: self.creator.clone(),
            dm_members: self
                .dm_members
                .as_ref()
                .map(|dm| DmMembersProto { dm_member_one: inbox(&dm.one), dm_member_two: inbox(&dm.two) }),
            oneshot_message: self.oneshot.clone(),
        };
        with_length(&message.encode_to_vec())
    }

    /// Decodes the extension's body.
    ///
    /// # Errors
    /// [`ContextError::Malformed`], or [`ContextError::ConversationType`] for a kind that is 0 or unknown.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContextError> {
        let body = without_length(bytes).ok_or(ContextError::Malformed(CODE))?;
        let message = GroupMetadataV1::decode(body).map_err(|_| ContextError::Malformed(CODE))?;
        let kind = match ConversationType::try_from(message.conversation_type) {
            Ok(ConversationType::Group) => ConversationKind::Group,
            Ok(ConversationType::Dm) => ConversationKind::Dm,
            Ok(ConversationType::Sync) => ConversationKind::Sync,
            Ok(ConversationType::Oneshot) => ConversationKind::Oneshot,
            _ => return Err(ContextError::ConversationType(message.conversation_type)),
        };
        let dm_members = message
            .dm_members
            .map(|dm| match (dm.dm_member_one, dm.dm_member_two) {
                (Some(one), Some(two)) => Ok(DmMembers { one: one.inbox_id, two: two.inbox_id }),
                _ => Err(ContextError::FieldMissing(CODE)),
            })
            .transpose()?;
        Ok(Self { kind, creator: message.creator_inbox_id, dm_members, oneshot: message.oneshot_message })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_of_68_bytes_starts_with_a_two_byte_length() {
        let group = ImmutableMetadata {
            kind: ConversationKind::Group,
            creator: "ab".repeat(32),
            dm_members: None,
            oneshot: None,
        };
        let bytes = group.to_bytes();
        assert_eq!(bytes[..6], [0x40, 0x44, 0x08, 0x01, 0x1a, 0x40]);
        assert_eq!(ImmutableMetadata::from_bytes(&bytes), Ok(group));
    }

    #[test]
    fn unknown_kinds_are_refused() {
        let unknown =
            |kind| with_length(&GroupMetadataV1 { conversation_type: kind, ..Default::default() }.encode_to_vec());
        assert_eq!(ImmutableMetadata::from_bytes(&unknown(0)), Err(ContextError::ConversationType(0)));
        assert_eq!(ImmutableMetadata::from_bytes(&unknown(9)), Err(ContextError::ConversationType(9)));
        assert_eq!(ImmutableMetadata::from_bytes(&[]), Err(ContextError::Malformed(CODE)));
        assert_eq!(ImmutableMetadata::from_bytes(&[5, 8, 1]), Err(ContextError::Malformed(CODE)));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            let _ = ImmutableMetadata::from_bytes(&bytes);
        }
    }
}
