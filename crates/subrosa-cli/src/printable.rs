//! Text of others on our terminal: nothing in it may act on the terminal or pass for our own words.

use std::fmt::Write as _;

/// One line: control characters, line breaks and characters that hide or reorder text are escaped.
pub(crate) fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if acts(character) { safe.extend(character.escape_default()) } else { safe.push(character) }
    }
    safe
}

/// One line of at most `limit` characters; what is cut is marked.
pub(crate) fn short(text: &str, limit: usize) -> String {
    let mut start: String = text.chars().take(limit).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    line(&start)
}

/// JSON text that is safe to show: what could act on a terminal becomes an escape of JSON.
pub(crate) fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if acts(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// The first bytes of an id: enough to tell a few apart.
pub(crate) fn start(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// Control characters, and those without width or that change the direction of text.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped() {
        assert_eq!(line("a\u{1b}[31m\nb\u{202e}c\u{9b}"), "a\\u{1b}[31m\\nb\\u{202e}c\\u{9b}");
        assert_eq!(line("grüße 👍"), "grüße 👍");
        assert_eq!(short("abcdef", 3), "abc…");
    }

    #[test]
    fn safe_json_still_says_the_same() {
        let text = "a\u{9b}\u{202e}\u{e0001}\u{1b}";
        let shown = json(&serde_json::to_string(text).unwrap());
        assert!(shown.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
