//! Times our client against a delivery node, as `interop/bench.mjs` times the official one: the same sections, names
//! and steps, in the same order. Change both together; `cargo xtask bench` compares what has the same name.
//!
//! A time ends when the effect is in the database, and a check outside of the time says so.

mod groups;
mod messages;
mod people;
mod report;
mod resources;

use std::{error::Error, path::PathBuf};

use clap::Parser;
use people::People;
use report::{Report, json};

/// What can go wrong is shown and ends the run.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Times our client against a delivery node; prints a table and, with --json, writes the raw samples.
#[derive(Parser)]
struct Arguments {
    /// The node's address, plain-text gRPC.
    #[arg(long, value_name = "URL")]
    node: String,
    /// Where to write the raw samples.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A fifth of the repetitions.
    #[arg(long)]
    quick: bool,
    /// Only these sections: memory, register, create, change, send, join, read, many, stored, stream.
    #[arg(long, value_name = "SECTION", value_delimiter = ',')]
    only: Vec<String>,
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments = Arguments::parse();
    let mut people = People::around(&arguments.node)?;
    let mut report = Report::new(arguments.quick);
    for name in SECTIONS {
        if arguments.only.is_empty() || arguments.only.iter().any(|only| only == name) {
            section(name, &mut people, &mut report).await?;
        }
    }
    resources::at_end(&mut report);
    if let Some(file) = arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&json(&report, &arguments.node))?)?;
    }
    Ok(())
}

/// In the order they run: memory first, in a process that is still small.
const SECTIONS: [&str; 10] =
    ["memory", "register", "create", "change", "send", "join", "read", "many", "stored", "stream"];

async fn section(name: &str, people: &mut People, report: &mut Report) -> Outcome {
    match name {
        "memory" => resources::memory(people, report).await,
        "register" => people::register(people, report).await,
        "create" => groups::create(people, report).await,
        "change" => groups::change(people, report).await,
        "send" => messages::send(people, report).await,
        "join" => groups::join(people, report).await,
        "read" => messages::read(people, report).await,
        "many" => groups::many(people, report).await,
        "stored" => messages::stored(people, report).await,
        _ => messages::stream(people, report).await,
    }
}

/// Fails when a step did not do what is being timed.
fn expect<T: PartialEq + std::fmt::Debug>(found: T, wanted: T, what: &str) -> Outcome {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?} where {wanted:?} should be").into()) }
}
