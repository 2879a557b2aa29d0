//! What an envelope of the group's log does (sync §2.9).

use std::time::Duration;

use subrosa_cursor::{Disposition, Outcome, disposition};
use subrosa_envelope::{CommitResult, ContentKind, GroupMessage};
use subrosa_group::{
    Directory, IdentityNeed, ProtocolVersion, Refusal,
    group::{OpenError, Opened, OpenedCommit},
};
use subrosa_intent::{IntentError, IntentEvent, IntentState, PayloadClass, is_stale};
use subrosa_types::{SequenceId, UnixNanos};

use crate::{
    change::{Change, Event},
    machine::{Logged, Machine, MachineError},
    model::{Held, IntentId},
};

/// How often a claim that a message is ours leads to a key update.
const SUSPECT_EVERY: Duration = Duration::from_secs(3600);

/// What the shell does next.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
#[expect(clippy::exhaustive_enums, reason = "the shell must handle every answer")]
pub enum Received {
    /// The envelope is dealt with; the next one may follow.
    Done,
    /// Take and apply the step first, then pass the same envelope again: what follows may have to be undone.
    Flush,
    /// Identity logs must reach these positions, as far as they exist; then call [`Machine::resume`]. When the
    /// network does not answer, call [`Machine::postpone`].
    Needs(Vec<IdentityNeed>),
    /// The envelope is dealt with, but the group object must not be used again: take and apply the step, then load
    /// the machine anew.
    Reload,
    /// Nothing of this group is processed until something changes; the cursor stands before the envelope.
    Stopped,
}

impl Machine {
    /// Processes the next envelope of the group's log, in order (sync §2.9). `directory` holds the identity logs of
    /// the present members as far as they are known.
    ///
    /// # Errors
    /// [`MachineError`] when the group's own state fails; drop the machine.
    pub fn receive(
        &mut self,
        message: &GroupMessage,
        directory: &Directory,
        now: UnixNanos,
    ) -> Result<Received, MachineError> {
        if self.record.paused_for.is_some() {
            return Ok(Received::Stopped);
        }
        if self.positions.covers(message.cursor()) {
            return Ok(Received::Done);
        }
        let hash = *message.payload_hash().as_bytes();
        if let Some((id, current)) = self.own_intent(&hash) {
            return self.receive_own(message, id, current, directory, now);
        }
        if message.header.content == ContentKind::Commit && self.is_dirty() {
            return Ok(Received::Flush);
        }
        match self.group.open(&message.data) {
            Ok(Opened::Application(application)) => {
                self.touch_state();
                self.application(message, application, directory, now);
                self.advance(message.cursor());
                Ok(Received::Done)
            }
            Ok(Opened::Commit(commit)) => self.judge_or_ask(message.clone(), commit, directory, now),
            Ok(_) => {
                // A stand-alone proposal: not stored, without effect (groups §3.7).
                self.touch_state();
                self.advance(message.cursor());
                Ok(Received::Done)
            }
            Err(error) => self.unreadable(message, error, now),
        }
    }

    /// Continues with the commit that asked for identity logs.
    ///
    /// # Errors
    /// As [`Machine::receive`].
    pub fn resume(&mut self, directory: &Directory, now: UnixNanos) -> Result<Received, MachineError> {
        match self.held.take() {
            Some((message, commit)) => self.judge(&message, *commit, directory, now),
            None => Ok(Received::Done),
        }
    }

    /// Gives up on the commit that asked for identity logs, for now: the network did not answer. The cursor stands;
    /// the group is reported as held. The machine must be loaded anew.
    pub fn postpone(&mut self) -> Received {
        self.held = None;
        self.forget_state();
        self.hold(Held::Identity);
        Received::Reload
    }

    fn hold(&mut self, why: Held) {
        if self.record.held.as_ref() != Some(&why) {
            self.record.held = Some(why);
            self.touch_record();
            self.tell(Event::Changed(self.record.id.clone()));
        }
    }

    /// The intent that an envelope with this payload hash belongs to, and whether it is its present payload.
    fn own_intent(&self, hash: &[u8; 32]) -> Option<(IntentId, bool)> {
        self.intents.values().find_map(|intent| {
            let current = intent.payload.as_ref().is_some_and(|payload| payload.hash == *hash);
            (current || intent.earlier.contains(hash)).then_some((intent.id, current))
        })
    }

    /// Our own envelope came back (sync §2.9.1).
    fn receive_own(
        &mut self,
        message: &GroupMessage,
        id: IntentId,
        current: bool,
        directory: &Directory,
        now: UnixNanos,
    ) -> Result<Received, MachineError> {
        let Some(intent) = self.intents.get(&id) else { return Ok(Received::Done) };
        let class = intent.new.kind.class();
        let settled = intent.state != IntentState::Published || !current;
        if settled {
            // A late copy of bytes that were given up, or a second copy: it has no effect.
            self.advance(message.cursor());
            return Ok(Received::Done);
        }
        if is_stale(class, message.header.epoch, self.group.epoch()) {
            if class == PayloadClass::Commit {
                self.failed_commit(message, CommitResult::WrongEpoch, "own commit lost the race");
            }
            self.move_intent(id, &[IntentEvent::ProvenDead], None, Some(message.cursor()))?;
            self.advance(message.cursor());
            return Ok(Received::Done);
        }
        match class {
            PayloadClass::Message => {
                self.own_message(message, id, now)?;
                Ok(Received::Done)
            }
            PayloadClass::Commit if self.is_dirty() => Ok(Received::Flush),
            PayloadClass::Commit => {
                let payload = self.intents.get(&id).and_then(|intent| intent.payload.clone());
                let restaged = payload.and_then(|payload| {
                    let staged = payload.staged?;
                    self.group.restage(&staged, payload.epoch, &payload.authenticator).ok()
                });
                match restaged {
                    Some(commit) => self.judge_or_ask(message.clone(), Box::new(commit), directory, now),
                    None => {
                        self.record.maybe_forked = true;
                        self.touch_record();
                        let event = IntentEvent::Unusable(IntentError::StagedCommitLost);
                        self.move_intent(id, &[event], None, Some(message.cursor()))?;
                        self.failed_commit(message, CommitResult::Undecryptable, "own staged commit is lost");
                        self.advance(message.cursor());
                        Ok(Received::Done)
                    }
                }
            }
        }
    }

    fn judge_or_ask(
        &mut self,
        message: GroupMessage,
        commit: Box<OpenedCommit>,
        directory: &Directory,
        now: UnixNanos,
    ) -> Result<Received, MachineError> {
        let missing: Vec<IdentityNeed> = commit
            .needs()
            .iter()
            .copied()
            .filter(|need| directory.log(&need.inbox).is_none_or(|log| log.last_sequence() < need.up_to))
            .collect();
        if missing.is_empty() {
            return self.judge(&message, *commit, directory, now);
        }
        self.held = Some((message, commit));
        Ok(Received::Needs(missing))
    }

    /// Judges a commit; merges it, or refuses it for good, or stops.
    fn judge(
        &mut self,
        message: &GroupMessage,
        commit: OpenedCommit,
        directory: &Directory,
        now: UnixNanos,
    ) -> Result<Received, MachineError> {
        let own = self.own_intent(message.payload_hash().as_bytes()).map(|(id, _)| id);
        let before = self.group.epoch_authenticator();
        match self.group.judge(commit, directory) {
            Ok(judged) => {
                let Ok(report) = self.group.merge(judged) else {
                    return self.refused(message, own, "the commit could not be merged", CommitResult::Undecryptable);
                };
                self.touch_state();
                self.merged(message, own, before, &report, now)?;
                Ok(Received::Done)
            }
            Err(Refusal::VersionTooLow { needs }) => {
                // Not merged, not logged, the cursor stands (groups §3.6).
                self.forget_state();
                self.record.paused_for = Some(needs);
                self.touch_record();
                self.tell(Event::Changed(self.record.id.clone()));
                Ok(Received::Reload)
            }
            Err(refusal) => self.refused(message, own, &refusal.to_string(), CommitResult::Invalid),
        }
    }

    /// A commit that nobody may apply: only the cursor and the log row are written (sync §2.9).
    fn refused(
        &mut self,
        message: &GroupMessage,
        own: Option<IntentId>,
        why: &str,
        result: CommitResult,
    ) -> Result<Received, MachineError> {
        self.forget_state();
        if let Some(id) = own {
            self.move_intent(id, &[IntentEvent::Unusable(IntentError::Rejected)], None, Some(message.cursor()))?;
        }
        self.failed_commit(message, result, why);
        if disposition(Outcome::Refused, self.record.active) == Disposition::Advance {
            self.advance(message.cursor());
        }
        Ok(Received::Reload)
    }

    /// A message that does not open. Nothing was touched, so nothing is reloaded.
    fn unreadable(
        &mut self,
        message: &GroupMessage,
        error: OpenError,
        now: UnixNanos,
    ) -> Result<Received, MachineError> {
        match error {
            OpenError::Storage(error) => return Err(error.into()),
            OpenError::ExpiredAdd(_) => {
                // Valid for everybody else: never skipped, never logged as invalid (groups §9.1).
                self.hold(Held::ExpiredAdd);
                return Ok(Received::Reload);
            }
            OpenError::OwnMessage => self.suspect_rewound_database(now),
            _ => {}
        }
        if message.header.epoch > self.group.epoch() && self.record.active && !self.record.maybe_forked {
            self.record.maybe_forked = true;
            self.touch_record();
        }
        match disposition(Outcome::Refused, self.record.active) {
            Disposition::Advance => {
                if message.header.content == ContentKind::Commit
                    && let Some(result) = error.commit_result()
                {
                    self.failed_commit(message, result, &error.to_string());
                }
                self.advance(message.cursor());
                Ok(Received::Done)
            }
            Disposition::Leave => Ok(Received::Done),
            Disposition::Stop => Ok(Received::Stopped),
        }
    }

    /// A message claims to be ours and is not known here: this database may be a copy, or was set back, and its
    /// ratchet may repeat. The next message is preceded by a key update; the claim is not authenticated, so at most
    /// once in an hour.
    fn suspect_rewound_database(&mut self, now: UnixNanos) {
        if self.suspected_at.is_some_and(|at| now.since(at) < SUSPECT_EVERY) {
            return;
        }
        self.suspected_at = Some(now);
        let group = self.record.id.clone();
        self.push(Change::Times { group, rotated_at: Some(UnixNanos::EPOCH), installations_checked: None });
    }

    /// Logs a commit that was not applied, unless it is a left-over from before we joined (groups §5.4).
    fn failed_commit(&mut self, message: &GroupMessage, result: CommitResult, why: &str) {
        if !self.record.active {
            return;
        }
        self.log_commit(Logged {
            at: message.sequence,
            before: self.record.authenticator.clone(),
            result,
            sender: None,
            note: why.to_owned(),
        });
    }

    /// Intents whose bytes the log has overtaken go back to be built anew (sync §2.12). Call it when the log was read
    /// to its end.
    ///
    /// # Errors
    /// [`MachineError::Intent`] never happens while the rules of this crate are kept.
    pub fn drop_dead_payloads(&mut self) -> Result<(), MachineError> {
        let now_in = self.group.epoch();
        let dead: Vec<IntentId> = self
            .intents
            .values()
            .filter(|intent| intent.state == IntentState::Published)
            .filter(|intent| {
                intent.payload.as_ref().is_none_or(|payload| {
                    subrosa_intent::fate(intent.new.kind.class(), payload.epoch, now_in) == subrosa_intent::Fate::Dead
                })
            })
            .map(|intent| intent.id)
            .collect();
        for id in dead {
            self.move_intent(id, &[IntentEvent::ProvenDead], None, None)?;
        }
        Ok(())
    }

    /// Clears the pause when our version has become high enough (groups §3.6).
    pub fn unpause(&mut self) {
        let ours = ProtocolVersion::OURS;
        if self.record.paused_for.as_deref().and_then(ProtocolVersion::parse).is_some_and(|needs| needs <= ours) {
            self.record.paused_for = None;
            self.touch_record();
        }
    }

    /// Passes an item that does not decode: it can never have an effect (envelopes §8).
    pub fn skip(&mut self, at: SequenceId) {
        if !self.record.active || self.record.paused_for.is_some() {
            return;
        }
        // Its kind is unknown; the application cursor is as good, since a query starts at the larger of the two.
        self.advance(subrosa_types::Cursor::new(subrosa_types::OriginatorId::MESSAGES, at));
    }
}
