//! `spec`: every citation of the specification leads somewhere.
//!
//! Code cites as `(chapter §n.m)`; further sections of the same chapter may follow on the line. A section of another
//! document is cited with that document's name directly before the sign, such as an RFC number.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    Failed, repository,
    run::{files, say, shown},
};

/// One citation in a text.
#[derive(Debug, PartialEq)]
pub(crate) struct Citation {
    pub(crate) line: usize,
    /// The chapter, or the word that stood in its place.
    pub(crate) chapter: String,
    pub(crate) section: String,
}

/// Sections of each chapter, and whether something cites them.
type Chapters = BTreeMap<String, BTreeMap<Vec<u32>, bool>>;

/// Checks all citations in code, protobuf files and the documents at the root.
pub(crate) fn spec() -> Result<(), Failed> {
    let root = repository();
    let mut chapters = Chapters::new();
    for file in files(&root.join("docs/spec"), &["md"])? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        chapters.insert(name, sections(&fs::read_to_string(&file)?));
    }

    let mut wrong = Vec::new();
    let mut count = 0;
    for file in cited_from(&root)? {
        for citation in citations(&fs::read_to_string(&file)?, &|word| chapters.contains_key(word)) {
            count += 1;
            let place = format!("{}:{}", shown(&file), citation.line);
            match chapters.get_mut(&citation.chapter) {
                None => wrong.push(format!("{place}: `{} §{}` names no chapter", citation.chapter, citation.section)),
                Some(known) => match number(&citation.section).and_then(|n| known.get_mut(&n)) {
                    None => wrong.push(format!("{place}: {} has no §{}", citation.chapter, citation.section)),
                    Some(cited) => *cited = true,
                },
            }
        }
    }
    for (chapter, known) in &chapters {
        let open: Vec<String> = known.iter().filter(|(n, _)| !is_cited(known, n)).map(|(n, _)| dotted(n)).collect();
        say(&format!("spec: {chapter}: {} of {} sections not cited: {}", open.len(), known.len(), open.join(" ")));
    }
    if wrong.is_empty() {
        say(&format!("spec: {count} citations, each leads to a section"));
        return Ok(());
    }
    Err(Failed(format!("spec:\n  {}", wrong.join("\n  "))))
}

fn cited_from(root: &Path) -> Result<Vec<std::path::PathBuf>, Failed> {
    let mut all = files(&root.join("crates"), &["rs"])?;
    all.extend(files(&root.join("proto"), &["proto"])?);
    all.extend(["README.md", "ARCHITECTURE.md", "SECURITY.md"].iter().map(|n| root.join(n)).filter(|p| p.exists()));
    Ok(all)
}

/// A section counts as cited when it, or one inside it, is.
fn is_cited(known: &BTreeMap<Vec<u32>, bool>, section: &[u32]) -> bool {
    known.iter().any(|(n, cited)| *cited && n.starts_with(section))
}

/// The numbered headings of a chapter.
fn sections(text: &str) -> BTreeMap<Vec<u32>, bool> {
    text.lines()
        .filter(|l| l.starts_with("##"))
        .filter_map(|l| l.trim_start_matches('#').split_whitespace().next())
        .filter_map(number)
        .map(|n| (n, false))
        .collect()
}

/// The text of one section, those inside it included.
pub(crate) fn section_text(chapter: &str, section: &str) -> String {
    let wanted = number(section).unwrap_or_default();
    let mut inside = false;
    let mut text = String::new();
    for line in chapter.lines() {
        if line.starts_with("##") {
            let heading = line.trim_start_matches('#').split_whitespace().next().and_then(number);
            inside = heading.is_some_and(|n| n.starts_with(&wanted));
        }
        if inside {
            text += line;
            text.push('\n');
        }
    }
    text
}

/// Parses `3`, `3.` or `3.4.1`.
fn number(text: &str) -> Option<Vec<u32>> {
    text.trim_end_matches('.').split('.').map(|part| part.parse().ok()).collect()
}

fn dotted(number: &[u32]) -> String {
    number.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

/// Finds the citations in a text. Those of other documents (the word before is a number, as in `RFC 9420 §7`) are
/// left out.
pub(crate) fn citations(text: &str, is_chapter: &dyn Fn(&str) -> bool) -> Vec<Citation> {
    let mut found = Vec::new();
    let mut before = String::new(); // the word before, possibly on the line above
    for (index, line) in text.lines().enumerate() {
        let mut chapter: Option<String> = None; // holds until the end of the line
        for word in line.split_whitespace().filter(|w| !matches!(*w, "//" | "///" | "//!" | "#" | "*")) {
            for (position, part) in word.split('§').enumerate() {
                let digits = part.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(part.len());
                let section = part[..digits].trim_end_matches('.');
                if position > 0 && !section.is_empty() {
                    let direct = bare(&before);
                    let foreign = direct.chars().all(|c| c.is_ascii_digit()) && !direct.is_empty();
                    if is_chapter(direct) {
                        chapter = Some(direct.to_owned());
                    } else if foreign && !before.contains('§') {
                        chapter = None;
                        continue;
                    }
                    let chapter = chapter.clone().unwrap_or_else(|| direct.to_owned());
                    found.push(Citation { line: index + 1, chapter, section: section.to_owned() });
                } else if position == 0 && !bare(part).is_empty() {
                    before = part.to_owned();
                }
            }
            if !bare(word).is_empty() {
                before = word.to_owned();
            }
        }
    }
    found
}

/// A word without the punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[(&str, &str)]) {
        let found = citations(text, &|w| matches!(w, "sync" | "groups"));
        let got: Vec<(&str, &str)> = found.iter().map(|c| (c.chapter.as_str(), c.section.as_str())).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn citations_are_found_with_their_chapter() {
        check("/// The rule (groups §3.4).", &[("groups", "3.4")]);
        check("//! (sync §2.3, §2.4 and groups §9.1)", &[("sync", "2.3"), ("sync", "2.4"), ("groups", "9.1")]);
        check("/// wrapped (sync\n/// §2.9.1), fine", &[("sync", "2.9.1")]);
        check("// RFC 9420 §12.4 is another document", &[]);
        check("/// nothing named (§3)", &[("named", "3")]);
    }

    #[test]
    fn numbered_headings_are_sections() {
        let found = sections("# Title\n## 1. One\n### 1.2 Two\n#### 1.2.10 Three\n## Words\n");
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), [vec![1], vec![1, 2], vec![1, 2, 10]]);
    }
}
