//! Memory and disk.

use std::{fs, path::Path, time::Duration};

use crate::{
    Outcome,
    people::{People, Person},
    report::Report,
};

/// Clients between the two looks at memory.
const CLIENTS: u32 = 30;

/// What one more client with an open database file costs.
pub(crate) async fn memory(people: &mut People, report: &mut Report) -> Outcome {
    report.values("rss at start", "MiB", resident().into_iter().collect());
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(people.person().await?);
    }
    let before = resident();
    for _ in 0..CLIENTS {
        kept.push(people.person().await?);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = resident().zip(before).map(|(after, before)| (after - before) / f64::from(CLIENTS));
    report.values("memory per additional client, encrypted file", "MiB", grown.into_iter().collect());
    for person in kept {
        person.client.close().await;
    }
    Ok(())
}

/// What the whole process holds in the end.
pub(crate) fn at_end(report: &mut Report) {
    report.values("rss at end", "MiB", resident().into_iter().collect());
}

/// Resident memory of this process, in MiB, where the system tells.
fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// Closes a person's client and opens it again; the size of the database in between, in KiB.
pub(crate) async fn settled(people: &People, person: Person) -> Outcome<(f64, Person)> {
    let Person { client, wallet, file } = person;
    client.close().await;
    let size = size(&file)?;
    let client = people.reopen(&file, &wallet).await?;
    Ok((size, Person { client, wallet, file }))
}

/// The size of a database and of what lies beside it, in KiB.
#[expect(clippy::cast_precision_loss, reason = "files of the benchmark are small")]
fn size(file: &Path) -> Outcome<f64> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut bytes = 0;
    for entry in fs::read_dir(file.parent().unwrap_or(file))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&name) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes as f64 / 1024.0)
}
