//! [`Range`]: a number of the settings, with its least and greatest value.

/// A number of the settings, with its least and greatest value.
pub(super) struct Range {
    /// The setting, as a dotted path.
    pub(super) key: &'static str,
    pub(super) actual: u64,
    pub(super) min: u64,
    pub(super) max: u64,
}

pub(super) const fn range(key: &'static str, actual: u64, min: u64, max: u64) -> Range {
    Range {
        key,
        actual,
        min,
        max,
    }
}
