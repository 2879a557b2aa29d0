//! Building updates.

use subrosa_identity::{
    AssociationState, ChainVerdicts, Identifier, IdentityAction, IdentityUpdate, SignatureKind, SignatureRequestError,
    UnverifiedSignature, Verdict, VerifyError, WalletKey,
};

use crate::world::{World, installation, sign, wallet};

#[test]
fn signatures_come_in_any_order_and_one_fills_every_slot_of_its_signer() {
    let mut world = World::empty();
    let owner = world.owner.clone();
    let mut request = world.request(|r| r.create_inbox(owner.clone(), 1).add_association(installation(1).id(), &owner));
    assert_eq!(request.missing_signers().len(), 2);
    request.sign_with_installation(&installation(1)).unwrap();
    assert_eq!(request.missing_signers(), [owner.into()]);
    assert!(!request.is_complete());
    let signature = wallet(1).sign(request.text());
    request.add_wallet_signature(&signature).unwrap();
    assert!(request.is_complete());
    let update = request.build().unwrap();
    let verified = update.verify(&ChainVerdicts::none()).unwrap();
    let state = AssociationState::apply(None, &verified).unwrap();
    assert!(state.has_installation(&installation(1).id()));
}

#[test]
fn an_update_with_a_missing_signer_is_not_built() {
    let mut world = World::empty();
    let owner = world.owner.clone();
    let mut request = world.request(|r| r.create_inbox(owner.clone(), 1).add_association(installation(1).id(), &owner));
    request.sign_with_installation(&installation(1)).unwrap();
    assert_eq!(request.build(), Err(SignatureRequestError::MissingSigner { signers: vec![owner.into()] }));
}

#[test]
fn strangers_and_second_signatures_are_refused() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let mut request = world.request(|r| r.revoke(installation(1).id(), owner));
    let stranger = request.add_wallet_signature(&wallet(2).sign(request.text()));
    assert_eq!(stranger, Err(SignatureRequestError::UnknownSigner { signer: wallet(2).identifier().into() }));
    let uninvited = request.sign_with_installation(&installation(1));
    assert!(matches!(uninvited, Err(SignatureRequestError::UnknownSigner { .. })));
    let signature = wallet(1).sign(request.text());
    request.add_wallet_signature(&signature).unwrap();
    let again = request.add_wallet_signature(&signature);
    assert!(matches!(again, Err(SignatureRequestError::UnknownSigner { .. })));
    assert_eq!(request.add_wallet_signature(&[0; 10]), Err(SignatureRequestError::Verify(VerifyError::EcdsaLength)));
}

#[test]
fn a_contract_wallet_signature_takes_its_block_from_the_verifier() {
    let mut world = World::empty();
    let owner = world.owner.clone();
    let mut request = world.request(|r| r.create_inbox(owner.clone(), 1));
    let signature = UnverifiedSignature::contract_wallet(8453, &owner.text(), vec![0xc0], None).unwrap();
    let check = request.chain_check(&signature).unwrap();
    let mut verdicts = ChainVerdicts::none();

    let unanswered = request.add_signature(signature.clone(), &verdicts).unwrap_err();
    assert!(unanswered.is_retryable());
    verdicts.insert(check.clone(), Verdict::Valid);
    let no_block = request.add_signature(signature.clone(), &verdicts);
    assert_eq!(no_block, Err(SignatureRequestError::BlockNumberUnknown));
    verdicts.insert_at_block(check, Verdict::Valid, Some(777));
    request.add_signature(signature, &verdicts).unwrap();

    let update = request.build().unwrap();
    assert_eq!(update.chain_checks()[0].block_number, Some(777));
    assert_eq!(update.chain_checks()[0].account_id.as_str(), format!("eip155:8453:{owner}"));
}

#[test]
fn a_built_update_survives_encoding() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let update = sign(world.request(|r| {
        r.add_association(wallet(2).identifier(), installation(1).id())
            .revoke(installation(1).id(), owner.clone())
            .change_recovery(wallet(2).identifier(), owner)
    }));
    assert_eq!(IdentityUpdate::from_bytes(&update.to_bytes()), Ok(update));
}

#[test]
fn addresses_are_lower_cased_so_that_no_inbox_is_locked() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let shouted = |wallet: &WalletKey| Identifier::Ethereum(format!("0x{}", wallet.address()[2..].to_uppercase()));
    world.run(|r| r.change_recovery(shouted(&wallet(2)), shouted(&wallet(1)))).unwrap();
    let state = world.run(|r| r.revoke(shouted(&wallet(1)), shouted(&wallet(2)))).unwrap();
    assert!(!state.has_member(&owner.into()));
    assert_eq!(*state.recovery_identifier(), wallet(2).identifier());
}

#[test]
fn a_recovery_address_that_cannot_sign_is_not_built() {
    let mut world = World::registered();
    for bad in [&wallet(2).address()[2..], "not-an-address"] {
        let owner = world.owner.clone();
        let mut request = world.request(|r| r.change_recovery(Identifier::Ethereum(bad.to_owned()), owner));
        request.add_wallet_signature(&wallet(1).sign(request.text())).unwrap();
        assert_eq!(request.build(), Err(SignatureRequestError::RecoveryAddressInvalid));
    }
}

#[test]
fn an_error_that_lasts_is_reported_before_a_chain_that_has_not_answered() {
    let mut world = World::empty();
    let owner = world.owner.clone();
    let mut request = world.request(|r| r.create_inbox(owner.clone(), 1).add_association(installation(1).id(), &owner));
    let signature = UnverifiedSignature::contract_wallet(1, &owner.text(), vec![1], Some(7)).unwrap();
    let check = request.chain_check(&signature).unwrap();
    request.add_signature(signature, &ChainVerdicts::from_iter([(check, Verdict::Valid)])).unwrap();
    request.sign_with_installation(&installation(1)).unwrap();
    let update = request.build().unwrap();
    assert_eq!(update.creation_signature_kind(), Some(SignatureKind::ContractWallet));
    assert_eq!(update.verify(&ChainVerdicts::none()), Err(VerifyError::ChainUnknown));

    let later = update.client_timestamp_ns() + 1_000_000_000;
    let other_text = IdentityUpdate::new(update.inbox_id_text().to_owned(), later, update.actions().to_vec());
    assert_eq!(other_text.verify(&ChainVerdicts::none()), Err(VerifyError::InstallationSignature));
}

#[test]
fn block_0_of_an_update_is_a_block() {
    let owner = wallet(1).identifier();
    let signature = UnverifiedSignature::contract_wallet(1, &owner.text(), vec![1], Some(0)).unwrap();
    let create = IdentityAction::CreateInbox { identifier: owner, nonce: 1, signature };
    let bytes = IdentityUpdate::new(String::new(), 0, vec![create]).to_bytes();
    let update = IdentityUpdate::from_bytes(&bytes).unwrap();
    assert_eq!(update.chain_checks()[0].block_number, Some(0));
}
