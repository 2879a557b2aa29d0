//! Keys and updates for tests.

use subrosa_identity::{
    AssociationError, AssociationState, ChainVerdicts, Identifier, IdentityUpdate, InstallationKey, SignatureRequest,
    SignatureRequestBuilder, Verdict, VerifiedUpdate, WalletKey, inbox_id,
};
use subrosa_types::{InboxId, UnixNanos};

pub(crate) const SECOND: i64 = 1_000_000_000;

pub(crate) fn wallet(seed: u8) -> WalletKey {
    WalletKey::from_bytes(&[seed; 32]).unwrap()
}

pub(crate) fn installation(seed: u8) -> InstallationKey {
    InstallationKey::from_seed([seed; 32])
}

/// Signs with wallets and installations of this module, by whoever is missing.
pub(crate) fn sign(mut request: SignatureRequest) -> IdentityUpdate {
    for seed in 1..=40 {
        let missing = request.missing_signers();
        if missing.contains(&wallet(seed).identifier().into()) {
            request.add_wallet_signature(&wallet(seed).sign(request.text())).unwrap();
        }
        if missing.contains(&installation(seed).id().into()) {
            request.sign_with_installation(&installation(seed)).unwrap();
        }
    }
    request.build().unwrap()
}

/// One inbox that wallet 1 created, and what happens to it, one second apart.
pub(crate) struct World {
    pub(crate) inbox: InboxId,
    pub(crate) owner: Identifier,
    pub(crate) state: Option<AssociationState>,
    pub(crate) updates: Vec<VerifiedUpdate>,
    seconds: i64,
}

impl World {
    /// Nothing happened yet.
    pub(crate) fn empty() -> Self {
        let owner = wallet(1).identifier();
        let inbox = inbox_id(&owner, 1).unwrap();
        Self { inbox, owner, state: None, updates: Vec::new(), seconds: 1_000 }
    }

    /// Registered with installation 1.
    pub(crate) fn registered() -> Self {
        let mut world = Self::empty();
        let owner = world.owner.clone();
        world
            .run(|r| r.create_inbox(owner.clone(), 1).add_association(installation(1).id(), &owner))
            .expect("registration is legal");
        world
    }

    pub(crate) fn request(
        &mut self,
        actions: impl FnOnce(SignatureRequestBuilder) -> SignatureRequestBuilder,
    ) -> SignatureRequest {
        self.seconds += 1;
        let now = UnixNanos::from_nanos(self.seconds * SECOND + 5);
        actions(SignatureRequest::builder(self.inbox, now)).request()
    }

    /// Builds, signs, verifies and applies an update.
    pub(crate) fn run(
        &mut self,
        actions: impl FnOnce(SignatureRequestBuilder) -> SignatureRequestBuilder,
    ) -> Result<AssociationState, AssociationError> {
        let update = sign(self.request(actions));
        let update = update.verify(&ChainVerdicts::none()).expect("good signatures");
        let state = AssociationState::apply(self.state.as_ref(), &update)?;
        self.state = Some(state.clone());
        self.updates.push(update);
        Ok(state)
    }
}

/// Answers every question of an update alike.
pub(crate) fn verdicts_for(update: &IdentityUpdate, verdict: Verdict) -> ChainVerdicts {
    update.chain_checks().into_iter().map(|check| (check, verdict)).collect()
}
