//! The standard input, line by line, for asynchronous code.

use std::io::{self, BufRead as _};

use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Lines read ahead.
const AHEAD: usize = 64;

/// The lines of the standard input, wiped when they are dropped: they may hold keys. A thread reads them, which may be
/// left behind when the process ends.
pub(crate) fn read() -> mpsc::Receiver<Zeroizing<String>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(Zeroizing::new(line)).is_err() {
                return;
            }
        }
    });
    receiver
}
