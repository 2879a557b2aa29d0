//! Building updates.

use subrosa_identity::{
    AccountIdError, AssociationState, ChainVerdicts, Identifier, IdentityAction, IdentityUpdate, SignatureKind,
    SignatureRequest, SignatureRequestError, UnverifiedSignature, Verdict, VerifyError, WalletKey, inbox_id,
};
use subrosa_types::UnixNanos;

use crate::{
    signers::{LegacyKey, PasskeyKey},
    world::{World, installation, sign, wallet},
};

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
fn an_update_with_a_missing_signer_is_not_built_and_nothing_is_lost() {
    let mut world = World::empty();
    let owner = world.owner.clone();
    let mut request = world.request(|r| r.create_inbox(owner.clone(), 1).add_association(installation(1).id(), &owner));
    request.sign_with_installation(&installation(1)).unwrap();
    let unbuilt = request.build().unwrap_err();
    assert_eq!(unbuilt, SignatureRequestError::MissingSigner { signers: vec![owner.into()] });
    assert_eq!(unbuilt.label(), "SignatureRequestError::MissingSigner");

    let signature = wallet(1).sign(request.text());
    request.add_wallet_signature(&signature).unwrap();
    assert!(request.build().unwrap().verify(&ChainVerdicts::none()).is_ok());
}

#[test]
fn the_text_is_that_of_the_update_and_shows_every_action() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let request = world.request(|r| {
        r.add_association(wallet(2).identifier(), installation(1).id())
            .revoke(installation(1).id(), owner.clone())
            .change_recovery(wallet(2).identifier(), owner.clone())
    });
    let text = request.text().to_owned();
    let want = format!(
        "XMTP : Authenticate to inbox\n\nInbox ID: {}\nCurrent time: 1970-01-01T00:16:42Z\n\n- Link address to \
         inbox\n  (Address: {})\n- Revoke messaging access from app\n  (ID: {})\n- Change inbox recovery address\n  \
         (Address: {})\n\nFor more info: https://xmtp.org/signatures",
        world.inbox.to_hex(),
        wallet(2).address(),
        installation(1).id().to_hex(),
        wallet(2).address(),
    );
    assert_eq!(text, want);
    assert_eq!(sign(request).signature_text(), text);
}

#[test]
fn signatures_of_every_kind_are_taken_in_every_order() {
    let owner = wallet(1).identifier();
    let (passkey, contract) = (PasskeyKey::new(3), wallet(4));
    let inbox = inbox_id(&owner, 0).unwrap();
    let request = SignatureRequest::builder(inbox, UnixNanos::EPOCH)
        .create_inbox(owner.clone(), 0)
        .add_association(installation(1).id(), &owner)
        .add_association(passkey.identifier(), &owner)
        .add_association(contract.identifier(), passkey.identifier())
        .request();
    let text = request.text().to_owned();
    let signatures = [
        LegacyKey::new(&wallet(1), 9).sign()(&text),
        UnverifiedSignature::by_installation(&installation(1), &text),
        passkey.sign()(&text),
        UnverifiedSignature::contract_wallet(10, &contract.address(), vec![0xc0], Some(7)).unwrap(),
    ];
    let verdicts: ChainVerdicts =
        signatures.iter().filter_map(|s| request.chain_check(s)).map(|check| (check, Verdict::Valid)).collect();
    let mut built = Vec::new();
    for order in permutations(signatures.len()) {
        let mut request = request.clone();
        for (count, index) in order.into_iter().enumerate() {
            assert_eq!(request.missing_signers().len(), signatures.len() - count);
            assert!(request.build().is_err());
            request.add_signature(signatures[index].clone(), &verdicts).unwrap();
            let again = request.add_signature(signatures[index].clone(), &verdicts).unwrap_err();
            assert_eq!(again.label(), "SignatureRequestError::UnknownSigner");
        }
        assert!(request.is_complete());
        built.push(request.build().unwrap());
    }
    built.dedup();
    let [update] = &built[..] else { panic!("the order is seen in the update") };
    let verified = update.verify(&verdicts).unwrap();
    assert_eq!(AssociationState::apply(None, &verified).unwrap().members().len(), 4);
}

/// All orders of the numbers below `count`.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |orders, new| {
        let insert =
            |order: Vec<usize>| (0..=order.len()).map(move |place| [&order[..place], &[new], &order[place..]].concat());
        orders.into_iter().flat_map(insert).collect()
    })
}

#[test]
fn a_signature_of_the_same_signer_in_another_way_is_a_second_one() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let mut request = world.request(|r| r.revoke(installation(1).id(), owner));
    let contract = UnverifiedSignature::contract_wallet(1, &wallet(1).address(), vec![1], Some(7)).unwrap();
    let verdicts = ChainVerdicts::from_iter([(request.chain_check(&contract).unwrap(), Verdict::Valid)]);
    let signature = wallet(1).sign(request.text());
    request.add_wallet_signature(&signature).unwrap();
    let second = request.add_signature(contract, &verdicts);
    assert_eq!(second, Err(SignatureRequestError::UnknownSigner { signer: wallet(1).identifier().into() }));
    assert_eq!(request.build().unwrap().chain_checks(), []);
}

#[test]
fn a_verdict_against_the_signature_adds_nothing() {
    let mut world = World::empty();
    let owner = world.owner.clone();
    let mut request = world.request(|r| r.create_inbox(owner.clone(), 1));
    let signature = UnverifiedSignature::contract_wallet(1, &owner.text(), vec![1], None).unwrap();
    let mut verdicts = ChainVerdicts::none();
    verdicts.insert_at_block(request.chain_check(&signature).unwrap(), Verdict::Invalid, Some(7));
    let refused = request.add_signature(signature, &verdicts).unwrap_err();
    assert_eq!(refused, SignatureRequestError::Verify(VerifyError::ContractWalletRejected));
    assert_eq!(refused.label(), "SignatureError::Invalid");
    assert_eq!(request.missing_signers(), [owner.into()]);
}

#[test]
fn a_passkey_is_no_contract_wallet() {
    let passkey = PasskeyKey::new(1).identifier().text();
    let refused = UnverifiedSignature::contract_wallet(1, &passkey, vec![1], Some(7));
    assert_eq!(refused, Err(AccountIdError::Address));
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
    assert_eq!(no_block.unwrap_err().label(), "SignatureRequestError::BlockNumber");
    assert!(!request.is_complete());
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
        assert!(request.is_complete());
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
