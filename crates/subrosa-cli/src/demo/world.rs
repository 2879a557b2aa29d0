//! The demo's people, their clients and where everything lies.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use subrosa::WalletKey;
use tempfile::TempDir;

use super::child::DriverProcess;
use crate::{
    failure::Failure,
    keys::{self, Secret},
};

/// Where no node listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// One person.
pub(super) struct Person {
    /// What we call her or him.
    pub(super) name: &'static str,
    wallet: WalletKey,
    /// Known once the first installation is registered.
    pub(super) inbox: String,
}

impl Person {
    pub(super) fn new(name: &'static str) -> Result<Self, Failure> {
        Ok(Self { name, wallet: keys::fresh_wallet()?, inbox: String::new() })
    }
}

/// One installation, in a process of its own while it runs.
pub(super) struct Installation {
    /// `alice-phone`.
    pub(super) name: String,
    /// Index of its person.
    pub(super) person: usize,
    pub(super) installation: String,
    database: PathBuf,
    key: Secret,
    driver: Option<DriverProcess>,
    log: PathBuf,
}

impl Installation {
    pub(super) fn new(folder: &Folder, name: &str, person: usize) -> Result<Self, Failure> {
        let database = folder.path().join(format!("{name}.db"));
        let key = keys::fresh()?;
        keys::save(&key, &folder.path().join(format!("{name}.db.key")))?;
        let log = folder.path().join(format!("{name}.log"));
        Ok(Self { name: name.to_owned(), person, installation: String::new(), database, key, driver: None, log })
    }

    /// Starts its process and opens its database; registers what is new. Answers inbox and installation.
    pub(super) async fn open(&mut self, node: &str, people: &[Person]) -> Result<String, Failure> {
        self.start(node, &people[self.person].wallet, true).await
    }

    /// The same without a network and without anything that happens in the background: the database as it is.
    pub(super) async fn reopen(&mut self, people: &[Person]) -> Result<String, Failure> {
        self.start(NOWHERE, &people[self.person].wallet, false).await
    }

    async fn start(&mut self, node: &str, wallet: &WalletKey, workers: bool) -> Result<String, Failure> {
        let mut driver = DriverProcess::start(&self.name, &self.log)?;
        let fields = json!({
            "node": node,
            "path": self.database,
            "wallet_key": *keys::to_hex(&wallet.to_bytes()),
            "db_key": *keys::to_hex(&self.key),
            "workers": workers,
        });
        let made = driver.call("create", fields).await?;
        self.driver = Some(driver);
        let installation = text(&made, "installation")?;
        if !self.installation.is_empty() && self.installation != installation {
            return Err(Failure::new(format!("{} came back as another installation", self.name)));
        }
        self.installation = installation;
        text(&made, "inbox")
    }

    /// Asks for one operation.
    pub(super) async fn call(&mut self, operation: &str, fields: Value) -> Result<Value, Failure> {
        self.running()?.call(operation, fields).await
    }

    /// Lets it begin an operation and kills it once the node has what the operation sent, before the client knows.
    pub(super) async fn killed_after_publishing(&mut self, operation: &str, fields: Value) -> Result<u32, Failure> {
        let driver = self.running()?;
        driver.call("halt_after", json!({ "point": "published" })).await?;
        driver.call_until_halted(operation, fields).await?;
        let id = driver.id();
        match self.driver.take() {
            Some(driver) => driver.kill().await.map(|()| id),
            None => Ok(id),
        }
    }

    /// Closes its database and ends its process.
    pub(super) async fn close(&mut self) -> Result<(), Failure> {
        match self.driver.take() {
            Some(driver) => driver.exit().await,
            None => Ok(()),
        }
    }

    fn running(&mut self) -> Result<&mut DriverProcess, Failure> {
        self.driver.as_mut().ok_or_else(|| Failure::new(format!("{} does not run", self.name)))
    }
}

/// A text field of an answer.
pub(super) fn text(answer: &Value, field: &str) -> Result<String, Failure> {
    let text = answer[field].as_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new(format!("an answer has no {field}")))
}

/// Where databases, keys and logs lie.
pub(super) enum Folder {
    /// Gone at the end.
    Temporary(TempDir),
    /// Stays.
    Kept(PathBuf),
}

impl Folder {
    /// The folder to keep, made if missing and else empty; or a temporary one.
    pub(super) fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = keep else {
            let folder = TempDir::with_prefix("subrosa-demo-");
            return folder.map(Self::Temporary).map_err(|error| Failure::new("no temporary folder").because(&error));
        };
        let failed = |error: std::io::Error| Failure::new(format!("cannot use {}", path.display())).because(&error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        if path.read_dir().map_err(failed)?.next().is_some() {
            return Err(Failure::new(format!("{} is not empty", path.display())).advise("a new folder"));
        }
        Ok(Self::Kept(path.to_path_buf()))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }

    /// Keeps the wallets too, each in a file only its owner can read.
    pub(super) fn save_wallets(&self, people: &[Person]) -> Result<(), Failure> {
        people.iter().try_for_each(|person| {
            keys::save(&person.wallet.to_bytes(), &self.path().join(format!("{}.wallet", person.name)))
        })
    }
}
