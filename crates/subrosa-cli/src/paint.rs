//! Styles on a terminal, and text with nothing of others that could act on it.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use crate::printable::short;

/// How a text stands out on a terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    Plain,
    Good,
    Bad,
    Bold,
    Faint,
}

/// Whether styles are shown.
#[derive(Clone, Copy)]
pub(crate) struct Paint {
    colour: bool,
}

impl Paint {
    /// For the standard output: only a terminal gets styles, unless `NO_COLOR` is set.
    pub(crate) fn stdout() -> Self {
        Self { colour: io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    /// Without styles.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    /// A text in a style.
    pub(crate) fn styled(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Good => "32",
            Style::Bad => "31;1",
            Style::Bold => "1",
            Style::Faint => "2",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Longest part of a line in characters. What peers wrote may be much longer.
const LONGEST: usize = 600;

/// Lines made of parts. Every part is escaped, whoever wrote it.
pub(crate) struct Page {
    paint: Paint,
    text: String,
}

impl Page {
    /// Nothing yet.
    pub(crate) const fn new(paint: Paint) -> Self {
        Self { paint, text: String::new() }
    }

    /// Adds a line.
    pub(crate) fn row(&mut self, indent: usize, parts: &[(Style, &str)]) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        for (style, part) in parts {
            self.text.push_str(&self.paint.styled(*style, &short(part, LONGEST)));
        }
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    /// Adds an empty line.
    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_row_is_escaped_and_bounded() {
        let mut page = Page::new(Paint::plain());
        page.row(2, &[(Style::Bad, "a\u{1b}[2J\n"), (Style::Plain, &"x".repeat(LONGEST + 1))]);
        let text = page.finish();
        assert!(text.starts_with("  a\\u{1b}[2J\\nxxx") && text.ends_with("x…\n"), "{text}");
    }
}
