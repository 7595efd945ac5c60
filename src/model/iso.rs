//! Dates as text: `2020-01-21T14:22:48.642Z`, always three fractional digits, always `Z`.
//!
//! The official C# SDK parses exactly this form, so Sampan writes and reads no other form.

use crate::model::Timestamp;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// The first and the last moment that a year of four digits can name.
const RANGE: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// Writes a time. One outside the years 0000 to 9999 is written as the nearest one inside.
#[must_use]
pub fn format(time: Timestamp) -> String {
    let millis = time.as_millis().clamp(RANGE.0, RANGE.1);
    let (year, month, day) = civil_from_days(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Reads a time; none if the text has another form or names a moment that does not exist.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let marks = [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'.'),
        (23, b'Z'),
    ];
    if marks
        .iter()
        .any(|(place, mark)| bytes.get(*place) != Some(mark))
    {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0_i64, |value, digit| {
            digit
                .is_ascii_digit()
                .then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute) = (number(11, 13)?, number(14, 16)?);
    let (second, milli) = (number(17, 19)?, number(20, 23)?);
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    // A day that its month does not have comes back as one of the next month.
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let of_day = ((hour * 60 + minute) * 60 + second) * 1000 + milli;
    Some(Timestamp::from_millis(days * MILLIS_PER_DAY + of_day))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, by Howard Hinnant's algorithm: years
/// start in March, so that the leap day is the last one; an era has 400 years.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments_have_their_known_texts() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_579_616_568_642, "2020-01-21T14:22:48.642Z"),
            (1_709_210_096_001, "2024-02-29T12:34:56.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (RANGE.0, "0000-01-01T00:00:00.000Z"),
            (RANGE.1, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format(Timestamp::from_millis(millis)), text);
            assert_eq!(parse(text), Some(Timestamp::from_millis(millis)));
        }
    }

    #[test]
    fn a_moment_that_does_not_exist_is_not_read() {
        for text in [
            "2023-02-29T00:00:00.000Z",
            "2020-13-01T00:00:00.000Z",
            "2020-00-01T00:00:00.000Z",
            "2020-04-31T00:00:00.000Z",
            "2020-01-00T00:00:00.000Z",
            "2020-01-01T24:00:00.000Z",
            "2020-01-01T00:00:60.000Z",
            "2020-01-01T00:00:00Z",
            "2020-01-01T00:00:00.000+00:00",
            "+020-01-01T00:00:00.000Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_of_the_range_comes_back(millis in RANGE.0..=RANGE.1) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(parse(&format(time)), Some(time));
        }

        #[test]
        fn any_moment_is_written_in_24_characters(millis: i64) {
            prop_assert_eq!(format(Timestamp::from_millis(millis)).len(), 24);
        }

        #[test]
        fn any_text_is_read_or_not_and_never_panics(text in "\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}
