//! Queries of conversations: the search, and the rows of the answer. The language of conditions is `sampan::model::query`.

pub(in crate::core) mod query_row;
pub(in crate::core) mod search;
