//! ISO 8601 times as clients write them into queries.
//!
//! Lenient where clients differ: any number of digits of a second, `Z` or an offset.

use sampan::model::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// Reads a time such as `2020-01-21T14:22:48.642Z` or `2020-01-21T22:22:48+08:00`.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let (clock, offset_minutes) = split_zone(time)?;
    let millis = day_of(date)? * DAY_MS + millis_of(clock)? - offset_minutes * 60_000;
    Some(Timestamp::from_millis(millis))
}

/// Splits `14:22:48.642+08:00` into its clock and the minutes its zone is ahead of UTC.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let (clock, zone) = time.split_at_checked(at)?;
    let (sign, zone) = match zone.strip_prefix('-') {
        Some(zone) => (-1, zone),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = zone.split_once(':')?;
    Some((
        clock,
        sign * (digits(hours, 2, 23)? * 60 + digits(minutes, 2, 59)?),
    ))
}

fn millis_of(clock: &str) -> Option<i64> {
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let hours = digits(parts.next()?, 2, 23)?;
    let minutes = digits(parts.next()?, 2, 59)?;
    let seconds = digits(parts.next()?, 2, 59)?;
    if parts.next().is_some()
        || fraction.is_empty()
        || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let millis = fraction.bytes().chain(*b"00").take(3);
    let millis = millis.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

/// The days from 1970-01-01 to a date of the Gregorian calendar, years 0000 to 9999.
fn day_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4, 9999)?;
    let month = digits(parts.next()?, 2, 12)?;
    let day = digits(parts.next()?, 2, days_in(year, month)?)?;
    if parts.next().is_some() || day == 0 {
        return None;
    }
    // Years that begin in March have their leap day at the end, where it moves no other day.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days =
        shifted_year.div_euclid(4) - shifted_year.div_euclid(100) + shifted_year.div_euclid(400);
    Some(shifted_year * 365 + leap_days + day_of_year - 719_468)
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => Some(if is_leap { 29 } else { 28 }),
        4 | 6 | 9 | 11 => Some(30),
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        _ => None,
    }
}

fn digits(text: &str, length: usize, max: i64) -> Option<i64> {
    if text.len() != length || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Option<i64> {
        parse(text).map(Timestamp::as_millis)
    }

    #[test]
    fn a_time_is_read_with_any_fraction_and_zone() {
        assert_eq!(millis("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(millis("2020-01-21T14:22:48.642Z"), Some(1_579_616_568_642));
        assert_eq!(
            millis("2020-01-21T22:22:48.642000+08:00"),
            Some(1_579_616_568_642)
        );
        assert_eq!(millis("2000-02-29T00:00:00.5Z"), Some(951_782_400_500));
        assert_eq!(millis("1969-12-31T23:59:59.999Z"), Some(-1));
    }

    #[test]
    fn what_is_no_date_of_the_calendar_is_not_read() {
        for text in [
            "",
            "T",
            "2021-02-29T00:00:00Z",
            "2020-13-01T00:00:00Z",
            "2020-01-00T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01",
            "2020-01-01T00:00:00.Z",
            "+020-01-01T00:00:00Z",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_not(text in r"[0-9TZ:.+船-]{0,32}") {
            let _ = parse(&text);
        }
    }
}
