//! Times, counts and reasons in words. Days and times are those of UTC: a real app asks the system for
//! the user's time zone.

use sampan::model::{
    ConnectionFailure, Count, MediaFile, Progress, SendFailure, SessionEnd, Timestamp, Unread,
    UploadFailure,
};
use sampan::{Blocker, Delivery, FillFailure, FillState};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The day of a time, counted from the epoch.
pub(super) const fn day_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY_MILLIS)
}

/// A day in words, such as `3 March 2024`.
pub(super) fn day(number: i64, today: i64) -> String {
    match today - number {
        0 => return "today".to_owned(),
        1 => return "yesterday".to_owned(),
        _ => {}
    }
    // The civil date of a day, by Howard Hinnant's algorithm: years begin in March.
    let shifted = number + 719_468;
    let era = shifted.div_euclid(146_097);
    let in_era = shifted.rem_euclid(146_097);
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let date = in_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = year + era * 400 + i64::from(month < 2);
    let name = usize::try_from(month).ok().and_then(|at| MONTHS.get(at));
    format!("{date} {} {year}", name.unwrap_or(&""))
}

/// The time of day, such as `09:41`.
pub(super) fn clock(at: Timestamp) -> String {
    let minutes = at.as_millis().rem_euclid(DAY_MILLIS) / 60_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The seconds until a time.
pub(super) fn seconds_until(at: Timestamp, now: Timestamp) -> i64 {
    ((at.as_millis() - now.as_millis()).max(0) + 999) / 1000
}

/// An unread count for a badge; none where nothing is unread.
pub(super) fn badge(unread: Unread) -> Option<String> {
    let at = if unread.mentioned { "@" } else { "" };
    match (unread.count, unread.at_least) {
        (0, false) => None,
        (count, false) => Some(format!("{at}{count}")),
        (count, true) => Some(format!("{at}{count}+")),
    }
}

/// A count with its noun.
pub(super) fn counted(count: Count, one: &str, many: &str) -> String {
    format!("{count} {}", if count == Count(1) { one } else { many })
}

/// A picture, sound, film or file with its measures: `[image boat.png, 640×480, 18 kB]`.
pub(super) fn file(kind: &str, file: &MediaFile) -> String {
    let mut line = format!("[{kind}");
    let mut parts = Vec::new();
    if let (Some(width), Some(height)) = (file.width, file.height) {
        parts.push(format!("{width}×{height}"));
    }
    if let Some(seconds) = file.duration {
        parts.push(format!("{seconds:.0} s"));
    }
    parts.extend(file.size.map(|bytes| match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{} MB", bytes.div_ceil(1_000_000)),
    }));
    if let Some(name) = &file.name {
        line.push(' ');
        line.push_str(name);
        if !parts.is_empty() {
            line.push(',');
        }
    }
    if !parts.is_empty() {
        line.push(' ');
        line.push_str(&parts.join(", "));
    }
    line.push(']');
    line
}

/// The mark behind an own message.
pub(super) fn mark(delivery: &Delivery, now: Timestamp) -> String {
    match delivery {
        Delivery::Waiting { blocker } => format!("◷ {}", waits(*blocker, now)),
        Delivery::Sending { progress: None } => "↑ sending".to_owned(),
        Delivery::Sending {
            progress: Some(progress),
        } => uploading(*progress),
        Delivery::Sent => "✓".to_owned(),
        Delivery::Delivered { .. } => "✓✓".to_owned(),
        Delivery::Read { .. } => "✓✓ read".to_owned(),
        Delivery::Failed { failure, .. } => format!("✗ {}", failed(failure)),
    }
}

/// The sign alone, for the list.
pub(super) const fn sign(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery::Waiting { .. } => "◷ ",
        Delivery::Sending { .. } => "↑ ",
        Delivery::Sent => "✓ ",
        Delivery::Delivered { .. } | Delivery::Read { .. } => "✓✓ ",
        Delivery::Failed { .. } => "✗ ",
    }
}

/// The reason why something is not sent.
pub(super) fn waits(blocker: Blocker, now: Timestamp) -> String {
    match blocker {
        Blocker::Offline => "waits for the network".to_owned(),
        Blocker::Store => "waits for the disk".to_owned(),
        Blocker::Creation => "waits for the conversation".to_owned(),
        Blocker::Upload => "waits to be uploaded".to_owned(),
        Blocker::Signature => "waits for a signature".to_owned(),
        Blocker::Turn => "waits for its turn".to_owned(),
        Blocker::Pace { until } => format!("next try in {} s", seconds_until(until, now)),
        _ => "waits".to_owned(),
    }
}

fn failed(failure: &SendFailure) -> String {
    match failure {
        SendFailure::Refused { code, reason, .. } => format!("refused: {reason} ({code})"),
        SendFailure::TriesExhausted { tries } => format!("no answer after {tries} tries"),
        SendFailure::Ambiguous => "may have arrived, or not".to_owned(),
        SendFailure::MembersRefused { refused } => {
            format!("refused for {} members", refused.len())
        }
        SendFailure::NotUploaded { failure } => not_uploaded(failure),
        SendFailure::Unsendable { reason } => reason.clone(),
    }
}

fn not_uploaded(failure: &UploadFailure) -> String {
    match failure {
        UploadFailure::Refused { status, reason, .. } => {
            format!("file refused: {reason} ({status})")
        }
        UploadFailure::Unreachable { reason, .. } => format!("file not uploaded: {reason}"),
        UploadFailure::CopyLost { .. } => "the file is gone from this device".to_owned(),
        _ => "file not uploaded".to_owned(),
    }
}

/// The progress of an upload.
fn uploading(progress: Progress) -> String {
    let hundredths = match progress.total {
        Some(total) if total.0 > 0 => progress.done.0.saturating_mul(100) / total.0,
        _ => 0,
    };
    format!("↑ {hundredths} %")
}

/// The state of missing history.
pub(super) fn fill(state: &FillState) -> String {
    match state {
        FillState::Idle => "history is missing here".to_owned(),
        FillState::Waiting => "history is missing here: waits for the network".to_owned(),
        FillState::Loading => "loading history …".to_owned(),
        FillState::Failed { cause } => match cause {
            FillFailure::TimedOut => "history did not come: no answer".to_owned(),
            FillFailure::Refused { reason, .. } => format!("history was refused: {reason}"),
            FillFailure::Store { .. } => "history did not come: the disk".to_owned(),
        },
    }
}

/// The reason why connecting failed.
pub(super) const fn unreachable(failure: &ConnectionFailure) -> &'static str {
    match failure {
        ConnectionFailure::TimedOut => "no answer",
        ConnectionFailure::Untrusted { .. } => "a certificate that is not trusted",
        ConnectionFailure::Insecure => "clear text is not allowed",
        ConnectionFailure::NotTheService { .. } => "somebody else answers",
        _ => "the service can't be reached",
    }
}

/// The reason why a session ended.
pub(super) fn ended(reason: &SessionEnd) -> String {
    format!("signed out: {} ({})", reason.reason(), reason.code())
}
