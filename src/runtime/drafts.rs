//! Drafts between the typing and the disk: kept in memory for half a second, then written together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{ConversationId, Draft, StoreHealth};
use crate::sync::{LocalNote, Note};

/// So long after the first letter a draft is written. The disk has it a tenth of a second later.
const SAVE_AFTER: Duration = Duration::from_millis(500);

/// The drafts of one client that are not in its store yet.
#[derive(Debug, Default)]
pub(super) struct Drafts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    unsaved: BTreeMap<ConversationId, Unsaved>,
    /// The number of the last draft that was set.
    turn: u64,
    /// True if somebody will save the drafts.
    has_saver: bool,
}

#[derive(Clone, Debug)]
struct Unsaved {
    draft: Option<Draft>,
    turn: u64,
}

impl Drafts {
    fn state(&self) -> MutexGuard<'_, State> {
        // The sections under this lock move values and nothing else.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A draft that is not in the store yet; the inner one is none where it was taken back.
    pub(super) fn unsaved(&self, conversation: &ConversationId) -> Option<Option<Draft>> {
        let state = self.state();
        let unsaved = state.unsaved.get(conversation)?;
        Some(unsaved.draft.clone())
    }

    /// Takes a draft. True when somebody has to be asked to save it.
    fn set(&self, conversation: ConversationId, draft: Option<Draft>) -> bool {
        let mut state = self.state();
        state.turn = state.turn.wrapping_add(1);
        let turn = state.turn;
        state.unsaved.insert(conversation, Unsaved { draft, turn });
        !std::mem::replace(&mut state.has_saver, true)
    }

    /// The store has a draft, or will never have it.
    fn saved(&self, conversation: &ConversationId, turn: u64) {
        let mut state = self.state();
        if state
            .unsaved
            .get(conversation)
            .is_some_and(|it| it.turn == turn)
        {
            state.unsaved.remove(conversation);
        }
    }

    /// True if nothing is left to save: the saver need not come again.
    fn is_done(&self) -> bool {
        let mut state = self.state();
        state.has_saver = !state.unsaved.is_empty();
        !state.has_saver
    }
}

impl Runtime {
    /// Takes a draft: it is in the store within a second.
    pub(crate) fn set_draft(
        self: &Arc<Self>,
        core: &Arc<ClientCore>,
        conversation: ConversationId,
        draft: Option<Draft>,
    ) {
        if core.drafts.set(conversation, draft) {
            let mut writing = self.writing();
            writing.retain(|client| client.strong_count() > 0);
            writing.push(Arc::downgrade(core));
            drop(writing);
            let saver = save(Arc::downgrade(self), Arc::downgrade(core));
            self.callers.spawn(&self.tasks, Box::pin(saver));
        }
    }

    /// A draft that the store does not have yet.
    pub(crate) fn unsaved_draft(
        &self,
        core: &ClientCore,
        conversation: &ConversationId,
    ) -> Option<Option<Draft>> {
        core.drafts.unsaved(conversation)
    }

    fn writing(&self) -> MutexGuard<'_, Vec<Weak<ClientCore>>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the drafts of all clients to their stores.
    pub(super) async fn save_all_drafts(&self) {
        let writing: Vec<_> = self.writing().iter().filter_map(Weak::upgrade).collect();
        for core in writing {
            self.save_drafts(&core).await;
        }
    }

    /// Writes a client's drafts to its store. Those that can't be written stay in memory.
    pub(super) async fn save_drafts(&self, core: &ClientCore) {
        let unsaved = core.drafts.state().unsaved.clone();
        for (conversation, Unsaved { draft, turn }) in unsaved {
            let call = Note {
                conversation: conversation.clone(),
                note: LocalNote::Draft(draft),
            };
            match self.mailbox.request(&core.id, call).await {
                // A conversation that is gone has no draft.
                Ok(_)
                | Err(
                    SampanError::NotFound { .. } | SampanError::SignedOut | SampanError::ShutDown,
                ) => {
                    core.drafts.saved(&conversation, turn);
                }
                Err(error) => log::warn!("a draft could not be saved: {error}"),
            }
        }
    }
}

/// Saves a client's drafts until there are none: after a while, and again when the store takes writes.
async fn save(runtime: Weak<Runtime>, client: Weak<ClientCore>) {
    let Some(mut is_closed) = client.upgrade().map(|core| core.store.watch_closed()) else {
        return;
    };
    loop {
        // The end comes first: behind it the timers of the engine are gone.
        tokio::select! {
            biased;
            _ = is_closed.wait_for(|is_closed| *is_closed) => return,
            () = sleep(SAVE_AFTER) => {}
        }
        let (Some(runtime), Some(core)) = (runtime.upgrade(), client.upgrade()) else {
            return;
        };
        runtime.save_drafts(&core).await;
        if core.drafts.is_done() {
            return;
        }
        let mut health = core.board.health.subscribe();
        drop((runtime, core));
        // A store that takes no writes is tried again when it does.
        if health
            .wait_for(|health| *health == StoreHealth::Good)
            .await
            .is_err()
        {
            return;
        }
    }
}
