//! What a commit did, as transcripts and logs need it (groups §5.4, §7.4).

use std::collections::BTreeSet;

use subrosa_types::{Epoch, InboxId, InstallationId};

use crate::{
    context::{Attribute, Disappearing},
    leaf::Sender,
    permission::Changes,
};

/// What a merged commit did.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CommitReport {
    /// Who made it.
    pub actor: Sender,
    /// Inboxes that came in.
    pub added_inboxes: BTreeSet<InboxId>,
    /// Inboxes that went, by their own wish or not.
    pub removed_inboxes: BTreeSet<InboxId>,
    /// Attributes with another value, sorted by key.
    pub attributes: Vec<Attribute>,
    /// Inbox ids new in the admin list, sorted.
    pub admins_added: Vec<String>,
    /// Inbox ids no more in the admin list, sorted.
    pub admins_removed: Vec<String>,
    /// Inbox ids new in the super admin list, sorted.
    pub super_admins_added: Vec<String>,
    /// Inbox ids no more in the super admin list, sorted.
    pub super_admins_removed: Vec<String>,
    /// Whether permissions differ.
    pub permissions_changed: bool,
    /// Installations added to the tree, re-added ones not counted.
    pub installations_added: BTreeSet<InstallationId>,
    /// Installations removed from the tree, re-added ones not counted.
    pub installations_removed: BTreeSet<InstallationId>,
    /// Installations re-added by a super admin (groups §3.4, step 8).
    pub readded: BTreeSet<InstallationId>,
    /// Whether this installation was removed: the group is inactive now.
    pub removed_self: bool,
    /// The kind of commit, for the local log.
    pub commit_type: CommitType,
    /// The disappearing settings afterwards, if one of their attributes changed; inner `None`: no usable settings.
    pub disappearing: Option<Option<Disappearing>>,
    /// The group's minimum version afterwards, as written.
    pub minimum_version: Option<String>,
    /// Epoch before.
    pub epoch_before: Epoch,
    /// Authenticator of the epoch before.
    pub authenticator_before: Vec<u8>,
    /// Epoch after.
    pub epoch_after: Epoch,
    /// Authenticator of the epoch after. If this installation was removed, the one before: it knows no other.
    pub authenticator_after: Vec<u8>,
}

impl CommitReport {
    /// Whether a transcript message is written: inboxes, attributes or admin lists changed, or the group has a
    /// minimum version (groups §7.4).
    #[must_use]
    pub fn is_visible(&self) -> bool {
        !self.added_inboxes.is_empty()
            || !self.removed_inboxes.is_empty()
            || !self.attributes.is_empty()
            || self.admin_lists_changed()
            || self.minimum_version.is_some()
    }

    /// Whether either admin list changed.
    #[must_use]
    pub const fn admin_lists_changed(&self) -> bool {
        !self.admins_added.is_empty()
            || !self.admins_removed.is_empty()
            || !self.super_admins_added.is_empty()
            || !self.super_admins_removed.is_empty()
    }
}

/// The kind of a commit as local logs name it (groups §5.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CommitType {
    /// Inboxes or installations changed.
    UpdateGroupMembership,
    /// Permissions changed.
    UpdatePermission,
    /// An admin list changed.
    UpdateAdminList,
    /// An attribute changed.
    MetadataUpdate,
    /// Nothing but the author's keys.
    KeyUpdate,
    /// The group was made here.
    GroupCreation,
    /// The group was joined by a welcome.
    Welcome,
    /// The group was taken from a backup.
    BackupRestore,
}

impl CommitType {
    /// The text in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpdateGroupMembership => "UpdateGroupMembership",
            Self::UpdatePermission => "UpdatePermission",
            Self::UpdateAdminList => "UpdateAdminList",
            Self::MetadataUpdate => "MetadataUpdate",
            Self::KeyUpdate => "KeyUpdate",
            Self::GroupCreation => "GroupCreation",
            Self::Welcome => "Welcome",
            Self::BackupRestore => "BackupRestore",
        }
    }

    /// The first kind that matches.
    pub(super) fn of(changes: &Changes, installations_changed: bool) -> Self {
        let lists = [
            &changes.admins_added,
            &changes.admins_removed,
            &changes.super_admins_added,
            &changes.super_admins_removed,
        ];
        if installations_changed || !changes.added_inboxes.is_empty() || !changes.removed_inboxes.is_empty() {
            Self::UpdateGroupMembership
        } else if changes.permissions {
            Self::UpdatePermission
        } else if lists.iter().any(|list| !list.is_empty()) {
            Self::UpdateAdminList
        } else if !changes.attributes.is_empty() {
            Self::MetadataUpdate
        } else {
            Self::KeyUpdate
        }
    }
}
