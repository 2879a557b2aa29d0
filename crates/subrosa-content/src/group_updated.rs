//! What a commit changed: written by each client into its own history, never sent (client §5.3).

use prost::Message;
use subrosa_proto::xmtp::mls::message_contents::{self as mc, group_updated as wire};
use subrosa_types::InboxId;

use crate::ContentError;

/// Changes of one commit (groups §7.4). Encoding sorts all lists by bytes, so that installations of one client
/// agree on the message's id.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct GroupUpdated {
    /// Who made the commit.
    pub initiated_by: InboxId,
    /// Members added.
    pub added: Vec<InboxId>,
    /// Members removed by somebody else's wish.
    pub removed: Vec<InboxId>,
    /// Attributes changed.
    pub metadata: Vec<MetadataFieldChange>,
    /// Members removed because they had asked to leave.
    pub left: Vec<InboxId>,
    /// New admins.
    pub added_admins: Vec<InboxId>,
    /// Admins no longer.
    pub removed_admins: Vec<InboxId>,
    /// New super admins.
    pub added_super_admins: Vec<InboxId>,
    /// Super admins no longer.
    pub removed_super_admins: Vec<InboxId>,
}

/// Change of one group attribute.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MetadataFieldChange {
    /// Key of the attribute.
    pub field: String,
    /// Value before; absent if the attribute did not exist, which differs from empty.
    pub old: Option<String>,
    /// Value after; absent if it no longer exists.
    pub new: Option<String>,
}

impl GroupUpdated {
    /// A commit of this member that changed nothing yet.
    #[must_use]
    pub const fn by(initiated_by: InboxId) -> Self {
        Self {
            initiated_by,
            added: Vec::new(),
            removed: Vec::new(),
            metadata: Vec::new(),
            left: Vec::new(),
            added_admins: Vec::new(),
            removed_admins: Vec::new(),
            added_super_admins: Vec::new(),
            removed_super_admins: Vec::new(),
        }
    }

    pub(crate) fn to_content(&self) -> Vec<u8> {
        let mut metadata = self.metadata.clone();
        metadata.sort();
        let metadata_field_changes = metadata
            .into_iter()
            .map(|change| wire::MetadataFieldChange {
                field_name: change.field,
                old_value: change.old,
                new_value: change.new,
            })
            .collect();
        mc::GroupUpdated {
            initiated_by_inbox_id: self.initiated_by.to_hex(),
            added_inboxes: sorted(&self.added),
            removed_inboxes: sorted(&self.removed),
            metadata_field_changes,
            left_inboxes: sorted(&self.left),
            added_admin_inboxes: sorted(&self.added_admins),
            removed_admin_inboxes: sorted(&self.removed_admins),
            added_super_admin_inboxes: sorted(&self.added_super_admins),
            removed_super_admin_inboxes: sorted(&self.removed_super_admins),
        }
        .encode_to_vec()
    }

    pub(crate) fn from_content(bytes: &[u8]) -> Result<Self, ContentError> {
        let wire = mc::GroupUpdated::decode(bytes).map_err(|_| ContentError::Protobuf)?;
        let metadata = wire.metadata_field_changes.into_iter().map(|change| MetadataFieldChange {
            field: change.field_name,
            old: change.old_value,
            new: change.new_value,
        });
        Ok(Self {
            initiated_by: inbox(&wire.initiated_by_inbox_id)?,
            added: inboxes(&wire.added_inboxes)?,
            removed: inboxes(&wire.removed_inboxes)?,
            metadata: metadata.collect(),
            left: inboxes(&wire.left_inboxes)?,
            added_admins: inboxes(&wire.added_admin_inboxes)?,
            removed_admins: inboxes(&wire.removed_admin_inboxes)?,
            added_super_admins: inboxes(&wire.added_super_admin_inboxes)?,
            removed_super_admins: inboxes(&wire.removed_super_admin_inboxes)?,
        })
    }
}

fn sorted(ids: &[InboxId]) -> Vec<wire::Inbox> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids.iter().map(|id| wire::Inbox { inbox_id: id.to_hex() }).collect()
}

fn inbox(text: &str) -> Result<InboxId, ContentError> {
    text.parse().map_err(|_| ContentError::Id)
}

fn inboxes(list: &[wire::Inbox]) -> Result<Vec<InboxId>, ContentError> {
    list.iter().map(|entry| inbox(&entry.inbox_id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> InboxId {
        InboxId::from_bytes([byte; 32])
    }

    #[test]
    fn order_of_lists_does_not_reach_the_bytes() {
        let change = |field: &str| MetadataFieldChange { field: field.into(), old: None, new: Some(String::new()) };
        let one = GroupUpdated {
            added: vec![id(1), id(2), id(0xff)],
            metadata: vec![change("description"), change("group_name")],
            ..GroupUpdated::by(id(9))
        };
        let mut other = one.clone();
        other.added.reverse();
        other.metadata.reverse();
        assert_eq!(one.to_content(), other.to_content());
        assert_eq!(GroupUpdated::from_content(&other.to_content()), Ok(one));
    }

    #[test]
    fn absent_and_empty_values_differ() {
        let change = MetadataFieldChange { field: "f".into(), old: None, new: Some(String::new()) };
        let updated = GroupUpdated { metadata: vec![change], ..GroupUpdated::by(id(1)) };
        assert_eq!(GroupUpdated::from_content(&updated.to_content()), Ok(updated));
    }

    #[test]
    fn an_inbox_that_is_no_id_is_refused() {
        let wire = mc::GroupUpdated { initiated_by_inbox_id: "bb".into(), ..mc::GroupUpdated::default() };
        assert_eq!(GroupUpdated::from_content(&wire.encode_to_vec()), Err(ContentError::Id));
    }
}
