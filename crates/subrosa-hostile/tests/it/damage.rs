//! Random, cut, bent and oversized bytes: no decoder panics, and each keeps its promises.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::Index};
use subrosa_hostile::{TARGETS, Target, seeds};

/// Seeds of each target, in the order of [`TARGETS`].
static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| TARGETS.iter().map(|(name, _)| seeds(name)).collect());

/// How many random inputs a target gets: decoders of a few microseconds more than those that decrypt or open a node.
fn cases(name: &str) -> u32 {
    match name {
        "node_requests" | "node_answer" | "welcome_unwrap" | "welcome_open" | "inbox_log" => 96,
        "group_open" | "key_package" | "identity_update" => 256,
        _ => 1024,
    }
}

fn each(test: impl Fn(Target, &[Vec<u8>], ProptestConfig)) {
    for ((name, target), seeds) in TARGETS.iter().zip(&*SEEDS) {
        println!("{name}");
        assert!(!seeds.is_empty(), "{name} has no seed");
        test(*target, seeds, ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(name)) });
    }
}

#[test]
fn each_target_accepts_a_seed() {
    each(|target, seeds, _| assert!(seeds.iter().any(|seed| target(seed))));
}

#[test]
fn any_bytes_are_accepted_or_refused() {
    each(|target, _, config| {
        proptest!(config, |(bytes in vec(any::<u8>(), 0..400))| { target(&bytes); });
    });
}

#[test]
fn cut_seeds_are_accepted_or_refused() {
    each(|target, seeds, config| {
        proptest!(config, |(seed: Index, end: Index)| {
            let seed = seed.get(seeds);
            target(&seed[..end.index(seed.len() + 1)]);
        });
    });
}

#[test]
fn bent_seeds_are_accepted_or_refused() {
    each(|target, seeds, config| {
        proptest!(config, |(seed: Index, bends in vec((any::<Index>(), 0u8..8), 1..6))| {
            let mut seed = seed.get(seeds).clone();
            for (at, bit) in bends.iter().filter(|_| !seed.is_empty()).collect::<Vec<_>>() {
                let at = at.index(seed.len());
                seed[at] ^= 1 << bit;
            }
            target(&seed);
        });
    });
}

#[test]
fn seeds_put_into_each_other_are_accepted_or_refused() {
    each(|target, seeds, config| {
        proptest!(config, |(outer: Index, inner: Index, at: Index, until: Index)| {
            let (outer, inner) = (outer.get(seeds), inner.get(seeds));
            let at = at.index(outer.len() + 1);
            let until = at + until.index(outer.len() - at + 1);
            target(&[&outer[..at], inner, &outer[until..]].concat());
        });
    });
}

/// Above every limit of the wire: a megabyte of each byte that starts something in one of the formats, and of a seed.
#[test]
fn oversized_bytes_are_accepted_or_refused() {
    const SIZE: usize = 1 << 20;
    each(|target, seeds, _| {
        for byte in [0, 0x0a, 0x12, 0x40, 0x80, 0xbf, 0xff] {
            target(&vec![byte; SIZE]);
        }
        let seed = seeds.iter().max_by_key(|seed| seed.len()).unwrap();
        target(&seed.repeat(SIZE / seed.len()));
    });
}

/// The scripts reach what they are for: deep logs whose every entry is good, and every kind of signature.
#[test]
fn scripts_get_past_the_signatures() {
    for (name, least) in [("identity_signature", 40), ("identity_update", 40), ("inbox_log", 30)] {
        let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
        let all = seeds(name);
        let accepted = all.iter().filter(|seed| target(seed)).count();
        println!("{name}: {accepted} of {}", all.len());
        assert!(accepted >= least);
    }
}
