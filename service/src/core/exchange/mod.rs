//! The words of the core: inputs and effects, decisions, refusals, and the fields of commands.

pub(in crate::core) mod decision;
pub(in crate::core) mod fields;
pub(in crate::core) mod hook_call;
pub(in crate::core) mod input;
pub(in crate::core) mod push;
pub(in crate::core) mod refusal;
pub(in crate::core) mod reply;
pub(in crate::core) mod request;
pub(in crate::core) mod server_call;
