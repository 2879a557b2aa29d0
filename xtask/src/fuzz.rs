//! `fuzz`: coverage-guided search for bytes that harm a decoder.
//!
//! The stable compiler can instrument; libFuzzer comes as source with the crate `libfuzzer-sys` and needs a C++
//! compiler. `fuzz/` has cargo-fuzz's layout, so that `cargo fuzz` with a nightly compiler works there as well.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Failed, repository,
    run::{cargo, output, run, say, target_folder},
};

/// Makes the compiler count branches and show comparisons to libFuzzer.
const INSTRUMENTED: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// Longest input in bytes, longest time for one input in seconds, most memory in megabytes.
const LIMITS: [&str; 3] = ["-max_len=8192", "-timeout=20", "-rss_limit_mb=2048"];

/// Longest file that `--minimise` adds to the committed corpus, in bytes, and most files it adds to a target at once.
const KEPT_BYTES: u64 = 2048;
const KEPT_FILES: usize = 16;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The target; all of them if left out. `fuzz/fuzz_targets` has their names.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Afterwards add the smallest new inputs that reach something new to fuzz/corpus, to be committed.
    #[arg(long)]
    minimise: bool,
}

/// Runs the targets and stops at the first finding.
pub(crate) fn fuzz(options: &Options) -> Result<(), Failed> {
    if Command::new("c++").arg("--version").output().is_err() {
        return Err(Failed("fuzz: libFuzzer is built from source: install a C++ compiler that is called `c++`".into()));
    }
    let all = targets()?;
    let chosen: Vec<&String> = all.iter().filter(|t| options.target.as_ref().is_none_or(|o| o == *t)).collect();
    if chosen.is_empty() {
        return Err(Failed(format!("fuzz: no such target; there are {}", all.join(", "))));
    }
    let programs = build(options.target.as_deref())?;
    for target in chosen {
        fuzz_one(target, &programs.join(target), options)?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>, Failed> {
    let mut names = Vec::new();
    for entry in fs::read_dir(repository().join("fuzz/fuzz_targets"))? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Builds the fuzz targets, or one; returns the folder of the programs.
fn build(target: Option<&str>) -> Result<PathBuf, Failed> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Failed("rustc names no host".into()))?;
    let folder = target_folder().join("fuzz");
    // What is fuzzed has the versions of the workspace; cargo adds libFuzzer to them.
    fs::copy(repository().join("Cargo.lock"), repository().join("fuzz/Cargo.lock"))?;
    say("fuzz: building with instrumentation (minutes, the first time)");
    let mut build = cargo();
    build
        .current_dir(repository().join("fuzz"))
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", INSTRUMENTED.join(" "))
        // Naming the host keeps the flags off build scripts and macros.
        .args(["build", "--quiet", "--target", host]);
    match target {
        Some(name) => build.args(["--bin", name]),
        None => build.arg("--bins"),
    };
    run(&mut build)?;
    Ok(folder.join(host).join("debug"))
}

fn fuzz_one(target: &str, program: &Path, options: &Options) -> Result<(), Failed> {
    let committed = repository().join("fuzz/corpus").join(target);
    let found = target_folder().join("fuzz/corpus").join(target);
    let findings = repository().join("fuzz/artifacts").join(target);
    for folder in [&committed, &found, &findings] {
        fs::create_dir_all(folder)?;
    }
    say(&format!("fuzz: {target}, {} s", options.seconds));
    let ran = run(fuzzer(program)
        .args(LIMITS)
        .arg(format!("-max_total_time={}", options.seconds))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .args([&found, &committed]));
    ran.map_err(|Failed(why)| Failed(format!("fuzz: {target} has a finding in {}: {why}", findings.display())))?;
    if options.minimise { minimise(program, &found, &committed) } else { Ok(()) }
}

/// A fuzz program that is quiet and finds the vectors.
fn fuzzer(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(repository().join("fuzz")).args(["-verbosity=0", "-print_funcs=0"]);
    command
}

/// Merges what is new into a folder of its own, and adds the smallest of it to the committed corpus.
fn minimise(program: &Path, found: &Path, committed: &Path) -> Result<(), Failed> {
    let merged = found.with_extension("merged");
    let _ = fs::remove_dir_all(&merged);
    fs::create_dir_all(&merged)?;
    for entry in fs::read_dir(committed)? {
        let path = entry?.path();
        fs::copy(&path, merged.join(path.file_name().unwrap_or_default()))?;
    }
    let before: Vec<PathBuf> = paths(&merged)?;
    run(fuzzer(program).args(LIMITS).arg("-merge=1").args([&merged, &found.to_path_buf()]))?;
    let mut new = Vec::new();
    for path in paths(&merged)?.into_iter().filter(|path| !before.contains(path)) {
        new.push((fs::metadata(&path)?.len(), path));
    }
    new.sort();
    for (_, path) in new.iter().filter(|(size, _)| *size <= KEPT_BYTES).take(KEPT_FILES) {
        fs::copy(path, committed.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}
