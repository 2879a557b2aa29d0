//! Files that hold identity logs: reading cases one at a time, and saving a log.
//!
//! The format is that of the association-log vectors. A file has `cases`, or is itself one case; a case has
//! `inbox_id` and `log`, a list of `{"sequence_id": 3, "update": "hex of an IdentityUpdate, or null"}`. Everything
//! else is optional, and unknown members are ignored.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use subrosa_identity::Verdict;
use subrosa_types::{InboxId, SequenceId, UnixNanos, hex};

use super::replay::{Entry, in_order};

/// One log of a file, with what the file says about it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) description: String,
    /// Whose log it should be; `None` if the file does not say so.
    pub(super) inbox: Option<InboxId>,
    /// What a chain answers about contract wallets.
    pub(super) chains: Verdict,
    /// In order.
    pub(super) entries: Vec<Entry>,
    /// The case as it was read.
    pub(super) raw: Value,
}

/// What is wrong with a file, and where.
#[derive(Debug)]
pub(super) struct Malformed(pub(super) String);

impl Case {
    /// Reads a case; `index` counts from 0.
    pub(super) fn read(index: usize, raw: Value) -> Result<Self, Malformed> {
        let name = raw["name"].as_str().map_or_else(|| format!("case {}", index + 1), str::to_owned);
        let place = |what: String| Malformed(format!("case {} ({name:?}): {what}", index + 1));
        let inbox = match &raw["inbox_id"] {
            Value::Null => None,
            id => Some(inbox_id(id).ok_or_else(|| place("inbox_id is not 64 hex digits".to_owned()))?),
        };
        let log = raw["log"].as_array().ok_or_else(|| place("log is not a list".to_owned()))?;
        let entries = log.iter().enumerate().map(|(index, entry)| {
            read_entry(entry).map_err(|what| place(format!("entry {} of the log: {what}", index + 1)))
        });
        let entries = in_order(entries.collect::<Result<_, _>>()?);
        let chains = match raw["smart_contract_verifier"].as_str() {
            Some("accepts everything") => Verdict::Valid,
            Some("rejects everything") => Verdict::Invalid,
            _ => Verdict::Unknown,
        };
        let description = raw["description"].as_str().unwrap_or_default().to_owned();
        Ok(Self { name, description, inbox, chains, entries, raw })
    }

    /// Whose log it should be. A log without inbox is that of the inbox it says it is for.
    pub(super) fn inbox(&self) -> InboxId {
        let said = || self.entries.iter().find_map(|entry| entry.update.as_ref().ok()?.inbox_id_text().parse().ok());
        // A log in which no update names an inbox has no state, whoever asks.
        self.inbox.or_else(said).unwrap_or_else(|| InboxId::from_bytes([0; 32]))
    }
}

fn inbox_id(value: &Value) -> Option<InboxId> {
    value.as_str()?.parse().ok()
}

fn read_entry(entry: &Value) -> Result<Entry, String> {
    let sequence = number(&entry["sequence_id"]).ok_or("sequence_id is not a number of 64 bits")?;
    if sequence == 0 {
        return Err("sequence_id is 0, which no entry has".to_owned());
    }
    let stored = match &entry["server_timestamp_ns"] {
        Value::Null => None,
        time => Some(UnixNanos::from_wire(number(time).ok_or("server_timestamp_ns is not a number of 64 bits")?)),
    };
    let update = match &entry["update"] {
        Value::Null => None,
        Value::String(text) => Some(hex::decode(text).ok_or("update is not hex")?),
        _ => return Err("update is neither hex nor null".to_owned()),
    };
    Ok(Entry::new(SequenceId(sequence), stored, update))
}

/// A number, or one written as decimal string.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A log in the format that [`Case::read`] reads.
pub(super) fn saved(inbox: InboxId, entries: &[Entry]) -> Value {
    let entry = |entry: &Entry| {
        json!({
            "sequence_id": entry.sequence.0,
            "server_timestamp_ns": entry.stored.map(|time| time.to_wire().to_string()),
            "update": entry.bytes.as_deref().map(hex::encode),
        })
    };
    json!({ "inbox_id": inbox.to_hex(), "log": entries.iter().map(entry).collect::<Vec<_>>() })
}

/// Hands each case of a file to `each` as it is read, so that only one is in memory; answers everything else that the
/// file holds. A file without `cases` is one case.
pub(super) fn for_each_case(
    bytes: &[u8],
    each: &mut dyn FnMut(usize, Value) -> bool,
) -> serde_json::Result<Map<String, Value>> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut rest = reader.deserialize_any(File { each })?;
    reader.end()?;
    if rest.contains_key("log") {
        each(0, Value::Object(std::mem::take(&mut rest)));
    }
    Ok(rest)
}

struct File<'a> {
    each: &'a mut dyn FnMut(usize, Value) -> bool,
}

impl<'de> Visitor<'de> for File<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with cases, or one case with a log")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut rest = Map::new();
        let mut cases = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "cases" {
                cases = true;
                map.next_value_seed(Cases { each: &mut *self.each })?;
            } else {
                rest.insert(key, map.next_value()?);
            }
        }
        if cases {
            rest.remove("log");
        } else if !rest.contains_key("log") {
            return Err(A::Error::custom("there are neither `cases` nor a `log`"));
        }
        Ok(rest)
    }
}

struct Cases<'a> {
    each: &'a mut dyn FnMut(usize, Value) -> bool,
}

impl<'de> DeserializeSeed<'de> for Cases<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Cases<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of cases")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        let mut wanted = true;
        while let Some(case) = seq.next_element()? {
            wanted = wanted && (self.each)(index, case);
            index += 1;
        }
        Ok(())
    }
}
