//! What the demo prints: one line per step, then tables.

use std::time::{Duration, Instant};

use serde::Serialize;

pub(super) use crate::paint::Style;
use crate::{failure::Failure, output, paint::Paint};

/// Width of the column of titles.
const TITLE: usize = 62;

/// One step that was taken.
#[derive(Serialize)]
pub(super) struct Step {
    step: String,
    milliseconds: u128,
}

/// Prints steps and tables, or stays silent.
pub(super) struct Show {
    silent: bool,
    paint: Paint,
    started: Instant,
    pub(super) steps: Vec<Step>,
}

impl Show {
    pub(super) fn new(silent: bool) -> Self {
        Self { silent, paint: Paint::stdout(), started: Instant::now(), steps: Vec::new() }
    }

    /// A text in a style, if the output is a terminal.
    pub(super) fn styled(&self, style: Style, text: &str) -> String {
        self.paint.styled(style, text)
    }

    /// Prints a line.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        if self.silent { Ok(()) } else { output::print(&format!("{text}\n")) }
    }

    /// A step is done: what, why and how long it took since the last.
    pub(super) fn done(&mut self, title: &str, why: &str) -> Result<(), Failure> {
        let took = self.started.elapsed();
        self.started = Instant::now();
        self.steps.push(Step { step: title.to_owned(), milliseconds: took.as_millis() });
        let tick = self.styled(Style::Good, "✓");
        let time = self.styled(Style::Faint, &milliseconds(took));
        self.line(&format!(" {tick} {title:TITLE$} {time}"))?;
        self.line(&format!("   {}", self.styled(Style::Faint, why)))
    }

    /// A table: the first row is its head.
    pub(super) fn table(&self, rows: &[Vec<(Style, String)>]) -> Result<(), Failure> {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| rows.iter().filter_map(|row| Some(row.get(column)?.1.chars().count())).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in rows {
            let mut line = String::from("  ");
            for ((style, text), width) in row.iter().zip(&widths) {
                let padding = width.saturating_sub(text.chars().count());
                line.push_str(&self.styled(*style, text));
                line.extend(std::iter::repeat_n(' ', padding + 2));
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:>6} ms", time.as_millis())
}
