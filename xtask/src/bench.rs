//! `bench`: the same work by our client and by the official one, on the same node.

mod identity;
mod page;
mod samples;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use clap::{Args, ValueEnum};

use crate::{
    Failed,
    interop::{node::Node, official::Official},
    repository,
    run::{cargo, output, run, say, shown, target_folder},
};
use page::Circumstances;
use samples::Samples;

/// How often, what, and where to.
#[derive(Args)]
pub(crate) struct Options {
    /// One round and a fifth of the repetitions: to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// How our node and our client are built.
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// How often each client does everything; the clients take turns, and which begins alternates.
    #[arg(long, default_value_t = 3, conflicts_with = "quick")]
    rounds: usize,
    /// Only these sections: memory, register, create, change, send, join, read, many, stored, stream, identity. The last
    /// needs neither node nor official client, and alone it replaces its section of the page.
    #[arg(long, value_name = "SECTION", value_delimiter = ',')]
    only: Vec<String>,
    /// Take our node and our client as they were built last.
    #[arg(long)]
    no_build: bool,
    /// Where to write the comparison; by default docs/performance.md after a whole release run, and nowhere otherwise.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// Optimised, as applications ship it.
    Release,
    /// As the tests are built: quick to build, slower to run.
    Dev,
}

/// Where a whole run writes to.
const PAGE: &str = "docs/performance.md";

impl Profile {
    fn programs(self) -> PathBuf {
        target_folder().join(if self == Self::Release { "release" } else { "debug" })
    }
}

impl Options {
    const fn rounds(&self) -> usize {
        if self.quick { 1 } else { self.rounds }
    }

    /// Where the comparison is kept, if anywhere.
    fn kept(&self) -> Option<PathBuf> {
        let whole = !self.quick && (self.only.is_empty() || self.identity_alone()) && self.profile == Profile::Release;
        self.page.clone().or_else(|| whole.then(|| repository().join(PAGE)))
    }

    fn identity_alone(&self) -> bool {
        self.only == [identity::NAME]
    }

    fn identity_too(&self) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == identity::NAME)
    }

    /// The arguments both benchmarks understand.
    fn pass_on(&self, command: &mut Command) {
        if self.quick {
            command.arg("--quick");
        }
        if !self.only.is_empty() {
            command.arg("--only").arg(self.only.join(","));
        }
    }
}

/// Builds, starts the node, runs both clients in turn, and compares; then verifies identities.
pub(crate) fn bench(options: &Options) -> Result<(), Failed> {
    let folder = target_folder().join("bench");
    fs::create_dir_all(&folder)?;
    if options.identity_alone() {
        let section = identity::section(options, &folder)?;
        println!("{section}");
        if let Some(file) = options.kept() {
            identity::refresh(&file, &section)?;
            say(&format!("bench: written to {}", shown(&file)));
        }
        return Ok(());
    }
    let mut page = compare(options, &folder)?;
    if options.identity_too() {
        page = identity::put(&page, &identity::section(options, &folder)?);
    }
    println!("{page}");
    if let Some(file) = options.kept() {
        fs::write(&file, page)?;
        say(&format!("bench: written to {}", shown(&file)));
    }
    say(&format!("bench: raw samples are in {}", shown(&folder)));
    Ok(())
}

/// The comparison of both clients, as a page.
fn compare(options: &Options, folder: &Path) -> Result<String, Failed> {
    // Before building, which is a load of its own.
    let mut circumstances = Circumstances::now(options.quick, options.rounds(), options.profile == Profile::Release)?;
    if !options.no_build {
        build(options.profile)?;
    }
    let programs = options.profile.programs();
    let official = Official::installed(&target_folder().join("interop"))?;
    let node = Node::start(&programs.join("subrosa"), folder, &[])?;
    say(&format!("bench: our node listens on {}", node.address()));

    let (mut theirs, mut ours) = (Samples::default(), Samples::default());
    for round in 0..options.rounds() {
        let mut turns = [true, false];
        turns.rotate_left(round % 2);
        for official_now in turns {
            let (who, samples) = if official_now { ("official", &mut theirs) } else { ("ours", &mut ours) };
            say(&format!("bench: round {} of {}, {who}", round + 1, options.rounds()));
            let file = folder.join(format!("{who}-{}.json", round + 1));
            let mut command = if official_now { official_command(&official) } else { our_command(&programs, &node) };
            options.pass_on(command.arg("--json").arg(&file));
            turn(&mut command, &node, folder, who)?;
            samples.add(&fs::read_to_string(&file)?)?;
        }
    }
    circumstances.ended()?;
    Ok(page::page(&circumstances, &theirs, &ours))
}

fn build(profile: Profile) -> Result<(), Failed> {
    let mut command = cargo();
    command.args(["build", "--locked", "-p", "subrosa-cli", "-p", "subrosa-testkit", "--bins"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    let begun = Instant::now();
    run(&mut command)?;
    say(&format!("bench: building took {} s", begun.elapsed().as_secs()));
    Ok(())
}

fn official_command(official: &Official) -> Command {
    let mut command = official.node_command();
    command.arg("--expose-gc").arg(repository().join("interop/bench.mjs"));
    command
}

fn our_command(programs: &Path, node: &Node) -> Command {
    let mut command = Command::new(programs.join("bench"));
    command.arg("--node").arg(node.url());
    command
}

/// Runs one benchmark with databases in a fresh folder; what it complains about goes to a file.
fn turn(command: &mut Command, node: &Node, folder: &Path, who: &str) -> Result<(), Failed> {
    let databases = folder.join("databases");
    let _ = fs::remove_dir_all(&databases);
    fs::create_dir_all(&databases)?;
    let complaints = folder.join(format!("{who}.log"));
    command.env("XMTP_NODE_URL", node.url()).env("XMTP_DB_DIR", &databases).env("TMPDIR", &databases);
    let ran = run(command.stderr(File::create(&complaints)?));
    let _ = fs::remove_dir_all(&databases);
    ran.map_err(|Failed(why)| Failed(format!("bench: {why}; what it said is in {}", shown(&complaints))))
}

/// The date in UTC, year first.
fn today() -> Result<String, Failed> {
    Ok(output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?.trim().to_owned())
}
