//! Databases of earlier formats. `cargo run -p subrosa-store --example keep_database` makes the one of this release;
//! once released it does not change again.

use std::path::PathBuf;

use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query};
use subrosa_intent::IntentState;
use subrosa_store::{FORMAT, PendingRemoval, Store};
use subrosa_sync::{Conversation, IntentId};

use crate::{sample, support::*};

/// A copy of the kept database of this format, in a folder of its own.
fn kept(format: i32) -> Folder {
    let folder = Folder::new();
    let name = format!("tests/databases/format_{format}.db");
    std::fs::copy(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name), folder.path("client.db")).unwrap();
    folder
}

fn holds_the_sample(store: &Store) {
    assert_eq!(store.identity().unwrap(), Some(sample::identity()));
    assert_eq!(store.pending_registration().unwrap(), Some(sample::pending()));
    let log = [(sample::update().sequence, sample::update().payload)];
    assert_eq!(store.identity_log(&inbox(1)).unwrap(), log);
    let loaded = store.load_group(&group(1)).unwrap().unwrap();
    assert_eq!(loaded.conversation, Conversation { last_message: Some(at(2_000)), ..conversation(&group(1)) });
    assert_eq!((loaded.rows, loaded.positions), (vec![sample::row()], vec![item(3)]));
    let removal = PendingRemoval { inbox: inbox(2), message: message_id(4) };
    assert_eq!(loaded.pending_removals, [removal]);
    assert_eq!(store.conversation(&group(2)).unwrap(), Some(dm(&group(2), inbox(9))));
    assert_eq!(store.message(&message_id(1)).unwrap(), Some(message(&group(1), 1, 2_000)));
    let intent = store.intent(IntentId(1)).unwrap().unwrap();
    assert_eq!((intent.state, intent.payload), (IntentState::Published, Some(payload(6))));
    assert_eq!(store.commit_log(&group(1)).unwrap()[0].entry, sample::log_row());
    assert_eq!(store.consent(&group(2)).unwrap().unwrap().at, at(5));
    assert_eq!(store.due_tasks(at(20)).unwrap(), [sample::task()]);
    assert_eq!(store.key_packages().unwrap()[0].hash_ref, [1; 32]);
}

#[test]
fn databases_of_all_formats_are_read() {
    for format in 1..=FORMAT {
        let folder = kept(format);
        holds_the_sample(&folder.open());
        holds_the_sample(&folder.open());
    }
}

#[test]
fn the_sample_is_read_back() {
    let store = memory();
    sample::fill(&store);
    holds_the_sample(&store);
}

#[derive(Debug, Eq, PartialEq, QueryableByName)]
struct Definition {
    #[diesel(sql_type = diesel::sql_types::Text)]
    sql: String,
}

fn schema(folder: &Folder) -> Vec<Definition> {
    let mut connection = SqliteConnection::establish(folder.path("client.db").to_str().unwrap()).unwrap();
    connection.batch_execute(&format!("PRAGMA key = \"x'{}'\"", "07".repeat(32))).unwrap();
    let query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name";
    sql_query(query).load(&mut connection).unwrap()
}

/// A changed migration would leave earlier databases behind without anybody noticing.
#[test]
fn a_kept_database_ends_with_the_schema_of_a_new_one() {
    let new = Folder::new();
    new.open().close();
    for format in 1..=FORMAT {
        let old = kept(format);
        old.open().close();
        assert_eq!(schema(&old), schema(&new), "format {format}");
    }
}
