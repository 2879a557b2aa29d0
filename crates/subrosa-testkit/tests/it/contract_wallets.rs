//! Contract wallets: what chains say, from the client to the node's log (identity §12).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use subrosa::{
    AccountId, Client, ClientBuilder, Encryption, Identifier, InboxId, Inboxes, Location, Network, NetworkError,
    Opening, Reassign, RegisterError, Registration, SignatureKind, Unavailable, UnverifiedSignature, WalletKey,
};
use subrosa_identity::{
    ChainCheck, ChainVerdicts, IdentityUpdate, InstallationKey, SignatureRequest, SignatureRequestError, Verdict,
    VerifyError, inbox_id,
};
use subrosa_node::{Node, NodeConfig};
use subrosa_testkit::{FakeChain, Says};
use subrosa_transport::{ContractVerdict, Layer, Layered, NodeMessage, Outage, Refusal};
use subrosa_types::{SequenceId, UnixNanos};

const CHAIN: u64 = 31337;

/// The contract wallet of this number.
fn address(number: u8) -> String {
    format!("0x{}", format!("{number:02x}").repeat(20))
}

fn contract(number: u8) -> Identifier {
    Identifier::parse_ethereum(&address(number)).unwrap()
}

fn signature(number: u8, block_number: Option<u64>) -> UnverifiedSignature {
    let account_id = AccountId::ethereum(CHAIN, &address(number)).unwrap();
    UnverifiedSignature::ContractWallet { account_id, block_number, signature: vec![number; 65] }
}

fn node(chain: Option<&FakeChain>) -> Arc<Node> {
    let chains = chain.map(|chain| chain.verifier(&[CHAIN]));
    Arc::new(Node::open(NodeConfig { chains, ..NodeConfig::in_memory() }).unwrap())
}

fn builder(network: Arc<dyn Network>) -> ClientBuilder {
    Client::builder(network, Location::Memory, Encryption::None).workers(false)
}

async fn registration(network: Arc<dyn Network>, number: u8) -> Registration {
    new(builder(network).identifier(contract(number))).await
}

async fn new(builder: ClientBuilder) -> Registration {
    match builder.open().await.unwrap() {
        Opening::New(registration) => registration,
        Opening::Ready(_) => panic!("the database is empty"),
    }
}

/// A network whose contract wallets say what a test wants.
#[derive(Clone)]
struct Answers(Arc<Mutex<ContractVerdict>>);

impl Answers {
    fn over(node: &Arc<Node>, verdict: ContractVerdict) -> (Self, Arc<dyn Network>) {
        let answers = Self(Arc::new(Mutex::new(verdict)));
        let network = Layered::new(Arc::clone(node) as Arc<dyn Network>, answers.clone());
        (answers, Arc::new(network))
    }

    fn set(&self, verdict: ContractVerdict) {
        *self.0.lock().unwrap() = verdict;
    }
}

impl Layer for Answers {
    fn contract_wallets<'a>(
        &'a self,
        _network: &'a dyn Network,
        checks: Vec<ChainCheck>,
    ) -> BoxFuture<'a, Result<Vec<ContractVerdict>, NetworkError>> {
        let answer = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(vec![answer; checks.len()]) })
    }
}

fn answer(verdict: Verdict, block: Option<u64>, error: Option<&str>) -> ContractVerdict {
    ContractVerdict { verdict, block, error: error.map(NodeMessage::new) }
}

#[tokio::test]
async fn a_contract_wallet_registers_and_talks_like_any_other() {
    let chain = FakeChain::start(Says::Yes).await;
    let node = node(Some(&chain));
    let mut registration = registration(Arc::clone(&node) as Arc<dyn Network>, 7).await;
    registration.add_signature(signature(7, None)).await.unwrap();
    let client = registration.finish().await.unwrap();
    let inboxes = Inboxes::of(Arc::clone(&node) as Arc<dyn Network>);
    assert_eq!(inboxes.creation_kind(client.inbox_id()).await.unwrap(), SignatureKind::ContractWallet);
    assert_eq!(client.fresh_inbox_state().await.unwrap().identifiers(), [contract(7)]);
    // Somebody else follows the log, which asks the chain again, and finds the inbox by its address.
    let other = builder(node as Arc<dyn Network>).open_with(&WalletKey::from_bytes(&[1; 32]).unwrap()).await.unwrap();
    let group = other.conversations().create_group(&[client.inbox_id()], subrosa::GroupOptions::default()).await;
    assert!(group.is_ok());
}

#[tokio::test]
async fn a_rejected_signature_is_not_added() {
    let chain = FakeChain::start(Says::No).await;
    let mut registration = registration(node(Some(&chain)), 7).await;
    let missing = registration.missing_signers();
    let refused = registration.add_signature(signature(7, None)).await.unwrap_err();
    let expected = SignatureRequestError::Verify(VerifyError::ContractWalletRejected);
    assert!(matches!(&refused, RegisterError::Request(error) if *error == expected), "{refused:?}");
    assert!(!refused.is_retryable());
    assert_eq!(registration.missing_signers(), missing);
    chain.now_says(Says::Yes);
    registration.add_signature(signature(7, None)).await.unwrap();
    registration.finish().await.unwrap();
}

#[tokio::test]
async fn an_unanswered_question_is_retryable_and_loses_nothing() {
    let chain = FakeChain::start(Says::Yes).await;
    let (answers, network) = Answers::over(&node(Some(&chain)), answer(Verdict::Unknown, None, Some("no chain")));
    let mut registration = registration(network, 7).await;
    let missing = registration.missing_signers();
    for silent in [Some("no chain"), None] {
        answers.set(answer(Verdict::Unknown, Some(3), silent));
        let error = registration.add_signature(signature(7, None)).await.unwrap_err();
        assert!(matches!(error, RegisterError::Unavailable(Unavailable::Chain { .. })), "{error:?}");
        assert!(error.is_retryable());
        assert_eq!(registration.missing_signers(), missing);
    }
    // A yes with a remark is a yes.
    answers.set(answer(Verdict::Valid, Some(3), Some("slow today")));
    registration.add_signature(signature(7, None)).await.unwrap();
    registration.finish().await.unwrap();
}

#[tokio::test]
async fn a_signature_without_a_block_is_not_added() {
    let chain = FakeChain::start(Says::Yes).await;
    let (answers, network) = Answers::over(&node(Some(&chain)), answer(Verdict::Valid, None, None));
    let mut registration = registration(network, 7).await;
    let error = registration.add_signature(signature(7, None)).await.unwrap_err();
    assert!(matches!(error, RegisterError::Request(SignatureRequestError::BlockNumberUnknown)), "{error:?}");
    // The caller knows the block, or the verifier says it next time.
    answers.set(answer(Verdict::Valid, Some(3), None));
    registration.add_signature(signature(7, None)).await.unwrap();
    registration.finish().await.unwrap();
}

#[tokio::test]
async fn an_inbox_takes_a_contract_wallet_and_lets_it_go() {
    let chain = FakeChain::start(Says::Yes).await;
    let wallet = WalletKey::from_bytes(&[1; 32]).unwrap();
    let client = builder(node(Some(&chain)) as Arc<dyn Network>).open_with(&wallet).await.unwrap();
    let mut change = client.add_identifier(contract(7), Reassign::Refuse).await.unwrap();
    change.add_signature(signature(7, Some(3))).await.unwrap();
    change.apply().await.unwrap();
    assert_eq!(client.inbox_state().await.unwrap().identifiers().len(), 2);
    let mut change = client.remove_identifiers(&[contract(7)]).await.unwrap();
    change.add_wallet_signature(&wallet.sign(change.text())).unwrap();
    change.apply().await.unwrap();
    assert_eq!(client.inbox_state().await.unwrap().identifiers(), [wallet.identifier()]);
}

#[tokio::test]
async fn own_chains_are_asked_in_place_of_the_node() {
    let chain = FakeChain::start(Says::Yes).await;
    // The node asks nobody, so it can tell nothing.
    let node = node(None);
    let mut registration = registration(Arc::clone(&node) as Arc<dyn Network>, 7).await;
    assert!(registration.add_signature(signature(7, None)).await.unwrap_err().is_retryable());
    let own = builder(Arc::clone(&node) as Arc<dyn Network>).chains(chain.verifier(&[CHAIN])).identifier(contract(7));
    let mut registration = new(own).await;
    registration.add_signature(signature(7, None)).await.unwrap();
    let error = registration.finish().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(log_of(&node, inbox_id(&contract(7), 1).unwrap()).await.is_empty());
}

/// An inbox made by a contract wallet, signed for the node alone.
struct Account {
    number: u8,
    inbox: InboxId,
    installation: InstallationKey,
}

impl Account {
    fn new(number: u8) -> Self {
        let inbox = inbox_id(&contract(number), 1).unwrap();
        Self { number, inbox, installation: InstallationKey::from_seed([number; 32]) }
    }

    fn sign(&self, mut request: SignatureRequest) -> IdentityUpdate {
        if request.missing_signers().contains(&self.installation.id().into()) {
            request.sign_with_installation(&self.installation).unwrap();
        }
        for number in [self.number, self.number + 100] {
            if request.missing_signers().contains(&contract(number).into()) {
                let signed = signature(number, Some(3));
                let check = request.chain_check(&signed).unwrap();
                let verdicts: ChainVerdicts = std::iter::once((check, Verdict::Valid)).collect();
                request.add_signature(signed, &verdicts).unwrap();
            }
        }
        request.build().unwrap()
    }

    fn registration(&self) -> IdentityUpdate {
        let request = SignatureRequest::builder(self.inbox, UnixNanos::from_nanos(1_000_000_000));
        let request = request.create_inbox(contract(self.number), 1);
        self.sign(request.add_association(self.installation.id(), contract(self.number)).request())
    }

    /// A second contract wallet, added by the installation.
    fn link(&self, time: i64) -> IdentityUpdate {
        let request = SignatureRequest::builder(self.inbox, UnixNanos::from_nanos(time * 1_000_000_000));
        self.sign(request.add_association(contract(self.number + 100), self.installation.id()).request())
    }

    /// A wallet with a key, added by the installation: no chain has a say.
    fn link_plain(&self, time: i64) -> IdentityUpdate {
        let wallet = WalletKey::from_bytes(&[self.number; 32]).unwrap();
        let request = SignatureRequest::builder(self.inbox, UnixNanos::from_nanos(time * 1_000_000_000));
        let mut request = request.add_association(wallet.identifier(), self.installation.id()).request();
        request.add_wallet_signature(&wallet.sign(request.text())).unwrap();
        self.sign(request)
    }
}

async fn log_of(node: &Node, inbox: InboxId) -> Vec<u64> {
    let logs = node.identity_updates(&[(inbox, SequenceId::START)]).await.unwrap();
    logs[0].iter().map(|entry| entry.sequence.0).collect()
}

#[tokio::test]
async fn the_node_tells_no_from_not_now() {
    let chain = FakeChain::start(Says::No).await;
    let (node, account) = (node(Some(&chain)), Account::new(7));
    let refused = node.publish_identity_update(account.registration()).await.unwrap_err();
    assert!(matches!(refused, NetworkError::Refused { code: Refusal::InvalidArgument, .. }), "{refused}");
    // Another account: what a chain said about a block is remembered.
    let account = Account::new(8);
    chain.now_says(Says::Failure);
    let later = node.publish_identity_update(account.registration()).await.unwrap_err();
    assert!(matches!(later, NetworkError::Unreachable { cause: Outage::Unavailable, .. }), "{later}");
    assert!(log_of(&node, account.inbox).await.is_empty());
    chain.now_says(Says::Yes);
    node.publish_identity_update(account.registration()).await.unwrap();
    assert_eq!(log_of(&node, account.inbox).await.len(), 1);
    assert_eq!(node.inbox_ids(&[contract(8)]).await.unwrap(), [Some(account.inbox)]);
}

#[tokio::test]
async fn a_silent_chain_holds_up_nobody_else() {
    let chain = FakeChain::start(Says::Yes).await;
    let (node, account) = (node(Some(&chain)), Account::new(7));
    node.publish_identity_update(account.registration()).await.unwrap();
    let asked = chain.calls();
    chain.now_says(Says::Nothing);
    let waiting = tokio::spawn({
        let (node, update) = (Arc::clone(&node), account.link(2));
        async move { node.publish_identity_update(update).await }
    });
    chain.asked(asked + 1).await;
    // The same inbox, and another one.
    node.publish_identity_update(account.link_plain(3)).await.unwrap();
    let wallet = WalletKey::from_bytes(&[9; 32]).unwrap();
    builder(Arc::clone(&node) as Arc<dyn Network>).open_with(&wallet).await.unwrap();
    assert!(!waiting.is_finished());
    assert_eq!(log_of(&node, account.inbox).await.len(), 2);
    waiting.abort();
}

#[tokio::test]
async fn a_verdict_that_comes_late_is_judged_on_the_log_of_then() {
    let chain = FakeChain::start(Says::Yes).await;
    let (node, account) = (node(Some(&chain)), Account::new(7));
    node.publish_identity_update(account.registration()).await.unwrap();
    // All ask the chain about the same update; exactly one of them is new.
    let tries = (0..16).map(|_| {
        let (node, update) = (Arc::clone(&node), account.link(2));
        tokio::spawn(async move { node.publish_identity_update(update).await.is_ok() })
    });
    let accepted = futures::future::join_all(tries).await.into_iter().filter(|done| *done.as_ref().unwrap()).count();
    assert_eq!(accepted, 1);
    assert_eq!(log_of(&node, account.inbox).await.len(), 2);
}

#[tokio::test]
async fn no_chain_is_asked_about_what_is_stored_or_refused_anyway() {
    let chain = FakeChain::start(Says::Yes).await;
    let folder = tempfile::tempdir().unwrap();
    let chains = || Some(chain.verifier(&[CHAIN]));
    let account = Account::new(7);
    let node = Node::open(NodeConfig { chains: chains(), ..NodeConfig::at(folder.path()) }).unwrap();
    // Not created yet.
    node.publish_identity_update(account.link(2)).await.unwrap_err();
    assert_eq!(chain.calls(), 0);
    node.publish_identity_update(account.registration()).await.unwrap();
    assert_eq!(chain.calls(), 1);
    node.publish_identity_update(account.registration()).await.unwrap_err();
    drop(node);
    // The chain is gone, and nothing is remembered; what was appended stays true.
    chain.now_says(Says::No);
    let node = Node::open(NodeConfig { chains: chains(), ..NodeConfig::at(folder.path()) }).unwrap();
    node.publish_identity_update(account.link_plain(3)).await.unwrap();
    node.publish_identity_update(account.registration()).await.unwrap_err();
    assert_eq!(chain.calls(), 1);
    assert_eq!(log_of(&node, account.inbox).await.len(), 2);
}

#[tokio::test]
async fn questions_to_the_node_are_answered_one_by_one() {
    let chain = FakeChain::start(Says::Yes).await;
    let node = node(Some(&chain));
    let check = |chain: u64, address: &str, block_number| ChainCheck {
        account_id: AccountId::ethereum(chain, address).unwrap(),
        hash: [1; 32],
        signature: vec![2; 65],
        block_number,
    };
    let zero = format!("0x{}", "00".repeat(20));
    let checks = vec![
        check(CHAIN, &address(1), None),
        check(1, &address(1), Some(5)),
        check(CHAIN, &address(1), Some(5)),
        check(CHAIN, &zero, Some(5)),
        check(CHAIN, &address(1), None),
    ];
    let verdicts = node.verify_contract_wallets(checks).await.unwrap();
    let read: Vec<_> = verdicts.iter().map(|v| (v.verdict, v.block, v.error.is_some())).collect();
    assert_eq!(read[0], (Verdict::Valid, Some(FakeChain::NEWEST), false));
    assert_eq!(read[1], (Verdict::Unknown, None, true));
    assert_eq!(read[2], (Verdict::Valid, Some(5), false));
    assert_ne!(read[3].0, Verdict::Valid);
    assert_eq!(read[4], read[0]);
    assert_eq!(chain.calls(), 2);
    chain.now_says(Says::No);
    let verdicts = node.verify_contract_wallets(vec![check(CHAIN, &address(2), Some(5))]).await.unwrap();
    assert_eq!(verdicts, [answer(Verdict::Invalid, Some(5), None)]);
    let many = vec![check(CHAIN, &address(3), Some(5)); 257];
    assert!(matches!(
        node.verify_contract_wallets(many).await,
        Err(NetworkError::Refused { .. } | NetworkError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn a_chain_that_never_answers_is_not_waited_for_long() {
    let chain = FakeChain::start(Says::Nothing).await;
    let verifier = subrosa::ChainVerifier::builder()
        .endpoint(CHAIN, &chain.url(CHAIN))
        .unwrap()
        .timeout(Duration::from_millis(50))
        .build();
    let node = Node::open(NodeConfig { chains: Some(verifier), ..NodeConfig::in_memory() }).unwrap();
    let later = node.publish_identity_update(Account::new(7).registration()).await.unwrap_err();
    assert!(matches!(later, NetworkError::Unreachable { cause: Outage::Unavailable, .. }), "{later}");
}
