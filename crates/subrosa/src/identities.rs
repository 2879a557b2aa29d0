//! Replayed identity logs of other inboxes and our own (identity §9).
//!
//! An entry is stored before it is used, and used as it was stored; one that does not decode is neither. Rules above see only a [`Directory`]; whether an
//! inbox or an entry that is missing there exists at all was asked here.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZero,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use subrosa_group::{Directory, IdentityNeed};
use subrosa_identity::{ChainCheck, ChainVerdicts, DecodeError, EntryError, IdentityUpdate, InboxLog, Verdict};
use subrosa_store::{LoggedUpdate, Store};
use subrosa_transport::{LogEntry, Network, NodeMessage};
use subrosa_types::{InboxId, SequenceId};

use crate::error::Unavailable;

/// Inboxes in one request (identity §9.2).
const INBOXES_PER_REQUEST: usize = 50;

/// Requests under way at the same time.
const REQUESTS: usize = 4;

/// Logs kept in memory; those not used for longest go first.
const KEPT: usize = 10_000;

/// Identity logs: in memory, from the database, from the network, in this order.
pub(crate) struct Identities {
    store: Store,
    network: Arc<dyn Network>,
    cache: Mutex<Cache>,
}

impl Identities {
    pub(crate) fn new(store: Store, network: Arc<dyn Network>) -> Self {
        Self { store, network, cache: Mutex::default() }
    }

    /// What is known here of these inboxes; nothing is asked of the network. An inbox that is not known is missing.
    pub(crate) async fn directory(&self, inboxes: &[InboxId]) -> Result<Directory, Unavailable> {
        let mut found = self.cache().get_all(inboxes);
        let missing: Vec<InboxId> = inboxes.iter().copied().filter(|inbox| !found.contains_key(inbox)).collect();
        if !missing.is_empty() {
            let replayed = self.replay(missing, BTreeMap::new(), Chains::Silent).await?;
            found.extend(replayed.logs);
        }
        Ok(directory_of(found))
    }

    /// What is known here of the members of a group. It is a head start, nothing more: whatever is missing is asked
    /// for when a rule needs it.
    pub(crate) async fn members(&self, members: &[(InboxId, SequenceId)]) -> Directory {
        let inboxes: Vec<InboxId> = members.iter().map(|(inbox, _)| *inbox).collect();
        self.directory(&inboxes).await.unwrap_or_default()
    }

    /// The logs as far as they are needed. The network is asked only about inboxes whose log does not reach that far
    /// here; what does not exist there either stays missing, and the rules decide (groups §3.4).
    pub(crate) async fn resolve(&self, needs: &[IdentityNeed]) -> Result<Directory, Unavailable> {
        let mut wanted: BTreeMap<InboxId, SequenceId> = BTreeMap::new();
        for need in needs {
            let up_to = wanted.entry(need.inbox).or_default();
            *up_to = need.up_to.max(*up_to);
        }
        let inboxes: Vec<InboxId> = wanted.keys().copied().collect();
        let mut found = self.cache().get_all(&inboxes);
        let behind = |found: &Logs| -> Vec<InboxId> {
            let reaches = |inbox: &InboxId, up_to| found.get(inbox).is_some_and(|log| log.last_sequence() >= up_to);
            wanted.iter().filter(|(inbox, up_to)| !reaches(inbox, **up_to)).map(|(inbox, _)| *inbox).collect()
        };
        let missing = behind(&found);
        if !missing.is_empty() {
            // Stored already, or by another process.
            found.extend(self.replay(missing, found.clone(), Chains::Ask).await?.fully()?);
        }
        let missing = behind(&found);
        if !missing.is_empty() {
            found.extend(self.fetch(missing, found.clone()).await?);
        }
        Ok(directory_of(found))
    }

    /// The logs with everything the network has. An inbox without a log is missing.
    pub(crate) async fn refresh(&self, inboxes: &[InboxId]) -> Result<Directory, Unavailable> {
        let mut known = self.cache().get_all(inboxes);
        let missing: Vec<InboxId> = inboxes.iter().copied().filter(|inbox| !known.contains_key(inbox)).collect();
        if !missing.is_empty() {
            known.extend(self.replay(missing, BTreeMap::new(), Chains::Ask).await?.fully()?);
        }
        let fetched = self.fetch(inboxes.to_vec(), known.clone()).await?;
        known.extend(fetched);
        Ok(directory_of(known))
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for what comes after the end of each log, stores it, and replays it.
    async fn fetch(&self, inboxes: Vec<InboxId>, known: Logs) -> Result<Logs, Unavailable> {
        let end = |inbox: &InboxId| known.get(inbox).map_or(SequenceId::START, |log| log.last_sequence());
        let asked = inboxes.iter().map(|inbox| (*inbox, end(inbox))).collect();
        let Fetched { updates, undecodable } = fetch(&*self.network, asked).await?;
        let mut logs = BTreeMap::new();
        if !updates.is_empty() {
            let mut changed: Vec<InboxId> = updates.iter().map(|update| update.inbox).collect();
            changed.sort_unstable();
            changed.dedup();
            self.store.run(move |store| store.insert_identity_updates(&updates)).await?;
            logs = self.replay(changed, known.clone(), Chains::Ask).await?.fully()?;
        }
        end_at(&mut logs, &known, undecodable);
        Ok(logs)
    }

    /// Extends the known logs of these inboxes by what is stored after them.
    async fn replay(&self, inboxes: Vec<InboxId>, known: Logs, chains: Chains) -> Result<Replayed, Unavailable> {
        let stored = self.store.run(move |store| store.identity_logs(&inboxes)).await?;
        let replayed = extend(&*self.network, stored, &known, chains).await?;
        self.cache().insert_all(&replayed.logs);
        Ok(replayed)
    }
}

/// The logs as the network has them; nothing is kept (identity §9.5). An inbox without a log is missing.
pub(crate) async fn fetch_once(network: &dyn Network, inboxes: &[InboxId]) -> Result<Directory, Unavailable> {
    let asked = inboxes.iter().map(|inbox| (*inbox, SequenceId::START)).collect();
    let mut entries: Entries = HashMap::new();
    let Fetched { updates, undecodable } = fetch(network, asked).await?;
    for LoggedUpdate { inbox, sequence, payload, .. } in updates {
        entries.entry(inbox).or_default().push((sequence, payload));
    }
    let mut logs = extend(network, entries, &BTreeMap::new(), Chains::Ask).await?.fully()?;
    end_at(&mut logs, &BTreeMap::new(), undecodable);
    Ok(directory_of(logs))
}

/// What the network has of some logs.
#[derive(Default)]
struct Fetched {
    /// Up to the first of each log that does not decode.
    updates: Vec<LoggedUpdate>,
    undecodable: Vec<Undecodable>,
}

/// Where a log stops being readable. This is not stored: a later version of this crate may read on, and another answer
/// of the node may be better (identity §9.2).
struct Undecodable {
    inbox: InboxId,
    at: SequenceId,
    reason: DecodeError,
}

impl Fetched {
    fn add(&mut self, inbox: InboxId, entries: Vec<LogEntry>) {
        for LogEntry { sequence, server_time, update, bytes: payload } in entries {
            match update {
                Ok(_) => self.updates.push(LoggedUpdate { inbox, sequence, server_time, payload }),
                Err(reason) => return self.undecodable.push(Undecodable { inbox, at: sequence, reason }),
            }
        }
    }
}

/// Ends logs where they stop being readable: from there on they have no states.
fn end_at(logs: &mut Logs, known: &Logs, undecodable: Vec<Undecodable>) {
    for Undecodable { inbox, at, reason } in undecodable {
        let log = logs
            .entry(inbox)
            .or_insert_with(|| known.get(&inbox).cloned().unwrap_or_else(|| Arc::new(InboxLog::new(inbox))));
        // A log that reaches further meanwhile had a better answer for this entry.
        let _ = Arc::make_mut(log).push_refused(at, reason);
    }
}

/// Asks for what comes after a position of each log.
async fn fetch(network: &dyn Network, asked: Vec<(InboxId, SequenceId)>) -> Result<Fetched, Unavailable> {
    let answers: Vec<_> = stream::iter(asked.chunks(INBOXES_PER_REQUEST).map(<[_]>::to_vec))
        .map(|chunk| async move { network.identity_updates(&chunk).await.map(|entries| (chunk, entries)) })
        .buffer_unordered(REQUESTS)
        .try_collect()
        .await?;
    let mut fetched = Fetched::default();
    for ((inbox, _), entries) in answers.into_iter().flat_map(|(asked, answers)| asked.into_iter().zip(answers)) {
        fetched.add(inbox, entries);
    }
    Ok(fetched)
}

/// Extends known logs by the entries that come after them, on all cores.
async fn extend(
    network: &dyn Network,
    entries: Entries,
    known: &Logs,
    chains: Chains,
) -> Result<Replayed, Unavailable> {
    let jobs = entries.into_iter().map(|(inbox, entries)| Job::new(inbox, known.get(&inbox).cloned(), entries));
    let mut jobs = run(jobs.filter(|job| !job.rest.is_empty()).collect(), ChainVerdicts::none()).await?;
    let mut silent = None;
    if chains == Chains::Ask && jobs.iter().any(|job| !job.checks.is_empty()) {
        let verdicts;
        (verdicts, silent) = ask_chains(network, &jobs).await?;
        jobs = run(jobs, verdicts).await?;
    }
    let mut logs = BTreeMap::new();
    let mut stuck = None;
    for job in jobs {
        if !job.checks.is_empty() {
            let message = silent.clone().unwrap_or_default();
            stuck = stuck.or(Some(Unavailable::Chain { inbox: job.inbox, message }));
        }
        logs.insert(job.inbox, job.log);
    }
    Ok(Replayed { logs, stuck })
}

/// Verdicts about the contract wallets of these jobs, and the first reason why there is none.
async fn ask_chains(network: &dyn Network, jobs: &[Job]) -> Result<(ChainVerdicts, Option<NodeMessage>), Unavailable> {
    let mut checks: Vec<ChainCheck> = jobs.iter().flat_map(|job| job.checks.iter().cloned()).collect();
    checks.sort_unstable();
    checks.dedup();
    ask(network, checks).await
}

/// Asks the node, or the chains that were put in its place, about these signatures (identity §12). Also says why an
/// answer is missing, if one is.
pub(crate) async fn ask(
    network: &dyn Network,
    checks: Vec<ChainCheck>,
) -> Result<(ChainVerdicts, Option<NodeMessage>), Unavailable> {
    let mut verdicts = ChainVerdicts::none();
    let mut silent = None;
    for chunk in checks.chunks(INBOXES_PER_REQUEST) {
        let answers = network.verify_contract_wallets(chunk.to_vec()).await?;
        for (check, answer) in chunk.iter().zip(answers) {
            if answer.verdict == Verdict::Unknown {
                silent = silent.or(Some(answer.error.unwrap_or_default()));
            }
            verdicts.insert_at_block(check.clone(), answer.verdict, answer.block);
        }
    }
    Ok((verdicts, silent))
}

type Logs = BTreeMap<InboxId, Arc<InboxLog>>;

/// Entries of logs, each log ascending.
type Entries = HashMap<InboxId, Vec<(SequenceId, Vec<u8>)>>;

/// Whether chains may be asked now.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Chains {
    Ask,
    Silent,
}

/// Logs as far as they could be replayed.
struct Replayed {
    logs: Logs,
    /// Why one of them stopped before its end.
    stuck: Option<Unavailable>,
}

impl Replayed {
    fn fully(self) -> Result<Logs, Unavailable> {
        match self.stuck {
            Some(error) => Err(error),
            None => Ok(self.logs),
        }
    }
}

/// One log and the entries it is to be extended by.
struct Job {
    inbox: InboxId,
    log: Arc<InboxLog>,
    /// Not yet replayed, ascending.
    rest: Vec<(SequenceId, Vec<u8>)>,
    /// What chains have to answer before the first of `rest` can be replayed; then also about those after it.
    checks: Vec<ChainCheck>,
}

impl Job {
    fn new(inbox: InboxId, log: Option<Arc<InboxLog>>, mut rest: Vec<(SequenceId, Vec<u8>)>) -> Self {
        let log = log.unwrap_or_else(|| Arc::new(InboxLog::new(inbox)));
        let end = log.last_sequence();
        rest.retain(|(sequence, _)| *sequence > end);
        Self { inbox, log, rest, checks: Vec::new() }
    }

    /// Replays as far as the verdicts reach.
    fn run(&mut self, verdicts: &ChainVerdicts) {
        self.checks.clear();
        let log = Arc::make_mut(&mut self.log);
        let mut done = 0;
        for (sequence, bytes) in &self.rest {
            let verified = match IdentityUpdate::from_bytes(bytes) {
                Err(error) => Err(EntryError::from(error)),
                Ok(decoded) => match decoded.verify(verdicts) {
                    Err(error) if error.is_retryable() => break,
                    verified => verified.map_err(EntryError::from),
                },
            };
            // What is wrong with an entry stays in the log: from there on it has no states.
            let _ = match verified {
                Ok(verified) => log.push(*sequence, &verified),
                Err(error) => log.push_refused(*sequence, error),
            };
            done += 1;
        }
        self.rest.drain(..done);
        let rest = self.rest.iter().filter_map(|(_, bytes)| IdentityUpdate::from_bytes(bytes).ok());
        self.checks.extend(rest.flat_map(|update| update.chain_checks()));
    }
}

/// Runs jobs on all cores, away from the threads that serve tasks.
async fn run(jobs: Vec<Job>, verdicts: ChainVerdicts) -> Result<Vec<Job>, Unavailable> {
    // Asking for the number of cores reads files: not for a single job.
    let cores = if jobs.len() < 2 { 1 } else { std::thread::available_parallelism().map_or(1, NonZero::get) };
    let share = jobs.len().div_ceil(cores).max(1);
    let verdicts = Arc::new(verdicts);
    let mut jobs = jobs.into_iter();
    let mut threads = Vec::new();
    loop {
        let mut some: Vec<Job> = jobs.by_ref().take(share).collect();
        if some.is_empty() {
            break;
        }
        let verdicts = Arc::clone(&verdicts);
        threads.push(tokio::task::spawn_blocking(move || {
            some.iter_mut().for_each(|job| job.run(&verdicts));
            some
        }));
    }
    let mut done = Vec::new();
    for thread in threads {
        done.extend(thread.await.map_err(|_| Unavailable::Stopped)?);
    }
    Ok(done)
}

fn directory_of(logs: Logs) -> Directory {
    logs.into_iter().collect()
}

/// Two generations: what was not used while the younger one filled up goes.
#[derive(Default)]
struct Cache {
    young: HashMap<InboxId, Arc<InboxLog>>,
    old: HashMap<InboxId, Arc<InboxLog>>,
}

impl Cache {
    fn get_all(&mut self, inboxes: &[InboxId]) -> Logs {
        let mut found = BTreeMap::new();
        for inbox in inboxes {
            if let Some(log) = self.young.get(inbox) {
                found.insert(*inbox, Arc::clone(log));
            } else if let Some(log) = self.old.remove(inbox) {
                found.insert(*inbox, Arc::clone(&log));
                self.insert(*inbox, log);
            }
        }
        found
    }

    /// Keeps the logs that reach further than those kept.
    fn insert_all(&mut self, logs: &Logs) {
        for (inbox, log) in logs {
            let known = self.young.get(inbox).or_else(|| self.old.get(inbox));
            if known.is_none_or(|known| known.last_sequence() < log.last_sequence()) {
                self.insert(*inbox, Arc::clone(log));
            }
        }
    }

    fn insert(&mut self, inbox: InboxId, log: Arc<InboxLog>) {
        if self.young.len() >= KEPT / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(inbox, log);
    }
}

#[cfg(test)]
mod tests {
    use subrosa_identity::LogError;
    use subrosa_types::UnixNanos;

    use super::*;

    fn entry(id: u64, update: Result<IdentityUpdate, DecodeError>) -> LogEntry {
        let bytes = update.as_ref().map(IdentityUpdate::to_bytes).unwrap_or_default();
        LogEntry { sequence: SequenceId(id), server_time: UnixNanos::EPOCH, update, bytes }
    }

    #[test]
    fn what_does_not_decode_ends_the_log_and_is_not_kept() {
        let inbox = InboxId::from_bytes([1; 32]);
        let nothing = || IdentityUpdate::new(inbox.to_hex(), 0, Vec::new());
        let strange = DecodeError::MissingField("action");
        let mut fetched = Fetched::default();
        fetched.add(inbox, vec![entry(4, Ok(nothing())), entry(5, Err(strange)), entry(6, Ok(nothing()))]);
        assert_eq!(fetched.updates.iter().map(|update| update.sequence.0).collect::<Vec<_>>(), [4]);

        let kept = Arc::new(InboxLog::new(inbox));
        let known = BTreeMap::from([(inbox, Arc::clone(&kept))]);
        let mut logs = BTreeMap::new();
        end_at(&mut logs, &known, fetched.undecodable);
        assert!(matches!(logs[&inbox].latest(), Err(LogError::Broken { at: SequenceId(5), .. })));
        assert_eq!(kept.last_sequence(), SequenceId::START, "a better answer may come");
    }
}
