//! Our node, as a child process.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::Failed;

/// What the node prints before its address once it accepts connections.
const READY: &str = "listening on ";

/// A running node on a free port. Stopped on drop.
pub(crate) struct Node {
    child: Child,
    address: String,
}

impl Node {
    /// Starts the node of this command, with an empty data folder, and waits until it listens. `chains` are its
    /// `--chain` arguments, `number=URL`.
    pub(crate) fn start(subrosa: &Path, folder: &Path, chains: &[String]) -> Result<Self, Failed> {
        let data = folder.join("node-data");
        let _ = std::fs::remove_dir_all(&data);
        std::fs::create_dir_all(&data)?;
        let mut child = command(subrosa, &data, chains).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().map(BufReader::new);
        let mut node = Self { child, address: String::new() };
        let mut lines = stdout.into_iter().flat_map(BufRead::lines);
        while let Some(line) = lines.next() {
            if let Some((_, address)) = line?.split_once(READY) {
                node.address = address.trim().trim_start_matches("http://").to_owned();
                std::thread::spawn(move || lines.for_each(drop)); // so that the node never waits for a reader
                return Ok(node);
            }
        }
        Err(Failed(format!("our node ended before it said `{READY}…`")))
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The same as a URL, plain-text gRPC.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that serves on a free port of the loopback interface.
fn command(subrosa: &Path, data: &Path, chains: &[String]) -> Command {
    let mut command = Command::new(subrosa);
    command.args(["node", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    command.args(chains.iter().map(|chain| format!("--chain={chain}")));
    command
}
