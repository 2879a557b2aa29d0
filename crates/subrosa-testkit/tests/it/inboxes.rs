//! Questions about inboxes: with a client and without one, about ourselves and others.

use std::sync::Arc;

use subrosa::{
    ChangeError, Client, Clock as _, Encryption, GroupOptions, Identifier, InboxId, Inboxes, KeyPackageStatus,
    Location, LookupError, Network, OpenError, Opening, Reassign, RegisterError, SignatureKind, SystemClock,
    UnverifiedSignature, WalletKey,
};
use subrosa_group::NewKeyPackage;
use subrosa_identity::{InstallationKey, SignatureRequest, inbox_id};
use subrosa_testkit::World;

fn wallet(number: u8) -> WalletKey {
    WalletKey::from_bytes(&[number; 32]).unwrap()
}

fn network(world: &World) -> Arc<dyn Network> {
    Arc::clone(&world.node) as Arc<dyn Network>
}

fn builder(world: &World) -> subrosa::ClientBuilder {
    Client::builder(network(world), Location::Memory, Encryption::None).workers(false)
}

async fn client(world: &World, number: u8) -> Client {
    builder(world).open_with(&wallet(number)).await.unwrap()
}

/// An address as people paste it, with capital letters.
fn mixed_case(wallet: &WalletKey) -> Identifier {
    Identifier::Ethereum(format!("0x{}", wallet.address()[2..].to_uppercase()))
}

#[tokio::test]
async fn membership_can_be_asked_without_a_client() {
    let world = World::new();
    let (alice, bob) = (client(&world, 1).await, client(&world, 2).await);
    let inboxes = Inboxes::of(network(&world));
    let of_alice = |member: subrosa::MemberIdentifier| inboxes.is_member(alice.inbox_id(), member);
    assert!(of_alice(wallet(1).identifier().into()).await.unwrap());
    assert!(of_alice(mixed_case(&wallet(1)).into()).await.unwrap());
    assert!(!of_alice(wallet(2).identifier().into()).await.unwrap());
    assert!(of_alice(alice.installation_id().into()).await.unwrap());
    assert!(!of_alice(bob.installation_id().into()).await.unwrap());
    let nobody = inboxes.is_member(InboxId::from_bytes([9; 32]), wallet(1).identifier()).await;
    assert!(matches!(nobody, Err(LookupError::UnknownInbox(_))), "an inbox without a log is an error, not no");

    let asked = [alice.inbox_id(), bob.inbox_id()];
    let states = inboxes.states(&asked).await.unwrap();
    assert_eq!(states, alice.fresh_inbox_states(&asked).await.unwrap());
    assert_eq!(states, bob.inbox_states(&asked).await.unwrap());
    for kind in [inboxes.creation_kind(asked[1]).await, alice.creation_kind(asked[1]).await] {
        assert_eq!(kind.unwrap(), SignatureKind::Erc191);
    }
    assert!(matches!(inboxes.creation_kind(InboxId::from_bytes([9; 32])).await, Err(LookupError::UnknownInbox(_))));
}

#[tokio::test]
async fn identifiers_are_taken_as_people_write_them() {
    let world = World::new();
    let opening = builder(&world).identifier(mixed_case(&wallet(1))).open().await.unwrap();
    let Opening::New(mut registration) = opening else { panic!("it is new") };
    registration.add_wallet_signature(&wallet(1).sign(registration.text())).unwrap();
    let alice = registration.finish().await.unwrap();
    let found = alice.can_message(&[mixed_case(&wallet(1)), mixed_case(&wallet(2))]).await.unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>().len(), 2);
    assert_eq!(alice.inbox_id_of(&mixed_case(&wallet(1))).await.unwrap(), Some(alice.inbox_id()));

    let mut change = alice.add_identifier(mixed_case(&wallet(2)), Reassign::Refuse).await.unwrap();
    change.add_wallet_signature(&wallet(2).sign(change.text())).unwrap();
    change.apply().await.unwrap();
    let mut change = alice.change_recovery(mixed_case(&wallet(3))).await.unwrap();
    change.add_wallet_signature(&wallet(1).sign(change.text())).unwrap();
    change.apply().await.unwrap();
    let mut change = alice.remove_identifiers(&[mixed_case(&wallet(2))]).await.unwrap();
    change.add_wallet_signature(&wallet(3).sign(change.text())).unwrap();
    change.apply().await.unwrap();
    assert_eq!(alice.inbox_state().await.unwrap().identifiers(), [wallet(1).identifier()]);

    let wrong = [Identifier::Ethereum("0x12".to_owned()), wallet(1).identifier(), Identifier::Ethereum(" ".to_owned())];
    let refused = alice.can_message(&wrong).await;
    let Err(LookupError::Identifier(subrosa::IdentifierError::AddressInvalid { addresses })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(addresses, ["0x12", " "]);
    let refused = builder(&world).identifier(wrong[0].clone()).open().await;
    assert!(matches!(refused, Err(OpenError::NotAnIdentifier(_))));
}

#[tokio::test]
async fn an_identifier_leaves_its_inbox_only_if_that_was_said() {
    let world = World::new();
    let (alice, bob) = (client(&world, 1).await, client(&world, 2).await);
    let taken = alice.add_identifier(wallet(2).identifier(), Reassign::Refuse).await;
    assert!(matches!(taken, Err(RegisterError::AlreadyAssociated { inbox }) if inbox == bob.inbox_id()));
    let mut change = alice.add_identifier(wallet(2).identifier(), Reassign::Allow).await.unwrap();
    change.add_wallet_signature(&wallet(2).sign(change.text())).unwrap();
    change.apply().await.unwrap();
    assert_eq!(bob.inbox_id_of(&wallet(2).identifier()).await.unwrap(), Some(alice.inbox_id()));
}

#[tokio::test]
async fn installations_are_revoked_without_a_client() {
    let world = World::new();
    let (first, second, third) = (client(&world, 1).await, client(&world, 1).await, client(&world, 1).await);
    let inboxes = Inboxes::of(network(&world));
    let gone = [second.installation_id(), third.installation_id()];
    let revoke = || inboxes.revoke_installations(first.inbox_id(), &mixed_case(&wallet(1)), &gone).unwrap();
    assert!(matches!(revoke().apply().await, Err(RegisterError::Request(_))), "nobody signed");
    let mut change = revoke();
    assert_eq!(change.inbox_id(), first.inbox_id());
    assert_eq!(change.missing_signers(), [wallet(1).identifier().into()]);
    assert!(matches!(change.add_wallet_signature(&wallet(2).sign(change.text())), Err(RegisterError::Request(_))));
    let signature = UnverifiedSignature::Erc191(wallet(1).sign(change.text()).to_vec());
    change.add_signature(signature).await.unwrap();
    change.apply().await.unwrap();
    let state = first.fresh_inbox_state().await.unwrap();
    assert_eq!(state.installations().collect::<Vec<_>>(), [first.installation_id()]);

    // Nothing is fetched: what is wrong about the inbox the node says.
    let mut change = inboxes.revoke_installations(first.inbox_id(), &wallet(2).identifier(), &gone).unwrap();
    change.add_wallet_signature(&wallet(2).sign(change.text())).unwrap();
    assert!(matches!(change.apply().await, Err(RegisterError::Refused(_))));
}

#[tokio::test]
async fn key_packages_are_judged_before_anybody_is_added() {
    let world = World::new();
    let (alice, bob) = (client(&world, 1).await, client(&world, 2).await);
    let nobody = InstallationKey::from_seed([9; 32]).id();
    let asked = [bob.installation_id(), alice.installation_id(), nobody];
    let with = alice.key_package_statuses(bob.inbox_id(), &asked).await.unwrap();
    let without = Inboxes::of(network(&world)).key_package_statuses(bob.inbox_id(), &asked).await.unwrap();
    assert_eq!(with, without);
    assert!(with[&bob.installation_id()].is_valid());
    assert_eq!(with[&nobody], KeyPackageStatus::Missing);
    let owner = KeyPackageStatus::WrongOwner { installation: alice.installation_id(), inbox: alice.inbox_id() };
    assert_eq!(with[&alice.installation_id()], owner);
}

/// An installation whose key package names somebody else's inbox is not added in that name, nor in its own.
#[tokio::test]
async fn a_key_package_in_the_name_of_another_inbox_is_left_out() {
    let world = World::new();
    let (alice, victim) = (client(&world, 1).await, client(&world, 2).await);
    let (key, owner) = (InstallationKey::from_seed([0x66; 32]), wallet(6));
    let inbox = inbox_id(&owner.identifier(), 1).unwrap();
    let now = SystemClock.now();
    let mut request = SignatureRequest::builder(inbox, now)
        .create_inbox(owner.identifier(), 1)
        .add_association(key.id(), owner.identifier())
        .request();
    request.add_wallet_signature(&owner.sign(request.text())).unwrap();
    request.sign_with_installation(&key).unwrap();
    world.node.publish_identity_update(request.build().unwrap()).await.unwrap();
    let package = NewKeyPackage::create(&victim.inbox_id(), &key, now, &subrosa::Randomness::os()).unwrap();
    world.node.upload_key_package(package.bytes).await.unwrap();

    let statuses = alice.key_package_statuses(inbox, &[key.id()]).await.unwrap();
    let wrong = KeyPackageStatus::WrongOwner { installation: key.id(), inbox: victim.inbox_id() };
    assert_eq!(statuses[&key.id()], wrong);
    let conversations = alice.conversations();
    let refused = conversations.create_group(&[inbox], GroupOptions::default()).await;
    assert!(matches!(refused, Err(ChangeError::NoUsableKeyPackage)), "{refused:?}");
    let group = conversations.create_group(&[inbox, victim.inbox_id()], GroupOptions::default()).await.unwrap();
    assert!(group.is_active().unwrap());
    victim.conversations().sync().await.unwrap();
    assert!(victim.conversations().get(group.id()).unwrap().is_some(), "who is what it says is added all the same");
}

#[tokio::test]
async fn updates_are_counted_to_warn_before_the_log_is_full() {
    let world = World::new();
    let (alice, bob) = (client(&world, 1).await, client(&world, 2).await);
    client(&world, 1).await;
    let asked = [alice.inbox_id(), bob.inbox_id(), InboxId::from_bytes([9; 32])];
    let counts = bob.fresh_identity_updates(&asked).await.unwrap();
    assert_eq!(asked.map(|inbox| counts[&inbox]), [2, 1, 0]);
    assert!(counts.values().all(|count| *count < subrosa::MAX_IDENTITY_UPDATES));
    assert_eq!(alice.identity_updates().await.unwrap(), 1, "what is known here");
}

#[tokio::test]
async fn a_second_inbox_of_an_identifier_takes_its_place() {
    let world = World::new();
    let old = client(&world, 1).await;
    let new = builder(&world).new_inbox(2).open_with(&wallet(1)).await.unwrap();
    assert_ne!(new.inbox_id(), old.inbox_id());
    assert_eq!(old.inbox_id_of(&wallet(1).identifier()).await.unwrap(), Some(new.inbox_id()));
    assert_eq!(client(&world, 1).await.inbox_id(), new.inbox_id(), "from now on it is this one");
    for nonce in [1, 2] {
        let again = builder(&world).new_inbox(nonce).open_with(&wallet(1)).await;
        assert!(matches!(again, Err(OpenError::InboxExists { .. })), "{again:?}");
    }
    assert_eq!(old.fresh_inbox_state().await.unwrap().identifiers(), [wallet(1).identifier()], "the old one stays");
}
