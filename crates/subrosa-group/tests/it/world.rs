//! People with inboxes, installations and real identity logs, and their groups, in memory.

use std::{collections::BTreeMap, sync::Arc};

use subrosa_envelope::WelcomeInput;
use subrosa_group::{
    Directory, Group, NewKeyPackage, Randomness, Refusal, RowChanges, RowKey, Sender, VerifiedKeyPackage,
    context::{ContextChange, Membership, MutableMetadata},
    expected_installations,
    group::{CommitPlan, CommitReport, NewGroup, NewKind, Opened, OpenedCommit, PreparedCommit},
    welcome::{Recipient, Unwrapped, WelcomeKeys, unwrap_pointee, wrap},
};
use subrosa_identity::{ChainVerdicts, InboxLog, InstallationKey, SignatureRequest, WalletKey, inbox_id};
use subrosa_types::{GroupId, InboxId, InstallationId, SequenceId, UnixNanos};

/// Rows as a database would keep them.
#[derive(Clone, Default)]
pub(crate) struct Disk(BTreeMap<RowKey, Vec<u8>>);

impl Disk {
    pub(crate) fn apply(&mut self, scope: &[u8], changes: RowChanges) {
        if changes.clear_scope {
            self.0.retain(|key, _| key.scope != scope);
        }
        for key in changes.delete {
            self.0.remove(&key);
        }
        self.0.extend(changes.put);
    }

    pub(crate) fn scope(&self, scope: &[u8]) -> Vec<(RowKey, Vec<u8>)> {
        self.0.iter().filter(|(key, _)| key.scope == scope).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// The system's time: the MLS library asks it as well when it checks lifetimes.
pub(crate) fn now() -> UnixNanos {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixNanos::from_nanos(i64::try_from(now.as_nanos()).unwrap())
}

/// One installation with its key package and its database.
pub(crate) struct Device {
    pub(crate) inbox: InboxId,
    pub(crate) key: InstallationKey,
    pub(crate) package: VerifiedKeyPackage,
    pub(crate) disk: Disk,
    pub(crate) random: Randomness,
}

impl Device {
    pub(crate) fn new(inbox: InboxId, seed: u8) -> Self {
        let (key, random) = (InstallationKey::from_seed([seed; 32]), Randomness::seeded([seed; 32]));
        let new = NewKeyPackage::create(&inbox, &key, now(), &random).unwrap();
        let mut disk = Disk::default();
        disk.apply(&[], new.rows);
        let package = VerifiedKeyPackage::verify(&new.bytes, now()).unwrap();
        Self { inbox, key, package, disk, random }
    }

    pub(crate) fn id(&self) -> InstallationId {
        self.key.id()
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender { inbox: self.inbox, installation: self.id() }
    }

    pub(crate) fn create(&mut self, new: NewGroup) -> Group {
        let mut group = Group::create(new, &self.inbox, &self.key, now(), &self.random).unwrap();
        self.save(&mut group);
        group
    }

    pub(crate) fn save(&mut self, group: &mut Group) {
        let changes = group.drain().unwrap();
        self.disk.apply(group.id().as_bytes(), changes);
    }

    pub(crate) fn load(&self, id: &GroupId) -> Group {
        Group::load(id, self.disk.scope(id.as_bytes()), &self.random).unwrap().unwrap()
    }

    pub(crate) fn build(&mut self, group: &mut Group, plan: CommitPlan) -> PreparedCommit {
        let prepared = group.build_commit(&self.key, plan).unwrap();
        self.save(group);
        prepared
    }

    /// Takes up an own commit that came back.
    pub(crate) fn take_up(
        &mut self,
        group: &mut Group,
        prepared: &PreparedCommit,
        directory: &Directory,
    ) -> CommitReport {
        let opened = group.restage(&prepared.staged, prepared.base_epoch, &prepared.base_authenticator).unwrap();
        let report = group.merge(group.judge(opened, directory).unwrap()).unwrap();
        self.save(group);
        report
    }

    /// Reads somebody's commit and applies it.
    pub(crate) fn follow(&mut self, group: &mut Group, payload: &[u8], directory: &Directory) -> CommitReport {
        let opened = open_commit(group, payload);
        let report = group.merge(group.judge(opened, directory).unwrap()).unwrap();
        self.save(group);
        report
    }

    /// Reads somebody's commit, sees it refused, and goes back to what is stored.
    pub(crate) fn refuse(&self, group: &mut Group, payload: &[u8], directory: &Directory) -> Refusal {
        let opened = open_commit(group, payload);
        let refusal = group.judge(opened, directory).unwrap_err();
        *group = self.load(&group.id().clone());
        refusal
    }

    pub(crate) fn keys(&self, hpke_public_key: &[u8]) -> WelcomeKeys {
        WelcomeKeys::from_rows(hpke_public_key, self.disk.scope(&[])).unwrap().unwrap()
    }

    /// Joins by what `welcomes` hold for this installation.
    pub(crate) fn join(&mut self, welcomes: &[WelcomeInput], directory: &Directory) -> Group {
        let mine = welcomes.iter().find(|welcome| *welcome.installation() == self.id()).unwrap();
        let (WelcomeInput::Direct { hpke_public_key, .. } | WelcomeInput::Pointer { hpke_public_key, .. }) = mine;
        let keys = self.keys(hpke_public_key);
        let plaintext = match keys.unwrap(mine).unwrap() {
            Unwrapped::Welcome(plaintext) => plaintext,
            Unwrapped::Pointer(pointer) => {
                let pointee = welcomes.iter().find(|welcome| *welcome.installation() == pointer.destination).unwrap();
                unwrap_pointee(&pointer, pointee).unwrap()
            }
            _ => panic!("a welcome or a pointer"),
        };
        let opened = keys.open(&plaintext, &self.random).unwrap();
        let judged = opened.judge(directory, &self.sender(), None).unwrap();
        let mut group = judged.into_group().unwrap();
        self.save(&mut group);
        group
    }
}

#[track_caller]
pub(crate) fn open_commit(group: &mut Group, payload: &[u8]) -> OpenedCommit {
    match group.open(payload).unwrap() {
        Opened::Commit(opened) => *opened,
        other => panic!("a commit was expected: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn read(group: &mut Group, payload: &[u8]) -> (Sender, Vec<u8>) {
    match group.open(payload).unwrap() {
        Opened::Application(message) => (message.sender, message.plaintext),
        other => panic!("a message was expected: {other:?}"),
    }
}

/// The identity logs of the world. Sequence ids are counted across all inboxes, as on the node.
#[derive(Default)]
pub(crate) struct World {
    logs: BTreeMap<InboxId, InboxLog>,
    wallets: BTreeMap<InboxId, WalletKey>,
    sequence: u64,
}

impl World {
    /// A new inbox with one installation. Seeds must differ.
    pub(crate) fn register(&mut self, seed: u8) -> Device {
        let wallet = WalletKey::from_bytes(&[seed; 32]).unwrap();
        let inbox = inbox_id(&wallet.identifier(), 1).unwrap();
        let device = Device::new(inbox, seed);
        let owner = wallet.identifier();
        self.logs.insert(inbox, InboxLog::new(inbox));
        self.wallets.insert(inbox, wallet);
        self.update(inbox, &[&device.key], |r| r.create_inbox(owner.clone(), 1).add_association(device.id(), &owner));
        device
    }

    /// One more installation of an inbox.
    pub(crate) fn add_device(&mut self, inbox: InboxId, seed: u8) -> Device {
        let device = Device::new(inbox, seed);
        let owner = self.wallets[&inbox].identifier();
        self.update(inbox, &[&device.key], |r| r.add_association(device.id(), &owner));
        device
    }

    /// Revokes an installation.
    pub(crate) fn revoke(&mut self, device: &Device) {
        let owner = self.wallets[&device.inbox].identifier();
        self.update(device.inbox, &[], |r| r.revoke(device.id(), owner));
    }

    fn update(
        &mut self,
        inbox: InboxId,
        keys: &[&InstallationKey],
        actions: impl FnOnce(subrosa_identity::SignatureRequestBuilder) -> subrosa_identity::SignatureRequestBuilder,
    ) {
        self.sequence += 1;
        let now = UnixNanos::from_nanos(i64::try_from(self.sequence).unwrap() * 1_000_000_000);
        let mut request = actions(SignatureRequest::builder(inbox, now)).request();
        let signature = self.wallets[&inbox].sign(request.text());
        request.add_wallet_signature(&signature).unwrap();
        for key in keys {
            request.sign_with_installation(key).unwrap();
        }
        let update = request.build().unwrap().verify(&ChainVerdicts::none()).unwrap();
        self.logs.get_mut(&inbox).unwrap().push(SequenceId(self.sequence), &update).unwrap();
    }

    pub(crate) fn directory(&self) -> Directory {
        self.logs.iter().map(|(inbox, log)| (*inbox, Arc::new(log.clone()))).collect()
    }

    pub(crate) fn latest(&self, inbox: &InboxId) -> SequenceId {
        self.logs[inbox].last_sequence()
    }

    /// The membership of `group` with these inboxes raised to their latest entries, and those gone.
    pub(crate) fn membership(&self, group: &Group, raised: &[InboxId], gone: &[InboxId]) -> Membership {
        let mut membership = group.context().membership().unwrap().clone();
        for inbox in raised {
            membership.members.insert(*inbox, self.latest(inbox));
        }
        for inbox in gone {
            membership.members.remove(inbox);
        }
        membership
    }

    /// The correct commit from the group's membership to `new`, with the packages of `devices`.
    pub(crate) fn plan(&self, group: &Group, new: Membership, devices: &[&Device]) -> CommitPlan {
        let old = group.context().membership().unwrap();
        let expected = expected_installations(old, &new, &self.directory()).unwrap();
        let wanted = |device: &&&Device| expected.adds.contains_key(&device.id()) && group.leaf(&device.id()).is_none();
        CommitPlan {
            adds: devices.iter().filter(wanted).map(|device| device.package.clone()).collect(),
            removes: expected.removes.into_iter().filter(|id| group.leaf(id).is_some()).collect(),
            context: ContextChange { membership: Some(new), ..ContextChange::default() },
        }
    }

    /// `creator` makes a group with everybody; all of them have joined.
    pub(crate) fn group(&self, new: NewGroup, creator: &mut Device, others: &mut [&mut Device]) -> (Group, Vec<Group>) {
        let mut group = creator.create(new);
        let mut inboxes = vec![creator.inbox];
        inboxes.extend(others.iter().map(|device| device.inbox));
        let membership = self.membership(&group, &inboxes, &[]);
        let devices: Vec<&Device> = others.iter().map(|device| &**device).collect();
        let plan = self.plan(&group, membership, &devices);
        let recipients: Vec<Recipient> = plan.adds.iter().map(Recipient::from).collect();
        let prepared = creator.build(&mut group, plan);
        creator.take_up(&mut group, &prepared, &self.directory());
        let Some(welcome) = &prepared.welcome else { return (group, Vec::new()) };
        let wrapped = wrap(welcome, SequenceId(77), &recipients, &creator.random).unwrap();
        assert!(wrapped.failed.is_empty());
        let joined = others.iter_mut().map(|device| device.join(&wrapped.welcomes, &self.directory())).collect();
        (group, joined)
    }
}

/// A group with these permissions and no attributes.
pub(crate) fn plain(policies: subrosa_group::context::PolicySet) -> NewGroup {
    NewGroup { kind: NewKind::Group(policies), attributes: BTreeMap::new() }
}

/// A commit that changes attributes or roles.
pub(crate) fn metadata_plan(group: &Group, change: impl FnOnce(&mut MutableMetadata)) -> CommitPlan {
    let mut mutable = group.context().mutable().unwrap().clone();
    change(&mut mutable);
    CommitPlan {
        context: ContextChange { mutable: Some(mutable), ..ContextChange::default() },
        ..CommitPlan::default()
    }
}
