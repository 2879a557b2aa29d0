//! Building a commit without applying it (groups §4.1, §9).

use std::fmt;

use openmls::{
    extensions::Extensions,
    group::{CommitBuilderStageError, CreateCommitError, GroupContext},
    prelude::LeafNodeIndex,
};
use openmls_traits::OpenMlsProvider as _;
use subrosa_envelope::PayloadHash;
use subrosa_identity::InstallationKey;
use subrosa_types::{Epoch, InstallationId};

use super::Group;
use crate::{
    VerifiedKeyPackage,
    context::ContextChange,
    random::RandomError,
    rows::{self, RowError, label},
    signer::MlsSigner,
};

/// What a commit does. Empty: a key update. A commit always rotates the author's leaf.
#[derive(Clone, Debug, Default)]
pub struct CommitPlan {
    /// Installations to add.
    pub adds: Vec<VerifiedKeyPackage>,
    /// Installations to remove. One that is also added is re-added.
    pub removes: Vec<InstallationId>,
    /// Extensions to replace.
    pub context: ContextChange,
}

/// A commit ready to be published: store all of it, then send `payload`.
#[derive(Clone, Eq, PartialEq)]
pub struct PreparedCommit {
    /// The MLS message to publish.
    pub payload: Vec<u8>,
    /// SHA-256 of `payload`, by which it is recognised when it comes back (groups §5.2).
    pub payload_hash: PayloadHash,
    /// The staged commit, to be given to [`Group::restage`]. Holds secrets.
    pub staged: Vec<u8>,
    /// The epoch it was built on.
    pub base_epoch: Epoch,
    /// The authenticator of that epoch.
    pub base_authenticator: Vec<u8>,
    /// The MLS Welcome for those added, an MLS message; present if anyone is added.
    pub welcome: Option<Vec<u8>>,
}

impl fmt::Debug for PreparedCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { payload: _, payload_hash, staged: _, base_epoch, base_authenticator: _, welcome } = self;
        f.debug_struct("PreparedCommit")
            .field("payload_hash", payload_hash)
            .field("base_epoch", base_epoch)
            .field("welcome", &welcome.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a commit could not be built. Drop the group object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// This installation is not in the group any more.
    #[error("the group is inactive")]
    Inactive,
    /// An installation to remove has no leaf.
    #[error("installation {0:?} is not in the tree")]
    NotInTree(InstallationId),
    /// The new extensions are not allowed in a group context.
    #[error("the new context is not allowed")]
    Context,
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The MLS library refused the proposals.
    #[error("the commit could not be built")]
    Build(#[source] CreateCommitError),
    /// The MLS library could not stage the commit.
    #[error("the commit could not be staged")]
    Stage(#[source] CommitBuilderStageError<RowError>),
    /// The commit could not be encoded.
    #[error("the commit could not be encoded")]
    Encode,
    /// The staged commit could not be stored.
    #[error(transparent)]
    Rows(#[from] RowError),
}

impl Group {
    /// Builds a commit and leaves the group's epoch as it is. Only the handshake ratchet moves: drain and store that
    /// together with the prepared commit, so that no generation is ever used twice.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build_commit(&mut self, key: &InstallationKey, plan: CommitPlan) -> Result<PreparedCommit, BuildError> {
        if !self.is_active() {
            return Err(BuildError::Inactive);
        }
        let removed = self.indices_of(&plan.removes)?;
        let context = self.new_context(&plan.context)?;
        let (base_epoch, base_authenticator) = (self.epoch(), self.epoch_authenticator());
        self.provider.refresh()?;
        self.provider.rows().building(true);
        let built = self.stage(key, plan.adds, removed, context);
        let staged = self.mls.pending_commit().map(|pending| rows::encode(label::GROUP_STATE, pending));
        let cleared = self.mls.clear_pending_commit(self.provider.rows());
        self.provider.rows().building(false);
        self.provider.spend();
        cleared?;
        let (payload, welcome) = built?;
        Ok(PreparedCommit {
            payload_hash: PayloadHash::of(&payload),
            payload,
            staged: staged.ok_or(BuildError::Encode)??,
            base_epoch,
            base_authenticator,
            welcome,
        })
    }

    fn stage(
        &mut self,
        key: &InstallationKey,
        adds: Vec<VerifiedKeyPackage>,
        removed: Vec<LeafNodeIndex>,
        context: Option<Extensions<GroupContext>>,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), BuildError> {
        let provider = &self.provider;
        let mut builder = self
            .mls
            .commit_builder()
            .consume_proposal_store(false)
            .force_self_update(true)
            .propose_adds(adds.into_iter().map(VerifiedKeyPackage::into_package))
            .propose_removals(removed);
        if let Some(context) = context {
            builder = builder.propose_group_context_extensions(context).map_err(BuildError::Build)?;
        }
        let bundle = builder
            .load_psks(provider.storage())
            .map_err(BuildError::Build)?
            .create_group_info(false)
            .build(provider.rand(), provider.crypto(), &MlsSigner(key), |_| true)
            .map_err(BuildError::Build)?
            .stage_commit(provider)
            .map_err(BuildError::Stage)?;
        let welcome = bundle.to_welcome_msg().map(|welcome| welcome.to_bytes()).transpose();
        let payload = bundle.into_commit().to_bytes().map_err(|_| BuildError::Encode)?;
        Ok((payload, welcome.map_err(|_| BuildError::Encode)?))
    }

    fn indices_of(&self, installations: &[InstallationId]) -> Result<Vec<LeafNodeIndex>, BuildError> {
        if installations.is_empty() {
            return Ok(Vec::new());
        }
        let leaves = self.leaves();
        installations
            .iter()
            .map(|installation| {
                let leaf = leaves.iter().find(|leaf| leaf.installation == *installation);
                leaf.map(|leaf| LeafNodeIndex::new(leaf.index)).ok_or(BuildError::NotInTree(*installation))
            })
            .collect()
    }

    fn new_context(&self, change: &ContextChange) -> Result<Option<Extensions<GroupContext>>, BuildError> {
        if change.is_empty() {
            return Ok(None);
        }
        let all = change.apply(self.mls.extensions());
        Extensions::from_vec(all).map(Some).map_err(|_| BuildError::Context)
    }
}
