//! Faults: those of the world, which Sampan must bear, and those planted in Sampan, which the checks must
//! notice.
//!
//! | file | what it holds |
//! |---|---|
//! | `kinds.rs` | the faults of the world, and those that a seed draws |
//! | `planted.rs` | the planted faults, with the limit of each |
//! | `planted_calls.rs` | the faults that are planted in calls |
//! | `planted_frames.rs` | the faults that are planted in frames |

pub(crate) mod kinds;
pub(crate) mod planted;
pub(crate) mod planted_calls;
pub(crate) mod planted_frames;
