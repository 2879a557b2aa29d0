//! Opening: keys, foreign files, formats, permissions, closing.

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use subrosa_store::{Encryption, FORMAT, Location, OpenError, Store, StoreError};

use crate::support::*;

fn open_error(location: Location, encryption: Encryption) -> OpenError {
    Store::open(location, encryption).map(drop).unwrap_err()
}

#[test]
fn a_reopened_database_holds_what_was_written() {
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, vec![put(conversation(&group(1)))]).unwrap();
    store.close();
    assert_eq!(folder.open().conversation(&group(1)).unwrap(), Some(conversation(&group(1))));
}

#[test]
fn a_closed_store_says_so_and_closing_twice_is_fine() {
    let folder = Folder::new();
    let store = folder.open();
    let clone = store.clone();
    assert!(store.conversation(&group(1)).unwrap().is_none());
    store.close();
    store.close();
    assert!(matches!(clone.conversation(&group(1)), Err(StoreError::Closed)));
    assert!(matches!(apply(&clone, vec![]), Err(StoreError::Closed)));
    assert!(!folder.path("client.db-wal").exists(), "the last connection leaves one file");
}

#[test]
fn memory_is_gone_with_the_store() {
    let store = memory();
    apply(&store, vec![put(conversation(&group(1)))]).unwrap();
    assert!(store.clone().conversation(&group(1)).unwrap().is_some());
    drop(store);
    assert!(memory().conversation(&group(1)).unwrap().is_none());
}

#[test]
fn names_that_sqlite_would_take_for_something_else_are_paths() {
    let folder = Folder::new();
    for name in [":memory:", "file:x?mode=memory", "a b'\"%20?#.db"] {
        let location = Location::File(folder.path(name));
        let store = Store::open(location.clone(), encryption()).unwrap();
        apply(&store, vec![put(conversation(&group(1)))]).unwrap();
        drop(store);
        assert!(folder.path(name).exists(), "{name}");
        let store = Store::open(location, encryption()).unwrap();
        assert!(store.conversation(&group(1)).unwrap().is_some(), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let store = folder.open();
    apply(&store, vec![put(conversation(&group(1)))]).unwrap();
    for name in ["client.db", "client.db-wal", "client.db-shm"] {
        let mode = std::fs::metadata(folder.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_missing_folder_is_an_error_of_the_file_system() {
    let folder = Folder::new();
    let error = open_error(Location::File(folder.path("no/such.db")), Encryption::None);
    assert!(matches!(error, OpenError::Io(_)), "{error:?}");
}

#[test]
fn a_file_that_is_not_a_database_is_refused_and_not_touched() {
    let folder = Folder::new();
    let text = b"dear diary, ".repeat(1_000);
    std::fs::write(folder.path("client.db"), &text).unwrap();
    let error = open_error(folder.file(), Encryption::None);
    assert!(matches!(error, OpenError::NotADatabase), "{error:?}");
    assert_eq!(std::fs::read(folder.path("client.db")).unwrap(), text);
}

#[test]
fn a_database_of_other_software_is_refused_and_not_touched() {
    let folder = Folder::new();
    let mut other = SqliteConnection::establish(folder.path("client.db").to_str().unwrap()).unwrap();
    other.batch_execute("CREATE TABLE t (x); PRAGMA application_id = 5").unwrap();
    drop(other);
    let before = folder.bytes();
    let error = open_error(folder.file(), Encryption::None);
    assert!(matches!(error, OpenError::Foreign { application_id: 5 }), "{error:?}");
    assert_eq!(folder.bytes(), before);
}

#[test]
fn a_newer_format_is_refused() {
    let folder = Folder::new();
    drop(Store::open(folder.file(), Encryption::None).unwrap());
    let mut newer = SqliteConnection::establish(folder.path("client.db").to_str().unwrap()).unwrap();
    newer.batch_execute(&format!("PRAGMA user_version = {}", FORMAT + 1)).unwrap();
    drop(newer);
    let error = open_error(folder.file(), Encryption::None);
    assert!(matches!(error, OpenError::NewerSchema { found, known: FORMAT } if found == FORMAT + 1), "{error:?}");
}

#[test]
fn many_openers_of_a_new_file_make_one_schema() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| folder.open())).collect();
        for (byte, thread) in (0..).zip(threads) {
            apply(&thread.join().unwrap(), vec![put(conversation(&group(byte)))]).unwrap();
        }
    });
    assert_eq!(folder.open().conversations(&Default::default()).unwrap().len(), 8);
}

#[cfg(not(feature = "encryption"))]
#[test]
fn a_build_without_a_cipher_refuses_a_key() {
    let folder = Folder::new();
    for location in [folder.file(), Location::Memory] {
        let error = open_error(location, Encryption::Key(key(1)));
        assert!(matches!(error, OpenError::NoCipher), "{error:?}");
    }
}

#[cfg(feature = "encryption")]
mod encrypted {
    use super::*;

    #[test]
    fn a_wrong_key_is_told() {
        let folder = Folder::new();
        drop(folder.open());
        let error = open_error(folder.file(), Encryption::Key(key(8)));
        assert!(matches!(error, OpenError::WrongKey), "{error:?}");
        folder.open();
    }

    #[test]
    fn a_wrong_key_is_told_while_everything_is_in_the_log() {
        let folder = Folder::new();
        let store = folder.open();
        apply(&store, vec![put(conversation(&group(1)))]).unwrap();
        let error = open_error(folder.file(), Encryption::Key(key(8)));
        assert!(matches!(error, OpenError::WrongKey), "{error:?}");
    }

    #[test]
    fn no_key_does_not_open_an_encrypted_database() {
        let folder = Folder::new();
        drop(folder.open());
        let error = open_error(folder.file(), Encryption::None);
        assert!(matches!(error, OpenError::NotADatabase), "{error:?}");
    }

    #[test]
    fn a_key_does_not_open_a_database_in_the_clear() {
        let folder = Folder::new();
        drop(Store::open(folder.file(), Encryption::None).unwrap());
        let error = open_error(folder.file(), Encryption::Key(key(7)));
        assert!(matches!(error, OpenError::NotEncrypted), "{error:?}");
    }

    #[test]
    fn nothing_is_on_disk_in_the_clear() {
        const MARKER: &[u8] = b"sub rosa: a secret of some length";
        let found = |haystack: &[u8], needle: &[u8]| haystack.windows(needle.len()).any(|window| window == needle);
        for (encryption, clear) in [(encryption(), false), (Encryption::None, true)] {
            let folder = Folder::new();
            let store = Store::open(folder.file(), encryption).unwrap();
            let mut secret = message(&group(1), 1, 5);
            secret.content = MARKER.to_vec();
            let row = put_row(row_key(group(1).as_bytes(), 1, b"k"), MARKER);
            apply(&store, vec![put(conversation(&group(1))), write(secret), row]).unwrap();
            for moment in ["in the log", "in the file"] {
                let bytes = folder.bytes();
                assert_eq!(found(&bytes, MARKER), clear, "content {moment}");
                assert_eq!(found(&bytes, b"SQLite format 3"), clear, "header {moment}");
                assert_eq!(found(&bytes, b"CREATE TABLE"), clear, "schema {moment}");
                store.close();
            }
        }
    }
}
