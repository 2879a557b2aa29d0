//! `subrosa verify log`: every log of a file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Map, Value, json};
use subrosa_identity::{ChainVerdicts, Verdict};

use super::{
    expect::{Expectation, compare},
    file::{Case, for_each_case},
    malformed,
    replay::{Replay, replay},
    report, state,
};
use crate::{
    failure::{Code, Failure},
    output,
    paint::{Page, Paint, Style},
    printable,
};

/// Largest file in bytes.
const LIMIT: u64 = 1 << 30;

/// Which file, and how to show what it holds.
#[derive(Args)]
pub(crate) struct LogArgs {
    /// File of identity logs.
    file: PathBuf,
    /// Only this case, update by update.
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// One line for each log.
    #[arg(long, conflicts_with = "json")]
    brief: bool,
    /// Print JSON, one object in a line for each log.
    #[arg(long)]
    json: bool,
}

/// Replays every log of the file.
pub(super) fn run(args: &LogArgs) -> Result<(), Failure> {
    let bytes = read(&args.file)?;
    // Once to know that the file is well formed and what stands behind the cases, once to take them one by one.
    let rest = for_each_case(&bytes, &mut |_, _| true).map_err(|error| malformed(&args.file, &error.to_string()))?;
    let mut run = Run { args, paint: Paint::stdout(), tally: Tally::default(), hardening: hardening(&rest) };
    let mut failed = None;
    for_each_case(&bytes, &mut |index, raw| match run.case(index, raw) {
        Ok(()) => true,
        Err(failure) => {
            failed = Some(failure);
            false
        }
    })
    .map_err(|error| malformed(&args.file, &error.to_string()))?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    run.finish()
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::new(format!("cannot read {}", path.display())).because(&error);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LIMIT) {
        return Err(Failure::new(format!("{} has more than {LIMIT} bytes", path.display())));
    }
    Ok(bytes)
}

/// Cases that serve the log of another case to somebody who asked for another inbox, by the case they take.
fn hardening(rest: &Map<String, Value>) -> BTreeMap<String, Vec<Value>> {
    let mut by_case: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for one in rest.get("resolution_hardening").and_then(Value::as_array).into_iter().flatten() {
        if let Some(case) = one["served_log_of_case"].as_str() {
            by_case.entry(case.to_owned()).or_default().push(one.clone());
        }
    }
    by_case
}

/// Such a case as an ordinary one.
fn served(one: &Value, case: &Value) -> Value {
    let refused = one["should_be_accepted"] == false;
    json!({
        "name": one["name"],
        "description": one["description"],
        "inbox_id": one["requested_inbox_id"],
        "smart_contract_verifier": case["smart_contract_verifier"],
        "log": case["log"],
        "valid": one["should_be_accepted"],
        "expected_error": refused.then(|| json!({ "kind": "WrongInboxId", "stage": "state" })),
    })
}

#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    unchecked: usize,
    malformed: usize,
    expected: usize,
    differ: usize,
    /// Refused, and nothing was expected.
    refused_unasked: usize,
}

struct Run<'a> {
    args: &'a LogArgs,
    paint: Paint,
    tally: Tally,
    hardening: BTreeMap<String, Vec<Value>>,
}

impl Run<'_> {
    fn case(&mut self, index: usize, raw: Value) -> Result<(), Failure> {
        let followers = raw["name"].as_str().and_then(|name| self.hardening.remove(name)).unwrap_or_default();
        let followers: Vec<Value> = followers.iter().map(|one| served(one, &raw)).collect();
        for raw in std::iter::once(raw).chain(followers) {
            if self.args.case.as_deref().is_some_and(|wanted| raw["name"] != wanted) {
                continue;
            }
            self.one(index, raw)?;
        }
        Ok(())
    }

    fn one(&mut self, index: usize, raw: Value) -> Result<(), Failure> {
        let name = raw["name"].clone();
        let (case, replayed) = match Case::read(index, raw).and_then(|case| {
            let replayed = replay_case(&case)?;
            Ok((case, replayed))
        }) {
            Ok(good) => good,
            Err(bad) => {
                self.tally.malformed += 1;
                return self.print_malformed(&name, &bad.0);
            }
        };
        let expectation = compare(&case.raw, &replayed);
        self.count(&replayed, &expectation);
        if self.args.json {
            print_json(&case, &replayed, &expectation)
        } else {
            self.show(&case, &replayed, &expectation)
        }
    }

    fn count(&mut self, replayed: &Replay, expectation: &Expectation) {
        let tally = &mut self.tally;
        match (&replayed.outcome, expectation) {
            (Ok(_), _) => tally.accepted += 1,
            (Err(refused), Expectation::None | Expectation::Untold) if refused.unchecked => tally.unchecked += 1,
            (Err(_), Expectation::None) => {
                tally.refused += 1;
                tally.refused_unasked += 1;
            }
            (Err(_), _) => tally.refused += 1,
        }
        match expectation {
            Expectation::Met => tally.expected += 1,
            Expectation::Differs(_) => tally.differ += 1,
            Expectation::None | Expectation::Untold => {}
        }
    }

    fn print_malformed(&self, name: &Value, why: &str) -> Result<(), Failure> {
        if self.args.json {
            return print_line(&json!({ "name": name, "malformed": why }));
        }
        let mut page = Page::new(self.paint);
        page.row(0, &[(Style::Bad, "✗ malformed  "), (Style::Plain, why)]);
        output::print(&page.finish())
    }

    fn show(&self, case: &Case, replayed: &Replay, expectation: &Expectation) -> Result<(), Failure> {
        let mut page = Page::new(self.paint);
        let (style, mark) = match (&replayed.outcome, expectation) {
            (_, Expectation::Untold) => (Style::Bad, "? "),
            (Err(refused), Expectation::None) if refused.unchecked => (Style::Bad, "? "),
            (_, Expectation::Differs(_)) | (Err(_), Expectation::None) => (Style::Bad, "✗ "),
            _ => (Style::Good, "✓ "),
        };
        let verdict = match &replayed.outcome {
            Ok(state) => format!("accepted  {}", state::summary(state)),
            Err(refused) if refused.unchecked => format!("cannot be told  {}", refused.why.rule()),
            Err(refused) => format!("refused  {}", refused.why.rule()),
        };
        page.row(0, &[(style, mark), (Style::Bold, &case.name), (Style::Plain, "  "), (Style::Plain, &verdict)]);
        if let Expectation::Differs(differences) = expectation {
            for difference in differences {
                page.row(2, &[(Style::Bad, "differs: "), (Style::Plain, difference)]);
            }
        }
        if self.args.case.is_some() {
            if !case.description.is_empty() {
                page.row(2, &[(Style::Faint, &case.description)]);
            }
            page.gap();
            report::updates(&mut page, replayed);
        }
        // Update by update, refusals stand where they happen.
        if !self.args.brief && (self.args.case.is_none() || replayed.outcome.is_ok()) {
            match &replayed.outcome {
                Ok(state) => state::show(&mut page, 4, state),
                Err(refused) => {
                    page.row(
                        4,
                        &[(Style::Faint, &refused.place()), (Style::Plain, ": "), (Style::Plain, &refused.sentence)],
                    );
                }
            }
        }
        output::print(&page.finish())
    }

    fn finish(self) -> Result<(), Failure> {
        let Tally { accepted, refused, unchecked, malformed, expected, differ, refused_unasked } = self.tally;
        let all = accepted + refused + unchecked + malformed;
        if let (Some(name), 0) = (&self.args.case, all) {
            let what = format!("{} has no case {name:?}", self.args.file.display());
            return Err(Failure::new(what).code(Code::Usage));
        }
        if !self.args.json {
            let gap = if self.args.case.is_none() || accepted > 0 { "\n" } else { "" };
            let mut text = format!("{gap}{}: {accepted} accepted, {refused} refused", state::count(all, "log"));
            for (number, what) in [(unchecked, "cannot be told"), (malformed, "malformed")] {
                if number > 0 {
                    text.push_str(&format!(", {number} {what}"));
                }
            }
            if expected + differ > 0 {
                text.push_str(&format!("; {expected} as expected, {differ} not"));
            }
            output::print(&(text + "\n"))?;
        }
        let bad = differ + malformed + refused_unasked;
        if differ + malformed > 0 {
            return Err(Failure::new(format!("{bad} of {all} logs are not as they should be")));
        }
        if refused_unasked > 0 {
            return Err(Failure::new(format!("{} refused", state::count(refused_unasked, "log"))));
        }
        if unchecked > 0 {
            let what = format!("only a chain can tell about {}", state::count(unchecked, "log"));
            return Err(Failure::new(what).code(Code::Unchecked));
        }
        Ok(())
    }
}

fn replay_case(case: &Case) -> Result<Replay, super::file::Malformed> {
    let updates = case.entries.iter().filter_map(|entry| entry.update.as_ref().ok());
    let checks = updates.flat_map(subrosa_identity::IdentityUpdate::chain_checks);
    let verdicts: ChainVerdicts = match case.chains {
        Verdict::Unknown => ChainVerdicts::none(),
        verdict => checks.map(|check| (check, verdict)).collect(),
    };
    // Entries are in order, so that nothing else can be wrong with them.
    replay(case.inbox(), case.entries.clone(), &verdicts)
        .map_err(|error| super::file::Malformed(format!("{:?}: {error}", case.name)))
}

fn print_json(case: &Case, replayed: &Replay, expectation: &Expectation) -> Result<(), Failure> {
    let (as_expected, differences) = match expectation {
        Expectation::Met => (Some(true), &[][..]),
        Expectation::Differs(differences) => (Some(false), differences.as_slice()),
        Expectation::None | Expectation::Untold => (None, &[][..]),
    };
    print_line(&json!({
        "name": case.name,
        "accepted": replayed.outcome.is_ok(),
        "checked": !replayed.is_unchecked(),
        "refused": replayed.outcome.as_ref().err().map(super::replay::Refused::json),
        "state": replayed.outcome.as_ref().ok().map(state::json),
        "as_expected": as_expected,
        "differences": differences,
    }))
}

fn print_line(value: &Value) -> Result<(), Failure> {
    output::print(&(printable::json(&value.to_string()) + "\n"))
}
