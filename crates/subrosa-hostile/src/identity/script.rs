//! Updates made from a script and really signed: input of a few bytes that gets as far as the state machine.
//!
//! ```text
//! offset  size  field
//! 0       1     0xff: no update begins so
//! 1       1     the inbox: low half its first signer, high half its nonce
//! 2       1     seconds of the sender's clock
//! 3       1     number of bends, at most 15
//! 4       3·n   bends: place of a byte in the encoded update (two bytes, big endian), what it is bent by
//! ·       3·m   actions: what (2 bits) and a detail (6 bits); whom (low half) and who signs (high half);
//!               how far the second signer of an addition is from whom it names
//! ```

use subrosa_identity::{Identifier, IdentityAction, IdentityUpdate, MemberIdentifier, UnverifiedSignature, inbox_id};

use super::signers::Signer;

/// First byte of a script.
pub(super) const MARK: u8 = 0xff;
/// Most actions of one update: signing takes time.
const ACTIONS: usize = 8;
/// Most bends.
const BENDS: usize = 15;

/// The bytes that a part of the input stands for: an encoded update.
pub(super) fn update(part: &[u8]) -> Vec<u8> {
    match part {
        [MARK, inbox, seconds, bends, rest @ ..] => {
            let bends = (usize::from(*bends) % (BENDS + 1) * 3).min(rest.len());
            let (bends, actions) = rest.split_at(bends);
            let mut bytes = signed(*inbox, *seconds, actions).to_bytes();
            for bend in bends.chunks_exact(3).filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
                let at = usize::from(u16::from_be_bytes([bend[0], bend[1]])) % bytes.len();
                bytes[at] ^= bend[2];
            }
            bytes
        }
        encoded => encoded.to_vec(),
    }
}

fn signed(inbox: u8, seconds: u8, actions: &[u8]) -> IdentityUpdate {
    let inbox_id = inbox_id(&Signer::named(inbox).identifier(), u64::from(inbox >> 4));
    let inbox_id = inbox_id.map_or_else(|_| String::new(), |id| id.to_hex());
    let time = (1_700_000_000 + u64::from(seconds)) * 1_000_000_000;
    let actions: Vec<&[u8]> = actions.chunks_exact(3).take(ACTIONS).collect();
    // The text does not show who signs it.
    let make = |sign: &dyn Fn(u8) -> UnverifiedSignature| {
        let actions = actions.iter().map(|script| action(script, sign)).collect();
        IdentityUpdate::new(inbox_id.clone(), time, actions)
    };
    let text = make(&|_| UnverifiedSignature::Erc191(Vec::new())).signature_text();
    make(&|who| Signer::named(who).sign(&text))
}

fn action(script: &[u8], sign: &dyn Fn(u8) -> UnverifiedSignature) -> IdentityAction {
    let (what, detail, whom, by, shift) = (script[0] & 3, script[0] >> 2, script[1] & 15, script[1] >> 4, script[2]);
    let identifier = spelled(Signer::named(whom).identifier(), detail);
    match what {
        0 => IdentityAction::CreateInbox { identifier, nonce: u64::from(detail & 15), signature: sign(whom ^ shift) },
        1 => IdentityAction::AddAssociation {
            new_member: match Signer::named(whom).member() {
                MemberIdentifier::Ethereum(_) => identifier.into(),
                other => other,
            },
            existing_member_signature: sign(by),
            new_member_signature: sign(whom ^ shift),
        },
        2 => IdentityAction::RevokeAssociation { member: Signer::named(whom).member(), signature: sign(by) },
        _ => IdentityAction::ChangeRecovery { new_identifier: identifier, signature: sign(by) },
    }
}

/// Rarely an address in capitals, which nobody can sign for.
fn spelled(identifier: Identifier, detail: u8) -> Identifier {
    match identifier {
        Identifier::Ethereum(address) if detail >= 48 => Identifier::Ethereum(address.to_ascii_uppercase()),
        other => other,
    }
}
