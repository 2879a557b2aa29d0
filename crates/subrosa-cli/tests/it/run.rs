//! Runs the command to its end.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// What a finished command left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// The command, with nothing of our environment that it would listen to.
pub(crate) fn subrosa() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_subrosa"));
    command.env_remove("RUST_LOG").env_remove("SUBROSA_DATA").env_remove("SUBROSA_LISTEN").env_remove("SUBROSA_NODE");
    command
}

/// Runs with these arguments and this input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = subrosa();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails early does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
