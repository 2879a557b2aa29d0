//! Lists of conversations and the choice among DMs.

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use diesel::connection::{InstrumentationEvent, set_default_instrumentation};
use subrosa_store::{ConversationFilter, Duplicates, Kinds, Store};
use subrosa_sync::{Change, Consent, ConsentState, Conversation, ConversationKind, MembershipState};
use subrosa_types::{GroupId, SequenceId};

use crate::support::*;

fn ids(conversations: &[Conversation]) -> Vec<u8> {
    conversations.iter().map(|conversation| conversation.id.as_bytes()[0]).collect()
}

fn listed(store: &Store, filter: &ConversationFilter) -> Vec<u8> {
    ids(&store.conversations(filter).unwrap())
}

fn active_at(conversation: Conversation, last_message: Option<i64>) -> Change {
    put(Conversation { last_message: last_message.map(at), ..conversation })
}

#[test]
fn the_latest_activity_comes_first() {
    let store = memory();
    let changes = vec![
        active_at(conversation(&group(1)), Some(2_000)),
        active_at(conversation(&group(2)), None), // created at 1000
        active_at(conversation(&group(3)), Some(3_000)),
        active_at(conversation(&group(4)), Some(500)),
    ];
    apply(&store, changes).unwrap();
    assert_eq!(listed(&store, &ConversationFilter::default()), [3, 1, 2, 4]);
}

#[test]
fn sync_and_oneshot_groups_are_listed_only_when_asked_for() {
    let store = memory();
    let kinds = [ConversationKind::Group, ConversationKind::Dm, ConversationKind::Sync, ConversationKind::Oneshot];
    let of_kind = |(byte, kind)| put(Conversation { kind, ..conversation(&group(byte)) });
    apply(&store, (1..).zip(kinds).map(of_kind).collect()).unwrap();
    assert_eq!(listed(&store, &ConversationFilter::default()), [1, 2]);
    assert_eq!(listed(&store, &ConversationFilter { kinds: Kinds::All, ..Default::default() }), [1, 2, 3, 4]);
}

#[test]
fn no_decision_counts_as_unknown() {
    let store = memory();
    let states = [ConsentState::Unknown, ConsentState::Allowed, ConsentState::Denied];
    let decided = |(byte, state)| Change::Consent(Consent { group: group(byte), state, at: at(1) });
    apply(&store, (1..=4).map(|byte| put(conversation(&group(byte)))).collect()).unwrap();
    apply(&store, (1..).zip(states).map(decided).collect()).unwrap();
    let with = |states: &[ConsentState]| {
        listed(&store, &ConversationFilter { consent: Some(states.to_vec()), ..Default::default() })
    };
    assert_eq!(with(&[ConsentState::Unknown]), [1, 4]);
    assert_eq!(with(&[ConsentState::Unknown, ConsentState::Allowed]), [1, 2, 4]);
    assert_eq!(with(&[ConsentState::Denied]), [3]);
    assert!(with(&[]).is_empty());
    assert_eq!(listed(&store, &ConversationFilter::default()), [1, 2, 3, 4]);
}

#[test]
fn of_several_dms_with_one_inbox_the_newest_is_used() {
    let store = memory();
    let restored = Conversation { membership: MembershipState::Restored, ..dm(&group(4), inbox(7)) };
    let changes = vec![
        active_at(dm(&group(1), inbox(7)), Some(2_000)),
        active_at(dm(&group(2), inbox(7)), Some(3_000)),
        active_at(dm(&group(3), inbox(8)), None),
        active_at(restored, Some(9_000)),
        active_at(conversation(&group(5)), Some(100)),
    ];
    apply(&store, changes).unwrap();
    let chosen = store.dm_with(&inbox(7), at(10_000)).unwrap().unwrap();
    assert_eq!(ids(&[chosen]), [2], "a restored stub is never used");
    assert_eq!(ids(&[store.dm_with(&inbox(8), at(0)).unwrap().unwrap()]), [3]);
    assert!(store.dm_with(&inbox(9), at(0)).unwrap().is_none());
    assert_eq!(store.siblings(&group(1)).unwrap(), [group(1), group(2), group(4)]);
    assert_eq!(store.siblings(&group(5)).unwrap(), [group(5)]);
    assert_eq!(store.siblings(&group(9)).unwrap(), []);
    let hidden = Duplicates::Hidden { now: at(10_000) };
    assert_eq!(listed(&store, &ConversationFilter { duplicates: hidden, ..Default::default() }), [4, 3, 5]);
}

#[test]
fn a_time_from_the_future_does_not_decide_between_dms() {
    let store = memory();
    let changes =
        vec![active_at(dm(&group(1), inbox(7)), Some(i64::MAX)), active_at(dm(&group(2), inbox(7)), Some(4_000))];
    apply(&store, changes).unwrap();
    // Both count as now; the greater id decides.
    assert_eq!(ids(&[store.dm_with(&inbox(7), at(4_000)).unwrap().unwrap()]), [2]);
    assert_eq!(ids(&[store.dm_with(&inbox(7), at(5_000)).unwrap().unwrap()]), [1]);
}

thread_local! {
    static QUERIES: Cell<usize> = const { Cell::new(0) };
}

/// Counts the statements of the calling thread, on connections opened from now on.
fn count_queries() {
    set_default_instrumentation(|| {
        Some(Box::new(|event: InstrumentationEvent<'_>| {
            if matches!(event, InstrumentationEvent::StartQuery { .. }) {
                QUERIES.with(|count| count.set(count.get() + 1));
            }
        }))
    })
    .unwrap();
}

#[test]
fn ten_thousand_conversations_are_listed_with_one_query() {
    count_queries();
    let folder = Folder::new();
    let store = folder.open();
    let members: BTreeMap<_, _> = (0..3).map(|byte| (inbox(byte), SequenceId(1))).collect();
    let changes: Vec<Change> = (0..10_000u32)
        .map(|n| {
            let id = GroupId::from_slice(&n.to_be_bytes()).unwrap();
            put(Conversation { members: members.clone(), last_message: Some(at(n.into())), ..conversation(&id) })
        })
        .collect();
    apply(&store, changes).unwrap();
    let filter = ConversationFilter {
        consent: Some(vec![ConsentState::Unknown, ConsentState::Allowed]),
        duplicates: Duplicates::Hidden { now: at(1) },
        ..Default::default()
    };
    store.conversations(&ConversationFilter { consent: Some(vec![]), ..filter.clone() }).unwrap(); // opens the reader
    let before = QUERIES.get();
    let started = std::time::Instant::now();
    let found = store.conversations(&filter).unwrap();
    let took = started.elapsed();
    assert_eq!((found.len(), QUERIES.get() - before), (10_000, 1));
    assert_eq!(found[0].last_message, Some(at(9_999)));
    assert!(took < Duration::from_secs(5), "{took:?}");
}
