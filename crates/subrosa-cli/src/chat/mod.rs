//! `subrosa chat`: two terminals talk over a node.

mod command;
mod screen;
mod session;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use subrosa::{Client, DatabaseKey, Encryption, GroupId, Location, OpenError, Opening, WalletKey};
use subrosa_transport::GrpcNetwork;

use crate::{
    failure::Failure,
    keys::{self, Secret},
    output,
    signals::Stop,
};
use command::Who;
use session::{First, Session};

/// Environment variable with the key of the wallet, in hex.
const WALLET_KEY: &str = "SUBROSA_WALLET_KEY";
/// Environment variable with the key of the database, in hex.
const DB_KEY: &str = "SUBROSA_DB_KEY";

/// Who talks, over which node, with whom.
#[derive(Args)]
pub(crate) struct ChatArgs {
    /// URL of the node.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5556", env = "SUBROSA_NODE")]
    node: String,
    /// Database of this client, encrypted with the key in FILE.key; both are made if missing.
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    /// Key of the Ethereum account, hex in a file of mode 0600; FILE.wallet beside the database if not given. Made if
    /// missing.
    #[arg(long, value_name = "FILE")]
    wallet: Option<PathBuf>,
    /// Whom to talk to at once: addresses or inbox ids. One is a direct message, several are a new group.
    #[arg(long, value_name = "WHO", num_args = 1.., conflicts_with = "group")]
    to: Vec<Who>,
    /// Which group to open at once.
    #[arg(long, value_name = "ID")]
    group: Option<GroupId>,
}

/// Opens the client and talks until the person leaves.
pub(crate) async fn run(args: ChatArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let (client, address) = tokio::select! {
        opened = open(&args) => opened?,
        () = stop.wait() => return Ok(()),
    };
    let first = match (args.group, args.to.is_empty()) {
        (Some(group), _) => First::Group(group),
        (None, false) => First::With(args.to),
        (None, true) => First::Nothing,
    };
    let mut session = Session::new(client, address);
    let result = session.run(first, &mut stop).await;
    session.close().await;
    result
}

/// Opens the client; answers it with the address it is known by.
async fn open(args: &ChatArgs) -> Result<(Client, String), Failure> {
    let network = GrpcNetwork::connect_lazy(&args.node).map_err(|error| {
        Failure::new(format!("{} is no address of a node", args.node))
            .because(&error)
            .advise("an address such as http://127.0.0.1:5556")
    })?;
    let key = database_key(&args.db)?;
    let encryption = Encryption::Key(DatabaseKey::from_bytes(*key));
    let builder = Client::builder(Arc::new(network), Location::File(args.db.clone()), encryption);
    let failed = |error: OpenError| {
        let advice = match &error {
            OpenError::Database(_) => "the right key file, and that no other process uses the database",
            _ => "a node at the given --node; `subrosa node --memory` starts one",
        };
        Failure::new("the client cannot be opened").because(&error).advise(advice)
    };
    let opening = match builder.clone().open().await {
        // A new installation: only this needs a wallet.
        Err(OpenError::NoIdentity) => {
            let wallet = wallet(args)?;
            (builder.identifier(wallet.identifier()).open().await.map_err(failed)?, Some(wallet))
        }
        opening => (opening.map_err(failed)?, None),
    };
    match opening {
        (Opening::New(mut registration), Some(wallet)) => {
            let signature = wallet.sign(registration.text());
            let failed = |error| Failure::new("the registration failed").because(&error);
            registration.add_wallet_signature(&signature).map_err(failed)?;
            let client = registration.finish().await.map_err(failed)?;
            output::print("registered a new installation\n")?;
            Ok((client, wallet.address()))
        }
        (Opening::New(_), None) => Err(Failure::new("the database holds no identity")),
        (Opening::Ready(client), _) => {
            let state = client.inbox_state().await.ok();
            let address = state.and_then(|state| state.identifiers().first().map(subrosa::Identifier::text));
            Ok((client, address.unwrap_or_else(|| "an inbox without an address".to_owned())))
        }
    }
}

/// The key of the database. A database without its key is not given another one.
fn database_key(database: &Path) -> Result<Secret, Failure> {
    let path = beside(database, ".key");
    if let Some(key) = keys::load(DB_KEY, &path)? {
        return Ok(key);
    }
    if database.exists() {
        return Err(Failure::new(format!("{} is there, but not its key {}", database.display(), path.display()))
            .advise(format!("the key file, or {DB_KEY} in the environment; or another --db")));
    }
    let key = keys::fresh()?;
    output::print(&format!("no key of the database yet: {} is made\n", path.display()))?;
    keys::save(&key, &path)?;
    Ok(key)
}

fn wallet(args: &ChatArgs) -> Result<WalletKey, Failure> {
    let path = args.wallet.clone().unwrap_or_else(|| beside(&args.db, ".wallet"));
    if let Some(secret) = keys::load(WALLET_KEY, &path)? {
        return WalletKey::from_bytes(&secret)
            .map_err(|error| Failure::new(format!("{} holds no wallet", path.display())).because(&error));
    }
    let wallet = keys::fresh_wallet()?;
    output::print(&format!("no wallet yet: {} is made\n", path.display()))?;
    keys::save(&wallet.to_bytes(), &path)?;
    Ok(wallet)
}

/// A file beside another, with a longer name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
