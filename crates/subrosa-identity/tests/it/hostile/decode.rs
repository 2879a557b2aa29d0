//! What is refused before any signature is looked at.

use subrosa_identity::{DecodeError, EntryError, IdentityUpdate, InboxLog, LogError};
use subrosa_proto::xmtp::identity::associations as proto;
use subrosa_types::SequenceId;

use super::{add_wallet, at, create, inbox, verify};
use crate::{
    signers::{Act, LegacyKey, by_wallet, update},
    world::wallet,
};

/// A field of this number with these bytes, as protobuf writes them. Short ones only.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128 && number < 16);
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

#[track_caller]
fn refused(update: &[u8], want: DecodeError) {
    assert_eq!(IdentityUpdate::from_bytes(update), Err(want));
}

fn missing(field: &'static str) -> DecodeError {
    DecodeError::MissingField(field)
}

/// A signature that decodes.
fn signature() -> Vec<u8> {
    field(1, &field(1, &[1]))
}

#[test]
fn an_action_of_no_or_unknown_kind_is_refused() {
    refused(&field(1, &[]), missing("action"));
    refused(&field(1, &field(5, &[])), missing("action"));
    refused(&field(1, &field(15, b"later")), missing("action"));
    // Good actions around it do not help.
    let good = update(&inbox(), at(1), &[create(&wallet(1))]).to_bytes();
    assert!(IdentityUpdate::from_bytes(&good).is_ok());
    refused(&[good.clone(), field(1, &field(5, &[]))].concat(), missing("action"));
    // An unknown field beside known ones is ignored.
    assert!(IdentityUpdate::from_bytes(&[good, field(9, b"later")].concat()).is_ok());
}

#[test]
fn a_member_of_no_or_unknown_kind_is_refused() {
    for member in [field(1, &[]), field(1, &field(4, b"later")), field(1, &field(9, &[]))] {
        let add = field(2, &[member.clone(), field(2, &signature()), field(3, &signature())].concat());
        refused(&field(1, &add), missing("member_identifier"));
        let revoke = field(3, &[member, field(2, &signature())].concat());
        refused(&field(1, &revoke), missing("member_identifier"));
    }
    refused(
        &field(1, &field(2, &[field(2, &signature()), field(3, &signature())].concat())),
        missing("member_identifier"),
    );
    refused(&field(1, &field(3, &field(2, &signature()))), missing("member_to_revoke"));
}

#[test]
fn a_signature_of_no_or_unknown_kind_is_refused() {
    let create = |signature: &[u8]| field(1, &field(1, &[field(1, b"0x"), field(3, signature)].concat()));
    assert!(IdentityUpdate::from_bytes(&create(&signature())).is_ok());
    for unknown in [vec![], field(6, b"later"), field(15, &[])] {
        refused(&create(&unknown), missing("signature"));
    }
}

#[test]
fn every_slot_needs_its_signature() {
    let legacy = LegacyKey::new(&wallet(1), 9);
    let acts = [
        Act::Create(wallet(1).identifier(), 0, legacy.sign()),
        add_wallet(2, 1),
        Act::Revoke(wallet(2).identifier().into(), by_wallet(&wallet(1))),
        Act::ChangeRecovery(wallet(2).identifier(), by_wallet(&wallet(1))),
    ];
    let whole = update(&inbox(), at(1), &acts).to_proto();
    assert!(IdentityUpdate::from_proto(whole.clone()).is_ok());

    let mut slots = 0;
    for index in 0..acts.len() {
        for slot in 0..2 {
            let mut damaged = whole.clone();
            let Some(signature) = slot_of(&mut damaged.actions[index], slot) else { continue };
            slots += 1;
            *signature = None;
            assert_eq!(IdentityUpdate::from_proto(damaged.clone()), Err(missing("signature")), "{index} {slot}");
            *slot_of(&mut damaged.actions[index], slot).unwrap() = Some(proto::Signature { signature: None });
            assert_eq!(IdentityUpdate::from_proto(damaged), Err(missing("signature")), "{index} {slot}");
        }
    }
    assert_eq!(slots, 5);

    // A legacy signature has signatures inside.
    for (part, want) in [("key", "delegated_key"), ("own", "signature")] {
        let mut damaged = whole.clone();
        let slot = slot_of(&mut damaged.actions[0], 0).unwrap();
        let Some(proto::signature::Signature::DelegatedErc191(legacy)) = slot.as_mut().unwrap().signature.as_mut()
        else {
            panic!("not a legacy signature")
        };
        if part == "key" {
            legacy.delegated_key = None
        } else {
            legacy.signature = None
        }
        assert_eq!(IdentityUpdate::from_proto(damaged), Err(missing(want)));
    }
}

fn slot_of(action: &mut proto::IdentityAction, slot: usize) -> Option<&mut Option<proto::Signature>> {
    use proto::identity_action::Kind;
    match (action.kind.as_mut().unwrap(), slot) {
        (Kind::CreateInbox(create), 0) => Some(&mut create.initial_identifier_signature),
        (Kind::Add(add), 0) => Some(&mut add.existing_member_signature),
        (Kind::Add(add), 1) => Some(&mut add.new_member_signature),
        (Kind::Revoke(revoke), 0) => Some(&mut revoke.recovery_identifier_signature),
        (Kind::ChangeRecoveryAddress(change), 0) => Some(&mut change.existing_recovery_identifier_signature),
        _ => None,
    }
}

#[test]
fn an_entry_without_an_update_ends_the_states() {
    let mut log = InboxLog::new(inbox().parse().unwrap());
    log.push(SequenceId(1), &verify(&update(&inbox(), at(1), &[create(&wallet(1))])).unwrap()).unwrap();
    log.push_refused(SequenceId(2), missing("update")).unwrap();
    let reason = EntryError::Decode(missing("update"));
    assert_eq!(reason.label(), "ConversionError::Missing");
    assert_eq!(log.latest(), Err(LogError::Broken { at: SequenceId(2), reason }));
    assert!(log.state_at(SequenceId(1)).is_ok());
}

#[test]
fn keys_accounts_and_passkeys_are_read_while_decoding() {
    let create = |parts: &[Vec<u8>]| field(1, &field(1, &parts.concat()));
    let by = |signature: Vec<u8>| create(&[field(1, b"0x"), field(3, &signature)]);
    for key in [&[0; 31][..], &[0; 33], &[]] {
        refused(&by(field(3, &field(2, key))), DecodeError::InstallationKeyInvalid);
    }
    for (account, want) in [
        ("", DecodeError::AccountIdParts),
        ("eip155:1", DecodeError::AccountIdParts),
        ("eip155:1:0x:0", DecodeError::AccountIdParts),
        ("eip155:1:", DecodeError::AccountIdSyntax),
        ("eip155:1:0x\n", DecodeError::AccountIdSyntax),
    ] {
        refused(&by(field(2, &field(1, account.as_bytes()))), want);
    }
    let kind = |number: u8| vec![4 << 3, number];
    let passkey = |text: &str, number| create(&[field(1, text.as_bytes()), field(3, &signature()), kind(number)]);
    for text in ["abc", "xy", "0X02", "0x0x02", " 02"] {
        refused(&passkey(text, 2), DecodeError::PasskeyIdentifierHex);
        // As address it is taken: nothing is checked, and nobody can sign for it.
        assert!(IdentityUpdate::from_bytes(&passkey(text, 1)).is_ok());
    }
    assert!(IdentityUpdate::from_bytes(&passkey("0x02AB", 2)).is_ok());
    // A kind that is unknown is read as address.
    assert!(IdentityUpdate::from_bytes(&passkey("not hex", 3)).is_ok());
}
