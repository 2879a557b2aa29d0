//! The verifier: one endpoint for each chain, and an answer for each check.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use subrosa_identity::{AccountIdError, ChainCheck, Verdict};

use crate::{
    ChainError, EndpointError, VariableError,
    cache::{Cache, Key},
    endpoint::Endpoint,
    question::{self, Address},
};

/// How long one request to an endpoint may take unless the builder says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The chain of a local development node, whose endpoint has a variable of its own (identity §12.3).
const LOCAL_CHAIN: u64 = 31337;

/// What came back for one check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChainAnswer {
    /// Yes, no, or no answer.
    pub verdict: Verdict,
    /// The block that was looked at: the one asked for, else the newest. `None` if none is known.
    pub block_number: Option<u64>,
    /// Why there is no answer, or why the question could only be answered with no.
    pub error: Option<ChainError>,
}

/// Asks chains about contract wallets (identity §12.3). A clone is the same verifier.
#[derive(Clone)]
pub struct ChainVerifier {
    shared: Arc<Shared>,
}

struct Shared {
    endpoints: BTreeMap<u64, Endpoint>,
    timeout: Duration,
    cache: Mutex<Cache>,
}

impl ChainVerifier {
    /// A verifier without endpoints, to be given some.
    #[must_use]
    pub fn builder() -> ChainVerifierBuilder {
        ChainVerifierBuilder { endpoints: BTreeMap::new(), timeout: DEFAULT_TIMEOUT }
    }

    /// The numbers of the chains that have an endpoint, in order.
    pub fn chains(&self) -> impl Iterator<Item = u64> + '_ {
        self.shared.endpoints.keys().copied()
    }

    /// Asks about each check; the answers are in the order of the checks.
    ///
    /// Never fails as a whole, and a chain that is slow or wrong holds up its own checks only. Up to 16 checks of one
    /// chain run at once. A check waits for its turn as long as one request may take, then makes up to three requests.
    /// What a chain said about a given block is remembered (identity §12.4). Dropping the future stops asking.
    pub async fn verify(&self, checks: Vec<ChainCheck>) -> Vec<ChainAnswer> {
        join_all(checks.iter().map(|check| self.answer(check))).await
    }

    async fn answer(&self, check: &ChainCheck) -> ChainAnswer {
        let mut block_number = check.block_number;
        match self.judge(check, &mut block_number).await {
            Ok(true) => ChainAnswer { verdict: Verdict::Valid, block_number, error: None },
            Ok(false) => ChainAnswer { verdict: Verdict::Invalid, block_number, error: None },
            Err(error) => {
                tracing::debug!(account = check.account_id.as_str(), %error, "a contract wallet could not be asked");
                let verdict = if error.is_retryable() { Verdict::Unknown } else { Verdict::Invalid };
                ChainAnswer { verdict, block_number, error: Some(error) }
            }
        }
    }

    /// Whether the wallet signed. `block` is the block to look at, and is set once it is known.
    async fn judge(&self, check: &ChainCheck, block: &mut Option<u64>) -> Result<bool, ChainError> {
        let limit = self.shared.timeout;
        let chain_id = check.account_id.chain_id()?;
        let signer = signer(check)?;
        let endpoint = self.shared.endpoints.get(&chain_id).ok_or(ChainError::NoVerifier { chain_id })?;
        let key = Key::of(check);
        if let Some(known) = key.and_then(|key| self.cache().get(key)) {
            return Ok(known);
        }
        let _place = endpoint.place(limit).await?;
        endpoint.serves_its_chain(limit).await?;
        let at = match *block {
            Some(given) => given,
            None => *block.insert(endpoint.newest_block(limit).await?),
        };
        let data = question::data(&signer, &check.hash, &check.signature);
        let valid = question::answer(&endpoint.create(&data, at, limit).await?)?;
        if let Some(key) = key {
            self.cache().insert(key, valid);
        }
        Ok(valid)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // Nothing that is done under the lock can leave the cache half changed in a way that matters.
        self.shared.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wallet's address.
fn signer(check: &ChainCheck) -> Result<Address, ChainError> {
    let text = check.account_id.address()?;
    let address = question::read_address(&text).ok_or(AccountIdError::Address)?;
    if address == [0; 20] { Err(ChainError::ZeroAddress) } else { Ok(address) }
}

impl fmt::Debug for ChainVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { endpoints, timeout, cache: _ } = &*self.shared;
        let chains: Vec<&u64> = endpoints.keys().collect();
        f.debug_struct("ChainVerifier").field("chains", &chains).field("timeout", timeout).finish_non_exhaustive()
    }
}

/// Says which endpoint serves which chain.
#[derive(Debug)]
pub struct ChainVerifierBuilder {
    endpoints: BTreeMap<u64, Endpoint>,
    timeout: Duration,
}

impl ChainVerifierBuilder {
    /// Takes the endpoint of a chain; a later one replaces an earlier one.
    ///
    /// # Errors
    /// [`EndpointError`] if the address is not an absolute `http` or `https` URL, or is `https` without feature `tls`
    /// or without certificates to trust.
    pub fn endpoint(mut self, chain_id: u64, url: &str) -> Result<Self, EndpointError> {
        self.endpoints.insert(chain_id, Endpoint::new(chain_id, url)?);
        Ok(self)
    }

    /// Takes the endpoints that an environment names: `CHAIN_RPC_<id>` for the chain of that number, `ANVIL_URL` for
    /// the local development chain 31337, where it goes before the other form (identity §12.3). Empty values and other
    /// variables are passed over.
    ///
    /// # Errors
    /// [`VariableError`] for a variable that is meant but not usable.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, VariableError> {
        let mut local = None;
        for (variable, url) in variables.into_iter().filter(|(_, url)| !url.is_empty()) {
            if variable == "ANVIL_URL" {
                local = Some((variable, url));
            } else if let Some(number) = variable.strip_prefix("CHAIN_RPC_") {
                match chain_number(number) {
                    Some(chain_id) => self = self.variable(chain_id, variable, &url)?,
                    None => return Err(VariableError { variable: variable.into(), reason: None }),
                }
            }
        }
        match local {
            Some((variable, url)) => self.variable(LOCAL_CHAIN, variable, &url),
            None => Ok(self),
        }
    }

    fn variable(self, chain_id: u64, variable: String, url: &str) -> Result<Self, VariableError> {
        self.endpoint(chain_id, url).map_err(|reason| VariableError { variable: variable.into(), reason: Some(reason) })
    }

    /// How long one request to an endpoint may take; 10 seconds unless set.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The verifier. Opens no connection yet.
    #[must_use]
    pub fn build(self) -> ChainVerifier {
        let Self { endpoints, timeout } = self;
        ChainVerifier { shared: Arc::new(Shared { endpoints, timeout, cache: Mutex::default() }) }
    }
}

/// Digits only: the parser would take a sign.
fn chain_number(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}
