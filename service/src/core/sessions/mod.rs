//! Signing in and out: names, signatures, tokens, tags and conflicts; the clients that are online.

pub(in crate::core) mod device;
mod end;
pub(in crate::core) mod open;
mod presence;
mod tags;
mod tokens;
pub(in crate::core) mod welcome;
