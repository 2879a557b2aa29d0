//! The verdict on a commit that MLS accepted (groups §3.3 to §3.6).

use std::collections::BTreeSet;

use openmls::{framing::Sender as MlsSender, group::StagedCommit};
use subrosa_types::InstallationId;

use super::{
    Group,
    open::{Base, OpenedCommit},
    report::{CommitReport, CommitType},
};
use crate::{
    context::{
        self, Attribute, Context, ContextError, ImmutableMetadata, Membership, MutableMetadata, PolicySet, attribute,
    },
    directory::{Directory, ExpectedInstallations, expected_installations},
    leaf::{self, Sender},
    permission::{Changes, Rules, may},
    profile,
    refusal::Refusal,
    version::ProtocolVersion,
};

/// A commit that passed every rule. Only [`Group::judge`] makes one, and only it can be merged.
#[derive(Debug)]
pub struct JudgedCommit {
    pub(super) staged: StagedCommit,
    pub(super) base: Base,
    pub(super) report: CommitReport,
}

impl JudgedCommit {
    /// What the commit will have done once merged; epoch and authenticator afterwards are not filled in yet.
    #[must_use]
    pub const fn report(&self) -> &CommitReport {
        &self.report
    }
}

impl Group {
    /// Judges a commit by everything XMTP asks beyond MLS (groups §3.4). What `directory` does not hold does not
    /// exist.
    ///
    /// # Errors
    /// [`Refusal`]. Drop the group object and load it again.
    pub fn judge(&self, opened: OpenedCommit, directory: &Directory) -> Result<JudgedCommit, Refusal> {
        let OpenedCommit { staged, base, .. } = opened;
        let before = Before::of(self.context())?;
        let after = After::of(self, &staged, &before)?;
        let actor = self.actor(&staged)?;
        if staged.psk_proposals().next().is_some() {
            return Err(Refusal::PreSharedKey);
        }
        let expected = expected_installations(before.membership, &after.membership, directory)?;
        let mut moved = self.moved(&staged);
        let super_admin = before.mutable.role(&actor.inbox).super_admin;
        let readded = if super_admin { moved.take_readded() } else { BTreeSet::new() };
        self.compare(&moved, &expected)?;
        check_subjects(&staged, actor, &after.membership, directory)?;
        let changes = after.changes(&before);
        let rules =
            Rules { policies: before.permissions, metadata: before.mutable, dm: before.immutable.dm_members.as_ref() };
        may(&actor.inbox, &changes, rules).map_err(Refusal::InsufficientPermissions)?;
        check_version(after.minimum_version())?;
        let report = report(self, &staged, actor, changes, moved, readded, &after);
        Ok(JudgedCommit { staged, base, report })
    }

    /// Who made the commit (groups §3.3).
    fn actor(&self, staged: &StagedCommit) -> Result<Sender, Refusal> {
        let mut proposer = None;
        for proposal in staged.queued_proposals() {
            let MlsSender::Member(index) = proposal.sender() else {
                return Err(Refusal::ActorNotMember);
            };
            if proposer.is_some_and(|known| known != *index) {
                return Err(Refusal::MultipleActors);
            }
            proposer = Some(*index);
        }
        let proposer = match proposer {
            Some(index) => Some(self.leaf_at(index).ok_or(Refusal::ActorNotMember)?),
            None => None,
        };
        let Some(path) = staged.update_path_leaf_node() else {
            let proposer = proposer.ok_or(Refusal::ActorNotFound)?;
            let inbox = proposer.inbox.ok_or(Refusal::Credential)?;
            return Ok(Sender { inbox, installation: proposer.installation });
        };
        if proposer.is_some_and(|known| known.installation.as_bytes() != path.signature_key().as_slice()) {
            return Err(Refusal::MultipleActors);
        }
        leaf::sender_of(path).ok_or(Refusal::Credential)
    }

    /// Which installations the commit puts in and takes out (groups §3.4, step 7).
    fn moved(&self, staged: &StagedCommit) -> Moved {
        let after = Context::read(staged.group_context().extensions());
        let failed = after.membership().map(|membership| membership.failed.clone()).unwrap_or_default();
        let adds = staged.add_proposals().filter_map(|add| {
            let leaf = add.add_proposal().key_package().leaf_node();
            InstallationId::from_slice(leaf.signature_key().as_slice()).ok()
        });
        let removes = staged
            .remove_proposals()
            .filter_map(|remove| Some(self.leaf_at(remove.remove_proposal().removed())?.installation));
        Moved { adds: adds.collect(), removes: removes.collect(), failed }
    }

    /// Actual against expected (groups §3.4, step 9). Expected adds that are absent are allowed.
    fn compare(&self, moved: &Moved, expected: &ExpectedInstallations) -> Result<(), Refusal> {
        let surprise = moved.adds.iter().find(|add| !expected.adds.contains_key(*add) && self.leaf(add).is_none());
        if let Some(installation) = surprise {
            return Err(Refusal::UnexpectedAdd(*installation));
        }
        let due: BTreeSet<InstallationId> =
            expected.removes.iter().filter(|id| !moved.failed.contains(id.as_bytes().as_slice())).copied().collect();
        if moved.removes == due {
            return Ok(());
        }
        Err(Refusal::UnexpectedRemoves {
            extra: moved.removes.difference(&due).copied().collect(),
            missing: due.difference(&moved.removes).copied().collect(),
        })
    }
}

/// The context before the commit, all of it usable (groups §3.4, step 1).
struct Before<'a> {
    immutable: &'a ImmutableMetadata,
    mutable: &'a MutableMetadata,
    permissions: &'a PolicySet,
    membership: &'a Membership,
}

impl<'a> Before<'a> {
    fn of(context: &'a Context) -> Result<Self, Refusal> {
        Ok(Self {
            immutable: context.immutable().map_err(Refusal::OldContext)?,
            mutable: context.mutable().map_err(Refusal::OldContext)?,
            permissions: context.permissions().map_err(Refusal::OldContext)?,
            membership: context.membership().map_err(Refusal::OldContext)?,
        })
    }
}

/// The context after the commit, as far as it must be usable (groups §3.4, steps 2 to 4 and 6).
struct After {
    mutable: MutableMetadata,
    permissions: PolicySet,
    membership: Membership,
}

impl After {
    fn of(group: &Group, staged: &StagedCommit, before: &Before<'_>) -> Result<Self, Refusal> {
        let extensions = staged.group_context().extensions();
        let code = profile::MUTABLE_METADATA;
        let bytes = context::raw(extensions, code).ok_or(Refusal::MutableMetadata(ContextError::Missing(code)))?;
        let mutable = if context::raw(group.mls.extensions(), code) == Some(bytes) {
            before.mutable.clone()
        } else {
            MutableMetadata::from_bytes(bytes).map_err(Refusal::MutableMetadata)?
        };
        check_lengths(&before.mutable.changes_to(&mutable))?;
        let code = profile::PERMISSIONS;
        let bytes = context::raw(extensions, code).ok_or(Refusal::Permissions(ContextError::Missing(code)))?;
        let permissions = PolicySet::from_bytes(bytes).map_err(Refusal::Permissions)?;
        let code = profile::MEMBERSHIP;
        let bytes = context::raw(extensions, code).ok_or(Refusal::Membership(ContextError::Missing(code)))?;
        let membership = Membership::from_bytes(bytes).map_err(Refusal::Membership)?;
        Ok(Self { mutable, permissions, membership })
    }

    fn changes(&self, before: &Before<'_>) -> Changes {
        let inboxes = |membership: &Membership| membership.members.keys().copied().collect::<BTreeSet<_>>();
        let (old, new) = (inboxes(before.membership), inboxes(&self.membership));
        Changes {
            added_inboxes: new.difference(&old).copied().collect(),
            removed_inboxes: old.difference(&new).copied().collect(),
            permissions: self.permissions != *before.permissions,
            ..Changes::of_metadata(before.mutable, &self.mutable)
        }
    }

    fn minimum_version(&self) -> Option<&str> {
        self.mutable.get(attribute::MINIMUM_VERSION)
    }
}

/// Installations put in and taken out, and those listed as failed.
struct Moved {
    adds: BTreeSet<InstallationId>,
    removes: BTreeSet<InstallationId>,
    failed: BTreeSet<Vec<u8>>,
}

impl Moved {
    /// Takes out what a super admin re-adds: removed and added, or removed and listed as failed (groups §3.4, step 8).
    fn take_readded(&mut self) -> BTreeSet<InstallationId> {
        let both: BTreeSet<InstallationId> = self.adds.intersection(&self.removes).copied().collect();
        self.adds.retain(|id| !both.contains(id));
        self.removes.retain(|id| !both.contains(id));
        let failed: BTreeSet<InstallationId> =
            self.removes.iter().filter(|id| self.failed.contains(id.as_bytes().as_slice())).copied().collect();
        self.removes.retain(|id| !failed.contains(id));
        self.failed.retain(|id| !failed.iter().any(|failed| failed.as_bytes().as_slice() == id));
        both.union(&failed).copied().collect()
    }
}

fn check_lengths(changes: &[Attribute]) -> Result<(), Refusal> {
    for change in changes {
        if let (Some(value), Some(limit)) = (&change.new, attribute::limit(&change.key))
            && value.len() > limit
        {
            return Err(Refusal::TooManyCharacters { key: change.key.clone(), limit, got: value.len() });
        }
    }
    Ok(())
}

/// The actor and everybody whose leaf is updated must be members afterwards, with this installation (groups §3.4,
/// step 10).
fn check_subjects(
    staged: &StagedCommit,
    actor: Sender,
    membership: &Membership,
    directory: &Directory,
) -> Result<(), Refusal> {
    let mut subjects = vec![actor];
    for update in staged.update_proposals() {
        subjects.push(leaf::sender_of(update.update_proposal().leaf_node()).ok_or(Refusal::Credential)?);
    }
    for Sender { inbox, installation } in subjects {
        let sequence = membership.members.get(&inbox).ok_or(Refusal::SubjectNotMember(inbox))?;
        if !directory.holds(&inbox, &installation, *sequence)? {
            return Err(Refusal::SubjectNotInInbox { inbox, installation });
        }
    }
    Ok(())
}

/// The group must not need a newer version than ours (groups §3.6).
fn check_version(minimum: Option<&str>) -> Result<(), Refusal> {
    let Some(text) = minimum else { return Ok(()) };
    let version = ProtocolVersion::parse(text).ok_or(Refusal::MinimumVersion)?;
    if version > ProtocolVersion::OURS {
        return Err(Refusal::VersionTooLow { needs: text.to_owned() });
    }
    Ok(())
}

fn report(
    group: &Group,
    staged: &StagedCommit,
    actor: Sender,
    changes: Changes,
    moved: Moved,
    readded: BTreeSet<InstallationId>,
    after: &After,
) -> CommitReport {
    let installations_changed = !moved.adds.is_empty() || !moved.removes.is_empty() || !readded.is_empty();
    let commit_type = CommitType::of(&changes, installations_changed);
    let disappearing_keys = [attribute::DISAPPEAR_FROM, attribute::DISAPPEAR_IN];
    let disappearing = changes.attributes.iter().any(|change| disappearing_keys.contains(&change.key.as_str()));
    let (epoch, authenticator) = (group.epoch(), group.epoch_authenticator());
    CommitReport {
        actor,
        added_inboxes: changes.added_inboxes,
        removed_inboxes: changes.removed_inboxes,
        attributes: changes.attributes,
        admins_added: changes.admins_added,
        admins_removed: changes.admins_removed,
        super_admins_added: changes.super_admins_added,
        super_admins_removed: changes.super_admins_removed,
        permissions_changed: changes.permissions,
        installations_added: moved.adds,
        installations_removed: moved.removes,
        readded,
        removed_self: staged.self_removed(),
        commit_type,
        disappearing: disappearing.then(|| after.mutable.disappearing()),
        minimum_version: after.minimum_version().map(str::to_owned),
        epoch_before: epoch,
        authenticator_before: authenticator.clone(),
        epoch_after: epoch,
        authenticator_after: authenticator,
    }
}
