//! Queries of conversations: the language of conditions, and the rows of the answer.

pub mod filter;
pub mod query;
pub(in crate::core) mod query_row;
pub(in crate::core) mod search;
