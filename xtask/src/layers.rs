//! `layers`: arrows point down only.
//!
//! Each crate is resolved alone, with its own default features: in the unified workspace one crate's edge hides
//! behind another's.

use serde_json::Value;

use crate::{
    Failed,
    run::{cargo, output, packages, say},
};

/// Floor of each crate that is shipped (ARCHITECTURE.md has the map). A crate may use lower floors only.
const FLOORS: &[(&str, u8)] = &[
    ("subrosa-types", 0),
    ("subrosa-proto", 0),
    ("subrosa-envelope", 1),
    ("subrosa-content", 1),
    ("subrosa-identity", 2),
    ("subrosa-cursor", 2),
    ("subrosa-intent", 2),
    ("subrosa-group", 3),
    ("subrosa-sync", 4),
    ("subrosa-store", 5),
    ("subrosa-transport", 5),
    ("subrosa-chain", 5),
    ("subrosa", 6),
    ("subrosa-node", 6),
    ("subrosa-cli", 7),
];

/// The first floor that may do I/O.
const EDGE: u8 = 5;

/// What a core (a crate below [`EDGE`]) must never reach: runtimes, sockets, databases, clocks.
const NEVER_IN_A_CORE: &[&str] = &[
    "async-std",
    "chrono",
    "diesel",
    "h2",
    "hyper",
    "libsqlite3-sys",
    "mio",
    "polling",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "sqlx",
    "tokio",
    "tonic",
    "ureq",
];

/// What a single crate must never reach, beyond the rule for its floor.
const NEVER_IN: &[(&str, &[&str])] = &[
    ("subrosa-transport", &["openmls", "diesel", "libsqlite3-sys"]),
    ("subrosa-store", &["tonic", "hyper", "reqwest"]),
];

/// Checks every crate of the workspace.
pub(crate) fn layers() -> Result<(), Failed> {
    let mut wrong = Vec::new();
    let members = packages()?;
    let (shipped, kept): (Vec<_>, Vec<_>) = members.iter().partition(|p| p["publish"].is_null());
    let names = |of: Vec<&Value>| of.into_iter().filter_map(|p| p["name"].as_str()).map(str::to_owned).collect();
    let (shipped, kept): (Vec<String>, Vec<String>) = (names(shipped), names(kept));
    for name in &shipped {
        match floor(name) {
            Some(floor) => wrong.extend(judge(name, floor, &reached(name)?, &kept)),
            None => wrong.push(format!("{name} has no floor: give it one in xtask/src/layers.rs and ARCHITECTURE.md")),
        }
    }
    if wrong.is_empty() {
        say(&format!("layers: {} shipped crates, every arrow points down", shipped.len()));
        return Ok(());
    }
    Err(Failed(format!("layers:\n  {}", wrong.join("\n  "))))
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

/// What is wrong with the dependencies that a crate reaches; `kept` are the crates that are not published.
fn judge(name: &str, floor_of_it: u8, reached: &[String], kept: &[String]) -> Vec<String> {
    let own_rules = NEVER_IN.iter().filter(|(who, _)| *who == name).flat_map(|(_, never)| never.iter());
    let never: Vec<&str> =
        own_rules.copied().chain(NEVER_IN_A_CORE.iter().copied().filter(|_| floor_of_it < EDGE)).collect();
    let mut wrong = Vec::new();
    for dependency in reached.iter().map(String::as_str).filter(|d| *d != name) {
        if kept.iter().any(|k| k == dependency) {
            wrong.push(format!("{name} needs {dependency}, which is not published"));
        } else if let Some(below) = floor(dependency)
            && below >= floor_of_it
        {
            wrong.push(format!("{name} (floor {floor_of_it}) needs {dependency} (floor {below})"));
        } else if never.contains(&dependency) {
            wrong.push(format!("{name} (floor {floor_of_it}) reaches {dependency}; `cargo tree -p {name} -e normal -i {dependency}` shows how"));
        }
    }
    wrong
}

/// Names of all crates that a crate reaches through normal dependencies.
fn reached(name: &str) -> Result<Vec<String>, Failed> {
    let text =
        output(cargo().args(["tree", "--locked", "-p", name, "-e", "normal", "--prefix", "none", "--no-dedupe"]))?;
    let mut names: Vec<String> = text.lines().filter_map(|l| l.split_whitespace().next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn lower_floors_are_allowed() {
        assert!(judge("subrosa-group", 3, &names(&["subrosa-group", "subrosa-types", "openmls"]), &[]).is_empty());
    }

    #[test]
    fn an_upward_edge_a_side_edge_and_a_runtime_in_a_core_are_refused() {
        for bad in ["subrosa-sync", "subrosa-group-not", "subrosa-cursor", "tokio", "subrosa-vectors"] {
            let wrong = judge("subrosa-cursor-like", 2, &names(&[bad]), &names(&["subrosa-vectors"]));
            assert_eq!(wrong.len(), usize::from(bad != "subrosa-group-not"), "{bad}");
        }
    }

    #[test]
    fn an_edge_crate_may_use_a_runtime_but_not_what_its_own_rule_names() {
        assert!(judge("subrosa-transport", 5, &names(&["tokio", "tonic"]), &[]).is_empty());
        assert_eq!(judge("subrosa-transport", 5, &names(&["openmls"]), &[]).len(), 1);
    }
}
