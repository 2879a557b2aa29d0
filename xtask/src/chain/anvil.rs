//! A chain for development, as a child process.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::tools;
use crate::{Failed, interop::libc, run::target_folder};

/// What it prints before its address once it accepts connections.
const READY: &str = "Listening on ";

/// The number of the chain, which is the usual one for development.
pub(crate) const CHAIN: u64 = 31337;

/// A running chain of number [`CHAIN`] on a free port, with its usual accounts. Stopped on drop.
pub(crate) struct Anvil {
    child: Child,
    address: String,
}

impl Anvil {
    /// Starts an empty chain and waits until it listens.
    pub(crate) fn start() -> Result<Self, Failed> {
        let mut command = command(&program(&tools()?)?)?;
        command.args(["--host", "127.0.0.1", "--port", "0", "--chain-id", &CHAIN.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().map(BufReader::new);
        let mut anvil = Self { child, address: String::new() };
        let mut lines = stdout.into_iter().flat_map(BufRead::lines);
        while let Some(line) = lines.next() {
            if let Some((_, address)) = line?.split_once(READY) {
                anvil.address = address.trim().to_owned();
                std::thread::spawn(move || lines.for_each(drop)); // so that it never waits for a reader
                return Ok(anvil);
            }
        }
        Err(Failed(format!("the chain ended before it said `{READY}…`")))
    }

    /// Where it takes JSON-RPC.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The package of this platform is the one that npm chose to install.
fn program(modules: &Path) -> Result<PathBuf, Failed> {
    for entry in std::fs::read_dir(modules.join("@foundry-rs"))? {
        let program = entry?.path().join("bin").join(format!("anvil{}", std::env::consts::EXE_SUFFIX));
        if program.exists() {
            return Ok(program);
        }
    }
    Err(Failed("chain: the npm packages have no program for this platform".into()))
}

/// A command that starts it, through a newer C library if the system's does not do.
fn command(program: &Path) -> Result<Command, Failed> {
    let starts = |mut command: Command| {
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    if starts(Command::new(program)) {
        return Ok(Command::new(program));
    }
    match libc::newer(&target_folder().join("interop/libc"))? {
        Some(loader) if starts(loader.command(program)) => Ok(loader.command(program)),
        _ => Err(Failed(format!("{} does not start", program.display()))),
    }
}
