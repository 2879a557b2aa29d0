//! Updates of identity logs (identity §3, §4, §5).

use prost::Message as _;
use subrosa_identity::{ChainVerdicts, EntryError, Examination, IdentityAction, IdentityUpdate};
use subrosa_proto::xmtp::identity::api::v1::get_identity_updates_response::IdentityUpdateLog;
use subrosa_types::UnixNanos;

use super::{Fact, Facts, Report, not_a, utc};
use crate::{
    failure::{Code, Failure},
    update::{Why, action_facts, inbox_facts, sentence},
};

const WHAT: &str = "an identity update";

pub(crate) fn report(bytes: &[u8]) -> Result<Report, Failure> {
    let (mut facts, update) = read(bytes)?;
    facts.add("inbox", update.inbox_id_text()).add("made_at", utc(UnixNanos::from_wire(update.client_timestamp_ns())));
    let examined = Examination::of(&update, None, &ChainVerdicts::none());
    let actions = update.actions().iter().zip(&examined.signatures);
    facts.add("action", actions.map(|(action, slots)| action_facts(action, slots).into()).collect::<Fact>());
    let invalid = judge(&mut facts, &update, &examined);
    facts.add("signed_text", update.signature_text());
    Ok(Report { facts, invalid })
}

/// Says what becomes of the update; it is bad input unless it is good as far as one can tell without its log.
fn judge(facts: &mut Facts, update: &IdentityUpdate, examined: &Examination) -> Option<Failure> {
    let refusal = match &examined.verdict {
        Ok(state) => {
            facts.add("verdict", "every signature verifies, and it makes this inbox");
            facts.add("inbox_after_it", inbox_facts(state));
            return None;
        }
        Err(refusal) => refusal,
    };
    let (verdict, what) = match &refusal.reason {
        EntryError::Association(_) if !creates(update) => {
            facts.add("verdict", "every signature verifies; what the signers may do is said by the log before it");
            return None;
        }
        EntryError::Association(_) => {
            ("every signature verifies, but it cannot make this inbox", "the update cannot make this inbox")
        }
        reason if reason.is_retryable() => {
            ("cannot be told without a chain", "the update cannot be told without a chain")
        }
        _ => ("does not verify", "the update does not verify"),
    };
    facts.add("verdict", verdict);
    let why = Why::from(&refusal.reason);
    let mut refused = Facts::new();
    if let Some(index) = refusal.action {
        refused.add("at_action", index + 1);
    }
    refused.add("because", sentence(refusal, Some(update), &examined.signatures, None));
    facts.add("refused", refused.with("error", format!("{} ({})", why.label, why.section)));
    Some(Failure::new(what).because(&refusal.reason).code(Code::BadInput))
}

fn read(bytes: &[u8]) -> Result<(Facts, IdentityUpdate), Failure> {
    // The first field of an entry of a log is a number, that of an update a message: they cannot be mistaken.
    if let Ok(entry) = IdentityUpdateLog::decode(bytes)
        && let Some(update) = entry.update
    {
        let facts = Facts::new()
            .with("form", "IdentityUpdateLog (as delivered)")
            .with("sequence_id", entry.sequence_id)
            .with("stored_at", utc(UnixNanos::from_wire(entry.server_timestamp_ns)));
        let update = IdentityUpdate::from_bytes(&update.encode_to_vec()).map_err(|error| not_a(WHAT, bytes, &error))?;
        return Ok((facts, update));
    }
    let update = IdentityUpdate::from_bytes(bytes).map_err(|error| not_a(WHAT, bytes, &error))?;
    Ok((Facts::new().with("form", "IdentityUpdate"), update))
}

fn creates(update: &IdentityUpdate) -> bool {
    matches!(update.actions().first(), Some(IdentityAction::CreateInbox { .. }))
}
