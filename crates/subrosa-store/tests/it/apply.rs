//! Every change does what it says; every failed guard leaves nothing behind.

use subrosa_cursor::EntityKind;
use subrosa_group::RowChanges;
use subrosa_intent::{IntentKind, IntentState};
use subrosa_store::{
    ConversationFilter, LoggedCommit, MessageQuery, PendingRemoval, Store, StoreError, StoredIdentity,
};
use subrosa_sync::{
    Change, CommitLogRow, Consent, ConsentState, Delivery, Entity, IntentId, MembershipState, PayloadChange, Task,
};
use subrosa_types::{Epoch, GroupId, SequenceId, UnixNanos};
use zeroize::Zeroizing;

use crate::support::*;

/// A store with one conversation, group 1, at version 1.
fn with_group() -> Store {
    let store = memory();
    apply(&store, vec![put(conversation(&group(1)))]).unwrap();
    store
}

fn own_identity() -> StoredIdentity {
    StoredIdentity {
        inbox: inbox(1),
        seed: Zeroizing::new([2; 32]),
        registered: false,
        hmac_root: Zeroizing::new([3; 42]),
        next_rotation: at(500),
    }
}

/// Everything the store can tell, to compare before and after.
fn everything(store: &Store) -> String {
    let groups = [group(1), group(2)];
    let mut all = format!("{:?}\n", store.conversations(&ConversationFilter::default()).unwrap());
    for group in &groups {
        all += &format!("{:?}\n", store.mls_rows(group).unwrap());
        all += &format!("{:?}\n", store.intents(group, &IntentState::ALL).unwrap());
        all += &format!("{:?}\n", store.commit_log(group).unwrap());
        all += &format!("{:?}\n", store.consent(group).unwrap());
        all += &format!("{:?}\n", store.pending_removals(group).unwrap());
    }
    all += &format!("{:?}\n", store.messages(&MessageQuery::of(groups.clone())).unwrap());
    all += &format!("{:?}\n", groups.iter().map(|g| store.cursor(&messages_of(g)).unwrap()).collect::<Vec<_>>());
    all += &format!("{:?}\n", store.due_tasks(UnixNanos::from_nanos(i64::MAX)).unwrap());
    all += &format!("{:?}\n", store.installation_rows().unwrap());
    all += &format!("{:?} {:?}\n", store.key_packages().unwrap(), store.identity().unwrap());
    all
}

/// One change of every kind that has no guard; all are written before the guard of a test fails.
fn one_of_each(group: &GroupId) -> Vec<Change> {
    vec![
        put_row(row_key(group.as_bytes(), 5, b"k"), b"v"),
        put_row(row_key(&[], 32, b"package"), b"private"),
        put(conversation(&crate::support::group(2))),
        Change::Times { group: group.clone(), rotated_at: Some(at(9)), installations_checked: Some(at(8)) },
        Change::Cursor { entity: messages_of(group), to: item(3) },
        Change::ResetCursor { entity: commits_of(group), to: commit(2) },
        write(message(group, 1, 10)),
        Change::NewIntent(new_intent(group, IntentKind::KeyUpdate)),
        Change::CommitLog(log_row(group)),
        Change::Consent(Consent { group: group.clone(), state: ConsentState::Allowed, at: at(5) }),
        Change::PendingRemove { group: group.clone(), inbox: inbox(2), message: message_id(4) },
        Change::Task(task(9)),
        Change::KeyPackageStored { hash_ref: vec![1; 32], created_at: at(1) },
        Change::RotateKeyPackageBy(at(3)),
    ]
}

fn log_row(group: &GroupId) -> CommitLogRow {
    CommitLogRow {
        group: group.clone(),
        commit: SequenceId(4),
        authenticator_before: vec![1; 32],
        result: 1,
        epoch: Epoch(2),
        authenticator: vec![2; 32],
        sender: Some((inbox(1), installation(1))),
        note: "key update".into(),
    }
}

fn task(sequence: u64) -> Task {
    Task { welcome: vec![1, 2], sequence: SequenceId(sequence), attempts: 1, next_at: at(50), expires_at: at(90) }
}

#[track_caller]
fn leaves_nothing_behind(failing: impl FnOnce(&Store) -> Change, want: impl FnOnce(&StoreError) -> bool) {
    let store = with_group();
    begin(&store, &own_identity()).unwrap();
    apply(&store, vec![Change::NewIntent(new_intent(&group(1), IntentKind::SendMessage))]).unwrap();
    let last = failing(&store);
    let before = everything(&store);

    let mut changes = vec![Change::Guard { group: group(1), version: 1 }];
    changes.extend(one_of_each(&group(1)));
    changes.push(last);
    let error = apply(&store, changes.clone()).unwrap_err();
    assert!(want(&error), "{error:?}");
    assert_eq!(everything(&store), before);

    changes.pop();
    apply(&store, changes).unwrap();
    assert_ne!(everything(&store), before, "the same changes without the failing one are written");
}

#[test]
fn a_stale_version_leaves_nothing_behind() {
    leaves_nothing_behind(
        |_| Change::Guard { group: group(1), version: 1 },
        |error| matches!(error, StoreError::Stale { group } if *group == crate::support::group(1)),
    );
}

#[test]
fn a_passed_cursor_leaves_nothing_behind() {
    // It stands at 3 by then, in the same transaction.
    for at in [3, 2, 0] {
        leaves_nothing_behind(
            |_| Change::Cursor { entity: messages_of(&group(1)), to: item(at) },
            |error| matches!(error, StoreError::CursorPassed { to, .. } if to.sequence.0 == at),
        );
    }
}

#[test]
fn a_moved_intent_leaves_nothing_behind() {
    for id in [IntentId(1), IntentId(77)] {
        leaves_nothing_behind(
            |_| step(id, IntentState::Published, IntentState::Committed, PayloadChange::Keep),
            |error| matches!(error, StoreError::IntentMoved { id: moved } if *moved == id),
        );
    }
}

#[test]
fn a_payload_of_another_intent_leaves_nothing_behind() {
    leaves_nothing_behind(
        |store| {
            let publish = |id| {
                let set = PayloadChange::Set(Box::new(payload(6)));
                step(id, IntentState::ToPublish, IntentState::Published, set)
            };
            apply(store, vec![publish(IntentId(1))]).unwrap();
            let other = apply(store, vec![Change::NewIntent(new_intent(&group(1), IntentKind::KeyUpdate))]).unwrap();
            publish(other.intents[0])
        },
        |error| matches!(error, StoreError::DuplicatePayload { holder: IntentId(1) }),
    );
}

#[test]
fn an_unknown_conversation_leaves_nothing_behind() {
    leaves_nothing_behind(
        |_| write(message(&group(3), 9, 1)),
        |error| matches!(error, StoreError::UnknownConversation { group } if *group == crate::support::group(3)),
    );
}

#[test]
fn clearing_without_naming_a_group_leaves_nothing_behind() {
    let rows = [
        vec![],
        vec![(row_key(&[], 1, b""), vec![])],
        vec![(row_key(b"one", 1, b""), vec![]), (row_key(b"two", 1, b""), vec![])],
    ];
    for put in rows {
        leaves_nothing_behind(
            |_| Change::Rows(RowChanges { put, delete: vec![], clear_scope: true }),
            |error| matches!(error, StoreError::NoScope),
        );
    }
}

#[test]
fn a_position_beyond_63_bits_leaves_nothing_behind() {
    leaves_nothing_behind(
        |_| Change::ResetCursor { entity: messages_of(&group(1)), to: item(u64::MAX) },
        |error| matches!(error, StoreError::OutOfRange(u64::MAX)),
    );
}

#[test]
fn versions_begin_at_1_and_grow_with_each_guard() {
    let store = memory();
    let guarded = |version| vec![Change::Guard { group: group(1), version }, put(conversation(&group(1)))];
    assert_eq!(apply(&store, guarded(0)).unwrap().versions[&group(1)], 1);
    assert!(matches!(apply(&store, guarded(0)), Err(StoreError::Stale { .. })), "a second first time");
    assert_eq!(apply(&store, guarded(1)).unwrap().versions[&group(1)], 2);
    assert!(matches!(apply(&store, guarded(1)), Err(StoreError::Stale { .. })));
    let unknown = Change::Guard { group: group(2), version: 1 };
    assert!(matches!(apply(&store, vec![unknown]), Err(StoreError::Stale { .. })));
    assert_eq!(store.conversation(&group(1)).unwrap().unwrap().version, 2);
}

#[test]
fn a_replaced_record_keeps_version_times_and_last_message() {
    let store = with_group();
    let times = Change::Times { group: group(1), rotated_at: Some(at(50)), installations_checked: None };
    apply(&store, vec![times, write(message(&group(1), 1, 2_000))]).unwrap();
    let mut changed = conversation(&group(1));
    changed.membership = MembershipState::Allowed;
    changed.paused_for = None;
    changed.welcome = None;
    changed.held = Some(subrosa_sync::Held::ExpiredAdd);
    changed.version = 99;
    changed.members.clear();
    apply(&store, vec![put(changed.clone())]).unwrap();
    changed.version = 1;
    changed.rotated_at = at(50);
    changed.last_message = Some(at(2_000));
    assert_eq!(store.conversation(&group(1)).unwrap(), Some(changed));
}

#[test]
fn rows_are_cleared_then_deleted_then_put() {
    let store = with_group();
    let of_group = |label, key: &[u8]| row_key(group(1).as_bytes(), label, key);
    let other = row_key(group(2).as_bytes(), 1, b"other");
    let own = row_key(&[], 32, b"own");
    for key in [of_group(1, b"a"), of_group(1, b"b"), other.clone(), own.clone()] {
        apply(&store, vec![put_row(key, b"old")]).unwrap();
    }
    let changes = RowChanges {
        put: vec![(of_group(1, b"b"), b"new".to_vec()), (own.clone(), b"new".to_vec())],
        delete: vec![of_group(1, b"a"), of_group(1, b"b"), of_group(9, b"never")],
        clear_scope: false,
    };
    apply(&store, vec![Change::Rows(changes)]).unwrap();
    assert_eq!(store.mls_rows(&group(1)).unwrap(), [(of_group(1, b"b"), b"new".to_vec())]);
    assert_eq!(store.installation_rows().unwrap(), [(own.clone(), b"new".to_vec())]);

    let rejoin =
        RowChanges { put: vec![(of_group(2, b""), b"fresh".to_vec())], delete: vec![own.clone()], clear_scope: true };
    apply(&store, vec![Change::Rows(rejoin)]).unwrap();
    assert_eq!(store.mls_rows(&group(1)).unwrap(), [(of_group(2, b""), b"fresh".to_vec())]);
    assert_eq!(store.mls_row(&other).unwrap(), Some(b"old".to_vec()));
    assert_eq!(store.mls_row(&own).unwrap(), None);
}

#[test]
fn cursors_move_forward_only_unless_reset() {
    let store = with_group();
    let entity = messages_of(&group(1));
    let to = |to| vec![Change::Cursor { entity: entity.clone(), to }];
    assert_eq!(store.cursor(&entity).unwrap(), []);
    apply(&store, to(item(4))).unwrap();
    apply(&store, to(commit(2))).unwrap();
    assert!(apply(&store, to(item(4))).unwrap_err().is_conflict());
    assert_eq!(store.cursor(&entity).unwrap(), [commit(2), item(4)], "one for each originator");
    apply(&store, vec![Change::ResetCursor { entity: entity.clone(), to: item(1) }]).unwrap();
    apply(&store, to(item(2))).unwrap();
    assert_eq!(store.cursor(&entity).unwrap(), [commit(2), item(2)]);
    let welcome = Entity { id: entity.id.clone(), kind: EntityKind::Welcome };
    assert_eq!(store.cursor(&welcome).unwrap(), [], "another kind is another cursor");
}

#[test]
fn cursors_of_many_groups_come_at_once() {
    let store = memory();
    let groups: Vec<GroupId> = (0..1_200u32).map(|n| GroupId::from_slice(&n.to_be_bytes()).unwrap()).collect();
    let mut changes = Vec::new();
    for group in &groups[..1_100] {
        changes.push(Change::Cursor { entity: messages_of(group), to: item(7) });
        changes.push(Change::Cursor { entity: commits_of(group), to: commit(3) });
        let welcome = Entity { id: group.as_bytes().to_vec(), kind: EntityKind::Welcome };
        changes.push(Change::Cursor { entity: welcome, to: item(99) });
    }
    apply(&store, changes).unwrap();
    let found = store.cursors_of_groups(&groups).unwrap();
    assert_eq!(found.len(), 1_100);
    assert_eq!(found[&groups[1_099]], [commit(3), item(7)]);
}

#[test]
fn a_group_is_loaded_whole() {
    let store = with_group();
    begin(&store, &own_identity()).unwrap();
    apply(&store, one_of_each(&group(1))).unwrap();
    let loaded = store.load_group(&group(1)).unwrap().unwrap();
    assert_eq!(loaded.conversation.last_message, Some(at(10)));
    assert_eq!((loaded.conversation.rotated_at, loaded.conversation.installations_checked), (at(9), at(8)));
    assert_eq!(loaded.rows, [(row_key(group(1).as_bytes(), 5, b"k"), b"v".to_vec())]);
    assert_eq!(loaded.positions, [commit(2), item(3)]);
    assert_eq!(loaded.intents.len(), 1);
    assert_eq!(loaded.pending_removals, [PendingRemoval { inbox: inbox(2), message: message_id(4) }]);
    assert!(store.load_group(&group(3)).unwrap().is_none());
}

#[test]
fn the_newest_consent_counts() {
    let store = memory();
    let decide = |state, nanos| {
        apply(&store, vec![Change::Consent(Consent { group: group(1), state, at: at(nanos) })]).unwrap();
        store.consent(&group(1)).unwrap().unwrap().state
    };
    assert!(store.consent(&group(1)).unwrap().is_none());
    assert_eq!(decide(ConsentState::Allowed, 5), ConsentState::Allowed);
    assert_eq!(decide(ConsentState::Denied, 4), ConsentState::Allowed, "older");
    assert_eq!(decide(ConsentState::Denied, 5), ConsentState::Denied, "equally old");
    assert_eq!(decide(ConsentState::Unknown, 6), ConsentState::Unknown);
}

#[test]
fn requests_to_leave_end_with_the_removal() {
    let store = with_group();
    let ask = |byte| Change::PendingRemove { group: group(1), inbox: inbox(byte), message: message_id(byte) };
    apply(&store, vec![ask(1), ask(2), ask(2), ask(3)]).unwrap();
    assert_eq!(store.groups_with_pending_removals().unwrap(), [group(1)]);
    let done =
        |inboxes: &[u8]| Change::RemovalDone { group: group(1), inboxes: inboxes.iter().copied().map(inbox).collect() };
    apply(&store, vec![done(&[1, 3, 7])]).unwrap();
    assert_eq!(
        store.pending_removals(&group(1)).unwrap(),
        [PendingRemoval { inbox: inbox(2), message: message_id(2) }]
    );
    apply(&store, vec![done(&[2])]).unwrap();
    assert_eq!(store.groups_with_pending_removals().unwrap(), []);
}

#[test]
fn the_commit_log_grows_in_order() {
    let store = with_group();
    let failed = CommitLogRow { sender: None, result: 3, ..log_row(&group(1)) };
    apply(&store, vec![Change::CommitLog(log_row(&group(1))), Change::CommitLog(failed.clone())]).unwrap();
    let log = store.commit_log(&group(1)).unwrap();
    let want = [LoggedCommit { row: 1, entry: log_row(&group(1)) }, LoggedCommit { row: 2, entry: failed }];
    assert_eq!(log, want);
    assert_eq!(store.commit_log(&group(2)).unwrap(), []);
}

#[test]
fn tasks_are_due_in_order_until_done() {
    let store = memory();
    let later = Task { next_at: at(60), ..task(1) };
    apply(&store, vec![Change::Task(later.clone()), Change::Task(task(2))]).unwrap();
    assert_eq!(store.next_task_at().unwrap(), Some(at(50)));
    assert_eq!(store.due_tasks(at(49)).unwrap(), []);
    assert_eq!(store.due_tasks(at(60)).unwrap(), [task(2), later.clone()]);
    let again = Task { attempts: 2, next_at: at(70), ..task(2) };
    apply(&store, vec![Change::Task(again.clone()), Change::TaskDone(SequenceId(1))]).unwrap();
    assert_eq!(store.due_tasks(at(99)).unwrap(), [again]);
    apply(&store, vec![Change::TaskDone(SequenceId(2)), Change::TaskDone(SequenceId(2))]).unwrap();
    assert_eq!(store.next_task_at().unwrap(), None);
}

#[test]
fn a_message_is_delivered_or_fails() {
    let store = with_group();
    let waiting = |id| {
        let mut message = message(&group(1), id, 10);
        message.delivery = Delivery::Unpublished;
        message.position = None;
        write(message)
    };
    let delivered = Change::Delivered { id: message_id(1), at: at(30), position: item(8), expires_at: Some(at(99)) };
    let gone = Change::Delivered { id: message_id(9), at: at(90), position: item(9), expires_at: None };
    apply(&store, vec![waiting(1), waiting(2), delivered, Change::Failed(message_id(2)), gone]).unwrap();
    let first = store.message(&message_id(1)).unwrap().unwrap();
    assert_eq!((first.delivery, first.sent_at), (Delivery::Published, at(30)));
    assert_eq!((first.position, first.expires_at), (Some(item(8)), Some(at(99))));
    assert_eq!(store.message(&message_id(2)).unwrap().unwrap().delivery, Delivery::Failed);
    assert_eq!(store.conversation(&group(1)).unwrap().unwrap().last_message, Some(at(30)));
}
