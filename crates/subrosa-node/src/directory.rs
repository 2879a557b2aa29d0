//! Publishing to identity logs: judged against the log so far and appended in one step per inbox (N13).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use prost::Message;
use subrosa_envelope::limits;
use subrosa_identity::{
    AssociationState, ChainVerdicts, EntryError, Identifier, IdentityUpdate, MemberIdentifier, Verdict, VerifiedUpdate,
};
use subrosa_proto::xmtp::identity::associations as proto;
use subrosa_types::InboxId;
use tokio::sync::Mutex as AsyncMutex;
use tonic::Status;

use crate::{
    chains::{CHECKS, Chains, Verdicts},
    check::IDENTITY_UPDATE_LIMIT,
    status::{append_failed, cannot_tell, invalid, read_failed},
    store::{Append, AppendError, Association, LogRow, NewIdentityUpdate, Store, locked, query},
    validation::{Associations, follow},
};

/// Times an update is judged anew because its log moved (transport §4.6).
const TRIES: usize = 3;

/// Inboxes are spread over this many locks.
const STRIPES: usize = 64;

/// Items in all remembered states together: members and signatures.
const CACHE_WEIGHT: usize = 1 << 20;

/// How an inbox stands after its log so far.
#[derive(Clone, Debug, Default)]
struct Standing {
    /// Id of the last entry; 0 for an empty log.
    last: i64,
    entries: usize,
    state: Option<AssociationState>,
}

impl Standing {
    fn weight(&self) -> usize {
        self.state.as_ref().map_or(1, |state| state.members().len() + state.seen_signatures().count())
    }

    /// The state after one more entry.
    fn apply(&mut self, id: i64, update: &VerifiedUpdate) -> Result<(), EntryError> {
        self.state = Some(AssociationState::apply(self.state.as_ref(), update)?);
        self.last = id;
        self.entries += 1;
        Ok(())
    }
}

/// Remembered states, so that publishing does not replay a log each time. Forgetting costs time, never truth: what is
/// remembered is completed from the log before it is used.
#[derive(Default)]
struct Cache {
    standings: HashMap<InboxId, (Standing, usize, u64)>,
    weight: usize,
    clock: u64,
}

impl Cache {
    fn get(&mut self, inbox: &InboxId) -> Option<Standing> {
        self.clock += 1;
        let (standing, _, used) = self.standings.get_mut(inbox)?;
        *used = self.clock;
        Some(standing.clone())
    }

    fn put(&mut self, inbox: InboxId, standing: Standing) {
        self.clock += 1;
        let weight = standing.weight();
        if let Some((_, old, _)) = self.standings.insert(inbox, (standing, weight, self.clock)) {
            self.weight -= old;
        }
        self.weight += weight;
        if self.weight > CACHE_WEIGHT {
            self.forget_half();
        }
    }

    /// Drops the half that was not used for longest; rare enough to be sorted.
    fn forget_half(&mut self) {
        let mut uses: Vec<u64> = self.standings.values().map(|(_, _, used)| *used).collect();
        uses.sort_unstable();
        let median = uses.get(uses.len() / 2).copied().unwrap_or(0);
        self.standings.retain(|_, (_, _, used)| *used > median);
        self.weight = self.standings.values().map(|(_, weight, _)| weight).sum();
    }
}

/// The identity logs of a node.
pub(crate) struct Directory {
    stripes: Vec<AsyncMutex<()>>,
    cache: Mutex<Cache>,
}

impl Default for Directory {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| AsyncMutex::default()).collect(), cache: Mutex::default() }
    }
}

/// A decoded update and its stored form.
#[derive(Clone)]
struct Candidate {
    inbox: InboxId,
    update: Arc<IdentityUpdate>,
    data: Vec<u8>,
}

impl Candidate {
    fn read(wire: proto::IdentityUpdate) -> Result<Self, Status> {
        let data = wire.encode_to_vec();
        if data.len() > IDENTITY_UPDATE_LIMIT {
            return Err(Status::invalid_argument("identity update too large"));
        }
        let update = IdentityUpdate::from_proto(wire).map_err(|error| refused(&error.into()))?;
        let inbox = update.inbox_id_text().parse().map_err(|_| Status::invalid_argument("invalid inbox id"))?;
        if update.actions().is_empty() {
            return Err(Status::invalid_argument("an identity update without actions"));
        }
        Ok(Self { inbox, update: Arc::new(update), data })
    }

    /// Judges the update after the log so far.
    fn judge(&self, standing: &Standing, verdicts: &ChainVerdicts) -> Result<(Standing, NewIdentityUpdate), Status> {
        if standing.entries >= limits::IDENTITY_UPDATES_PER_INBOX {
            return Err(Status::failed_precondition("inbox log is full"));
        }
        let verified = self.update.verify(verdicts).map_err(|error| refused(&error.into()))?;
        let Associations { state, diff } =
            follow(standing.state.as_ref(), &verified).map_err(|error| refused(&error.into()))?;
        if state.inbox_id() != self.inbox {
            return Err(Status::invalid_argument("the update is for another inbox"));
        }
        let after = Standing { last: standing.last, entries: standing.entries + 1, state: Some(state) };
        let append = NewIdentityUpdate {
            inbox: self.inbox,
            after: standing.last,
            data: self.data.clone(),
            associated: associations(&diff.new_members),
            revoked: associations(&diff.removed_members),
        };
        Ok((after, append))
    }
}

impl Directory {
    /// Verifies an update against its log and appends it.
    pub(crate) async fn publish(
        &self,
        store: &Store,
        chains: &Chains,
        wire: proto::IdentityUpdate,
    ) -> Result<(), Status> {
        let candidate = Candidate::read(wire)?;
        let inbox = candidate.inbox;
        // Chains may be slow: they are asked before the turn is taken, so that no other update waits for them.
        let verdicts = Arc::new(self.ask_chains(store, chains, &candidate).await?);
        let _turn = self.stripes[usize::from(inbox.as_bytes()[0]) % STRIPES].lock().await;
        for _ in 0..TRIES {
            let standing = self.standing(store, inbox).await?;
            let (candidate, verdicts) = (candidate.clone(), Arc::clone(&verdicts));
            let judge = move || candidate.judge(&standing, &verdicts);
            let (mut after, append) = store.compute(judge).await.map_err(|e| read_failed(&e))??;
            match store.append(Append::IdentityUpdate(Box::new(append))).await {
                Ok(receipt) => {
                    after.last = receipt.last_id;
                    locked(&self.cache).put(inbox, after);
                    return Ok(());
                }
                // A caller that went away while its append was on the way let the next one in early.
                Err(AppendError::Moved) => {}
                Err(error) => return Err(append_failed(error)),
            }
        }
        Err(append_failed(AppendError::Moved))
    }

    /// What chains say about the contract wallets of an update. What must be refused whatever they say is refused
    /// without asking them.
    async fn ask_chains(&self, store: &Store, chains: &Chains, candidate: &Candidate) -> Result<ChainVerdicts, Status> {
        let checks = candidate.update.chain_checks();
        if checks.is_empty() {
            return Ok(ChainVerdicts::none());
        }
        if checks.len() > CHECKS {
            return Err(Status::invalid_argument("too many contract wallets in one update"));
        }
        let standing = self.standing(store, candidate.inbox).await?;
        let (hopeful, rehearsal) = (granted(&candidate.update), candidate.clone());
        let rehearse = move || rehearsal.judge(&standing, &hopeful).map(drop);
        store.compute(rehearse).await.map_err(|error| read_failed(&error))??;
        let Verdicts { known, missing } = chains.verdicts(checks).await;
        match (candidate.update.verify(&known), missing) {
            (Err(error), Some(missing)) if error.is_retryable() => {
                Err(cannot_tell(format!("cannot tell: {error}: {missing}"), missing.label()))
            }
            (Err(error), _) => Err(refused(&error.into())),
            (Ok(_), _) => Ok(known),
        }
    }

    /// The state after everything in the log.
    async fn standing(&self, store: &Store, inbox: InboxId) -> Result<Standing, Status> {
        let known = locked(&self.cache).get(&inbox).unwrap_or_default();
        let after = known.last;
        let rows = store
            .read(move |connection| query::inbox_log(connection, inbox.as_bytes(), after))
            .await
            .map_err(|error| read_failed(&error))?;
        if rows.is_empty() {
            return Ok(known);
        }
        let standing =
            store.compute(move || replay(known, rows)).await.map_err(|e| read_failed(&e))?.map_err(|error| {
                tracing::error!(%error, ?inbox, "a stored identity log does not replay");
                Status::internal("the inbox log cannot be replayed")
            })?;
        locked(&self.cache).put(inbox, standing.clone());
        Ok(standing)
    }
}

fn replay(mut standing: Standing, rows: Vec<LogRow>) -> Result<Standing, EntryError> {
    for row in rows {
        let update = IdentityUpdate::from_bytes(&row.data)?;
        // Chains were asked before it was appended; what they say today about it changes nothing.
        let verified = update.verify(&granted(&update))?;
        standing.apply(row.id, &verified)?;
    }
    Ok(standing)
}

/// Verdicts by which every contract wallet of an update signed.
fn granted(update: &IdentityUpdate) -> ChainVerdicts {
    update.chain_checks().into_iter().map(|check| (check, Verdict::Valid)).collect()
}

/// Says no for good, or "cannot tell now" (V9).
fn refused(error: &EntryError) -> Status {
    let label = error.label();
    if error.is_retryable() {
        cannot_tell(format!("cannot tell: {error}"), label)
    } else {
        invalid(format!("invalid identity update: {error} ({label})"), label)
    }
}

/// What of a state's changes belongs into the address index: identifiers, not installations (identity §8.3).
fn associations(members: &[MemberIdentifier]) -> Vec<Association> {
    let identifiers = members.iter().filter_map(MemberIdentifier::as_identifier);
    identifiers
        .filter_map(|identifier| {
            Some(Association { kind: kind_of(&identifier)?.into(), identifier: identifier.text() })
        })
        .collect()
}

fn kind_of(identifier: &Identifier) -> Option<proto::IdentifierKind> {
    match identifier {
        Identifier::Ethereum(_) => Some(proto::IdentifierKind::Ethereum),
        Identifier::Passkey(_) => Some(proto::IdentifierKind::Passkey),
        _ => None,
    }
}
