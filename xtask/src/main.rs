//! Developer tasks. `cargo xtask help` lists them; each CI job is one of them.

mod bench;
mod chain;
mod ci;
mod codegen;
mod deny;
mod features;
mod fuzz;
mod interop;
mod layers;
mod limits;
mod npm;
mod package;
mod run;
mod spec;
mod vectors;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Why a task failed, in words for the person who ran it.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Developer tasks of the Subrosa workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must hold before a change is merged, tests last.
    ///
    /// Stops at the first step that fails; every step but the cargo ones is a task of its own below.
    Ci {
        /// Leave out what takes minutes: documentation, features, packaging, the official client.
        #[arg(long)]
        fast: bool,
    },
    /// Make the checked-in Rust from proto/ (no protoc needed).
    Codegen {
        /// Only compare, change nothing.
        #[arg(long)]
        check: bool,
    },
    /// Check that crates depend on lower floors only, and cores on nothing that does I/O.
    Layers,
    /// Check that every `(chapter §n.m)` in the code leads to a section of docs/spec; list sections nothing cites.
    Spec,
    /// Check that each limit in the code stands in a section of docs/spec that it cites.
    Limits,
    /// Check licences, sources and banned crates by deny.toml (builds cargo-deny on first use).
    Deny {
        /// Show warnings too, such as crates that are in the build twice.
        #[arg(long)]
        warnings: bool,
    },
    /// Check that each crate compiles without its features and with each of them alone.
    Features,
    /// Pack the crates to be published and check that they compile from their packed files. Publishes nothing.
    Package,
    /// Check that each vector file names its source, and run all vector tests at two dates (needs faketime).
    Vectors {
        /// Only check the files.
        #[arg(long)]
        check: bool,
    },
    /// Search for bytes that harm a decoder; a short smoke of all targets unless told otherwise.
    ///
    /// Builds with coverage instrumentation into the target folder (minutes, the first time). Needs a C++ compiler.
    Fuzz(fuzz::Options),
    /// Compile the contracts (Solidity) into the code that is checked in beside them. Needs node and npm.
    Contracts {
        /// Only compare, change nothing.
        #[arg(long)]
        check: bool,
    },
    /// Check the contracts, start a development chain and test contract wallets on it. Needs node and npm.
    Chain,
    /// Run the official client against our node, and together with our client.
    ///
    /// Needs node and npm. Where the C library is older than the official client's binary wants, a newer one is
    /// taken from the distribution's packages into the target folder (Debian and its kin).
    Interop(interop::Options),
    /// Time our client and the official one on the same node, and compare.
    ///
    /// Builds the node and our benchmark optimised (minutes, the first time: SQLCipher and OpenSSL come from source),
    /// starts the node with a database file, and lets both clients do the same work in turn. Prints the comparison; a
    /// whole run also writes it to docs/performance.md. No figure makes it fail. Needs node and npm, as `interop` does.
    ///
    /// For figures worth keeping, let the machine do nothing else.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Ci { fast } => ci::ci(fast),
        Task::Codegen { check } => codegen::codegen(check),
        Task::Layers => layers::layers(),
        Task::Spec => spec::spec(),
        Task::Limits => limits::limits(),
        Task::Deny { warnings } => deny::deny(warnings),
        Task::Features => features::features(),
        Task::Package => package::package(),
        Task::Vectors { check } => vectors::vectors(check),
        Task::Fuzz(options) => fuzz::fuzz(&options),
        Task::Contracts { check } => chain::contracts(check),
        Task::Chain => chain::chain(),
        Task::Interop(options) => interop::interop(&options),
        Task::Bench(options) => bench::bench(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}
