//! `subrosa demo`: four people, five clients and a node, all separate processes, with a crash on the way; at the end
//! every database is opened again and must say the same.

mod child;
mod facts;
mod script;
mod show;
mod world;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;

use crate::{
    failure::{Code, Failure},
    output,
    printable::{json as safe_json, short, start},
    signals::Stop,
};
use facts::Agreement;
use script::Script;
use show::{Show, Style};
use world::Folder;

/// How to show it and what to leave.
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Print the facts of every member and conversation as JSON, and nothing else.
    #[arg(long)]
    json: bool,
    /// Leave databases, their keys, logs and the node's data in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Leave the node running at the end, until Ctrl-C, so that other clients can come.
    #[arg(long)]
    hold: bool,
}

/// Plays the demo; fails if anybody sees something else.
pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let hold_node = args.hold;
    let (mut script, members) = tokio::select! {
        played = play(args) => played?,
        () = stop.wait() => return Err(Failure::new("interrupted")),
    };
    if hold_node { hold(&mut script, &members, &mut stop).await } else { Ok(()) }
}

/// Returns the script, with the node running, and the inboxes that are in the group at the end.
async fn play(args: DemoArgs) -> Result<(Script, BTreeSet<String>), Failure> {
    let show = Show::new(args.json);
    show.line(&show.styled(Style::Bold, "Four people, five clients, one node: every one a process of its own"))?;
    let folder = Folder::new(args.keep.as_deref())?;
    let mut script = Script::new(folder, show).await?;
    let agreements = script.play().await?;
    let agree = agreements.iter().all(|agreement| agreement.agree);
    if args.json {
        let node = args.hold.then(|| script.node.url());
        print_json(&script, &agreements, agree, node)?;
    } else {
        for agreement in &agreements {
            print_table(&script, agreement)?;
        }
        print_verdict(&script, agree)?;
    }
    if let Folder::Kept(path) = &script.folder {
        let text =
            format!("left in {}: databases, their keys (*.key, *.wallet), logs, the node's data", path.display());
        script.show().line(&text)?;
    }
    if !agree {
        return Err(Failure::new("the clients do not see the same").code(Code::Disagree));
    }
    let members = agreements.into_iter().next().map(|agreement| agreement.truth.roster);
    Ok((script, members.unwrap_or_default()))
}

/// `node` is its URL if it goes on.
fn print_json(script: &Script, agreements: &[Agreement], agree: bool, node: Option<String>) -> Result<(), Failure> {
    let facts = json!({ "agree": agree, "node": node, "conversations": agreements, "steps": script.show().steps });
    let text = serde_json::to_string_pretty(&facts)
        .map_err(|error| Failure::new("the facts cannot be written as JSON").because(&error))?;
    output::print(&format!("{}\n", safe_json(&text)))
}

fn print_table(script: &Script, agreement: &Agreement) -> Result<(), Failure> {
    let show = script.show();
    let title = format!("{} {}", agreement.conversation, start(&agreement.group));
    show.line(&format!("\n{}", show.styled(Style::Bold, &title)))?;
    let head = ["client", "epoch", "authenticator", "roster", "name", "messages", ""];
    let mut rows = vec![head.map(|text| (Style::Faint, text.to_owned())).to_vec()];
    for view in &agreement.views {
        let seen = &view.seen;
        let name = |inbox: &String| {
            let known = script.people.iter().find(|person| person.inbox == *inbox);
            known.map_or_else(|| start(inbox).to_owned(), |person| person.name.to_owned())
        };
        let mut roster: Vec<String> = seen.members.iter().map(name).collect();
        roster.sort();
        let verdict = match (view.right, view.member) {
            (true, true) => (Style::Good, "✓"),
            (true, false) => (Style::Good, "✓ removed"),
            (false, _) => (Style::Bad, "✗ differs"),
        };
        rows.push(vec![
            (Style::Plain, view.client.clone()),
            (Style::Plain, seen.epoch.to_string()),
            (Style::Plain, start(&seen.authenticator).to_owned()),
            (Style::Plain, roster.join(" ")),
            (Style::Plain, if seen.name.is_empty() { "–".to_owned() } else { short(&seen.name, 20) }),
            (Style::Plain, format!("{} of {}", seen.messages.len(), agreement.truth.messages.len())),
            (verdict.0, verdict.1.to_owned()),
        ]);
    }
    show.table(&rows)
}

fn print_verdict(script: &Script, agree: bool) -> Result<(), Failure> {
    let show = script.show();
    show.line("")?;
    if agree {
        let tick = show.styled(Style::Good, "✓");
        show.line(&format!(
            "{tick} all agree: one epoch authenticator per conversation, one roster, one name, one history"
        ))?;
        show.line("  (who joined late or was removed has exactly the messages sent while being a member)")
    } else {
        show.line(&show.styled(Style::Bad, "✗ they do not agree"))
    }
}

/// Leaves the node running until Ctrl-C.
async fn hold(script: &mut Script, members: &BTreeSet<String>, stop: &mut Stop) -> Result<(), Failure> {
    let show = script.show();
    let url = script.node.url();
    show.line(&format!("\nthe node stays on {url} until Ctrl-C"))?;
    show.line(&format!("group {} has these members:", script.group))?;
    for client in &script.clients {
        let person = &script.people[client.person];
        if !members.contains(&person.inbox) {
            continue;
        }
        show.line(&format!("  {:12} inbox {} installation {}", client.name, person.inbox, client.installation))?;
    }
    let folder = script.folder.path().display();
    show.line("talk as one of them, or as somebody new whom /add lets in:")?;
    show.line(&format!(
        "  subrosa chat --node {url} --db {folder}/alice-phone.db --wallet {folder}/alice.wallet --group {}",
        script.group
    ))?;
    show.line(&format!("  subrosa chat --node {url} --db new.db"))?;
    tokio::select! {
        () = stop.wait() => Ok(()),
        ended = script.node.ended() => {
            ended?;
            // Ctrl-C reaches the node too, perhaps first.
            let told = tokio::time::timeout(Duration::from_secs(1), stop.wait()).await;
            told.map_err(|_| Failure::new("the node ended by itself"))
        }
    }
}
