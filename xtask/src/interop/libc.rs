//! A newer C library beside the system's: the official client's binary wants glibc 2.38.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Failed,
    run::{files, output, run, say},
};

/// The oldest glibc, as (major, minor), that the official client's binary loads with.
const WANTED: (u32, u32) = (2, 38);

/// The Debian release to take it from, and what a program in C++ needs of it.
const RELEASE: &str = "trixie";
const PACKAGES: &[&str] = &["libc6", "libgcc-s1", "libstdc++6"];

/// Where Debian keeps the keys of its archive.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A dynamic loader and the folder of its libraries.
pub(crate) struct Loader {
    program: PathBuf,
    libraries: PathBuf,
}

impl Loader {
    /// A command that starts `program` through this loader.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--library-path").arg(&self.libraries).arg(program);
        command
    }
}

/// Nothing when the system's glibc is new enough; otherwise a newer one, unpacked into `folder` on first use.
pub(crate) fn newer(folder: &Path) -> Result<Option<Loader>, Failed> {
    let have = output(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    if version(&have) >= WANTED {
        return Ok(None);
    }
    if let Some(loader) = unpacked(folder)? {
        return Ok(Some(loader));
    }
    say(&format!("interop: {} is too old for the official client; taking {RELEASE}'s", have.trim()));
    fetch(folder)?;
    unpacked(folder)?.map(Some).ok_or_else(|| Failed(format!("no dynamic loader in {RELEASE}'s packages")))
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.trim().trim_start_matches("glibc").trim().split('.').map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn unpacked(folder: &Path) -> Result<Option<Loader>, Failed> {
    let root = folder.join("root");
    if !root.exists() {
        return Ok(None);
    }
    let Some(libc) = files(&root, &["6"])?.into_iter().find(|p| p.ends_with("libc.so.6")) else { return Ok(None) };
    let libraries = libc.parent().unwrap_or(&root).to_path_buf();
    let loader = files(&libraries, &["1", "2"])?
        .into_iter()
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("ld-linux")));
    Ok(loader.map(|program| Loader { program, libraries }))
}

/// Downloads and unpacks. apt gets a sources file and folders of its own, so the system's state stays as it is.
fn fetch(folder: &Path) -> Result<(), Failed> {
    let _ = fs::remove_dir_all(folder);
    for name in ["lists/partial", "cache/archives/partial", "unpacking"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::write(folder.join("sources.list"), sources()?)?;
    let apt = || {
        let mut command = Command::new("apt-get");
        command.current_dir(folder).arg("-qq");
        for (key, value) in [
            ("Dir::Etc::sourcelist", folder.join("sources.list")),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::State::lists", folder.join("lists")),
            ("Dir::Cache", folder.join("cache")),
            ("APT::Sandbox::User", PathBuf::from("root")),
        ] {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        command
    };
    run(apt().arg("update"))?;
    run(apt().arg("download").args(PACKAGES.iter().map(|p| format!("{p}/{RELEASE}"))))?;
    for package in files(folder, &["deb"])? {
        run(Command::new("dpkg").arg("-x").arg(&package).arg(folder.join("unpacking")))?;
    }
    fs::rename(folder.join("unpacking"), folder.join("root"))?;
    Ok(())
}

/// The system's own Debian archive with the release changed.
fn sources() -> Result<String, Failed> {
    let release = fs::read_to_string("/etc/os-release")?;
    let codename = release.lines().find_map(|l| l.strip_prefix("VERSION_CODENAME=")).unwrap_or_default();
    let format = "$(RELEASE) $(COMPONENT) $(REPO_URI)";
    let targets = output(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let signed = if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
    for line in targets.lines() {
        if let [release, "main", uri] = line.split_whitespace().collect::<Vec<_>>().as_slice()
            && *release == codename
        {
            return Ok(format!("deb {signed}{uri} {RELEASE} main\n"));
        }
    }
    Err(Failed(format!(
        "the official client needs glibc {}.{}: run this on a newer system, or on Debian",
        WANTED.0, WANTED.1
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_versions_are_compared_as_numbers() {
        assert!(version("glibc 2.36\n") < WANTED);
        assert!(version("glibc 2.100\n") > WANTED);
    }
}
