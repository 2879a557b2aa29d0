//! One group's cycle: publish what is queued, receive what is new, do what follows (sync §2.8).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use subrosa_group::Directory;
use subrosa_intent::{IntentState, PayloadClass};
use subrosa_store::StoreError;
use subrosa_sync::{Built, Durability, IntentId, KeyPackages, Loaded, Machine, PostCommit, Received};
use subrosa_transport::Received as Item;
use subrosa_types::GroupId;

use crate::{
    changes::OUTSTANDING,
    error::{ChangeError, SyncError, Unavailable},
    groups::State,
    inner::Inner,
};

/// Most messages that are encrypted in one transaction and sent in one request.
const BATCH: usize = 100;
/// Most bytes sent in one request, unless a single message is larger.
const BATCH_BYTES: usize = 4 << 20;
/// How often a cycle starts over when another process changed the group meanwhile.
const CONFLICTS: usize = 5;
/// Rounds of a waited operation and the pauses between them (sync §1).
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(450)];

/// How often a change is built again because another commit was first, before that counts as a failed round.
const RACES: u32 = 32;

/// How a cycle ended whose receiving part succeeded.
#[derive(Debug, Default)]
pub(crate) struct Cycle {
    /// Why publishing stopped early; the intents are still there.
    pub(crate) publish: Option<SyncError>,
    /// Why work after a commit is outstanding.
    pub(crate) post_commit: Option<SyncError>,
}

impl Inner {
    /// Runs one cycle of a group. Failing to send does not make it fail: what is queued stays queued.
    pub(crate) async fn sync_group(self: &Arc<Self>, id: &GroupId) -> Result<(), SyncError> {
        self.cycle(id).await.map(|_| ())
    }

    /// Waits until an intent took effect, or tells why it did not (sync §2.8).
    pub(crate) async fn wait_for(self: &Arc<Self>, id: &GroupId, intent: IntentId) -> Result<(), ChangeError> {
        let mut last = None;
        let mut pauses = PAUSES.into_iter();
        let mut races = 0;
        loop {
            let mut raced = false;
            match self.cycle(id).await {
                Ok(cycle) => {
                    raced = cycle.publish.is_none() && cycle.post_commit.is_none() && races < RACES;
                    last = cycle.publish.or(cycle.post_commit).or(last);
                }
                Err(error @ SyncError::UnknownConversation) => return Err(error.into()),
                Err(error) => last = Some(error),
            }
            match self.store.intent(intent)? {
                None => return Ok(()),
                Some(row) => match row.state {
                    IntentState::Processed => return Ok(()),
                    IntentState::Error => return Err(ChangeError::failed(row.error, last)),
                    // Another commit was first; ours is built again on the new epoch, at once.
                    IntentState::ToPublish if raced => {
                        races += 1;
                        continue;
                    }
                    IntentState::ToPublish | IntentState::Published | IntentState::Committed => {}
                },
            }
            match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(ChangeError::NotConfirmed { cause: last.map(Box::new) }),
            }
        }
    }

    /// One cycle, started over when another process moved the group.
    async fn cycle(self: &Arc<Self>, id: &GroupId) -> Result<Cycle, SyncError> {
        let slot = self.groups.slot(id);
        let mut state = slot.state.lock().await;
        let mut conflicts = 0;
        loop {
            match self.cycle_once(id, &mut state).await {
                Err(error) if error.is_conflict() && conflicts < CONFLICTS => {
                    conflicts += 1;
                    state.machine = None;
                }
                result => {
                    if result.is_err() {
                        state.machine = None;
                    }
                    return result;
                }
            }
        }
    }

    async fn cycle_once(&self, id: &GroupId, state: &mut State) -> Result<Cycle, SyncError> {
        let machine = self.loaded(id, state)?;
        let outstanding: BTreeSet<IntentId> = machine.intents().map(|intent| intent.id).collect();
        if !machine.record().active {
            self.post_commit(id, state).await?;
            return Err(SyncError::Inactive);
        }
        machine.unpause();
        state.acknowledged.retain(|intent| outstanding.contains(intent));
        let machine = self.loaded_again(id, state)?;
        if machine.record().paused_for.is_some() {
            return Ok(Cycle::default());
        }
        let mut cycle = Cycle::default();
        match self.publish(id, state).await {
            Err(error) if error.is_conflict() => return Err(error),
            Err(error) => cycle.publish = Some(error),
            Ok(()) => {}
        }
        state.key_packages.clear();
        self.receive(id, state).await?;
        match self.post_commit(id, state).await {
            Err(error) if error.is_conflict() => return Err(error),
            Err(error) => cycle.post_commit = Some(error),
            Ok(()) => {}
        }
        Ok(cycle)
    }

    /// The group's machine with the intents that are stored now.
    fn loaded<'a>(&self, id: &GroupId, state: &'a mut State) -> Result<&'a mut Machine, SyncError> {
        let machine = match state.machine.take() {
            Some(mut machine) => {
                machine.set_intents(self.store.intents(id, &OUTSTANDING)?);
                machine
            }
            None => {
                let stored = self.store.load_group(id)?.ok_or(SyncError::UnknownConversation)?;
                let group =
                    subrosa_group::Group::load(id, stored.rows, &self.random)?.ok_or(SyncError::UnknownConversation)?;
                let loaded = Loaded {
                    record: stored.conversation,
                    group,
                    positions: subrosa_cursor::Positions::new(stored.positions),
                    leaving: stored.pending_removals.into_iter().map(|request| request.inbox).collect(),
                };
                let mut machine = Machine::new(Arc::clone(&self.me), loaded);
                machine.set_intents(stored.intents);
                machine
            }
        };
        Ok(state.machine.insert(machine))
    }

    /// Makes what the machine collected durable, then visible. On failure the machine is dropped: it is ahead of the
    /// database.
    async fn commit(&self, state: &mut State, durability: Durability) -> Result<(), SyncError> {
        let Some(machine) = state.machine.as_mut() else { return Ok(()) };
        let step = machine.take_step(durability)?;
        if step.changes.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.store.apply(step.changes, durability).await {
            state.machine = None;
            return Err(error.into());
        }
        self.emit(step.events);
        Ok(())
    }

    /// Sends what is queued. Payloads are durable before they leave; one commit ends the pass (sync §2.6).
    async fn publish(&self, id: &GroupId, state: &mut State) -> Result<(), SyncError> {
        self.resend(id, state).await?;
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            let machine = self.loaded_again(id, state)?;
            let Some(intent) = machine.next_to_publish().cloned() else { break };
            let directory = if intent.new.kind.class() == PayloadClass::Commit {
                self.identities.resolve(&machine.needs_to_build(&intent)).await?
            } else {
                Directory::default()
            };
            let key_packages = self.key_packages(id, state, &intent, &directory).await?;
            let machine = self.loaded_again(id, state)?;
            match machine.build(intent.id, &directory, &key_packages)? {
                Built::Payload => {
                    let size = machine.intents().find(|built| built.id == intent.id).and_then(|i| i.payload.as_ref());
                    bytes += size.map_or(0, |payload| payload.bytes.len());
                    batch.push(intent.id);
                    let commit = intent.new.kind.class() == PayloadClass::Commit;
                    if commit || batch.len() >= BATCH || bytes >= BATCH_BYTES {
                        self.transmit(state, std::mem::take(&mut batch)).await?;
                        bytes = 0;
                    }
                    if commit {
                        return Ok(());
                    }
                }
                Built::Nothing => {}
                Built::Failed(why) => {
                    self.commit(state, Durability::Power).await?;
                    state.machine = None;
                    return Err(SyncError::CannotBuild(why));
                }
            }
        }
        self.transmit(state, batch).await
    }

    /// The machine, without asking the database for intents again.
    fn loaded_again<'a>(&self, id: &GroupId, state: &'a mut State) -> Result<&'a mut Machine, SyncError> {
        if state.machine.is_none() {
            self.loaded(id, state)?;
        }
        state.machine.as_mut().ok_or(SyncError::UnknownConversation)
    }

    /// Sends published payloads of unknown fate again, with the same bytes, after looking whether the log has them
    /// already (sync §2.12).
    async fn resend(&self, id: &GroupId, state: &mut State) -> Result<(), SyncError> {
        let unknown = |state: &State| -> Vec<IntentId> {
            let intents = state.machine.iter().flat_map(|machine| machine.intents());
            intents
                .filter(|intent| intent.state == IntentState::Published)
                .map(|intent| intent.id)
                .filter(|intent| !state.acknowledged.contains(intent))
                .collect()
        };
        if unknown(state).is_empty() {
            return Ok(());
        }
        self.receive(id, state).await?;
        let again = unknown(state);
        self.transmit(state, again).await
    }

    /// Makes the step durable and sends the payloads of these intents in one request. When the node refuses a
    /// request of several, each is sent alone to see which one it is.
    async fn transmit(&self, state: &mut State, intents: Vec<IntentId>) -> Result<(), SyncError> {
        self.commit(state, Durability::Power).await?;
        if intents.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let Some(machine) = state.machine.as_ref() else { return Ok(()) };
        let inputs: Vec<_> = machine
            .intents()
            .filter(|intent| intents.contains(&intent.id))
            .filter_map(|intent| Some((intent.id, machine.input(intent, now)?)))
            .collect();
        match self.network.send_group_messages(inputs.iter().map(|(_, input)| input.clone()).collect()).await {
            Ok(()) => {
                state.acknowledged.extend(intents);
                Ok(())
            }
            Err(error) if error.is_refusal() => {
                let mut refused = None;
                for (intent, input) in inputs {
                    match self.network.send_group_messages(vec![input]).await {
                        Ok(()) => {
                            state.acknowledged.insert(intent);
                        }
                        Err(error) if error.is_refusal() => {
                            if let Some(machine) = state.machine.as_mut() {
                                machine.send_refused(intent)?;
                            }
                            refused = Some(error);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                self.commit(state, Durability::Power).await?;
                refused.map_or(Ok(()), |error| Err(error.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Key packages for an intent: those at hand, the rest from the node.
    async fn key_packages(
        &self,
        id: &GroupId,
        state: &mut State,
        intent: &subrosa_sync::Intent,
        directory: &Directory,
    ) -> Result<KeyPackages, SyncError> {
        let wanted = self.loaded_again(id, state)?.key_packages_to_build(intent, directory);
        let own = self.me.key.id();
        let mut packages = KeyPackages::new();
        let mut missing = Vec::new();
        for installation in wanted.into_iter().filter(|installation| *installation != own) {
            match state.key_packages.remove(&installation) {
                Some(package) => {
                    packages.insert(installation, Some(package));
                }
                None => missing.push(installation),
            }
        }
        packages.extend(self.fetch_key_packages(&missing).await?);
        Ok(packages)
    }

    /// Reads the group's log to its end (sync §2.9).
    async fn receive(&self, id: &GroupId, state: &mut State) -> Result<(), SyncError> {
        loop {
            let machine = self.loaded_again(id, state)?;
            let after = machine.query_from();
            let page = self.network.query_group_messages(id, after).await?;
            if page.items.is_empty() {
                break;
            }
            let members: Vec<_> = machine.record().members.iter().map(|(inbox, at)| (*inbox, *at)).collect();
            let mut directory = self.identities.members(&members).await;
            let mut stopped = false;
            for Item { sequence, item } in page.items {
                match item {
                    Err(_) => self.loaded_again(id, state)?.skip(sequence),
                    Ok(message) => stopped = self.feed(id, state, &message, &mut directory).await?,
                }
                if stopped {
                    break;
                }
            }
            self.commit(state, Durability::Process).await?;
            // In a group we were removed from the cursor stands: the same page would come for ever.
            let moved = self.loaded_again(id, state)?.query_from() > after;
            if stopped || !page.more || !moved {
                break;
            }
        }
        self.loaded_again(id, state)?.drop_dead_payloads()?;
        self.commit(state, Durability::Process).await
    }

    /// Feeds one envelope to the machine until it is dealt with; true if the group stops there.
    async fn feed(
        &self,
        id: &GroupId,
        state: &mut State,
        message: &subrosa_envelope::GroupMessage,
        directory: &mut Directory,
    ) -> Result<bool, SyncError> {
        let now = self.now();
        let mut answer = self.loaded_again(id, state)?.receive(message, directory, now)?;
        loop {
            answer = match answer {
                Received::Done => return Ok(false),
                Received::Stopped => return Ok(true),
                Received::Flush => {
                    self.commit(state, Durability::Process).await?;
                    self.loaded_again(id, state)?.receive(message, directory, now)?
                }
                Received::Needs(needs) => match self.identities.resolve(&needs).await {
                    Ok(found) => {
                        directory.extend(found);
                        self.loaded_again(id, state)?.resume(directory, now)?
                    }
                    Err(cause) => {
                        let _ = self.loaded_again(id, state)?.postpone();
                        self.commit(state, Durability::Process).await?;
                        state.machine = None;
                        return Err(SyncError::Held { cause });
                    }
                },
                Received::Reload => {
                    self.commit(state, Durability::Process).await?;
                    state.machine = None;
                    let machine = self.loaded_again(id, state)?;
                    return Ok(machine.record().paused_for.is_some() || machine.record().held.is_some());
                }
            };
        }
    }

    /// Sends the welcomes of commits that took effect (sync §2.11).
    async fn post_commit(&self, id: &GroupId, state: &mut State) -> Result<(), SyncError> {
        let machine = self.loaded_again(id, state)?;
        let committed: Vec<_> =
            machine.intents().filter(|intent| intent.state == IntentState::Committed).cloned().collect();
        for intent in committed {
            let stored = intent.payload.as_ref().and_then(|payload| payload.post_commit.as_ref());
            if let Some(work) = stored.and_then(|bytes| PostCommit::from_bytes(bytes).ok()) {
                let cursor = intent.resolved_at.map(|at| at.sequence).unwrap_or_default();
                let random = self.random.clone();
                let wrap = move || subrosa_group::welcome::wrap(&work.welcome, cursor, &work.recipients, &random);
                let wrapped = tokio::task::spawn_blocking(wrap).await.map_err(|_| Unavailable::Stopped)??;
                self.network.send_welcomes(wrapped.welcomes).await?;
            }
            self.loaded_again(id, state)?.post_commit_done(intent.id)?;
            self.commit(state, Durability::Process).await?;
            state.acknowledged.remove(&intent.id);
        }
        Ok(())
    }
}

impl SyncError {
    /// Whether another process changed the group meanwhile: load it again and redo.
    fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Stale { .. } | StoreError::CursorPassed { .. } | StoreError::IntentMoved { .. })
        )
    }
}
