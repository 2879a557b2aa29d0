//! The client: one installation of one inbox.

use std::{collections::BTreeMap, fmt, sync::Arc};

use subrosa_group::{Directory, KeyPackageStatus};
use subrosa_identity::{AssociationState, Identifier, SignatureKind, normalise_all};
use subrosa_store::{Encryption, Location};
use subrosa_transport::Network;
use subrosa_types::{InboxId, InstallationId};

use crate::{
    builder::ClientBuilder,
    conversations::Conversations,
    error::{LookupError, RegisterError},
    identity_change::IdentityChange,
    inboxes,
    inner::Inner,
};

/// One registered installation of one inbox. Clones share everything; background work ends with the last of them
/// and of the handles made from it.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

/// Whether an identifier may leave the inbox it belongs to (client §1.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it may or it may not")]
pub enum Reassign {
    /// It may not: adding it is refused.
    #[default]
    Refuse,
    /// It may: from then on it is found in the new inbox only.
    Allow,
}

impl Client {
    /// Starts opening a client: which network, which database, and what opens that.
    pub fn builder(network: Arc<dyn Network>, location: Location, encryption: Encryption) -> ClientBuilder {
        ClientBuilder::new(network, location, encryption)
    }

    /// Our inbox.
    #[must_use]
    pub fn inbox_id(&self) -> InboxId {
        self.inner.me.inbox
    }

    /// Our installation.
    #[must_use]
    pub fn installation_id(&self) -> InstallationId {
        self.inner.me.key.id()
    }

    /// The conversations: making, listing, syncing and streaming them.
    #[must_use]
    pub fn conversations(&self) -> Conversations {
        Conversations { inner: Arc::clone(&self.inner) }
    }

    /// Which of these identifiers belong to an inbox now, so that they can be written to (client §1.2). Keys are the
    /// identifiers as the network knows them.
    ///
    /// # Errors
    /// [`LookupError::Identifier`] for what is no identifier, [`LookupError::Unavailable`].
    pub async fn can_message(&self, identifiers: &[Identifier]) -> Result<BTreeMap<Identifier, bool>, LookupError> {
        Ok(self.inbox_ids(identifiers).await?.into_iter().map(|(id, inbox)| (id, inbox.is_some())).collect())
    }

    /// The inbox each identifier belongs to now, if any. Keys are the identifiers as the network knows them.
    ///
    /// # Errors
    /// [`LookupError::Identifier`] for what is no identifier, [`LookupError::Unavailable`].
    pub async fn inbox_ids(
        &self,
        identifiers: &[Identifier],
    ) -> Result<BTreeMap<Identifier, Option<InboxId>>, LookupError> {
        inboxes::ids(&*self.inner.network, identifiers).await
    }

    /// The inbox an identifier belongs to now, if any.
    ///
    /// # Errors
    /// [`LookupError::Identifier`] for what is no identifier, [`LookupError::Unavailable`].
    pub async fn inbox_id_of(&self, identifier: &Identifier) -> Result<Option<InboxId>, LookupError> {
        Ok(self.inbox_ids(std::slice::from_ref(identifier)).await?.into_values().next().flatten())
    }

    /// The members, installations and recovery identifier of our inbox, as known here.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn inbox_state(&self) -> Result<AssociationState, LookupError> {
        inboxes::state(self.inbox_id(), &self.known(&[self.inbox_id()]).await?)
    }

    /// The same, after asking the network for what is new.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn fresh_inbox_state(&self) -> Result<AssociationState, LookupError> {
        let inbox = self.inbox_id();
        inboxes::state(inbox, &self.inner.identities.refresh(&[inbox]).await?)
    }

    /// The states of any inboxes, as known here; the network is asked about those of which nothing is known.
    ///
    /// # Errors
    /// [`LookupError`]; one inbox that cannot be read fails the call.
    pub async fn inbox_states(&self, inboxes: &[InboxId]) -> Result<BTreeMap<InboxId, AssociationState>, LookupError> {
        inboxes::states(inboxes, &self.known(inboxes).await?)
    }

    /// The states of any inboxes, after asking the network for what is new (identity §9.5).
    ///
    /// # Errors
    /// [`LookupError`]; one inbox that cannot be read fails the call.
    pub async fn fresh_inbox_states(
        &self,
        inboxes: &[InboxId],
    ) -> Result<BTreeMap<InboxId, AssociationState>, LookupError> {
        inboxes::states(inboxes, &self.inner.identities.refresh(inboxes).await?)
    }

    /// How many updates the log of our inbox has, as known here. Nodes take no more than
    /// [`MAX_IDENTITY_UPDATES`](crate::MAX_IDENTITY_UPDATES): warn in time (identity §11.5).
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn identity_updates(&self) -> Result<usize, LookupError> {
        let inbox = self.inbox_id();
        Ok(count(&inbox, &self.inner.identities.directory(&[inbox]).await?))
    }

    /// How many updates the logs of any inboxes have, after asking the network for what is new; 0 for an inbox
    /// without a log.
    ///
    /// # Errors
    /// [`LookupError::Unavailable`].
    pub async fn fresh_identity_updates(&self, inboxes: &[InboxId]) -> Result<BTreeMap<InboxId, usize>, LookupError> {
        let logs = self.inner.identities.refresh(inboxes).await?;
        Ok(inboxes.iter().map(|inbox| (*inbox, count(inbox, &logs))).collect())
    }

    /// How the creation of an inbox was signed, so that contract wallets can be told apart (identity §9.6). The
    /// network is asked if nothing is known of the inbox here.
    ///
    /// # Errors
    /// [`LookupError`].
    pub async fn creation_kind(&self, inbox: InboxId) -> Result<SignatureKind, LookupError> {
        inboxes::creation_kind(inbox, &self.known(&[inbox]).await?)
    }

    /// Whether these installations of an inbox can be added to groups (identity §10.2).
    ///
    /// # Errors
    /// [`LookupError::Unavailable`].
    pub async fn key_package_statuses(
        &self,
        inbox: InboxId,
        installations: &[InstallationId],
    ) -> Result<BTreeMap<InstallationId, KeyPackageStatus>, LookupError> {
        inboxes::key_package_statuses(&*self.inner.network, inbox, installations, self.inner.now()).await
    }

    /// Signs a text with the installation key, under the context for public texts (identity §5.3).
    /// [`subrosa_identity::verify_text`] verifies it.
    #[must_use]
    pub fn sign_text(&self, text: &str) -> [u8; 64] {
        self.inner.me.key.sign_text(text)
    }

    /// Adds an identifier to the inbox; it has to sign.
    ///
    /// # Errors
    /// [`RegisterError::AlreadyAssociated`] if it belongs to an inbox and may not leave it.
    pub async fn add_identifier(
        &self,
        identifier: Identifier,
        reassign: Reassign,
    ) -> Result<IdentityChange, RegisterError> {
        let identifier = identifier.normalised().map_err(LookupError::from)?;
        let known = self.inbox_id_of(&identifier).await?;
        if let (Some(inbox), Reassign::Refuse) = (known, reassign) {
            return Err(RegisterError::AlreadyAssociated { inbox });
        }
        let own = self.installation_id();
        IdentityChange::new(&self.inner, |request| request.add_association(identifier, own))
    }

    /// Removes identifiers from the inbox; the recovery identifier has to sign.
    ///
    /// # Errors
    /// [`RegisterError`] if the state of the inbox cannot be read.
    pub async fn remove_identifiers(&self, identifiers: &[Identifier]) -> Result<IdentityChange, RegisterError> {
        let identifiers = normalise_all(identifiers).map_err(LookupError::from)?;
        let recovery = self.inbox_state().await?.recovery_identifier().clone();
        IdentityChange::new(&self.inner, |request| {
            identifiers.iter().fold(request, |request, gone| request.revoke(gone, recovery.clone()))
        })
    }

    /// Removes installations from the inbox; the recovery identifier has to sign.
    ///
    /// # Errors
    /// [`RegisterError`] if the state of the inbox cannot be read.
    pub async fn revoke_installations(
        &self,
        installations: &[InstallationId],
    ) -> Result<IdentityChange, RegisterError> {
        let recovery = self.inbox_state().await?.recovery_identifier().clone();
        IdentityChange::new(&self.inner, |request| {
            installations.iter().fold(request, |request, gone| request.revoke(gone, recovery.clone()))
        })
    }

    /// Removes all installations but this one; `None` if there is no other.
    ///
    /// # Errors
    /// [`RegisterError`] if the state of the inbox cannot be read.
    pub async fn revoke_all_other_installations(&self) -> Result<Option<IdentityChange>, RegisterError> {
        let own = self.installation_id();
        let state = self.fresh_inbox_state().await?;
        let others: Vec<InstallationId> = state.installations().filter(|other| *other != own).collect();
        if others.is_empty() {
            return Ok(None);
        }
        self.revoke_installations(&others).await.map(Some)
    }

    /// Hands recovery to another identifier; the present one has to sign.
    ///
    /// # Errors
    /// [`RegisterError`] if the state of the inbox cannot be read.
    pub async fn change_recovery(&self, to: Identifier) -> Result<IdentityChange, RegisterError> {
        let to = to.normalised().map_err(LookupError::from)?;
        let recovery = self.inbox_state().await?.recovery_identifier().clone();
        IdentityChange::new(&self.inner, |request| request.change_recovery(to, recovery))
    }

    /// Does what is due now: replaces the key package, deletes old ones, lets messages disappear, tries unfinished
    /// welcomes again (sync §6). The background task does the same; call this where that is off.
    ///
    /// # Errors
    /// The first [`SyncError`](crate::SyncError) of a piece of work; the others were tried all the same.
    pub async fn run_due(&self) -> Result<(), crate::SyncError> {
        self.inner.run_due().await
    }

    /// Ends background work and closes the database, after those who use it now. Every later call fails.
    pub async fn close(self) {
        self.inner.workers.stop();
        self.inner.streams.stop();
        let store = self.inner.store.clone();
        // Waits for readers, so not on a thread that serves tasks.
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }

    /// What is known here; the network is asked about inboxes of which nothing is.
    async fn known(&self, inboxes: &[InboxId]) -> Result<Directory, LookupError> {
        let mut logs = self.inner.identities.directory(inboxes).await?;
        let missing: Vec<InboxId> = inboxes.iter().copied().filter(|inbox| logs.log(inbox).is_none()).collect();
        if !missing.is_empty() {
            logs.extend(self.inner.identities.refresh(&missing).await?);
        }
        Ok(logs)
    }
}

/// How many updates the log of an inbox has.
fn count(inbox: &InboxId, logs: &Directory) -> usize {
    logs.log(inbox).map_or(0, |log| log.len())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("inbox", &self.inbox_id())
            .field("installation", &self.installation_id())
            .finish_non_exhaustive()
    }
}
