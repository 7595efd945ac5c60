//! The trace of a run: the hash of every run, and lines for a reader.

use std::fmt;
use std::time::Duration;

/// The record of a run. Two runs of the same plan have the same hash, or the simulator is broken.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

/// The record of a run: lines to read, or the hash alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Telling {
    /// The hash only: quick.
    #[default]
    Silent,
    /// Every step as a line.
    Lines,
}

impl Trace {
    pub(crate) fn new(telling: Telling) -> Self {
        let lines = match telling {
            Telling::Silent => None,
            Telling::Lines => Some(Vec::new()),
        };
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines,
        }
    }

    /// Notes one happening: its time, its kind, its owner, and the bytes that tell it from others.
    pub(crate) fn note(
        &mut self,
        at: Duration,
        what: &'static str,
        whose: usize,
        bytes: &[u8],
        line: impl FnOnce() -> String,
    ) {
        self.fold(&at.as_nanos().to_le_bytes());
        self.fold(what.as_bytes());
        self.fold(&whose.to_le_bytes());
        self.fold(bytes);
        if let Some(lines) = &mut self.lines {
            let seconds = at.as_secs_f64();
            lines.push(format!("{seconds:>10.3}  {what:<9} {}", line()));
        }
    }

    fn fold(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash over everything noted.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines, if they were asked for.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

/// A description without the fields that say nothing: no `name: None`, no `names: []`.
pub(crate) fn terse(described: &str) -> String {
    let mut terse = String::new();
    for part in described.split(", ") {
        let (before, field) = part.rsplit_once("{ ").unwrap_or(("", part));
        let (name, value) = field.split_once(": ").unwrap_or(("", field));
        let end = ["None", "[]"]
            .into_iter()
            .find_map(|it| value.strip_prefix(it));
        let end = end.filter(|end| !name.is_empty() && end.chars().all(|it| " })]".contains(it)));
        if !before.is_empty() {
            separate(&mut terse);
            terse.push_str(before);
            terse.push_str("{ ");
        }
        match end {
            Some(end) if terse.ends_with("{ ") => terse.push_str(end.trim_start()),
            Some(end) => terse.push_str(end),
            None => {
                separate(&mut terse);
                terse.push_str(field);
            }
        }
    }
    terse
}

/// Writes a comma between two fields, and none after an opening brace.
fn separate(terse: &mut String) {
    if !terse.is_empty() && !terse.ends_with("{ ") {
        terse.push_str(", ");
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        write!(f, "trace {:016x}", self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_told() {
        let told = |text| terse(text);
        assert_eq!(told("A { a: None, b: 1, c: [] }"), "A { b: 1 }");
        assert_eq!(
            told("A { a: Some(B { c: None }), d: 2 }"),
            "A { a: Some(B { }), d: 2 }"
        );
        assert_eq!(told("A(B { a: 1, b: None, c: None })"), "A(B { a: 1 })");
        assert_eq!(told("Echo"), "Echo");
    }
}
