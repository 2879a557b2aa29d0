//! The verdict on a welcome, and joining by it (groups §6.4, steps 5 to 9).

use std::collections::BTreeSet;

use subrosa_types::{Epoch, GroupId, InboxId, InstallationId, SequenceId};

use super::join::{OpenedWelcome, WelcomeError};
use crate::{
    context::{
        Context, ContextError, ConversationKind, DmMembers, ImmutableMetadata, MutableMetadata, PolicySet, attribute,
    },
    directory::{Directory, MembershipError},
    group::Group,
    leaf::Sender,
};

/// Why a welcome is refused. Each is final.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WelcomeRefusal {
    /// The membership cannot be read.
    #[error("the membership is unusable")]
    Membership(#[source] ContextError),
    /// An identity log has no entry with the number that the membership names.
    #[error("the identity log of inbox {inbox:?} has no entry {sequence}")]
    MissingIdentity {
        /// Whose log.
        inbox: InboxId,
        /// The entry.
        sequence: SequenceId,
    },
    /// A leaf's inbox is not in the membership, or it names none.
    #[error("installation {0:?} belongs to nobody in the membership")]
    LeafNotMember(InstallationId),
    /// A leaf is not in its inbox's state.
    #[error("installation {installation:?} does not belong to inbox {inbox:?}")]
    LeafNotInInbox {
        /// The inbox claimed.
        inbox: InboxId,
        /// The installation.
        installation: InstallationId,
    },
    /// Two leaves have the same key.
    #[error("installation {0:?} is in the tree twice")]
    DuplicateLeaf(InstallationId),
    /// An installation of a member is neither in the tree nor listed as failed.
    #[error("installation {installation:?} of inbox {inbox:?} is missing")]
    InstallationMissing {
        /// Whose.
        inbox: InboxId,
        /// The installation.
        installation: InstallationId,
    },
    /// We are in this group already, at this epoch or a later one.
    #[error("already in the group at epoch {0}")]
    AlreadyProcessed(Epoch),
    /// Kind and creator cannot be read.
    #[error("the immutable metadata is unusable")]
    ImmutableMetadata(#[source] ContextError),
    /// A DM without its two members, or not between the adder and us.
    #[error("the DM is not between the adder and us")]
    DmMembers,
    /// A DM with admins.
    #[error("the DM has admins")]
    DmAdmins,
    /// A DM with the permissions of something else.
    #[error("the DM has other permissions")]
    DmPermissions,
}

/// A welcome that passed every rule. Only [`OpenedWelcome::judge`] makes one, and only it can be joined by.
#[derive(Debug)]
pub struct JudgedWelcome {
    opened: OpenedWelcome,
    immutable: ImmutableMetadata,
}

impl OpenedWelcome {
    /// Judges the welcome (groups §6.4). `own` is this installation; `active` the epoch of the group with the same
    /// id, if we have one and are active in it.
    ///
    /// # Errors
    /// [`WelcomeRefusal`].
    pub fn judge(
        self,
        directory: &Directory,
        own: &Sender,
        active: Option<Epoch>,
    ) -> Result<JudgedWelcome, WelcomeRefusal> {
        self.check_membership(directory)?;
        if let Some(epoch) = active
            && epoch >= self.epoch()
        {
            return Err(WelcomeRefusal::AlreadyProcessed(epoch));
        }
        let immutable = self.context.immutable().map_err(WelcomeRefusal::ImmutableMetadata)?.clone();
        if immutable.kind == ConversationKind::Dm {
            check_dm(&self.context, immutable.dm_members.as_ref(), &self.adder.inbox, &own.inbox)?;
        }
        Ok(JudgedWelcome { opened: self, immutable })
    }

    /// Tree, membership and identity logs must agree (groups §6.4, step 5).
    fn check_membership(&self, directory: &Directory) -> Result<(), WelcomeRefusal> {
        let membership = self.context.membership().map_err(WelcomeRefusal::Membership)?;
        let mut in_tree = BTreeSet::new();
        let mut claimed = BTreeSet::new();
        for leaf in self.leaves() {
            if !in_tree.insert(leaf.installation) {
                return Err(WelcomeRefusal::DuplicateLeaf(leaf.installation));
            }
            let inbox = leaf.inbox.ok_or(WelcomeRefusal::LeafNotMember(leaf.installation))?;
            if !membership.members.contains_key(&inbox) {
                return Err(WelcomeRefusal::LeafNotMember(leaf.installation));
            }
            claimed.insert((inbox, leaf.installation));
        }
        let mut held = BTreeSet::new();
        for (inbox, sequence) in &membership.members {
            for installation in directory.installations(inbox, *sequence)? {
                held.insert((*inbox, installation));
                let failed = membership.failed.contains(installation.as_bytes().as_slice());
                if !in_tree.contains(&installation) && !failed {
                    return Err(WelcomeRefusal::InstallationMissing { inbox: *inbox, installation });
                }
            }
        }
        match claimed.difference(&held).next() {
            Some(&(inbox, installation)) => Err(WelcomeRefusal::LeafNotInInbox { inbox, installation }),
            None => Ok(()),
        }
    }
}

impl From<MembershipError> for WelcomeRefusal {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::MissingIdentity { inbox, sequence } => Self::MissingIdentity { inbox, sequence },
            // A welcome compares no two memberships.
            MembershipError::SequenceDecreased { inbox, new, .. } => Self::MissingIdentity { inbox, sequence: new },
        }
    }
}

/// A DM must be one (groups §6.4, step 9). As lenient about permissions as the shipped client.
fn check_dm(
    context: &Context,
    members: Option<&DmMembers>,
    adder: &InboxId,
    own: &InboxId,
) -> Result<(), WelcomeRefusal> {
    let members = members.ok_or(WelcomeRefusal::DmMembers)?;
    if adder == own {
        return if members.contains(own) { Ok(()) } else { Err(WelcomeRefusal::DmMembers) };
    }
    if !members.contains(adder) || !members.contains(own) {
        return Err(WelcomeRefusal::DmMembers);
    }
    if context.mutable().is_ok_and(|mutable| !mutable.admins.is_empty() || !mutable.super_admins.is_empty()) {
        return Err(WelcomeRefusal::DmAdmins);
    }
    let like_a_dm = context.permissions().is_ok_and(|policies| policies.shares_a_scalar_with(&PolicySet::dm()));
    if like_a_dm { Ok(()) } else { Err(WelcomeRefusal::DmPermissions) }
}

impl JudgedWelcome {
    /// The group's id.
    #[must_use]
    pub const fn group_id(&self) -> &GroupId {
        self.opened.group_id()
    }

    /// The epoch joined.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.opened.epoch()
    }

    /// Who added us.
    #[must_use]
    pub const fn adder(&self) -> Sender {
        self.opened.adder
    }

    /// Kind, creator, DM members; for a oneshot its message. A oneshot is read and not joined (groups §5.6).
    #[must_use]
    pub const fn immutable(&self) -> &ImmutableMetadata {
        &self.immutable
    }

    /// Attributes and roles; `None` if they do not decode, then go on with defaults (groups §6.4, step 8).
    #[must_use]
    pub fn mutable(&self) -> Option<&MutableMetadata> {
        self.opened.context.mutable().ok()
    }

    /// Everything the context says.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.opened.context
    }

    /// The group's minimum version, as written. If above ours, join and pause (groups §3.6).
    #[must_use]
    pub fn minimum_version(&self) -> Option<&str> {
        self.mutable()?.get(attribute::MINIMUM_VERSION)
    }

    /// Where to start reading commits (groups §6.4, step 12).
    #[must_use]
    pub const fn message_cursor(&self) -> SequenceId {
        self.opened.message_cursor
    }

    /// Joins. Replaces any older state of the same group: the drained changes clear it first.
    ///
    /// # Errors
    /// [`WelcomeError`], a failure of this software or its storage.
    pub fn into_group(self) -> Result<Group, WelcomeError> {
        let OpenedWelcome { staged, provider, id, .. } = self.opened;
        provider.rows().clear_scope(id.as_bytes());
        let mls = staged.into_group(&provider)?;
        provider.rows().keep_scope(id.as_bytes());
        Ok(Group::new(id, mls, provider))
    }
}
