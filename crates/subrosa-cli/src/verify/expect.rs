//! What a file expects of a log, compared with what came out.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    replay::{Refused, Replay},
    state,
};
use crate::update::Why;

/// Differences that are listed at most.
const LISTED: usize = 20;

/// How an outcome and what was expected of it compare.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Expectation {
    /// Nothing was expected.
    None,
    /// It is as expected.
    Met,
    /// It differs, in these ways.
    Differs(Vec<String>),
    /// Only a chain could tell.
    Untold,
}

/// Compares the expectations of a case, if it has any, with the outcome.
pub(super) fn compare(case: &Value, replay: &Replay) -> Expectation {
    let (error, wanted) = (&case["expected_error"], &case["expected_state"]);
    let valid = case["valid"].as_bool().or_else(|| match (error.is_null(), wanted.is_null()) {
        (true, true) => None,
        (no_error, _) => Some(no_error),
    });
    let Some(valid) = valid else { return Expectation::None };
    let differences = match (&replay.outcome, valid) {
        (Err(refused), _) if refused.unchecked && !expects_no_answer(error) => return Expectation::Untold,
        (Ok(_), false) => {
            vec![format!("accepted, but should be refused: {}", kind_of(error).unwrap_or("for whatever reason"))]
        }
        (Err(refused), true) => vec![format!("refused for {}, but should be accepted", refused.why.kind)],
        (Err(refused), false) => error_differences(error, refused, &replay.faults),
        (Ok(got), true) => {
            let mut differences = Vec::new();
            if !wanted.is_null() {
                differ(&state::json(got), wanted, "state", &mut differences);
            }
            differences
        }
    };
    if differences.is_empty() { Expectation::Met } else { Expectation::Differs(differences) }
}

fn kind_of(error: &Value) -> Option<&str> {
    error.as_str().or_else(|| error["kind"].as_str())
}

/// Whether the error expected is that no chain answers.
fn expects_no_answer(error: &Value) -> bool {
    kind_of(error).is_some_and(|kind| kind == "ChainUnknown" || kind.starts_with("Verifier"))
}

fn error_differences(error: &Value, refused: &Refused, faults: &[Why]) -> Vec<String> {
    let Some(kind) = kind_of(error) else { return Vec::new() };
    if refused.unchecked && expects_no_answer(error) {
        return Vec::new();
    }
    let stage = error["stage"].as_str().map(|stage| match stage {
        "verify_signature" => "verify",
        "state_machine" => "state",
        stage => stage,
    });
    let same = |why: &Why| (why.kind == kind || why.label == kind) && stage.is_none_or(|stage| stage == why.stage);
    // Which of several faults is reported is left open (identity §6.9).
    if same(&refused.why) || faults.iter().any(same) {
        return Vec::new();
    }
    let expected = stage.map_or_else(|| kind.to_owned(), |stage| format!("{kind} ({stage})"));
    vec![format!("refused for {} ({}), but should be for {expected}", refused.why.kind, refused.why.stage)]
}

/// Compares what is expected with what is there; what nobody expects anything of is not compared.
fn differ(got: &Value, want: &Value, place: &str, differences: &mut Vec<String>) {
    if differences.len() >= LISTED {
        return;
    }
    match (got, want) {
        (_, Value::Object(want)) => {
            for (name, want) in want {
                differ(&got[name], want, &format!("{place}.{name}"), differences);
            }
        }
        (Value::Array(got), Value::Array(want)) => differ_in_list(got, want, place, differences),
        (got, want) if is_same(got, want) => {}
        (got, want) => differences.push(format!("{place} is {got}, but should be {want}")),
    }
}

/// Lists are sets: their order says nothing (identity §3.6).
fn differ_in_list(got: &[Value], want: &[Value], place: &str, differences: &mut Vec<String>) {
    let key = |value: &Value| match value {
        Value::Object(member) => {
            let part = |name| member.get(name).map(Value::to_string).unwrap_or_default();
            part("kind") + &part("identifier")
        }
        value => value.to_string(),
    };
    let keys = |list: &[Value]| list.iter().map(key).collect::<BTreeSet<_>>();
    let (got_keys, want_keys) = (keys(got), keys(want));
    differences.extend(got_keys.difference(&want_keys).map(|one| format!("{place} has {one}, which is not expected")));
    differences.extend(want_keys.difference(&got_keys).map(|one| format!("{place} lacks {one}")));
    differences.truncate(LISTED);
    for one in want.iter().filter(|one| one.is_object()) {
        if let Some(same) = got.iter().find(|other| key(other) == key(one)) {
            differ(same, one, &format!("{place}[{}]", one["identifier"]), differences);
        }
    }
}

/// Numbers may be written as numbers or as decimal strings.
fn is_same(got: &Value, want: &Value) -> bool {
    got == want || matches!((got, want), (Value::String(got), Value::Number(want)) if *got == want.to_string())
}
