//! The verifier: one endpoint for each chain, and an answer for each check.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{Uri, uri::Scheme};
use subrosa_identity::{ChainCheck, Verdict};

use crate::{ChainError, EndpointError, VariableError};

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

/// Asks chains about contract wallets. A clone is the same verifier.
#[derive(Clone, Debug)]
pub struct ChainVerifier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    endpoints: BTreeMap<u64, Uri>,
    #[expect(dead_code, reason = "not yet")]
    timeout: Duration,
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
    /// Never fails as a whole, and one check does not wait for another's answer.
    pub async fn verify(&self, checks: Vec<ChainCheck>) -> Vec<ChainAnswer> {
        checks.iter().map(|check| self.no_answer(check)).collect()
    }

    fn no_answer(&self, check: &ChainCheck) -> ChainAnswer {
        let error = match check.account_id.chain_id() {
            Ok(chain_id) => ChainError::NoVerifier { chain_id },
            Err(reason) => ChainError::Account(reason),
        };
        let verdict = if error.is_retryable() { Verdict::Unknown } else { Verdict::Invalid };
        ChainAnswer { verdict, block_number: check.block_number, error: Some(error) }
    }
}

/// Says which endpoint serves which chain.
#[derive(Clone, Debug)]
pub struct ChainVerifierBuilder {
    endpoints: BTreeMap<u64, Uri>,
    timeout: Duration,
}

impl ChainVerifierBuilder {
    /// Takes the endpoint of a chain; a later one replaces an earlier one.
    ///
    /// # Errors
    /// [`EndpointError`] if the address is not an absolute `http` or `https` URL, or is `https` without feature `tls`.
    pub fn endpoint(mut self, chain_id: u64, url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(EndpointError::NotAUrl);
        };
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if *scheme == Scheme::HTTPS {
            if !cfg!(feature = "tls") {
                return Err(EndpointError::NoTls);
            }
        } else if *scheme != Scheme::HTTP {
            return Err(EndpointError::Scheme);
        }
        self.endpoints.insert(chain_id, uri);
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
            let chain_id = match variable.strip_prefix("CHAIN_RPC_").map(str::parse::<u64>) {
                Some(Ok(chain_id)) => chain_id,
                Some(Err(_)) => return Err(VariableError { variable: variable.into(), reason: None }),
                None => {
                    if variable == "ANVIL_URL" {
                        local = Some((variable, url));
                    }
                    continue;
                }
            };
            self = self
                .endpoint(chain_id, &url)
                .map_err(|e| VariableError { variable: variable.into(), reason: Some(e) })?;
        }
        if let Some((variable, url)) = local {
            self = self
                .endpoint(LOCAL_CHAIN, &url)
                .map_err(|e| VariableError { variable: variable.into(), reason: Some(e) })?;
        }
        Ok(self)
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
        ChainVerifier { shared: Arc::new(Shared { endpoints: self.endpoints, timeout: self.timeout }) }
    }
}
