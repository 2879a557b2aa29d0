//! Contract wallets without the node: chains are asked directly (identity §12.3).

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use subrosa_chain::{ChainAnswer, ChainVerifier};
use subrosa_identity::{ChainCheck, Verdict};
use subrosa_transport::{ContractVerdict, Layer, Layered, Network, NetworkError, NodeMessage};

/// The network, but for questions about contract wallets.
pub(crate) fn over(network: Arc<dyn Network>, chains: ChainVerifier) -> Arc<dyn Network> {
    Arc::new(Layered::new(network, Chains(chains)))
}

struct Chains(ChainVerifier);

impl Layer for Chains {
    fn contract_wallets<'a>(
        &'a self,
        _network: &'a dyn Network,
        checks: Vec<ChainCheck>,
    ) -> BoxFuture<'a, Result<Vec<ContractVerdict>, NetworkError>> {
        async move { Ok(self.0.verify(checks).await.into_iter().map(verdict).collect()) }.boxed()
    }
}

fn verdict(answer: ChainAnswer) -> ContractVerdict {
    let error = answer.error.filter(|_| answer.verdict == Verdict::Unknown);
    ContractVerdict {
        verdict: answer.verdict,
        block: answer.block_number,
        error: error.map(|error| NodeMessage::new(&error.to_string())),
    }
}
