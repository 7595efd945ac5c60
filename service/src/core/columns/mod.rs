//! The columns of a conversation: their names, values and changes.

pub mod attributes;
pub mod column;
pub(in crate::core) mod value;
