//! Who is asked about contract wallets: endpoints of chains where given, else the node.

use std::collections::BTreeSet;

use subrosa_chain::ChainVerifier;
use subrosa_identity::{ChainCheck, ChainVerdicts, IdentityUpdate, Verdict};
use subrosa_transport::Network;

use super::replay::Entry;
use crate::failure::causes;

/// Signatures per request to a node.
const PER_REQUEST: usize = 50;

/// What was answered, and remarks about who answered or did not.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) verdicts: ChainVerdicts,
    pub(super) notes: Vec<String>,
}

/// Asks about every contract wallet of a log.
pub(super) async fn ask(
    entries: &[Entry],
    chains: Option<&ChainVerifier>,
    node: Option<(&dyn Network, &str)>,
) -> Answers {
    let updates = entries.iter().filter_map(|entry| entry.update.as_ref().ok());
    let checks: BTreeSet<ChainCheck> = updates.flat_map(IdentityUpdate::chain_checks).collect();
    let mut answers = Answers::default();
    if checks.is_empty() {
        return answers;
    }
    let served: BTreeSet<u64> = chains.map(|chains| chains.chains().collect()).unwrap_or_default();
    let (at_endpoints, others): (Vec<_>, Vec<_>) =
        checks.into_iter().partition(|check| check.account_id.chain_id().is_ok_and(|id| served.contains(&id)));
    if let Some(chains) = chains {
        answers.ask_chains(chains, at_endpoints).await;
    }
    match node {
        Some((network, url)) => answers.ask_node(network, url, &others).await,
        None if others.is_empty() => {}
        None => answers.notes.push("contract wallets: nobody was asked; give --chain ID=URL, or --node URL".to_owned()),
    }
    answers
}

impl Answers {
    async fn ask_chains(&mut self, chains: &ChainVerifier, checks: Vec<ChainCheck>) {
        if checks.is_empty() {
            return;
        }
        self.notes.push("contract wallets: judged by the endpoints of their chains".to_owned());
        for (check, answer) in checks.iter().zip(chains.verify(checks.clone()).await) {
            if let Some(error) = &answer.error {
                self.note(check, answer.verdict, &causes(error).join(": "));
            }
            self.verdicts.insert_at_block(check.clone(), answer.verdict, answer.block_number);
        }
    }

    async fn ask_node(&mut self, network: &dyn Network, url: &str, checks: &[ChainCheck]) {
        if checks.is_empty() {
            return;
        }
        self.notes.push(format!("contract wallets: judged by the node {url}, which is believed"));
        for chunk in checks.chunks(PER_REQUEST) {
            match network.verify_contract_wallets(chunk.to_vec()).await {
                Err(error) => self.notes.push(format!("the node did not answer: {}", causes(&error).join(": "))),
                Ok(answered) => {
                    for (check, answer) in chunk.iter().zip(answered) {
                        if let Some(error) = &answer.error {
                            self.note(check, answer.verdict, error.as_str());
                        }
                        self.verdicts.insert_at_block(check.clone(), answer.verdict, answer.block);
                    }
                }
            }
        }
    }

    fn note(&mut self, check: &ChainCheck, verdict: Verdict, error: &str) {
        let answer = if verdict == Verdict::Unknown { "no answer" } else { "answered" };
        self.notes.push(format!("{}: {answer}: {error}", check.account_id.as_str()));
    }
}
