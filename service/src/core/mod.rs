//! The rules of the service: pure functions, without IO, clocks or randomness of their own.

pub mod column;
mod date;
pub mod filter;
pub mod query;
mod value;
