//! Loaded groups, one lock each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use subrosa_group::VerifiedKeyPackage;
use subrosa_sync::{IntentId, Machine};
use subrosa_types::{GroupId, InstallationId};

/// How many groups stay loaded when nobody uses them.
const KEPT: usize = 128;

/// The groups of one client. A group's lock is held for a whole cycle of publishing and receiving, so that its log
/// is processed by one task at a time (sync §2.13); nothing else ever waits for it.
#[derive(Default)]
pub(crate) struct Groups {
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    by_id: HashMap<GroupId, (Arc<Slot>, u64)>,
    clock: u64,
}

/// One group's lock and what is loaded behind it.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) state: tokio::sync::Mutex<State>,
}

/// What is loaded of a group.
#[derive(Default)]
pub(crate) struct State {
    /// `None`: load it from the database.
    pub(crate) machine: Option<Machine>,
    /// Intents whose payload the node has acknowledged to this process. Every other published payload is sent
    /// again, with the same bytes.
    pub(crate) acknowledged: BTreeSet<IntentId>,
    /// Key packages fetched for an addition that is about to be built.
    pub(crate) key_packages: BTreeMap<InstallationId, VerifiedKeyPackage>,
}

impl Groups {
    /// The slot of a group. The least recently used ones are dropped when too many are kept.
    pub(crate) fn slot(&self, id: &GroupId) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.clock += 1;
        let now = slots.clock;
        let entry = slots.by_id.entry(id.clone()).or_default();
        entry.1 = now;
        let slot = Arc::clone(&entry.0);
        if slots.by_id.len() > KEPT {
            let unused = slots.by_id.iter().filter(|(_, (slot, _))| Arc::strong_count(slot) == 1);
            if let Some(oldest) = unused.min_by_key(|(_, (_, used))| *used).map(|(id, _)| id.clone()) {
                slots.by_id.remove(&oldest);
            }
        }
        slot
    }

    /// Puts a machine that was just created into its slot.
    pub(crate) fn insert(&self, id: &GroupId, machine: Machine) {
        if let Ok(mut state) = self.slot(id).state.try_lock() {
            state.machine = Some(machine);
        }
    }
}
