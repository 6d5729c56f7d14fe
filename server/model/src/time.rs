//! Times as canonical text. A datetime is `2026-11-22T17:30:04.123456Z` (UTC, always six digits), a date `2026-11-22`: fixed width, so
//! that byte order is time order everywhere. (An index of SurrealDB over its own datetimes sorts them wrongly: upstream issue 7493.)

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};

/// The canonical text of a moment, microseconds kept, the rest cut off.
#[must_use]
pub fn datetime_text(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Reads an RFC 3339 datetime with any offset and precision into the canonical text; none if it is not one, or its year has not four digits.
#[must_use]
pub fn canonical_datetime(text: &str) -> Option<String> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    (0..=9999).contains(&moment.year()).then(|| datetime_text(moment))
}

/// Reads a date `YYYY-MM-DD`; none if there is no such day.
#[must_use]
pub fn canonical_date(text: &str) -> Option<String> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && !text.starts_with('-');
    plain.then(|| day.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_become_canonical() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(canonical_datetime(text).as_deref(), expected, "{text}");
        check("2026-11-22T17:30:04Z", Some("2026-11-22T17:30:04.000000Z"));
        check("2026-11-22T18:30:04.5+01:00", Some("2026-11-22T17:30:04.500000Z"));
        check("2026-11-22T17:30:04.1234567Z", Some("2026-11-22T17:30:04.123456Z"));
        check("0000-01-01T00:00:00+10:00", None);
        check("2026-13-01T00:00:00Z", None);
        check("yesterday", None);
    }

    #[test]
    fn dates_exist() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(canonical_date(text).as_deref(), expected, "{text}");
        check("2024-02-29", Some("2024-02-29"));
        check("2026-02-29", None);
        check("2026-2-1", None);
        check("-026-01-01", None);
    }
}
