//! Own identity, registration, key packages, and the cache of identity logs.

use subrosa_group::RowChanges;
use subrosa_store::{KeyPackageRecord, LoggedUpdate, PendingRegistration, StoreError, StoredIdentity};
use subrosa_sync::Change;
use subrosa_types::{InboxId, SequenceId};
use zeroize::Zeroizing;

use crate::support::*;

fn own() -> StoredIdentity {
    StoredIdentity {
        inbox: inbox(1),
        seed: Zeroizing::new([0xA7; 32]),
        registered: false,
        hmac_root: Zeroizing::new([0xB8; 42]),
        next_rotation: at(500),
    }
}

fn pending(stage: i32) -> PendingRegistration {
    PendingRegistration { identity_update: vec![1; 9], key_package: vec![2; 9], stage }
}

#[test]
fn an_identity_survives_and_registration_clears_what_was_pending() {
    let folder = Folder::new();
    let store = folder.open();
    assert_eq!(store.identity().unwrap(), None);
    assert!(matches!(store.key_package_rotated(&[1], at(1)), Err(StoreError::NoIdentity)));
    store.begin_registration(&own(), &pending(1), &[]).unwrap();
    store.begin_registration(&own(), &pending(2), &[]).unwrap();
    drop(store);

    let store = folder.open();
    assert_eq!(store.identity().unwrap(), Some(own()));
    assert_eq!(store.pending_registration().unwrap(), Some(pending(2)));
    store.key_package_rotated(&[1], at(1)).unwrap();
    store.set_hmac_root(&[9; 42]).unwrap();
    let want = StoredIdentity { registered: true, hmac_root: Zeroizing::new([9; 42]), ..own() };
    assert_eq!(store.identity().unwrap(), Some(want));
    assert_eq!(store.pending_registration().unwrap(), None);
}

#[test]
fn an_identity_is_never_overwritten_by_another() {
    let store = memory();
    begin(&store, &own()).unwrap();
    for other in
        [StoredIdentity { inbox: inbox(2), ..own() }, StoredIdentity { seed: Zeroizing::new([0; 32]), ..own() }]
    {
        assert!(matches!(begin(&store, &other), Err(StoreError::OtherIdentity)));
    }
    begin(&store, &StoredIdentity { next_rotation: at(7), ..own() }).unwrap();
    assert_eq!(store.identity().unwrap().unwrap().next_rotation, at(7));
}

#[test]
fn a_registration_begins_with_everything_or_nothing() {
    let store = memory();
    let package = |byte: u8| {
        [
            Change::KeyPackageStored { hash_ref: vec![byte], created_at: at(1) },
            put_row(row_key(&[], 32, &[byte]), b"private"),
        ]
    };
    store.begin_registration(&own(), &pending(1), &package(1)).unwrap();
    assert_eq!((store.identity().unwrap(), store.pending_registration().unwrap()), (Some(own()), Some(pending(1))));
    let other = StoredIdentity { inbox: inbox(2), ..own() };
    let refused = store.begin_registration(&other, &pending(2), &package(2));
    assert!(matches!(refused, Err(StoreError::OtherIdentity)));
    assert_eq!(store.pending_registration().unwrap(), Some(pending(1)), "what was under way stays");
    assert_eq!((store.key_packages().unwrap().len(), store.installation_rows().unwrap().len()), (1, 1));

    store.begin_key_package(&pending(3), &package(3), at(1_000)).unwrap();
    assert_eq!(store.identity().unwrap().unwrap().next_rotation, at(1_000));
    assert_eq!(store.pending_registration().unwrap(), Some(pending(3)));
    store.key_package_rotated(&[3], at(100)).unwrap();
    assert!(store.identity().unwrap().unwrap().registered, "a key package in use belongs to a registered installation");
    assert_eq!(store.pending_registration().unwrap(), None);
    let in_use: Vec<_> = store.key_packages().unwrap().into_iter().filter(|one| one.delete_at.is_none()).collect();
    assert_eq!(in_use.len(), 1);
}

#[test]
fn only_an_identity_that_is_not_registered_is_discarded() {
    let store = memory();
    let stored = Change::KeyPackageStored { hash_ref: vec![1], created_at: at(1) };
    begin(&store, &own()).unwrap();
    apply(&store, vec![stored, put_row(row_key(&[], 32, &[1]), b"private")]).unwrap();
    store.discard_registration().unwrap();
    assert_eq!((store.identity().unwrap(), store.pending_registration().unwrap()), (None, None));
    assert_eq!((store.key_packages().unwrap(), store.installation_rows().unwrap()), (vec![], vec![]));

    begin(&store, &own()).unwrap();
    store.key_package_rotated(&[1], at(1)).unwrap();
    store.discard_registration().unwrap();
    assert!(store.identity().unwrap().unwrap().registered);
}

#[test]
fn an_identity_is_printed_without_its_secrets() {
    let text = format!("{:?}", own());
    assert!(!text.contains("167") && !text.contains("184"), "{text}");
}

#[test]
fn rotation_is_only_brought_forward() {
    let store = memory();
    assert!(matches!(apply(&store, vec![Change::RotateKeyPackageBy(at(1))]), Err(StoreError::NoIdentity)));
    begin(&store, &own()).unwrap();
    for (by, want) in [(900, 500), (400, 400), (450, 400)] {
        apply(&store, vec![Change::RotateKeyPackageBy(at(by))]).unwrap();
        assert_eq!(store.identity().unwrap().unwrap().next_rotation, at(want));
    }
}

#[test]
fn a_rotated_key_package_goes_after_its_time_with_its_keys() {
    let store = memory();
    begin(&store, &own()).unwrap();
    let made = |byte: u8| {
        let stored = Change::KeyPackageStored { hash_ref: vec![byte], created_at: at(byte.into()) };
        apply(&store, vec![stored, put_row(row_key(&[], 32, &[byte]), b"private")]).unwrap();
    };
    let record = |byte: u8, delete_at: Option<i64>| KeyPackageRecord {
        hash_ref: vec![byte],
        created_at: at(byte.into()),
        delete_at: delete_at.map(at),
    };
    made(1);
    made(2);
    store.key_package_rotated(&[2], at(100)).unwrap();
    made(3);
    store.key_package_rotated(&[3], at(200)).unwrap();
    let all = [record(1, Some(100)), record(2, Some(200)), record(3, None)];
    assert_eq!(store.key_packages().unwrap(), all);
    assert_eq!(store.identity().unwrap().unwrap().next_rotation, at(500), "set when it was made");
    assert_eq!(store.expired_key_packages(at(99)).unwrap(), []);
    assert_eq!(store.expired_key_packages(at(100)).unwrap(), [record(1, Some(100))]);

    let rows = RowChanges { delete: vec![row_key(&[], 32, &[1])], ..RowChanges::default() };
    store.expire_key_packages([&[1][..]], &rows).unwrap();
    assert_eq!(store.key_packages().unwrap(), all[1..]);
    assert_eq!(store.installation_rows().unwrap().len(), 2);
}

fn update(byte: u8, sequence: u64) -> LoggedUpdate {
    let payload = sequence.to_be_bytes().to_vec();
    LoggedUpdate { inbox: inbox(byte), sequence: SequenceId(sequence), server_time: at(1), payload }
}

#[test]
fn an_identity_log_is_kept_in_order_without_duplicates() {
    let store = memory();
    let other = LoggedUpdate { payload: b"other".to_vec(), ..update(1, 5) };
    store.insert_identity_updates(&[update(1, 9), update(1, 5), update(2, 7), other]).unwrap();
    store.insert_identity_updates(&[update(1, 9), update(1, 300)]).unwrap();
    let want = [5, 9, 300].map(|n: u64| (SequenceId(n), n.to_be_bytes().to_vec()));
    assert_eq!(store.identity_log(&inbox(1)).unwrap(), want);
    assert_eq!(store.identity_log(&inbox(3)).unwrap(), []);
    let heads = store.identity_heads(&[inbox(1), inbox(2), inbox(3)]).unwrap();
    assert_eq!(heads.len(), 2);
    assert_eq!((heads[&inbox(1)], heads[&inbox(2)]), (SequenceId(300), SequenceId(7)));
}

#[test]
fn heads_of_more_inboxes_than_one_query_takes() {
    let store = memory();
    let inbox = |n: u16| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&n.to_be_bytes());
        InboxId::from_bytes(bytes)
    };
    let inboxes: Vec<InboxId> = (0..1_300).map(inbox).collect();
    let updates: Vec<LoggedUpdate> =
        inboxes.iter().map(|inbox| LoggedUpdate { inbox: *inbox, ..update(0, 3) }).collect();
    store.insert_identity_updates(&updates).unwrap();
    assert_eq!(store.identity_heads(&inboxes).unwrap().len(), 1_300);
    assert_eq!(store.identity_logs(&inboxes).unwrap().len(), 1_300);
    assert_eq!(store.identity_heads(&[]).unwrap().len(), 0);
}
