//! What was found out, as a tree: for people aligned text, for programs JSON with the same names in the same order.

use std::fmt::Write as _;

use serde::{Serialize, Serializer, ser::SerializeMap};
use subrosa_types::hex;

use crate::printable::{json, line};

/// Bytes shown in text before they are cut.
const SHOWN_BYTES: usize = 32;

/// Widest column of labels, in characters.
const MAX_COLUMN: usize = 34;

/// One value.
pub(crate) enum Fact {
    /// Text, perhaps written by others.
    Text(String),
    /// Bytes: hex, in text cut to the first ones.
    Bytes(Vec<u8>),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Several values of one kind.
    List(Vec<Fact>),
    /// Facts about one part.
    Part(Facts),
}

/// Named values in order.
#[derive(Default)]
pub(crate) struct Facts(Vec<(&'static str, Fact)>);

impl Facts {
    /// No facts yet.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one. Names are in snake case.
    pub(crate) fn add(&mut self, name: &'static str, fact: impl Into<Fact>) -> &mut Self {
        self.0.push((name, fact.into()));
        self
    }

    /// The same, for building in one expression.
    pub(crate) fn with(mut self, name: &'static str, fact: impl Into<Fact>) -> Self {
        self.add(name, fact);
        self
    }

    /// Aligned text.
    pub(crate) fn text(&self) -> String {
        let column = self.column(0).min(MAX_COLUMN);
        let mut text = String::new();
        self.write(&mut text, 0, column);
        text
    }

    /// JSON, indented.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| json(&text))
    }

    /// Width that the labels need.
    fn column(&self, depth: usize) -> usize {
        let width = |(name, fact): &(&str, Fact)| match fact {
            Fact::Part(facts) => facts.column(depth + 1),
            Fact::List(items) => {
                let parts =
                    items.iter().filter_map(|item| if let Fact::Part(facts) = item { Some(facts) } else { None });
                parts.map(|facts| facts.column(depth + 1)).max().unwrap_or(2 * depth + name.len())
            }
            _ => 2 * depth + name.len(),
        };
        self.0.iter().map(width).max().unwrap_or(0)
    }

    fn write(&self, text: &mut String, depth: usize, column: usize) {
        for (name, fact) in &self.0 {
            let label = format!("{:1$}{2}", "", 2 * depth, name.replace('_', " "));
            fact.write(text, &label, depth, column);
        }
    }
}

impl Fact {
    fn write(&self, text: &mut String, label: &str, depth: usize, column: usize) {
        match self {
            Self::Part(facts) => {
                let _ = writeln!(text, "{label}");
                facts.write(text, depth + 1, column);
            }
            Self::List(items) if items.is_empty() => row(text, label, column, "none"),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let label = match item {
                        Self::Part(_) => format!("{label} {}", index + 1),
                        _ if index == 0 => label.to_owned(),
                        _ => String::new(),
                    };
                    item.write(text, &label, depth, column);
                }
            }
            Self::Text(value) => {
                let mut label = label;
                for part in value.split('\n') {
                    row(text, label, column, &line(part));
                    label = "";
                }
            }
            Self::Bytes(bytes) if bytes.is_empty() => row(text, label, column, "empty"),
            Self::Bytes(bytes) if bytes.len() > SHOWN_BYTES => {
                let start = hex::encode(&bytes[..SHOWN_BYTES]);
                row(text, label, column, &format!("{start}… ({} bytes)", bytes.len()));
            }
            Self::Bytes(bytes) => row(text, label, column, &hex::encode(bytes)),
            Self::Number(number) => row(text, label, column, &number.to_string()),
            Self::Flag(flag) => row(text, label, column, if *flag { "yes" } else { "no" }),
        }
    }
}

fn row(text: &mut String, label: &str, column: usize, value: &str) {
    let line = format!("{label:column$}  {value}");
    text.push_str(line.trim_end());
    text.push('\n');
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, fact) in &self.0 {
            map.serialize_entry(name, fact)?;
        }
        map.end()
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_str(&hex::encode(bytes)),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(items) => items.serialize(serializer),
            Self::Part(facts) => facts.serialize(serializer),
        }
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Fact {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Fact {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Fact {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Fact {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Facts> for Fact {
    fn from(facts: Facts) -> Self {
        Self::Part(facts)
    }
}

impl FromIterator<Fact> for Fact {
    fn from_iter<I: IntoIterator<Item = Fact>>(items: I) -> Self {
        Self::List(items.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts::new()
            .with("kind", "a\u{1b}b")
            .with("life_time", Facts::new().with("ok", true).with("not_before", 7_u64))
            .with("types", [Fact::from("x"), "y".into()].into_iter().collect::<Fact>())
            .with("data", vec![0xab; 40])
    }

    #[test]
    fn text_is_aligned_and_safe() {
        let want = "kind          a\\u{1b}b\n\
                    life time\n  \
                      ok          yes\n  \
                      not before  7\n\
                    types         x\n              y\n";
        let text = facts().text();
        assert!(text.starts_with(want), "{text}");
        assert!(text.ends_with("abab… (40 bytes)\n"), "{text}");
    }

    #[test]
    fn json_keeps_names_and_order() {
        let text = facts().json().unwrap();
        assert!(text.find("kind") < text.find("life_time"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["life_time"]["not_before"], 7);
        assert_eq!(value["kind"], "a\u{1b}b");
        assert_eq!(value["data"].as_str().unwrap().len(), 80);
    }
}
