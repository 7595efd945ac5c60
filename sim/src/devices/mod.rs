//! Devices: an engine on each, or one for two of them, their disks, and the apps that use them.
//!
//! | file | what it holds |
//! |---|---|
//! | `actions.rs` | the actions of apps, and those that a seed draws |
//! | `device.rs` | one client of a device over all its lives: disk, writer, observer |
//! | `engine.rs` | an engine: the real turn loop, with a power switch |
//! | `spool.rs` | the copies of files that messages wait for |
//! | `streams.rs` | actions with a stream of chance of their own |
//! | `wants.rs` | the effects that engines want in the world |

pub(crate) mod actions;
pub(crate) mod device;
pub(crate) mod engine;
pub(crate) mod spool;
pub(crate) mod streams;
pub(crate) mod wants;
