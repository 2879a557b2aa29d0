//! A driven client, as a program sees it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::{Value, json};

use crate::run::subrosa;

/// Longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(60);

/// A child process that is killed on drop.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = subrosa();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { stdin: child.stdin.take(), child, lines }
    }

    pub(crate) fn write(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Reads until a line contains `text`.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Ends its input and waits; whether it ended well.
    pub(crate) fn finish(mut self) -> bool {
        drop(self.stdin.take());
        self.child.wait().unwrap().success()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node in memory; its URL.
pub(crate) fn node() -> (Running, String) {
    let node = Running::start(&["node", "--memory", "--listen", "127.0.0.1:0"]);
    let line = node.until("listening on ");
    let url = format!("http://{}", line.strip_prefix("listening on ").unwrap());
    (node, url)
}

/// A client; `who` makes its keys.
pub(crate) struct Driver {
    pub(crate) process: Running,
    pub(crate) inbox: String,
    next: u64,
}

/// Opens the database of `who`, whatever is in it.
pub(crate) fn create(url: &str, folder: &Path, who: u8) -> Value {
    json!({
        "op": "create",
        "node": url,
        "path": folder.join(format!("{who}.db")),
        "db_key": format!("{:02x}", who + 100).repeat(32),
    })
}

impl Driver {
    pub(crate) fn open(url: &str, folder: &Path, who: u8) -> Self {
        let mut driver = Self::start();
        let mut create = create(url, folder, who);
        create["wallet_key"] = format!("{who:02x}").repeat(32).into();
        driver.inbox = driver.call(create)["inbox"].as_str().unwrap().to_owned();
        driver
    }

    /// A process without a client.
    pub(crate) fn start() -> Self {
        Self { process: Running::start(&["drive"]), inbox: String::new(), next: 0 }
    }

    /// Closes the client and ends.
    pub(crate) fn exit(mut self) {
        self.call(json!({ "op": "exit" }));
        assert!(self.process.finish());
    }

    pub(crate) fn ask(&mut self, mut request: Value) {
        self.next += 1;
        request["id"] = self.next.into();
        self.process.write(&request.to_string());
    }

    #[track_caller]
    pub(crate) fn answer(&self) -> Value {
        serde_json::from_str(&self.process.line()).unwrap()
    }

    #[track_caller]
    pub(crate) fn call(&mut self, request: Value) -> Value {
        self.ask(request);
        let answer = self.answer();
        assert!(answer.get("error").is_none(), "{answer}");
        assert_eq!(answer["id"], self.next);
        answer["ok"].clone()
    }
}
