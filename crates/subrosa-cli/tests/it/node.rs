use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
};

use crate::run::{run, subrosa};

#[test]
fn a_node_says_where_it_listens_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = subrosa()
        .args(["node", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("listening on ").unwrap();
    TcpStream::connect(address).unwrap();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_node_says_what_else_it_does() {
    let mut child = subrosa()
        .args(["node", "--memory", "--listen", "127.0.0.1:0", "--validation", "127.0.0.1:0"])
        .args(["--chain", "31337=http://127.0.0.1:9"])
        .env("CHAIN_RPC_1", "http://127.0.0.1:9")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |prefix: &str| lines.next().unwrap().strip_prefix(prefix).unwrap().to_owned();
    let (listening, validation) = (next("listening on "), next("validation on "));
    assert_ne!(listening, validation);
    TcpStream::connect(validation).unwrap();
    assert_eq!(next("contract wallets on chain "), "1, 31337");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_unusable_endpoint_of_a_chain_is_wrong_usage() {
    for bad in ["1", "one=http://127.0.0.1:9", "1=127.0.0.1:9"] {
        let ran = run(&["node", "--memory", "--listen", "127.0.0.1:0", "--chain", bad], b"");
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn a_node_without_a_place_for_its_data_is_wrong_usage() {
    let ran = run(&["node", "--listen", "127.0.0.1:0"], b"");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--memory"), "{}", ran.stderr);
}
