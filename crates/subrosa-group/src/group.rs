//! One group: its state, and everything that moves it.
//!
//! A [`Group`] is loaded from rows and stays in memory. What an operation changed is taken with [`Group::drain`] and
//! made durable by the caller, together with whatever else belongs to the same step.
//!
//! # When the object must be dropped and loaded again
//!
//! - after a commit was opened and not merged: refused by [`Group::judge`], or given up because an identity log could
//!   not be had now. The ratchet must not have moved: a later correct commit of the same generation must still open.
//!   Drain before opening a commit, so that nothing else is lost with the object;
//! - after any error of [`Group::merge`], [`Group::encrypt`] or [`Group::build_commit`], and after
//!   [`OpenError::Storage`];
//! - after the transaction that held drained changes failed.
//!
//! It need *not* be reloaded after any other [`OpenError`]: a message that does not open touches nothing.

use std::sync::{Arc, OnceLock};

use openmls::{
    group::{GroupId as MlsGroupId, MlsGroup},
    prelude::PastEpochDeletion,
};
use subrosa_types::{Epoch, GroupId, InstallationId};

use crate::{
    context::Context,
    leaf::Leaf,
    provider::Provider,
    random::Randomness,
    rows::{RowChanges, RowError, RowKey, Rows},
};

mod commit;
mod create;
mod encrypt;
mod judge;
mod merge;
mod open;
mod report;

pub use commit::{BuildError, CommitPlan, PreparedCommit};
pub use create::{CreateError, NewGroup, NewKind};
pub use encrypt::EncryptError;
pub use judge::JudgedCommit;
pub use merge::MergeError;
pub use open::{ApplicationMessage, OpenError, Opened, OpenedCommit, RestageError};
pub use report::{CommitReport, CommitType};

/// One group in memory. See the module's list of when it must be loaded again.
#[derive(Debug)]
pub struct Group {
    id: GroupId,
    mls: MlsGroup,
    provider: Provider,
    context: OnceLock<Arc<Context>>,
}

impl Group {
    /// Loads a group from its rows: all rows whose scope is the group's id. `None` if they hold no group.
    ///
    /// # Errors
    /// [`RowError`] when the rows are damaged or of another format.
    pub fn load(
        id: &GroupId,
        rows: impl IntoIterator<Item = (RowKey, Vec<u8>)>,
        random: &Randomness,
    ) -> Result<Option<Self>, RowError> {
        let provider = Provider::new(Rows::over(rows), random.clone());
        let mls = MlsGroup::load(provider.rows(), &MlsGroupId::from_slice(id.as_bytes()))?;
        provider.rows().release();
        Ok(mls.map(|mls| Self::new(id.clone(), mls, provider)))
    }

    pub(crate) const fn new(id: GroupId, mls: MlsGroup, provider: Provider) -> Self {
        Self { id, mls, provider, context: OnceLock::new() }
    }

    /// The group's id.
    #[must_use]
    pub const fn id(&self) -> &GroupId {
        &self.id
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.mls.epoch().as_u64())
    }

    /// The epoch authenticator: members of one epoch have the same, others another.
    #[must_use]
    pub fn epoch_authenticator(&self) -> Vec<u8> {
        self.mls.epoch_authenticator().as_slice().to_vec()
    }

    /// Whether this installation is still in the group.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.mls.is_active()
    }

    /// What the group's context says now. Decoded once per epoch.
    #[must_use]
    pub fn context(&self) -> &Context {
        self.context.get_or_init(|| Arc::new(Context::read(self.mls.extensions())))
    }

    /// Every leaf of the tree, in tree order.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf> {
        self.mls.members().filter_map(|member| Leaf::of_member(&member)).collect()
    }

    /// The leaf of an installation.
    #[must_use]
    pub fn leaf(&self, installation: &InstallationId) -> Option<Leaf> {
        self.leaves().into_iter().find(|leaf| leaf.installation == *installation)
    }

    /// This installation's own leaf; `None` once it was removed.
    #[must_use]
    pub fn own_leaf(&self) -> Option<Leaf> {
        if !self.is_active() {
            return None;
        }
        self.mls.member_at(self.mls.own_leaf_index()).as_ref().and_then(Leaf::of_member)
    }

    /// Takes what is not durable yet. From then on it counts as durable: if writing it fails, drop the object.
    ///
    /// # Errors
    /// [`RowError`] when a row could not be made earlier or now; drop the object.
    pub fn drain(&mut self) -> Result<RowChanges, RowError> {
        if self.provider.rows().secrets_stale() {
            // Deletes nothing, since no secret is that old, and makes the library write all of them once.
            let none = PastEpochDeletion::before_timestamp(std::time::SystemTime::UNIX_EPOCH);
            let (mls, provider) = (&mut self.mls, &self.provider);
            let written = provider.rows().capture_secrets(|| mls.delete_past_epoch_secrets(provider, none));
            written.map_err(|_| RowError::Encode(crate::rows::label::MESSAGE_SECRETS))?;
        }
        self.provider.rows().drain()
    }

    /// Drops the object and everything not drained. Says at the call what happens to the state.
    pub fn discard(self) {
        drop(self);
    }
}
