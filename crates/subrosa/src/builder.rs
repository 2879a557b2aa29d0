//! Opening a client (identity §11).

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use subrosa_envelope::{hmac::HmacRootKey, limits};
use subrosa_group::Randomness;
use subrosa_identity::{DEFAULT_NONCE, Identifier, InstallationKey, LogError, WalletKey, inbox_id};
use subrosa_store::{Encryption, Location, Store, StoredIdentity};
use subrosa_sync::Me;
use subrosa_transport::Network;
use subrosa_types::{InboxId, SequenceId};
use tokio::sync::broadcast;

use crate::{
    client::Client,
    clock::{Clock, SystemClock},
    error::{OpenError, RegisterError},
    groups::Groups,
    identities::Identities,
    inner::{EVENTS, Inner},
    registration::{self, Registration},
    subscription::Streams,
    workers,
};

/// What a client is opened with. Made by [`Client::builder`].
#[derive(Clone)]
#[must_use]
pub struct ClientBuilder {
    network: Arc<dyn Network>,
    location: Location,
    encryption: Encryption,
    clock: Arc<dyn Clock>,
    random: Randomness,
    identifier: Option<Identifier>,
    inbox: Option<InboxId>,
    nonce: u64,
    known: Known,
    workers: bool,
}

/// What to do when the identifier has an inbox already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Known {
    Join,
    LeaveBehind,
}

/// What opening gives.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "an installation is registered or it is not")]
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub enum Opening {
    /// The database holds a registered installation; nothing has to be signed.
    Ready(Client),
    /// A new installation: its text has to be signed.
    New(Registration),
}

impl ClientBuilder {
    pub(crate) fn new(network: Arc<dyn Network>, location: Location, encryption: Encryption) -> Self {
        Self {
            network,
            location,
            encryption,
            clock: Arc::new(SystemClock),
            random: Randomness::os(),
            identifier: None,
            inbox: None,
            nonce: DEFAULT_NONCE,
            known: Known::Join,
            workers: true,
        }
    }

    /// Whose installation is made when the database holds none.
    pub fn identifier(mut self, identifier: Identifier) -> Self {
        self.identifier = Some(identifier);
        self
    }

    /// The inbox it has to be; opening fails when it is another one. Without it, the identifier decides.
    pub fn inbox(mut self, inbox: InboxId) -> Self {
        self.inbox = Some(inbox);
        self
    }

    /// The number that names the inbox, if the identifier has none yet (identity §2.4). 1 by default.
    pub const fn nonce(mut self, nonce: u64) -> Self {
        self.nonce = nonce;
        self
    }

    /// Makes a second inbox of the identifier with this nonce, even if it has an inbox already, and without asking for
    /// that: when the log of the old one is full. From then on the identifier is found in the new one (identity §2.4).
    pub const fn new_inbox(mut self, nonce: u64) -> Self {
        self.nonce = nonce;
        self.known = Known::LeaveBehind;
        self
    }

    /// Asks these chains about contract wallets, instead of letting the node ask and believing it (identity §12.3).
    #[cfg(feature = "chain")]
    pub fn chains(mut self, chains: subrosa_chain::ChainVerifier) -> Self {
        self.network = crate::chains::over(self.network, chains);
        self
    }

    /// Where the time comes from; by default from this machine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where random bytes come from; by default from the operating system. For simulations only.
    pub fn randomness(mut self, random: Randomness) -> Self {
        self.random = random;
        self
    }

    /// Whether a background task does what is due: key packages, disappearing messages, unfinished welcomes. On by
    /// default; without it call [`Client::run_due`].
    pub const fn workers(mut self, run: bool) -> Self {
        self.workers = run;
        self
    }

    /// Opens the database, or makes it. A registration that was begun earlier is finished first, with the same bytes
    /// (identity §11.3). An installation that is registered needs no network.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(self) -> Result<Opening, OpenError> {
        let (location, encryption) = (self.location.clone(), self.encryption.clone());
        let opened = tokio::task::spawn_blocking(move || Store::open(location, encryption)).await;
        let store = opened.map_err(|_| OpenError::Unavailable(crate::Unavailable::Stopped))??;
        let parts = Parts {
            identities: Identities::new(store.clone(), Arc::clone(&self.network)),
            store,
            network: self.network,
            clock: self.clock,
            random: self.random,
            workers: self.workers,
        };
        if let Some(stored) = parts.store.identity()? {
            check_asked(self.inbox, stored.inbox)?;
            match registration::resume(&parts, &stored).await {
                Ok(()) => return Ok(Opening::Ready(parts.client(stored))),
                // The node will never take what was prepared: it was dropped, and we begin anew.
                Err(RegisterError::Refused(error)) => {
                    tracing::warn!(%error, "a registration that was begun was refused");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let identifier = self.identifier.ok_or(OpenError::NoIdentity)?.normalised()?;
        let registration = match self.known {
            Known::Join => new_identity(parts, identifier, self.inbox, self.nonce).await?,
            Known::LeaveBehind => new_inbox(parts, identifier, self.inbox, self.nonce).await?,
        };
        Ok(Opening::New(registration))
    }

    /// Opens the client of a wallet held here, and registers it if needed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_with(self, wallet: &WalletKey) -> Result<Client, OpenError> {
        match self.identifier(wallet.identifier()).open().await? {
            Opening::Ready(client) => Ok(client),
            Opening::New(mut registration) => {
                let signature = wallet.sign(registration.text());
                registration.add_wallet_signature(&signature)?;
                Ok(registration.finish().await?)
            }
        }
    }
}

/// A new installation of the identifier's inbox, or a new inbox (identity §11.2).
async fn new_identity(
    parts: Parts,
    identifier: Identifier,
    asked: Option<InboxId>,
    nonce: u64,
) -> Result<Registration, OpenError> {
    let known = parts.network.inbox_ids(std::slice::from_ref(&identifier)).await?.into_iter().next().flatten();
    let inbox = match known {
        Some(inbox) => inbox,
        None => inbox_id(&identifier, nonce)?,
    };
    check_asked(asked, inbox)?;
    let key = InstallationKey::from_seed(parts.random.array()?);
    if known.is_none() {
        return Ok(Registration::create(parts, inbox, identifier, nonce, key)?);
    }
    let directory = parts.identities.refresh(&[inbox]).await?;
    let count = match directory.log(&inbox) {
        Some(log) => log.latest()?.installations().count(),
        // The lookup and the log contradict each other; nothing could be added to a log that does not begin.
        None => return Err(LogError::MissingIdentityUpdate(SequenceId::START).into()),
    };
    if count >= limits::INBOX_INSTALLATIONS {
        return Err(OpenError::TooManyInstallations { inbox, count });
    }
    Ok(Registration::join(parts, inbox, identifier, key)?)
}

/// A new inbox, whatever inbox the identifier has (identity §2.4).
async fn new_inbox(
    parts: Parts,
    identifier: Identifier,
    asked: Option<InboxId>,
    nonce: u64,
) -> Result<Registration, OpenError> {
    let inbox = inbox_id(&identifier, nonce)?;
    check_asked(asked, inbox)?;
    if parts.identities.refresh(&[inbox]).await?.log(&inbox).is_some() {
        return Err(OpenError::InboxExists { inbox });
    }
    let key = InstallationKey::from_seed(parts.random.array()?);
    Ok(Registration::create(parts, inbox, identifier, nonce, key)?)
}

fn check_asked(asked: Option<InboxId>, found: InboxId) -> Result<(), OpenError> {
    match asked.filter(|asked| *asked != found) {
        Some(asked) => Err(OpenError::InboxIdMismatch { asked, found }),
        None => Ok(()),
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("location", &self.location).finish_non_exhaustive()
    }
}

/// What a client is made of, before it has an identity.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Randomness,
    pub(crate) identities: Identities,
    pub(crate) workers: bool,
}

impl Parts {
    /// The client of a registered identity.
    pub(crate) fn client(self, identity: StoredIdentity) -> Client {
        let me = Me {
            inbox: identity.inbox,
            key: InstallationKey::from_seed(*identity.seed),
            hmac_root: HmacRootKey::from_bytes(*identity.hmac_root),
        };
        let inner = Arc::new(Inner {
            me: Arc::new(me),
            store: self.store,
            network: self.network,
            clock: self.clock,
            random: self.random,
            identities: self.identities,
            groups: Groups::default(),
            queueing: tokio::sync::Mutex::default(),
            welcoming: tokio::sync::Mutex::default(),
            last_key: Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
            streams: Streams::default(),
            workers: workers::Signal::default(),
        });
        if self.workers {
            workers::start(&inner);
        }
        Client { inner }
    }
}
