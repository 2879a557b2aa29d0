//! A node and the people around it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use subrosa::{Client, Conversation, DatabaseKey, Encryption, GroupId, InboxId, Location, Network, WalletKey};
use subrosa_node::{Node, NodeConfig};
use tempfile::TempDir;

use crate::{Faults, FaultyNetwork};

/// A node in this process, and a folder for databases.
pub struct World {
    /// The node.
    pub node: Arc<Node>,
    folder: TempDir,
    people: AtomicU64,
}

/// A wallet with one installation in a database file.
pub struct Person {
    /// The running client.
    pub client: Client,
    /// The network it talks over; faults are set here.
    pub network: Arc<FaultyNetwork>,
    wallet: WalletKey,
    file: PathBuf,
    key: [u8; 32],
}

impl World {
    /// A fresh world.
    pub fn new() -> Self {
        let node = Node::open(NodeConfig::default()).expect("a node in memory opens");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self { node: Arc::new(node), folder, people: AtomicU64::new(0) }
    }

    /// A person with a wallet of its own, registered.
    pub async fn person(&self) -> Person {
        let number = self.people.fetch_add(1, Ordering::Relaxed);
        let mut seed = [0x51; 32];
        seed[..8].copy_from_slice(&(number + 1).to_be_bytes());
        self.installation(WalletKey::from_bytes(&seed).expect("a wallet key"), number).await
    }

    /// A further installation of the same wallet.
    pub async fn second_installation(&self, of: &Person) -> Person {
        let number = self.people.fetch_add(1, Ordering::Relaxed);
        self.installation(of.wallet.clone(), number).await
    }

    async fn installation(&self, wallet: WalletKey, number: u64) -> Person {
        let network = Arc::new(Faults::over(Arc::clone(&self.node) as Arc<dyn Network>));
        let file = self.folder.path().join(format!("{number}.db"));
        let key = [u8::try_from(number % 251).expect("small") + 1; 32];
        let client = open(&network, &file, key, &wallet).await;
        Person { client, network, wallet, file, key }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

async fn open(network: &Arc<FaultyNetwork>, file: &std::path::Path, key: [u8; 32], wallet: &WalletKey) -> Client {
    let network = Arc::clone(network) as Arc<dyn Network>;
    let location = Location::File(file.to_path_buf());
    Client::builder(network, location, Encryption::Key(DatabaseKey::from_bytes(key)))
        .workers(false)
        .open_with(wallet)
        .await
        .expect("the client opens")
}

impl Person {
    /// The inbox.
    pub fn inbox(&self) -> InboxId {
        self.client.inbox_id()
    }

    /// Drops the client, with everything that is only in memory, and opens it again from its database.
    pub async fn reopen(&mut self) {
        self.network.heal();
        self.client = open(&self.network, &self.file, self.key, &self.wallet).await;
    }

    /// The conversation, after taking welcomes.
    pub async fn find(&self, id: &GroupId) -> Conversation {
        self.client.conversations().sync().await.expect("welcomes can be taken");
        self.client.conversations().get(id).expect("the database answers").expect("the conversation is here")
    }

    /// The conversation, synced.
    pub async fn synced(&self, id: &GroupId) -> Conversation {
        let conversation = self.find(id).await;
        conversation.sync().await.expect("the conversation syncs");
        conversation
    }
}
