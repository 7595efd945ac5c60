//! The columns of a conversation: their changes. What a query says of them stands in `sampan::model::query`.

pub mod attributes;
