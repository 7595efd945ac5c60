//! A self-hostable messaging service of the protocol that Sampan and the official SDKs speak.

pub mod core;
pub mod storage;
