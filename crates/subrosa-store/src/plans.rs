//! Tests that hot queries use their indexes: a scan shows only when a database has grown large.

use diesel::{QueryableByName, RunQueryDsl, debug_query, query_builder::QueryFragment, sql_query, sqlite::Sqlite};
use subrosa_types::GroupId;

use crate::{Encryption, Location, MessageQuery, Store, intents, messages};

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

/// The steps that SQLite plans for a query.
fn plan(query: &impl QueryFragment<Sqlite>) -> Vec<String> {
    let store = Store::open(Location::Memory, Encryption::None).unwrap();
    // The comment with the values that diesel adds does no harm.
    let explain = format!("EXPLAIN QUERY PLAN {}", debug_query::<Sqlite, _>(query));
    let steps: Vec<Step> = store.read(|connection| Ok(sql_query(explain).load(connection)?)).unwrap();
    steps.into_iter().map(|step| step.detail).collect()
}

#[track_caller]
fn uses(plan: &[String], index: &str) {
    let text = plan.join("; ");
    assert!(text.contains(index), "{text}");
    assert!(!text.contains("SCAN") && !text.contains("TEMP B-TREE"), "{text}");
}

#[test]
fn outstanding_intents_of_a_group_need_no_scan() {
    let group = GroupId::from_slice(&[1; 16]).unwrap();
    uses(&plan(&intents::outstanding_query(&group)), "intents_outstanding");
}

#[test]
fn a_page_of_messages_needs_no_sorting() {
    let query = MessageQuery { limit: Some(20), ..MessageQuery::default() };
    uses(&plan(&messages::page(1, &query)), "messages_by_time");
    let newest = MessageQuery { order: crate::MessageOrder::Descending, ..query };
    uses(&plan(&messages::page(1, &newest)), "messages_by_time");
}
