//! The rules of the service: pure functions, without IO, clocks or randomness of their own.

pub mod app;
pub mod attributes;
pub mod column;
pub mod filter;
pub mod query;
pub mod settings;
pub mod signature;
mod value;
