//! Changes of an inbox (identity §7).

use std::{fmt, sync::Arc};

use subrosa_identity::{
    AssociationState, ChainVerdicts, Identifier, MemberIdentifier, SignatureRequest, SignatureRequestBuilder,
    UnverifiedSignature,
};
use subrosa_transport::Network;
use subrosa_types::{InboxId, InstallationId, UnixNanos};

use crate::{error::RegisterError, inner::Inner, registration};

/// A change of an inbox that waits for signatures. Nothing happens before [`IdentityChange::apply`].
#[must_use]
pub struct IdentityChange {
    author: Author,
    inbox: InboxId,
    request: SignatureRequest,
    verdicts: ChainVerdicts,
}

/// Who makes a change.
enum Author {
    /// A client, of its own inbox.
    Client(Arc<Inner>),
    /// Somebody without a client.
    Nobody(Arc<dyn Network>),
}

impl Author {
    fn network(&self) -> &dyn Network {
        match self {
            Self::Client(inner) => &*inner.network,
            Self::Nobody(network) => &**network,
        }
    }
}

impl IdentityChange {
    /// A change of our inbox; our installation signs its slots at once.
    pub(crate) fn new(
        inner: &Arc<Inner>,
        actions: impl FnOnce(SignatureRequestBuilder) -> SignatureRequestBuilder,
    ) -> Result<Self, RegisterError> {
        let inbox = inner.me.inbox;
        let mut request = actions(SignatureRequest::builder(inbox, inner.now())).request();
        if request.missing_signers().contains(&inner.me.key.id().into()) {
            request.sign_with_installation(&inner.me.key)?;
        }
        Ok(Self { author: Author::Client(Arc::clone(inner)), inbox, request, verdicts: ChainVerdicts::none() })
    }

    /// Removes installations without a client, on the caller's word about the inbox (identity §7).
    pub(crate) fn revoke(
        network: Arc<dyn Network>,
        inbox: InboxId,
        recovery: &Identifier,
        installations: &[InstallationId],
        now: UnixNanos,
    ) -> Self {
        let request = SignatureRequest::builder(inbox, now);
        let request = installations.iter().fold(request, |request, gone| request.revoke(gone, recovery.clone()));
        Self { author: Author::Nobody(network), inbox, request: request.request(), verdicts: ChainVerdicts::none() }
    }

    /// The inbox that changes.
    #[must_use]
    pub const fn inbox_id(&self) -> InboxId {
        self.inbox
    }

    /// The text to sign (identity §4).
    #[must_use]
    pub fn text(&self) -> &str {
        self.request.text()
    }

    /// Who has not signed yet.
    #[must_use]
    pub fn missing_signers(&self) -> Vec<MemberIdentifier> {
        self.request.missing_signers()
    }

    /// Adds the signature `r || s || v` of an Ethereum account over [`IdentityChange::text`].
    ///
    /// # Errors
    /// [`RegisterError::Request`], and nothing was added.
    pub fn add_wallet_signature(&mut self, signature: &[u8]) -> Result<(), RegisterError> {
        Ok(self.request.add_wallet_signature(signature)?)
    }

    /// Adds a signature of any kind. That of a contract wallet is shown to the node, which asks the chain.
    ///
    /// # Errors
    /// [`RegisterError`], and nothing was added.
    pub async fn add_signature(&mut self, signature: UnverifiedSignature) -> Result<(), RegisterError> {
        let Self { author, inbox, request, verdicts } = self;
        registration::add_signature(author.network(), *inbox, request, verdicts, signature).await
    }

    /// Publishes the change. A client tries it first on what the network has, and reads it back.
    ///
    /// The signatures are kept: after an error that is retryable, call this again. A client's change that had happened
    /// although the answer was lost is recognised and not made twice.
    ///
    /// # Errors
    /// [`RegisterError`]. When the network failed, the change may have happened.
    pub async fn apply(&self) -> Result<(), RegisterError> {
        let Self { author, inbox, request, verdicts } = self;
        let update = request.build()?;
        let verified = update.verify(verdicts)?;
        if let Author::Client(inner) = author {
            // The node would refuse the same, with less to say about it.
            let known = inner.identities.refresh(&[*inbox]).await?;
            let state = known.log(inbox).map(|log| log.latest()).transpose()?;
            if state.as_ref().is_some_and(|state| state.has_applied(&verified)) {
                return Ok(());
            }
            AssociationState::apply(state.as_ref(), &verified)?;
        }
        author
            .network()
            .publish_identity_update(update)
            .await
            .map_err(|error| if error.is_refusal() { RegisterError::Refused(error) } else { error.into() })?;
        if let Author::Client(inner) = author {
            inner.identities.refresh(&[*inbox]).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for IdentityChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityChange").field("missing", &self.missing_signers()).finish_non_exhaustive()
    }
}
