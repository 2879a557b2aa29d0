//! Wallets, clients, and the inboxes that groups are made of.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use subrosa::{Client, DatabaseKey, Encryption, InboxId, Location, Network, Opening, Randomness, WalletKey};
use subrosa_transport::GrpcNetwork;
use tempfile::TempDir;

use crate::{Outcome, report::Report};

/// Inboxes that only get added to groups.
const POPULATION: usize = 210;

/// One connection to the node, a folder for databases, and the population.
pub(crate) struct People {
    network: Arc<dyn Network>,
    folder: TempDir,
    made: u64,
    inboxes: Vec<InboxId>,
}

/// A wallet and its client, in an encrypted file.
pub(crate) struct Person {
    /// The open client.
    pub(crate) client: Client,
    /// Its wallet.
    pub(crate) wallet: WalletKey,
    /// Its database; other files have the same beginning.
    pub(crate) file: PathBuf,
}

impl People {
    /// Nobody yet.
    pub(crate) fn around(node: &str) -> Outcome<Self> {
        let network = Arc::new(GrpcNetwork::connect_lazy(node)?);
        Ok(Self { network, folder: tempfile::tempdir()?, made: 0, inboxes: Vec::new() })
    }

    /// A new person, registered.
    pub(crate) async fn person(&mut self) -> Outcome<Person> {
        Ok(self.registered().await?.1)
    }

    /// A new person, and how long registering took.
    pub(crate) async fn registered(&mut self) -> Outcome<(Duration, Person)> {
        self.made += 1;
        let file = self.folder.path().join(format!("{}.db", self.made));
        let wallet = wallet()?;
        let (took, client) = self.register(Location::File(file.clone()), &wallet).await?;
        Ok((took, Person { client, wallet, file }))
    }

    /// A client in memory, and how long registering took.
    pub(crate) async fn in_memory(&self) -> Outcome<(Duration, Client)> {
        self.register(Location::Memory, &wallet()?).await
    }

    /// Opens and registers. What the wallet takes to sign is left out of the time.
    async fn register(&self, location: Location, wallet: &WalletKey) -> Outcome<(Duration, Client)> {
        let begun = Instant::now();
        let opening = self.builder(location).identifier(wallet.identifier()).open().await?;
        let Opening::New(mut registration) = opening else { return Err("the database is not new".into()) };
        let opened = begun.elapsed();
        let signature = wallet.sign(registration.text());
        let begun = Instant::now();
        registration.add_wallet_signature(&signature)?;
        let client = registration.finish().await?;
        Ok((opened + begun.elapsed(), client))
    }

    /// Opens the client of a person whose own was closed.
    pub(crate) async fn reopen(&self, file: &Path, wallet: &WalletKey) -> Outcome<Client> {
        let builder = self.builder(Location::File(file.to_path_buf()));
        match builder.identifier(wallet.identifier()).open().await? {
            Opening::Ready(client) => Ok(client),
            Opening::New(_) => Err("the database is new".into()),
        }
    }

    fn builder(&self, location: Location) -> subrosa::ClientBuilder {
        let encryption = match location {
            Location::File(_) => Encryption::Key(DatabaseKey::from_bytes([7; 32])),
            Location::Memory => Encryption::None,
        };
        Client::builder(Arc::clone(&self.network), location, encryption)
    }

    /// Registers the population, on first use.
    pub(crate) async fn populate(&mut self, report: &mut Report) -> Outcome<Vec<InboxId>> {
        if self.inboxes.is_empty() {
            let mut took = Duration::ZERO;
            for _ in 0..POPULATION {
                let (time, client) = self.in_memory().await?;
                took += time;
                self.inboxes.push(client.inbox_id());
            }
            report.durations("register 210 clients in sequence, per client", &[took / 210]);
        }
        Ok(self.inboxes.clone())
    }
}

fn wallet() -> Outcome<WalletKey> {
    Ok(WalletKey::from_bytes(&Randomness::os().array()?)?)
}

/// How long registering takes.
pub(crate) async fn register(people: &mut People, report: &mut Report) -> Outcome {
    let (mut memory, mut file) = (Vec::new(), Vec::new());
    for _ in 0..report.times(10) {
        memory.push(people.in_memory().await?.0);
    }
    report.durations("create client + register, in-memory db", &memory);
    for _ in 0..report.times(10) {
        file.push(people.registered().await?.0);
    }
    report.durations("create client + register, encrypted file db", &file);
    Ok(())
}
