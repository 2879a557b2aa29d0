//! The official client, from the npm registry into the target folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::libc;
use crate::{
    Failed, repository,
    run::{output, run, say},
};

/// An installed official client and the way to start it.
pub(crate) struct Official {
    modules: PathBuf,
    node: PathBuf,
    /// A newer dynamic loader with its libraries, where the system's is too old.
    loader: Option<libc::Loader>,
}

impl Official {
    /// Installs what `interop/package.json` names, unless it is there already.
    pub(crate) fn installed(folder: &Path) -> Result<Self, Failed> {
        let wanted = fs::read_to_string(repository().join("interop/package.json"))?;
        fs::create_dir_all(folder)?;
        let stamp = folder.join("installed.json");
        if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
            say("interop: installing the official client");
            let _ = fs::remove_dir_all(folder.join("node_modules"));
            fs::write(folder.join("package.json"), &wanted)?;
            run(Command::new("npm").current_dir(folder).args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-package-lock",
                "--loglevel=error",
            ]))?;
            fs::write(&stamp, &wanted)?;
        }
        let node = output(Command::new("node").args(["-p", "process.execPath"]))?;
        Ok(Self {
            modules: folder.join("node_modules"),
            node: PathBuf::from(node.trim()),
            loader: libc::newer(&folder.join("libc"))?,
        })
    }

    /// A command that runs a script with the official client at hand; the script is its first argument.
    pub(crate) fn node_command(&self) -> Command {
        let mut command = match &self.loader {
            None => Command::new(&self.node),
            Some(loader) => loader.command(&self.node),
        };
        command.env("XMTP_NODE_MODULES", &self.modules);
        command
    }
}
