//! Applying a judged commit (groups §9).

use openmls::group::MergeCommitError;
use subrosa_types::Epoch;

use super::{Group, judge::JudgedCommit, open::Base, report::CommitReport};
use crate::rows::RowError;

/// Why a commit was not applied. Drop the group object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The commit was staged on another state; merging it would fork the group.
    #[error("the commit was staged on epoch {staged_on}, the group is at {group}, or a fork of it")]
    Stale {
        /// The epoch it was staged on.
        staged_on: Epoch,
        /// The group's epoch.
        group: Epoch,
    },
    /// The MLS library failed.
    #[error("the commit could not be merged")]
    Merge(#[source] MergeCommitError<RowError>),
}

impl Group {
    /// Applies a commit. Drain the group afterwards.
    ///
    /// # Errors
    /// [`MergeError`]; drop the group object.
    pub fn merge(&mut self, commit: JudgedCommit) -> Result<CommitReport, MergeError> {
        let JudgedCommit { staged, base, mut report } = commit;
        let now = Base { epoch: self.epoch(), authenticator: self.epoch_authenticator() };
        if base != now || Epoch(staged.epoch().as_u64()) != now.epoch.next() {
            return Err(MergeError::Stale { staged_on: base.epoch, group: now.epoch });
        }
        self.mls.merge_staged_commit(&self.provider, staged).map_err(MergeError::Merge)?;
        self.context.take();
        report.epoch_after = self.epoch();
        report.authenticator_after = self.epoch_authenticator();
        Ok(report)
    }
}
