//! Running other programs and talking to the person at the terminal.

/// Prints one line of progress.
pub(crate) fn say(line: &str) {
    println!("xtask: {line}");
}
