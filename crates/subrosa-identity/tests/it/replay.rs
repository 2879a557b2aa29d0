//! The state machine, beyond what the vectors show.

use subrosa_identity::{
    AssociationError, AssociationState, ChainVerdicts, Identifier, IdentityAction, IdentityUpdate,
    LegacyDelegatedSignature, LegacyWalletSignature, MemberIdentifier, SignatureRequest, UnverifiedSignature, Verdict,
    WalletKey, inbox_id,
};
use subrosa_types::{InboxId, UnixNanos};
use subrosa_vectors::{Family, bytes, list, text};

use crate::world::{World, installation, sign, verdicts_for, wallet};

#[test]
fn an_update_applied_twice_is_refused() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let state = world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    for (update, want) in world.updates.iter().zip([AssociationError::MultipleCreate, AssociationError::Replay]) {
        assert_eq!(AssociationState::apply(Some(&state), update), Err(want));
    }
}

#[test]
fn a_refused_update_leaves_the_state_before_it() {
    let mut world = World::registered();
    let before = world.state.clone();
    let refused = world.run(|r| {
        r.add_association(wallet(2).identifier(), installation(1).id())
            .revoke(installation(1).id(), wallet(2).identifier())
    });
    assert_eq!(refused, Err(AssociationError::MissingExistingMember));
    assert_eq!(world.state, before);
}

#[test]
fn the_cascade_is_one_level_deep_and_takes_installations_only() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    world.run(|r| r.add_association(wallet(2).identifier(), &owner)).unwrap();
    world
        .run(|r| {
            r.add_association(installation(2).id(), wallet(2).identifier())
                .add_association(wallet(3).identifier(), wallet(2).identifier())
        })
        .unwrap();
    world.run(|r| r.add_association(installation(3).id(), wallet(3).identifier())).unwrap();
    let state = world.run(|r| r.revoke(wallet(2).identifier(), owner)).unwrap();
    assert!(!state.has_installation(&installation(2).id()));
    assert!(state.has_installation(&installation(1).id()));
    assert!(state.has_installation(&installation(3).id()));
    assert!(state.has_member(&wallet(3).identifier().into()));
}

#[test]
fn an_installation_added_again_belongs_to_who_added_it_last() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    world.run(|r| r.add_association(wallet(2).identifier(), &owner)).unwrap();
    world.run(|r| r.add_association(installation(1).id(), wallet(2).identifier())).unwrap();
    let state = world.run(|r| r.revoke(&owner, owner.clone())).unwrap();
    assert!(state.has_installation(&installation(1).id()));
    let state = world.run(|r| r.revoke(wallet(2).identifier(), owner)).unwrap();
    assert!(!state.has_installation(&installation(1).id()));
}

#[test]
fn listing_is_by_time_with_the_creator_last() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    world.run(|r| r.add_association(installation(3).id(), &owner)).unwrap();
    let state = world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    let order: Vec<_> = state.installations().collect();
    assert_eq!(order, [installation(1).id(), installation(3).id(), installation(2).id()]);
    assert_eq!(state.members().last().unwrap().identifier, owner.into());
}

#[test]
fn differences_name_who_came_and_went_but_not_who_was_added_again() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let before = world.state.clone().unwrap();
    world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    world.run(|r| r.revoke(installation(1).id(), owner.clone())).unwrap();
    let after = world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    let diff = AssociationState::diff(Some(&before), &after);
    assert_eq!(diff.new_members, [MemberIdentifier::from(installation(2).id())]);
    assert_eq!(diff.removed_members, [MemberIdentifier::from(installation(1).id())]);
    assert_eq!(AssociationState::diff(None, &before).new_members.len(), 2);
    assert_eq!(AssociationState::diff(Some(&after), &after), Default::default());
}

#[test]
fn an_upper_case_inbox_id_is_another_inbox() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let update = sign(world.request(|r| r.change_recovery(wallet(2).identifier(), owner)));
    let other = IdentityUpdate::new(update.inbox_id_text().to_uppercase(), update.client_timestamp_ns(), Vec::new());
    let verified = other.verify(&ChainVerdicts::none()).unwrap();
    let refused = AssociationState::apply(world.state.as_ref(), &verified);
    assert_eq!(refused, Err(AssociationError::WrongInboxId));
}

/// Signs as contract wallet on a chain, whatever the text.
fn on_chain(chain_id: u64, address: &str, bytes: u8) -> UnverifiedSignature {
    UnverifiedSignature::contract_wallet(chain_id, address, vec![bytes], Some(7)).unwrap()
}

/// Verifies an update with verifiers that accept everything, and applies it.
fn apply(
    before: Option<&AssociationState>,
    inbox: InboxId,
    second: u64,
    actions: Vec<IdentityAction>,
) -> Result<AssociationState, AssociationError> {
    let update = IdentityUpdate::new(inbox.to_hex(), second * 1_000_000_000, actions);
    let update = update.verify(&verdicts_for(&update, Verdict::Valid)).unwrap();
    AssociationState::apply(before, &update)
}

#[test]
fn an_installation_adds_identifiers_but_no_installation() {
    let mut world = World::registered();
    world.run(|r| r.add_association(wallet(2).identifier(), installation(1).id())).unwrap();
    let refused = world.run(|r| r.add_association(installation(2).id(), installation(1).id()));
    assert_eq!(refused, Err(AssociationError::MemberNotAllowed));
}

#[test]
fn the_new_members_signature_cannot_be_used_again_either() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    world.run(|r| r.add_association(wallet(2).identifier(), &owner)).unwrap();
    let now = UnixNanos::from_nanos(9_000_000_000);
    let mut add = |existing: Identifier| {
        // Who adds is not in the text, so the new member's signature is the same both times.
        let request =
            SignatureRequest::builder(world.inbox, now).add_association(installation(2).id(), existing).request();
        let update = sign(request).verify(&ChainVerdicts::none()).unwrap();
        let state = AssociationState::apply(world.state.as_ref(), &update)?;
        world.state = Some(state);
        Ok(())
    };
    assert_eq!(add(owner), Ok(()));
    assert_eq!(add(wallet(2).identifier()), Err(AssociationError::Replay));
}

#[test]
fn a_member_adds_others_from_its_own_chain_only() {
    let world = World::registered();
    let text_of = |actions: &[IdentityAction]| {
        IdentityUpdate::new(world.inbox.to_hex(), 5_000_000_000, actions.to_vec()).signature_text()
    };
    let mut action = IdentityAction::AddAssociation {
        new_member: installation(2).id().into(),
        existing_member_signature: on_chain(1, &world.owner.text(), 1),
        new_member_signature: UnverifiedSignature::Erc191(Vec::new()),
    };
    let text = text_of(std::slice::from_ref(&action));
    if let IdentityAction::AddAssociation { new_member_signature, .. } = &mut action {
        *new_member_signature = UnverifiedSignature::by_installation(&installation(2), &text);
    }
    let refused = apply(world.state.as_ref(), world.inbox, 5, vec![action]);
    assert_eq!(refused, Err(AssociationError::ChainIdMismatch { member: None, signature: Some(1) }));
}

#[test]
fn a_replay_is_named_before_another_chain() {
    let owner = wallet(1);
    let inbox = inbox_id(&owner.identifier(), 1).unwrap();
    let revoke = |second, state: &AssociationState| {
        let signature = on_chain(1, &owner.address(), 2);
        let member = installation(9).id().into();
        apply(Some(state), inbox, second, vec![IdentityAction::RevokeAssociation { member, signature }])
    };
    let create = IdentityAction::CreateInbox {
        identifier: owner.identifier(),
        nonce: 1,
        signature: on_chain(1, &owner.address(), 1),
    };
    let add_second = IdentityAction::AddAssociation {
        new_member: wallet(2).identifier().into(),
        existing_member_signature: on_chain(1, &owner.address(), 1),
        new_member_signature: on_chain(1, &wallet(2).address(), 3),
    };
    let move_owner = IdentityAction::AddAssociation {
        new_member: owner.identifier().into(),
        existing_member_signature: on_chain(1, &wallet(2).address(), 4),
        new_member_signature: on_chain(5, &owner.address(), 5),
    };
    let state = apply(None, inbox, 1, vec![create, add_second]).unwrap();
    let state = revoke(2, &state).unwrap();
    let state = apply(Some(&state), inbox, 3, vec![move_owner]).unwrap();
    assert_eq!(state.member(&owner.identifier().into()).unwrap().added_on_chain_id, Some(5));
    assert_eq!(revoke(2, &state), Err(AssociationError::Replay));
}

#[test]
fn adding_oneself_is_named_before_the_misuse_of_a_legacy_key() {
    Family::load("identity/legacy_delegated")
        .each(|_, file| {
            let Some(case) = list(&file["cases"]).first() else { return 0 };
            let wallet_signature = bytes(&case["wallet_signature"]);
            let legacy_key = secret(&case["legacy_private_key"]);
            let inbox = inbox_id(&Identifier::Ethereum(text(&case["wallet"]).into()), 1).unwrap();
            let legacy = |text: &str| {
                UnverifiedSignature::LegacyDelegated(Box::new(LegacyDelegatedSignature {
                    key_bytes: bytes(&case["key_bytes"]),
                    wallet_signature: Some(LegacyWalletSignature::WalletEcdsaCompact {
                        bytes: wallet_signature[..64].to_vec(),
                        recovery: wallet_signature[64].into(),
                    }),
                    signature: legacy_key.sign(text).to_vec(),
                }))
            };
            let owner = Identifier::Ethereum(text(&case["wallet"]).to_owned());
            let create = IdentityAction::CreateInbox {
                identifier: owner.clone(),
                nonce: 1,
                signature: on_chain(1, &owner.text(), 1),
            };
            let state = apply(None, inbox, 1, vec![create]).unwrap();
            let add = |signature: UnverifiedSignature| IdentityAction::AddAssociation {
                new_member: owner.clone().into(),
                existing_member_signature: signature.clone(),
                new_member_signature: signature,
            };
            let unsigned = add(UnverifiedSignature::Erc191(Vec::new()));
            let signed_text = IdentityUpdate::new(inbox.to_hex(), 2_000_000_000, vec![unsigned]).signature_text();
            let refused = apply(Some(&state), inbox, 2, vec![add(legacy(&signed_text))]);
            assert_eq!(refused, Err(AssociationError::AddSelf));
            1
        })
        .finish();
}

fn secret(value: &serde_json::Value) -> WalletKey {
    WalletKey::from_bytes(&bytes(value).try_into().unwrap()).unwrap()
}
