//! The node as a value.

use std::{fmt, sync::Arc};

use subrosa_transport::{ConnectOptions, GrpcNetwork, RetryPolicy};
use tonic::service::Routes;

use crate::{
    Clock, NodeConfig, OpenError, Retention, ValidationService,
    chains::Chains,
    check::{ANSWER_LIMIT, REQUEST_LIMIT},
    directory::Directory,
    generated::{identity::identity_api_server::IdentityApiServer, mls::mls_api_server::MlsApiServer},
    hub::Hubs,
    identity::IdentityService,
    mls::MlsService,
    store::{Append, Expiry, Store},
};

/// What the services of one node share.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) hubs: Arc<Hubs>,
    pub(crate) directory: Directory,
    pub(crate) chains: Chains,
    pub(crate) clock: Clock,
    pub(crate) subscription_backlog: usize,
    retention: Retention,
}

/// A delivery node. Cheap to clone; clones are the same node. Its database is closed when the last clone, server
/// and subscription is gone.
#[derive(Clone)]
pub struct Node {
    pub(crate) shared: Arc<Shared>,
    /// The services as a client in this process sees them.
    pub(crate) network: GrpcNetwork,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

/// Why nothing was removed: the database failed, or the node is shutting down.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the database could not be pruned")]
pub struct PruneError;

impl Node {
    /// Opens a node.
    ///
    /// # Errors
    /// [`OpenError`] when the database cannot be used, above all when another node uses it.
    pub fn open(config: NodeConfig) -> Result<Self, OpenError> {
        let hubs = Arc::new(Hubs::default());
        let store = Arc::new(Store::open(&config, Arc::clone(&hubs))?);
        let shared = Arc::new(Shared {
            store,
            hubs,
            directory: Directory::default(),
            chains: Chains::new(config.chains),
            clock: config.clock,
            subscription_backlog: config.subscription_backlog,
            retention: config.retention,
        });
        let network = GrpcNetwork::over(routes(&shared), &ConnectOptions::default()).with_retry(RetryPolicy::none());
        Ok(Self { shared, network })
    }

    /// The node's gRPC services, to be mounted in a server of one's own or called without a connection.
    #[must_use]
    pub fn routes(&self) -> Routes {
        routes(&self.shared)
    }

    /// A validation service with the node's clock and chains (transport §8).
    #[must_use]
    pub fn validation(&self) -> ValidationService {
        ValidationService::over(self.shared.clock.clone(), self.shared.chains.clone())
    }

    /// Removes what may be forgotten now, by the retention the node was opened with. Returns how many rows. Ids and
    /// order of what remains do not change (transport §10, N33).
    ///
    /// # Errors
    /// [`PruneError`]; nothing was removed.
    pub async fn prune(&self) -> Result<usize, PruneError> {
        let expiry = Expiry::at(self.shared.clock.now(), self.shared.retention);
        let receipt = self.shared.store.append(Append::Prune(expiry)).await.map_err(|_| PruneError)?;
        Ok(receipt.removed)
    }

    /// Ends all subscriptions, those to come too, with "shutting down". Queries and writes still work.
    pub fn end_subscriptions(&self) {
        self.shared.hubs.close();
    }
}

/// The gRPC services of a node.
fn routes(shared: &Arc<Shared>) -> Routes {
    let mls = MlsApiServer::new(MlsService(Arc::clone(shared)))
        .max_decoding_message_size(REQUEST_LIMIT)
        .max_encoding_message_size(ANSWER_LIMIT);
    let identity = IdentityApiServer::new(IdentityService(Arc::clone(shared)))
        .max_decoding_message_size(REQUEST_LIMIT)
        .max_encoding_message_size(ANSWER_LIMIT);
    Routes::new(mls).add_service(identity).prepare()
}
