//! The comparison, as a page of documentation. The same samples give the same page.

use std::{fmt::Write, fs, process::Command, thread};

use super::{
    samples::{Measurement, Samples},
    today,
};
use crate::{Failed, run::output};

/// What a table is about, what was done exactly, and its rows: the name in the results and the words on the page.
type Table = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const TABLES: &[Table] = &[
    (
        "Registering",
        "A new wallet, a new database: open, make the keys, publish the identity update and the key package. The time \
         the wallet itself takes to sign is left out.",
        &[
            ("create client + register, encrypted file db", "register, encrypted file"),
            ("create client + register, in-memory db", "register, in memory"),
            ("register 210 clients in sequence, per client", "register 210 in a row, in memory, each"),
        ],
    ),
    (
        "Creating a group",
        "From the call until the group has all its members here and their welcomes are on the node. Sizes count the \
         creator. Cold: a new client that has never seen these members. Warm: the same client once more with the same \
         members.",
        &[
            ("create group, 2 members in total, never met", "2 members, cold"),
            ("create group, 2 members in total", "2 members, warm"),
            ("create group, 10 members in total, never met", "10 members, cold"),
            ("create group, 10 members in total", "10 members, warm"),
            ("create group, 50 members in total, never met", "50 members, cold"),
            ("create group, 50 members in total", "50 members, warm"),
            ("create group, 100 members in total, never met", "100 members, cold"),
            ("create group, 100 members in total", "100 members, warm"),
            ("create group, 200 members in total, never met", "200 members, cold"),
            ("create group, 200 members in total", "200 members, warm"),
            ("create dm", "direct message, cold"),
        ],
    ),
    (
        "Changing a group",
        "From the call until the change is merged here. The ten are met when the first group adds them, and known from \
         then on.",
        &[
            ("add 10 members to a group of 100", "add 10 to a group of 100"),
            ("remove 10 members from a group of 110", "remove 10 of a group of 110"),
            ("update group name, 2 members", "change the name, 2 members"),
        ],
    ),
    (
        "Sending",
        "From the call until the message is on the node and marked as published in the database.",
        &[
            ("send 1 message, group of 2", "one message, group of 2"),
            ("send 1 message, group of 100", "one message, group of 100"),
            ("send 100 messages one after another", "100 messages, one after another"),
            ("send 100 messages optimistically, then publish", "100 messages: queue each, publish all"),
            ("of which publishing", "of which the publishing"),
        ],
    ),
    (
        "Receiving",
        "The messages of another client in the same process wait on the node; from the call to sync until all of them \
         can be read from the database. The stream is open before anything is sent: from the sender's call until the \
         receiver's application holds the message.",
        &[
            ("sync one welcome (join group of 2)", "join a group of 2"),
            ("sync one welcome (join group of 100)", "join a group of 100"),
            ("sync 100 messages of one group at a second client", "read 100 messages"),
            ("sync 1000 messages of one group at a second client", "read 1 000 messages"),
            ("send to stream callback at the other client", "stream: from send to arrival"),
        ],
    ),
    (
        "Many groups",
        "One call that syncs everything: new welcomes, then each group of 2 that has news. Quiet: no group has any. \
         Busy: each has one message.",
        &[
            ("syncAll joining 100 new groups (welcomes)", "join 100 groups"),
            ("syncAll over 100 groups with nothing new", "100 groups, quiet"),
            ("syncAll over 100 groups with one new message each", "100 groups, busy"),
            ("syncAll joining 50 new groups (welcomes)", "join 50 groups"),
            ("syncAll over 50 groups with nothing new", "50 groups, quiet"),
            ("syncAll over 50 groups with one new message each", "50 groups, busy"),
        ],
    ),
    (
        "From the database",
        "No network. Reopening is from the call until the client can be used, with a database of 100 groups.",
        &[
            ("reopen the database of 100 groups", "reopen"),
            ("list 100 conversations", "list 100 conversations"),
            ("listMessages over 1000 stored messages", "list 1 000 messages"),
        ],
    ),
    (
        "Disk and memory",
        "Disk: what a receiver's database with everything beside it grows by, closed before and after. Memory: resident \
         memory of the process after 33 clients less that after 3, through 30; each client is new, has its database \
         open, and has done nothing but register.",
        &[
            ("receiver db growth for 1000 messages", "disk for 1 000 received messages"),
            ("memory per additional client, encrypted file", "memory for one more client"),
        ],
    ),
];

/// What a reader has to know to judge the figures.
pub(crate) struct Circumstances {
    date: String,
    quick: bool,
    rounds: usize,
    release: bool,
    compiler: String,
    cores: usize,
    /// Processes that wanted to run, on average of the minute before.
    load: Option<f64>,
}

impl Circumstances {
    /// Those of a run that begins now.
    pub(crate) fn now(quick: bool, rounds: usize, release: bool) -> Result<Self, Failed> {
        let compiler = output(Command::new("rustc").arg("--version"))?;
        let compiler = compiler.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let load = fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Ok(Self { date: String::new(), quick, rounds, release, compiler, cores, load })
    }

    /// Notes the date at the end of the run.
    pub(crate) fn ended(&mut self) -> Result<(), Failed> {
        self.date = today()?;
        Ok(())
    }

    fn told(&self, theirs: &Samples, ours: &Samples) -> String {
        let Self { date, rounds, cores, compiler, .. } = self;
        let built = if self.release { "release profile" } else { "dev profile: slower than what applications ship" };
        let rounds = match rounds {
            1 => "one round".to_owned(),
            n => format!("{n} rounds, the clients in turn, and which begins alternates"),
        };
        let (system, caution) = (system(), self.caution());
        format!(
            "Measured {date} with {} ({built}, {compiler}) and {} on {cores} cores, {system}; {rounds}.{caution}\n",
            ours.client, theirs.client
        )
    }

    /// The same for what is measured without the official client.
    pub(crate) fn told_alone(&self, client: &str) -> String {
        let Self { date, cores, compiler, .. } = self;
        let built = if self.release { "release profile" } else { "dev profile" };
        let (system, caution) = (system(), self.caution());
        format!("Measured {date} with {client} ({built}, {compiler}) on {cores} cores, {system}.{caution}\n")
    }

    /// What makes the figures less sure.
    fn caution(&self) -> String {
        let quick = if self.quick { " A quick run with few repetitions: the figures are rough." } else { "" };
        let load = self.load.map_or_else(String::new, |load| {
            let busy = if load > 0.5 { ", so other programs may have taken part of the machine" } else { "" };
            format!(" Load average before: {load:.1}{busy}.")
        });
        format!("{quick}{load}")
    }
}

fn system() -> String {
    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// The page.
pub(crate) fn page(circumstances: &Circumstances, theirs: &Samples, ours: &Samples) -> String {
    let mut page = format!("{HEAD}{}{CONDITIONS}", circumstances.told(theirs, ours));
    for (title, note, rows) in TABLES {
        let rows: String =
            rows.iter().filter_map(|(name, words)| row(words, theirs.get(name), ours.get(name))).collect();
        if !rows.is_empty() {
            let _ = write!(page, "\n## {title}\n\n{note}\n\n{COLUMNS}{rows}");
        }
    }
    page
}

const HEAD: &str = "\
# Performance

What our client and the official one take for the same work, on the same node, in the same run. `cargo xtask bench` writes
this page; nothing here is a promise or a target.

";

const CONDITIONS: &str = "
Cells are median (least–greatest). Ratio is official ÷ ours, of the medians: above 1, ours takes less. n is how many times it
was done.

- The node is ours, one process on the same machine with its database in a file; what it takes is part of every figure.
- Each client runs in one process with one connection to the node; its databases are files in the same folder, encrypted
  with a raw key, unless the row says otherwise.
- The official client is called through its binding for Node.js, ours from Rust. The binding's part is in the figures.
- A time ends when the effect is in the client's database. Wherever the effect can be read back, it is, outside of the time.
- Both clients do their background work as they ship.

To repeat it: `cargo xtask bench`, on a machine that does nothing else; `--quick` shows in a few minutes that everything
runs. The steps are in `interop/bench.mjs` and `crates/subrosa-testkit/src/bin/bench`.
";

const COLUMNS: &str = "| | unit | official | ours | ratio | n |\n|---|---|---:|---:|---:|---:|\n";

fn row(words: &str, theirs: Option<&Measurement>, ours: Option<&Measurement>) -> Option<String> {
    let unit = &theirs.or(ours)?.unit;
    let ratio = theirs.zip(ours).map(|(theirs, ours)| theirs.median() / ours.median());
    let ratio =
        ratio.filter(|ratio| ratio.is_finite()).map_or_else(|| "–".to_owned(), |ratio| format!("{}×", short(ratio)));
    let count = |measurement: Option<&Measurement>| measurement.map_or(0, Measurement::count);
    let n = match (count(theirs), count(ours)) {
        (a, b) if a == b => a.to_string(),
        (a, b) => format!("{a} / {b}"),
    };
    Some(format!("| {words} | {unit} | {} | {} | {ratio} | {n} |\n", cell(theirs), cell(ours)))
}

/// Median, least and greatest.
pub(crate) fn cell(measurement: Option<&Measurement>) -> String {
    let Some(measurement) = measurement else { return "–".to_owned() };
    let median = short(measurement.median());
    let (least, greatest) = measurement.spread();
    match measurement.count() {
        1 => median,
        _ => format!("{median} ({}–{})", short(least), short(greatest)),
    }
}

/// About three digits.
pub(crate) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(json: &str) -> Result<Samples, Failed> {
        let mut samples = Samples::default();
        samples.add(json)?;
        Ok(samples)
    }

    #[test]
    fn a_row_compares_medians() -> Result<(), Failed> {
        let theirs = samples(r#"{"client": "o", "results": [{"name": "a", "unit": "ms", "samples": [30, 10, 20]}]}"#)?;
        let ours = samples(r#"{"client": "s", "results": [{"name": "a", "unit": "ms", "samples": [8]}]}"#)?;
        let row = row("words", theirs.get("a"), ours.get("a"));
        assert_eq!(row.as_deref(), Some("| words | ms | 20.0 (10.0–30.0) | 8.00 | 2.50× | 3 / 1 |\n"));
        Ok(())
    }

    #[test]
    fn what_one_client_did_not_measure_is_left_open() -> Result<(), Failed> {
        let theirs = samples(r#"{"client": "o", "results": [{"name": "a", "unit": "ms", "samples": [100]}]}"#)?;
        assert_eq!(row("words", theirs.get("a"), None).as_deref(), Some("| words | ms | 100 | – | – | 1 / 0 |\n"));
        assert_eq!(row("words", None, None), None);
        Ok(())
    }
}
