//! `vectors`: the vector files are sound, and their tests do not depend on today's date.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    Failed, repository,
    run::{cargo, files, output, run, say, shown},
};

/// The dates to test at: minutes after the vectors were recorded, and long after every key package in them expired.
const DATES: [&str; 2] = ["2026-11-23 12:00:00", "2028-01-01 00:00:00"];

/// What the names of vector tests begin with.
const PREFIX: &str = "vectors_";

/// Checks the files and, unless `check` asks for no more, runs all vector tests at each of the dates.
pub(crate) fn vectors(check: bool) -> Result<(), Failed> {
    sources()?;
    if check { Ok(()) } else { at_dates() }
}

/// Every file is JSON and says where it comes from.
fn sources() -> Result<(), Failed> {
    let mut wrong = Vec::new();
    let all = files(&repository().join("vectors"), &["json"])?;
    for path in &all {
        match serde_json::from_slice::<Value>(&std::fs::read(path)?) {
            Err(error) => wrong.push(format!("{}: {error}", shown(path))),
            Ok(json) if json["source"].as_str().is_none_or(str::is_empty) => {
                wrong.push(format!("{}: no `source`", shown(path)));
            }
            Ok(_) => {}
        }
    }
    if !wrong.is_empty() {
        return Err(Failed(format!("vectors:\n  {}", wrong.join("\n  "))));
    }
    say(&format!("vectors: {} files name their source", all.len()));
    Ok(())
}

/// Builds the test binaries once, and runs those that have vector tests under each date.
fn at_dates() -> Result<(), Failed> {
    let faketime = faketime()?;
    let mut with_vectors = Vec::new();
    for binary in binaries()? {
        let listed = output(Command::new(&binary.program).args([PREFIX, "--list"]))?;
        // The word also stands inside names of tests that read no vectors.
        let tests = listed.lines().filter_map(|line| line.strip_suffix(": test")).filter(|test| is_vector_test(test));
        let count = tests.count();
        if count > 0 {
            with_vectors.push((binary, count));
        }
    }
    let tests: usize = with_vectors.iter().map(|(_, count)| count).sum();
    if tests == 0 {
        return Err(Failed("vectors: no test is called vectors_…".into()));
    }
    for date in DATES {
        for (binary, _) in &with_vectors {
            run(Command::new(&faketime)
                // Timeouts of the runtime must not jump with the calendar.
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("TZ", "UTC")
                .env("CARGO_MANIFEST_DIR", &binary.package)
                .current_dir(&binary.package)
                .stdout(Stdio::null())
                .args(["-f", &format!("@{date}")])
                .arg(&binary.program)
                .args([PREFIX, "--quiet"]))
            .map_err(|Failed(why)| Failed(format!("vectors: at {date}: {why}")))?;
        }
        say(&format!("vectors: {tests} tests of {} binaries pass at {date}", with_vectors.len()));
    }
    Ok(())
}

fn is_vector_test(name: &str) -> bool {
    name.rsplit("::").next().is_some_and(|last| last.starts_with(PREFIX))
}

/// A test binary and the folder of its package, where cargo would run it.
struct Binary {
    program: PathBuf,
    package: PathBuf,
}

fn binaries() -> Result<Vec<Binary>, Failed> {
    let text = output(cargo().args(["test", "--workspace", "--locked", "--no-run", "--message-format=json"]))?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages.filter_map(|message| binary(&message)).collect())
}

fn binary(message: &Value) -> Option<Binary> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    Some(Binary { program: message["executable"].as_str()?.into(), package: manifest.parent()?.to_path_buf() })
}

/// The program `faketime`, installed on first use where apt can do so.
fn faketime() -> Result<PathBuf, Failed> {
    let program = PathBuf::from("faketime");
    let there = |program: &PathBuf| Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    if !there(&program) {
        say("vectors: installing faketime");
        let apt = |arguments: &[&str]| run(Command::new("apt-get").arg("-qq").args(arguments));
        let install = ["install", "-y", "--no-install-recommends", "faketime"];
        let installed = apt(&["update"]).and_then(|()| apt(&install));
        installed.map_err(|Failed(why)| Failed(format!("vectors: install the package `faketime`: {why}")))?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_with_the_name_are_vector_tests() {
        assert!(is_vector_test("vectors_logs::vectors_association_logs"));
        assert!(!is_vector_test("vectors_logs::other"));
        assert!(!is_vector_test("my_vectors_are_fine"));
    }

    #[test]
    fn test_binaries_are_told_from_other_artifacts() {
        let message = |test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact", "profile": { "test": test },
                "manifest_path": "/a/Cargo.toml", "executable": "/b/it",
            })
        };
        assert_eq!(binary(&message(true)).map(|b| b.package), Some(PathBuf::from("/a")));
        assert!(binary(&message(false)).is_none());
    }
}
