//! The official client, from the npm registry into the target folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::libc;
use crate::{Failed, npm};

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
        let modules = npm::installed("interop/package.json", folder)?;
        Ok(Self { modules, node: npm::node()?, loader: libc::newer(&folder.join("libc"))? })
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
