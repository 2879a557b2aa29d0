//! Programs from the npm registry, in the target folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Failed, repository,
    run::{output, run, say},
};

/// Installs what a package.json of the repository names into `folder`, unless it is there already; answers where the
/// packages are.
pub(crate) fn installed(manifest: &str, folder: &Path) -> Result<PathBuf, Failed> {
    let wanted = fs::read_to_string(repository().join(manifest))?;
    fs::create_dir_all(folder)?;
    let stamp = folder.join("installed.json");
    let modules = folder.join("node_modules");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
        say(&format!("npm: installing what {manifest} names"));
        let _ = fs::remove_dir_all(&modules);
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
    Ok(modules)
}

/// The program that runs scripts.
pub(crate) fn node() -> Result<PathBuf, Failed> {
    Ok(PathBuf::from(output(Command::new("node").args(["-p", "process.execPath"]))?.trim()))
}
