//! What the client asks of the network, in which order, and what it reports, against the official client
//! (identity §11, `vectors/identity/client_flows.json`).
//!
//! Where ours asks less on purpose, the test names the question that is left out and why; everything else has to be
//! the same, in the same order, with the same positions.

use std::sync::Arc;

use serde_json::Value;
use subrosa::{
    Client, ClientBuilder, Clock, DatabaseKey, Encryption, GrpcNetwork, Identifier, IdentifierError, InboxId, Inboxes,
    InstallationId, Location, LookupError, Network, OpenError, Opening, RegisterError, Registration, UnixNanos,
    WalletKey,
};
use subrosa_identity::{LogError, SignatureRequestError, VerifyError, inbox_id, utc_seconds};
use subrosa_testkit::{Fault, Faults, FaultyNetwork, RecordedNetwork, Recorder, World};
use subrosa_transport::ConnectOptions;
use subrosa_types::SequenceId;
use subrosa_vectors::{Family, number, text};
use tempfile::TempDir;
use tower::Service as _;

/// A call as the vectors and we write it: its kind, and kinds of identifiers or positions in logs.
type Flow = Vec<(String, Vec<u64>)>;

/// What the official client asked: names of calls, or calls with what they ask for.
fn official(calls: &Value) -> Flow {
    let one = |call: &Value| match call {
        Value::String(kind) => (kind.clone(), Vec::new()),
        call => {
            let numbers = call["requests"].as_array().unwrap().iter().map(|request| number(&request[1])).collect();
            (text(&call["kind"]).to_owned(), numbers)
        }
    };
    calls.as_array().unwrap().iter().map(one).collect()
}

/// Checks that ours asked the same, but for the questions at these places of the official client's list.
#[track_caller]
fn asked(ours: &RecordedNetwork, calls: &Value, left_out: &[usize]) {
    let mut wanted = official(calls);
    for place in left_out.iter().rev() {
        wanted.remove(*place);
    }
    let with_numbers = calls[0].is_object();
    let ours: Flow = ours
        .take()
        .into_iter()
        .map(|call| {
            let numbers = call.requests.iter().map(|(_, number)| *number).filter(|_| with_numbers);
            (call.kind.to_owned(), numbers.collect())
        })
        .collect();
    assert_eq!(ours, wanted);
}

struct Scene {
    world: World,
    faults: Arc<FaultyNetwork>,
    network: Arc<RecordedNetwork>,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let faults = Arc::new(Faults::over(Arc::clone(&world.node) as Arc<dyn Network>));
        let network = Arc::new(Recorder::over(Arc::clone(&faults) as Arc<dyn Network>));
        Self { world, faults, network, folder: tempfile::tempdir().unwrap() }
    }

    fn builder(&self, file: &str) -> ClientBuilder {
        let location = Location::File(self.folder.path().join(file));
        let network = Arc::clone(&self.network) as Arc<dyn Network>;
        Client::builder(network, location, Encryption::Key(DatabaseKey::from_bytes([7; 32]))).workers(false)
    }

    /// A registered client; what it asked is forgotten.
    async fn client(&self, file: &str, wallet: &WalletKey) -> Client {
        let client = self.builder(file).open_with(wallet).await.unwrap();
        self.network.take();
        client
    }

    async fn unregistered(&self, file: &str, wallet: &WalletKey) -> Registration {
        match self.builder(file).identifier(wallet.identifier()).open().await.unwrap() {
            Opening::New(registration) => registration,
            Opening::Ready(_) => panic!("it is new"),
        }
    }
}

fn wallet(number: u8) -> WalletKey {
    WalletKey::from_bytes(&[number; 32]).unwrap()
}

/// The section of the file, if it is there.
fn section<'v>(file: &'v Value, name: &str) -> Option<&'v Value> {
    file.get(name)
}

async fn register_new_inbox(section: &Value) -> usize {
    let scene = Scene::new();
    let wallet = wallet(1);
    let registration = scene.unregistered("one", &wallet).await;
    // Left out: the log of an inbox that the lookup has just said does not exist.
    asked(&scene.network, &section["on_create"], &[1]);

    let errors = &section["errors"];
    assert!(text(&errors["register_without_wallet_signature"]).contains("Required signature"));
    let missing = registration.finish().await;
    assert!(matches!(missing, Err(RegisterError::Request(SignatureRequestError::MissingSigner { .. }))), "{missing:?}");
    assert_eq!(scene.network.take(), [], "nothing was sent");

    let mut registration = scene.unregistered("one", &wallet).await;
    scene.network.take();
    assert!(text(&errors["add_signature_of_other_wallet"]).contains("UnknownSigner"));
    let other = self::wallet(2).sign(registration.text());
    let unknown = |result: Result<(), RegisterError>| {
        assert!(matches!(result, Err(RegisterError::Request(SignatureRequestError::UnknownSigner { .. }))));
    };
    unknown(registration.add_wallet_signature(&other));
    assert!(text(&errors["add_10_byte_signature"]).contains("Signature validation failed"));
    let short = registration.add_wallet_signature(&[1; 10]);
    assert!(
        matches!(short, Err(RegisterError::Request(SignatureRequestError::Verify(VerifyError::EcdsaLength)))),
        "{short:?}"
    );
    registration.add_wallet_signature(&wallet.sign(registration.text())).unwrap();
    assert!(text(&errors["add_same_signature_twice"]).contains("UnknownSigner"));
    unknown(registration.add_wallet_signature(&wallet.sign(registration.text())));
    // "register_twice" cannot be written: finishing takes the registration, and gives the client.
    registration.finish().await.unwrap();
    asked(&scene.network, &section["on_register"], &[]);
    2 + errors.as_object().unwrap().len()
}

async fn second_installation(section: &Value) -> usize {
    let scene = Scene::new();
    scene.client("one", &wallet(1)).await;
    let mut registration = scene.unregistered("two", &wallet(1)).await;
    // Left out: asking once more after the end of the log that was read a moment ago.
    asked(&scene.network, &section["on_create"], &[2]);
    registration.add_wallet_signature(&wallet(1).sign(registration.text())).unwrap();
    registration.finish().await.unwrap();
    asked(&scene.network, &section["on_register"], &[]);
    2
}

async fn reopen(section: &Value) -> usize {
    let scene = Scene::new();
    let client = scene.client("one", &wallet(1)).await;
    let (inbox, installation) = (client.inbox_id(), client.installation_id());
    client.close().await;
    let Opening::Ready(client) = scene.builder("one").inbox(inbox).open().await.unwrap() else { panic!("stored") };
    // Ours always opens as the official client does offline; asking for news is a call of its own.
    assert_eq!(section["offline"]["calls"], Value::Array(Vec::new()));
    asked(&scene.network, &section["offline"]["calls"], &[]);
    client.fresh_inbox_state().await.unwrap();
    let [call] = &scene.network.take()[..] else { panic!("one question") };
    assert_eq!(call.kind, text(&section["same_inbox"]["calls"][0]["kind"]));
    let log = scene.world.node.identity_updates(&[(inbox, SequenceId::START)]).await.unwrap();
    assert_eq!(call.requests, [(inbox.to_hex(), log[0].last().unwrap().sequence.0)], "only what comes after the end");

    let other = InboxId::from_bytes([0xcd; 32]);
    assert!(text(&section["other_inbox_id"]).contains(&other.to_hex()));
    let mismatch = scene.builder("one").inbox(other).open().await;
    assert!(matches!(mismatch, Err(OpenError::InboxIdMismatch { asked, found }) if asked == other && found == inbox));
    assert!(text(&section["other_identifier"]).contains("stored identity wins"));
    let same = scene.builder("one").nonce(9).open_with(&wallet(2)).await.unwrap();
    assert_eq!((same.inbox_id(), same.installation_id()), (inbox, installation));

    assert!(text(&section["after_own_installation_was_revoked"]).contains("registered"));
    let sibling = scene.client("two", &wallet(1)).await;
    let mut change = sibling.revoke_installations(&[installation]).await.unwrap();
    change.add_wallet_signature(&wallet(1).sign(change.text())).unwrap();
    change.apply().await.unwrap();
    same.close().await;
    client.close().await;
    assert!(matches!(scene.builder("one").open().await.unwrap(), Opening::Ready(_)));
    5
}

async fn create_errors(section: &Value) -> usize {
    let scene = Scene::new();
    let alice = scene.client("alice", &wallet(1)).await;
    let open = |wallet: &WalletKey, inbox, nonce| {
        scene.builder("new").identifier(wallet.identifier()).inbox(inbox).nonce(nonce).open()
    };
    let mismatch = |opened: Result<Opening, OpenError>| {
        assert!(matches!(opened, Err(OpenError::InboxIdMismatch { .. })), "{opened:?}");
    };
    let of = |wallet: &WalletKey, nonce| inbox_id(&wallet.identifier(), nonce).unwrap();
    assert!(text(&section["inbox_id_does_not_match_nonce"]).contains("doesn't match nonce"));
    mismatch(open(&wallet(2), of(&wallet(2), 1), 2).await);
    assert!(text(&section["inbox_id_of_other_address"]).contains("doesn't match nonce"));
    mismatch(open(&wallet(2), of(&wallet(3), 1), 1).await);
    assert!(text(&section["address_already_in_other_inbox"]).contains("Inbox ID mismatch"));
    mismatch(open(&wallet(1), of(&wallet(1), 5), 5).await);

    assert!(text(&section["address_associated_but_log_empty"]).contains("Missing identity update"));
    let network = GrpcNetwork::over(forgetful(&scene.world), &ConnectOptions::default());
    let opened = Client::builder(Arc::new(network), Location::Memory, Encryption::None)
        .identifier(wallet(1).identifier())
        .open()
        .await;
    assert!(matches!(opened, Err(OpenError::Log(LogError::MissingIdentityUpdate(_)))), "{opened:?}");

    assert!(text(&section["eleventh_installation"]).contains("10/10"));
    for number in 1..10 {
        scene.client(&number.to_string(), &wallet(1)).await;
    }
    let full = open(&wallet(1), alice.inbox_id(), 1).await;
    assert!(
        matches!(full, Err(OpenError::TooManyInstallations { inbox, count: 10 }) if inbox == alice.inbox_id()),
        "{full:?}"
    );
    5
}

/// A node that finds inboxes, and has lost their logs.
fn forgetful(
    world: &World,
) -> impl tower::Service<
    tonic::codegen::http::Request<tonic::body::Body>,
    Response = tonic::codegen::http::Response<tonic::body::Body>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    let (lookups, logs) = (world.node.routes(), World::new().node.routes());
    tower::service_fn(move |request: tonic::codegen::http::Request<tonic::body::Body>| {
        let mut routes = if request.uri().path().ends_with("/GetInboxIds") { lookups.clone() } else { logs.clone() };
        async move { routes.call(request).await }
    })
}

async fn default_nonce(value: &Value) -> usize {
    let scene = Scene::new();
    let client = scene.client("one", &wallet(1)).await;
    assert_eq!(client.inbox_id(), inbox_id(&wallet(1).identifier(), number(value)).unwrap());
    1
}

async fn publish_rejected(section: &Value, retry: &Value) -> usize {
    let scene = Scene::new();
    let mut registration = scene.unregistered("one", &wallet(1)).await;
    registration.add_wallet_signature(&wallet(1).sign(registration.text())).unwrap();
    scene.network.take();
    scene.faults.fail_publications(Fault::Refused, 1);
    let refused = registration.finish().await;
    assert_eq!(section["registered"], false);
    assert!(matches!(refused, Err(RegisterError::Refused(_))), "{refused:?}");
    // The official client sends six times what was refused. Ours believes the node, and looks whether the update is
    // in the log: a repetition after a crash is refused too.
    let calls: Vec<&str> = section["calls"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(calls[0], "upload_key_package");
    assert!(calls[1..].iter().all(|call| *call == "publish_identity_update"));
    assert_eq!(scene.network.take_kinds(), ["upload_key_package", "publish_identity_update", "get_identity_updates"]);

    let client = scene.builder("one").open_with(&wallet(1)).await.unwrap();
    assert_eq!(retry["registered"], true);
    // Left out: as for a new inbox.
    asked(&scene.network, &retry["calls"], &[1]);
    assert_eq!(client.fresh_inbox_state().await.unwrap().installations().count(), 1);
    2
}

/// Identifiers that the file names as text.
fn identifier(name: &str) -> Identifier {
    if name.starts_with("0x") {
        Identifier::parse_ethereum(name).unwrap()
    } else {
        Identifier::parse_passkey(name).unwrap()
    }
}

async fn can_message(section: &Value) -> usize {
    let scene = Scene::new();
    let alice = scene.client("alice", &wallet(1)).await;
    // The known one of the file is one of ours here; the strangers stay.
    let known = wallet(1).identifier();
    let expected: Vec<(Identifier, bool)> = section["result"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, can)| (if can == true { known.clone() } else { identifier(name) }, can == true))
        .collect();
    let requests = section["calls"][0]["requests"].as_array().unwrap();
    let unknown = |name: &Value| !expected.contains(&(identifier(text(name)), false));
    let asking: Vec<Identifier> = requests
        .iter()
        .map(|request| if unknown(&request[0]) { known.clone() } else { identifier(text(&request[0])) })
        .collect();
    let answers = alice.can_message(&asking).await.unwrap();
    assert_eq!(answers, expected.into_iter().collect());
    asked(&scene.network, &section["calls"], &[]);

    let bad = text(&section["bad_address"]);
    let address = bad.split('"').nth(1).unwrap();
    let refused = alice.can_message(&[known, Identifier::Ethereum(address.to_owned())]).await;
    let Err(LookupError::Identifier(IdentifierError::AddressInvalid { addresses })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(addresses, [address]);
    assert_eq!(scene.network.take(), [], "the whole call fails, and asks nothing");
    2
}

async fn membership_lookup(section: &Value) -> usize {
    let scene = Scene::new();
    let (alice, bob) = (scene.client("alice", &wallet(1)).await, scene.client("bob", &wallet(2)).await);
    let inboxes = Inboxes::of(Arc::clone(&scene.network) as Arc<dyn Network>);
    let inbox = alice.inbox_id();
    let answers = [
        inboxes.is_member(inbox, wallet(1).identifier()).await.unwrap(),
        inboxes.is_member(inbox, wallet(2).identifier()).await.unwrap(),
        inboxes.is_member(inbox, alice.installation_id()).await.unwrap(),
        inboxes.is_member(inbox, bob.installation_id()).await.unwrap(),
    ];
    let results = section["results"].as_object().unwrap();
    assert_eq!(answers.to_vec(), results.values().map(|value| value == true).collect::<Vec<_>>());
    // Each from the start: nothing is kept.
    asked(&scene.network, &section["calls"], &[]);
    assert!(text(&section["unknown_inbox"]).contains("Unable to create association state"));
    let unknown = inboxes.is_member(InboxId::from_bytes([9; 32]), wallet(1).identifier()).await;
    assert!(matches!(unknown, Err(LookupError::UnknownInbox(_))));
    results.len() + 1
}

/// A clock that stands.
struct At(UnixNanos);

impl Clock for At {
    fn now(&self) -> UnixNanos {
        self.0
    }
}

/// The second that is written so.
fn second(written: &str) -> UnixNanos {
    let nanos = |second: u64| second * 1_000_000_000;
    let (mut low, mut high) = (0, 4_000_000_000);
    while low < high {
        let middle = u64::midpoint(low, high);
        if *utc_seconds(nanos(middle)) < *written { low = middle + 1 } else { high = middle }
    }
    UnixNanos::from_wire(nanos(low))
}

async fn static_revocation(section: &Value) -> usize {
    let scene = Scene::new();
    let network = || Arc::clone(&scene.network) as Arc<dyn Network>;
    let wanted = text(&section["text"]);
    let after = |label: &str| wanted.split(label).nth(1).unwrap().split(['\n', ')']).next().unwrap();
    let inbox: InboxId = after("Inbox ID: ").parse().unwrap();
    let gone: InstallationId = after("(ID: ").parse().unwrap();
    let inboxes = Inboxes::of(network()).clock(Arc::new(At(second(after("Current time: ")))));
    let change = inboxes.revoke_installations(inbox, &wallet(1).identifier(), &[gone]).unwrap();
    assert_eq!(change.text(), wanted);
    asked(&scene.network, &section["calls_before_signing"], &[]);
    assert!(text(&section["apply_without_signature"]).contains("Required signature"));
    let missing = change.apply().await;
    assert!(matches!(missing, Err(RegisterError::Request(SignatureRequestError::MissingSigner { .. }))));

    let (first, second) = (scene.client("one", &wallet(1)).await, scene.client("two", &wallet(1)).await);
    let inboxes = Inboxes::of(network());
    let gone = [second.installation_id()];
    let mut change = inboxes.revoke_installations(first.inbox_id(), &wallet(1).identifier(), &gone).unwrap();
    change.add_wallet_signature(&wallet(1).sign(change.text())).unwrap();
    change.apply().await.unwrap();
    asked(&scene.network, &section["calls_on_apply"], &[]);
    assert_eq!(first.fresh_inbox_state().await.unwrap().installations().count(), 1);
    4
}

async fn unknown_passkey(section: &Value) -> usize {
    let scene = Scene::new();
    let alice = scene.client("alice", &wallet(1)).await;
    let results = section.as_object().unwrap();
    for (name, can) in results {
        let passkey = identifier(name);
        let answers = alice.can_message(std::slice::from_ref(&passkey)).await.unwrap();
        assert_eq!(Value::Bool(answers[&passkey]), *can);
    }
    results.len()
}

async fn run(file: &Value) -> usize {
    let mut cases = 0;
    if let Some(flows) = section(file, "register_new_inbox") {
        cases += register_new_inbox(flows).await;
    }
    if let Some(flows) = section(file, "second_installation") {
        cases += second_installation(flows).await;
    }
    if let Some(flows) = section(file, "reopen") {
        cases += reopen(flows).await;
    }
    if let Some(flows) = section(file, "create_errors") {
        cases += create_errors(flows).await;
    }
    if let Some(flows) = section(file, "default_nonce_when_omitted") {
        cases += default_nonce(flows).await;
    }
    let refusal = section(file, "publish_rejected_by_node").zip(section(file, "retry_after_rejection_same_database"));
    if let Some((flows, retry)) = refusal {
        cases += publish_rejected(flows, retry).await;
    }
    if let Some(flows) = section(file, "can_message") {
        cases += can_message(flows).await;
    }
    if let Some(flows) = section(file, "membership_lookup") {
        cases += membership_lookup(flows).await;
    }
    if let Some(flows) = section(file, "static_revocation") {
        cases += static_revocation(flows).await;
    }
    if let Some(flows) = section(file, "passkey_can_message_without_kind_echo") {
        cases += unknown_passkey(flows).await;
    }
    cases
}

#[test]
fn vectors_client_flows() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    Family::load("identity/client_flows").each(|_, file| runtime.block_on(run(file))).finish();
}
