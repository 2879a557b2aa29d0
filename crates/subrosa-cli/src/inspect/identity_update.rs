//! Updates of identity logs (identity §3, §4, §5).

use prost::Message as _;
use subrosa_identity::{
    AssociationState, ChainVerdicts, IdentityAction, IdentityUpdate, MemberIdentifier, SignatureKind,
    UnverifiedSignature,
};
use subrosa_proto::xmtp::identity::api::v1::get_identity_updates_response::IdentityUpdateLog;
use subrosa_types::UnixNanos;

use super::{Fact, Facts, Report, not_a, utc};
use crate::failure::{Code, Failure};

const WHAT: &str = "an identity update";

pub(crate) fn report(bytes: &[u8]) -> Result<Report, Failure> {
    let (mut facts, update) = read(bytes)?;
    let text = update.signature_text();
    facts.add("inbox", update.inbox_id_text()).add("made_at", utc(UnixNanos::from_wire(update.client_timestamp_ns())));
    facts.add("action", update.actions().iter().map(|action| self::action(action, &text).into()).collect::<Fact>());
    let invalid = match update.verify(&ChainVerdicts::none()) {
        Err(error) => {
            let verdict = if error.is_retryable() { "cannot be told without a chain" } else { "does not verify" };
            facts.add("verdict", verdict);
            Some(Failure::new(format!("the update {verdict}")).because(&error).code(Code::BadInput))
        }
        Ok(verified) if creates(&update) => match AssociationState::apply(None, &verified) {
            Ok(state) => {
                facts.add("verdict", "every signature verifies, and it makes this inbox");
                facts.add("inbox_after_it", inbox(&state));
                None
            }
            Err(error) => {
                facts.add("verdict", "every signature verifies, but it cannot make this inbox");
                Some(Failure::new("the update cannot make this inbox").because(&error).code(Code::BadInput))
            }
        },
        Ok(_) => {
            facts.add("verdict", "every signature verifies; what the signers may do is said by the log before it");
            None
        }
    };
    facts.add("signed_text", text);
    Ok(Report { facts, invalid })
}

fn read(bytes: &[u8]) -> Result<(Facts, IdentityUpdate), Failure> {
    // The first field of an entry of a log is a number, that of an update a message: they cannot be mistaken.
    if let Ok(entry) = IdentityUpdateLog::decode(bytes)
        && let Some(update) = entry.update
    {
        let facts = Facts::new()
            .with("form", "IdentityUpdateLog (as delivered)")
            .with("sequence_id", entry.sequence_id)
            .with("stored_at", utc(UnixNanos::from_wire(entry.server_timestamp_ns)));
        let update = IdentityUpdate::from_bytes(&update.encode_to_vec()).map_err(|error| not_a(WHAT, bytes, &error))?;
        return Ok((facts, update));
    }
    let update = IdentityUpdate::from_bytes(bytes).map_err(|error| not_a(WHAT, bytes, &error))?;
    Ok((Facts::new().with("form", "IdentityUpdate"), update))
}

fn creates(update: &IdentityUpdate) -> bool {
    matches!(update.actions().first(), Some(IdentityAction::CreateInbox { .. }))
}

fn action(action: &IdentityAction, text: &str) -> Facts {
    match action {
        IdentityAction::CreateInbox { identifier, nonce, signature } => Facts::new()
            .with("does", "create the inbox")
            .with("owner", member(&identifier.into()))
            .with("nonce", *nonce)
            .with("signature", self::signature(signature, text)),
        IdentityAction::AddAssociation { new_member, existing_member_signature, new_member_signature } => Facts::new()
            .with("does", "add a member")
            .with("member", member(new_member))
            .with("existing_member_signature", signature(existing_member_signature, text))
            .with("new_member_signature", signature(new_member_signature, text)),
        IdentityAction::RevokeAssociation { member: gone, signature } => Facts::new()
            .with("does", "remove a member")
            .with("member", member(gone))
            .with("signature", self::signature(signature, text)),
        IdentityAction::ChangeRecovery { new_identifier, signature } => Facts::new()
            .with("does", "change the recovery identifier")
            .with("to", member(&new_identifier.into()))
            .with("signature", self::signature(signature, text)),
        // The enum is open for newer actions; they do not decode today.
        _ => Facts::new().with("does", "something newer than this program"),
    }
}

fn signature(signature: &UnverifiedSignature, text: &str) -> Facts {
    let mut facts = Facts::new().with("kind", kind(signature.kind()));
    match signature {
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
    match signature.verify(text, &ChainVerdicts::none()) {
        Ok(verified) => facts.add("signed_by", member(verified.signer())).add("verifies", true),
        Err(error) => facts.add("verifies", false).add("why_not", error.to_string()),
    };
    facts
}

const fn kind(kind: SignatureKind) -> &'static str {
    match kind {
        SignatureKind::Erc191 => "Ethereum account (EIP-191)",
        SignatureKind::ContractWallet => "contract wallet (ERC-1271 or ERC-6492)",
        SignatureKind::Installation => "installation key (Ed25519ph)",
        SignatureKind::LegacyDelegated => "delegated key of a version-2 account",
        SignatureKind::Passkey => "passkey (WebAuthn, P-256)",
        _ => "newer than this program",
    }
}

fn member(member: &MemberIdentifier) -> String {
    let kind = match member {
        MemberIdentifier::Ethereum(_) => "address",
        MemberIdentifier::Installation(_) => "installation",
        MemberIdentifier::Passkey(_) => "passkey",
        _ => "member",
    };
    format!("{kind} {}", member.text())
}

fn inbox(state: &AssociationState) -> Facts {
    Facts::new()
        .with("member", state.members().into_iter().map(|m| member(&m.identifier).into()).collect::<Fact>())
        .with("recovery", member(&state.recovery_identifier().into()))
}
