//! `package`: what would be published is complete and builds.
//!
//! `cargo package` verifies each crate by building its whole tree again. We check the packed crates together instead,
//! in a workspace made of nothing but them and with our own profiles, so that dependencies are not built twice.
//! Nothing is published.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    Failed, repository,
    run::{cargo, packages, run, say, target_folder},
};

/// Packs all publishable crates and checks that the packed files compile.
pub(crate) fn package() -> Result<(), Failed> {
    let all = packages()?;
    let (shipped, kept): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|p| p["publish"].is_null());
    complete(&shipped)?;

    let target = target_folder();
    let packed = target.join("package");
    let _ = fs::remove_dir_all(&packed);
    let mut pack = cargo();
    pack.args(["package", "--workspace", "--quiet", "--locked", "--no-verify", "--allow-dirty"]);
    pack.args(["--target-dir".as_ref(), target.as_os_str()]);
    for name in kept.iter().filter_map(|p| p["name"].as_str()) {
        pack.args(["--exclude", name]);
    }
    run(&mut pack)?;

    let check = target.join("package-check");
    let _ = fs::remove_dir_all(&check);
    fs::create_dir_all(&check)?;
    let mut members = Vec::new();
    for crate_file in fs::read_dir(&packed)?.filter_map(|e| Some(e.ok()?.path())).filter(|p| ends_with_crate(p)) {
        // Packed files all bear the same old time; with it, cargo would take what it checked last for current (-m).
        run(Command::new("tar").arg("-xzmf").arg(&crate_file).arg("-C").arg(&check))?;
        members.push(crate_file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    }
    if members.len() != shipped.len() {
        return Err(Failed(format!("package: {} crates packed, {} expected", members.len(), shipped.len())));
    }
    fs::write(check.join("Cargo.toml"), workspace(&shipped, &fs::read_to_string(repository().join("Cargo.toml"))?))?;
    fs::copy(repository().join("Cargo.lock"), check.join("Cargo.lock"))?;
    run(cargo().current_dir(&check).args(["check", "--workspace", "--quiet", "--target-dir"]).arg(&target))?;
    say(&format!("package: {} crates packed, and they compile from their packed files", members.len()));
    Ok(())
}

fn ends_with_crate(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "crate")
}

/// Everything a registry page needs is there.
fn complete(shipped: &[&Value]) -> Result<(), Failed> {
    for package in shipped {
        for key in ["description", "license", "repository", "readme", "rust_version"] {
            if package[key].is_null() {
                return Err(Failed(format!("package: {} has no {key}", package["name"])));
            }
        }
    }
    Ok(())
}

/// The manifest of a workspace of packed crates, with the profiles of ours.
fn workspace(shipped: &[&Value], ours: &str) -> String {
    let mut manifest = String::from("[workspace]\nresolver = \"3\"\nmembers = [\"*-*.*.*\"]\n\n[patch.crates-io]\n");
    for package in shipped {
        let (name, version) = (&package["name"], &package["version"]);
        let folder = format!("{}-{}", name.as_str().unwrap_or_default(), version.as_str().unwrap_or_default());
        let _ = writeln!(manifest, "{name} = {{ path = \"{folder}\" }}");
    }
    let profiles = ours.find("[profile").map_or("", |at| &ours[at..]);
    manifest + "\n" + profiles
}
