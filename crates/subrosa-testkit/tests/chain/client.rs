//! Inboxes of contract wallets: our client, our node, a real chain.

use std::sync::Arc;

use subrosa::{
    Client, Encryption, GroupOptions, Identifier, Inboxes, Location, LookupError, MemberIdentifier, MessageFilter,
    Network, Opening, RegisterError, Registration, SignatureKind, Unavailable, UnverifiedSignature, WalletKey,
};
use subrosa_chain::ChainVerifier;
use subrosa_identity::{SignatureRequestError, VerifyError};
use subrosa_node::{Node, NodeConfig};

use crate::{
    chain::{CHAIN, Chain, key, owned_wallet},
    relay::Relay,
};

/// A node that asks the chain behind this address.
fn node(config: NodeConfig, url: &str) -> Arc<Node> {
    let chains = ChainVerifier::builder().endpoint(CHAIN, url).unwrap().build();
    Arc::new(Node::open(NodeConfig { chains: Some(chains), ..config }).unwrap())
}

/// A new installation for the inbox of a wallet.
async fn registration(node: &Arc<Node>, wallet: &str) -> Registration {
    let network = Arc::clone(node) as Arc<dyn Network>;
    let opening = Client::builder(network, Location::Memory, Encryption::None)
        .workers(false)
        .identifier(Identifier::parse_ethereum(wallet).unwrap())
        .open()
        .await
        .unwrap();
    match opening {
        Opening::New(registration) => registration,
        Opening::Ready(client) => panic!("{:?} is registered already", client.inbox_id()),
    }
}

/// What the wallet's owner hands over for a text.
fn signature(owner: &WalletKey, wallet: &str, text: &str, block_number: Option<u64>) -> UnverifiedSignature {
    UnverifiedSignature::contract_wallet(CHAIN, wallet, owner.sign(text).to_vec(), block_number).unwrap()
}

/// Registers the wallet's inbox.
async fn registered(node: &Arc<Node>, owner: &WalletKey, wallet: &str) -> Client {
    let mut registration = registration(node, wallet).await;
    let signature = signature(owner, wallet, registration.text(), None);
    registration.add_signature(signature).await.unwrap();
    registration.finish().await.unwrap()
}

async fn somebody(node: &Arc<Node>, number: u8) -> Client {
    let network = Arc::clone(node) as Arc<dyn Network>;
    Client::builder(network, Location::Memory, Encryption::None).workers(false).open_with(&key(number)).await.unwrap()
}

#[tokio::test]
async fn an_inbox_of_a_contract_wallet_is_registered_and_seen_by_others() {
    let chain = Chain::running();
    let node = node(NodeConfig::in_memory(), chain.url());
    let owner = key(20);
    let wallet = owned_wallet(&chain, &owner).await;
    let client = registered(&node, &owner, &wallet).await;

    let other = somebody(&node, 21).await;
    let inbox = client.inbox_id();
    let states = other.fresh_inbox_states(&[inbox]).await.unwrap();
    let member = MemberIdentifier::from(Identifier::parse_ethereum(&wallet).unwrap());
    assert_eq!(states[&inbox].member(&member).unwrap().added_on_chain_id, Some(CHAIN));
    assert!(states[&inbox].has_installation(&client.installation_id()));
    assert_eq!(other.creation_kind(inbox).await.unwrap(), SignatureKind::ContractWallet);

    // And spoken with.
    let group = other.conversations().create_group(&[inbox], GroupOptions::default()).await.unwrap();
    group.send_text("to a contract").await.unwrap();
    client.conversations().sync().await.unwrap();
    let joined = client.conversations().get(group.id()).unwrap().unwrap();
    joined.sync().await.unwrap();
    assert!(joined.messages(MessageFilter::default()).await.unwrap().iter().any(|m| m.sender == other.inbox_id()));
}

#[tokio::test]
async fn a_wrong_signature_is_refused_and_the_right_one_taken_afterwards() {
    let chain = Chain::running();
    let node = node(NodeConfig::in_memory(), chain.url());
    let owner = key(22);
    let wallet = owned_wallet(&chain, &owner).await;
    let mut registration = registration(&node, &wallet).await;
    let text = registration.text().to_owned();
    let forged = signature(&key(23), &wallet, &text, None);
    let error = registration.add_signature(forged).await.unwrap_err();
    assert!(
        matches!(error, RegisterError::Request(SignatureRequestError::Verify(VerifyError::ContractWalletRejected))),
        "{error:?}"
    );
    assert!(!error.is_retryable());
    registration.add_signature(signature(&owner, &wallet, &text, None)).await.unwrap();
    registration.finish().await.unwrap();
}

#[tokio::test]
async fn a_chain_that_is_down_delays_a_registration_and_loses_nothing() {
    let chain = Chain::running();
    let relay = Relay::to(&chain).await;
    let node = node(NodeConfig::in_memory(), &relay.url);
    let owner = key(24);
    let wallet = owned_wallet(&chain, &owner).await;
    let mut registration = registration(&node, &wallet).await;
    let signature = signature(&owner, &wallet, registration.text(), None);
    relay.set(false);
    let error = registration.add_signature(signature.clone()).await.unwrap_err();
    assert!(matches!(error, RegisterError::Unavailable(Unavailable::Chain { .. })), "{error:?}");
    assert!(error.is_retryable());
    relay.set(true);
    registration.add_signature(signature).await.unwrap();
    registration.finish().await.unwrap();
}

#[tokio::test]
async fn an_inbox_is_not_judged_while_its_chain_is_down_and_then_judged_as_before() {
    let chain = Chain::running();
    let relay = Relay::to(&chain).await;
    let folder = tempfile::tempdir().unwrap();
    let owner = key(25);
    let wallet = owned_wallet(&chain, &owner).await;
    let inbox = {
        let node = node(NodeConfig::at(folder.path()), &relay.url);
        registered(&node, &owner, &wallet).await.inbox_id()
    };
    // Started again, the node remembers no answer of the chain.
    let node = node(NodeConfig::at(folder.path()), &relay.url);
    let inboxes = Inboxes::of(Arc::clone(&node) as Arc<dyn Network>);
    relay.set(false);
    let error = inboxes.states(&[inbox]).await.unwrap_err();
    assert!(matches!(error, LookupError::Unavailable(Unavailable::Chain { .. })), "{error:?}");
    relay.set(true);
    let states = inboxes.states(&[inbox]).await.unwrap();
    assert_eq!(states[&inbox].identifiers(), [Identifier::parse_ethereum(&wallet).unwrap()]);
}
