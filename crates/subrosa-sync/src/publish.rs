//! From an intent to the bytes that carry it (sync §2.6, §2.7).

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use subrosa_group::{
    Directory, IdentityNeed, VerifiedKeyPackage,
    context::{BasePolicy, ContextChange, Membership, MutableMetadata, PolicySet},
    expected_installations,
    group::{BuildError, CommitPlan, EncryptError, PreparedCommit},
    welcome::Recipient,
};
use subrosa_intent::{IntentEvent, IntentState, PayloadClass};
use subrosa_types::{InboxId, InstallationId};

use crate::{
    data::{AdminChange, IntentData, MembershipUpdate, PolicyOption, PolicyTarget},
    machine::{Machine, MachineError},
    model::{Intent, IntentId, Payload},
    post_commit::PostCommit,
};

/// Key packages as the node gave them: `None` for an installation without a usable one.
pub type KeyPackages = BTreeMap<InstallationId, Option<VerifiedKeyPackage>>;

/// What became of an intent that was to be built.
#[derive(Debug)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "the shell must handle every answer")]
pub enum Built {
    /// Its payload is among the changes of the step; send it once the step is durable.
    Payload,
    /// Nothing is left to do; the intent is processed.
    Nothing,
    /// It could not be built now; counted as a definite failure. Load the machine anew after applying the step.
    Failed(CannotBuild),
}

/// Why a payload cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CannotBuild {
    /// The stored intent cannot be read.
    #[error("the intent is damaged")]
    Damaged,
    /// An identity log is missing or broken.
    #[error("the members' identity logs do not tell which installations belong in the group")]
    Identity,
    /// No installation of those to be added has a usable key package.
    #[error("no installation to be added has a usable key package")]
    NoUsableKeyPackage,
    /// The group's own context cannot be read.
    #[error("the group's context is not readable")]
    Context,
    /// The MLS library refused.
    #[error("the commit cannot be made")]
    Commit(#[source] BuildError),
    /// The message could not be encrypted.
    #[error("the message cannot be encrypted")]
    Message(#[source] EncryptError),
}

/// What a membership change amounts to in the present epoch.
struct MembershipPlan {
    new: Membership,
    adds: BTreeMap<InstallationId, InboxId>,
    removes: BTreeSet<InstallationId>,
    new_inboxes: bool,
}

impl Machine {
    /// The next intent to build: the oldest one, unless a commit of ours is under way or the group takes nothing
    /// (sync §2.6).
    #[must_use]
    pub fn next_to_publish(&self) -> Option<&Intent> {
        if !self.record.active || self.record.paused_for.is_some() || self.commit_under_way() {
            return None;
        }
        self.intents.values().find(|intent| intent.state == IntentState::ToPublish)
    }

    /// Whether a commit was made and its fate is not known yet.
    fn commit_under_way(&self) -> bool {
        self.intents
            .values()
            .any(|intent| intent.state == IntentState::Published && intent.new.kind.class() == PayloadClass::Commit)
    }

    /// The identity logs that [`Machine::build`] needs for this intent, and how far.
    #[must_use]
    pub fn needs_to_build(&self, intent: &Intent) -> Vec<IdentityNeed> {
        let Ok(IntentData::Membership(update)) = IntentData::from_bytes(intent.new.kind, &intent.new.data) else {
            return Vec::new();
        };
        let mut positions = self.record.members.clone();
        for (inbox, position) in update.updates {
            let known = positions.entry(inbox).or_default();
            *known = position.max(*known);
        }
        positions.into_iter().map(|(inbox, up_to)| IdentityNeed { inbox, up_to }).collect()
    }

    /// Installations whose key packages [`Machine::build`] needs for this intent.
    #[must_use]
    pub fn key_packages_to_build(&self, intent: &Intent, directory: &Directory) -> BTreeSet<InstallationId> {
        match IntentData::from_bytes(intent.new.kind, &intent.new.data) {
            Ok(IntentData::Membership(update)) => {
                let plan = self.plan_membership(&update, directory);
                plan.map(|plan| plan.adds.into_keys().collect()).unwrap_or_default()
            }
            Ok(IntentData::Readd(installations)) => self.readdable(&installations).into_keys().collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Builds the payload of an intent in the present epoch and stores it in the step.
    ///
    /// # Errors
    /// [`MachineError`] when the group's own state fails; drop the machine.
    pub fn build(
        &mut self,
        id: IntentId,
        directory: &Directory,
        key_packages: &KeyPackages,
    ) -> Result<Built, MachineError> {
        let Some(intent) = self.intents.get(&id) else { return Ok(Built::Nothing) };
        let data = IntentData::from_bytes(intent.new.kind, &intent.new.data).map_err(|_| CannotBuild::Damaged);
        match data.and_then(|data| self.payload(&data, directory, key_packages)) {
            Ok(Some(payload)) => {
                self.touch_state();
                self.move_intent(id, &[IntentEvent::PayloadMade], Some(payload), None)?;
                Ok(Built::Payload)
            }
            Ok(None) => {
                self.move_intent(id, &[IntentEvent::NothingToDo], None, None)?;
                Ok(Built::Nothing)
            }
            Err(why) => {
                self.forget_state();
                self.move_intent(id, &[IntentEvent::BuildFailed], None, None)?;
                Ok(Built::Failed(why))
            }
        }
    }

    /// The node refused the bytes of this intent for good; new ones are built, at most twice more (sync §2.12).
    ///
    /// # Errors
    /// [`MachineError::Intent`] if the intent is not published.
    pub fn send_refused(&mut self, id: IntentId) -> Result<(), MachineError> {
        self.move_intent(id, &[IntentEvent::SendRefused], None, None)
    }

    /// What follows this commit is done.
    ///
    /// # Errors
    /// [`MachineError::Intent`] if the intent is not committed.
    pub fn post_commit_done(&mut self, id: IntentId) -> Result<(), MachineError> {
        self.move_intent(id, &[IntentEvent::PostCommitDone], None, None)
    }

    fn payload(
        &mut self,
        data: &IntentData,
        directory: &Directory,
        key_packages: &KeyPackages,
    ) -> Result<Option<Payload>, CannotBuild> {
        match data {
            IntentData::SendMessage(plaintext) => {
                let (epoch, authenticator) = self.base();
                let bytes = self.group.encrypt(&self.me.key, plaintext).map_err(CannotBuild::Message)?;
                let hash = Sha256::digest(&bytes).into();
                Ok(Some(Payload { bytes, hash, epoch, authenticator, staged: None, post_commit: None }))
            }
            IntentData::KeyUpdate => self.commit(CommitPlan::default(), Vec::new()).map(Some),
            IntentData::Metadata { key, value } => {
                let mut metadata = self.metadata()?;
                metadata.attributes.insert(key.clone(), value.clone());
                self.commit(replacing_metadata(metadata), Vec::new()).map(Some)
            }
            IntentData::Admins { change, inbox } => {
                let mut metadata = self.metadata()?;
                let text = inbox.to_hex();
                let list = match change {
                    AdminChange::AddAdmin | AdminChange::RemoveAdmin => &mut metadata.admins,
                    AdminChange::AddSuperAdmin | AdminChange::RemoveSuperAdmin => &mut metadata.super_admins,
                };
                list.retain(|entry| *entry != text);
                if matches!(change, AdminChange::AddAdmin | AdminChange::AddSuperAdmin) {
                    list.push(text);
                }
                self.commit(replacing_metadata(metadata), Vec::new()).map(Some)
            }
            IntentData::Permission { policy, option } => {
                let context = self.group.context();
                let mut permissions = context.permissions().map_err(|_| CannotBuild::Context)?.clone();
                set_policy(&mut permissions, policy, *option);
                let change = ContextChange { permissions: Some(permissions), ..ContextChange::default() };
                self.commit(CommitPlan { context: change, ..CommitPlan::default() }, Vec::new()).map(Some)
            }
            IntentData::Membership(update) => self.membership(update, directory, key_packages),
            IntentData::Readd(installations) => self.readd(installations, key_packages),
        }
    }

    fn commit(&mut self, plan: CommitPlan, recipients: Vec<Recipient>) -> Result<Payload, CannotBuild> {
        let PreparedCommit { payload, payload_hash, staged, base_epoch, base_authenticator, welcome } =
            self.group.build_commit(&self.me.key, plan).map_err(CannotBuild::Commit)?;
        let post_commit = welcome.map(|welcome| PostCommit { welcome, recipients }.to_bytes());
        Ok(Payload {
            bytes: payload,
            hash: *payload_hash.as_bytes(),
            epoch: base_epoch,
            authenticator: base_authenticator,
            staged: Some(staged),
            post_commit,
        })
    }

    fn metadata(&self) -> Result<MutableMetadata, CannotBuild> {
        self.group.context().mutable().cloned().map_err(|_| CannotBuild::Context)
    }

    fn current_membership(&self) -> Result<Membership, CannotBuild> {
        self.group.context().membership().cloned().map_err(|_| CannotBuild::Context)
    }

    /// What a membership change amounts to now (groups §4.3, steps 1 to 3).
    fn plan_membership(&self, update: &MembershipUpdate, directory: &Directory) -> Result<MembershipPlan, CannotBuild> {
        let old = self.current_membership()?;
        let mut new = old.clone();
        let mut new_inboxes = false;
        for (inbox, position) in &update.updates {
            new_inboxes |= !old.members.contains_key(inbox);
            let entry = new.members.entry(*inbox).or_default();
            *entry = (*entry).max(*position);
        }
        for inbox in &update.removed {
            new.members.remove(inbox);
        }
        new.failed.extend(update.failed.iter().map(|installation| installation.as_bytes().to_vec()));
        let expected = expected_installations(&old, &new, directory).map_err(|_| CannotBuild::Identity)?;
        // An installation that failed before and is now to go was never in the tree: it only leaves the list.
        let failed = |installation: &InstallationId| new.failed.contains(installation.as_bytes().as_slice());
        let (gone, removes): (BTreeSet<InstallationId>, BTreeSet<InstallationId>) =
            expected.removes.iter().partition(|installation| failed(installation));
        for installation in &gone {
            new.failed.remove(installation.as_bytes().as_slice());
        }
        let leaves: BTreeSet<InstallationId> = self.group.leaves().iter().map(|leaf| leaf.installation).collect();
        let adds = expected.adds.into_iter().filter(|(installation, _)| !leaves.contains(installation)).collect();
        Ok(MembershipPlan { new, adds, removes, new_inboxes })
    }

    fn membership(
        &mut self,
        update: &MembershipUpdate,
        directory: &Directory,
        key_packages: &KeyPackages,
    ) -> Result<Option<Payload>, CannotBuild> {
        let own = self.me.key.id();
        let mut plan = self.plan_membership(update, directory)?;
        let unchanged = self.current_membership()? == plan.new;
        if plan.removes.contains(&own) || (unchanged && plan.adds.is_empty() && plan.removes.is_empty()) {
            return Ok(None); // a member cannot remove itself by commit; or there is nothing to do
        }
        plan.adds.remove(&own);
        let wanted = plan.adds.len();
        let mut adds = Vec::with_capacity(wanted);
        for (installation, inbox) in &plan.adds {
            match usable(key_packages, installation, Some(*inbox)) {
                Some(key_package) => adds.push(key_package.clone()),
                None => {
                    plan.new.failed.insert(installation.as_bytes().to_vec());
                }
            }
        }
        if plan.new_inboxes && wanted > 0 && adds.is_empty() {
            return Err(CannotBuild::NoUsableKeyPackage);
        }
        let recipients = adds.iter().map(Recipient::from).collect();
        let removes = plan.removes.into_iter().collect();
        let context = ContextChange { membership: Some(plan.new), ..ContextChange::default() };
        let commit = CommitPlan { adds, removes, context };
        self.commit(commit, recipients).map(Some)
    }

    /// Of these installations, those in the tree that are not ours, with the inboxes they are there for.
    fn readdable(&self, installations: &BTreeSet<InstallationId>) -> BTreeMap<InstallationId, Option<InboxId>> {
        let own = self.me.key.id();
        self.group
            .leaves()
            .iter()
            .map(|leaf| (leaf.installation, leaf.inbox))
            .filter(|(leaf, _)| *leaf != own && installations.contains(leaf))
            .collect()
    }

    fn readd(
        &mut self,
        installations: &BTreeSet<InstallationId>,
        key_packages: &KeyPackages,
    ) -> Result<Option<Payload>, CannotBuild> {
        let removes = self.readdable(installations);
        if removes.is_empty() {
            return Ok(None);
        }
        let mut membership = self.current_membership()?;
        let mut adds = Vec::new();
        for (installation, inbox) in &removes {
            match usable(key_packages, installation, *inbox) {
                Some(key_package) => adds.push(key_package.clone()),
                None => {
                    membership.failed.insert(installation.as_bytes().to_vec());
                }
            }
        }
        let recipients = adds.iter().map(Recipient::from).collect();
        let removes = removes.into_keys().collect();
        let context = ContextChange { membership: Some(membership), ..ContextChange::default() };
        let commit = CommitPlan { adds, removes, context };
        self.commit(commit, recipients).map(Some)
    }
}

/// The key package of an installation, if it is there and names the inbox that the installation belongs to.
fn usable<'p>(
    key_packages: &'p KeyPackages,
    installation: &InstallationId,
    inbox: Option<InboxId>,
) -> Option<&'p VerifiedKeyPackage> {
    let (package, inbox) = (key_packages.get(installation)?.as_ref()?, inbox?);
    package.is_of(installation, &inbox).then_some(package)
}

fn replacing_metadata(metadata: MutableMetadata) -> CommitPlan {
    let context = ContextChange { mutable: Some(metadata), ..ContextChange::default() };
    CommitPlan { context, ..CommitPlan::default() }
}

/// Replaces one policy (groups §4.5). "Allow" cannot be said of admin policies and becomes super admins only.
fn set_policy(permissions: &mut PolicySet, target: &PolicyTarget, option: PolicyOption) {
    let base = match option {
        PolicyOption::Allow => BasePolicy::Allow,
        PolicyOption::Deny => BasePolicy::Deny,
        PolicyOption::Admins => BasePolicy::Admin,
        PolicyOption::SuperAdmins => BasePolicy::SuperAdmin,
    };
    let admins = if option == PolicyOption::Allow { BasePolicy::SuperAdmin } else { base };
    match target {
        PolicyTarget::AddMember => permissions.add_member = base.into(),
        PolicyTarget::RemoveMember => permissions.remove_member = base.into(),
        PolicyTarget::AddAdmin => permissions.add_admin = admins.into(),
        PolicyTarget::RemoveAdmin => permissions.remove_admin = admins.into(),
        PolicyTarget::Metadata(key) => {
            permissions.update_metadata.insert(key.clone(), base.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use subrosa_group::{NewKeyPackage, Randomness};
    use subrosa_identity::InstallationKey;
    use subrosa_types::UnixNanos;

    use super::*;

    #[test]
    fn a_key_package_of_another_installation_or_inbox_is_not_used() {
        let now = UnixNanos::from_nanos(1_800_000_000_000_000_000);
        let (inbox, other) = (InboxId::from_bytes([1; 32]), InboxId::from_bytes([2; 32]));
        let (asked, served) = (InstallationKey::from_seed([3; 32]), InstallationKey::from_seed([4; 32]));
        let package = |key| {
            let made = NewKeyPackage::create(&inbox, key, now, &Randomness::os()).unwrap();
            Some(VerifiedKeyPackage::verify(&made.bytes, now).unwrap())
        };
        let fetched = KeyPackages::from([(asked.id(), package(&asked))]);
        assert!(usable(&fetched, &asked.id(), Some(inbox)).is_some());
        assert!(usable(&fetched, &asked.id(), Some(other)).is_none());
        assert!(usable(&fetched, &asked.id(), None).is_none());
        let fetched = KeyPackages::from([(asked.id(), package(&served)), (served.id(), None)]);
        assert!(usable(&fetched, &asked.id(), Some(inbox)).is_none());
        assert!(usable(&fetched, &served.id(), Some(inbox)).is_none());
    }
}
