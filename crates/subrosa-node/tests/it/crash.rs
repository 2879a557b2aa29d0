//! A node that is killed loses nothing it acknowledged and uses no id twice (N1, N5).

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use subrosa_envelope::GroupMessageInput;
use subrosa_identity::{ChainVerdicts, WalletKey};
use subrosa_node::{Node, NodeConfig, OpenError};
use subrosa_transport::{GrpcNetwork, Network, RetryPolicy};
use subrosa_types::{GroupId, SequenceId};
use tokio::sync::mpsc;

use crate::{
    identity::Account,
    support::{ids, mls_message, read_all, send},
};

const GROUP: [u8; 16] = [7; 16];
const FOLDER: &str = "SUBROSA_NODE_TEST_FOLDER";

/// Not a test by itself: the process that gets killed.
#[test]
fn child_process_serves() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Node::open(NodeConfig::at(folder)).unwrap();
        let mut served = node.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        println!("\nlistening on {}", served.address);
        served.ended().await.unwrap();
    });
}

/// A child that is killed when it is dropped, too.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path) -> (Killed, GrpcNetwork) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_process_serves", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    let address = address.expect("the child serves");
    let network = GrpcNetwork::connect_lazy(&format!("http://{address}")).unwrap();
    (Killed(child), network.with_retry(RetryPolicy::none()))
}

fn message(text: &str) -> GroupMessageInput {
    GroupMessageInput { data: mls_message(&GROUP, 1, text.as_bytes()), sender_hmac: vec![], should_push: false }
}

async fn stored(network: &GrpcNetwork) -> BTreeMap<u64, Vec<u8>> {
    let (group, mut after, mut all) = (GroupId::from_slice(&GROUP).unwrap(), SequenceId::START, BTreeMap::new());
    loop {
        let page = network.query_group_messages(&group, after).await.unwrap();
        after = page.last().unwrap_or(after);
        all.extend(page.items.into_iter().map(|received| (received.sequence.0, received.item.unwrap().data)));
        if !page.more {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_loses_nothing_and_reuses_no_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut before: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for round in 0..3 {
        let (mut child, network) = start(folder.path());
        let found = stored(&network).await;
        for (id, data) in &before {
            assert_eq!(found.get(id), Some(data), "id {id} kept its message");
        }
        let newest = found.keys().next_back().copied().unwrap_or(0);

        let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
        for publisher in 0..4 {
            let (network, acknowledge) = (network.clone(), acknowledge.clone());
            tokio::spawn(async move {
                for i in 0.. {
                    let text = format!("{round} {publisher} {i}");
                    if network.send_group_messages(vec![message(&text)]).await.is_err() {
                        return;
                    }
                    let _ = acknowledge.send(message(&text).data);
                }
            });
        }
        drop(acknowledge);
        let mut sure = Vec::new();
        while let Some(data) = acknowledged.recv().await {
            sure.push(data);
            if sure.len() == 100 {
                child.0.kill().unwrap();
            }
        }
        drop((child, network));

        let (_child, network) = start(folder.path());
        let after = stored(&network).await;
        for data in sure {
            assert!(after.values().any(|stored| *stored == data), "an acknowledged message is lost");
        }
        assert!(after.keys().filter(|id| **id > newest).count() >= 100);
        before = after;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_between_identity_updates_keeps_log_and_index_together() {
    let folder = tempfile::tempdir().unwrap();
    let account = Account::new(1);
    let wallet = |number: u8| WalletKey::from_bytes(&[number; 32]).unwrap();
    let (mut child, network) = start(folder.path());
    network.publish_identity_update(account.registration()).await.unwrap();
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    for publisher in 0..4_u8 {
        let (network, acknowledge) = (network.clone(), acknowledge.clone());
        let updates: Vec<_> = (0..50_u8).map(|i| 2 + publisher * 50 + i).collect();
        let updates =
            updates.into_iter().map(|n| (n, account.link(&wallet(n), 2_000 + i64::from(n)))).collect::<Vec<_>>();
        tokio::spawn(async move {
            for (number, update) in updates {
                if network.publish_identity_update(update).await.is_err() {
                    return;
                }
                let _ = acknowledge.send(number);
            }
        });
    }
    drop(acknowledge);
    let mut sure = Vec::new();
    while let Some(number) = acknowledged.recv().await {
        sure.push(number);
        if sure.len() == 20 {
            child.0.kill().unwrap();
        }
    }
    drop((child, network));

    let (_child, network) = start(folder.path());
    let log = network.identity_updates(&[(account.inbox, SequenceId::START)]).await.unwrap().remove(0);
    let updates: Vec<_> = log.into_iter().map(|entry| entry.update.unwrap()).collect();
    // Every entry was judged on those before it.
    let state = subrosa_node::associations(&[], &updates, &ChainVerdicts::none()).unwrap().state;
    for number in 2..=201 {
        let identifier = wallet(number).identifier();
        let is_member = state.has_member(&identifier.clone().into());
        assert!(is_member || !sure.contains(&number), "an acknowledged update is lost");
        let found = network.inbox_ids(&[identifier]).await.unwrap()[0];
        assert_eq!(found, is_member.then_some(account.inbox), "log and index agree about {number}");
    }
    network.publish_identity_update(account.link(&wallet(250), 9_000)).await.unwrap();
    assert!(network.publish_identity_update(account.link(&wallet(sure[0]), 2_000 + i64::from(sure[0]))).await.is_err());
}

#[tokio::test]
async fn ids_go_on_after_a_restart_even_when_the_newest_were_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let config = || NodeConfig {
        retention: subrosa_node::Retention { messages: Some(std::time::Duration::ZERO), ..Default::default() },
        ..NodeConfig::at(folder.path())
    };
    let node = Node::open(config()).unwrap();
    send(&node, (0..5).map(|i| mls_message(&GROUP, 1, &[i])).collect()).await.unwrap();
    while node.prune().await.unwrap() == 0 {}
    drop(node);
    let node = Node::open(config()).unwrap();
    assert!(read_all(&node, &GROUP).await.is_empty());
    send(&node, vec![mls_message(&GROUP, 1, b"next")]).await.unwrap();
    assert_eq!(ids(&read_all(&node, &GROUP).await), [6]);
}

#[tokio::test]
async fn a_folder_belongs_to_one_node_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open(NodeConfig::at(folder.path())).unwrap();
    assert!(matches!(Node::open(NodeConfig::at(folder.path())), Err(OpenError::Locked { .. })));
    drop(node);
    Node::open(NodeConfig::at(folder.path())).unwrap();
}
