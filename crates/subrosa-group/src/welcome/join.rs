//! Staging an MLS Welcome: everything but the verdict (groups §6.4, steps 3 and 4).

use openmls::{
    framing::{MlsMessageBodyIn, MlsMessageIn},
    group::{StagedWelcome, WelcomeError as MlsWelcomeError},
    prelude::tls_codec::Deserialize as _,
};
use subrosa_types::{Epoch, GroupId, InboxId, SequenceId};

use super::unwrap::{WelcomeKeys, WelcomePlaintext};
use crate::{
    context::Context,
    directory::IdentityNeed,
    leaf::{self, Leaf, Sender},
    profile,
    provider::Provider,
    random::Randomness,
    rows::{RowError, Rows},
};

/// A welcome that MLS accepted, staged and not judged. Nothing is stored yet.
#[derive(Debug)]
pub struct OpenedWelcome {
    pub(super) staged: StagedWelcome,
    pub(super) provider: Provider,
    pub(super) id: GroupId,
    pub(super) adder: Sender,
    pub(super) context: Context,
    pub(super) message_cursor: SequenceId,
}

/// Why a welcome cannot be joined by. Each is final, except [`WelcomeError::Storage`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WelcomeError {
    /// The plaintext is not an MLS message that holds a Welcome.
    #[error("the plaintext is not a welcome")]
    NotAWelcome,
    /// It uses a pre-shared key.
    #[error("pre-shared keys are not used")]
    PreSharedKey,
    /// The group's id is longer than any we accept.
    #[error("the group id is not acceptable")]
    GroupId,
    /// The leaf that signed the group info names no inbox.
    #[error("the adder names no inbox")]
    Adder,
    /// The MLS library refused.
    #[error("the welcome cannot be processed")]
    Mls(#[source] Box<MlsWelcomeError<RowError>>),
    /// Stored rows could not be read or made.
    #[error("stored key package state")]
    Storage(#[source] RowError),
}

impl From<MlsWelcomeError<RowError>> for WelcomeError {
    fn from(error: MlsWelcomeError<RowError>) -> Self {
        match error {
            MlsWelcomeError::StorageError(error) => Self::Storage(error),
            other => Self::Mls(Box::new(other)),
        }
    }
}

impl WelcomeKeys {
    /// Stages the MLS Welcome: three past epochs, tree from the extension, leaf lifetimes not checked.
    ///
    /// # Errors
    /// [`WelcomeError`].
    pub fn open(&self, plaintext: &WelcomePlaintext, random: &Randomness) -> Result<OpenedWelcome, WelcomeError> {
        let message = MlsMessageIn::tls_deserialize_exact(&plaintext.welcome).map_err(|_| WelcomeError::NotAWelcome)?;
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
            return Err(WelcomeError::NotAWelcome);
        };
        let provider = Provider::new(Rows::over(self.rows.iter().cloned()), random.clone());
        let builder = StagedWelcome::build_from_welcome(&provider, profile::join_config(), welcome)?;
        if !builder.processed_welcome().psks().is_empty() {
            return Err(WelcomeError::PreSharedKey);
        }
        let staged = builder.replace_old_group().skip_lifetime_validation().build()?;
        let id =
            GroupId::from_slice(staged.group_context().group_id().as_slice()).map_err(|_| WelcomeError::GroupId)?;
        let adder = staged.welcome_sender().ok().and_then(leaf::sender_of).ok_or(WelcomeError::Adder)?;
        let context = Context::read(staged.group_context().extensions());
        Ok(OpenedWelcome { staged, provider, id, adder, context, message_cursor: plaintext.message_cursor() })
    }
}

impl OpenedWelcome {
    /// The group's id.
    #[must_use]
    pub const fn group_id(&self) -> &GroupId {
        &self.id
    }

    /// The epoch joined.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.staged.group_context().epoch().as_u64())
    }

    /// Who added us: the leaf that signed the group info.
    #[must_use]
    pub const fn adder(&self) -> Sender {
        self.adder
    }

    /// What the group's context says.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// The sequence id of the commit that added us; start there (groups §6.4, step 12).
    #[must_use]
    pub const fn message_cursor(&self) -> SequenceId {
        self.message_cursor
    }

    /// Every leaf of the tree.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf> {
        self.staged.members().filter_map(|member| Leaf::of_member(&member)).collect()
    }

    /// The identity logs that [`Self::judge`] needs: that of every member.
    #[must_use]
    pub fn needs(&self) -> Vec<IdentityNeed> {
        let members = self.context.membership().map(|membership| &membership.members);
        let need = |(inbox, sequence): (&InboxId, &SequenceId)| IdentityNeed { inbox: *inbox, up_to: *sequence };
        members.map(|members| members.iter().map(need).collect()).unwrap_or_default()
    }
}
