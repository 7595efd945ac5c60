//! The columns of a conversation and their changes. Queries over them are in `sampan::model::query`.

pub mod attributes;
