//! Inboxes of anybody, without a client (identity §9.5).

use std::{collections::BTreeMap, fmt, sync::Arc};

use subrosa_group::{Directory, KeyPackageStatus};
use subrosa_identity::{AssociationState, Identifier, InboxLog, MemberIdentifier, SignatureKind, normalise_all};
use subrosa_transport::Network;
use subrosa_types::{InboxId, InstallationId, UnixNanos};

use crate::{
    clock::{Clock, SystemClock},
    error::{LookupError, Unavailable},
    identities,
    identity_change::IdentityChange,
};

/// What the network says about inboxes, for those who have no client. Every question reads the whole log and checks
/// all of it; nothing is kept.
#[derive(Clone)]
pub struct Inboxes {
    network: Arc<dyn Network>,
    clock: Arc<dyn Clock>,
}

impl Inboxes {
    /// Asks this network.
    #[must_use]
    pub fn of(network: Arc<dyn Network>) -> Self {
        Self { network, clock: Arc::new(SystemClock) }
    }

    /// Asks these chains about contract wallets, instead of letting the node ask and believing it (identity §12.3).
    #[cfg(feature = "chain")]
    #[must_use]
    pub fn chains(mut self, chains: subrosa_chain::ChainVerifier) -> Self {
        self.network = crate::chains::over(self.network, chains);
        self
    }

    /// Takes the time from elsewhere than this machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The inbox each identifier belongs to now, if any; keys are the identifiers as the network knows them.
    ///
    /// # Errors
    /// [`LookupError::Identifier`] for what is no identifier, [`LookupError::Unavailable`].
    pub async fn ids(&self, identifiers: &[Identifier]) -> Result<BTreeMap<Identifier, Option<InboxId>>, LookupError> {
        ids(&*self.network, identifiers).await
    }

    /// Members, installations and recovery identifier of each inbox.
    ///
    /// # Errors
    /// [`LookupError`]; one inbox that cannot be read fails the call.
    pub async fn states(&self, inboxes: &[InboxId]) -> Result<BTreeMap<InboxId, AssociationState>, LookupError> {
        let logs = identities::fetch_once(&*self.network, inboxes).await?;
        states(inboxes, &logs)
    }

    /// Whether an identifier or installation is a member of the inbox now.
    ///
    /// # Errors
    /// [`LookupError::UnknownInbox`] if there is no such inbox, [`LookupError`].
    pub async fn is_member(&self, inbox: InboxId, member: impl Into<MemberIdentifier>) -> Result<bool, LookupError> {
        let mut member = member.into();
        if let Some(identifier) = member.as_identifier() {
            member = identifier.normalised()?.into();
        }
        Ok(self.states(&[inbox]).await?.values().all(|state| state.has_member(&member)))
    }

    /// How the creation of an inbox was signed, so that contract wallets can be told apart (identity §9.6).
    ///
    /// # Errors
    /// [`LookupError::UnknownInbox`] if there is no such inbox, [`LookupError`].
    pub async fn creation_kind(&self, inbox: InboxId) -> Result<SignatureKind, LookupError> {
        creation_kind(inbox, &identities::fetch_once(&*self.network, &[inbox]).await?)
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
        key_package_statuses(&*self.network, inbox, installations, self.clock.now()).await
    }

    /// Removes installations of an inbox that is known to the caller: its id, and the recovery identifier, which has
    /// to sign. Nothing is asked of the network before the change is applied, and the node judges it (identity §7).
    ///
    /// The way out for somebody whose inbox has no room for a further installation (identity §11.4).
    ///
    /// # Errors
    /// [`LookupError::Identifier`] if `recovery` is no identifier.
    pub fn revoke_installations(
        &self,
        inbox: InboxId,
        recovery: &Identifier,
        installations: &[InstallationId],
    ) -> Result<IdentityChange, LookupError> {
        let recovery = recovery.normalised()?;
        let network = Arc::clone(&self.network);
        Ok(IdentityChange::revoke(network, inbox, &recovery, installations, self.clock.now()))
    }
}

impl fmt::Debug for Inboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inboxes").finish_non_exhaustive()
    }
}

/// The inboxes of identifiers that a user gave.
pub(crate) async fn ids(
    network: &dyn Network,
    identifiers: &[Identifier],
) -> Result<BTreeMap<Identifier, Option<InboxId>>, LookupError> {
    let identifiers = normalise_all(identifiers)?;
    if identifiers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let inboxes = network.inbox_ids(&identifiers).await?;
    Ok(identifiers.into_iter().zip(inboxes).collect())
}

/// The newest state of each inbox.
pub(crate) fn states(
    inboxes: &[InboxId],
    logs: &Directory,
) -> Result<BTreeMap<InboxId, AssociationState>, LookupError> {
    inboxes.iter().map(|inbox| Ok((*inbox, state(*inbox, logs)?))).collect()
}

/// The newest state of an inbox.
pub(crate) fn state(inbox: InboxId, logs: &Directory) -> Result<AssociationState, LookupError> {
    Ok(log(inbox, logs)?.latest()?)
}

/// How an inbox was created.
pub(crate) fn creation_kind(inbox: InboxId, logs: &Directory) -> Result<SignatureKind, LookupError> {
    let log = log(inbox, logs)?;
    match log.creation_kind() {
        Some(kind) => Ok(kind),
        // Its first entry is bad, and this says why.
        None => log.latest().map_err(LookupError::Log).and(Err(LookupError::UnknownInbox(inbox))),
    }
}

fn log(inbox: InboxId, logs: &Directory) -> Result<&Arc<InboxLog>, LookupError> {
    logs.log(&inbox).ok_or(LookupError::UnknownInbox(inbox))
}

/// What the key packages of these installations are worth.
pub(crate) async fn key_package_statuses(
    network: &dyn Network,
    inbox: InboxId,
    installations: &[InstallationId],
    now: UnixNanos,
) -> Result<BTreeMap<InstallationId, KeyPackageStatus>, LookupError> {
    if installations.is_empty() {
        return Ok(BTreeMap::new());
    }
    let fetched = network.fetch_key_packages(installations).await?;
    let asked = installations.to_vec();
    let judge = move || {
        let answers = asked.into_iter().zip(fetched);
        answers.map(|(id, bytes)| (id, KeyPackageStatus::of(bytes.as_deref(), &id, &inbox, now))).collect()
    };
    tokio::task::spawn_blocking(judge).await.map_err(|_| Unavailable::Stopped.into())
}
