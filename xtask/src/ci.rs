//! `ci`: all checks in one order, the same on a laptop and in the pipeline.
//!
//! One profile throughout, so that dependencies are compiled twice at most: once for checks, once for code that runs.

use std::time::{Duration, Instant};

use crate::{
    Failed, chain, codegen, deny, features, interop, layers, limits, package,
    run::{cargo, run, say},
    spec, vectors,
};

/// One step: its name, whether `--fast` leaves it out, and what it does.
type Step = (&'static str, bool, fn() -> Result<(), Failed>);

const STEPS: &[Step] = &[
    ("fmt", false, || run(cargo().args(["fmt", "--all", "--check"]))),
    ("codegen", false, || codegen::codegen(true)),
    ("layers", false, layers::layers),
    ("spec", false, spec::spec),
    ("limits", false, limits::limits),
    ("deny", false, || deny::deny(false)),
    ("clippy", false, clippy),
    ("docs", true, docs),
    ("features", true, features::features),
    ("package", true, package::package),
    ("chain", true, chain::chain),
    ("interop", true, || interop::interop(&interop::Options::default())),
    ("vectors", false, || vectors::vectors(false)),
    // The command of the README, as it stands there.
    ("tests", false, || run(cargo().args(["test", "--workspace", "--locked"]))),
];

/// Runs the steps and stops at the first that fails.
pub(crate) fn ci(fast: bool) -> Result<(), Failed> {
    let begin = Instant::now();
    let mut done = Vec::new();
    for (name, slow, step) in STEPS {
        if fast && *slow {
            continue;
        }
        say(&format!("ci: {name} …"));
        let start = Instant::now();
        step().map_err(|Failed(why)| {
            Failed(format!("ci: step `{name}` failed after {}: {why}", seconds(start.elapsed())))
        })?;
        say(&format!("ci: {name} passed in {}", seconds(start.elapsed())));
        done.push(format!("{name} {}", seconds(start.elapsed())));
    }
    say(&format!("ci: all {} steps passed in {} ({})", done.len(), seconds(begin.elapsed()), done.join(", ")));
    Ok(())
}

fn clippy() -> Result<(), Failed> {
    // The feature brings the tests that need a chain, which `chain` runs.
    let tests = ["--all-targets", "--features", "subrosa-testkit/anvil"];
    run(cargo().args(["clippy", "--workspace", "--locked"]).args(tests).args(["--", "-D", "warnings"]))
}

fn docs() -> Result<(), Failed> {
    run(cargo().env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps", "--locked"]))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f32())
}
