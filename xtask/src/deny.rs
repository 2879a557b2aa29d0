//! `deny`: licences, sources and banned crates, by the rules in `deny.toml`.
//!
//! Advisory databases are not asked: they live outside the registry.

use std::{path::PathBuf, process::Command};

use crate::{
    Failed, repository,
    run::{cargo, run, say, target_folder},
};

/// The release of cargo-deny whose rules file we write.
const VERSION: &str = "0.20.2";

/// Checks the dependency graph; with `warnings` it also shows what is merely unwelcome, such as duplicates.
pub(crate) fn deny(warnings: bool) -> Result<(), Failed> {
    let program = installed()?;
    let level = if warnings { "warn" } else { "error" };
    run(Command::new(program).current_dir(repository()).args([
        "--log-level",
        level,
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// Path of cargo-deny, built on first use into the target folder. Unoptimised: it runs for two seconds.
fn installed() -> Result<PathBuf, Failed> {
    let root = target_folder().join(format!("tools/cargo-deny-{VERSION}"));
    let program = root.join("bin/cargo-deny");
    if !program.exists() {
        say(&format!("deny: building cargo-deny {VERSION} (once, about a minute)"));
        run(cargo()
            .env("CARGO_TARGET_DIR", target_folder().join("tools/build"))
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .args(["install", "cargo-deny", "--quiet", "--locked", "--version", VERSION, "--root"])
            .arg(&root))?;
    }
    Ok(program)
}
