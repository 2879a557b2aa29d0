//! `interop`: the official client against our node, then the official client and ours together.

pub(crate) mod libc;
pub(crate) mod node;
pub(crate) mod official;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::{
    Failed,
    chain::anvil::{self, Anvil},
    repository,
    run::{cargo, output, run, say, target_folder},
};
use node::Node;
use official::Official;

/// What to run.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only scenarios of this name; may be given more than once.
    #[arg(long)]
    only: Vec<String>,
    /// Leave out the official client alone against our node; run only both clients together.
    #[arg(long)]
    skip_official: bool,
    /// Leave out both clients together; run only the official client against our node.
    #[arg(long)]
    skip_together: bool,
    /// Another driver than that of our client, such as interop/driver.mjs: the official client on both sides.
    #[arg(long)]
    driver: Option<PathBuf>,
    /// Take our node and our client as they were built last.
    #[arg(long)]
    no_build: bool,
}

/// Builds and starts our node, installs the official client, and runs the scenarios.
pub(crate) fn interop(options: &Options) -> Result<(), Failed> {
    if !options.no_build {
        // The whole workspace, so that features are unified as they are for the tests and nothing is built twice.
        run(cargo().args(["build", "--workspace", "--locked", "--bins", "--examples"]))?;
    }
    let folder = target_folder().join("interop");
    let official = Official::installed(&folder)?;
    let anvil = Anvil::start()?;
    let node = Node::start(&subrosa(), &folder, &[format!("{}={}", anvil::CHAIN, anvil.url())])?;
    let world = World { official, node, anvil };
    say(&format!("interop: our node listens on {}", world.node.address()));

    let mut ran = 0;
    if !options.skip_official {
        ran += scenarios("scenario.mjs", &world, options, None)?;
    }
    if !options.skip_together {
        let driver = options.driver.as_ref().map_or_else(|| Ok(subrosa()), |other| other.canonicalize())?;
        ran += scenarios("together.mjs", &world, options, Some(&driver))?;
    }
    if ran == 0 {
        return Err(Failed(format!("interop: no scenario is called {}", options.only.join(" or "))));
    }
    say(&format!("interop: {ran} scenarios passed"));
    Ok(())
}

/// What the scripts find around them.
struct World {
    official: Official,
    node: Node,
    anvil: Anvil,
}

/// Our command: `subrosa node` is the node, `subrosa drive` the driver of our client.
fn subrosa() -> PathBuf {
    target_folder().join("debug/subrosa")
}

/// Runs one script with the chosen scenarios; answers how many there were.
fn scenarios(script: &str, world: &World, options: &Options, driver: Option<&Path>) -> Result<usize, Failed> {
    let command = || {
        let mut command: Command = world.official.node_command();
        command.arg(repository().join("interop").join(script));
        command.env("XMTP_NODE_URL", world.node.url()).env("ANVIL_URL", world.anvil.url());
        if let Some(driver) = driver {
            command.env("SUBROSA_DRIVER", driver);
        }
        command
    };
    let known = output(command().arg("--list"))?;
    let wanted = |name: &&str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let chosen: Vec<&str> = known.lines().filter(wanted).collect();
    if chosen.is_empty() {
        return Ok(0);
    }
    say(&format!("interop: {script}, {} scenarios", chosen.len()));
    run(command().args(&chosen)).map_err(|_| Failed(format!("interop: scenarios of {script} failed, see above")))?;
    Ok(chosen.len())
}
