//! Actions and states as facts, for `inspect` and for programs.

use subrosa_identity::{
    AssociationState, IdentityAction, MemberIdentifier, SignatureExamination, UnverifiedSignature, VerifyError,
};

use super::{kind, member, why::verify_section};
use crate::inspect::{Fact, Facts};

/// One action with its signatures; both lists come from the same action.
pub(crate) fn action(action: &IdentityAction, examined: &[SignatureExamination]) -> Facts {
    let facts = match action {
        IdentityAction::CreateInbox { identifier, nonce, .. } => Facts::new()
            .with("does", "create the inbox")
            .with("owner", member(&identifier.into()))
            .with("nonce", *nonce),
        IdentityAction::AddAssociation { new_member, .. } => {
            Facts::new().with("does", "add a member").with("member", member(new_member))
        }
        IdentityAction::RevokeAssociation { member: gone, .. } => {
            Facts::new().with("does", "remove a member").with("member", member(gone))
        }
        IdentityAction::ChangeRecovery { new_identifier, .. } => {
            Facts::new().with("does", "change the recovery identifier").with("to", member(&new_identifier.into()))
        }
        // The enum is open for newer actions; they do not decode today.
        _ => Facts::new().with("does", "something newer than this program"),
    };
    let names: &[&str] = match action {
        IdentityAction::AddAssociation { .. } => &["existing_member_signature", "new_member_signature"],
        _ => &["signature"],
    };
    let signatures = action.signatures().zip(examined).zip(names);
    signatures.fold(facts, |facts, ((given, examined), name)| facts.with(name, signature(given, examined)))
}

fn signature(given: &UnverifiedSignature, examined: &SignatureExamination) -> Facts {
    let mut facts = Facts::new().with("kind", kind(examined.kind));
    match given {
        UnverifiedSignature::Erc191(bytes) => {
            facts.add("bytes", bytes.as_slice());
        }
        UnverifiedSignature::ContractWallet { account_id, block_number, signature } => {
            facts.add("account", account_id.as_str());
            if let Some(block) = block_number {
                facts.add("block", *block);
            }
            facts.add("bytes", signature.as_slice());
        }
        UnverifiedSignature::Installation(signature) => {
            facts.add("bytes", signature.bytes());
        }
        UnverifiedSignature::LegacyDelegated(signature) => {
            facts.add("bytes", signature.signature.as_slice());
        }
        UnverifiedSignature::Passkey(signature) => {
            facts.add("bytes", signature.signature.as_slice());
        }
        _ => {}
    }
    match &examined.result {
        Ok(verified) => {
            facts.add("signed_by", member(verified.signer()));
            if let MemberIdentifier::Passkey(passkey) = verified.signer()
                && let Some(party) = &passkey.relying_party
            {
                facts.add("relying_party", party.as_str());
            }
            facts.add("verifies", true);
        }
        Err(error) => {
            if let Some(claimed) = &examined.claimed_signer {
                facts.add("claims_to_be_by", member(claimed));
            }
            refused(&mut facts, error);
        }
    }
    facts
}

fn refused(facts: &mut Facts, error: &VerifyError) {
    facts.add("verifies", false).add("why_not", error.to_string());
    facts.add("error", format!("{} ({})", error.label(), verify_section(*error)));
}

/// A state in short.
pub(crate) fn inbox(state: &AssociationState) -> Facts {
    Facts::new()
        .with("member", state.members().into_iter().map(|m| member(&m.identifier).into()).collect::<Fact>())
        .with("recovery", member(&state.recovery_identifier().into()))
}
