//! Times as text: proleptic Gregorian calendar, UTC.

use subrosa_types::UnixNanos;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A time in the calendar.
pub(crate) struct Civil {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
    /// Nanoseconds within the second.
    pub(crate) nanos: i64,
}

impl Civil {
    pub(crate) fn new(time: UnixNanos) -> Self {
        let seconds = time.as_seconds();
        let (year, month, day) = date(seconds.div_euclid(SECONDS_PER_DAY));
        Self {
            year,
            month,
            day,
            second_of_day: seconds.rem_euclid(SECONDS_PER_DAY),
            nanos: time.as_nanos().rem_euclid(NANOS_PER_SECOND),
        }
    }

    /// `YYYY-MM-DD`
    pub(crate) fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `HH:MM:SS`
    pub(crate) fn clock(&self) -> String {
        let s = self.second_of_day;
        format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}

/// Year, month and day of a day counted from 1970-01-01. Years start in March here, so that the leap day is last.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// The inverse of [`date`].
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// RFC 3339 in UTC with milliseconds, `YYYY-MM-DDTHH:MM:SS.mmmZ`; smaller parts are cut off (client §5.2).
pub(crate) fn to_rfc3339(time: UnixNanos) -> String {
    let civil = Civil::new(time);
    format!("{}T{}.{:03}Z", civil.date(), civil.clock(), civil.nanos / 1_000_000)
}

/// Reads RFC 3339 with any offset and up to nine digits of a second; `None` for anything else, and for times that
/// nanoseconds in 64 bits cannot tell.
pub(crate) fn from_rfc3339(text: &str) -> Option<UnixNanos> {
    let (date, clock) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, offset) = offset(clock)?;
    let (clock, nanos) = match clock.split_once('.') {
        Some((clock, digits)) => (clock, fraction(digits)?),
        None => (clock, 0),
    };
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let valid = (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 61;
    let days = days(year, month, day);
    if !valid || self::date(days) != (year, month, day) {
        return None;
    }
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset;
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos).map(UnixNanos::from_nanos)
}

/// Splits the offset from the end; in seconds.
fn offset(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = clock.rfind(['+', '-'])?;
    let (clock, offset) = clock.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(offset.get(1..)?, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some((clock, sign * (hours * 3600 + minutes * 60)))
}

fn fraction(digits: &str) -> Option<i64> {
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// Numbers of fixed width between separators.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut read = [0; N];
    for (value, width) in read.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *value = part.parse().ok()?;
    }
    parts.next().is_none().then_some(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_with_milliseconds() {
        let check = |nanos, want| assert_eq!(to_rfc3339(UnixNanos::from_nanos(nanos)), want);
        check(1_700_000_000_123_456_789, "2023-11-14T22:13:20.123Z");
        check(0, "1970-01-01T00:00:00.000Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(951_782_400_000_000_000, "2000-02-29T00:00:00.000Z");
        check(i64::MIN, "1677-09-21T00:12:43.145Z");
    }

    #[test]
    fn other_offsets_and_precisions_are_read() {
        let want = Some(UnixNanos::from_nanos(1_700_000_000_000_000_000));
        for text in ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20.0+01:00", "2023-11-14t17:43:20.000000000-04:30"] {
            assert_eq!(from_rfc3339(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-1-01T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20.0000000000Z",
            "9999-01-01T00:00:00Z",
            "2023-11-14T22:13:20+é0:00",
        ] {
            assert_eq!(from_rfc3339(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_inverts_writing(millis in i64::MIN / 1_000_000..=i64::MAX / 1_000_000) {
            let time = UnixNanos::from_nanos(millis * 1_000_000);
            prop_assert_eq!(from_rfc3339(&to_rfc3339(time)), Some(time));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9TZ:.+]{0,40}|.*") {
            let _ = from_rfc3339(&text);
        }
    }
}
