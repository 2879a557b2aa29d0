//! `subrosa verify`: replaying identity logs, and saying why they are good or not.

mod chains;
mod expect;
mod file;
mod inbox;
mod logs;
mod replay;
mod report;
mod source;
mod state;

use std::path::Path;

use clap::Subcommand;

use crate::failure::{Code, Failure};

/// What to verify.
#[derive(Subcommand)]
pub(crate) enum Verify {
    /// The log of one inbox, from a node or a file: who did what, who signed it, and who belongs to it now.
    #[command(after_help = INBOX_HELP)]
    Inbox(inbox::InboxArgs),
    /// Every log of a file, against what the file expects of it.
    #[command(after_help = LOG_HELP)]
    Log(logs::LogArgs),
}

const INBOX_HELP: &str = "\
Examples:
  subrosa verify inbox 0x53345076950b1f02c87c8f9b796e515260fdcd7c
                                         the inbox of this address, as the node here knows it
  subrosa verify inbox 9b57dac1… --node http://node:5556 --save log.json
                                         and keep what the node served
  subrosa verify inbox 9b57dac1… --file log.json
                                         later, without a node
  subrosa verify inbox 9b57dac1… --chain 8453=http://127.0.0.1:8545
                                         ask that chain, not the node, about contract wallets

Signatures of contract wallets only a chain can judge. The node is asked, unless --chain says who
serves the chain of a wallet; with --file nobody is, unless --node or --chain says whom.

FILE is what --save writes, or a GetIdentityUpdatesResponse as raw protobuf or hex.

--json prints one object: inbox_id, source, accepted, checked, refused, state, updates, notes.
  accepted  whether every update is good
  checked   false while only a chain could tell
  refused   null, or the first bad update: sequence_id; entry and action, counted from 0; stage
            (decode, verify or state); kind and label (identity §13); section; message
  state     null, or inbox_id, recovery_identifier, members and seen_signatures, as in the
            association-log vectors
  updates   each with sequence_id, stored_at_ns, made_at_ns, verdict (accepted, refused,
            unchecked, not judged), decode_error, and the actions as `inspect` shows them

Exit codes: 0 accepted, 1 refused, 2 wrong usage, 3 cannot be told now: nobody answered.";

const LOG_HELP: &str = "\
Examples:
  subrosa verify log vectors/identity/association_logs.json
  subrosa verify log logs.json --brief           one line for each log
  subrosa verify log logs.json --case my_case    one log, update by update
  subrosa verify log logs.json --json            one JSON object in a line for each log

FILE is an object with `cases`, a list, or is itself one case. A case has `inbox_id` and `log`, a
list of entries with `sequence_id` and `update`, an IdentityUpdate in hex, or null. It may have a
`name`, a `smart_contract_verifier` (\"accepts everything\" or \"rejects everything\"; others do not
answer), and what it expects: `valid`, `expected_state`, `expected_error` with `kind` and `stage`.
Of several faults in one log any may be the one expected (identity §6.9).

--json prints name, accepted, checked, refused and state as `verify inbox` does, as_expected (null
if nothing is expected, or only a chain could tell), and differences. A case that cannot be read
has malformed instead of all but its name.

Exit codes: 0 all as expected, or accepted where nothing is expected; 1 one is not, or the file is
malformed; 2 wrong usage; 3 only a chain could tell about one.";

/// Does it.
pub(crate) async fn run(what: Verify) -> Result<(), Failure> {
    match what {
        Verify::Inbox(args) => inbox::run(args).await,
        Verify::Log(args) => logs::run(&args),
    }
}

/// A file cannot be read as what it should be.
fn malformed(path: &Path, why: &str) -> Failure {
    Failure::new(format!("{} is no file of identity logs", path.display())).because_text(why).code(Code::Failed)
}
