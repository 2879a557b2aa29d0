//! Good signatures by those who have no say, or no say any more.

use subrosa_identity::{
    AssociationError, AssociationState, EntryError, Identifier, IdentityUpdate, InboxLog, LogError, MemberIdentifier,
    inbox_id,
};
use subrosa_types::{InboxId, SequenceId};

use super::{add_installation, add_wallet, apply, at, create, id_of, inbox, owner, registered, verify};
use crate::{
    signers::{Act, LegacyKey, Sign, by_contract, by_installation, by_wallet, update},
    world::{installation, wallet},
};

use AssociationError as E;

fn revoke(member: impl Into<MemberIdentifier>, sign: Sign) -> Act {
    Act::Revoke(member.into(), sign)
}

/// Applies an update to an inbox of any id.
fn apply_to(id: &str, before: Option<&AssociationState>, seconds: u64, acts: &[Act]) -> Result<AssociationState, E> {
    AssociationState::apply(before, &verify(&update(id, at(seconds), acts)).unwrap())
}

#[test]
fn an_address_in_another_case_or_without_prefix_matches_no_signer() {
    let state = registered();
    let odd = |seed: u8| {
        let address = wallet(seed).address();
        let odd = [format!("0x{}", address[2..].to_uppercase()), address[2..].to_owned(), address.to_uppercase()];
        odd.map(Identifier::Ethereum)
    };
    for (own, new) in odd(1).into_iter().zip(odd(3)) {
        let created = apply(None, 1, &[Act::Create(own.clone(), 1, by_wallet(&wallet(1)))]);
        assert_eq!(created, Err(E::MissingExistingMember));
        let added = Act::Add(new.clone().into(), by_wallet(&wallet(1)), by_wallet(&wallet(3)));
        assert_eq!(apply(Some(&state), 2, &[added]), Err(E::NewMemberIdSignatureMismatch));
        // Nobody of that name is a member, so nobody goes.
        let revoked = apply(Some(&state), 2, &[revoke(own.clone(), by_wallet(&wallet(1)))]).unwrap();
        assert_eq!(revoked.members(), state.members());
        // As recovery identifier it is taken, and nobody can ever sign for it.
        let locked = apply(Some(&state), 2, &[Act::ChangeRecovery(own.clone(), by_wallet(&wallet(1)))]).unwrap();
        assert_eq!(*locked.recovery_identifier(), own);
        let back = apply(Some(&locked), 3, &[Act::ChangeRecovery(owner(), by_wallet(&wallet(1)))]);
        assert_eq!(back, Err(E::MissingExistingMember));
    }
}

#[test]
fn an_inbox_id_of_another_identifier_or_nonce_is_refused() {
    let others = [id_of(&owner(), 0), id_of(&owner(), 2), id_of(&wallet(2).identifier(), 1), inbox().to_uppercase()];
    for id in others.iter().map(String::as_str).chain(["", "inbox"]) {
        assert_eq!(apply_to(id, None, 1, &[create(&wallet(1))]), Err(E::WrongInboxId), "{id}");
        assert_eq!(apply_to(id, Some(&registered()), 2, &[add_wallet(3, 1)]), Err(E::WrongInboxId), "{id}");
    }
}

#[test]
fn an_inbox_is_created_once() {
    assert_eq!(apply(None, 1, &[create(&wallet(1)), create(&wallet(1))]), Err(E::MultipleCreate));
    let state = registered();
    assert_eq!(apply(Some(&state), 2, &[create(&wallet(1))]), Err(E::MultipleCreate));
    assert_eq!(apply(Some(&state), 2, &[add_wallet(3, 1), create(&wallet(3))]), Err(E::MultipleCreate));
}

#[test]
fn nothing_comes_before_the_creation() {
    let first: [fn() -> Act; 4] = [
        || add_wallet(2, 1),
        || add_installation(1, 1),
        || revoke(wallet(1).identifier(), by_wallet(&wallet(1))),
        || Act::ChangeRecovery(wallet(2).identifier(), by_wallet(&wallet(1))),
    ];
    for act in first {
        assert_eq!(apply(None, 1, &[act()]), Err(E::NotCreated));
        assert_eq!(apply(None, 1, &[act(), create(&wallet(1))]), Err(E::NotCreated));
    }
}

#[test]
fn an_installation_adds_no_installation() {
    let state = registered();
    let (old, new) = (installation(1), installation(2));
    let add = Act::Add(new.id().into(), by_installation(&old), by_installation(&new));
    assert_eq!(apply(Some(&state), 2, &[add]), Err(E::MemberNotAllowed));
    // A stranger is a stranger first.
    let (stranger, new) = (installation(5), installation(2));
    let add = Act::Add(new.id().into(), by_installation(&stranger), by_installation(&new));
    assert_eq!(apply(Some(&state), 2, &[add]), Err(E::MissingExistingMember));
}

#[test]
fn nobody_adds_itself() {
    let state = registered();
    let one = installation(1);
    let by_itself = [
        add_wallet(1, 1),
        add_wallet(7, 7),
        Act::Add(one.id().into(), by_installation(&one), by_installation(&one)),
        // By contract and by key, but the same address.
        Act::Add(owner().into(), by_wallet(&wallet(1)), by_contract(1, &wallet(1).address(), &[1])),
    ];
    for act in by_itself {
        assert_eq!(apply(Some(&state), 2, &[act]), Err(E::AddSelf));
    }
}

#[test]
fn only_the_recovery_identifier_revokes_and_hands_over() {
    let state = registered();
    let others: [Sign; 4] = [
        by_wallet(&wallet(2)),
        by_wallet(&wallet(7)),
        by_installation(&installation(1)),
        by_installation(&installation(7)),
    ];
    for sign in others {
        for member in [MemberIdentifier::from(wallet(2).identifier()), owner().into(), installation(1).id().into()] {
            assert_eq!(apply(Some(&state), 2, &[revoke(member, sign.clone())]), Err(E::MissingExistingMember));
        }
        let hand_over = Act::ChangeRecovery(wallet(7).identifier(), sign);
        assert_eq!(apply(Some(&state), 2, &[hand_over]), Err(E::MissingExistingMember));
    }
    // Once handed over, the creator is one of the others.
    let acts = [Act::ChangeRecovery(wallet(2).identifier(), by_wallet(&wallet(1)))];
    let handed_over = apply(Some(&state), 2, &acts).unwrap();
    let late = revoke(wallet(2).identifier(), by_wallet(&wallet(1)));
    assert_eq!(apply(Some(&handed_over), 3, &[late]), Err(E::MissingExistingMember));
    let allowed = revoke(owner(), by_wallet(&wallet(2)));
    assert!(!apply(Some(&handed_over), 3, &[allowed]).unwrap().has_member(&owner().into()));
}

#[test]
fn an_update_counts_once() {
    let state = registered();
    let add = verify(&update(&inbox(), at(2), &[add_wallet(3, 1)])).unwrap();
    let added = AssociationState::apply(Some(&state), &add).unwrap();
    assert_eq!(AssociationState::apply(Some(&added), &add), Err(E::Replay));
    let revoked = apply(Some(&added), 3, &[revoke(wallet(3).identifier(), by_wallet(&wallet(1)))]).unwrap();
    assert_eq!(AssociationState::apply(Some(&revoked), &add), Err(E::Replay));
    // The text has whole seconds only: the signatures of one fit the other.
    let moved = update(&inbox(), at(2) + 1, &[add_wallet(3, 1)]);
    assert_eq!(AssociationState::apply(Some(&revoked), &verify(&moved).unwrap()), Err(E::Replay));
}

/// Wallet 1 as contract on chain 1 created its inbox; wallet 2 as contract on chain 2 belongs to it.
fn of_contracts() -> AssociationState {
    let (one, two) = (wallet(1).address(), wallet(2).address());
    let acts = [
        Act::Create(owner(), 1, by_contract(1, &one, &[1])),
        Act::Add(wallet(2).identifier().into(), by_contract(1, &one, &[1]), by_contract(2, &two, &[2])),
    ];
    apply(None, 1, &acts).unwrap()
}

fn mismatch(member: impl Into<Option<u64>>, signature: impl Into<Option<u64>>) -> E {
    E::ChainIdMismatch { member: member.into(), signature: signature.into() }
}

/// Everything that wallet 1 can sign, each alone.
fn signed_by_the_owner(sign: &Sign) -> [Act; 3] {
    let new = installation(3);
    [
        Act::Add(new.id().into(), sign.clone(), by_installation(&new)),
        revoke(wallet(2).identifier(), sign.clone()),
        Act::ChangeRecovery(wallet(2).identifier(), sign.clone()),
    ]
}

#[test]
fn a_contract_wallet_stays_on_its_chain() {
    let state = of_contracts();
    for act in signed_by_the_owner(&by_contract(2, &wallet(1).address(), &[3])) {
        assert_eq!(apply(Some(&state), 2, &[act]), Err(mismatch(1, 2)));
    }
    for act in signed_by_the_owner(&by_contract(1, &wallet(1).address(), &[3])) {
        assert!(apply(Some(&state), 2, &[act]).is_ok());
    }
    // A recovery identifier that is no member may be anywhere.
    let gone = apply(Some(&state), 2, &[revoke(owner(), by_contract(1, &wallet(1).address(), &[3]))]).unwrap();
    for act in signed_by_the_owner(&by_contract(9, &wallet(1).address(), &[4])) {
        assert!(apply(Some(&gone), 3, &[act]).is_ok());
    }
}

#[test]
fn a_member_signs_as_the_kind_of_account_it_was_added_as() {
    for act in signed_by_the_owner(&by_wallet(&wallet(1))) {
        assert_eq!(apply(Some(&of_contracts()), 2, &[act]), Err(mismatch(1, None)));
    }
    for act in signed_by_the_owner(&by_contract(0, &wallet(1).address(), &[3])) {
        // Chain 0 is a chain, and not the absence of one.
        assert_eq!(apply(Some(&registered()), 2, &[act]), Err(mismatch(None, 0)));
    }
}

/// The inbox of wallet 1 with nonce 0, which it created itself.
fn of_nonce_0() -> (String, AssociationState) {
    let id = id_of(&owner(), 0);
    let state = apply_to(&id, None, 1, &[Act::Create(owner(), 0, by_wallet(&wallet(1)))]).unwrap();
    (id, state)
}

fn add_by(sign: Sign, seed: u8) -> Act {
    let new = installation(seed);
    Act::Add(new.id().into(), sign, by_installation(&new))
}

#[test]
fn a_legacy_key_counts_once() {
    let key = LegacyKey::new(&wallet(1), 9);
    let id = id_of(&owner(), 0);
    let acts = [Act::Create(owner(), 0, key.sign()), add_by(key.sign(), 1)];
    let state = apply_to(&id, None, 1, &acts).unwrap();
    for seconds in 2..5 {
        assert_eq!(apply_to(&id, Some(&state), seconds, &[add_by(key.sign(), 2)]), Err(E::Replay));
    }
    let other = LegacyKey::new(&wallet(1), 10);
    assert!(apply_to(&id, Some(&state), 2, &[add_by(other.sign(), 2)]).is_ok());
}

#[test]
fn a_legacy_key_registers_nonce_0_only() {
    let key = LegacyKey::new(&wallet(1), 9);
    for nonce in [1, 2, u64::MAX] {
        let created = apply_to(&id_of(&owner(), nonce), None, 1, &[Act::Create(owner(), nonce, key.sign())]);
        assert_eq!(created, Err(E::LegacySignatureReuse));
    }
    // The inbox of nonce 1: neither as who adds nor as who is added, unless an installation adds.
    let state = registered();
    assert_eq!(apply(Some(&state), 2, &[add_by(key.sign(), 2)]), Err(E::LegacySignatureReuse));
    let third = LegacyKey::new(&wallet(3), 11);
    let added = |by: Sign| Act::Add(wallet(3).identifier().into(), by, third.sign());
    assert_eq!(apply(Some(&state), 2, &[added(by_wallet(&wallet(1)))]), Err(E::LegacySignatureReuse));
    assert!(apply(Some(&state), 2, &[added(by_installation(&installation(1)))]).is_ok());
    let (id, state) = of_nonce_0();
    assert!(apply_to(&id, Some(&state), 2, &[add_by(key.sign(), 2)]).is_ok());
    // A recovery identifier that is no member cannot be stood in for.
    let gone = apply_to(&id, Some(&state), 2, &[revoke(owner(), by_wallet(&wallet(1)))]).unwrap();
    assert_eq!(apply_to(&id, Some(&gone), 3, &[add_by(key.sign(), 2)]), Err(E::LegacySignatureReuse));
}

#[test]
fn a_legacy_key_neither_revokes_nor_hands_over() {
    let sign = LegacyKey::new(&wallet(1), 9).sign();
    let (id, state) = of_nonce_0();
    let acts = [
        revoke(owner(), sign.clone()),
        Act::ChangeRecovery(wallet(2).identifier(), sign),
        // The ban comes before the question who signed.
        revoke(owner(), LegacyKey::new(&wallet(7), 9).sign()),
    ];
    for act in acts {
        assert_eq!(apply_to(&id, Some(&state), 2, &[act]), Err(E::SignatureNotAllowed));
    }
}

fn pushed(log: &mut InboxLog, sequence: u64, update: &IdentityUpdate) -> Result<(), LogError> {
    log.push(SequenceId(sequence), &verify(update).unwrap())
}

#[test]
fn a_bad_entry_ends_the_states_for_good() {
    let good = |seconds, act| update(&inbox(), at(seconds), &[act]);
    let mut log = InboxLog::new(inbox().parse().unwrap());
    pushed(&mut log, 10, &good(1, create(&wallet(1)))).unwrap();
    pushed(&mut log, 20, &good(2, add_wallet(2, 1))).unwrap();
    let bad = LogError::Broken { at: SequenceId(30), reason: EntryError::Association(E::MissingExistingMember) };
    assert_eq!(pushed(&mut log, 30, &good(3, add_wallet(3, 7))), Err(bad.clone()));
    assert_eq!(pushed(&mut log, 40, &good(4, add_wallet(3, 1))), Err(bad.clone()));
    assert_eq!(log.latest(), Err(bad.clone()));
    assert_eq!([30, 40].map(|at| log.state_at(SequenceId(at))), [Err(bad.clone()), Err(bad.clone())]);
    assert_eq!(log.state_at(SequenceId(20)).unwrap().members().len(), 2);
    assert!(!bad.is_retryable());
    assert_eq!(bad.label(), Some("AssociationError::MissingExistingMember"));
}

#[test]
fn the_log_of_another_inbox_is_refused() {
    let mut log = InboxLog::new(InboxId::from_bytes([0xee; 32]));
    let served = LogError::WrongInboxId { served: inbox_id(&owner(), 1).unwrap() };
    assert_eq!(pushed(&mut log, 1, &update(&inbox(), at(1), &[create(&wallet(1))])), Err(served.clone()));
    assert_eq!(pushed(&mut log, 2, &update(&inbox(), at(2), &[add_wallet(2, 1)])), Err(served.clone()));
    assert_eq!(log.latest(), Err(served.clone()));
    assert_eq!(served.label(), Some("AssociationError::WrongInboxId"));
    // Two logs cannot be spliced either.
    let mut log = InboxLog::new(inbox().parse().unwrap());
    pushed(&mut log, 1, &update(&inbox(), at(1), &[create(&wallet(1))])).unwrap();
    let other = update(&id_of(&owner(), 2), at(2), &[add_wallet(2, 1)]);
    let reason = EntryError::Association(E::WrongInboxId);
    assert_eq!(pushed(&mut log, 2, &other), Err(LogError::Broken { at: SequenceId(2), reason }));
}

#[test]
fn an_update_without_actions_changes_nothing_of_an_inbox() {
    let nothing = verify(&IdentityUpdate::new(inbox(), at(9), Vec::new())).unwrap();
    assert_eq!(AssociationState::apply(None, &nothing), Err(E::NotCreated));
    let state = registered();
    let after = AssociationState::apply(Some(&state), &nothing).unwrap();
    assert_eq!(after, state);
    assert_eq!(AssociationState::apply(Some(&after), &nothing), Ok(state));
}
