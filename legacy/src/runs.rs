//! The stretches without missing messages, as a cache claims them.

use crate::facts::{Before, Message, Run};

/// The runs of two messages or more; the messages are in the order of conversations and places.
pub(crate) fn of(messages: &[Message]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last: Option<&Message> = None;
    for message in messages.iter().filter(|it| it.before != Before::Alone) {
        if let Some(before) = last.filter(|before| are_joined(before, message)) {
            match runs.last_mut() {
                Some(run) if run.conversation == message.conversation && run.to == before.place => {
                    run.to = message.place.clone();
                }
                _ => runs.push(Run {
                    conversation: message.conversation.clone(),
                    from: before.place.clone(),
                    to: message.place.clone(),
                }),
            }
        }
        last = Some(message);
    }
    runs
}

/// The Swift SDK marks both ends of each stretch that it stored: a hole is between two marks. The other SDKs
/// mark the row behind a hole.
fn are_joined(before: &Message, message: &Message) -> bool {
    before.conversation == message.conversation
        && match message.before {
            Before::Joined => true,
            Before::End => before.before != Before::End,
            Before::Hole | Before::Alone => false,
        }
}
