//! Messages: idempotence, order, filters, disappearing.

use subrosa_store::{MessageOrder, MessageQuery, Store};
use subrosa_sync::{Delivery, Message, MessageKind};

use crate::support::*;

fn ids(messages: &[Message]) -> Vec<u8> {
    messages.iter().map(|message| message.id.as_bytes()[0]).collect()
}

/// Groups 1 and 2, with messages (id, group, time).
fn filled(messages: &[(u8, u8, i64)]) -> Store {
    let store = memory();
    apply(&store, vec![put(conversation(&group(1))), put(conversation(&group(2)))]).unwrap();
    apply(&store, messages.iter().map(|(id, of, time)| write(message(&group(*of), *id, *time))).collect()).unwrap();
    store
}

#[test]
fn a_message_is_stored_once_and_stays_as_it_was() {
    let store = filled(&[(1, 1, 10)]);
    let mut again = message(&group(1), 1, 99);
    again.content = b"other".to_vec();
    let applied = apply(&store, vec![write(again), write(message(&group(1), 2, 20))]).unwrap();
    assert_eq!(applied.messages, [message_id(2)], "only the new one is reported");
    assert_eq!(store.message(&message_id(1)).unwrap(), Some(message(&group(1), 1, 10)));
    assert_eq!(store.conversation(&group(1)).unwrap().unwrap().last_message, Some(at(20)));
}

#[test]
fn every_field_is_read_back() {
    let store = filled(&[]);
    let full = Message {
        kind: MessageKind::Transcript,
        delivery: Delivery::Failed,
        position: None,
        expires_at: Some(at(i64::MAX)),
        sent_at: at(i64::MIN),
        ..message(&group(2), 200, 0)
    };
    apply(&store, vec![write(full.clone())]).unwrap();
    assert_eq!(store.message(&full.id).unwrap(), Some(full.clone()));
    assert_eq!(store.messages(&MessageQuery::of([group(2)])).unwrap(), [full]);
}

#[test]
fn last_message_is_the_newest_whatever_the_order() {
    let store = filled(&[(1, 1, 10), (2, 1, 30), (3, 1, 20)]);
    apply(&store, vec![write(message(&group(1), 4, 5))]).unwrap();
    assert_eq!(store.conversation(&group(1)).unwrap().unwrap().last_message, Some(at(30)));
    assert_eq!(store.conversation(&group(2)).unwrap().unwrap().last_message, None);
}

#[test]
fn messages_of_several_groups_are_one_list() {
    let store = filled(&[(1, 1, 30), (2, 2, 10), (3, 1, 20), (4, 2, 20), (5, 2, 40)]);
    let both = MessageQuery::of([group(1), group(2), group(9)]);
    assert_eq!(ids(&store.messages(&both).unwrap()), [2, 3, 4, 1, 5], "ties in the order they were stored");
    let newest = MessageQuery { order: MessageOrder::Descending, limit: Some(3), ..both.clone() };
    assert_eq!(ids(&store.messages(&newest).unwrap()), [5, 1, 4]);
    let oldest = MessageQuery { limit: Some(2), ..both.clone() };
    assert_eq!(ids(&store.messages(&oldest).unwrap()), [2, 3]);
    assert_eq!(store.count_messages(&oldest).unwrap(), 5, "a limit does not change the count");
    let none = MessageQuery { limit: Some(0), ..both };
    assert!(store.messages(&none).unwrap().is_empty());
    assert!(store.messages(&MessageQuery::default()).unwrap().is_empty());
}

#[test]
fn a_window_excludes_its_ends() {
    let store = filled(&[(1, 1, 10), (2, 1, 20), (3, 1, 30)]);
    let window = |after, before| {
        let query = MessageQuery { after, before, ..MessageQuery::of([group(1)]) };
        ids(&store.messages(&query).unwrap())
    };
    assert_eq!(window(Some(at(10)), Some(at(30))), [2]);
    assert_eq!(window(Some(at(9)), None), [1, 2, 3]);
    assert_eq!(window(None, Some(at(20))), [1]);
}

#[test]
fn kind_and_delivery_select() {
    let store = filled(&[(1, 1, 10)]);
    let transcript = Message { kind: MessageKind::Transcript, ..message(&group(1), 2, 20) };
    let waiting = Message { delivery: Delivery::Unpublished, position: None, ..message(&group(1), 3, 30) };
    apply(&store, vec![write(transcript), write(waiting)]).unwrap();
    let all = MessageQuery::of([group(1)]);
    let select = |kind, delivery| {
        let query = MessageQuery { kind, delivery, ..all.clone() };
        (ids(&store.messages(&query).unwrap()), store.count_messages(&query).unwrap())
    };
    assert_eq!(select(Some(MessageKind::Transcript), None), (vec![2], 1));
    assert_eq!(select(Some(MessageKind::Application), None), (vec![1, 3], 2));
    assert_eq!(select(None, Some(Delivery::Unpublished)), (vec![3], 1));
    assert_eq!(select(Some(MessageKind::Transcript), Some(Delivery::Unpublished)), (vec![], 0));
}

#[test]
fn a_position_finds_its_message_in_its_group() {
    let store = filled(&[(1, 1, 10), (2, 2, 20)]);
    assert_eq!(store.message_at(&group(1), item(1)).unwrap().unwrap().id, message_id(1));
    assert_eq!(store.message_at(&group(2), item(1)).unwrap(), None);
    assert_eq!(store.message_at(&group(1), commit(1)).unwrap(), None);
}

#[test]
fn messages_disappear_when_their_time_has_come() {
    let store = filled(&[(1, 1, 10)]);
    let until = |id, nanos| Message { expires_at: Some(at(nanos)), ..message(&group(1), id, 20) };
    let waiting = Message { delivery: Delivery::Unpublished, ..until(4, 50) };
    let transcript = Message { kind: MessageKind::Transcript, ..until(5, 50) };
    apply(&store, [until(2, 50), until(3, 60), waiting, transcript].map(write).into()).unwrap();
    let seen = |now| ids(&store.messages(&MessageQuery { now, ..MessageQuery::of([group(1)]) }).unwrap());
    assert_eq!(seen(Some(at(50))), [1, 3], "not shown, though not yet deleted");
    assert_eq!(seen(None), [1, 2, 3, 4, 5]);
    assert_eq!(store.next_expiry().unwrap(), Some(at(50)));
    assert_eq!(store.delete_expired(at(49)).unwrap(), []);
    assert_eq!(store.delete_expired(at(50)).unwrap(), [(group(1), message_id(2))]);
    assert_eq!(store.next_expiry().unwrap(), Some(at(60)));
    assert_eq!(seen(None), [1, 3, 4, 5], "only delivered messages of members go");
}

#[test]
fn a_deleted_message_is_gone() {
    let store = filled(&[(1, 1, 10)]);
    assert!(store.delete_message(&message_id(1)).unwrap());
    assert!(!store.delete_message(&message_id(1)).unwrap());
    assert_eq!(store.message(&message_id(1)).unwrap(), None);
}

#[test]
fn a_reader_that_missed_messages_finds_them_in_the_order_they_were_stored() {
    let store = filled(&[(1, 1, 30), (2, 2, 10)]);
    let mark = store.newest_mark().unwrap();
    assert_eq!(store.mark_of(&message_id(2)).unwrap(), Some(mark));
    store.delete_message(&message_id(2)).unwrap();
    apply(&store, vec![write(message(&group(1), 3, 5)), write(message(&group(2), 4, 1))]).unwrap();
    let missed = store.messages_after(mark, 10).unwrap();
    assert_eq!(missed.iter().map(|(_, id)| *id).collect::<Vec<_>>(), [message_id(3), message_id(4)]);
    assert_eq!(store.messages_after(mark, 1).unwrap(), missed[..1]);
}
