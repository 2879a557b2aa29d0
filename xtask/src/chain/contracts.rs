//! Solidity to checked-in creation code, so that a build needs no compiler.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::tools;
use crate::{
    Failed, npm, repository,
    run::{files, say, shown},
};

/// Folders of sources. The code of each contract is put beside its source, in hex.
const FOLDERS: &[&str] = &["crates/subrosa-chain/contracts", "crates/subrosa-testkit/contracts"];

/// Compiles all contracts and writes their code, or with `check` compares it with what is checked in.
pub(crate) fn contracts(check: bool) -> Result<(), Failed> {
    let compiler = tools()?.join("solc/solc.js");
    let mut count = 0;
    for folder in FOLDERS {
        let folder = repository().join(folder);
        let compiled = compile(&compiler, &folder)?;
        count += compiled.len();
        install(&folder, &compiled, check)?;
    }
    say(&format!("contracts: {count} {}", if check { "are up to date" } else { "written" }));
    Ok(())
}

/// The creation code of every contract in a folder, by name, in hex.
fn compile(compiler: &Path, folder: &Path) -> Result<BTreeMap<String, String>, Failed> {
    let mut sources = serde_json::Map::new();
    for path in files(folder, &["sol"])? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sources.insert(name, json!({ "content": fs::read_to_string(&path)? }));
    }
    let mut child = Command::new(npm::node()?)
        .arg(compiler)
        .arg("--standard-json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input(sources).to_string().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // The compiler may say where it looks for sources before it answers.
    let output: Value = serde_json::from_str(text.find('{').map_or("", |start| &text[start..]))?;
    creation_code(&output)
}

/// Settings that leave nothing to the machine: no hash of the sources in the code, and no instruction that a chain
/// of 2022 did not have, because other people's chains run it.
fn input(sources: serde_json::Map<String, Value>) -> Value {
    json!({
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "evmVersion": "paris",
            "optimizer": { "enabled": true, "runs": 200 },
            "metadata": { "bytecodeHash": "none", "appendCBOR": false },
            "outputSelection": { "*": { "*": ["evm.bytecode.object"] } },
        },
    })
}

fn creation_code(output: &Value) -> Result<BTreeMap<String, String>, Failed> {
    let complaints: Vec<&str> =
        output["errors"].as_array().into_iter().flatten().filter_map(|e| e["formattedMessage"].as_str()).collect();
    if !complaints.is_empty() {
        return Err(Failed(format!("contracts: {}", complaints.join("\n"))));
    }
    let mut code = BTreeMap::new();
    for contracts in output["contracts"].as_object().into_iter().flat_map(serde_json::Map::values) {
        for (name, contract) in contracts.as_object().into_iter().flatten() {
            match contract["evm"]["bytecode"]["object"].as_str() {
                Some(object) if !object.is_empty() => code.insert(name.clone(), format!("{object}\n")),
                _ => return Err(Failed(format!("contracts: {name} has no code"))),
            };
        }
    }
    if code.is_empty() { Err(Failed("contracts: nothing was compiled".into())) } else { Ok(code) }
}

fn install(folder: &Path, compiled: &BTreeMap<String, String>, check: bool) -> Result<(), Failed> {
    let path = |name: &str| folder.join(name).with_extension("hex");
    for (name, code) in compiled {
        if !check {
            fs::write(path(name), code)?;
        } else if fs::read_to_string(path(name)).ok().as_ref() != Some(code) {
            return Err(Failed(format!("{} is stale: run `cargo xtask contracts`", shown(&path(name)))));
        }
    }
    for stale in files(folder, &["hex"])?.into_iter().filter(|p| !compiled.keys().any(|name| path(name) == *p)) {
        if check {
            return Err(Failed(format!("{} has no source", shown(&stale))));
        }
        fs::remove_file(stale)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_of_the_compiler_fails_even_if_there_is_code() {
        let contracts = json!({ "A.sol": { "A": { "evm": { "bytecode": { "object": "6000" } } } } });
        let fine = creation_code(&json!({ "contracts": contracts })).unwrap();
        assert_eq!(fine, BTreeMap::from([("A".to_owned(), "6000\n".to_owned())]));
        let errors = json!([{ "formattedMessage": "shadowed" }]);
        assert!(creation_code(&json!({ "contracts": contracts, "errors": errors })).is_err());
        assert!(creation_code(&json!({})).is_err());
    }
}
