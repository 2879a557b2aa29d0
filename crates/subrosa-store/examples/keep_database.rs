//! Writes the sample database of the present format, to be kept and read by the tests of later releases.
#![allow(clippy::unwrap_used, unused, reason = "a tool of the tests, sharing their modules")]

use std::path::Path;

use subrosa_store::{FORMAT, Location, Store};

#[path = "../tests/it/sample.rs"]
mod sample;
#[path = "../tests/it/support.rs"]
mod support;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/databases");
    let path = folder.join(format!("format_{FORMAT}.db"));
    if path.exists() {
        std::fs::remove_file(&path).unwrap();
    }
    let store = Store::open(Location::File(path.clone()), support::encryption()).unwrap();
    sample::fill(&store);
    store.close();
    println!("{}", path.display());
}
