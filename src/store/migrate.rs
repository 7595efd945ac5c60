//! The schema and its steps.
//!
//! A schema number stands in the identity (`identity.rs`), which is read before anything else is
//! touched, and in the tree's counters. A store of a newer schema is refused and left as it is.
//! One of an older schema is brought forward when it is opened: a function per step, each a batch
//! of its own that ends with the new number, so that a kill between two steps is no harm. The
//! identity is raised last.
//!
//! | schema | since | what changed |
//! |---|---|---|
//! | 1 | 0.1.0 | the first |
//!
//! A store folder of each released schema is kept in `tests/fixtures/`, and a test opens it. A
//! field that is only added, with a default, needs no step.

use super::StoreError;
use super::kv::Kv;
use super::record::MetaRecord;
use super::shared::Codec;

/// The schema that this version writes.
pub(super) const SCHEMA: u32 = 1;

/// Brings a tree forward by one schema and writes the counters with the next number.
type Step = fn(&dyn Kv, &Codec, MetaRecord) -> Result<MetaRecord, StoreError>;

/// The step from each older schema, beginning with that from 1.
const STEPS: [Step; 0] = [];

/// Brings a tree to [`SCHEMA`]. Gives its counters as they are then.
///
/// # Errors
///
/// [`StoreError::TooNew`] for a tree that a newer version wrote; what a step fails with.
pub(super) fn migrate(
    kv: &dyn Kv,
    codec: &Codec,
    meta: MetaRecord,
) -> Result<MetaRecord, StoreError> {
    if meta.schema > SCHEMA {
        return Err(StoreError::TooNew {
            found: meta.schema,
            supported: SCHEMA,
        });
    }
    let done = usize::try_from(meta.schema.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut meta = meta;
    for step in STEPS.iter().skip(done) {
        meta = step(kv, codec, meta)?;
    }
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_step_from_each_older_schema() {
        assert_eq!(STEPS.len(), usize::try_from(SCHEMA).unwrap() - 1);
    }
}
