//! Coming into conversations: the welcomes of our installation (sync §3.5).

use std::sync::Arc;

use subrosa_cursor::Positions;
use subrosa_envelope::Welcome;
use subrosa_group::{
    Sender, VerifiedKeyPackage, key_package_rows,
    welcome::{OpenedWelcome, Unwrapped, WelcomeError, WelcomeKeys, unwrap_pointee},
    wrapper_row,
};
use subrosa_sync::{Before, ConsentState, KeyPackages, Step, Task, WelcomeSource};
use subrosa_types::{GroupId, InstallationId, SequenceId};

use crate::{
    error::{SyncError, Unavailable},
    inner::Inner,
};

/// How often and how long a pointee is waited for before a task takes over (envelopes §4.2).
const POINTEE_TRIES: u32 = 5;
const POINTEE_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// How far a welcome got.
enum Progress {
    /// Staged by the MLS library, not judged.
    Opened(Box<OpenedWelcome>),
    /// Of no use, for good.
    Useless,
    /// Its pointee is not there yet.
    NotYet,
}

impl Inner {
    /// Takes every new welcome, and those kept for later that are due. Returns the groups that came in. A welcome
    /// that cannot be judged now is kept, and never stops the others.
    pub(crate) async fn sync_welcomes(self: &Arc<Self>) -> Result<Vec<GroupId>, SyncError> {
        let _one_at_a_time = self.welcoming.lock().await;
        let mut joined = Vec::new();
        for task in self.store.due_tasks(self.now())? {
            if let Some(welcome) = kept(&task) {
                joined.extend(self.take_welcome(&welcome, WelcomeSource::Task(task)).await?);
            }
        }
        let entity = subrosa_sync::welcome_entity(&self.me);
        let own = self.me.key.id();
        loop {
            let after = Positions::new(self.store.cursor(&entity)?).query_from();
            let page = self.network.query_welcomes(&own, after).await?;
            for received in page.items {
                match received.item {
                    Ok(welcome) => joined.extend(self.take_welcome(&welcome, WelcomeSource::Log).await?),
                    Err(_) => self.settle(subrosa_sync::skip_welcome(&self.me, received.sequence)).await?,
                }
            }
            if !page.more {
                return Ok(joined);
            }
        }
    }

    async fn take_welcome(
        self: &Arc<Self>,
        welcome: &Welcome,
        source: WelcomeSource,
    ) -> Result<Option<GroupId>, SyncError> {
        let now = self.now();
        let opened = match self.open_welcome(welcome).await? {
            Progress::Opened(opened) => *opened,
            Progress::Useless => {
                self.settle(subrosa_sync::leave_behind(&self.me, welcome, &source, now)).await?;
                return Ok(None);
            }
            Progress::NotYet => {
                self.settle(subrosa_sync::postpone(&self.me, welcome, &source, now)).await?;
                return Ok(None);
            }
        };
        let directory = match self.identities.resolve(&opened.needs()).await {
            Ok(directory) => directory,
            Err(error @ Unavailable::Store(_)) => return Err(error.into()),
            Err(_) => {
                self.settle(subrosa_sync::postpone(&self.me, welcome, &source, now)).await?;
                return Ok(None);
            }
        };
        let id = opened.group_id().clone();
        // Nobody works on an older state of the group while it is replaced.
        let slot = self.groups.slot(&id);
        let mut state = slot.state.lock().await;
        let record = self.store.conversation(&id)?;
        let active = record.as_ref().filter(|record| record.active).map(|record| record.epoch);
        let own = Sender { inbox: self.me.inbox, installation: self.me.key.id() };
        let Ok(judged) = opened.judge(&directory, &own, active) else {
            self.settle(subrosa_sync::leave_behind(&self.me, welcome, &source, now)).await?;
            return Ok(None);
        };
        let newest = match self.network.newest_group_messages(std::slice::from_ref(&id)).await {
            Ok(answer) => answer.into_iter().flatten().next().map(|newest| newest.sequence),
            Err(error) if error.is_refusal() => None,
            Err(error) => return Err(error.into()),
        };
        let sibling_consent = self.sibling_consent(&judged, &own)?;
        let before = Before { record, newest, sibling_consent };
        let step = match subrosa_sync::arrive(&self.me, welcome, &source, judged, before, now) {
            Ok(step) => step,
            Err(WelcomeError::Storage(error)) => return Err(error.into()),
            Err(_) => subrosa_sync::leave_behind(&self.me, welcome, &source, now),
        };
        let arrived = !step.events.is_empty();
        state.machine = None;
        self.settle(step).await?;
        Ok(arrived.then_some(id))
    }

    /// The consent of another direct message with the same peer: a duplicate is wanted as much as the first
    /// (groups §4.6).
    fn sibling_consent(
        &self,
        judged: &subrosa_group::welcome::JudgedWelcome,
        own: &Sender,
    ) -> Result<Option<ConsentState>, SyncError> {
        let Some(members) = &judged.immutable().dm_members else { return Ok(None) };
        let own = own.inbox.to_hex();
        let peer = if members.one == own { &members.two } else { &members.one };
        let Ok(peer) = peer.parse() else { return Ok(None) };
        let Some(sibling) = self.store.dm_with(&peer, self.now())? else { return Ok(None) };
        Ok(self.store.consent(&sibling.id)?.map(|consent| consent.state))
    }

    /// Unwraps and stages a welcome; fetches the pointee of a pointer.
    async fn open_welcome(&self, welcome: &Welcome) -> Result<Progress, SyncError> {
        let key = welcome.input.hpke_public_key();
        let Some(keys) = self.welcome_keys(key)? else { return Ok(Progress::Useless) };
        let plaintext = match keys.unwrap(&welcome.input) {
            Ok(Unwrapped::Welcome(plaintext)) => plaintext,
            Ok(Unwrapped::Pointer(pointer)) => {
                let Some(pointee) = self.pointee(&pointer.destination).await? else { return Ok(Progress::NotYet) };
                match unwrap_pointee(&pointer, &pointee.input) {
                    Ok(plaintext) => plaintext,
                    Err(_) => return Ok(Progress::Useless),
                }
            }
            Ok(_) | Err(_) => return Ok(Progress::Useless),
        };
        match keys.open(&plaintext, &self.random) {
            Ok(opened) => Ok(Progress::Opened(Box::new(opened))),
            Err(WelcomeError::Storage(error)) => Err(error.into()),
            Err(_) => Ok(Progress::Useless),
        }
    }

    /// The private keys behind the public key that a welcome names.
    fn welcome_keys(&self, public_key: &[u8]) -> Result<Option<WelcomeKeys>, SyncError> {
        let lookup = wrapper_row(public_key);
        let Some(reference) = self.store.mls_row(&lookup)? else { return Ok(None) };
        let mut rows = Vec::with_capacity(3);
        for key in key_package_rows(&reference)? {
            if let Some(value) = self.store.mls_row(&key)? {
                rows.push((key, value));
            }
        }
        rows.push((lookup, reference));
        Ok(WelcomeKeys::from_rows(public_key, rows)?)
    }

    /// The first welcome at a pointer's destination; it may be stored after the pointer.
    async fn pointee(&self, destination: &InstallationId) -> Result<Option<Welcome>, SyncError> {
        for _ in 0..POINTEE_TRIES {
            let page = self.network.query_welcomes(destination, SequenceId::START).await?;
            if let Some(first) = page.items.into_iter().next() {
                return Ok(first.item.ok());
            }
            tokio::time::sleep(POINTEE_PAUSE).await;
        }
        Ok(None)
    }

    async fn settle(&self, step: Step) -> Result<(), SyncError> {
        self.store.apply(step.changes, step.durability).await?;
        self.emit(step.events);
        Ok(())
    }

    /// What the network has as key packages of these installations, verified; `None` for one that is missing or
    /// invalid. Whose it really is, who uses it asks (identity §10.2).
    pub(crate) async fn fetch_key_packages(&self, installations: &[InstallationId]) -> Result<KeyPackages, SyncError> {
        if installations.is_empty() {
            return Ok(KeyPackages::new());
        }
        let fetched = self.network.fetch_key_packages(installations).await?;
        let now = self.now();
        let wanted = installations.to_vec();
        let verify = move || {
            let packages: Vec<&[u8]> = fetched.iter().map(|bytes| bytes.as_deref().unwrap_or_default()).collect();
            let verified = VerifiedKeyPackage::verify_all(&packages, now).into_iter().map(Result::ok);
            wanted.into_iter().zip(verified).collect()
        };
        tokio::task::spawn_blocking(verify).await.map_err(|_| SyncError::Unavailable(Unavailable::Stopped))
    }
}

/// The welcome that a task keeps.
fn kept(task: &Task) -> Option<Welcome> {
    Welcome::from_bytes(&task.welcome).ok()
}
