//! Contract wallets: chains are asked within bounds, and never answered for (identity §12).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use subrosa_chain::{ChainError, ChainVerifier};
use subrosa_identity::{AccountId, ChainCheck, ChainVerdicts, Verdict};
use subrosa_proto::xmtp::identity::api::v1 as api;
use tokio::{sync::Semaphore, time::Instant};
use tonic::Status;

use crate::mls::at_most;

/// Most questions in one request to verify contract wallets. Clients send one, ours up to 50
/// (transport §4.6).
const QUESTIONS: usize = 256;

/// Most different questions that judging one update, or one log, may need (transport §8).
pub(crate) const CHECKS: usize = 1024;

/// Requests that ask chains at the same time; others wait for their turn.
const ASKING: usize = 32;

/// Longest wait for all answers that one request needs; what is missing then is unknown.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whom a node asks about contract wallets, if anybody.
#[derive(Clone)]
pub(crate) struct Chains(Arc<Inner>);

struct Inner {
    verifier: Option<ChainVerifier>,
    turns: Semaphore,
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("this node asks no chain")]
    NoChains,
    #[error("the chains did not answer in time")]
    Late,
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl NoAnswer {
    /// The code that deployed software reports for this (identity §13).
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::NoChains | Self::Chain(ChainError::NoVerifier { .. }) => "VerifierError::NoVerifier",
            Self::Late | Self::Chain(_) => "VerifierError::Provider",
        }
    }
}

/// What a chain said.
#[derive(Clone, Debug)]
struct Answer {
    verdict: Verdict,
    block_number: Option<u64>,
    reason: Option<NoAnswer>,
}

impl Answer {
    const fn none(reason: NoAnswer) -> Self {
        Self { verdict: Verdict::Unknown, block_number: None, reason: Some(reason) }
    }
}

/// The verdicts that were collected, and why one of them is missing.
pub(crate) struct Verdicts {
    pub(crate) known: ChainVerdicts,
    pub(crate) missing: Option<NoAnswer>,
}

impl Chains {
    pub(crate) fn new(verifier: Option<ChainVerifier>) -> Self {
        Self(Arc::new(Inner { verifier, turns: Semaphore::new(ASKING) }))
    }

    /// Verdicts on the contract wallets of updates.
    pub(crate) async fn verdicts(&self, checks: Vec<ChainCheck>) -> Verdicts {
        let mut verdicts = Verdicts { known: ChainVerdicts::none(), missing: None };
        for (check, answer) in self.ask(checks).await {
            if answer.verdict == Verdict::Unknown {
                verdicts.missing = verdicts.missing.or(answer.reason);
            }
            verdicts.known.insert_at_block(check, answer.verdict, answer.block_number);
        }
        verdicts
    }

    /// Answers a client's questions by position. A question that cannot be asked is an error of that entry only
    /// (identity §12.2, transport §8).
    pub(crate) async fn verify(
        &self,
        request: api::VerifySmartContractWalletSignaturesRequest,
    ) -> Result<api::VerifySmartContractWalletSignaturesResponse, Status> {
        at_most(QUESTIONS, request.signatures.len())?;
        let checks: Vec<_> = request.signatures.into_iter().map(read).collect();
        let asked = checks.iter().filter_map(|check| check.as_ref().ok().cloned()).collect();
        let answers = self.ask(asked).await;
        let respond = |check: Result<ChainCheck, &'static str>| match check.map(|check| answers.get(&check)) {
            Ok(Some(answer)) => response(answer),
            Ok(None) => response(&Answer::none(NoAnswer::Late)),
            Err(reason) => refusal(reason.to_owned()),
        };
        let responses = checks.into_iter().map(respond).collect();
        Ok(api::VerifySmartContractWalletSignaturesResponse { responses })
    }

    /// Asks about each different question once.
    async fn ask(&self, checks: Vec<ChainCheck>) -> BTreeMap<ChainCheck, Answer> {
        let checks: BTreeSet<ChainCheck> = checks.into_iter().collect();
        let Some(verifier) = &self.0.verifier else {
            return checks.into_iter().map(|check| (check, Answer::none(NoAnswer::NoChains))).collect();
        };
        let mut answers: BTreeMap<_, _> =
            checks.iter().map(|check| (check.clone(), Answer::none(NoAnswer::Late))).collect();
        // Each question on its own, so that a silent chain costs no other chain's answer. How many are on the way at
        // the same time, the verifier bounds for each chain.
        let questions = checks.into_iter().map(|check| async {
            let said = verifier.verify(vec![check.clone()]).await;
            (check, said)
        });
        let mut questions: FuturesUnordered<_> = questions.collect();
        // Whoever runs out of time keeps what was answered until then.
        let _ = tokio::time::timeout_at(Instant::now() + PATIENCE, async {
            let Ok(_turn) = self.0.turns.acquire().await else { return };
            while let Some((check, said)) = questions.next().await {
                let Some(said) = said.into_iter().next() else { continue };
                let reason = said.error.map(NoAnswer::from);
                answers.insert(check, Answer { verdict: said.verdict, block_number: said.block_number, reason });
            }
        })
        .await;
        answers
    }
}

/// Reads one question.
fn read(asked: api::VerifySmartContractWalletSignatureRequestSignature) -> Result<ChainCheck, &'static str> {
    Ok(ChainCheck {
        account_id: AccountId::parse(&asked.account_id).map_err(|_| "the account id is malformed")?,
        hash: asked.hash.try_into().map_err(|_| "the hash has not 32 bytes")?,
        signature: asked.signature,
        block_number: asked.block_number,
    })
}

fn response(answer: &Answer) -> api::verify_smart_contract_wallet_signatures_response::ValidationResponse {
    match answer.verdict {
        Verdict::Unknown => refusal(answer.reason.as_ref().map_or_else(String::new, ToString::to_string)),
        verdict => api::verify_smart_contract_wallet_signatures_response::ValidationResponse {
            is_valid: verdict == Verdict::Valid,
            block_number: answer.block_number,
            error: answer.reason.as_ref().map(ToString::to_string),
        },
    }
}

fn refusal(reason: String) -> api::verify_smart_contract_wallet_signatures_response::ValidationResponse {
    api::verify_smart_contract_wallet_signatures_response::ValidationResponse {
        is_valid: false,
        block_number: None,
        error: Some(reason),
    }
}
