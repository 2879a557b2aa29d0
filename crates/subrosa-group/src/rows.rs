//! The overlay: group state as rows in memory, with the changes not yet durable (groups §9).
//!
//! The MLS library writes through a storage trait while it works. [`Rows`] answers it from memory and collects what
//! changed, so that the changes join the transaction that moves the cursor and the intent. Writes cannot fail here;
//! what went wrong is told when the changes are drained.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

mod storage;

/// First byte of every stored value: the format that follows. 1 is `postcard` of the types of openmls 0.9.2.
const FORMAT: u8 = 1;

/// What a row holds; part of the stored key, never renumbered.
pub(crate) mod label {
    pub(crate) const TREE: u8 = 0;
    pub(crate) const CONTEXT: u8 = 1;
    pub(crate) const INTERIM_TRANSCRIPT_HASH: u8 = 2;
    pub(crate) const CONFIRMATION_TAG: u8 = 3;
    pub(crate) const GROUP_STATE: u8 = 4;
    pub(crate) const MESSAGE_SECRETS: u8 = 5;
    pub(crate) const RESUMPTION_PSKS: u8 = 6;
    pub(crate) const OWN_LEAF_INDEX: u8 = 7;
    pub(crate) const EPOCH_SECRETS: u8 = 8;
    pub(crate) const OWN_LEAF_NODES: u8 = 9;
    pub(crate) const PROPOSALS: u8 = 10;
    pub(crate) const EPOCH_KEY_PAIRS: u8 = 11;
    pub(crate) const KEY_PACKAGE: u8 = 32;
    pub(crate) const ENCRYPTION_KEY_PAIR: u8 = 33;
    pub(crate) const SIGNATURE_KEY_PAIR: u8 = 34;
    pub(crate) const PSK: u8 = 35;
    pub(crate) const WRAPPER_KEY: u8 = 40;
    pub(crate) const X_WING_SEED: u8 = 41;
}

/// Names one row of MLS state.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RowKey {
    /// The id of the group the row belongs to; empty for rows of the whole installation: key packages and their keys.
    pub scope: Vec<u8>,
    /// What the row holds.
    pub label: u8,
    /// Which one of that kind; empty where there is only one.
    pub key: Vec<u8>,
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowKey").field("label", &self.label).finish_non_exhaustive()
    }
}

/// What must be written to make a group's (or key package's) state durable, in one transaction, in this order:
/// first `clear_scope`, then `delete`, then `put`.
#[derive(Clone, Default, Eq, PartialEq)]
#[must_use = "state that is not written is lost"]
pub struct RowChanges {
    /// Rows to insert or replace. Values are opaque; the first byte is a format number.
    pub put: Vec<(RowKey, Vec<u8>)>,
    /// Rows to delete.
    pub delete: Vec<RowKey>,
    /// Whether every row of the group's scope goes first: the state replaces an older one of the same group
    /// (groups §6.4, step 7).
    pub clear_scope: bool,
}

impl RowChanges {
    /// Whether nothing must be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty() && !self.clear_scope
    }

    /// Adds `later` changes of the same scope behind these.
    pub fn extend(&mut self, later: Self) {
        let Self { put, delete, clear_scope } = later;
        if clear_scope {
            *self = Self { put: Vec::new(), delete: Vec::new(), clear_scope: true };
        }
        self.put.retain(|(key, _)| !delete.contains(key) && !put.iter().any(|(new, _)| new == key));
        self.delete.retain(|key| !put.iter().any(|(new, _)| new == key));
        self.put.extend(put);
        self.delete.extend(delete);
    }
}

impl fmt::Debug for RowChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { put, delete, clear_scope } = self; // values are secrets
        f.debug_struct("RowChanges")
            .field("put", &put.len())
            .field("delete", &delete.len())
            .field("clear_scope", clear_scope)
            .finish()
    }
}

/// Why stored rows could not be read or made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row was written by another format of this software.
    #[error("stored state has format {0}, which this release does not know")]
    Format(u8),
    /// The row is damaged.
    #[error("stored state with label {0} cannot be decoded")]
    Decode(u8),
    /// A value could not be encoded: an error of this software.
    #[error("state with label {0} cannot be encoded")]
    Encode(u8),
}

type Value = Zeroizing<Vec<u8>>;

/// Rows of one group (and, while joining, of the installation) with their pending changes.
pub(crate) struct Rows {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is durable. `None`: the row exists, but its value was let go because it lives in the loaded group.
    base: BTreeMap<RowKey, Option<Value>>,
    /// What is not yet durable; `None` deletes.
    dirty: BTreeMap<RowKey, Option<Value>>,
    clear_scope: bool,
    /// Message secrets are serialised once per drain, not once per message: until [`Rows::capture_secrets`] they
    /// are only marked.
    secrets_stale: bool,
    capturing: bool,
    /// While a commit is built, the pending commit is not written: it is taken out and cleared at once.
    building: bool,
    error: Option<RowError>,
}

impl Rows {
    /// An overlay over `rows`.
    pub(crate) fn over(rows: impl IntoIterator<Item = (RowKey, Vec<u8>)>) -> Self {
        let base = rows.into_iter().map(|(key, value)| (key, Some(Zeroizing::new(value)))).collect();
        Self { state: Mutex::new(State { base, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks that every durable row of the group goes before the new ones are written.
    pub(crate) fn clear_scope(&self, scope: &[u8]) {
        let mut state = self.state();
        state.base.retain(|key, _| key.scope != scope);
        state.clear_scope = true;
    }

    /// Forgets rows of other scopes, which were only read to get here.
    pub(crate) fn keep_scope(&self, scope: &[u8]) {
        self.state().base.retain(|key, _| key.scope == scope);
    }

    /// Lets go of values that a loaded group holds itself; only epoch key pairs are read again.
    pub(crate) fn release(&self) {
        for (key, value) in &mut self.state().base {
            if !kept(key.label) {
                *value = None;
            }
        }
    }

    pub(crate) fn secrets_stale(&self) -> bool {
        self.state().secrets_stale
    }

    /// Runs `write`, which makes the library write the message secrets, and takes them this time.
    pub(crate) fn capture_secrets<T>(&self, write: impl FnOnce() -> T) -> T {
        self.state().capturing = true;
        let result = write();
        let mut state = self.state();
        state.capturing = false;
        state.secrets_stale = false;
        result
    }

    /// Runs `build` without storing the pending commit it makes.
    pub(crate) fn building(&self, on: bool) {
        self.state().building = on;
    }

    /// Takes the changes; from now on they count as durable.
    pub(crate) fn drain(&self) -> Result<RowChanges, RowError> {
        let mut state = self.state();
        if let Some(error) = state.error {
            return Err(error);
        }
        let mut changes = RowChanges { clear_scope: std::mem::take(&mut state.clear_scope), ..RowChanges::default() };
        for (key, value) in std::mem::take(&mut state.dirty) {
            match value {
                Some(value) => {
                    changes.put.push((key.clone(), value.to_vec()));
                    let keep = kept(key.label).then_some(value);
                    state.base.insert(key, keep);
                }
                None => {
                    if state.base.remove(&key).is_some() {
                        changes.delete.push(key);
                    }
                }
            }
        }
        Ok(changes)
    }

    pub(crate) fn read<V: DeserializeOwned>(&self, key: &RowKey) -> Result<Option<V>, RowError> {
        let state = self.state();
        let value = match state.dirty.get(key) {
            Some(value) => value.as_ref(),
            None => state.base.get(key).and_then(Option::as_ref),
        };
        value.map(|value| decode(key.label, value)).transpose()
    }

    pub(crate) fn write<V: Serialize + ?Sized>(&self, key: RowKey, value: &V) {
        let encoded = encode(key.label, value);
        let mut state = self.state();
        match encoded {
            Ok(value) => {
                state.dirty.insert(key, Some(Zeroizing::new(value)));
            }
            Err(error) => state.error = Some(error),
        }
    }

    pub(crate) fn delete(&self, key: RowKey) {
        let mut state = self.state();
        if state.base.contains_key(&key) {
            state.dirty.insert(key, None);
        } else {
            state.dirty.remove(&key);
        }
    }

    fn fail(&self, error: RowError) {
        self.state().error = Some(error);
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

/// Whether the library reads rows of this kind while a group is loaded.
const fn kept(label: u8) -> bool {
    matches!(label, label::EPOCH_KEY_PAIRS | label::KEY_PACKAGE | label::WRAPPER_KEY | label::X_WING_SEED)
}

/// Encodes a value as it is stored.
///
/// ```text
/// offset  size  field
/// 0       1     format, 1
/// 1       n     postcard
/// ```
pub(crate) fn encode<V: Serialize + ?Sized>(label: u8, value: &V) -> Result<Vec<u8>, RowError> {
    postcard::to_extend(value, vec![FORMAT]).map_err(|_| RowError::Encode(label))
}

/// Decodes what [`encode`] made.
pub(crate) fn decode<V: DeserializeOwned>(label: u8, stored: &[u8]) -> Result<V, RowError> {
    match stored {
        [FORMAT, value @ ..] => postcard::from_bytes(value).map_err(|_| RowError::Decode(label)),
        [other, ..] => Err(RowError::Format(*other)),
        [] => Err(RowError::Decode(label)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(label: u8) -> RowKey {
        RowKey { scope: vec![7], label, key: vec![] }
    }

    #[test]
    fn drained_changes_are_what_differs_from_the_durable_rows() {
        let rows = Rows::over([(key(label::TREE), encode(label::TREE, &1u8).unwrap())]);
        rows.write(key(label::CONTEXT), &2u8);
        rows.delete(key(label::TREE));
        rows.delete(key(label::PROPOSALS)); // was never there
        let changes = rows.drain().unwrap();
        assert_eq!(changes.put, [(key(label::CONTEXT), vec![FORMAT, 2])]);
        assert_eq!(changes.delete, [key(label::TREE)]);
        assert!(rows.drain().unwrap().is_empty());
    }

    #[test]
    fn another_format_is_refused() {
        assert_eq!(decode::<u8>(3, &[2, 1]), Err(RowError::Format(2)));
        assert_eq!(decode::<u8>(3, &[]), Err(RowError::Decode(3)));
    }

    #[test]
    fn later_changes_win() {
        let mut first = RowChanges { put: vec![(key(1), vec![1])], delete: vec![key(2)], clear_scope: false };
        first.extend(RowChanges { put: vec![(key(2), vec![2])], delete: vec![key(1)], clear_scope: false });
        assert_eq!(first.put, [(key(2), vec![2])]);
        assert_eq!(first.delete, [key(1)]);
    }
}
