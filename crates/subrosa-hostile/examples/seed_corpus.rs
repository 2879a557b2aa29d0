//! Writes a beginning of a corpus: seeds from the vectors, and each of a few damages of one of them.
//!
//! `cargo run -p subrosa-hostile --example seed_corpus -- FOLDER`; with `all` after it every seed instead, to begin a
//! long campaign with.

use std::{collections::BTreeMap, error::Error, path::PathBuf};

use subrosa_hostile::{TARGETS, seeds};

/// Most seeds of a target: a few of each size.
const SEEDS: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("where to?")?);
    let all = std::env::args().nth(2).is_some_and(|word| word == "all");
    for (name, _) in TARGETS {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let seeds = if all { seeds(name) } else { chosen(seeds(name)) };
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("vector-{number:02}")), seed)?;
        }
    }
    Ok(())
}

/// Seeds spread over the sizes, shortest first, and damages of the shortest.
fn chosen(mut all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    all.sort_by_key(Vec::len);
    let by_size: BTreeMap<usize, Vec<u8>> = all.into_iter().map(|seed| (seed.len(), seed)).collect();
    let step = by_size.len().div_ceil(SEEDS).max(1);
    let mut chosen: Vec<Vec<u8>> = by_size.into_values().step_by(step).collect();
    if let Some(first) = chosen.first().cloned() {
        let middle = first.len() / 2;
        chosen.push(first[..middle].to_vec());
        chosen.push([&first[..], &[0xff]].concat());
        let mut bent = first;
        if let Some(byte) = bent.get_mut(middle) {
            *byte ^= 0x80;
        }
        chosen.push(bent);
        chosen.push(Vec::new());
    }
    chosen
}
