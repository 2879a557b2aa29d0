//! What verifying identities costs, beside the bare cryptography in it: a section of the page that can be made alone.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    Options, Profile,
    page::{Circumstances, cell, short},
    samples::{Measurement, Samples},
};
use crate::{
    Failed,
    run::{cargo, run, say, shown},
};

/// The section's name among those of `--only`.
pub(super) const NAME: &str = "identity";

const TITLE: &str = "\n## Verifying identities\n";

const NOTE: &str = "
No network, no database, no official client: what the library takes, over what the cryptography it cannot do without takes in
the same process, turn by turn. Bare is the curve's crate alone, on hashes made and encodings taken apart before; of a passkey
it reads the key too. For a legacy key it is two recoveries. A contract wallet's verdict is given, so bare is one Keccak hash of
the text. The log has 256 entries with 449 signatures of wallets, installations and passkeys; it is decoded, verified and
applied, and bare is each of its signatures once. Instructions are valgrind's count, which no other program disturbs.

";

/// Name in the results and words on the page.
const ROWS: &[(&str, &str)] = &[
    ("erc191", "ERC-191"),
    ("installation", "installation key"),
    ("passkey", "passkey"),
    ("legacy", "legacy delegated key"),
    ("contract wallet", "contract wallet, verdict given"),
    ("inbox log", "log of 256, state at every entry"),
    ("replay", "log of 256, last state"),
];

/// Builds, times, counts where valgrind is installed, and gives the section.
pub(super) fn section(options: &Options, folder: &Path) -> Result<String, Failed> {
    let (release, quick) = (options.profile == Profile::Release, options.quick);
    let mut circumstances = Circumstances::now(quick, 1, release)?;
    let program = options.profile.programs().join("examples/cost");
    if !options.no_build {
        let mut command = cargo();
        command.args(["build", "--locked", "-p", "subrosa-identity", "--example", "cost"]);
        run(if release { command.arg("--release") } else { &mut command })?;
    }
    say("bench: verifying identities");
    let file = folder.join("identity.json");
    let mut timing = Command::new(&program);
    timing.arg("--json").arg(&file);
    run(if quick { timing.args(["--rounds", "5"]) } else { &mut timing })?;
    let mut samples = Samples::default();
    samples.add(&fs::read_to_string(&file)?)?;
    let counted = if quick { BTreeMap::new() } else { instructions(&program)? };
    circumstances.ended()?;
    Ok(told(&circumstances, &samples, &counted))
}

fn told(circumstances: &Circumstances, samples: &Samples, counted: &BTreeMap<&str, f64>) -> String {
    let mut section = format!("{TITLE}\n{}{NOTE}", circumstances.told_alone(&samples.client));
    section.push_str("| | ours ÷ bare, time | ours, µs | ours ÷ bare, instructions | n |\n|---|---:|---:|---:|---:|\n");
    for (name, words) in ROWS {
        let (ratio, time) = (samples.get(name), samples.get(&format!("{name} time")));
        let count = ratio.map_or(0, Measurement::count);
        let instructions = counted.get(name).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}"));
        let time = time.map_or_else(|| "–".to_owned(), |time| short(time.median()));
        let _ = writeln!(section, "| {words} | {} | {time} | {instructions} | {count} |", cell(ratio));
    }
    section
}

/// Ours over bare, in instructions; nothing without valgrind.
fn instructions(program: &Path) -> Result<BTreeMap<&'static str, f64>, Failed> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        say("bench: no valgrind, no instruction counts");
        return Ok(BTreeMap::new());
    }
    say("bench: counting instructions (minutes)");
    let mut ratios = BTreeMap::new();
    for (name, _) in ROWS {
        let cost =
            |side| -> Result<f64, Failed> { Ok(count(program, name, side, 1)? - count(program, name, side, 0)?) };
        ratios.insert(*name, cost("ours")? / cost("bare")?);
    }
    Ok(ratios)
}

/// Instructions of the whole process when it does one side of a pair so many times.
fn count(program: &Path, name: &str, side: &str, times: u32) -> Result<f64, Failed> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    let ran = command.arg(program).args(["--run", name, side, &times.to_string()]).output()?;
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    let count =
        told.lines().find_map(|line| line.split_once("refs:")).map(|(_, number)| number.trim().replace(',', ""));
    count.and_then(|count| count.parse().ok()).ok_or_else(|| Failed(format!("valgrind does not count: {told}")))
}

/// The page with this section in the place of the old one, or at its end.
pub(super) fn put(page: &str, section: &str) -> String {
    let Some(at) = page.find(TITLE) else { return format!("{}\n{section}", page.trim_end()) };
    let after = page[at + TITLE.len()..].find("\n## ").map_or("", |next| &page[at + TITLE.len() + next..]);
    format!("{}{section}{after}", &page[..at])
}

/// Replaces the section in a file.
pub(super) fn refresh(file: &Path, section: &str) -> Result<(), Failed> {
    let page = fs::read_to_string(file)
        .map_err(|error| Failed(format!("{} has no page to put this into: {error}", shown(file))))?;
    fs::write(file, put(&page, section))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_old_one() {
        let old = format!("# Page\n\n## First\n\na\n{TITLE}\nold\n\n## Last\n\nb\n");
        assert_eq!(put(&old, &format!("{TITLE}\nnew\n")), old.replace("old", "new"));
        let without = "# Page\n\n## First\n\na\n";
        let with = put(without, &format!("{TITLE}\nnew\n"));
        assert_eq!(with, format!("{without}{TITLE}\nnew\n"));
        assert_eq!(put(&with, &format!("{TITLE}\nnewer\n")), with.replace("new", "newer"));
    }
}
