//! Reads test vectors, for tests of every crate.
//!
//! The folder is `vectors/` of the repository, or the one that `SUBROSA_VECTORS` names, so that other people's
//! vectors of the same format can be run. A family is a folder (`wire/decrypted`: all its files) or the start of a
//! file name (`identity/inbox_ids`: `inbox_ids.json`, `inbox_ids_more.json`, …).
#![allow(clippy::panic, clippy::expect_used, reason = "a test helper: a bad vector file must stop the test")]

use std::{fs, path::PathBuf};

use serde_json::Value;

/// The files of one family and how many cases were taken from them.
#[must_use = "call `finish`, which fails when nothing was tested"]
pub struct Family {
    name: String,
    files: Vec<(String, Value)>,
    cases: usize,
}

impl Family {
    /// Loads every file of the family. A family of which the folder holds no file is empty, not an error.
    pub fn load(name: &str) -> Self {
        let root = folder();
        let (folder, prefix) = if root.join(name).is_dir() {
            (root.join(name), String::new())
        } else {
            let path = root.join(name);
            let prefix = path.file_name().expect("a family has a name").to_string_lossy().into_owned();
            (path.parent().expect("a family has a folder").to_path_buf(), prefix)
        };
        let mut files: Vec<(String, Value)> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("the folder can be read").path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .map(|path| (path.file_name().expect("a file has a name").to_string_lossy().into_owned(), path))
            .filter(|(file, _)| file.starts_with(&prefix))
            .map(|(file, path)| {
                let text = fs::read_to_string(&path).expect("the vector file can be read");
                let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                (file, value)
            })
            .collect();
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Self { name: name.to_owned(), files, cases: 0 }
    }

    /// Runs `check` on each file (name and content); it returns how many cases it tested.
    pub fn each(mut self, mut check: impl FnMut(&str, &Value) -> usize) -> Self {
        for (file, value) in &self.files {
            self.cases += check(file, value);
        }
        self
    }

    /// Prints the counts.
    ///
    /// # Panics
    /// When there were files but no case.
    pub fn finish(self) {
        println!("vectors: family {} files {} cases {}", self.name, self.files.len(), self.cases);
        assert!(self.files.is_empty() || self.cases > 0, "family {} has files but no case was tested", self.name);
    }
}

/// The folder the vectors are read from.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("SUBROSA_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")), PathBuf::from)
}

/// The items of a list; none if there is no list. Files of other people may leave out a section.
///
/// # Panics
/// When the value is something else.
#[must_use]
pub fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(items) => items,
        other => panic!("list expected, got {other}"),
    }
}

/// The bytes of a hex text.
///
/// # Panics
/// When the value is not hex text.
#[must_use]
pub fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("hex text expected, got {value}"));
    assert!(text.len().is_multiple_of(2), "odd hex");
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap_or_else(|_| panic!("not hex: {text}")))
        .collect()
}

/// The text of a value.
///
/// # Panics
/// When it is not text.
#[must_use]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("text expected, got {value}"))
}

/// An unsigned number given as a number or as decimal text.
///
/// # Panics
/// When it is neither.
#[must_use]
pub fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .or_else(|| value.as_str().and_then(|t| t.parse().ok()))
        .unwrap_or_else(|| panic!("number expected, got {value}"))
}
