//! A new conversation of our own (groups §4.2).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use subrosa_cursor::Positions;
use subrosa_envelope::CommitResult;
use subrosa_group::{
    Group, Randomness,
    context::ConversationKind,
    group::{CreateError, NewGroup, NewKind},
};
use subrosa_types::{InboxId, SequenceId, UnixNanos};

use crate::{
    change::{Change, Event},
    machine::{Loaded, Logged, Machine, Me},
    model::{Consent, ConsentState, Conversation, MembershipState},
};

/// Creates a group of our own, at epoch 0 with ourselves alone. The machine's first step stores it.
///
/// # Errors
/// [`CreateError`]; nothing was stored.
pub fn create(me: Arc<Me>, new: NewGroup, random: &Randomness, now: UnixNanos) -> Result<Machine, CreateError> {
    let (kind, dm_peer) = match &new.kind {
        NewKind::Dm(peer) => (ConversationKind::Dm, Some(*peer)),
        NewKind::Sync => (ConversationKind::Sync, None),
        NewKind::Oneshot(_) => (ConversationKind::Oneshot, None),
        _ => (ConversationKind::Group, None),
    };
    let group = Group::create(new, &me.inbox, &me.key, now, random)?;
    let record = Conversation {
        id: group.id().clone(),
        version: 0,
        kind,
        dm_peer,
        created_at: now,
        membership: MembershipState::Allowed,
        active: true,
        creator: me.inbox,
        added_by: me.inbox,
        welcome: None,
        installations_checked: UnixNanos::EPOCH,
        rotated_at: UnixNanos::EPOCH,
        last_message: None,
        paused_for: None,
        maybe_forked: false,
        held: None,
        epoch: group.epoch(),
        authenticator: group.epoch_authenticator(),
        members: BTreeMap::new(),
        attributes: BTreeMap::new(),
        admins: Vec::new(),
        super_admins: Vec::new(),
        permissions: Vec::new(),
    };
    let loaded = Loaded { record, group, positions: Positions::default(), leaving: BTreeSet::new() };
    let mut machine = Machine::new(me, loaded);
    machine.refresh_record();
    machine.touch_state();
    machine.log_commit(Logged {
        at: SequenceId::START,
        before: Vec::new(),
        result: CommitResult::Applied,
        sender: Some((machine.me.inbox, machine.me.key.id())),
        note: "GroupCreation".to_owned(),
    });
    if kind.is_shown() {
        let consent = Consent { group: machine.record.id.clone(), state: ConsentState::Allowed, at: now };
        machine.push(Change::Consent(consent));
        machine.tell(Event::Conversation(machine.record.id.clone()));
    }
    Ok(machine)
}

/// The name two inboxes give to their direct messages, equal on both sides (groups §2.7).
#[must_use]
pub fn dm_id(one: &InboxId, other: &InboxId) -> String {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    format!("dm:{first}:{second}")
}
