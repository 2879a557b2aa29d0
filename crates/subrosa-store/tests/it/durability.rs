//! Crashes, and two processes on one file.

use std::{collections::BTreeSet, path::Path};

use proptest::prelude::*;
use subrosa_store::{MessageQuery, Store, StoreError};
use subrosa_sync::{Change, Durability};
use subrosa_types::SequenceId;

use crate::support::*;

/// One envelope: its message and the cursor that passes it.
fn envelope(number: u8) -> Vec<Change> {
    vec![
        Change::Cursor { entity: messages_of(&group(1)), to: item(number.into()) },
        write(message(&group(1), number, number.into())),
        put_row(row_key(group(1).as_bytes(), 1, b"ratchet"), &[number]),
    ]
}

/// Asserts that cursor, messages and ratchet tell the same story, and says how far it goes.
fn consistent(store: &Store) -> u8 {
    let Some(loaded) = store.load_group(&group(1)).unwrap() else { return 0 };
    let passed = loaded.positions.first().map_or(SequenceId(0), |at| at.sequence);
    let stored = store.count_messages(&MessageQuery::of([group(1)])).unwrap();
    let ratchet = loaded.rows.first().map_or(0, |(_, value)| value[0]);
    assert_eq!((passed.0, stored), (ratchet.into(), ratchet.into()));
    ratchet
}

fn copy(folder: &Folder, to: &Path, log_bytes: usize) {
    std::fs::copy(folder.path("client.db"), to.join("client.db")).unwrap();
    let log = std::fs::read(folder.path("client.db-wal")).unwrap();
    std::fs::write(to.join("client.db-wal"), &log[..log.len().min(log_bytes)]).unwrap();
}

#[test]
fn a_killed_process_leaves_everything_that_was_applied() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, vec![put(conversation(&group(1)))]).unwrap();
    for number in 1..=20 {
        apply(&store, envelope(number)).unwrap();
    }
    let after = Folder::new();
    copy(&folder, after.path("").as_path(), usize::MAX);
    assert_eq!(consistent(&after.open()), 20);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A power cut keeps some part of the log that was being written.
    #[test]
    fn a_torn_log_holds_whole_transactions(kept in 0usize..400_000) {
        let folder = Folder::new();
        let store = folder.open();
        apply(&store, vec![put(conversation(&group(1)))]).unwrap();
        for number in 1..=15 {
            apply(&store, envelope(number)).unwrap();
        }
        let after = Folder::new();
        copy(&folder, after.path("").as_path(), kept);
        // Before the first checkpoint the file itself may be empty; then so is the database.
        let reached = consistent(&after.open());
        prop_assert!(reached <= 15);
    }
}

#[test]
fn durable_and_plain_writes_alternate() {
    let folder = Folder::new();
    let store = folder.open();
    store.apply_blocking(&[put(conversation(&group(1)))], Durability::Power).unwrap();
    for number in 1..=6 {
        let durability = if number % 2 == 0 { Durability::Power } else { Durability::Process };
        store.apply_blocking(&envelope(number), durability).unwrap();
    }
    assert_eq!(consistent(&store), 6);
}

#[test]
fn two_processes_apply_each_envelope_once() {
    let folder = Folder::new();
    let (one, two) = (folder.open(), folder.open());
    apply(&one, vec![put(conversation(&group(1)))]).unwrap();
    let winners: Vec<u8> = std::thread::scope(|scope| {
        let work = |store: Store| {
            move || {
                let won = |number: &u8| match apply(&store, envelope(*number)) {
                    Ok(_) => true,
                    Err(StoreError::CursorPassed { .. }) => false,
                    Err(error) => panic!("{error:?}"),
                };
                (1..=40u8).filter(won).collect::<Vec<_>>()
            }
        };
        let threads = [scope.spawn(work(one.clone())), scope.spawn(work(two))];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let distinct: BTreeSet<u8> = winners.iter().copied().collect();
    assert_eq!(distinct.len(), winners.len(), "an envelope was applied twice");
    assert_eq!(consistent_cursor(&one), 40);
}

fn consistent_cursor(store: &Store) -> u64 {
    store.cursor(&messages_of(&group(1))).unwrap()[0].sequence.0
}

#[test]
fn the_slower_of_two_processes_learns_that_the_group_moved() {
    let folder = Folder::new();
    let (one, two) = (folder.open(), folder.open());
    apply(&one, vec![put(conversation(&group(1)))]).unwrap();
    let read = two.load_group(&group(1)).unwrap().unwrap().conversation.version;
    let step = |value: u8| {
        vec![
            Change::Guard { group: group(1), version: read },
            put_row(row_key(group(1).as_bytes(), 1, b"ratchet"), &[value]),
        ]
    };
    let applied = apply(&one, step(1)).unwrap();
    assert_eq!(applied.versions[&group(1)], read + 1);
    let error = apply(&two, step(2)).unwrap_err();
    assert!(matches!(&error, StoreError::Stale { group } if *group == crate::support::group(1)), "{error:?}");
    assert!(error.is_conflict() && error.is_retryable());
    let loaded = two.load_group(&group(1)).unwrap().unwrap();
    assert_eq!((loaded.conversation.version, loaded.rows[0].1.as_slice()), (read + 1, &[1][..]));
}

#[test]
fn a_reader_sees_what_another_process_wrote() {
    let folder = Folder::new();
    let (one, two) = (folder.open(), folder.open());
    assert!(two.conversation(&group(1)).unwrap().is_none());
    apply(&one, vec![put(conversation(&group(1)))]).unwrap();
    assert!(two.conversation(&group(1)).unwrap().is_some());
}

#[tokio::test]
async fn many_tasks_write_one_store() {
    let folder = Folder::new();
    for store in [memory(), folder.open()] {
        let tasks: Vec<_> = (0..200u8)
            .map(|byte| {
                let store = store.clone();
                tokio::spawn(
                    async move { store.apply(vec![put(conversation(&group(byte)))], Durability::Process).await },
                )
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let listed = store.run(|store| store.conversations(&Default::default())).await.unwrap();
        assert_eq!(listed.len(), 200);
    }
}
