//! Key packages, extensions, welcomes and messages of one recorded installation and group.

use std::sync::LazyLock;

use prost::Message as _;
use serde_json::Value;
use subrosa_envelope::{Welcome, WelcomeInput};
use subrosa_group::{
    Directory, Group, Randomness, RowKey, Sender, VerifiedKeyPackage,
    context::{ImmutableMetadata, Membership, MutableMetadata, PolicySet},
    group::{OpenError, Opened},
    import_key_package,
    welcome::{Recipient, Unwrapped, WelcomeKeys, WelcomePlaintext, unwrap_pointee, wrap},
};
use subrosa_proto::xmtp::mls::api::v1 as api;
use subrosa_types::{GroupId, InboxId, InstallationId, SequenceId, UnixNanos};
use subrosa_vectors::{bytes, text};

/// When the vectors were recorded.
const RECORDED: UnixNanos = UnixNanos::from_nanos(1_795_435_116_000_000_000);

/// An installation with all its keys, and the first group it joined.
struct Recorded {
    key_package: VerifiedKeyPackage,
    hpke_public_key: Vec<u8>,
    rows: Vec<(RowKey, Vec<u8>)>,
    group: GroupId,
    group_rows: Vec<(RowKey, Vec<u8>)>,
    /// The first message that others sent there.
    genuine: Vec<u8>,
}

static RECORDED_DM: LazyLock<Recorded> = LazyLock::new(|| {
    let path = subrosa_vectors::folder().join("wire/decrypted/dm.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).expect("the vector is there")).unwrap();
    Recorded::new(&json["installation"], &json["groups"][0])
});

impl Recorded {
    fn new(installation: &Value, group: &Value) -> Self {
        let seed = bytes(&installation["xwing_private_key"]).try_into().unwrap();
        let rows = import_key_package(text(&installation["key_package_bundle_openmls_0_9_json"]), Some(seed)).unwrap();
        let key_package = VerifiedKeyPackage::verify(&bytes(&installation["key_package_tls"]), RECORDED).unwrap();
        let welcome = Welcome::from_bytes(&bytes(&group["welcome_message_proto"])).unwrap().input;
        let hpke_public_key = welcome.hpke_public_key().to_vec();
        let rows: Vec<_> = rows.put.into_iter().collect();
        let keys = WelcomeKeys::from_rows(&hpke_public_key, rows.clone()).unwrap().expect("the keys are there");
        let Unwrapped::Welcome(plaintext) = keys.unwrap(&welcome).unwrap() else { panic!("a direct welcome") };
        let opened = keys.open(&plaintext, &random()).unwrap();
        let mut directory = Directory::new();
        for (inbox, sequence) in &opened.context().membership().unwrap().members {
            let held = opened.leaves().iter().filter(|l| l.inbox == Some(*inbox)).map(|l| l.installation).collect();
            directory.assume(*inbox, *sequence, held);
        }
        let own = Sender { inbox: key_package.inbox(), installation: key_package.installation() };
        let mut joined = opened.judge(&directory, &own, None).unwrap().into_group().unwrap();
        let group_rows = joined.drain().unwrap().put.into_iter().collect();
        let genuine = bytes(&group["messages"][0]["data"]);
        Self { key_package, hpke_public_key, rows, group: joined.id().clone(), group_rows, genuine }
    }

    fn keys(&self) -> WelcomeKeys {
        WelcomeKeys::from_rows(&self.hpke_public_key, self.rows.clone()).unwrap().unwrap()
    }

    fn group(&self) -> Group {
        let own = self.group_rows.iter().filter(|(key, _)| key.scope == self.group.as_bytes()).cloned();
        Group::load(&self.group, own, &random()).unwrap().expect("the group is stored")
    }
}

fn random() -> Randomness {
    Randomness::seeded([7; 32])
}

/// A key package that passes is exactly the bytes it came in, alive, and of one inbox; out of its life it fails.
pub fn key_package(bytes: &[u8]) -> bool {
    let Ok(package) = VerifiedKeyPackage::verify(bytes, RECORDED) else { return false };
    assert_eq!(package.to_bytes(), bytes);
    let now = u64::try_from(RECORDED.as_seconds()).unwrap();
    assert!(package.not_before() <= now && now < package.not_after());
    let at =
        |seconds: u64| UnixNanos::from_nanos(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000));
    assert!(VerifiedKeyPackage::verify(bytes, at(package.not_before() - 1)).is_err());
    let owner = subrosa_identity::inbox_of_credential(&package.credential_identity());
    assert_eq!(owner, Ok(package.inbox()));
    // Whoever made the package: wrapping to it works or is reported, and does not stop the others.
    let theirs = Recipient::from(&package);
    let ours = Recipient::from(&RECORDED_DM.key_package);
    let wrapped = wrap(b"welcome", SequenceId(1), &[theirs, ours], &random()).unwrap();
    assert_eq!(wrapped.welcomes.len() + wrapped.failed.len(), 2);
    assert!(wrapped.welcomes.iter().any(|w| *w.installation() == RECORDED_DM.key_package.installation()));
    true
}

/// Each of the four extensions survives its encoding.
pub fn context(bytes: &[u8]) -> bool {
    let immutable = ImmutableMetadata::from_bytes(bytes);
    if let Ok(value) = &immutable {
        assert_eq!(ImmutableMetadata::from_bytes(&value.to_bytes()).as_ref(), Ok(value));
    }
    let mutable = MutableMetadata::from_bytes(bytes);
    if let Ok(value) = &mutable {
        assert_eq!(MutableMetadata::from_bytes(&value.to_bytes()).as_ref(), Ok(value));
        assert!(value.changes_to(value).is_empty());
        let _ = (value.role(&InboxId::from_bytes([0; 32])), value.disappearing().map(|d| d.is_enabled()));
    }
    let membership = Membership::from_bytes(bytes);
    if let Ok(value) = &membership {
        assert_eq!(Membership::from_bytes(&value.to_bytes()).as_ref(), Ok(value));
    }
    let policies = PolicySet::from_bytes(bytes);
    if let Ok(value) = &policies {
        assert_eq!(PolicySet::from_bytes(&value.to_bytes()).as_ref(), Ok(value));
        assert!(value.shares_a_scalar_with(value));
        let _ = value.name();
    }
    immutable.is_ok() || mutable.is_ok() || membership.is_ok() || policies.is_ok()
}

/// A welcome envelope for our keys unwraps or is refused, the same twice; whatever was inside is opened.
pub fn welcome_unwrap(bytes: &[u8]) -> bool {
    let delivered = Welcome::from_bytes(bytes).ok().map(|welcome| welcome.input);
    let sent = || api::WelcomeMessageInput::decode(bytes).ok().and_then(|wire| WelcomeInput::from_proto(wire).ok());
    let Some(input) = delivered.or_else(sent) else { return false };
    let keys = RECORDED_DM.keys();
    let unwrapped = keys.unwrap(&input);
    assert_eq!(unwrapped.is_ok(), keys.unwrap(&input).is_ok());
    match unwrapped {
        Ok(Unwrapped::Welcome(plaintext)) => open(&keys, &plaintext),
        // A pointer that points to itself must not be followed.
        Ok(Unwrapped::Pointer(pointer)) => unwrap_pointee(&pointer, &input).is_err(),
        _ => false,
    }
}

/// Anybody can seal anything to a key package: what comes out of the wrapper is what went in, and it is a welcome that
/// MLS accepts, or refused for good.
pub fn welcome_open(bytes: &[u8]) -> bool {
    let recorded = &*RECORDED_DM;
    let recipient = Recipient::from(&recorded.key_package);
    let wrapped = wrap(bytes, SequenceId(3), &[recipient], &random()).unwrap();
    let keys = recorded.keys();
    let unwrapped = keys.unwrap(&wrapped.welcomes[0]);
    let Ok(Unwrapped::Welcome(plaintext)) = unwrapped else { panic!("what was wrapped unwraps: {unwrapped:?}") };
    assert_eq!((plaintext.welcome.as_slice(), plaintext.message_cursor()), (bytes, SequenceId(3)));
    open(&keys, &plaintext)
}

/// Stages a welcome. One that is accepted names members, and is refused as long as their identities are unknown.
fn open(keys: &WelcomeKeys, plaintext: &WelcomePlaintext) -> bool {
    let opened = match keys.open(plaintext, &random()) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(
                !matches!(error, subrosa_group::welcome::WelcomeError::Storage(_)),
                "no bytes harm our rows: {error}"
            );
            return false;
        }
    };
    assert!(!opened.leaves().is_empty());
    let own = Sender { inbox: InboxId::from_bytes([0; 32]), installation: InstallationId::from_bytes([0; 32]) };
    assert!(opened.judge(&Directory::new(), &own, None).is_err());
    true
}

/// A message in a group: if it does not open, nothing changed and the next genuine one opens; if it is a commit, it is
/// refused as long as identities are unknown.
pub fn group_open(bytes: &[u8]) -> bool {
    let mut group = RECORDED_DM.group();
    let before = (group.epoch(), group.epoch_authenticator());
    let opened = group.open(bytes);
    assert_eq!((group.epoch(), group.epoch_authenticator()), before, "nothing is applied by opening");
    match opened {
        Ok(Opened::Commit(commit)) => {
            let needed = !commit.needs().is_empty();
            assert!(group.judge(*commit, &Directory::new()).is_err() || !needed, "judged without the identities");
            true
        }
        Ok(_) => true,
        Err(error) => {
            assert!(!matches!(error, OpenError::Storage(_)), "no bytes harm our rows: {error}");
            assert!(group.drain().unwrap().is_empty(), "a refused message wrote something: {error}");
            assert!(group.open(&RECORDED_DM.genuine).is_ok(), "the genuine message does not open any more");
            false
        }
    }
}
