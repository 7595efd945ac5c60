//! Writes the glance beside the extension inbox: when the app goes to the background, and after changes, at
//! most twice a minute.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::live::Live;
use super::{ClientCore, Runtime, clock};
use crate::SampanError;
use crate::model::ConversationInfo;
use crate::store::{GLANCE_ROWS_MAX, GlanceBook, GlanceRow, Snapshot, Store, StoreError};

/// The pause between two writings of the glance.
const PAUSE: Duration = Duration::from_secs(30);

impl Runtime {
    /// Keeps the glance of a client up to date, until the client is closed.
    pub(crate) fn keep_glance(self: &Arc<Self>, core: &Arc<ClientCore>) {
        if core.inbox.is_none() {
            return;
        }
        let this = Arc::downgrade(core);
        let mut glancing = self.glancing();
        glancing.retain(|known| known.strong_count() > 0);
        if glancing.iter().any(|known| known.ptr_eq(&this)) {
            return;
        }
        glancing.push(Weak::clone(&this));
        drop(glancing);
        let work = keep(Live::new(self, core), Arc::downgrade(self), this);
        self.callers.spawn(&self.tasks, Box::pin(work));
    }

    /// Writes the glances of all clients whose stores are open.
    pub(super) async fn write_glances(&self) {
        let clients: Vec<_> = self.glancing().iter().filter_map(Weak::upgrade).collect();
        for core in clients {
            self.write_glance(&core).await;
        }
    }

    /// Writes the glance. If that fails, the old one stays.
    async fn write_glance(&self, core: &ClientCore) {
        let Some(inbox) = core.inbox.clone() else {
            return;
        };
        let written = self.read_if_open(core, move |store: &Store| {
            // Reading under the lock makes sure that the newer of two glances is written last.
            let inbox = inbox
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            Ok(inbox.write_glance(&book_of(&store.snapshot())?)?)
        });
        if let Some(Err(error)) = written.await {
            log::warn!("the glance can't be written: {error}");
        }
    }
}

/// Everything that a notification may show of the conversations.
fn book_of(snapshot: &Snapshot<'_>) -> Result<GlanceBook, SampanError> {
    let mut rows = Vec::new();
    let mut after = None;
    while rows.len() < GLANCE_ROWS_MAX {
        let page = snapshot.conversations(after, Snapshot::PAGE_MAX)?;
        for (number, info) in page.conversations {
            rows.push(row_of(snapshot, number, info)?);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    rows.truncate(GLANCE_ROWS_MAX);
    Ok(GlanceBook {
        as_of: clock::wall(),
        totals: snapshot.unread_totals(),
        rows,
    })
}

fn row_of(
    snapshot: &Snapshot<'_>,
    number: crate::store::ConversationNumber,
    info: ConversationInfo,
) -> Result<GlanceRow, StoreError> {
    let row = snapshot.row(number)?;
    let peer = match &info.members[..] {
        [one, other] if one == snapshot.owner() => Some(other.clone()),
        [one, other] if other == snapshot.owner() => Some(one.clone()),
        _ => None,
    };
    let newest = info.last_message.filter(|message| message.id.is_some());
    Ok(GlanceRow {
        conversation: info.id,
        name: info.name,
        peer,
        muted: info.muted,
        unread: info.unread,
        read_until: row.and_then(|row| row.read_until_self),
        newest: newest
            .map(|message| message.sent_at)
            .max(info.last_message_at),
    })
}

/// Writes after a change, then waits for the pause to end.
async fn keep(live: Live, runtime: Weak<Runtime>, core: Weak<ClientCore>) {
    loop {
        let Some(changes) = live.changes(None) else {
            return;
        };
        if live.is_over() {
            return;
        }
        if let Some((runtime, core)) = runtime.upgrade().zip(core.upgrade()) {
            runtime.write_glance(&core).await;
        }
        sleep(PAUSE).await;
        if changes.commit().await.is_none() {
            return;
        }
    }
}
