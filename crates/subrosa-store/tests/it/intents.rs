//! Intents: transitions, payloads and the hashes that recognise late copies.

use subrosa_intent::{IntentError, IntentKind, IntentState as S};
use subrosa_store::Store;
use subrosa_sync::{Change, Intent, IntentId, PayloadChange};

use crate::support::*;

/// A store with one conversation and one intent of this kind.
fn queued(kind: IntentKind) -> (Store, IntentId) {
    let store = memory();
    let changes = vec![put(conversation(&group(1))), Change::NewIntent(new_intent(&group(1), kind))];
    let applied = apply(&store, changes).unwrap();
    (store, applied.intents[0])
}

fn set(byte: u8) -> PayloadChange {
    PayloadChange::Set(Box::new(payload(byte)))
}

fn read(store: &Store, id: IntentId) -> Intent {
    store.intent(id).unwrap().unwrap()
}

#[test]
fn ids_come_back_in_the_order_of_the_changes() {
    let store = memory();
    let queue = |kind| Change::NewIntent(new_intent(&group(1), kind));
    let changes = vec![put(conversation(&group(1))), queue(IntentKind::KeyUpdate), queue(IntentKind::SendMessage)];
    let applied = apply(&store, changes).unwrap();
    assert!(applied.intents[0] < applied.intents[1]);
    let found = store.intents(&group(1), &[S::ToPublish]).unwrap();
    assert_eq!(found.iter().map(|intent| intent.id).collect::<Vec<_>>(), applied.intents);
    assert_eq!(found[1].new, new_intent(&group(1), IntentKind::SendMessage));
    assert_eq!((found[0].state, found[0].attempts, &found[0].payload), (S::ToPublish, 0, &None));
}

#[test]
fn a_payload_is_stored_and_read_back_as_it_was() {
    let (store, id) = queued(IntentKind::MetadataUpdate);
    apply(&store, vec![step(id, S::ToPublish, S::Published, set(1))]).unwrap();
    let intent = read(&store, id);
    assert_eq!((intent.state, intent.payload), (S::Published, Some(payload(1))));
    assert_eq!(intent.earlier, Vec::<[u8; 32]>::new());
    assert_eq!(store.intent_by_hash(&group(1), &[1; 32]).unwrap().unwrap().id, id);
    assert_eq!(store.intent_by_hash(&group(2), &[1; 32]).unwrap(), None, "another group");
    assert_eq!(store.intent_by_hash(&group(1), &[2; 32]).unwrap(), None);
}

#[test]
fn earlier_payloads_stay_recognised() {
    let (store, id) = queued(IntentKind::MetadataUpdate);
    apply(&store, vec![step(id, S::ToPublish, S::Published, set(1))]).unwrap();
    apply(&store, vec![step(id, S::Published, S::ToPublish, PayloadChange::Drop)]).unwrap();
    let dropped = read(&store, id);
    assert_eq!((dropped.payload, dropped.earlier), (None, vec![[1; 32]]));
    assert_eq!(dropped.new.data, b"wanted");

    apply(&store, vec![step(id, S::ToPublish, S::Published, set(2))]).unwrap();
    let again = read(&store, id);
    assert_eq!((again.payload.unwrap().hash, again.earlier), ([2; 32], vec![[1; 32]]));
    for hash in [[1; 32], [2; 32]] {
        assert_eq!(store.intent_by_hash(&group(1), &hash).unwrap().unwrap().id, id);
    }
}

#[test]
fn the_same_payload_may_be_set_again() {
    let (store, id) = queued(IntentKind::KeyUpdate);
    apply(&store, vec![step(id, S::ToPublish, S::Published, set(1))]).unwrap();
    apply(&store, vec![step(id, S::Published, S::Published, set(1))]).unwrap();
    assert_eq!(read(&store, id).payload, Some(payload(1)));
}

#[test]
fn a_finished_intent_keeps_its_hash_and_position_only() {
    let (store, id) = queued(IntentKind::UpdateAdminList);
    apply(&store, vec![step(id, S::ToPublish, S::Published, set(1))]).unwrap();
    let committed = Change::Intent {
        id,
        from: S::Published,
        to: S::Committed,
        attempts: 2,
        error: None,
        payload: PayloadChange::Keep,
        resolved_at: Some(commit(12)),
    };
    apply(&store, vec![committed]).unwrap();
    apply(&store, vec![step(id, S::Committed, S::Processed, PayloadChange::Finish)]).unwrap();
    let done = read(&store, id);
    assert_eq!((done.state, done.payload, done.new.data.len()), (S::Processed, None, 0));
    assert_eq!((done.earlier, done.resolved_at), (vec![[1; 32]], Some(commit(12))));
    assert_eq!(store.intent_by_hash(&group(1), &[1; 32]).unwrap().unwrap().state, S::Processed);
}

#[test]
fn a_failed_intent_says_what_it_wanted_but_not_which_message() {
    for (kind, kept) in [(IntentKind::UpdateAdminList, true), (IntentKind::SendMessage, false)] {
        let (store, id) = queued(kind);
        let failed = Change::Intent {
            id,
            from: S::ToPublish,
            to: S::Error,
            attempts: 3,
            error: Some(IntentError::CannotBuild),
            payload: PayloadChange::Finish,
            resolved_at: None,
        };
        apply(&store, vec![failed]).unwrap();
        let intent = read(&store, id);
        assert_eq!((intent.state, intent.attempts, intent.error), (S::Error, 3, Some(IntentError::CannotBuild)));
        assert_eq!(!intent.new.data.is_empty(), kept, "{kind:?}");
    }
}

#[test]
fn outstanding_intents_name_their_groups() {
    let store = memory();
    let queue = |byte| Change::NewIntent(new_intent(&group(byte), IntentKind::KeyUpdate));
    let changes = vec![put(conversation(&group(1))), put(conversation(&group(2))), queue(2), queue(1), queue(2)];
    let applied = apply(&store, changes).unwrap();
    assert_eq!(store.groups_with_outstanding_intents().unwrap(), [group(2), group(1)]);
    let done = |id| step(id, S::ToPublish, S::Processed, PayloadChange::Finish);
    apply(&store, vec![done(applied.intents[1])]).unwrap();
    assert_eq!(store.groups_with_outstanding_intents().unwrap(), [group(2)]);
    apply(&store, vec![done(applied.intents[0]), done(applied.intents[2])]).unwrap();
    assert_eq!(store.groups_with_outstanding_intents().unwrap(), []);
    assert_eq!(store.intents(&group(2), &[S::Processed]).unwrap().len(), 2);
    assert_eq!(store.load_group(&group(2)).unwrap().unwrap().intents, []);
}

#[test]
fn one_transition_wins() {
    let (store, id) = queued(IntentKind::SendMessage);
    let publish = |byte| apply(&store, vec![step(id, S::ToPublish, S::Published, set(byte))]);
    publish(1).unwrap();
    assert!(publish(2).unwrap_err().is_conflict());
    assert_eq!(read(&store, id).payload, Some(payload(1)));
    assert_eq!(store.intent_by_hash(&group(1), &[2; 32]).unwrap(), None, "the loser's hash is not kept");
}
