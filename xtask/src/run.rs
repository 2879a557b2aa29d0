//! Running other programs and talking to the person at the terminal.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{Failed, repository};

/// Prints one line of progress.
pub(crate) fn say(line: &str) {
    println!("xtask: {line}");
}

/// The cargo that runs this task, in the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository());
    command
}

/// Runs a program to its end and shows what it prints.
pub(crate) fn run(command: &mut Command) -> Result<(), Failed> {
    let status = command.status().map_err(|e| Failed(format!("{}: {e}", line(command))))?;
    if status.success() { Ok(()) } else { Err(Failed(format!("`{}` ended with {status}", line(command)))) }
}

/// Runs a program to its end and takes what it prints; its complaints stay visible.
pub(crate) fn output(command: &mut Command) -> Result<String, Failed> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| Failed(format!("{}: {e}", line(command))))?;
    if !output.status.success() {
        return Err(Failed(format!("`{}` ended with {}", line(command), output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What cargo knows about each crate of the workspace.
pub(crate) fn packages() -> Result<Vec<Value>, Failed> {
    let text = output(cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let mut metadata: Value = serde_json::from_str(&text)?;
    match metadata["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => Err(Failed("cargo metadata lists no packages".into())),
    }
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR`, or `target` of the repository.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), |dir| repository().join(dir))
}

/// All files under a folder with one of the given extensions, sorted; build folders are left out.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != "node_modules" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| extensions.iter().any(|want| e == *want)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A path as a person in the repository would write it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}
