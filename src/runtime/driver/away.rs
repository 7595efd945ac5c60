//! The app in the background: every file is closed, and calls open the stores that they need for a moment.

use std::sync::Arc;

use super::{Driver, Lifecycle};
use crate::model::Event;
use crate::runtime::attach::DetachedClient;
use crate::runtime::background::{AfterReopen, Reopened};
use crate::runtime::callers::Answer;
use crate::runtime::ports::Ports;
use crate::sync::link::LinkInput;
use crate::{SampanError, StoreTrouble};

impl Driver {
    /// Closes the socket and shuts every store; the caller hears when no file is open.
    pub(super) fn pause(&mut self, done: Answer<()>) {
        self.turns.link(LinkInput::Pause);
        self.turns.work_until_idle();
        self.lifecycle = Lifecycle::Background { shut_at: None };
        self.turns.ports().board.is_away.send_replace(true);
        self.shut_all();
        self.background.stop_retrying();
        let goodbye = self.turns.ports_mut().sockets.goodbye();
        let stores: Vec<_> = self.background.stores().map(Arc::clone).collect();
        tokio::spawn(async move {
            goodbye.await;
            for store in stores {
                store.freed().await;
            }
            // A caller that left is not told.
            let _ = done.send(());
        });
    }

    pub(super) fn resume(&mut self) {
        self.lifecycle = Lifecycle::Foreground;
        self.turns.ports().board.is_away.send_replace(false);
        self.turns.link(LinkInput::Resume);
        self.turns.import_soon();
        self.background.wake_all();
    }

    /// Shuts the stores that were opened in the background, if it is time.
    pub(super) fn shut_if_due(&mut self) {
        let now = self.turns.ports().now();
        if let Lifecycle::Background { shut_at } = &mut self.lifecycle
            && shut_at.take_if(|at| *at <= now.elapsed).is_some()
        {
            self.shut_all();
        }
    }

    /// Brings everything to disk and shuts the stores.
    pub(super) fn shut_all(&mut self) {
        for departure in self.turns.detach_all() {
            let DetachedClient {
                client,
                wishes,
                store,
                writer,
            } = departure;
            if let Some(mut parts) = self.turns.ports_mut().clients.remove(&client) {
                parts.wishes = wishes;
                parts.tell_compacted(&Err(SampanError::StoreUnavailable {
                    trouble: StoreTrouble::Device,
                    reason: "the app went to the background".to_owned(),
                }));
                parts.core.store.shut();
                self.background.add(parts);
            }
            // Closing the files blocks. Without a thread for it they are closed here.
            let _ = self.files.run(Box::new(move || {
                drop(store);
                writer.close();
            }));
        }
    }

    /// Takes a client whose store was opened again, and carries out the calls that waited for it.
    pub(super) fn reopened(&mut self, reopened: Reopened) {
        let now = self.turns.ports().now();
        let reopened = match self.background.opened(now, reopened) {
            AfterReopen::Opened(client) => *client,
            AfterReopen::Refused(event) => return self.turns.ports_mut().publish(vec![*event]),
            AfterReopen::Nothing => return,
        };
        let core = Arc::clone(&reopened.client.parts.core);
        let before = core.board.health();
        self.attach(reopened.client);
        let health = core.board.health();
        if health != before {
            let client = core.id.clone();
            let changed = Event::StoreHealthChanged { client, health };
            self.turns.ports_mut().publish(vec![changed]);
        }
        for command in reopened.commands {
            // A command that needs a store never stops the loop.
            let _ = self.obey(command);
        }
        for done in reopened.reads {
            // A caller that left is not told.
            let _ = done.send(Ok(()));
        }
    }
}
