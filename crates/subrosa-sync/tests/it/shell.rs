//! The smallest shell there can be: a log in memory, and rows in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use subrosa_cursor::Positions;
use subrosa_envelope::{GroupMessage, Welcome, hmac::HmacRootKey};
use subrosa_group::{
    Directory, Group, NewKeyPackage, Randomness, RowKey, VerifiedKeyPackage,
    context::PolicySet,
    group::{NewGroup, NewKind},
    welcome::{Unwrapped, WelcomeKeys, wrap},
};
use subrosa_identity::{ChainVerdicts, InboxLog, InstallationKey, SignatureRequest, WalletKey, inbox_id};
use subrosa_intent::IntentState;
use subrosa_sync::{
    Before, Built, Change, Conversation, Durability, Intent, IntentData, IntentId, KeyPackages, Loaded, Machine, Me,
    MembershipUpdate, NewIntent, PayloadChange, PostCommit, Received, Step, WelcomeSource, arrive,
};
use subrosa_types::{InboxId, SequenceId, UnixNanos};

/// The system's time: the MLS library asks it as well when it checks lifetimes.
pub(crate) fn now() -> UnixNanos {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixNanos::from_nanos(i64::try_from(now.as_nanos()).unwrap())
}

/// Identity logs and one group's log, as a node would keep them.
#[derive(Default)]
pub(crate) struct Logs {
    pub(crate) identities: Directory,
    pub(crate) group: Vec<GroupMessage>,
}

impl Logs {
    pub(crate) fn append(&mut self, input: subrosa_envelope::GroupMessageInput) {
        let sequence = SequenceId(self.group.len() as u64 + 1);
        self.group.push(GroupMessage::new(sequence, now(), input).unwrap());
    }
}

/// One client: its machine, and what its database would hold.
pub(crate) struct Shell {
    pub(crate) me: Arc<Me>,
    pub(crate) package: VerifiedKeyPackage,
    random: Randomness,
    rows: BTreeMap<RowKey, Vec<u8>>,
    pub(crate) record: Option<Conversation>,
    pub(crate) intents: BTreeMap<IntentId, Intent>,
    positions: Positions,
    pub(crate) machine: Option<Machine>,
    /// Every change ever applied, newest last.
    pub(crate) applied: Vec<Change>,
}

impl Shell {
    /// A registered installation, in the logs too.
    pub(crate) fn new(logs: &mut Logs, seed: u8) -> Self {
        let wallet = WalletKey::from_bytes(&[seed; 32]).unwrap();
        let inbox = inbox_id(&wallet.identifier(), 1).unwrap();
        let key = InstallationKey::from_seed([seed; 32]);
        let mut request = SignatureRequest::builder(inbox, now())
            .create_inbox(wallet.identifier(), 1)
            .add_association(key.id(), wallet.identifier())
            .request();
        request.sign_with_installation(&key).unwrap();
        let signature = wallet.sign(request.text());
        request.add_wallet_signature(&signature).unwrap();
        let update = request.build().unwrap().verify(&ChainVerdicts::none()).unwrap();
        let mut log = InboxLog::new(inbox);
        log.push(SequenceId(u64::from(seed)), &update).unwrap();
        logs.identities.insert(inbox, Arc::new(log));
        let random = Randomness::seeded([seed; 32]);
        let new = NewKeyPackage::create(&inbox, &key, now(), &random).unwrap();
        let package = VerifiedKeyPackage::verify(&new.bytes, now()).unwrap();
        let hmac_root = HmacRootKey::from_bytes([seed; 42]);
        Self {
            me: Arc::new(Me { inbox, key, hmac_root }),
            package,
            random,
            rows: new.rows.put.into_iter().collect(),
            record: None,
            intents: BTreeMap::new(),
            positions: Positions::default(),
            machine: None,
            applied: Vec::new(),
        }
    }

    pub(crate) fn inbox(&self) -> InboxId {
        self.me.inbox
    }

    pub(crate) fn create_group(&mut self) {
        let new = NewGroup { kind: NewKind::Group(PolicySet::all_members()), attributes: BTreeMap::new() };
        let machine = subrosa_sync::create(Arc::clone(&self.me), new, &self.random, now()).unwrap();
        self.machine = Some(machine);
        self.commit();
    }

    /// Queues an intent as the store would.
    pub(crate) fn queue(&mut self, data: &IntentData) -> IntentId {
        let id = IntentId(self.intents.len() as i64 + 1);
        let group = self.record.as_ref().unwrap().id.clone();
        let new = NewIntent { group, kind: data.kind(), data: data.to_bytes(), should_push: false, message: None };
        let state = IntentState::ToPublish;
        let intent =
            Intent { id, new, state, attempts: 0, error: None, payload: None, earlier: Vec::new(), resolved_at: None };
        self.intents.insert(id, intent);
        self.refresh_intents();
        id
    }

    fn refresh_intents(&mut self) {
        let waiting = self.intents.values().filter(|intent| !intent.state.is_terminal()).cloned().collect();
        self.machine.as_mut().unwrap().set_intents(waiting);
    }

    /// Builds the next payload and puts it on the log. Returns what became of it.
    pub(crate) fn publish(&mut self, logs: &mut Logs, packages: &[&Shell]) -> Option<Built> {
        let machine = self.machine.as_mut().unwrap();
        let id = machine.next_to_publish()?.id;
        let packages: KeyPackages =
            packages.iter().map(|shell| (shell.me.key.id(), Some(shell.package.clone()))).collect();
        let built = machine.build(id, &logs.identities, &packages).unwrap();
        self.commit();
        if let Built::Payload = built {
            let intent = self.intents[&id].clone();
            logs.append(self.machine.as_ref().unwrap().input(&intent, now()).unwrap());
        }
        Some(built)
    }

    /// Reads the log to its end, as far as the machine lets it.
    pub(crate) fn receive(&mut self, logs: &Logs) -> Option<Received> {
        let mut last = None;
        for message in &logs.group {
            last = Some(self.feed(message, &logs.identities));
            if matches!(last, Some(Received::Stopped | Received::Needs(_))) {
                break;
            }
        }
        self.commit();
        last
    }

    pub(crate) fn feed(&mut self, message: &GroupMessage, directory: &Directory) -> Received {
        loop {
            match self.machine.as_mut().unwrap().receive(message, directory, now()).unwrap() {
                Received::Flush => {
                    self.commit();
                }
                Received::Reload => {
                    self.commit();
                    self.reload();
                    return Received::Reload;
                }
                answer => return answer,
            }
        }
    }

    /// Applies the step to what would be the database; returns the changes.
    pub(crate) fn commit(&mut self) -> Vec<Change> {
        let step = self.machine.as_mut().unwrap().take_step(Durability::Process).unwrap();
        self.apply(&step);
        step.changes
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        for change in &step.changes {
            self.applied.push(change.clone());
            match change {
                Change::Guard { version, .. } => assert_eq!(self.record.as_ref().map_or(0, |r| r.version), *version),
                Change::Conversation(record) => self.record = Some((**record).clone()),
                Change::Rows(rows) => {
                    rows.delete.iter().for_each(|key| drop(self.rows.remove(key)));
                    self.rows.extend(rows.put.iter().cloned());
                }
                Change::Cursor { to, .. } => assert!(self.positions.advance(*to), "a cursor went back"),
                Change::ResetCursor { to, .. } => self.positions = Positions::new([*to]),
                Change::Intent { id, from, to, attempts, error, payload, resolved_at } => {
                    let intent = self.intents.get_mut(id).unwrap();
                    assert_eq!(intent.state, *from);
                    (intent.state, intent.attempts, intent.error) = (*to, *attempts, *error);
                    intent.resolved_at = resolved_at.or(intent.resolved_at);
                    match payload {
                        PayloadChange::Set(payload) => intent.payload = Some((**payload).clone()),
                        PayloadChange::Drop => intent.earlier.extend(intent.payload.take().map(|p| p.hash)),
                        PayloadChange::Keep | PayloadChange::Finish => {}
                    }
                }
                _ => {}
            }
        }
        if let Some(record) = &mut self.record
            && step.changes.iter().any(|change| matches!(change, Change::Guard { .. } | Change::Conversation(_)))
        {
            record.version = self.machine.as_ref().map_or(record.version, |machine| machine.record().version);
        }
    }

    /// Drops the machine, and loads it from what would be the database: what a restart does.
    pub(crate) fn reload(&mut self) {
        let record = self.record.clone().unwrap();
        let scope = record.id.as_bytes().to_vec();
        let rows = self.rows.iter().filter(|(key, _)| key.scope == scope).map(|(k, v)| (k.clone(), v.clone()));
        let group = Group::load(&record.id, rows.collect::<Vec<_>>(), &self.random).unwrap().unwrap();
        let loaded = Loaded { record, group, positions: self.positions.clone(), leaving: BTreeSet::new() };
        self.machine = Some(Machine::new(Arc::clone(&self.me), loaded));
        self.refresh_intents();
    }

    /// The intent that adds somebody.
    pub(crate) fn adding(&self, logs: &Logs, others: &[&Shell]) -> IntentData {
        let all = others.iter().map(|shell| shell.inbox()).chain([self.inbox()]);
        let updates = all.map(|inbox| (inbox, logs.identities.log(&inbox).unwrap().last_sequence())).collect();
        IntentData::Membership(MembershipUpdate { updates, ..MembershipUpdate::default() })
    }

    /// The welcomes of an intent that is committed.
    pub(crate) fn welcome(&mut self, id: IntentId, to: &mut Shell, logs: &Logs) {
        let intent = self.intents[&id].clone();
        assert_eq!(intent.state, IntentState::Committed);
        let work = PostCommit::from_bytes(intent.payload.unwrap().post_commit.as_ref().unwrap()).unwrap();
        let cursor = intent.resolved_at.unwrap().sequence;
        let input = wrap(&work.welcome, cursor, &work.recipients, &self.random).unwrap().welcomes.remove(0);
        to.arrive(&Welcome::new(SequenceId(1), now(), input).unwrap(), logs);
        self.machine.as_mut().unwrap().post_commit_done(id).unwrap();
        self.commit();
    }

    fn arrive(&mut self, welcome: &Welcome, logs: &Logs) {
        let rows = self.rows.clone();
        let keys = WelcomeKeys::from_rows(welcome.input.hpke_public_key(), rows).unwrap().unwrap();
        let Unwrapped::Welcome(plaintext) = keys.unwrap(&welcome.input).unwrap() else { panic!("a direct welcome") };
        let opened = keys.open(&plaintext, &self.random).unwrap();
        let own = subrosa_group::Sender { inbox: self.inbox(), installation: self.me.key.id() };
        let judged = opened.judge(&logs.identities, &own, None).unwrap();
        let newest = logs.group.last().map(|message| message.sequence);
        let before = Before { newest, ..Before::default() };
        let step = arrive(&self.me, welcome, &WelcomeSource::Log, judged, before, now()).unwrap();
        self.positions = Positions::default();
        self.apply(&Step {
            changes: step.changes.into_iter().filter(|change| !is_welcome_cursor(change)).collect(),
            ..Step::default()
        });
        self.record.as_mut().unwrap().version = 1;
        self.reload();
    }
}

fn is_welcome_cursor(change: &Change) -> bool {
    matches!(change, Change::Cursor { entity, .. } if entity.kind == subrosa_cursor::EntityKind::Welcome)
}

/// Two members of one group, at the same epoch.
pub(crate) fn two_members() -> (Logs, Shell, Shell) {
    let mut logs = Logs::default();
    let (mut alice, mut bob) = (Shell::new(&mut logs, 1), Shell::new(&mut logs, 2));
    alice.create_group();
    let intent = alice.queue(&alice.adding(&logs, &[&bob]));
    let built = alice.publish(&mut logs, &[&bob]);
    assert!(matches!(built, Some(Built::Payload)));
    alice.receive(&logs);
    alice.welcome(intent, &mut bob, &logs);
    assert_eq!(alice.intents[&intent].state, IntentState::Processed);
    (logs, alice, bob)
}
