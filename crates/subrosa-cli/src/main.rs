//! The command `subrosa`: a demo, a node, a chat, and tools to look at the wire.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the input is not what it should be (or, for `verify`, cannot be told
//! now), 4 members disagree.
mod chat;
mod demo;
mod drive;
mod failure;
mod inspect;
mod keys;
mod lines;
mod log;
mod node;
mod output;
mod paint;
mod printable;
mod signals;
mod update;
mod verify;

use std::{future::Future, process::ExitCode};

use clap::{Parser, Subcommand};
use subrosa_types::UnixNanos;

use crate::failure::Failure;

/// XMTP from the command line: end-to-end encrypted groups and direct messages over MLS.
#[derive(Parser)]
#[command(name = "subrosa", version, arg_required_else_help = true, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// What to log on the standard error: a level, or levels by module.
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG", hide_env_values = true, help_heading = "Logs")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch four people, five clients and a node at work, with a crash on the way, and see that all agree.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(demo::DemoArgs),
    /// Talk from this terminal to others over a node.
    #[command(after_help = CHAT_EXAMPLES)]
    Chat(chat::ChatArgs),
    /// Run a delivery node: it orders and stores envelopes and never sees their content.
    #[command(after_help = NODE_EXAMPLES)]
    Node(node::NodeArgs),
    /// Show what bytes of the protocol say, as far as that needs no keys.
    #[command(subcommand, after_help = INSPECT_EXAMPLES)]
    Inspect(inspect::Inspect),
    /// Replay identity logs and say who belongs to an inbox, who signed what, and why something is refused.
    #[command(subcommand, after_help = VERIFY_EXAMPLES)]
    Verify(verify::Verify),
    /// One client for a program: JSON lines on standard input and output.
    #[command(hide = true)]
    Drive,
}

const EXAMPLES: &str = "\
Examples:
  subrosa demo                                     see a whole world of clients at work, in seconds
  subrosa node --memory                            a node to play with, on 127.0.0.1:5556
  subrosa chat --node http://127.0.0.1:5556 --db me.db
                                                   talk over it; run it twice, with two databases
  subrosa inspect identity-update update.bin       who signed what
  subrosa verify inbox 0x…                         who belongs to an inbox, and why

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the input is not what it should be (verify: cannot be told now),
4 members disagree.";

const DEMO_EXAMPLES: &str = "\
Examples:
  subrosa demo                                     a few seconds, leaves nothing behind
  subrosa demo --json                              the facts, for programs
  subrosa demo --keep demo --hold                  leave everything, and the node running for other clients

Exit code 4: the clients do not see the same.";

const CHAT_EXAMPLES: &str = "\
Examples:
  subrosa node --memory                            in one terminal
  subrosa chat --db alice.db                       in another: prints the address
  subrosa chat --db bob.db --to 0x…                in a third: talks to that address

Keys are never arguments. The database's is in FILE.key, the wallet's in FILE.wallet, both readable by you alone;
SUBROSA_DB_KEY and SUBROSA_WALLET_KEY in the environment take their place.";

const NODE_EXAMPLES: &str = "\
Examples:
  subrosa node --data node-data                    keeps everything in ./node-data
  subrosa node --listen 127.0.0.1:0 --memory       on a free port, forgets everything at its end
  subrosa --log info node --data node-data         says what it does
  subrosa node --data node-data --chain 1=http://127.0.0.1:8545
                                                   asks that chain about contract wallets

It prints `listening on ADDRESS` once it serves, and stops cleanly on SIGINT and SIGTERM.

Contract wallets: CHAIN_RPC_<ID> in the environment names the endpoint of a chain too, ANVIL_URL that of the local
development chain 31337. A node without the endpoint of a chain says of its wallets that it cannot tell.";

const INSPECT_EXAMPLES: &str = "\
Examples:
  subrosa inspect key-package kp.bin               a file of raw bytes, or of hex text
  subrosa inspect group-message 0001000210…        hex on the command line
  cat update.bin | subrosa inspect identity-update - --json

Exit code 3: the input does not decode; or it was shown, but does not verify.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  subrosa verify inbox 0x53345076950b1f02c87c8f9b796e515260fdcd7c
                                 the inbox of this address, as the node on this machine knows it
  subrosa verify log vectors/identity/association_logs.json
                                 every log of a file, against what the file expects

Exit codes: 0 accepted, 1 refused or not as expected, 2 wrong usage, 3 cannot be told now.";

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.text());
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    log::start(cli.log.as_deref())?;
    match cli.command {
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Chat(args) => block_on(chat::run(args)),
        Command::Drive => block_on(drive::run()),
        Command::Node(args) => block_on(node::run(args)),
        Command::Inspect(what) => inspect::run(&what, now()),
        Command::Verify(what) => block_on(verify::run(what)),
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new("the runtime cannot start").because(&error))?.block_on(command)
}

/// The time on this machine.
fn now() -> UnixNanos {
    subrosa_node::Clock::system().now()
}
