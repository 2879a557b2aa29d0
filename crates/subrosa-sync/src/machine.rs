//! One conversation as a machine: what it knows, and how a step is taken out of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use subrosa_cursor::{EntityKind, Positions};
use subrosa_envelope::{
    CommitResult, GroupMessage, GroupMessageInput,
    hmac::{HmacRootKey, group_key, hmac_epoch, sender_hmac},
};
use subrosa_group::{Group, RowError, group::OpenedCommit};
use subrosa_identity::InstallationKey;
use subrosa_intent::{IntentEvent, IntentState, Standing};
use subrosa_types::{Cursor, Epoch, GroupId, InboxId, SequenceId, UnixNanos};

use crate::{
    change::{Change, Durability, Event, PayloadChange, Step},
    model::{CommitLogRow, Conversation, Entity, Intent, IntentId},
};

/// The protocol version that we implement and report (groups §3.6).
pub const PROTOCOL_VERSION: &str = "1.10.0";

/// Who acts: one installation of one inbox.
#[derive(Debug)]
pub struct Me {
    /// Our inbox.
    pub inbox: InboxId,
    /// Our installation key.
    pub key: InstallationKey,
    /// The root of our sender HMACs.
    pub hmac_root: HmacRootKey,
}

/// What a machine is loaded from, read in one transaction.
#[derive(Debug)]
pub struct Loaded {
    /// The conversation's record.
    pub record: Conversation,
    /// Its MLS state.
    pub group: Group,
    /// Its two cursors.
    pub positions: Positions,
    /// Members that asked to leave.
    pub leaving: BTreeSet<InboxId>,
}

/// Why a machine cannot go on. Drop it, and load it again before the next step.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The group's state cannot be read or written: damaged, or of another release.
    #[error("the group's stored state is not usable")]
    State(#[from] RowError),
    /// An intent was moved in a way that the rules forbid: another task moved it first.
    #[error("an intent moved behind our back")]
    Intent(#[from] subrosa_intent::IllegalTransition),
}

/// One conversation: its MLS group, its cursors, its outstanding intents, and what it wants written.
///
/// The shell feeds it envelopes ([`Machine::receive`]) and asks it for payloads ([`Machine::build`]). Whatever
/// happens is collected until the shell takes a [`Step`] and applies it. If applying fails, drop the machine: it has
/// already moved on.
#[derive(Debug)]
pub struct Machine {
    pub(crate) me: Arc<Me>,
    pub(crate) record: Conversation,
    pub(crate) group: Group,
    pub(crate) positions: Positions,
    pub(crate) leaving: BTreeSet<InboxId>,
    pub(crate) intents: BTreeMap<IntentId, Intent>,
    /// A commit that was opened and waits for identity logs; the message it came in.
    pub(crate) held: Option<(GroupMessage, Box<OpenedCommit>)>,
    /// When a message last claimed to be ours without being known here.
    pub(crate) suspected_at: Option<UnixNanos>,
    changes: Vec<Change>,
    events: Vec<Event>,
    record_changed: bool,
    state_changed: bool,
}

impl Machine {
    /// A machine over what was loaded.
    #[must_use]
    pub fn new(me: Arc<Me>, loaded: Loaded) -> Self {
        let Loaded { record, group, positions, leaving } = loaded;
        Self {
            me,
            record,
            group,
            positions,
            leaving,
            intents: BTreeMap::new(),
            held: None,
            suspected_at: None,
            changes: Vec::new(),
            events: Vec::new(),
            record_changed: false,
            state_changed: false,
        }
    }

    /// The conversation's record, as the next step will leave it.
    #[must_use]
    pub const fn record(&self) -> &Conversation {
        &self.record
    }

    /// The MLS group.
    #[must_use]
    pub const fn group(&self) -> &Group {
        &self.group
    }

    /// Where the next query of the group's log starts.
    #[must_use]
    pub fn query_from(&self) -> SequenceId {
        self.positions.query_from()
    }

    /// Replaces the outstanding intents by what is stored now: others may have queued.
    pub fn set_intents(&mut self, intents: Vec<Intent>) {
        self.intents = intents.into_iter().map(|intent| (intent.id, intent)).collect();
    }

    /// The outstanding intents.
    pub fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.values()
    }

    /// The input that puts an intent's stored payload on the network; the same bytes each time (sync §2.12).
    #[must_use]
    pub fn input(&self, intent: &Intent, now: UnixNanos) -> Option<GroupMessageInput> {
        let payload = intent.payload.as_ref()?;
        let key = group_key(&self.me.hmac_root, &self.record.id, hmac_epoch(now));
        Some(GroupMessageInput {
            sender_hmac: sender_hmac(&key, &payload.bytes).to_vec(),
            should_push: intent.new.should_push,
            data: payload.bytes.clone(),
        })
    }

    /// Whether something waits to be written.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.record_changed || self.state_changed || !self.changes.is_empty()
    }

    /// Takes everything that happened since the last step.
    ///
    /// # Errors
    /// [`MachineError`] when the group's state cannot be written; drop the machine.
    pub fn take_step(&mut self, durability: Durability) -> Result<Step, MachineError> {
        let mut changes = Vec::with_capacity(self.changes.len() + 3);
        if self.state_changed || self.record_changed {
            // Version 0 says that there must be no such group yet.
            changes.push(Change::Guard { group: self.record.id.clone(), version: self.record.version });
            self.record.version += 1;
        }
        if std::mem::take(&mut self.state_changed) {
            changes.push(Change::Rows(self.group.drain()?));
        }
        if std::mem::take(&mut self.record_changed) {
            changes.push(Change::Conversation(Box::new(self.record.clone())));
        }
        changes.append(&mut self.changes);
        Ok(Step { changes, durability, events: std::mem::take(&mut self.events) })
    }

    /// Notes that the group wrote MLS state.
    pub(crate) const fn touch_state(&mut self) {
        self.state_changed = true;
    }

    /// Notes that the record must be written.
    pub(crate) const fn touch_record(&mut self) {
        self.record_changed = true;
    }

    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Forgets changes of the group's MLS state: they belong to a commit that is not applied.
    pub(crate) const fn forget_state(&mut self) {
        self.state_changed = false;
    }

    /// Moves the cursor past an item, in the same step as its effect.
    pub(crate) fn advance(&mut self, item: Cursor) {
        if self.positions.advance(item) {
            let kind = EntityKind::of_group_item(item.originator);
            self.push(Change::Cursor { entity: group_entity(&self.record.id, kind), to: item });
        }
    }

    /// Applies the rule table to an intent and writes the result.
    pub(crate) fn move_intent(
        &mut self,
        id: IntentId,
        events: &[IntentEvent],
        set: Option<crate::model::Payload>,
        resolved_at: Option<Cursor>,
    ) -> Result<(), MachineError> {
        let Some(intent) = self.intents.get_mut(&id) else { return Ok(()) };
        let from = intent.state;
        let mut payload = PayloadChange::Keep;
        for event in events {
            let standing = Standing { kind: intent.new.kind, state: intent.state, attempts: intent.attempts };
            let effect = subrosa_intent::step(standing, *event)?;
            intent.state = effect.state;
            intent.attempts = effect.attempts;
            intent.error = effect.error;
            if effect.drop_payload {
                if let Some(old) = intent.payload.take() {
                    intent.earlier.push(old.hash);
                }
                payload = PayloadChange::Drop;
            }
        }
        if let Some(new) = set {
            intent.payload = Some(new.clone());
            payload = PayloadChange::Set(Box::new(new));
        }
        if intent.state.is_terminal() {
            payload = PayloadChange::Finish;
        }
        intent.resolved_at = resolved_at.or(intent.resolved_at);
        let (to, attempts, error, message) = (intent.state, intent.attempts, intent.error, intent.new.message);
        if to.is_terminal() {
            self.intents.remove(&id);
        }
        self.push(Change::Intent { id, from, to, attempts, error, payload, resolved_at });
        if to == IntentState::Error
            && let Some(message) = message
        {
            self.push(Change::Failed(message));
        }
        Ok(())
    }

    /// Appends to the local commit log (groups §5.4).
    pub(crate) fn log_commit(&mut self, entry: Logged) {
        let row = CommitLogRow {
            group: self.record.id.clone(),
            commit: entry.at,
            authenticator_before: entry.before,
            result: entry.result.to_wire(),
            epoch: self.record.epoch,
            authenticator: self.record.authenticator.clone(),
            sender: entry.sender,
            note: entry.note,
        };
        self.push(Change::CommitLog(row));
    }

    /// The epoch and its authenticator, which prove the base of a staged commit.
    pub(crate) fn base(&self) -> (Epoch, Vec<u8>) {
        (self.group.epoch(), self.group.epoch_authenticator())
    }
}

/// What a commit-log row is made from, beside the state after.
pub(crate) struct Logged {
    pub(crate) at: SequenceId,
    pub(crate) before: Vec<u8>,
    pub(crate) result: CommitResult,
    pub(crate) sender: Option<(InboxId, subrosa_types::InstallationId)>,
    pub(crate) note: String,
}

/// The cursor of a group.
#[must_use]
pub fn group_entity(group: &GroupId, kind: EntityKind) -> Entity {
    Entity { id: group.as_bytes().to_vec(), kind }
}
