//! The text that every signature of an update signs (identity §4).

use std::fmt::Write as _;

use sha3::{Digest, Keccak256};

use crate::{ActionKind, MemberIdentifier};

const HEADER: &str = "XMTP : Authenticate to inbox";
const FOOTER: &str = "For more info: https://xmtp.org/signatures";

/// Builds the signature text (identity §4.1). `client_timestamp_ns` is the unsigned wire value.
pub(crate) fn signature_text<'a>(
    inbox_id: &str,
    client_timestamp_ns: u64,
    actions: impl Iterator<Item = ActionKind<'a>>,
) -> String {
    let mut text = format!("{HEADER}\n\nInbox ID: {inbox_id}\nCurrent time: ");
    push_time(&mut text, client_timestamp_ns);
    text.push_str("\n\n");
    for (index, action) in actions.enumerate() {
        if index > 0 {
            text.push('\n');
        }
        push_action(&mut text, &action);
    }
    text.push_str("\n\n");
    text.push_str(FOOTER);
    text
}

/// A time as signature texts show it: RFC 3339 in UTC, whole seconds, of nanoseconds since the Unix epoch read as a
/// signed number and rounded down (identity §4.2).
#[must_use]
pub fn utc_seconds(nanoseconds: u64) -> String {
    let mut text = String::new();
    push_time(&mut text, nanoseconds);
    text
}

/// Hash that Ethereum wallets sign for a text: Keccak-256 over the personal-message prefix and it (identity §5.1).
#[must_use]
pub fn eip191_hash(text: &str) -> [u8; 32] {
    Keccak256::new()
        .chain_update(b"\x19Ethereum Signed Message:\n")
        .chain_update(text.len().to_string())
        .chain_update(text)
        .finalize()
        .into()
}

/// The two lines of one action (identity §4.3).
fn push_action(text: &mut String, action: &ActionKind<'_>) {
    let (title, label, value) = match action {
        ActionKind::CreateInbox { identifier } => ("Create inbox", "Owner", identifier.text()),
        ActionKind::AddAssociation { new_member } => {
            let title = match new_member {
                MemberIdentifier::Ethereum(_) => "Link address to inbox",
                MemberIdentifier::Installation(_) => "Grant messaging access to app",
                MemberIdentifier::Passkey(_) => "Link passkey to inbox",
            };
            (title, label(new_member), new_member.text())
        }
        ActionKind::RevokeAssociation { member } => {
            let title = match member {
                MemberIdentifier::Ethereum(_) => "Unlink address from inbox",
                MemberIdentifier::Installation(_) => "Revoke messaging access from app",
                MemberIdentifier::Passkey(_) => "Unlink passkey from inbox",
            };
            (title, label(member), member.text())
        }
        ActionKind::ChangeRecovery { new_identifier } => {
            ("Change inbox recovery address", "Address", new_identifier.text())
        }
    };
    for part in ["- ", title, "\n  (", label, ": ", &value, ")"] {
        text.push_str(part);
    }
}

const fn label(member: &MemberIdentifier) -> &'static str {
    match member {
        MemberIdentifier::Ethereum(_) => "Address",
        MemberIdentifier::Installation(_) => "ID",
        MemberIdentifier::Passkey(_) => "Passkey",
    }
}

fn push_time(text: &mut String, nanoseconds: u64) {
    let seconds = nanoseconds.cast_signed().div_euclid(1_000_000_000);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    // Writing to a string cannot fail.
    let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
}

/// Year, month and day of a day number counted from 1970-01-01, in the Gregorian calendar.
///
/// Days are counted from 0000-03-01, so that a leap day ends its year; an era is the 400 years after which the
/// calendar repeats.
const fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_signed_and_rounded_down() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (999_999_999, "1970-01-01T00:00:00Z"),
            (1_700_000_000_123_456_789, "2023-11-14T22:13:20Z"),
            (1_709_164_800_000_000_000, "2024-02-29T00:00:00Z"),
            (951_868_800_000_000_000, "2000-03-01T00:00:00Z"),
            (9_223_372_036_854_775_807, "2262-04-11T23:47:16Z"),
            (9_223_372_036_854_775_808, "1677-09-21T00:12:43Z"),
            (18_446_744_072_209_551_616, "1969-12-31T23:59:58Z"),
            (u64::MAX, "1969-12-31T23:59:59Z"),
        ];
        for (nanos, want) in table {
            assert_eq!(utc_seconds(nanos), want);
        }
    }

    #[test]
    fn without_actions_four_line_feeds_stand_before_the_footer() {
        let text = signature_text("ab", 0, std::iter::empty());
        assert_eq!(
            text,
            "XMTP : Authenticate to inbox\n\nInbox ID: ab\nCurrent time: 1970-01-01T00:00:00Z\n\n\n\nFor more info: \
             https://xmtp.org/signatures"
        );
    }
}
