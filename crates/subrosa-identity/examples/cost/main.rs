//! What verifying costs, as a multiple of the bare cryptography it cannot do without.
//!
//! ```text
//! cost [--json FILE] [--rounds N]       times both sides of every pair in turn; samples are ratios, one per round
//! cost --run PAIR ours|bare N           runs one side N times, for a tool that counts instructions
//! ```
//! `cargo xtask bench --only identity` runs both and writes them to the page about performance.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool for developers: it stops")]

mod log;
mod pairs;

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use pairs::{NAMES, Pair, pair};

/// How long one side runs before the other takes its turn.
const TURN: Duration = Duration::from_millis(20);
/// How often each pair is measured.
const ROUNDS: usize = 41;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let option = |name| arguments.iter().position(|word| *word == name).and_then(|at| arguments.get(at + 1)).copied();
    if let ["--run", name, side, times] = arguments[..] {
        let mut pair = pair(NAMES.into_iter().find(|known| *known == name).expect("such a pair"));
        let work = if side == "ours" { &mut pair.ours } else { &mut pair.bare };
        (0..times.parse().expect("a number")).for_each(|_| work());
        return;
    }
    let rounds = option("--rounds").map_or(ROUNDS, |number| number.parse().expect("a number"));
    let results: Vec<String> = NAMES.into_iter().map(|name| measure(pair(name), rounds)).collect();
    if let Some(file) = option("--json") {
        let client = concat!("subrosa-identity ", env!("CARGO_PKG_VERSION"));
        let json = format!("{{\"client\": \"{client}\", \"results\": [\n{}\n]}}\n", results.join(",\n"));
        std::fs::write(file, json).expect("the file can be written");
    }
}

/// Times both sides in turn, shows the medians, and gives the samples as JSON: ratios, and microseconds of ours.
fn measure(mut pair: Pair, rounds: usize) -> String {
    let (times_ours, times_bare) = (repetitions(&mut pair.ours), repetitions(&mut pair.bare));
    let (mut ratios, mut ours) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (mine, bare);
        if round % 2 == 0 {
            mine = time(&mut pair.ours, times_ours);
            bare = time(&mut pair.bare, times_bare);
        } else {
            bare = time(&mut pair.bare, times_bare);
            mine = time(&mut pair.ours, times_ours);
        }
        ratios.push(mine / bare);
        ours.push(mine);
    }
    println!("{:<16} {:>6.3} × bare, {:>10.2} µs", pair.name, median(&ratios), median(&ours));
    let list = |samples: &[f64]| {
        samples.iter().fold(String::new(), |mut list, sample| {
            let _ = write!(list, "{}{sample:.4}", if list.is_empty() { "" } else { ", " });
            list
        })
    };
    let result = |name: &str, unit, samples: &[f64]| {
        format!("{{\"name\": \"{name}\", \"unit\": \"{unit}\", \"samples\": [{}]}}", list(samples))
    };
    [result(pair.name, "×", &ratios), result(&format!("{} time", pair.name), "µs", &ours)].join(",\n")
}

/// How often the work fits into a turn.
fn repetitions(work: &mut dyn FnMut()) -> u32 {
    let begun = Instant::now();
    let mut times = 0;
    while begun.elapsed() < TURN {
        work();
        times += 1;
    }
    times
}

/// Microseconds per run.
fn time(work: &mut dyn FnMut(), times: u32) -> f64 {
    let begun = Instant::now();
    (0..times).for_each(|_| work());
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(times)
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
