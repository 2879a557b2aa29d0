//! The messages a client writes into its own history (groups §7.4).

use std::collections::BTreeSet;

use subrosa_content::{GroupUpdated, MetadataFieldChange};
use subrosa_group::group::CommitReport;
use subrosa_types::InboxId;

/// The transcript of a commit; `None` when it changed nothing that is shown. Members that had asked to leave are
/// shown as having left.
pub(crate) fn group_updated(report: &CommitReport, leaving: &BTreeSet<InboxId>) -> Option<GroupUpdated> {
    let (left, removed): (Vec<InboxId>, Vec<InboxId>) =
        report.removed_inboxes.iter().partition(|inbox| leaving.contains(inbox));
    let changes = report.attributes.iter().map(|change| MetadataFieldChange {
        field: change.key.clone(),
        old: change.old.clone(),
        new: change.new.clone(),
    });
    report.is_visible().then(|| GroupUpdated {
        added: report.added_inboxes.iter().copied().collect(),
        removed,
        left,
        metadata: changes.collect(),
        added_admins: inboxes(&report.admins_added),
        removed_admins: inboxes(&report.admins_removed),
        added_super_admins: inboxes(&report.super_admins_added),
        removed_super_admins: inboxes(&report.super_admins_removed),
        ..GroupUpdated::by(report.actor.inbox)
    })
}

/// Lists of admins may hold any text; what is no inbox id is not shown.
fn inboxes(texts: &[String]) -> Vec<InboxId> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// The transcript of our own arrival (groups §6.4, step 11).
pub(crate) fn arrival(adder: InboxId, us: InboxId) -> GroupUpdated {
    GroupUpdated { added: vec![us], ..GroupUpdated::by(adder) }
}
