//! A log for people: update by update, with every signature.

use subrosa_identity::{IdentityUpdate, SignatureExamination, VerifyError};
use subrosa_types::UnixNanos;

use super::replay::{Examined, Refused, Replay, Verdict};
use crate::{
    inspect::utc,
    paint::{Page, Style},
    update::{Why, does, kind, member, member_at_party, slot},
};

/// Width of the column that says what a signature stands for.
const SLOT: usize = 17;

/// All updates of a log.
pub(super) fn updates(page: &mut Page, replay: &Replay) {
    for examined in &replay.entries {
        header(page, examined);
        match (&examined.entry.update, examined.verdict) {
            (Ok(update), _) => actions(page, update, &examined.signatures),
            (Err(error), Verdict::NotJudged(_)) => {
                page.row(2, &[(Style::Bad, "✗ "), (Style::Plain, &error.to_string())]);
                page.row(4, &[(Style::Faint, &Why::from(error).rule())]);
            }
            // Said below.
            (Err(_), _) => {}
        }
        if let (Verdict::Refused | Verdict::Unchecked, Err(refused)) = (examined.verdict, &replay.outcome) {
            refusal(page, 2, refused);
        }
        page.gap();
    }
}

/// Why a log is refused, and by which rule.
pub(super) fn refusal(page: &mut Page, indent: usize, refused: &Refused) {
    let verdict = if refused.unchecked { "? cannot be told: " } else { "✗ refused: " };
    page.row(indent, &[(Style::Bad, verdict), (Style::Plain, &refused.sentence)]);
    let mut rule = format!("{} at {}", refused.why.rule(), refused.place());
    if !refused.why.label.ends_with(&refused.why.kind) {
        rule.push_str(&format!(", elsewhere reported as {}", refused.why.label));
    }
    page.row(indent + 2, &[(Style::Faint, &rule)]);
}

fn header(page: &mut Page, examined: &Examined) {
    let entry = &examined.entry;
    let title = format!("update {}", entry.sequence);
    let mut times = String::new();
    if let Ok(update) = &entry.update {
        times.push_str(&format!("  made {}", utc(UnixNanos::from_wire(update.client_timestamp_ns()))));
    }
    if let Some(stored) = entry.stored {
        times.push_str(&format!("  stored {}", utc(stored)));
    }
    let (style, verdict) = match examined.verdict {
        Verdict::Accepted => (Style::Good, "  ✓ accepted".to_owned()),
        Verdict::Refused => (Style::Bad, "  ✗ refused".to_owned()),
        Verdict::Unchecked => (Style::Bad, "  ? cannot be told now".to_owned()),
        Verdict::NotJudged(broken) => {
            (Style::Bad, format!("  not judged: update {broken} is not good, and none is ever skipped"))
        }
    };
    page.row(0, &[(Style::Bold, &title), (Style::Faint, &times), (style, &verdict)]);
}

fn actions(page: &mut Page, update: &IdentityUpdate, signatures: &[Vec<SignatureExamination>]) {
    if update.actions().is_empty() {
        page.row(2, &[(Style::Faint, "does nothing")]);
    }
    for (action, slots) in update.actions().iter().zip(signatures) {
        page.row(2, &[(Style::Plain, &does(action))]);
        for (examined, given) in slots.iter().zip(action.signatures()) {
            signature(page, examined);
            // The one question that others have to answer: say which.
            if let (Err(VerifyError::ChainUnknown), Some(check)) =
                (&examined.result, given.chain_check(&update.signature_text()))
            {
                let block = check.block_number.map_or_else(String::new, |block| format!(" at block {block}"));
                let question = format!("did {} sign?{block}", check.account_id.as_str());
                page.row(SLOT + 6, &[(Style::Faint, &question)]);
            }
        }
    }
}

fn signature(page: &mut Page, examined: &SignatureExamination) {
    let name = format!("{:SLOT$}", slot(examined.slot));
    match &examined.result {
        Ok(verified) => {
            let chain = verified.chain_id().map_or_else(String::new, |id| format!(", chain {id}"));
            let how = format!("  {}{chain}", kind(examined.kind));
            let signer = member_at_party(verified.signer());
            page.row(4, &[(Style::Good, "✓ "), (Style::Faint, &name), (Style::Plain, &signer), (Style::Faint, &how)]);
        }
        Err(error) => {
            let mark = if error.is_retryable() { "? " } else { "✗ " };
            let claim = examined.claimed_signer.as_ref().map_or_else(String::new, |who| format!("{}: ", member(who)));
            let how = format!("  {}", kind(examined.kind));
            let text = format!("{claim}{error}");
            page.row(4, &[(Style::Bad, mark), (Style::Faint, &name), (Style::Plain, &text), (Style::Faint, &how)]);
            page.row(SLOT + 6, &[(Style::Faint, &Why::from(*error).rule())]);
        }
    }
}
