//! The one loop: take all that waits, decide, commit once, and only then let anybody know.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::clock::Clock;
use super::fanout::FanOut;
use crate::core::{Core, Effect, Input, RestAnswer};
use crate::storage::Storage;

/// Inputs that wait for the core. A connection that finds the box full waits, and is not read.
pub(super) const MAILBOX: usize = 4096;

/// Inputs that share one commit: enough that a busy service writes to disk some hundred times a
/// second and not once a message, few enough that nobody waits long for a reply.
const BATCH: usize = 512;

/// Runs until every sender of the mailbox is gone.
pub(super) async fn run<S: Storage>(
    mut core: Core<S>,
    mut mailbox: mpsc::Receiver<Input>,
    clock: Clock,
    out: Arc<dyn FanOut>,
) {
    let mut waiting = Vec::with_capacity(BATCH);
    loop {
        let patience = clock.until(core.wake_at());
        match timeout(patience, mailbox.recv_many(&mut waiting, BATCH)).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => waiting.push(Input::Woke),
        }
        let mut effects = Vec::new();
        for input in waiting.drain(..) {
            effects.extend(core.handle(clock.now(), input).await);
        }
        match core.commit().await {
            Ok(()) => out.deliver(effects),
            Err(error) => {
                out.deliver(vec![Effect::Report(format!(
                    "nothing of a batch is kept: {error}"
                ))]);
                out.deliver(effects.into_iter().filter_map(undone).collect());
                out.deliver(core.abandon());
            }
        }
    }
}

/// What is left of an effect whose batch was not committed: HTTP callers still get an answer.
fn undone(effect: Effect) -> Option<Effect> {
    match effect {
        Effect::Answer { ticket, .. } => {
            let answer = Box::new(RestAnswer::refused(500, 1, "internal error"));
            Some(Effect::Answer { ticket, answer })
        }
        Effect::Report(text) => Some(Effect::Report(text)),
        Effect::Send { .. } | Effect::Close { .. } => None,
    }
}
