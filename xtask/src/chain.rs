//! `chain`: contract wallets on a real chain; `contracts`: the contracts that are checked in as code.

pub(crate) mod anvil;
mod contracts;

use std::path::PathBuf;

use crate::{
    Failed, npm,
    run::{cargo, output, run, say, target_folder},
};
use anvil::Anvil;
pub(crate) use contracts::contracts;

/// The features and the target of the tests.
const TESTS: &[&str] = &["test", "--workspace", "--locked", "--features", "subrosa-testkit/anvil", "--test", "chain"];

/// Checks the contracts, starts a chain and runs the tests that need one.
pub(crate) fn chain() -> Result<(), Failed> {
    contracts(true)?;
    let tests = output(cargo().args(TESTS).args(["--quiet", "--", "--list"]))?;
    let count = tests.lines().filter(|line| line.ends_with(": test")).count();
    if count == 0 {
        return Err(Failed("chain: there is no test to run".into()));
    }
    let anvil = Anvil::start()?;
    say(&format!("chain: {count} tests on a chain at {}", anvil.url()));
    run(cargo().args(TESTS).args(["--", "--show-output"]).env("SUBROSA_ANVIL", anvil.url()))?;
    say(&format!("chain: {count} tests passed"));
    Ok(())
}

/// The compiler and the chain, installed.
fn tools() -> Result<PathBuf, Failed> {
    npm::installed("xtask/package.json", &target_folder().join("chain"))
}
