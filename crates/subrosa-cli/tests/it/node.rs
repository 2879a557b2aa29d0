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
fn a_node_without_a_place_for_its_data_is_wrong_usage() {
    let ran = run(&["node", "--listen", "127.0.0.1:0"], b"");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--memory"), "{}", ran.stderr);
}
