//! Processes killed with SIGKILL while they come into being or renew their key package (identity §11.3).
//!
//! Wherever it happens, the inbox ends with exactly one installation of the database, and with one key package in use
//! whose private keys are there: somebody adds the installation to a group, and it reads what is said.

use std::path::Path;

use serde_json::{Value, json};
use subrosa::{DatabaseKey, Encryption, GrpcNetwork, InstallationId, Location, Network as _, WalletKey};
use subrosa_group::key_package_reference;
use subrosa_store::Store;
use tempfile::TempDir;

use crate::driver::{Driver, Running, create, node};

/// Where a registration can be killed, in the order of its steps.
const REGISTERING: [&str; 7] = [
    "key_package_stored",
    "key_package_uploaded",
    "update_stored",
    "update_published",
    "update_unread",
    "update_read",
    "registered",
];

/// Where a renewal can be killed.
const RENEWING: [&str; 3] = ["key_package_stored", "key_package_uploaded", "marked"];

/// The last step is over when the answer is there; no call of the network follows it.
const LAST: [&str; 2] = ["registered", "marked"];

struct Scene {
    folder: TempDir,
    _node: Running,
    url: String,
    friend: Driver,
}

impl Scene {
    fn new() -> Self {
        let (node, url) = node();
        let folder = tempfile::tempdir().unwrap();
        let friend = Driver::open(&url, folder.path(), 99);
        Self { folder, _node: node, url, friend }
    }

    fn create(&self, who: u8) -> Value {
        create(&self.url, self.folder.path(), who)
    }

    /// Begins the registration of a database, has it signed by a wallet, and kills it at this point.
    fn kill_while_registering(&self, who: u8, wallet: &WalletKey, point: &str) {
        let mut killed = Driver::start();
        let mut create = self.create(who);
        create["name"] = json!({ "identifier": wallet.address() });
        create["workers"] = false.into();
        let unsigned = killed.call(create);
        let signature = wallet.sign(unsigned["text"].as_str().unwrap());
        let signed = killed.call(json!({ "op": "sign", "by": "ethereum", "signature": hex(&signature) }));
        assert_eq!(signed["missing"], json!([]));
        killed.kill_at(point, json!({ "op": "apply" }));
    }

    /// Opens a database in a new process, without anything to sign with.
    fn reopen(&self, who: u8, ahead: u64) -> (Driver, String) {
        let mut again = Driver::start();
        let mut create = self.create(who);
        create["workers"] = false.into();
        create["ahead"] = ahead.into();
        let made = again.call(create);
        again.inbox = made["inbox"].as_str().unwrap().to_owned();
        (again, made["installation"].as_str().unwrap().to_owned())
    }

    /// The installations of an inbox, as the network has them.
    fn installations(&mut self, inbox: &str) -> Vec<String> {
        let state = self.friend.call(json!({ "op": "inbox_state", "inbox": inbox }));
        let members = state["members"].as_array().unwrap().iter().map(|one| &one["member"]);
        let installations = members.filter(|member| member["kind"] == "installation");
        installations.map(|member| member["identifier"].as_str().unwrap().to_owned()).collect()
    }

    /// The friend adds the inbox to a new group and says something; answers the group.
    fn invite(&mut self, inbox: &str) -> String {
        let made = self.friend.call(json!({ "op": "create_group", "inboxes": [inbox] }));
        let group = made["group"].as_str().unwrap().to_owned();
        self.friend.call(json!({ "op": "send", "group": group, "text": "are you there?" }));
        group
    }

    /// The database has one key package in use, and it is the one that the network gives to others.
    #[track_caller]
    fn one_key_package(&self, who: u8, installation: &str, point: &str) {
        let location = Location::File(self.folder.path().join(format!("{who}.db")));
        let store = Store::open(location, Encryption::Key(DatabaseKey::from_bytes([who + 100; 32]))).unwrap();
        let identity = store.identity().unwrap().unwrap();
        assert!(identity.registered, "{point}");
        assert_eq!(store.pending_registration().unwrap(), None, "{point}: nothing is left to do");
        let packages = store.key_packages().unwrap();
        let current: Vec<_> = packages.iter().filter(|package| package.delete_at.is_none()).collect();
        assert_eq!(current.len(), 1, "{point}: {packages:?}");
        let installation: InstallationId = installation.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fetched = runtime.block_on(async {
            let network = GrpcNetwork::connect_lazy(&self.url).unwrap();
            network.fetch_key_packages(&[installation]).await.unwrap().remove(0).unwrap()
        });
        assert_eq!(key_package_reference(&fetched).unwrap(), current[0].hash_ref, "{point}");
    }
}

impl Driver {
    /// Asks for an operation, and kills the process when it comes to this point.
    #[track_caller]
    fn kill_at(mut self, point: &str, operation: Value) {
        if LAST.contains(&point) {
            self.call(operation);
        } else {
            self.call(json!({ "op": "halt_after", "point": point }));
            self.ask(operation);
            assert_eq!(self.answer(), json!({ "halted": point }));
        }
        self.process.kill();
    }

    #[track_caller]
    fn reads(&mut self, group: &str, point: &str) {
        self.call(json!({ "op": "sync" }));
        self.call(json!({ "op": "sync", "group": group }));
        assert_eq!(self.call(json!({ "op": "texts", "group": group })), json!(["are you there?"]), "{point}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn wallet(number: u8) -> WalletKey {
    WalletKey::from_bytes(&[number; 32]).unwrap()
}

/// The database of `who` at `folder` holds nothing that a killed process did not mean to keep.
#[track_caller]
fn is_new(url: &str, folder: &Path, who: u8) {
    let mut again = Driver::start();
    again.ask(create(url, folder, who));
    let answer = again.answer();
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("no identity")), "{answer}");
}

#[test]
fn a_registration_killed_at_any_step_ends_with_one_installation() {
    let mut scene = Scene::new();
    for (who, point) in (1..).zip(REGISTERING) {
        scene.kill_while_registering(who, &wallet(who), point);
        // Nobody signs again.
        let (mut again, installation) = scene.reopen(who, 0);
        let inbox = again.inbox.clone();
        assert_eq!(scene.installations(&inbox), std::slice::from_ref(&installation), "{point}");
        let group = scene.invite(&inbox);
        again.reads(&group, point);
        again.exit();
        scene.one_key_package(who, &installation, point);
    }
}

#[test]
fn a_registration_killed_again_while_it_is_taken_up_ends_the_same() {
    let mut scene = Scene::new();
    let mut who = 0;
    for first in &REGISTERING[..6] {
        for second in &REGISTERING[..6] {
            who += 1;
            let points = format!("{first}, then {second}");
            scene.kill_while_registering(who, &wallet(who), first);
            let mut again = Driver::start();
            again.call(json!({ "op": "halt_after", "point": second }));
            let mut create = scene.create(who);
            create["workers"] = false.into();
            again.ask(create);
            // An update that is in the log is not published twice: the node refuses it, and its point is not reached.
            let answer = again.answer();
            assert!(answer == json!({ "halted": second }) || answer["ok"].is_object(), "{points}: {answer}");
            again.process.kill();

            let (last, installation) = scene.reopen(who, 0);
            assert_eq!(scene.installations(&last.inbox), std::slice::from_ref(&installation), "{points}");
            last.exit();
            scene.one_key_package(who, &installation, &points);
        }
    }
}

#[test]
fn an_installation_killed_at_any_step_joins_its_inbox_once() {
    let mut scene = Scene::new();
    let mut first = Driver::open(&scene.url, scene.folder.path(), 50);
    let inbox = first.inbox.clone();
    let mut known = scene.installations(&inbox);
    for (who, point) in (1..).zip(REGISTERING) {
        scene.kill_while_registering(who, &wallet(50), point);
        let (mut again, installation) = scene.reopen(who, 0);
        assert_eq!(again.inbox, inbox, "{point}");
        known.push(installation.clone());
        known.sort();
        let mut now = scene.installations(&inbox);
        now.sort();
        assert_eq!(now, known, "{point}");
        let group = scene.invite(&inbox);
        again.reads(&group, point);
        again.exit();
        scene.one_key_package(who, &installation, point);
        first.reads(&group, point);
    }
}

#[test]
fn a_registration_killed_before_it_was_signed_leaves_nothing() {
    let scene = Scene::new();
    let mut killed = Driver::start();
    let mut create = scene.create(1);
    create["name"] = json!({ "identifier": wallet(1).address() });
    killed.call(create);
    killed.process.kill();
    is_new(&scene.url, scene.folder.path(), 1);
    Driver::open(&scene.url, scene.folder.path(), 1).exit();
}

#[test]
fn a_renewal_killed_at_any_step_ends_with_one_key_package_that_works() {
    let mut scene = Scene::new();
    for (who, point) in (1..).zip(RENEWING) {
        Driver::open(&scene.url, scene.folder.path(), who).exit();
        let (mut it, installation) = scene.reopen(who, 0);
        let inbox = it.inbox.clone();
        let group = scene.invite(&inbox);
        it.reads(&group, point);
        it.exit();

        // A package that was used is replaced after five seconds: this clock says that they are over.
        let (it, _) = scene.reopen(who, 10);
        it.kill_at(point, json!({ "op": "run_due" }));
        // Somebody invites while the process is dead, with whatever package the network has.
        let meanwhile = scene.invite(&inbox);
        let (mut again, same) = scene.reopen(who, 10);
        assert_eq!(same, installation, "{point}");
        again.reads(&meanwhile, point);
        again.call(json!({ "op": "run_due" }));
        assert_eq!(scene.installations(&inbox), std::slice::from_ref(&installation), "{point}");
        let group = scene.invite(&inbox);
        again.reads(&group, point);
        again.exit();
        scene.one_key_package(who, &installation, point);
    }
}
