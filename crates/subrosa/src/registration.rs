//! Registering a new installation (identity §11.3).
//!
//! What was prepared is durable before anything leaves, so that a registration killed at any point is finished with
//! the same bytes when the client is opened again, and the inbox ends with exactly one new installation.

use std::{fmt, time::Duration};

use subrosa_group::{NewKeyPackage, NewKeyPackageError, key_package_reference};
use subrosa_identity::{
    ChainCheck, ChainVerdicts, Identifier, IdentityUpdate, InstallationKey, MemberIdentifier, SignatureRequest,
    UnverifiedSignature, Verdict,
};
use subrosa_store::{PendingRegistration, Store, StoreError, StoredIdentity};
use subrosa_sync::Change;
use subrosa_transport::{Network, NetworkError, Refusal};
use subrosa_types::{InboxId, InstallationId};

use crate::{
    builder::Parts,
    client::Client,
    error::{RegisterError, Unavailable},
    identities,
    workers::{KEPT_AFTER_ROTATION, ROTATION_PERIOD},
};

/// Length of the root of our sender HMACs in bytes (groups §8.1).
const HMAC_ROOT: usize = 42;

/// What the pending row is for: a registration.
pub(crate) const REGISTERING: i32 = 0;

/// Pauses while the node does not yet show what it took (identity §9.2).
const PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(450),
    Duration::from_millis(1350),
    Duration::from_millis(4050),
];

/// A new installation that waits for signatures. Dropping it leaves nothing behind.
#[must_use]
pub struct Registration {
    parts: Parts,
    inbox: InboxId,
    key: InstallationKey,
    request: SignatureRequest,
    /// Signatures of contract wallets among those added: what chains said about them.
    verdicts: ChainVerdicts,
}

impl Registration {
    /// A new inbox with its first installation.
    pub(crate) fn create(
        parts: Parts,
        inbox: InboxId,
        identifier: Identifier,
        nonce: u64,
        key: InstallationKey,
    ) -> Result<Self, RegisterError> {
        let request = SignatureRequest::builder(inbox, parts.clock.now())
            .create_inbox(identifier.clone(), nonce)
            .add_association(key.id(), identifier)
            .request();
        Self::new(parts, inbox, key, request)
    }

    /// One more installation of an inbox.
    pub(crate) fn join(
        parts: Parts,
        inbox: InboxId,
        identifier: Identifier,
        key: InstallationKey,
    ) -> Result<Self, RegisterError> {
        let request =
            SignatureRequest::builder(inbox, parts.clock.now()).add_association(key.id(), identifier).request();
        Self::new(parts, inbox, key, request)
    }

    fn new(
        parts: Parts,
        inbox: InboxId,
        key: InstallationKey,
        mut request: SignatureRequest,
    ) -> Result<Self, RegisterError> {
        request.sign_with_installation(&key)?;
        Ok(Self { parts, inbox, key, request, verdicts: ChainVerdicts::none() })
    }

    /// The inbox this will be an installation of.
    #[must_use]
    pub const fn inbox_id(&self) -> InboxId {
        self.inbox
    }

    /// The new installation.
    #[must_use]
    pub fn installation_id(&self) -> InstallationId {
        self.key.id()
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

    /// Adds the signature `r || s || v` of an Ethereum account over [`Registration::text`].
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
        add_signature(&*self.parts.network, self.inbox, &mut self.request, &mut self.verdicts, signature).await
    }

    /// Publishes the installation and opens its client.
    ///
    /// # Errors
    /// [`RegisterError`]. If it is retryable, what was prepared is kept: open the client again to go on.
    pub async fn finish(self) -> Result<Client, RegisterError> {
        let Self { parts, inbox, key, request, verdicts } = self;
        let update = request.build()?;
        update.verify(&verdicts)?;
        let hmac_root = parts.random.array::<{ HMAC_ROOT }>().map_err(NewKeyPackageError::from)?;
        let (key_package, kept) = new_key_package(&parts, &inbox, &key)?;
        let pending = PendingRegistration { identity_update: update.to_bytes(), key_package, stage: REGISTERING };
        let stored = StoredIdentity {
            inbox,
            seed: key.seed(),
            registered: false,
            hmac_root: hmac_root.into(),
            next_rotation: parts.clock.now().plus(ROTATION_PERIOD),
        };
        let (identity, bytes) = (stored.clone(), pending.clone());
        // In one piece: once the identity is there, so is everything that registering needs.
        parts.store.run(move |store| store.begin_registration(&identity, &bytes, &kept)).await?;
        publish(&parts, &stored, pending).await?;
        Ok(parts.client(stored))
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("inbox", &self.inbox)
            .field("installation", &self.key.id())
            .finish_non_exhaustive()
    }
}

/// Finishes a registration that was begun earlier, if there is one.
pub(crate) async fn resume(parts: &Parts, stored: &StoredIdentity) -> Result<(), RegisterError> {
    if stored.registered {
        return Ok(());
    }
    let pending = parts.store.pending_registration()?.ok_or(StoreError::NoIdentity)?;
    publish(parts, stored, pending).await
}

/// Uploads and publishes what is stored, and checks that the inbox has the installation then.
async fn publish(
    parts: &Parts,
    stored: &StoredIdentity,
    mut pending: PendingRegistration,
) -> Result<(), RegisterError> {
    let update = IdentityUpdate::from_bytes(&pending.identity_update)?;
    let key = InstallationKey::from_seed(*stored.seed);
    // First, so that nobody sees an installation that cannot be invited.
    let uploaded = parts.network.upload_key_package(pending.key_package.clone()).await;
    if let Err(error) = uploaded {
        if !error.is_refusal() {
            return Err(error.into());
        }
        // It lay here for so long that it has expired.
        let (key_package, kept) = new_key_package(parts, &stored.inbox, &key)?;
        pending.key_package = key_package;
        let renewed = pending.clone();
        let next = parts.clock.now().plus(ROTATION_PERIOD);
        parts.store.run(move |store| store.begin_key_package(&renewed, &kept, next)).await?;
        parts.network.upload_key_package(pending.key_package.clone()).await?;
    }
    let published = parts.network.publish_identity_update(update).await;
    match published {
        Ok(()) => wait_until_shown(parts, stored.inbox, &key.id()).await?,
        Err(error) if error.is_refusal() => {
            // A repetition is refused too.
            if !is_shown(parts, stored.inbox, &key.id()).await? {
                if is_final(&error) {
                    parts.store.run(Store::discard_registration).await?;
                }
                return Err(RegisterError::Refused(error));
            }
        }
        Err(error) => return Err(error.into()),
    }
    let current = key_package_reference(&pending.key_package)?;
    let delete_others_at = parts.clock.now().plus(KEPT_AFTER_ROTATION);
    parts.store.run(move |store| store.key_package_rotated(&current, delete_others_at)).await?;
    Ok(())
}

/// Whether the refusal is about the update, not about the caller or the node.
const fn is_final(error: &NetworkError) -> bool {
    matches!(error, NetworkError::Refused { code: Refusal::InvalidArgument | Refusal::FailedPrecondition, .. })
}

async fn wait_until_shown(parts: &Parts, inbox: InboxId, installation: &InstallationId) -> Result<(), RegisterError> {
    for wait in PAUSES {
        if is_shown(parts, inbox, installation).await? {
            return Ok(());
        }
        tokio::time::sleep(wait).await;
    }
    if is_shown(parts, inbox, installation).await? { Ok(()) } else { Err(RegisterError::NotShown) }
}

/// Whether the log of the inbox makes this installation a member.
async fn is_shown(parts: &Parts, inbox: InboxId, installation: &InstallationId) -> Result<bool, RegisterError> {
    let directory = parts.identities.refresh(&[inbox]).await?;
    match directory.log(&inbox) {
        Some(log) => Ok(log.latest()?.has_installation(installation)),
        None => Ok(false),
    }
}

/// Makes a key package: the bytes to upload, and what has to be stored before.
fn new_key_package(
    parts: &Parts,
    inbox: &InboxId,
    key: &InstallationKey,
) -> Result<(Vec<u8>, Vec<Change>), NewKeyPackageError> {
    let now = parts.clock.now();
    let package = NewKeyPackage::create(inbox, key, now, &parts.random)?;
    let kept = Change::KeyPackageStored { hash_ref: package.hash_ref, created_at: now };
    Ok((package.bytes, vec![Change::Rows(package.rows), kept]))
}

/// Adds a signature to a request; a contract wallet's is judged by its chain, which the node asks.
pub(crate) async fn add_signature(
    network: &dyn Network,
    inbox: InboxId,
    request: &mut SignatureRequest,
    verdicts: &mut ChainVerdicts,
    signature: UnverifiedSignature,
) -> Result<(), RegisterError> {
    let Some(check) = request.chain_check(&signature) else {
        return Ok(request.add_signature(signature, &ChainVerdicts::none())?);
    };
    let (answer, silent) = identities::ask(network, vec![check.clone()]).await?;
    if let Some(message) = silent {
        return Err(Unavailable::Chain { inbox, message }.into());
    }
    request.add_signature(signature, &answer)?;
    // In the update the signature names the block it was judged at.
    let judged = ChainCheck { block_number: answer.block_number(&check), ..check };
    verdicts.insert(judged, Verdict::Valid);
    Ok(())
}
