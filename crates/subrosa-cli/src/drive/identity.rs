//! Driving the inbox: its state, changes signed elsewhere, lookups.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};
use subrosa::{
    Identifier, IdentityChange, InboxId, Inboxes, InstallationId, KeyPackageStatus, PasskeySignature, Reassign,
    Registration, UnverifiedSignature,
};
use subrosa_transport::GrpcNetwork;
use subrosa_types::hex;

use super::{
    driver::{Answer, Driver, Refused, done},
    request::{Bytes, Change, Id, Name, NameKind, Signature},
};
use crate::update::named;

/// What waits for signatures.
pub(super) enum Unsigned {
    Registration(Box<Registration>),
    Change(Box<IdentityChange>),
}

impl Unsigned {
    /// What to sign, and who has to.
    fn describe(&self) -> Value {
        let (text, missing) = match self {
            Self::Registration(registration) => (registration.text(), registration.missing_signers()),
            Self::Change(change) => (change.text(), change.missing_signers()),
        };
        json!({ "text": text, "missing": missing.iter().map(named).collect::<Vec<_>>() })
    }

    async fn add(&mut self, signature: UnverifiedSignature) -> Result<(), Refused> {
        match self {
            Self::Registration(registration) => registration.add_signature(signature).await?,
            Self::Change(change) => change.add_signature(signature).await?,
        }
        Ok(())
    }
}

impl Driver {
    /// The state of an inbox, fresh from the network.
    pub(super) async fn inbox_state(&self, inbox: InboxId) -> Answer {
        let client = self.client()?;
        let states = client.fresh_inbox_states(&[inbox]).await?;
        let state = states.get(&inbox).ok_or(Refused::Unknown)?;
        let updates = client.fresh_identity_updates(&[inbox]).await?.get(&inbox).copied();
        let members = state.members().into_iter().map(|one| {
            json!({
                "member": named(&one.identifier),
                "added_by": one.added_by.as_ref().map(named),
                "client_timestamp_ns": one.client_timestamp_ns.map(|time| time.to_string()),
                "added_on_chain_id": one.added_on_chain_id,
            })
        });
        Ok(json!({
            "inbox": state.inbox_id().to_hex(),
            "recovery": named(&state.recovery_identifier().clone().into()),
            "members": members.collect::<Vec<_>>(),
            "creation_kind": format!("{:?}", client.creation_kind(inbox).await?),
            "updates": updates,
        }))
    }

    /// Begins a change of our inbox; null if there is nothing to do.
    pub(super) async fn change(&self, change: Change) -> Answer {
        let change = match change {
            Change::Add { name, reassign } => {
                let reassign = if reassign.unwrap_or(false) { Reassign::Allow } else { Reassign::Refuse };
                Some(self.client()?.add_identifier(identifier(&name)?, reassign).await?)
            }
            Change::Remove { name } => Some(self.client()?.remove_identifiers(&[identifier(&name)?]).await?),
            Change::Recovery { name } => Some(self.client()?.change_recovery(identifier(&name)?).await?),
            Change::Revoke { installations } => Some(self.client()?.revoke_installations(&bare(installations)).await?),
            Change::RevokeOthers => self.client()?.revoke_all_other_installations().await?,
            Change::RevokeUnaided { node, inbox, name, installations } => {
                let inboxes = Inboxes::of(Arc::new(GrpcNetwork::connect_lazy(&node)?));
                Some(inboxes.revoke_installations(inbox.0, &identifier(&name)?, &bare(installations))?)
            }
        };
        Ok(change.map_or(Value::Null, |change| self.unsigned(Unsigned::Change(Box::new(change)))))
    }

    /// Keeps what waits for signatures; describes it.
    pub(super) fn unsigned(&self, unsigned: Unsigned) -> Value {
        let described = unsigned.describe();
        *self.unsigned.lock().unwrap_or_else(PoisonError::into_inner) = Some(unsigned);
        described
    }

    /// Adds a signature to what waits for it; says who is missing.
    pub(super) async fn sign(&self, signature: Signature) -> Answer {
        let mut unsigned = self.take_unsigned()?;
        let added = match unverified(signature) {
            Ok(signature) => unsigned.add(signature).await,
            Err(refused) => Err(refused),
        };
        let described = self.unsigned(unsigned);
        added.map(|()| described)
    }

    /// Publishes what was signed. A registration answers with its inbox and installation.
    pub(super) async fn apply(&self) -> Answer {
        match self.take_unsigned()? {
            Unsigned::Registration(registration) => self.opened(registration.finish().await?),
            Unsigned::Change(change) => done(change.apply().await?),
        }
    }

    fn take_unsigned(&self) -> Result<Unsigned, Refused> {
        self.unsigned.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Refused::Order)
    }

    /// Whether identifiers can be written to.
    pub(super) async fn can_message(&self, names: Vec<Name>) -> Answer {
        let identifiers = names.iter().map(identifier).collect::<Result<Vec<_>, _>>()?;
        let answers = self.client()?.can_message(&identifiers).await?;
        Ok(answers.into_iter().map(|(identifier, can)| (identifier.text(), Value::Bool(can))).collect())
    }

    /// What the key packages of somebody's installations are worth.
    pub(super) async fn key_packages(&self, inbox: InboxId, installations: Vec<Id<InstallationId>>) -> Answer {
        let statuses = self.client()?.key_package_statuses(inbox, &bare(installations)).await?;
        let status = |(installation, status): (InstallationId, KeyPackageStatus)| {
            let value = match status {
                KeyPackageStatus::Valid(life) => {
                    json!({ "not_before": life.not_before, "not_after": life.not_after })
                }
                other => json!({ "unusable": format!("{other:?}") }),
            };
            (installation.to_hex(), value)
        };
        Ok(statuses.into_iter().map(status).collect())
    }

    /// Signs a text with the installation key.
    pub(super) fn sign_text(&self, text: &str) -> Answer {
        Ok(hex::encode(&self.client()?.sign_text(text)).into())
    }
}

/// Whether an installation signed a text.
pub(super) fn verify_text(text: &str, signature: &Bytes, installation: &InstallationId) -> Value {
    subrosa::verify_text(text, &signature.0, installation).is_ok().into()
}

/// An identifier that was named.
pub(super) fn identifier(name: &Name) -> Result<Identifier, Refused> {
    Ok(match name.kind {
        NameKind::Ethereum => Identifier::parse_ethereum(&name.identifier)?,
        NameKind::Passkey => Identifier::parse_passkey(&name.identifier)?,
    })
}

fn unverified(signature: Signature) -> Result<UnverifiedSignature, Refused> {
    Ok(match signature {
        Signature::Ethereum { signature } => UnverifiedSignature::Erc191(signature.0),
        Signature::Passkey { public_key, signature, authenticator_data, client_data_json } => {
            UnverifiedSignature::Passkey(Box::new(PasskeySignature {
                public_key: public_key.0,
                signature: signature.0,
                authenticator_data: authenticator_data.0,
                client_data_json: client_data_json.0,
            }))
        }
        Signature::Contract { address, chain_id, block_number, signature } => {
            UnverifiedSignature::contract_wallet(chain_id, &address, signature.0, block_number)?
        }
    })
}

fn bare(installations: Vec<Id<InstallationId>>) -> Vec<InstallationId> {
    installations.into_iter().map(|installation| installation.0).collect()
}
