//! Coming into being: registration, its interruptions, further installations, changes of the inbox.

use std::{path::Path, sync::Arc};

use subrosa::{
    Client, ClientBuilder, DatabaseKey, Encryption, InboxId, Location, Network, OpenError, Opening, Reassign,
    RegisterError, WalletKey,
};
use subrosa_testkit::{Fault, Faults, FaultyNetwork, World};

fn wallet(number: u8) -> WalletKey {
    WalletKey::from_bytes(&[number; 32]).unwrap()
}

fn faults(world: &World) -> Arc<FaultyNetwork> {
    Arc::new(Faults::over(Arc::clone(&world.node) as Arc<dyn Network>))
}

fn builder(network: &Arc<FaultyNetwork>, file: &Path) -> ClientBuilder {
    let key = DatabaseKey::from_bytes([7; 32]);
    let location = Location::File(file.to_path_buf());
    Client::builder(Arc::clone(network) as Arc<dyn Network>, location, Encryption::Key(key)).workers(false)
}

fn in_memory(world: &World) -> ClientBuilder {
    let network = Arc::clone(&world.node) as Arc<dyn Network>;
    Client::builder(network, Location::Memory, Encryption::None).workers(false)
}

async fn ready(builder: ClientBuilder) -> Client {
    match builder.open().await.unwrap() {
        Opening::Ready(client) => client,
        Opening::New(_) => panic!("the database has an identity"),
    }
}

async fn installations(client: &Client) -> usize {
    client.fresh_inbox_state().await.unwrap().installations().count()
}

#[tokio::test]
async fn a_registration_interrupted_anywhere_is_finished_with_the_same_bytes() {
    let interruptions: [fn(&Faults); 6] = [
        |faults| faults.fail_uploads(Fault::BeforeSending, 1),
        |faults| faults.fail_uploads(Fault::ReplyLost, 1),
        |faults| faults.fail_publications(Fault::BeforeSending, 1),
        |faults| faults.fail_publications(Fault::ReplyLost, 1),
        |faults| faults.fail_identity(1),
        |faults| faults.fail_identity(0),
    ];
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    for (number, interrupt) in (1..).zip(interruptions) {
        let (network, wallet) = (faults(&world), wallet(number));
        let file = folder.path().join(number.to_string());
        interrupt(&network);
        let opened = builder(&network, &file).open_with(&wallet).await;
        let interrupted = opened.is_err();
        assert_eq!(interrupted, number < 6, "interruption {number}");
        assert!(opened.err().is_none_or(|error| error.is_retryable()), "interruption {number}");
        network.heal();
        // Nobody signs a second time.
        let client = ready(builder(&network, &file)).await;
        assert_eq!(installations(&client).await, 1, "interruption {number}");
        assert!(client.can_message(&[wallet.identifier()]).await.unwrap()[&wallet.identifier()]);
        let packages = network.fetch_key_packages(&[client.installation_id()]).await.unwrap();
        assert!(packages[0].is_some(), "interruption {number}");
    }
}

#[tokio::test]
async fn a_refused_registration_is_dropped_and_begun_anew() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let (network, file) = (faults(&world), folder.path().join("db"));
    network.fail_publications(Fault::Refused, 1);
    let refused = builder(&network, &file).open_with(&wallet(1)).await;
    assert!(matches!(refused, Err(OpenError::Register(RegisterError::Refused(_)))), "{refused:?}");
    let opening = builder(&network, &file).identifier(wallet(1).identifier()).open().await.unwrap();
    assert!(matches!(opening, Opening::New(_)));
    drop(opening);
    let client = builder(&network, &file).open_with(&wallet(1)).await.unwrap();
    assert_eq!(installations(&client).await, 1);
}

#[tokio::test]
async fn a_key_package_that_the_node_refuses_is_replaced() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let (network, file) = (faults(&world), folder.path().join("db"));
    network.fail_uploads(Fault::Refused, 1);
    let client = builder(&network, &file).open_with(&wallet(1)).await.unwrap();
    assert_eq!(installations(&client).await, 1);
}

#[tokio::test]
async fn a_registered_installation_opens_without_network_and_signer() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let (network, file) = (faults(&world), folder.path().join("db"));
    let client = builder(&network, &file).open_with(&wallet(1)).await.unwrap();
    let (inbox, installation) = (client.inbox_id(), client.installation_id());
    client.close().await;
    let before = network.calls();
    let client = ready(builder(&network, &file).inbox(inbox)).await;
    assert_eq!((client.inbox_id(), client.installation_id()), (inbox, installation));
    assert_eq!(client.inbox_state().await.unwrap().inbox_id(), inbox);
    assert_eq!(network.calls(), before, "the network was not asked");

    let other = InboxId::from_bytes([9; 32]);
    let refused = builder(&network, &file).inbox(other).open().await;
    assert!(matches!(refused, Err(OpenError::InboxIdMismatch { asked, found }) if asked == other && found == inbox));
}

#[tokio::test]
async fn an_empty_database_needs_an_identifier() {
    let refused = in_memory(&World::new()).open().await;
    assert!(matches!(refused, Err(OpenError::NoIdentity)), "{refused:?}");
}

#[tokio::test]
async fn the_inbox_of_an_identifier_is_found_whatever_its_nonce() {
    let world = World::new();
    let first = in_memory(&world).nonce(7).open_with(&wallet(1)).await.unwrap();
    let second = in_memory(&world).open_with(&wallet(1)).await.unwrap();
    assert_eq!(first.inbox_id(), second.inbox_id());
    assert_ne!(first.installation_id(), second.installation_id());
    let refused = in_memory(&world).inbox(InboxId::from_bytes([1; 32])).open_with(&wallet(1)).await;
    assert!(matches!(refused, Err(OpenError::InboxIdMismatch { .. })));
    assert_eq!(first.inbox_id_of(&wallet(1).identifier()).await.unwrap(), Some(first.inbox_id()));
    assert_eq!(first.inbox_id_of(&wallet(2).identifier()).await.unwrap(), None);
}

#[tokio::test]
async fn an_eleventh_installation_is_refused_until_one_is_revoked() {
    let world = World::new();
    let first = in_memory(&world).open_with(&wallet(1)).await.unwrap();
    for _ in 1..10 {
        in_memory(&world).open_with(&wallet(1)).await.unwrap();
    }
    let refused = in_memory(&world).open_with(&wallet(1)).await;
    assert!(matches!(refused, Err(OpenError::TooManyInstallations { count: 10, .. })), "{refused:?}");
    let mut change = first.revoke_all_other_installations().await.unwrap().unwrap();
    let signature = wallet(1).sign(change.text());
    change.add_wallet_signature(&signature).unwrap();
    change.apply().await.unwrap();
    assert_eq!(installations(&first).await, 1);
    assert!(first.revoke_all_other_installations().await.unwrap().is_none());
    in_memory(&world).open_with(&wallet(1)).await.unwrap();
    assert_eq!(installations(&first).await, 2);
}

#[tokio::test]
async fn identifiers_come_and_go() {
    let world = World::new();
    let client = in_memory(&world).open_with(&wallet(1)).await.unwrap();
    let second = wallet(2);
    let mut change = client.add_identifier(second.identifier(), Reassign::Refuse).await.unwrap();
    assert!(matches!(change.add_wallet_signature(&wallet(3).sign(change.text())), Err(RegisterError::Request(_))));
    change.add_wallet_signature(&second.sign(change.text())).unwrap();
    change.apply().await.unwrap();
    let of_second = in_memory(&world).open_with(&second).await.unwrap();
    assert_eq!(of_second.inbox_id(), client.inbox_id());

    in_memory(&world).open_with(&wallet(4)).await.unwrap();
    let taken = client.add_identifier(wallet(4).identifier(), Reassign::Refuse).await;
    assert!(matches!(taken, Err(RegisterError::AlreadyAssociated { .. })));

    let mut change = client.remove_identifiers(&[second.identifier()]).await.unwrap();
    assert!(matches!(change.add_wallet_signature(&second.sign(change.text())), Err(RegisterError::Request(_))));
    change.add_wallet_signature(&wallet(1).sign(change.text())).unwrap();
    change.apply().await.unwrap();
    assert_eq!(client.inbox_state().await.unwrap().identifiers(), [wallet(1).identifier()]);

    let mut change = client.change_recovery(wallet(5).identifier()).await.unwrap();
    change.add_wallet_signature(&wallet(1).sign(change.text())).unwrap();
    change.apply().await.unwrap();
    assert_eq!(client.inbox_state().await.unwrap().recovery_identifier(), &wallet(5).identifier());
}

#[tokio::test]
async fn a_signed_change_survives_the_network_and_happens_once() {
    let world = World::new();
    let network = faults(&world);
    let client = Client::builder(network.clone(), Location::Memory, Encryption::None);
    let client = client.workers(false).open_with(&wallet(1)).await.unwrap();
    let mut change = client.add_identifier(wallet(2).identifier(), Reassign::Refuse).await.unwrap();
    change.add_wallet_signature(&wallet(2).sign(change.text())).unwrap();
    for fault in [Fault::BeforeSending, Fault::ReplyLost] {
        network.fail_publications(fault, 1);
        assert!(change.apply().await.unwrap_err().is_retryable(), "{fault:?}");
    }
    change.apply().await.unwrap();
    assert_eq!(client.identity_updates().await.unwrap(), 2);
    assert!(client.inbox_state().await.unwrap().identifiers().contains(&wallet(2).identifier()));
}

#[tokio::test]
async fn an_unsigned_change_is_not_published() {
    let world = World::new();
    let client = in_memory(&world).open_with(&wallet(1)).await.unwrap();
    let change = client.add_identifier(wallet(2).identifier(), Reassign::Refuse).await.unwrap();
    assert!(matches!(change.apply().await, Err(RegisterError::Request(_))));
    assert_eq!(client.identity_updates().await.unwrap(), 1);
}

#[tokio::test]
async fn a_signed_text_can_be_verified_by_anybody() {
    let world = World::new();
    let client = in_memory(&world).open_with(&wallet(1)).await.unwrap();
    let signature = client.sign_text("sub rosa");
    assert!(subrosa::verify_text("sub rosa", &signature, &client.installation_id()).is_ok());
    assert!(subrosa::verify_text("sub rosae", &signature, &client.installation_id()).is_err());
}
