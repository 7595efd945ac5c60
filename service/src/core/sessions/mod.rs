//! Signing in and out: names, signatures, tokens, tags and conflicts; who is online.

mod end;
mod open;
mod tags;
mod tokens;
pub(in crate::core) mod welcome;
