//! How we come into a conversation (sync §3.5, groups §6.4).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use subrosa_content::{Content, message_id, welcome_transcript_key};
use subrosa_cursor::{EntityKind, Positions};
use subrosa_envelope::{CommitResult, Welcome};
use subrosa_group::{
    ProtocolVersion,
    context::ConversationKind,
    welcome::{JudgedWelcome, WelcomeError},
};
use subrosa_types::{Cursor, GroupId, InboxId, OriginatorId, SequenceId, UnixNanos};

use crate::{
    change::{Change, Durability, Event, Step},
    machine::{Loaded, Logged, Machine, Me, group_entity},
    model::{Consent, ConsentState, Conversation, Delivery, Entity, MembershipState, Message, MessageKind, Task},
    transcript,
};

/// A key package that may have been used is replaced this soon (groups §1.6).
const ROTATE_WITHIN: Duration = Duration::from_secs(5);
/// First pause before a welcome is tried again, its growth and its limits (envelopes §4.2).
const FIRST_RETRY: Duration = Duration::from_secs(5 * 60);
const LONGEST_RETRY: Duration = Duration::from_secs(2 * 3600);
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 3600);
const MOST_ATTEMPTS: u32 = 100;

/// Where a welcome was taken from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a welcome is new or was kept")]
pub enum WelcomeSource {
    /// From the network; the cursor passes it with this step.
    Log,
    /// From a task; the cursor passed it before.
    Task(Task),
}

/// What is known here before a welcome takes effect.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// The record of the same group, if we have one.
    pub record: Option<Conversation>,
    /// The newest item of the group's log, as the node tells; a start cursor above it is not believed (sync §3.8).
    pub newest: Option<SequenceId>,
    /// For a DM: the consent of a sibling of the same pair.
    pub sibling_consent: Option<ConsentState>,
}

/// The cursor of our own welcomes.
#[must_use]
pub fn welcome_entity(me: &Me) -> Entity {
    Entity { id: me.key.id().as_bytes().to_vec(), kind: EntityKind::Welcome }
}

/// Joins by a welcome that passed every rule. The step stores everything in one transaction.
///
/// # Errors
/// [`WelcomeError`] when the MLS library or its storage fails; nothing was changed.
pub fn arrive(
    me: &Arc<Me>,
    welcome: &Welcome,
    source: &WelcomeSource,
    judged: JudgedWelcome,
    before: Before,
    now: UnixNanos,
) -> Result<Step, WelcomeError> {
    let immutable = judged.immutable().clone();
    if immutable.kind == ConversationKind::Oneshot {
        return Ok(leave_behind(me, welcome, source, now));
    }
    let adder = judged.adder();
    let pause = judged.minimum_version().and_then(ProtocolVersion::parse).filter(|v| *v > ProtocolVersion::OURS);
    let paused_for = pause.and(judged.minimum_version()).map(str::to_owned);
    let start = match before.newest {
        Some(newest) if judged.message_cursor() <= newest => judged.message_cursor(),
        _ => SequenceId::START,
    };
    let readded = before
        .record
        .as_ref()
        .is_some_and(|record| record.membership == MembershipState::PendingRemove && !record.active);
    let group = judged.into_group()?;
    let creator = immutable.creator.parse().unwrap_or(adder.inbox);
    let dm_peer = immutable.dm_members.as_ref().and_then(|members| peer(me, &members.one, &members.two));
    let id = group.id().clone();
    let previous = before.record.as_ref();
    let record = Conversation {
        id: id.clone(),
        version: previous.map_or(0, |record| record.version),
        kind: immutable.kind,
        dm_peer,
        created_at: previous.map_or(now, |record| record.created_at),
        membership: match immutable.kind {
            ConversationKind::Sync => MembershipState::Allowed,
            _ if readded => MembershipState::Allowed,
            _ => MembershipState::Pending,
        },
        active: true,
        creator,
        added_by: adder.inbox,
        welcome: Some(welcome.sequence),
        installations_checked: UnixNanos::EPOCH,
        rotated_at: UnixNanos::EPOCH,
        last_message: previous.and_then(|record| record.last_message).max(Some(welcome.created)),
        paused_for,
        maybe_forked: false,
        held: None,
        epoch: group.epoch(),
        authenticator: group.epoch_authenticator(),
        members: Default::default(),
        attributes: Default::default(),
        admins: Vec::new(),
        super_admins: Vec::new(),
        permissions: Vec::new(),
    };
    let loaded = Loaded { record, group, positions: Positions::default(), leaving: BTreeSet::new() };
    let mut machine = Machine::new(Arc::clone(me), loaded);
    machine.refresh_record();
    machine.touch_state();
    machine.log_commit(Logged {
        at: SequenceId::START,
        before: Vec::new(),
        result: CommitResult::Applied,
        sender: Some((adder.inbox, adder.installation)),
        note: "Welcome".to_owned(),
    });
    reset_cursor(&mut machine, &id, start);
    announce(&mut machine, me, welcome, adder.inbox, adder.installation, start, now);
    decide_consent(&mut machine, me, creator, adder.inbox, readded, before.sibling_consent, now);
    settle(&mut machine, me, welcome, source, now);
    machine.tell(Event::Conversation(id));
    machine.take_step(Durability::Process).map_err(|error| match error {
        crate::MachineError::State(error) => WelcomeError::Storage(error),
        crate::MachineError::Intent(_) => WelcomeError::NotAWelcome,
    })
}

fn peer(me: &Me, one: &str, two: &str) -> Option<InboxId> {
    let own = me.inbox.to_hex();
    if one == own { two } else { one }.parse().ok()
}

/// The group's log is read from the commit that added us (groups §6.4, step 12).
fn reset_cursor(machine: &mut Machine, id: &GroupId, start: SequenceId) {
    machine.push(Change::ResetCursor {
        entity: group_entity(id, EntityKind::CommitMessage),
        to: Cursor::new(OriginatorId::COMMITS, start),
    });
}

/// Our arrival, as a message (groups §6.4, step 11).
fn announce(
    machine: &mut Machine,
    me: &Me,
    welcome: &Welcome,
    adder: InboxId,
    installation: subrosa_types::InstallationId,
    start: SequenceId,
    now: UnixNanos,
) {
    let content = Content::GroupUpdated(transcript::arrival(adder, me.inbox)).to_encoded().to_bytes();
    let group = machine.record.id.clone();
    let id = message_id(&group, &welcome_transcript_key(welcome.created), &content);
    machine.store(Message {
        id,
        group,
        sent_at: welcome.created,
        kind: MessageKind::Transcript,
        sender: adder,
        installation,
        delivery: Delivery::Published,
        content,
        position: start.is_item().then_some(Cursor::new(OriginatorId::COMMITS, start)),
        expires_at: None,
        inserted_at: now,
    });
}

/// What the user is taken to want (groups §4.8).
fn decide_consent(
    machine: &mut Machine,
    me: &Me,
    creator: InboxId,
    adder: InboxId,
    readded: bool,
    sibling: Option<ConsentState>,
    now: UnixNanos,
) {
    let state = if creator == me.inbox || adder == me.inbox {
        Some(ConsentState::Allowed)
    } else if readded {
        Some(ConsentState::Unknown)
    } else {
        sibling
    };
    if let Some(state) = state
        && machine.record.kind.is_shown()
    {
        let consent = Consent { group: machine.record.id.clone(), state, at: now };
        machine.push(Change::Consent(consent));
    }
}

/// Passes the welcome, and has the key package replaced that it used.
fn settle(machine: &mut Machine, me: &Me, welcome: &Welcome, source: &WelcomeSource, now: UnixNanos) {
    for change in passing(me, welcome, source, now) {
        machine.push(change);
    }
}

fn passing(me: &Me, welcome: &Welcome, source: &WelcomeSource, now: UnixNanos) -> [Change; 2] {
    let passed = match source {
        WelcomeSource::Log => Change::Cursor { entity: welcome_entity(me), to: welcome.cursor() },
        WelcomeSource::Task(task) => Change::TaskDone(task.sequence),
    };
    [passed, Change::RotateKeyPackageBy(now.plus(ROTATE_WITHIN))]
}

/// A welcome that has no effect: refused for good, a duplicate, or a one-shot message.
pub fn leave_behind(me: &Me, welcome: &Welcome, source: &WelcomeSource, now: UnixNanos) -> Step {
    Step { changes: passing(me, welcome, source, now).to_vec(), ..Step::default() }
}

/// A welcome that cannot be judged now: it is kept and tried again, while the cursor goes on; given up after three
/// days (sync §3.5).
pub fn postpone(me: &Me, welcome: &Welcome, source: &WelcomeSource, now: UnixNanos) -> Step {
    let task = match source {
        WelcomeSource::Log => Task {
            welcome: welcome.to_bytes(),
            sequence: welcome.sequence,
            attempts: 1,
            next_at: now.plus(FIRST_RETRY),
            expires_at: now.plus(GIVE_UP),
        },
        WelcomeSource::Task(task) if task.expires_at <= now || task.attempts >= MOST_ATTEMPTS => {
            return leave_behind(me, welcome, source, now);
        }
        WelcomeSource::Task(task) => {
            let pause = FIRST_RETRY.mul_f64(1.5f64.powi(i32::try_from(task.attempts).unwrap_or(i32::MAX)));
            Task { attempts: task.attempts + 1, next_at: now.plus(pause.min(LONGEST_RETRY)), ..task.clone() }
        }
    };
    let mut changes = vec![Change::Task(task)];
    if *source == WelcomeSource::Log {
        changes.extend(passing(me, welcome, source, now));
    }
    Step { changes, ..Step::default() }
}

/// An item of the welcome log that does not decode is passed (envelopes §8).
pub fn skip_welcome(me: &Me, at: SequenceId) -> Step {
    let to = Cursor::new(OriginatorId::WELCOMES, at);
    Step { changes: vec![Change::Cursor { entity: welcome_entity(me), to }], ..Step::default() }
}
