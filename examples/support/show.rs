//! Printing: names for random ids, columns that line up, numbers that can be read.

use std::time::{Duration, Instant};

use sampan::model::{ClientId, Unread};

/// Made-up first names; a participant of the data is a random id.
const NAMES: [&str; 48] = [
    "Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "June", "Kai", "Lia", "Max",
    "Nora", "Otis", "Pia", "Quin", "Rosa", "Sam", "Tess", "Uma", "Vera", "Wim", "Xenia", "Yara",
    "Zoe", "Abel", "Bea", "Cem", "Dora", "Emil", "Faye", "Gil", "Hugo", "Ines", "Jon", "Kim",
    "Leo", "Mia", "Ned", "Olga", "Paul", "Rita", "Sven", "Thea", "Ugo", "Viv", "Will",
];

/// The made-up name of a participant: the same id has the same name in every run.
pub(crate) fn name(client: &ClientId) -> String {
    let hash = client.as_str().bytes().fold(3_usize, |hash, byte| {
        hash.wrapping_mul(131).wrapping_add(usize::from(byte))
    });
    let name = NAMES.get(hash % NAMES.len()).unwrap_or(&"Somebody");
    (*name).to_owned()
}

/// An unread count as it is shown.
pub(crate) fn unread(unread: Unread) -> String {
    match (unread.count, unread.at_least) {
        (0, false) => "·".to_owned(),
        (count, false) => count.to_string(),
        (count, true) => format!("{count}+"),
    }
}

/// A text on one line of at most `width` characters.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes in the unit that suits them.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", grouped(bytes / 1_000_000)),
    }
}

/// A duration in the unit that suits it.
pub(crate) fn took(duration: Duration) -> String {
    match duration.as_millis() {
        0..1_000 => format!("{} ms", duration.as_millis()),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// A count as a rate a second.
pub(crate) fn rate(count: u64, duration: Duration) -> String {
    let seconds = duration.as_secs_f64().max(0.001);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate to look at"
    )]
    let rate = (count as f64 / seconds) as u64;
    format!("{}/s", grouped(rate))
}

/// The bytes of all files under a folder.
pub(crate) fn folder_bytes(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.filter_map(Result::ok).map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            folder_bytes(&path)
        } else {
            entry.metadata().map_or(0, |metadata| metadata.len())
        }
    });
    sizes.sum()
}

/// Measures how long something takes.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(
        clippy::disallowed_methods,
        reason = "an example shows how long things take; the library asks its own clock"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
