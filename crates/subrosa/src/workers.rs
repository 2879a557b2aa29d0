//! Work that is due at a time: key packages, disappearing messages, unfinished welcomes, requested removals (sync §6).

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use subrosa_content::{Content, EncodedContent};
use subrosa_group::{NewKeyPackage, RowChanges, delete_key_package, key_package_reference};
use subrosa_store::PendingRegistration;
use subrosa_sync::{Change, Event, MembershipState};
use subrosa_types::{GroupId, InboxId, UnixNanos};
use tokio::sync::{Notify, broadcast::error::RecvError};

use crate::{error::SyncError, inner::Inner};

/// How long a key package is used (sync §6.2).
pub(crate) const ROTATION_PERIOD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long an old key package is kept after the new one was uploaded (sync §6.2).
pub(crate) const KEPT_AFTER_ROTATION: Duration = Duration::from_secs(24 * 60 * 60);

/// What the pending row is for: a key-package rotation.
const ROTATING: i32 = 1;

/// The background task looks at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// And at most this often, so that a busy client is not kept busy by it.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// How a client reaches its background task.
#[derive(Default)]
pub(crate) struct Signal {
    shared: Arc<Shared>,
    /// Held while due work is done, so that it is done once.
    running: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shared {
    wake: Notify,
    stopped: AtomicBool,
}

impl Signal {
    /// Ends the background task.
    pub(crate) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.wake.notify_one();
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the background task of a client. It holds the client only while it works.
pub(crate) fn start(inner: &Arc<Inner>) {
    let shared = Arc::clone(&inner.workers.shared);
    let events = inner.events.subscribe();
    tokio::spawn(run(Arc::downgrade(inner), shared, events));
}

async fn run(inner: Weak<Inner>, shared: Arc<Shared>, mut events: tokio::sync::broadcast::Receiver<Event>) {
    loop {
        let sleep = {
            let Some(inner) = inner.upgrade() else { return };
            if let Err(error) = inner.run_due().await {
                if shared.stopped.load(Ordering::Acquire) {
                    // The database was closed under it.
                    return;
                }
                tracing::warn!(%error, "work that is due could not be done");
                LONGEST_SLEEP / 12
            } else {
                inner.until_due()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = shared.wake.notified() => {}
            () = something_to_do(&mut events) => tokio::time::sleep(SHORTEST_SLEEP).await,
        }
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
    }
}

/// Waits for an event that may bring work: a welcome was used, a member asked to leave, a message will disappear.
async fn something_to_do(events: &mut tokio::sync::broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Message(message)) if message.expires_at.is_none() && !asks_to_leave(&message.content) => {}
            Ok(Event::Delivered { .. }) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            // The client is gone; its signal says so too.
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

fn asks_to_leave(content: &[u8]) -> bool {
    let encoded = EncodedContent::from_bytes(content);
    encoded.is_ok_and(|encoded| matches!(Content::decode(&encoded), Ok(Content::LeaveRequest(_))))
}

impl Inner {
    /// Does everything that is due now; the first failure is reported after all was tried.
    pub(crate) async fn run_due(self: &Arc<Self>) -> Result<(), SyncError> {
        let _running = self.workers.running.lock().await;
        let now = self.now();
        let results = [
            self.rotate_key_package_if_due(now).await,
            self.delete_old_key_packages(now).await,
            self.store.run(move |store| store.delete_expired(now)).await.map(|_| ()).map_err(SyncError::from),
            self.retry_welcomes(now).await,
            self.remove_those_who_leave().await,
        ];
        results.into_iter().collect()
    }

    /// How long nothing is due.
    fn until_due(&self) -> Duration {
        let next = || -> Result<Option<UnixNanos>, SyncError> {
            let rotation = self.store.identity()?.map(|identity| identity.next_rotation);
            let deletion = self.store.key_packages()?.into_iter().filter_map(|package| package.delete_at).min();
            let times = [rotation, deletion, self.store.next_expiry()?, self.store.next_task_at()?];
            Ok(times.into_iter().flatten().min())
        };
        match next() {
            Ok(Some(at)) => at.since(self.now()).clamp(SHORTEST_SLEEP, LONGEST_SLEEP),
            Ok(None) | Err(_) => LONGEST_SLEEP,
        }
    }

    /// Replaces our key package on the network, with the same bytes after a crash (groups §1.6).
    async fn rotate_key_package_if_due(&self, now: UnixNanos) -> Result<(), SyncError> {
        let begun = self.store.pending_registration()?.filter(|pending| pending.stage == ROTATING);
        let due = self.store.identity()?.is_some_and(|identity| identity.registered && identity.next_rotation <= now);
        let key_package = match begun {
            Some(pending) => pending.key_package,
            None if due => self.begin_rotation(now).await?,
            None => return Ok(()),
        };
        let current = key_package_reference(&key_package)?;
        let uploaded = self.network.upload_key_package(key_package).await;
        if let Err(error) = uploaded {
            if error.is_refusal() {
                // The node will never take these bytes; the next time makes new ones.
                self.store.run(move |store| store.abandon_key_package(now)).await?;
            }
            return Err(error.into());
        }
        self.store.run(move |store| store.key_package_rotated(&current, now.plus(KEPT_AFTER_ROTATION))).await?;
        Ok(())
    }

    async fn begin_rotation(&self, now: UnixNanos) -> Result<Vec<u8>, SyncError> {
        let package = NewKeyPackage::create(&self.me.inbox, &self.me.key, now, &self.random)?;
        let kept = Change::KeyPackageStored { hash_ref: package.hash_ref, created_at: now };
        let key_package = package.bytes.clone();
        let pending = PendingRegistration { identity_update: Vec::new(), key_package: package.bytes, stage: ROTATING };
        let rows = [Change::Rows(package.rows), kept];
        // The next time is set now: if the new package is used before we know that it arrived, that time comes first.
        let next = now.plus(ROTATION_PERIOD);
        self.store.run(move |store| store.begin_key_package(&pending, &rows, next)).await?;
        Ok(key_package)
    }

    /// Deletes key packages whose time has come, with their private keys.
    async fn delete_old_key_packages(&self, now: UnixNanos) -> Result<(), SyncError> {
        let old = self.store.expired_key_packages(now)?;
        if old.is_empty() {
            return Ok(());
        }
        let mut rows = RowChanges::default();
        for package in &old {
            let stored = |key: &subrosa_group::RowKey| self.store.mls_row(key).ok().flatten();
            rows.extend(delete_key_package(&package.hash_ref, stored)?);
        }
        self.store
            .run(move |store| store.expire_key_packages(old.iter().map(|package| package.hash_ref.as_slice()), &rows))
            .await?;
        Ok(())
    }

    async fn retry_welcomes(self: &Arc<Self>, now: UnixNanos) -> Result<(), SyncError> {
        if !self.store.due_tasks(now)?.is_empty() {
            self.sync_welcomes().await?;
        }
        Ok(())
    }

    /// Removes members that asked to leave, where we are super admin (sync §6.4).
    async fn remove_those_who_leave(self: &Arc<Self>) -> Result<(), SyncError> {
        for group in self.store.groups_with_pending_removals()? {
            let leaving = self.removable(&group)?;
            if leaving.is_empty() {
                continue;
            }
            if let Err(error) = self.remove_members(&group, &leaving).await {
                tracing::warn!(?group, %error, "members that asked to leave could not be removed");
            }
        }
        Ok(())
    }

    fn removable(&self, group: &GroupId) -> Result<Vec<InboxId>, SyncError> {
        let Some(record) = self.store.conversation(group)? else { return Ok(Vec::new()) };
        let own = self.me.inbox.to_hex();
        let staying = record.active && record.membership != MembershipState::PendingRemove;
        if !staying || record.paused_for.is_some() || !record.super_admins.contains(&own) {
            return Ok(Vec::new());
        }
        let asked = self.store.pending_removals(group)?.into_iter().map(|request| request.inbox);
        let present: BTreeSet<InboxId> = asked.filter(|inbox| record.members.contains_key(inbox)).collect();
        Ok(present.into_iter().filter(|inbox| *inbox != self.me.inbox).collect())
    }
}
