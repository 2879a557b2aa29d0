//! Changes of our own inbox (identity §7).

use std::{fmt, sync::Arc};

use subrosa_identity::{
    ChainVerdicts, MemberIdentifier, SignatureRequest, SignatureRequestBuilder, UnverifiedSignature,
};

use crate::{error::RegisterError, inner::Inner, registration};

/// A change of the inbox that waits for signatures. Nothing happens before [`IdentityChange::apply`].
#[must_use]
pub struct IdentityChange {
    inner: Arc<Inner>,
    request: SignatureRequest,
    verdicts: ChainVerdicts,
}

impl IdentityChange {
    /// A change of our inbox; our installation signs its slots at once.
    pub(crate) fn new(
        inner: &Arc<Inner>,
        actions: impl FnOnce(SignatureRequestBuilder) -> SignatureRequestBuilder,
    ) -> Result<Self, RegisterError> {
        let mut request = actions(SignatureRequest::builder(inner.me.inbox, inner.now())).request();
        if request.missing_signers().contains(&inner.me.key.id().into()) {
            request.sign_with_installation(&inner.me.key)?;
        }
        Ok(Self { inner: Arc::clone(inner), request, verdicts: ChainVerdicts::none() })
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
        let Self { inner, request, verdicts } = self;
        registration::add_signature(&*inner.network, inner.me.inbox, request, verdicts, signature).await
    }

    /// Publishes the change, and reads it back.
    ///
    /// # Errors
    /// [`RegisterError`]. When the network failed, the change may have happened.
    pub async fn apply(self) -> Result<(), RegisterError> {
        let Self { inner, request, verdicts } = self;
        let update = request.build()?;
        let verified = update.verify(&verdicts)?;
        // A dry run on what the network has now: the node would refuse the same, with less to say about it.
        let inbox = inner.me.inbox;
        let known = inner.identities.refresh(&[inbox]).await?;
        let state = known.log(&inbox).map(|log| log.latest()).transpose()?;
        subrosa_identity::AssociationState::apply(state.as_ref(), &verified)?;
        inner
            .network
            .publish_identity_update(update)
            .await
            .map_err(|error| if error.is_refusal() { RegisterError::Refused(error) } else { error.into() })?;
        inner.identities.refresh(&[inbox]).await?;
        Ok(())
    }
}

impl fmt::Debug for IdentityChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityChange").field("missing", &self.missing_signers()).finish_non_exhaustive()
    }
}
