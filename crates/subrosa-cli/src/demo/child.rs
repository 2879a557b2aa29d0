//! Our own command as child processes: the node, and one driver per client.

use std::{env, fs::File, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};
use zeroize::Zeroizing;

use crate::{failure::Failure, printable::line};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child process whose lines we read. Killed when dropped.
struct Process {
    name: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts our command; what it logs goes to the end of the file `log`.
    fn start(name: &str, arguments: &[&str], stdin: Stdio, log: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("cannot start {name}")).because(&error);
        let log = File::options().create(true).append(true).open(log).map_err(failed)?;
        let mut child = Command::new(env::current_exe().map_err(failed)?)
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::new(format!("{name} has no output")))?;
        Ok(Self { name: name.to_owned(), child, lines: BufReader::new(stdout).lines() })
    }

    async fn line(&mut self) -> Result<String, Failure> {
        let name = &self.name;
        match timeout(PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(text))) => Ok(text),
            Ok(Ok(None)) => Err(Failure::new(format!("{name} ended early")).advise("--keep DIR, and look at its log")),
            Ok(Err(error)) => Err(Failure::new(format!("{name} cannot be heard")).because(&error)),
            Err(_) => Err(Failure::new(format!("{name} gave no answer in {} s", PATIENCE.as_secs()))),
        }
    }

    async fn ended(&mut self) -> Result<(), Failure> {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::new(format!("{} does not end", self.name)).because(&error)),
            Err(_) => Err(Failure::new(format!("{} does not end", self.name))),
        }
    }
}

/// A node that serves on a free port.
pub(super) struct NodeProcess {
    process: Process,
    pub(super) address: String,
}

impl NodeProcess {
    /// Starts it and waits until it listens.
    pub(super) async fn start(data: &Path, log: &Path) -> Result<Self, Failure> {
        let data = data.to_string_lossy();
        let arguments = ["node", "--listen", "127.0.0.1:0", "--data", &data];
        let mut process = Process::start("the node", &arguments, Stdio::null(), log)?;
        let text = process.line().await?;
        match text.strip_prefix("listening on ") {
            Some(address) => Ok(Self { address: address.to_owned(), process }),
            None => Err(Failure::new("the node does not say where it listens")),
        }
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until it ends, which it does by itself only when it is told to, like us.
    pub(super) async fn ended(&mut self) -> Result<(), Failure> {
        self.process.child.wait().await.map(drop).map_err(|error| Failure::new("the node is lost").because(&error))
    }
}

/// A driver with one client.
pub(super) struct DriverProcess {
    process: Process,
    stdin: ChildStdin,
    next: u64,
}

impl DriverProcess {
    /// Starts it; it has no client yet.
    pub(super) fn start(name: &str, log: &Path) -> Result<Self, Failure> {
        let mut process = Process::start(name, &["drive"], Stdio::piped(), log)?;
        let stdin = process.child.stdin.take().ok_or_else(|| Failure::new(format!("{name} has no input")))?;
        Ok(Self { process, stdin, next: 0 })
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.process.child.id().unwrap_or(0)
    }

    /// Asks for one operation and waits for its answer.
    pub(super) async fn call(&mut self, operation: &str, fields: Value) -> Result<Value, Failure> {
        let id = self.ask(operation, fields).await?;
        let answer = self.answer().await?;
        if answer["id"] != id {
            return Err(Failure::new(format!("{} answers out of turn", self.process.name)));
        }
        match answer.get("error") {
            None => Ok(answer["ok"].clone()),
            Some(error) => {
                let why = std::io::Error::other(line(error.as_str().unwrap_or_default()));
                Err(Failure::new(format!("{} failed to {operation}", self.process.name)).because(&why))
            }
        }
    }

    /// Asks for an operation that ends where the driver was told to stand still.
    pub(super) async fn call_until_halted(&mut self, operation: &str, fields: Value) -> Result<(), Failure> {
        self.ask(operation, fields).await?;
        match self.answer().await?.get("halted") {
            Some(_) => Ok(()),
            None => Err(Failure::new(format!("{} did not stand still in {operation}", self.process.name))),
        }
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(super) async fn kill(mut self) -> Result<(), Failure> {
        let name = self.process.name.clone();
        self.process
            .child
            .start_kill()
            .map_err(|error| Failure::new(format!("{name} cannot be killed")).because(&error))?;
        self.process.ended().await
    }

    /// Closes the client and ends the process.
    pub(super) async fn exit(mut self) -> Result<(), Failure> {
        self.call("exit", json!({})).await?;
        self.process.ended().await
    }

    async fn ask(&mut self, operation: &str, mut fields: Value) -> Result<u64, Failure> {
        self.next += 1;
        fields["id"] = self.next.into();
        fields["op"] = operation.into();
        // It may hold keys.
        let line = Zeroizing::new(format!("{fields}\n"));
        let name = &self.process.name;
        self.stdin
            .write_all(line.as_bytes())
            .await
            .map_err(|error| Failure::new(format!("{name} cannot be told")).because(&error))?;
        Ok(self.next)
    }

    async fn answer(&mut self) -> Result<Value, Failure> {
        let text = self.process.line().await?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("{} answers no JSON", self.process.name)).because(&error))
    }
}
