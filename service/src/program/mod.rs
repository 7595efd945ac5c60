//! The program around the service: flags, the log, signals.
//!
//! | file | what it does |
//! |---|---|
//! | `arguments.rs` | flags and environment |
//! | `log.rs` | the log on standard error |
//! | `signals.rs` | what the system tells the process |

pub(crate) mod arguments;
pub(crate) mod log;
pub(crate) mod signals;
