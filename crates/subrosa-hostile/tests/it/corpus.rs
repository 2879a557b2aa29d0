//! The committed corpus: what fuzzing has found worth keeping.

use std::{collections::BTreeSet, fs, path::PathBuf};

use subrosa_hostile::TARGETS;

/// Largest size of the whole corpus in bytes: it is cloned by everybody.
const LIMIT: usize = 1 << 20;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"))
}

fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder().join(target)).expect("every target has a corpus");
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_corpus_holds_what_it_held() {
    for (name, target) in TARGETS {
        let files = files(name);
        let accepted = files
            .iter()
            .filter(|(file, bytes)| {
                println!("{file}");
                target(bytes)
            })
            .count();
        assert!(accepted > 0, "nothing in the corpus of {name} is accepted");
        assert!(accepted < files.len(), "nothing in the corpus of {name} is refused");
    }
}

#[test]
fn the_corpus_is_small_and_has_a_folder_for_each_target() {
    let size: usize = TARGETS.iter().flat_map(|(name, _)| files(name)).map(|(_, bytes)| bytes.len()).sum();
    assert!(size < LIMIT, "the corpus has {size} bytes");
    let folders: BTreeSet<String> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(folders, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn every_target_has_a_fuzz_target() {
    let manifest = fs::read_to_string(folder().with_file_name("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in fuzz/Cargo.toml");
        let body = fs::read_to_string(folder().with_file_name("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(body.contains(&format!("subrosa_hostile::{name}(")), "{name} fuzzes something else");
    }
}
