//! Identity updates in words and facts: what they do, who signed, and why one is refused.

mod facts;
mod why;

use serde_json::{Value, json};
use subrosa_identity::{IdentityAction, MemberIdentifier, SignatureKind, Slot};

pub(crate) use facts::{action as action_facts, inbox as inbox_facts};
pub(crate) use why::{Why, sentence};

/// What an action does, in a few words.
pub(crate) fn does(action: &IdentityAction) -> String {
    match action {
        IdentityAction::CreateInbox { identifier, nonce, .. } => {
            format!("create the inbox, owner {}, nonce {nonce}", member(&identifier.into()))
        }
        IdentityAction::AddAssociation { new_member, .. } => format!("add {}", member(new_member)),
        IdentityAction::RevokeAssociation { member: gone, .. } => format!("remove {}", member(gone)),
        IdentityAction::ChangeRecovery { new_identifier, .. } => {
            format!("make {} the recovery identifier", member(&new_identifier.into()))
        }
        // The enum is open for newer actions; they do not decode today.
        _ => "something newer than this program".to_owned(),
    }
}

/// What a signature stands for.
pub(crate) const fn slot(slot: Slot) -> &'static str {
    match slot {
        Slot::Creator => "owner",
        Slot::ExistingMember => "existing member",
        Slot::NewMember => "new member",
        Slot::Recovery => "recovery",
        _ => "signature",
    }
}

/// The kind of a signature.
pub(crate) const fn kind(kind: SignatureKind) -> &'static str {
    match kind {
        SignatureKind::Erc191 => "Ethereum account (EIP-191)",
        SignatureKind::ContractWallet => "contract wallet (ERC-1271 or ERC-6492)",
        SignatureKind::Installation => "installation key (Ed25519ph)",
        SignatureKind::LegacyDelegated => "delegated key of a version-2 account",
        SignatureKind::Passkey => "passkey (WebAuthn, P-256)",
        _ => "newer than this program",
    }
}

/// The name of a kind of members, as in the vectors.
pub(crate) const fn member_kind(member: &MemberIdentifier) -> &'static str {
    match member {
        MemberIdentifier::Ethereum(_) => "ethereum",
        MemberIdentifier::Installation(_) => "installation",
        MemberIdentifier::Passkey(_) => "passkey",
        _ => "unknown",
    }
}

/// A member for programs, as in the vectors.
pub(crate) fn named(member: &MemberIdentifier) -> Value {
    json!({ "kind": member_kind(member), "identifier": member.text() })
}

/// A member with its kind. May hold anything that a peer wrote: escape it.
pub(crate) fn member(member: &MemberIdentifier) -> String {
    let kind = match member {
        MemberIdentifier::Ethereum(_) => "address",
        MemberIdentifier::Installation(_) => "installation",
        MemberIdentifier::Passkey(_) => "passkey",
        _ => "member",
    };
    format!("{kind} {}", member.text())
}

/// The same, with the relying party that a passkey says it belongs to.
pub(crate) fn member_at_party(who: &MemberIdentifier) -> String {
    match who {
        MemberIdentifier::Passkey(passkey) => match &passkey.relying_party {
            Some(party) => format!("{} of {party:?}", member(who)),
            None => member(who),
        },
        _ => member(who),
    }
}
