//! `subrosa verify inbox`: one inbox, update by update.

use std::{fs, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};
use subrosa_transport::{GrpcNetwork, Network};
use subrosa_types::InboxId;

use super::{
    chains, file,
    replay::{Entry, Examined, Refused, Replay, Verdict, replay},
    report,
    source::{self, Who},
    state,
};
use crate::{
    failure::{Code, Failure},
    node::{self, Endpoint},
    output,
    paint::{Page, Paint, Style},
    printable,
    update::action_facts,
};

/// The node that is asked if none is named.
const NODE: &str = "http://127.0.0.1:5556";

/// Whose log, from where, and who judges contract wallets.
#[derive(Args)]
pub(crate) struct InboxArgs {
    /// Inbox id, or an address or passkey that the node knows.
    #[arg(value_name = "INBOX")]
    who: Who,
    /// URL of the node; http://127.0.0.1:5556 if there is no --file.
    #[arg(long, value_name = "URL", env = "SUBROSA_NODE")]
    node: Option<String>,
    /// Read the log from this file.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// JSON-RPC endpoint of a chain, asked instead of the node about contract wallets on it; once per chain. Without it,
    /// `CHAIN_RPC_<ID>` in the environment counts.
    #[arg(long = "chain", value_name = "ID=URL", value_parser = node::endpoint)]
    chains: Vec<Endpoint>,
    /// Write what was read to this file, for --file.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Reads, replays and shows the log.
pub(super) async fn run(args: InboxArgs) -> Result<(), Failure> {
    let chains = node::verifier(args.chains, node::environment())?;
    let url = args.node.as_deref().or_else(|| args.file.is_none().then_some(NODE));
    let network = url.map(connect).transpose()?;
    let network = network.as_ref().map(|network| network as &dyn Network);
    let inbox = source::find(&args.who, network).await?;
    let (entries, from) = match (&args.file, network) {
        (Some(path), _) => (source::from_file(inbox, path)?, format!("the file {}", path.display())),
        (None, Some(node)) => (source::from_node(inbox, node).await?, format!("the node {}", url.unwrap_or(NODE))),
        (None, None) => (Vec::new(), String::new()),
    };
    if let Some(path) = &args.save {
        save(inbox, &entries, path)?;
    }
    let answers = chains::ask(&entries, chains.as_ref(), network.zip(url)).await;
    let replayed = replay(inbox, entries, &answers.verdicts)
        .map_err(|error| Failure::new("the log is not in order").because(&error))?;
    let shown = Shown { inbox, from, replayed, notes: answers.notes };
    if args.json {
        shown.print_json()?
    } else {
        shown.print()?
    }
    shown.verdict()
}

fn connect(url: &str) -> Result<GrpcNetwork, Failure> {
    GrpcNetwork::connect_lazy(url).map_err(|error| {
        Failure::new(format!("{url:?} is no address of a node"))
            .because(&error)
            .advise("an address such as http://127.0.0.1:5556")
            .code(Code::Usage)
    })
}

fn save(inbox: InboxId, entries: &[Entry], path: &std::path::Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot write {}", path.display())).because(&error);
    let text = serde_json::to_string_pretty(&file::saved(inbox, entries)).map_err(|error| failed(error.into()))?;
    fs::write(path, text + "\n").map_err(failed)
}

struct Shown {
    inbox: InboxId,
    from: String,
    replayed: Replay,
    notes: Vec<String>,
}

impl Shown {
    fn print(&self) -> Result<(), Failure> {
        let mut page = Page::new(Paint::stdout());
        page.row(0, &[(Style::Plain, "inbox "), (Style::Bold, &self.inbox.to_hex())]);
        let read = format!("{} from {}", state::count(self.replayed.entries.len(), "update"), self.from);
        page.row(0, &[(Style::Faint, &read)]);
        for note in &self.notes {
            page.row(0, &[(Style::Faint, note)]);
        }
        page.gap();
        report::updates(&mut page, &self.replayed);
        match &self.replayed.outcome {
            Ok(state) => {
                page.row(0, &[(Style::Bold, "now"), (Style::Faint, "  "), (Style::Faint, &state::summary(state))]);
                state::show(&mut page, 2, state);
            }
            Err(refused) => {
                page.row(0, &[(Style::Bold, "no state"), (Style::Plain, "  "), (Style::Plain, &refused.sentence)]);
                page.row(2, &[(Style::Faint, &format!("{} at {}", refused.why.rule(), refused.place()))]);
            }
        }
        output::print(&page.finish())
    }

    fn print_json(&self) -> Result<(), Failure> {
        let failed = |error| Failure::new("the report cannot be written as JSON").because(&error);
        let updates = self.replayed.entries.iter().map(update_json);
        let value = json!({
            "inbox_id": self.inbox.to_hex(),
            "source": self.from,
            "accepted": self.replayed.outcome.is_ok(),
            "checked": !self.replayed.is_unchecked(),
            "refused": self.replayed.outcome.as_ref().err().map(Refused::json),
            "state": self.replayed.outcome.as_ref().ok().map(state::json),
            "updates": updates.collect::<Result<Vec<_>, _>>().map_err(failed)?,
            "notes": self.notes,
        });
        let text = serde_json::to_string_pretty(&value).map_err(failed)?;
        output::print(&(printable::json(&text) + "\n"))
    }

    fn verdict(&self) -> Result<(), Failure> {
        match &self.replayed.outcome {
            Ok(_) => Ok(()),
            Err(refused) if refused.unchecked => {
                Err(Failure::new("nobody answered about a contract wallet, so that the log cannot be judged now")
                    .advise("--chain ID=URL with an endpoint of its chain")
                    .code(Code::Unchecked))
            }
            Err(refused) => Err(Failure::new(format!("the log is refused: {}", refused.why.kind))),
        }
    }
}

fn update_json(examined: &Examined) -> serde_json::Result<Value> {
    let entry = &examined.entry;
    let verdict = match examined.verdict {
        Verdict::Accepted => "accepted",
        Verdict::Refused => "refused",
        Verdict::Unchecked => "unchecked",
        Verdict::NotJudged(_) => "not judged",
    };
    let mut value = json!({
        "sequence_id": entry.sequence.0,
        "stored_at_ns": entry.stored.map(|time| time.to_wire().to_string()),
        "made_at_ns": null,
        "verdict": verdict,
        "decode_error": entry.update.as_ref().err().map(|error| error.to_string()),
        "actions": [],
    });
    if let Ok(update) = &entry.update {
        value["made_at_ns"] = json!(update.client_timestamp_ns().to_string());
        let facts = update.actions().iter().zip(&examined.signatures);
        let facts = facts.map(|(action, slots)| serde_json::to_value(action_facts(action, slots)));
        value["actions"] = Value::Array(facts.collect::<Result<_, _>>()?);
    }
    Ok(value)
}
