//! Forgetting what has ended.

pub(in crate::core) mod retention;
pub(in crate::core) mod sweep;
