//! The validation service behind gRPC: no state, no secrets (transport §8, §11).

use std::{
    fmt,
    net::SocketAddr,
    num::NonZero,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use subrosa_chain::ChainVerifier;
use subrosa_envelope::{MessageHeader, limits};
use subrosa_group::VerifiedKeyPackage;
use subrosa_identity::{ChainCheck, ChainVerdicts, IdentityUpdate};
use subrosa_proto::xmtp::{
    identity::{MlsCredential, api::v1 as identity_api, associations as proto},
    mls_validation::v1 as api,
};
use subrosa_types::{UnixNanos, hex};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, service::Routes};

use super::{
    AssociationsError,
    associations::{Associations, Verifier},
};
use crate::{
    Clock, ServeError, Served,
    chains::{CHECKS, Chains, NoAnswer, Verdicts},
    check::ANSWER_LIMIT,
    generated::validation::validation_api_server::{ValidationApi, ValidationApiServer},
    serve,
    status::{cannot_tell, invalid},
};

/// Largest request in bytes (transport §11, V10).
const REQUEST_LIMIT: usize = 25 << 20;

/// Most updates in one request: a full log and the one that does not fit any more (transport §11, V10).
const UPDATES: usize = limits::IDENTITY_UPDATES_PER_INBOX + 1;

/// Longest time for one call unless told otherwise (transport §11, V10).
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Key packages that are verified between two looks at the clock.
const PACKAGES_AT_A_TIME: usize = 64;

/// A validation service, for nodes that do not validate themselves. Cheap to clone.
///
/// It answers by its request alone, its clock, and what chains say. It trusts its callers not to flood it: it belongs
/// on an address that only nodes can reach (transport §11, V11).
#[derive(Clone)]
pub struct ValidationService {
    clock: Clock,
    chains: Chains,
    time_limit: Duration,
    /// One computation per core at a time; more would only make each of them slower.
    turns: Arc<Semaphore>,
}

impl fmt::Debug for ValidationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidationService").field("time_limit", &self.time_limit).finish_non_exhaustive()
    }
}

impl ValidationService {
    /// A service that judges lifetimes of key packages by this clock and asks these chains about contract wallets.
    /// Keep that clock right: with a wrong one nobody can register (transport §11, V6).
    #[must_use]
    pub fn new(clock: Clock, chains: Option<ChainVerifier>) -> Self {
        Self::over(clock, Chains::new(chains))
    }

    pub(crate) fn over(clock: Clock, chains: Chains) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self { clock, chains, time_limit: TIME_LIMIT, turns: Arc::new(Semaphore::new(cores)) }
    }

    /// How long one call may take; 20 seconds unless set. A call that takes longer ends with "cannot tell now".
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// The gRPC service, to be mounted in a server of one's own or called without a connection.
    #[must_use]
    pub fn routes(&self) -> Routes {
        let service = ValidationApiServer::new(self.clone())
            .max_decoding_message_size(REQUEST_LIMIT)
            .max_encoding_message_size(ANSWER_LIMIT);
        Routes::new(service).prepare()
    }

    /// Serves plain gRPC on `listen`; port 0 takes a free port. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn serve(&self, listen: SocketAddr) -> Result<Served, ServeError> {
        serve::validation(self.routes(), listen).await
    }

    /// Runs `work` away from the threads that serve connections. It gives up with `None` when the time is over.
    async fn compute<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce(Deadline) -> Option<T> + Send + 'static,
    ) -> Result<T, Status> {
        let turn = tokio::time::timeout_at(deadline.0.into(), Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| too_slow())?.map_err(|_| too_slow())?;
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(deadline)
        });
        work.await.map_err(|_| Status::internal("validation failed"))?.ok_or_else(too_slow)
    }

    /// What chains say about the contract wallets of all updates, as far as they say it in time.
    async fn ask(&self, deadline: Deadline, updates: &[IdentityUpdate]) -> Result<Verdicts, Status> {
        let checks: Vec<ChainCheck> = updates.iter().flat_map(IdentityUpdate::chain_checks).collect();
        if checks.len() > CHECKS {
            return Err(Status::invalid_argument("too many contract wallets in one request"));
        }
        if checks.is_empty() {
            return Ok(Verdicts { known: ChainVerdicts::none(), missing: None });
        }
        tokio::time::timeout_at(deadline.0.into(), self.chains.verdicts(checks)).await.map_err(|_| too_slow())
    }

    fn deadline(&self) -> Deadline {
        Deadline(Instant::now() + self.time_limit)
    }
}

/// When a call ends.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    /// `None` once the time is over.
    fn check(self) -> Option<()> {
        (Instant::now() < self.0).then_some(())
    }
}

fn too_slow() -> Status {
    Status::unavailable("validation takes too long now")
}

#[tonic::async_trait]
impl ValidationApi for ValidationService {
    async fn validate_group_messages(
        &self,
        request: Request<api::ValidateGroupMessagesRequest>,
    ) -> Result<Response<api::ValidateGroupMessagesResponse>, Status> {
        let messages = request.into_inner().group_messages;
        let responses = self
            .compute(self.deadline(), move |deadline| {
                messages.iter().map(|message| deadline.check().map(|()| group_message(message))).collect()
            })
            .await?;
        Ok(Response::new(api::ValidateGroupMessagesResponse { responses }))
    }

    async fn get_association_state(
        &self,
        request: Request<api::GetAssociationStateRequest>,
    ) -> Result<Response<api::GetAssociationStateResponse>, Status> {
        let api::GetAssociationStateRequest { old_updates, new_updates } = request.into_inner();
        if old_updates.len().saturating_add(new_updates.len()) > UPDATES {
            return Err(Status::invalid_argument("too many identity updates in one request"));
        }
        let old = old_updates.len();
        let updates = decode(old_updates.into_iter().chain(new_updates))?;
        let deadline = self.deadline();
        let Verdicts { known, missing } = self.ask(deadline, &updates).await?;
        let judged = self.compute(deadline, move |deadline| judge(deadline, old, &updates, &known)).await?;
        let Associations { state, diff } = judged.map_err(|error| refused(&error, missing.as_ref()))?;
        Ok(Response::new(api::GetAssociationStateResponse {
            association_state: Some(state.to_proto()),
            state_diff: Some(diff.to_proto()),
        }))
    }

    async fn validate_inbox_id_key_packages(
        &self,
        request: Request<api::ValidateKeyPackagesRequest>,
    ) -> Result<Response<api::ValidateInboxIdKeyPackagesResponse>, Status> {
        let packages = request.into_inner().key_packages;
        let now = self.clock.now();
        let responses = self.compute(self.deadline(), move |deadline| key_packages(deadline, &packages, now)).await?;
        Ok(Response::new(api::ValidateInboxIdKeyPackagesResponse { responses }))
    }

    async fn verify_smart_contract_wallet_signatures(
        &self,
        request: Request<identity_api::VerifySmartContractWalletSignaturesRequest>,
    ) -> Result<Response<identity_api::VerifySmartContractWalletSignaturesResponse>, Status> {
        self.chains.verify(request.into_inner()).await.map(Response::new)
    }
}

/// Whether a node may store this as a group message (transport §11, V3, V4).
fn group_message(
    message: &api::validate_group_messages_request::GroupMessage,
) -> api::validate_group_messages_response::ValidationResponse {
    match MessageHeader::parse(&message.group_message_bytes_tls_serialized) {
        Ok(header) => api::validate_group_messages_response::ValidationResponse {
            is_ok: true,
            error_message: String::new(),
            group_id: hex::encode(header.group_id.as_bytes()),
            is_commit: header.is_commit(),
        },
        Err(error) => api::validate_group_messages_response::ValidationResponse {
            is_ok: false,
            error_message: error.to_string(),
            ..Default::default()
        },
    }
}

fn key_packages(
    deadline: Deadline,
    packages: &[api::validate_key_packages_request::KeyPackage],
    now: UnixNanos,
) -> Option<Vec<api::validate_inbox_id_key_packages_response::Response>> {
    let mut responses = Vec::with_capacity(packages.len());
    for some in packages.chunks(PACKAGES_AT_A_TIME) {
        deadline.check()?;
        let bytes: Vec<&[u8]> = some.iter().map(|package| &package.key_package_bytes_tls_serialized[..]).collect();
        responses.extend(VerifiedKeyPackage::verify_all(&bytes, now).into_iter().map(key_package));
    }
    Some(responses)
}

/// Whose key package it is (transport §11, V5). Nobody looks up whether the inbox knows the installation.
fn key_package<E: fmt::Display>(
    verified: Result<VerifiedKeyPackage, E>,
) -> api::validate_inbox_id_key_packages_response::Response {
    match verified {
        Ok(package) => api::validate_inbox_id_key_packages_response::Response {
            is_ok: true,
            error_message: String::new(),
            credential: Some(MlsCredential { inbox_id: package.inbox().to_hex() }),
            installation_public_key: package.installation().as_bytes().to_vec(),
            expiration: 0,
        },
        Err(error) => api::validate_inbox_id_key_packages_response::Response {
            is_ok: false,
            error_message: error.to_string(),
            ..Default::default()
        },
    }
}

fn decode(updates: impl Iterator<Item = proto::IdentityUpdate>) -> Result<Vec<IdentityUpdate>, Status> {
    let decode = |(index, update)| {
        let reason = IdentityUpdate::from_proto(update);
        reason.map_err(|error| refused(&AssociationsError::Entry { index, reason: error.into() }, None))
    };
    updates.enumerate().map(decode).collect()
}

/// Verifies and replays; `None` when the time is over.
fn judge(
    deadline: Deadline,
    old: usize,
    updates: &[IdentityUpdate],
    verdicts: &ChainVerdicts,
) -> Option<Result<Associations, AssociationsError>> {
    let mut verifier = Verifier::new(verdicts);
    for update in updates {
        deadline.check()?;
        if let Err(error) = verifier.verify(update) {
            return Some(Err(error));
        }
    }
    deadline.check()?;
    Some(verifier.associations(old))
}

/// Says no for good, or "cannot tell now" and why (transport §11, V9).
fn refused(error: &AssociationsError, missing: Option<&NoAnswer>) -> Status {
    let text = match error {
        AssociationsError::Entry { reason, .. } => format!("{error}: {reason}"),
        AssociationsError::MissingIdentityUpdate => error.to_string(),
    };
    match missing {
        Some(missing) if error.is_retryable() => cannot_tell(format!("{text}: {missing}"), missing.label()),
        None if error.is_retryable() => cannot_tell(text, error.label()),
        _ => invalid(text, error.label()),
    }
}
