//! Replays what an installation received from official clients: `wire/decrypted`.
//!
//! The recordings lack the identity logs of the other members. So every verdict runs in full, on installations taken
//! on trust from the recorded members.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subrosa_envelope::{MessageHeader, Welcome, WelcomeInput};
use subrosa_group::{
    Directory, Group, Leaf, Randomness, RowKey, Sender,
    context::{ImmutableMetadata, Membership, MutableMetadata, PolicySet},
    group::{OpenError, Opened},
    import_key_package,
    welcome::{Unwrapped, WelcomeKeys, WelcomePlaintext, unwrap_pointee},
};
use subrosa_proto::xmtp::mls::{api::v1::WelcomeMessage, message_contents::PlaintextEnvelope};
use subrosa_types::{InboxId, InstallationId, SequenceId};
use subrosa_vectors::{Family, bytes, number, text};

/// The recorded installation: its private rows.
struct Recorded {
    rows: Vec<(RowKey, Vec<u8>)>,
    sender: Sender,
}

impl Recorded {
    fn new(installation: &Value) -> Self {
        let seed = &installation["xwing_private_key"];
        let seed = (!seed.is_null()).then(|| bytes(seed).try_into().expect("a seed of 32 bytes"));
        let bundle = text(&installation["key_package_bundle_openmls_0_9_json"]);
        let rows = import_key_package(bundle, seed).expect("the bundle can be read").put;
        let sender = Sender {
            inbox: text(&installation["inbox_id"]).parse().unwrap(),
            installation: text(&installation["installation_id"]).parse().unwrap(),
        };
        Self { rows, sender }
    }

    fn keys(&self, input: &WelcomeInput) -> WelcomeKeys {
        let (WelcomeInput::Direct { hpke_public_key, .. } | WelcomeInput::Pointer { hpke_public_key, .. }) = input;
        WelcomeKeys::from_rows(hpke_public_key, self.rows.clone()).unwrap().expect("the keys are ours")
    }
}

fn welcome_input(proto: &Value) -> WelcomeInput {
    let wire = WelcomeMessage::decode(bytes(proto).as_slice()).expect("a welcome message");
    let welcome = Welcome::from_proto(wire.clone()).expect("a valid welcome");
    assert_eq!(welcome.to_proto(), wire);
    welcome.input
}

/// Unwraps layer by layer; each must be the recorded one.
fn unwrapped(keys: &WelcomeKeys, group: &Value, input: &WelcomeInput) -> WelcomePlaintext {
    let plaintext = match keys.unwrap(input).expect("the welcome opens") {
        Unwrapped::Welcome(plaintext) => {
            assert_eq!(text(&group["kind"]), "v1");
            plaintext
        }
        Unwrapped::Pointer(pointer) => {
            assert_eq!(text(&group["kind"]), "pointer");
            assert_eq!(pointer.to_bytes(), bytes(&group["pointer_plaintext"]));
            let pointee = welcome_input(&group["pointee_message_proto"]);
            assert_eq!(*pointee.installation(), pointer.destination);
            unwrap_pointee(&pointer, &pointee).expect("the pointee opens")
        }
        _ => panic!("a welcome or a pointer"),
    };
    assert_eq!(plaintext.welcome, bytes(&group["welcome_plaintext"]));
    assert_eq!(plaintext.metadata, bytes(&group["welcome_metadata_plaintext"]));
    assert_eq!(plaintext.message_cursor(), SequenceId(number(&group["message_cursor"])));
    plaintext
}

fn leaves_of(members: &Value) -> Vec<Leaf> {
    let members = members.as_array().expect("a list of members");
    let leaf = |member: &Value| Leaf {
        index: u32::try_from(number(&member["leaf"])).unwrap(),
        inbox: Some(text(&member["inbox_id"]).parse().unwrap()),
        installation: text(&member["installation_id"]).parse().unwrap(),
        encryption_key: bytes(&member["encryption_key"]),
    };
    members.iter().map(leaf).collect()
}

fn extension(list: &Value, code: &str) -> Option<Vec<u8>> {
    let found = list.as_array()?.iter().find(|extension| text(&extension["type"]) == code)?;
    Some(bytes(&found["data"]))
}

/// Compares by value: maps have no order.
fn same_context(group: &Group, recorded: &Value) {
    let context = group.context();
    let body = |code| extension(recorded, code).expect("the extension was recorded");
    let immutable = ImmutableMetadata::from_bytes(&body("0xf000")).unwrap();
    assert_eq!(context.immutable(), Ok(&immutable));
    assert_eq!(immutable.to_bytes(), body("0xf000"));
    assert_eq!(context.mutable(), Ok(&MutableMetadata::from_bytes(&body("0xff00")).unwrap()));
    assert_eq!(context.membership(), Ok(&Membership::from_bytes(&body("0xff01")).unwrap()));
    assert_eq!(context.permissions(), Ok(&PolicySet::from_bytes(&body("0xff02")).unwrap()));
    for (encoded, recorded) in [
        (context.mutable().unwrap().to_bytes(), body("0xff00")),
        (context.membership().unwrap().to_bytes(), body("0xff01")),
        (context.permissions().unwrap().to_bytes(), body("0xff02")),
    ] {
        assert_eq!(encoded.len(), recorded.len());
    }
}

/// Takes on trust that members held exactly the recorded leaves.
fn trust(directory: &mut Directory, membership: &Membership, leaves: &[Leaf]) {
    let mut held: BTreeMap<InboxId, BTreeSet<InstallationId>> = BTreeMap::new();
    for leaf in leaves {
        held.entry(leaf.inbox.unwrap()).or_default().insert(leaf.installation);
    }
    for (inbox, sequence) in &membership.members {
        directory.assume(*inbox, *sequence, held.get(inbox).cloned().unwrap_or_default());
    }
}

fn join(recorded: &Recorded, group: &Value, directory: &mut Directory) -> Group {
    let input = welcome_input(&group["welcome_message_proto"]);
    let keys = recorded.keys(&input);
    let plaintext = unwrapped(&keys, group, &input);
    let opened = keys.open(&plaintext, &Randomness::os()).expect("MLS accepts the welcome");
    assert_eq!(opened.adder().installation.to_hex(), text(&group["added_by_installation_id"]));
    trust(directory, opened.context().membership().unwrap(), &leaves_of(&group["members"]));
    let judged = opened.judge(directory, &recorded.sender, None).expect("the welcome is valid");
    let mut joined = judged.into_group().expect("joining works");
    assert_eq!(joined.id().to_hex(), text(&group["group_id"]));
    assert_eq!(joined.epoch().0, number(&group["epoch"]));
    assert_eq!(joined.epoch_authenticator(), bytes(&group["epoch_authenticator"]));
    assert_eq!(joined.leaves(), leaves_of(&group["members"]));
    assert_eq!(joined.own_leaf().unwrap().installation, recorded.sender.installation);
    same_context(&joined, &group["group_context_extensions"]);
    // Goes through the stored form once.
    let changes = joined.drain().unwrap();
    assert!(changes.clear_scope);
    let own_rows = changes.put.into_iter().filter(|(key, _)| key.scope == joined.id().as_bytes());
    Group::load(joined.id(), own_rows, &Randomness::os()).unwrap().expect("the group was stored")
}

fn application(group: &mut Group, message: &Value) {
    let opened = match group.open(&bytes(&message["data"])).expect("the message opens") {
        Opened::Application(opened) => opened,
        other => panic!("an application message was recorded: {other:?}"),
    };
    assert_eq!(opened.plaintext, bytes(&message["plaintext"]));
    assert_eq!(opened.sender.inbox.to_hex(), text(&message["sender_inbox_id"]));
    assert_eq!(u64::from(opened.leaf), number(&message["sender_leaf"]));
    assert_eq!(opened.epoch.0, number(&message["epoch"]));
    use subrosa_proto::xmtp::mls::message_contents::plaintext_envelope::Content;
    let envelope = PlaintextEnvelope::decode(opened.plaintext.as_slice()).unwrap();
    let Some(Content::V1(v1)) = envelope.content else { panic!("a v1 envelope") };
    assert_eq!(v1.content, bytes(&message["encoded_content"]));
    let id = Sha256::new()
        .chain_update(group.id().as_bytes())
        .chain_update(b"\t")
        .chain_update(&v1.idempotency_key)
        .chain_update(b"\t")
        .chain_update(&v1.content)
        .finalize();
    assert_eq!(id.as_slice(), bytes(&message["message_id"]));
}

/// Whether the replay goes on after this commit.
fn commit(group: &mut Group, message: &Value, directory: &mut Directory, has_add: bool) -> bool {
    assert_eq!(group.epoch_authenticator(), bytes(&message["epoch_authenticator_before"]));
    let opened = match group.open(&bytes(&message["data"])) {
        Ok(Opened::Commit(opened)) => *opened,
        // The library asks the system clock about added key packages, and nothing else may make it refuse.
        Err(OpenError::ExpiredAdd(_)) if has_add => return false,
        other => panic!("a commit was recorded: {other:?}"),
    };
    // Not recorded when we were removed: our leaf knows no other tree than the one before.
    let recorded = &message["members_after"];
    let after = if recorded.is_null() { group.leaves() } else { leaves_of(recorded) };
    let proposals = message["proposals"].as_array().unwrap();
    let context = proposals.iter().find(|proposal| text(&proposal["type"]) == "group_context_extensions");
    if let Some(context) = context {
        let membership = Membership::from_bytes(&extension(&context["extensions"], "0xff01").unwrap()).unwrap();
        trust(directory, &membership, &after);
    }
    let judged = group.judge(opened, directory).unwrap_or_else(|refusal| panic!("{refusal}: {}", message["id"]));
    let report = group.merge(judged).expect("the commit merges");
    assert_eq!(report.actor.inbox.to_hex(), text(&message["sender_inbox_id"]));
    assert_eq!(report.removed_self, message["self_removed"].as_bool().unwrap());
    if report.removed_self {
        assert!(!group.is_active());
        return false;
    }
    assert_eq!(group.epoch().0, number(&message["epoch_after"]));
    assert_eq!(report.authenticator_after, bytes(&message["epoch_authenticator_after"]));
    assert_eq!(group.leaves(), after);
    if let Some(context) = context {
        same_context(group, &context["extensions"]);
    }
    true
}

/// Whether one of the key packages added by this trace is outside its life today: they were made when it was recorded.
fn outside_lifetime(group: &Value) -> bool {
    let recorded = number(&group["messages"][0]["created_ns"]) / 1_000_000_000;
    let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // A day of slack: packages of one trace were made minutes before.
    today + 3_600 < recorded || today > recorded + 83 * 86_400
}

fn replay(recorded: &Recorded, group: &Value) -> usize {
    let mut directory = Directory::new();
    let mut joined = join(recorded, group, &mut directory);
    let mut cases = 1;
    for message in group["messages"].as_array().unwrap() {
        cases += 1;
        let header = MessageHeader::parse(&bytes(&message["data"])).unwrap();
        assert_eq!(header.group_id, *joined.id());
        assert_eq!(header.is_commit(), message["is_commit"].as_bool().unwrap());
        assert_eq!(joined.epoch().0, number(&message["epoch_before"]));
        match text(&message["result"]) {
            "application" => application(&mut joined, message),
            "commit" => {
                let adds = message["proposals"].as_array().unwrap().iter().any(|p| text(&p["type"]) == "add");
                let goes_on = commit(&mut joined, message, &mut directory, adds);
                if !goes_on && joined.is_active() {
                    assert!(outside_lifetime(group), "an add expired although it is within its life");
                    break;
                }
            }
            "error" => {
                assert_eq!(text(&message["error"]), "ValidationError(WrongEpoch)");
                let before = joined.epoch_authenticator();
                let refused = joined.open(&bytes(&message["data"]));
                assert!(matches!(refused, Err(OpenError::WrongEpoch { .. })));
                assert_eq!(joined.epoch_authenticator(), before);
            }
            other => panic!("unknown outcome {other}"),
        }
    }
    cases
}

#[test]
fn vectors_decrypted() {
    Family::load("wire/decrypted")
        .each(|_, json| {
            let recorded = Recorded::new(&json["installation"]);
            json["groups"].as_array().unwrap().iter().map(|group| replay(&recorded, group)).sum()
        })
        .finish();
}
