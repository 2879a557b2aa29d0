//! Replaying a log: every entry examined, and what comes out.

use serde_json::{Value, json};
use subrosa_identity::{
    AssociationState, ChainVerdicts, DecodeError, EntryVerdict, Identifier, IdentityUpdate, LogError, LogExaminer,
    SignatureExamination,
};
use subrosa_types::{InboxId, SequenceId, UnixNanos};

use crate::{
    printable::short,
    update::{Why, sentence},
};

/// Longest sentence in JSON, in characters.
const SENTENCE: usize = 600;

/// One entry of a log as it was read.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) sequence: SequenceId,
    /// When a node stored it, where known.
    pub(super) stored: Option<UnixNanos>,
    pub(super) update: Result<IdentityUpdate, DecodeError>,
    /// The update as it was read; `None` for an entry without one.
    pub(super) bytes: Option<Vec<u8>>,
}

impl Entry {
    /// An entry with these bytes as update, or none.
    pub(super) fn new(sequence: SequenceId, stored: Option<UnixNanos>, bytes: Option<Vec<u8>>) -> Self {
        let update = bytes.as_deref().map_or(Err(DecodeError::MissingField("update")), IdentityUpdate::from_bytes);
        Self { sequence, stored, update, bytes }
    }
}

/// Why a log has no state.
pub(super) struct Refused {
    /// The first bad entry: its index and sequence id. `None` for an empty log.
    pub(super) entry: Option<(usize, SequenceId)>,
    /// The action at which checking stopped; `None` for rules about the whole entry.
    pub(super) action: Option<usize>,
    pub(super) why: Why,
    /// For people. May hold anything that a peer wrote.
    pub(super) sentence: String,
    /// Nobody can tell now: a chain has to answer first.
    pub(super) unchecked: bool,
}

impl Refused {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        let mut value = self.why.json();
        value["entry"] = json!(self.entry.map(|(index, _)| index));
        value["sequence_id"] = json!(self.entry.map(|(_, sequence)| sequence.0));
        value["action"] = json!(self.action);
        value["message"] = json!(short(&self.sentence, SENTENCE));
        value
    }

    /// Where: for people.
    pub(super) fn place(&self) -> String {
        match (self.entry, self.action) {
            (None, _) => "the whole log".to_owned(),
            (Some((_, sequence)), None) => format!("update {sequence}"),
            (Some((_, sequence)), Some(action)) => format!("update {sequence}, action {}", action + 1),
        }
    }
}

/// What becomes of an entry. No states: together they would be much larger than the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Accepted,
    Refused,
    /// Nobody can tell now.
    Unchecked,
    /// An entry before it is not good.
    NotJudged(SequenceId),
}

/// One entry that was examined.
pub(super) struct Examined {
    pub(super) entry: Entry,
    /// The signatures of every action.
    pub(super) signatures: Vec<Vec<SignatureExamination>>,
    pub(super) verdict: Verdict,
}

/// A log that was replayed.
pub(super) struct Replay {
    /// The entries in the order of their sequence ids, each id once.
    pub(super) entries: Vec<Examined>,
    pub(super) outcome: Result<AssociationState, Refused>,
    /// Faults of single entries, whatever came before them. Which one a reader of the whole log reports is left open
    /// (identity §6.9).
    pub(super) faults: Vec<Why>,
}

/// Puts entries in the order of their sequence ids. A second one with a known id is ignored, as everybody does.
pub(super) fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| entry.sequence);
    entries.dedup_by_key(|entry| entry.sequence);
    entries
}

/// Replays entries that are in order.
pub(super) fn replay(inbox: InboxId, entries: Vec<Entry>, verdicts: &ChainVerdicts) -> Result<Replay, LogError> {
    let mut examiner = LogExaminer::new(inbox);
    let mut examined = Vec::with_capacity(entries.len());
    let (mut refused, mut faults) = (None, Vec::new());
    let mut recovery: Option<Identifier> = None;
    for (index, entry) in entries.into_iter().enumerate() {
        let judged = examiner.push(entry.sequence, entry.update.as_ref().map_err(Clone::clone), verdicts)?;
        let update = entry.update.as_ref().ok();
        let at = Some((index, entry.sequence));
        let verdict = match judged.verdict {
            EntryVerdict::Accepted(state) => {
                recovery = Some(state.recovery_identifier().clone());
                Verdict::Accepted
            }
            EntryVerdict::Refused(refusal) => {
                let unchecked = refusal.reason.is_retryable();
                let sentence = sentence(&refusal, update, &judged.signatures, recovery.as_ref());
                let why = (&refusal.reason).into();
                refused = Some(Refused { entry: at, action: refusal.action, why, sentence, unchecked });
                if unchecked { Verdict::Unchecked } else { Verdict::Refused }
            }
            EntryVerdict::AfterBroken { broken } => Verdict::NotJudged(broken),
            EntryVerdict::OtherInbox { served } => {
                let sentence = format!("the log is that of inbox {served}");
                refused =
                    Some(Refused { entry: at, action: None, why: Why::other_inbox(), sentence, unchecked: false });
                Verdict::Refused
            }
            // Nothing else can become of an entry today.
            _ => Verdict::Refused,
        };
        faults.extend(entry.update.as_ref().err().map(Why::from));
        let slots = judged.signatures.iter().flatten();
        faults.extend(slots.filter_map(|slot| slot.result.as_ref().err().map(|error| (*error).into())));
        examined.push(Examined { entry, signatures: judged.signatures, verdict });
    }
    let outcome = match refused {
        Some(refused) => Err(refused),
        None => examiner.outcome().map_err(|_| empty()),
    };
    Ok(Replay { entries: examined, outcome, faults })
}

fn empty() -> Refused {
    let sentence = "the log has no updates".to_owned();
    Refused { entry: None, action: None, why: Why::missing(), sentence, unchecked: false }
}

impl Replay {
    /// Whether the outcome waits for a chain.
    pub(super) fn is_unchecked(&self) -> bool {
        self.outcome.as_ref().is_err_and(|refused| refused.unchecked)
    }
}
