//! One chain's endpoint: how many may ask at once, and whether it serves the chain it was configured for.

use std::time::Duration;

use serde_json::json;
use tokio::{
    sync::{Mutex, Semaphore, SemaphorePermit},
    time::Instant,
};

use crate::{
    ChainError, EndpointError,
    question::{quantity, read_quantity},
    rpc::Rpc,
};

/// How many checks of one chain run at once.
const AT_ONCE: usize = 16;

/// How long an endpoint is believed to serve the chain it said it serves.
const BELIEVED: Duration = Duration::from_secs(3600);

/// How long an endpoint of another chain is left alone before it is asked again.
const SHUNNED: Duration = Duration::from_secs(30);

/// Asks one chain.
#[derive(Debug)]
pub(crate) struct Endpoint {
    chain_id: u64,
    rpc: Rpc,
    places: Semaphore,
    served: Mutex<Option<Served>>,
}

/// What an endpoint said about itself.
#[derive(Debug)]
struct Served {
    at: Instant,
    chain_id: Result<u64, ChainError>,
}

impl Endpoint {
    /// The endpoint of a chain. Opens no connection yet.
    ///
    /// # Errors
    /// [`EndpointError`], all of its variants.
    pub(crate) fn new(chain_id: u64, url: &str) -> Result<Self, EndpointError> {
        Ok(Self { chain_id, rpc: Rpc::new(url)?, places: Semaphore::new(AT_ONCE), served: Mutex::new(None) })
    }

    /// Waits for a place to ask from; dropping what is returned frees it.
    ///
    /// # Errors
    /// [`ChainError::Busy`] if there is none for as long as a request may take.
    pub(crate) async fn place(&self, limit: Duration) -> Result<SemaphorePermit<'_>, ChainError> {
        match tokio::time::timeout(limit, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(ChainError::Busy),
        }
    }

    /// Makes sure that the endpoint serves its chain. It is asked once for a while, however many want to know.
    ///
    /// # Errors
    /// [`ChainError::WrongChain`], or why it did not say.
    pub(crate) async fn serves_its_chain(&self, limit: Duration) -> Result<(), ChainError> {
        let begin = Instant::now();
        let mut served = self.served.lock().await;
        // An answer that came while we waited for our turn is ours too, so that a queue does not time out one by one.
        let known = served.as_ref().filter(|known| known.at >= begin || known.at.elapsed() < self.good_for(known));
        let chain_id = match known {
            Some(known) => known.chain_id.clone(),
            None => {
                let answer = self.rpc.call("eth_chainId", json!([]), limit).await;
                let chain_id = answer.and_then(|text| read_quantity(&text));
                *served = Some(Served { at: Instant::now(), chain_id: chain_id.clone() });
                chain_id
            }
        };
        match chain_id? {
            got if got == self.chain_id => Ok(()),
            got => Err(ChainError::WrongChain { want: self.chain_id, got }),
        }
    }

    fn good_for(&self, known: &Served) -> Duration {
        match known.chain_id {
            Ok(got) if got == self.chain_id => BELIEVED,
            Ok(_) => SHUNNED,
            Err(_) => Duration::ZERO,
        }
    }

    /// The newest block.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn newest_block(&self, limit: Duration) -> Result<u64, ChainError> {
        read_quantity(&self.rpc.call("eth_blockNumber", json!([]), limit).await?)
    }

    /// Runs `data` as the creation of a contract at a block and takes what it returns.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn create(&self, data: &str, block: u64, limit: Duration) -> Result<String, ChainError> {
        self.rpc.call("eth_call", json!([{ "data": data }, quantity(block)]), limit).await
    }
}
