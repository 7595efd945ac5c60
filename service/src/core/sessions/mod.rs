//! Signing in and out.

pub(in crate::core) mod session;
