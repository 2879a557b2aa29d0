//! `limits`: each number in the module of limits stands in a section that its documentation cites.

use std::fs;

use crate::{
    Failed, repository,
    run::say,
    spec::{citations, section_text},
};

const MODULE: &str = "crates/subrosa-envelope/src/limits.rs";

/// One constant with a literal value.
#[derive(Debug, PartialEq)]
struct Limit {
    name: String,
    value: u64,
    documentation: String,
}

/// Compares the constants with the specification.
pub(crate) fn limits() -> Result<(), Failed> {
    let folder = repository().join("docs/spec");
    let limits = literals(&fs::read_to_string(repository().join(MODULE))?);
    let mut wrong = Vec::new();
    for limit in &limits {
        let cited = citations(&limit.documentation, &|word| folder.join(word).with_extension("md").exists());
        let mut found = false;
        for citation in &cited {
            let chapter = fs::read_to_string(folder.join(&citation.chapter).with_extension("md"))?;
            found |= numbers(&section_text(&chapter, &citation.section)).contains(&limit.value);
        }
        if !found {
            let sections: Vec<String> = cited.iter().map(|c| format!("{} §{}", c.chapter, c.section)).collect();
            wrong.push(format!("{} = {} does not stand in {}", limit.name, limit.value, sections.join(" or ")));
        }
    }
    if wrong.is_empty() {
        say(&format!("limits: {} numbers stand in the sections they cite", limits.len()));
        return Ok(());
    }
    Err(Failed(format!("limits:\n  {}", wrong.join("\n  "))))
}

/// The constants of a module whose value is a number, not an expression.
fn literals(text: &str) -> Vec<Limit> {
    let mut found = Vec::new();
    let mut documentation = String::new();
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("///") {
            documentation += words;
            documentation.push('\n');
        } else if let Some((name, rest)) = line.strip_prefix("pub const ").and_then(|l| l.split_once(':')) {
            let value = rest.split_once('=').map(|(_, v)| v.trim().trim_end_matches(';').replace('_', ""));
            if let Some(value) = value.and_then(|v| v.parse().ok()) {
                found.push(Limit { name: name.to_owned(), value, documentation: documentation.clone() });
            }
            documentation.clear();
        } else {
            documentation.clear();
        }
    }
    found
}

/// All numbers in a text; thousands may be set off by a space.
fn numbers(text: &str) -> Vec<u64> {
    let characters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let mut digits = String::new();
        while let Some(digit) = characters.get(at).filter(|c| c.is_ascii_digit()) {
            digits.push(*digit);
            at += 1;
            let group = characters.get(at + 1..at + 4).is_some_and(|g| g.iter().all(char::is_ascii_digit));
            let ends = characters.get(at + 4).is_none_or(|c| !c.is_ascii_digit());
            if matches!(characters.get(at), Some(' ' | '_' | '\u{a0}' | '\u{202f}')) && group && ends {
                found.extend(digits.parse::<u64>());
                at += 1;
            }
        }
        found.extend(digits.parse::<u64>());
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_their_thousands() {
        assert!(numbers("25 MiB (26 214 400) per message").contains(&26_214_400));
        assert!(numbers("100 / 1000 / 2048 / 8192 bytes").contains(&2048));
        assert!(!numbers("limit 2500").contains(&250));
    }

    #[test]
    fn constants_are_read_with_their_documentation() {
        let found = literals(
            "/// Most, of all\n/// (client §14).\npub const MOST: usize = 1_000;\npub const SUM: usize = A + 1;\n",
        );
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].value), ("MOST", 1000));
        assert!(found[0].documentation.contains("(client §14)"));
    }
}
