//! A database with something in every table. What it holds is fixed: databases that earlier releases filled with it
//! are kept and read.

use subrosa_group::RowKey;
use subrosa_intent::{IntentKind, IntentState};
use subrosa_store::{LoggedUpdate, PendingRegistration, Store, StoredIdentity};
use subrosa_sync::{Change, CommitLogRow, Consent, ConsentState, IntentId, PayloadChange, Task};
use subrosa_types::{Epoch, SequenceId};
use zeroize::Zeroizing;

use crate::support::*;

pub(crate) fn identity() -> StoredIdentity {
    StoredIdentity {
        inbox: inbox(1),
        seed: Zeroizing::new([2; 32]),
        registered: false,
        hmac_root: Zeroizing::new([3; 42]),
        next_rotation: at(500),
    }
}

pub(crate) fn pending() -> PendingRegistration {
    PendingRegistration { identity_update: vec![4; 20], key_package: vec![5; 30], stage: 2 }
}

pub(crate) fn update() -> LoggedUpdate {
    LoggedUpdate { inbox: inbox(1), sequence: SequenceId(6), server_time: at(7), payload: vec![8; 40] }
}

pub(crate) fn task() -> Task {
    Task { welcome: vec![9; 50], sequence: SequenceId(10), attempts: 1, next_at: at(20), expires_at: at(30) }
}

pub(crate) fn log_row() -> CommitLogRow {
    CommitLogRow {
        group: group(1),
        commit: SequenceId(4),
        authenticator_before: vec![1; 32],
        result: 1,
        epoch: Epoch(2),
        authenticator: vec![2; 32],
        sender: Some((inbox(1), installation(1))),
        note: "key update".into(),
    }
}

pub(crate) fn row() -> (RowKey, Vec<u8>) {
    (row_key(group(1).as_bytes(), 5, b"key"), vec![11; 5_000])
}

/// Fills a new database.
pub(crate) fn fill(store: &Store) {
    store.begin_registration(&identity(), &pending(), &[]).unwrap();
    store.insert_identity_updates(&[update()]).unwrap();
    let (key, value) = row();
    let changes = vec![
        put(conversation(&group(1))),
        put(dm(&group(2), inbox(9))),
        put_row(key, &value),
        Change::Cursor { entity: messages_of(&group(1)), to: item(3) },
        write(message(&group(1), 1, 2_000)),
        Change::NewIntent(new_intent(&group(1), IntentKind::MetadataUpdate)),
        Change::CommitLog(log_row()),
        Change::Consent(Consent { group: group(2), state: ConsentState::Denied, at: at(5) }),
        Change::PendingRemove { group: group(1), inbox: inbox(2), message: message_id(4) },
        Change::Task(task()),
        Change::KeyPackageStored { hash_ref: vec![1; 32], created_at: at(1) },
    ];
    apply(store, changes).unwrap();
    let set = PayloadChange::Set(Box::new(payload(6)));
    apply(store, vec![step(IntentId(1), IntentState::ToPublish, IntentState::Published, set)]).unwrap();
}
