//! The memory of the core: connections and sessions, the clock, ids, and notifications that can be read again.

pub(in crate::core) mod badges;
pub(in crate::core) mod clock;
pub(in crate::core) mod cost;
pub(in crate::core) mod entropy;
pub(in crate::core) mod hook_turn;
pub(in crate::core) mod pace;
pub(in crate::core) mod registry;
pub(in crate::core) mod replay;
pub(in crate::core) mod upkeep;
pub(in crate::core) mod used_signatures;
pub(in crate::core) mod visitors;
pub(in crate::core) mod watches;
