//! Common parts of notices about a conversation, and of the commands about one.

use sampan::model::{ClientId, Now, Timestamp};
use sampan::wire::generated::ConvCommand;

use crate::core::apps::signature_check::SentSignature;
use crate::core::columns::attributes::AttributeError;
use crate::core::exchange::refusal::Refusal;
use crate::storage::Conversation;

/// The fields that every notification about a conversation has.
pub(in crate::core) fn about(now: Now, conversation: &Conversation, by: &ClientId) -> ConvCommand {
    let temporary = conversation.expires_at.map(|ends| seconds_left(now, ends));
    ConvCommand {
        cid: Some(conversation.id.to_string()),
        init_by: Some(by.to_string()),
        temp_conv: temporary.map(|_| true),
        temp_conv_ttl: temporary,
        ..ConvCommand::default()
    }
}

/// Seconds until a temporary conversation ends, rounded up: it is live, so at least one.
pub(in crate::core) fn seconds_left(now: Now, ends: Timestamp) -> i32 {
    let left = ends.saturating_since(now.wall).as_millis().div_ceil(1000);
    i32::try_from(left).unwrap_or(i32::MAX)
}

/// The signature of a command, with the fields that it has.
pub(in crate::core) fn signature_of(body: &ConvCommand) -> SentSignature<'_> {
    (body.t, body.n.as_deref(), body.s.as_deref())
}

/// A time of change: now, and strictly later than the change before.
pub(in crate::core) fn later(before: Timestamp, wall: Timestamp) -> Timestamp {
    wall.max(before.saturating_add(std::time::Duration::from_millis(1)))
}

pub(in crate::core) fn refuse_attributes(error: AttributeError) -> Refusal {
    Refusal::because(error.code(), error.to_string())
}
