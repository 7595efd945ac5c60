//! The import of an older SDK's cache: read on a thread for reads, stored by the client's machine.
//!
//! ```text
//!   SQLite file ─ copy ─▶ sampan-legacy ─ facts ─▶ convert.rs ─ parts ─▶ the loop: join, commit
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `convert.rs` | the facts of a cache as values of the model, cut into parts |
//! | `attach.rs` | the files of drafts that were never uploaded |
//! | `report.rs` | the app's description of a cache, and the report for the app |

mod attach;
mod convert;
mod report;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sampan_legacy::{Cache, Kind, LegacyError, Reason, Source};

use super::{ClientCore, Runtime, client_folders, clock};
use crate::model::{ConversationId, SessionState};
use crate::sync::{FetchConversations, ImportLegacy};
use crate::{SampanError, StoreTrouble, Subject};
use convert::Plan;

pub use report::{
    LegacyCounts, LegacyKind, LegacyLeft, LegacyProgress, LegacyReason, LegacyReport, LegacyScope,
    LegacySource,
};

/// The folder in a client's own where the copy of a cache lies while it is read.
const SCRATCH: &str = "legacy";

/// How many conversations the service is asked for at a time.
const ASKED_AT_ONCE: usize = 50;

/// The progress of an import, and its cancellation. Every holder may look and cancel at any time.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    read: AtomicU64,
    to_read: AtomicU64,
    stored: AtomicU64,
    to_store: AtomicU64,
    is_cancelled: AtomicBool,
}

impl Watched {
    pub(crate) fn progress(&self) -> LegacyProgress {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LegacyProgress {
            read: load(&self.read),
            to_read: load(&self.to_read),
            stored: load(&self.stored),
            to_store: load(&self.to_store),
        }
    }

    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Notes that all was read.
    fn set_read(&self, rows: u64) {
        self.read.store(rows, Ordering::Relaxed);
        self.to_read.store(rows, Ordering::Relaxed);
    }

    /// Notes the rows read so far; breaks when the import was cancelled.
    fn note_read(&self, read: u64, to_read: u64) -> ControlFlow<()> {
        self.read.store(read, Ordering::Relaxed);
        self.to_read.store(to_read, Ordering::Relaxed);
        if self.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// An import for one client.
pub(crate) struct Import {
    pub(crate) source: LegacySource,
    pub(crate) watched: Arc<Watched>,
}

impl Runtime {
    /// Imports the cache of an older SDK.
    pub(crate) async fn import_legacy(
        &self,
        core: &Arc<ClientCore>,
        import: Import,
    ) -> Result<LegacyReport, SampanError> {
        // The client is gone, so its cache is not read.
        self.read(core, |_| Ok(())).await?;
        let watched = &import.watched;
        let Some(cache) = self.cache(core, &import).await? else {
            return Ok(LegacyReport {
                is_cancelled: true,
                ..LegacyReport::default()
            });
        };
        watched.set_read(cache.rows);
        let mut report = begun(&cache);
        let Some(kind) = cache.kind else {
            return Ok(report);
        };
        let named = convert::named(&cache);
        let taken = match import.source.scope {
            LegacyScope::KnownConversations if !cache.is_of_app => {
                Some(self.known(core, named).await?)
            }
            _ => None,
        };
        let is_taken = |id: &ConversationId| taken.as_ref().is_none_or(|taken| taken.contains(id));
        let now = clock::wall();
        let plan = convert::plan(cache, kind, &core.id, &is_taken, &mut report, now);
        watched.to_store.store(plan.items, Ordering::Relaxed);
        self.store_parts(core, plan, watched, &mut report).await?;
        debug_assert!(
            report.is_cancelled || report.is_complete(),
            "each row is counted once: {report:?}"
        );
        Ok(report)
    }

    /// Reads the cache; none when that was cancelled.
    async fn cache(
        &self,
        core: &Arc<ClientCore>,
        import: &Import,
    ) -> Result<Option<Cache>, SampanError> {
        let (config, path) = (&self.config, import.source.path.clone());
        let folder = client_folders::folder(&config.store_root, &config.app_id, &core.id);
        let (client, app) = (core.id.clone(), config.app_id.clone());
        let watched = Arc::clone(&import.watched);
        self.reading(move || {
            let scratch = folder.join(SCRATCH);
            let source = Source {
                path: &path,
                scratch: &scratch,
                client: client.as_str(),
                app: app.as_str(),
            };
            let read = sampan_legacy::read(&source, &mut |read, all| watched.note_read(read, all));
            // An empty folder that stays harms nobody.
            let _ = std::fs::remove_dir(&scratch);
            match read {
                Ok(cache) => Ok(Some(cache)),
                Err(LegacyError::Stopped) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// The conversations of this app among these: those on this device, and those that the service tells of
    /// now.
    async fn known(
        &self,
        core: &Arc<ClientCore>,
        named: BTreeSet<ConversationId>,
    ) -> Result<BTreeSet<ConversationId>, SampanError> {
        let (mut known, unknown) = self
            .read(core, move |store| {
                let snapshot = store.snapshot();
                let (mut known, mut unknown) = (BTreeSet::new(), Vec::new());
                for id in named {
                    if snapshot.number(&id)?.is_some() {
                        known.insert(id);
                    } else {
                        unknown.push(id);
                    }
                }
                Ok((known, unknown))
            })
            .await?;
        for some in unknown.chunks(ASKED_AT_ONCE) {
            if core.board.session() != SessionState::Open {
                break;
            }
            let conversations = some.to_vec();
            let call = FetchConversations { conversations };
            match self.mailbox().request(&core.id, call).await {
                Ok(answer) => known.extend(answer.found),
                // A conversation that nobody tells of now is listed, and taken when the import is tried again.
                Err(error) if error.is_retryable() => break,
                Err(SampanError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }

    /// Hands the parts to the machine, one after the other. The last one makes all durable, also when the
    /// others were cancelled.
    async fn store_parts(
        &self,
        core: &Arc<ClientCore>,
        plan: Plan,
        watched: &Watched,
        report: &mut LegacyReport,
    ) -> Result<(), SampanError> {
        for mut part in plan.parts {
            if watched.is_cancelled() && !part.is_last {
                report.is_cancelled = true;
                continue;
            }
            // Until the drafts name the copies of their files, nothing else keeps these from being swept.
            let mut copies = Vec::new();
            for draft in &mut part.drafts {
                if let Some(path) = plan.files.get(&draft.token) {
                    copies.push(self.attach(core, draft, path).await?);
                }
            }
            let items = part.messages.len().saturating_add(part.drafts.len());
            let taken = self
                .mailbox()
                .request(&core.id, ImportLegacy { part })
                .await?;
            drop(copies);
            report.note(&taken);
            let left = taken
                .no_room
                .iter()
                .filter_map(|token| plan.drafts.get(token));
            report.left.extend(left.cloned());
            let items = u64::try_from(items).unwrap_or(u64::MAX);
            watched.stored.fetch_add(items, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The report before anything is stored.
fn begun(cache: &Cache) -> LegacyReport {
    let left = cache.left.iter().map(|left| LegacyLeft {
        table: left.table.to_owned(),
        row: left.row,
        conversation: left.conversation.clone(),
        message: left.id.clone(),
        reason: match left.reason {
            Reason::NoConversation => LegacyReason::NoConversation,
            Reason::NoContent => LegacyReason::NoContent,
            Reason::SentAfterAll => LegacyReason::SentAfterAll,
            _ => LegacyReason::Malformed,
        },
    });
    let damage = cache.damage.iter();
    LegacyReport {
        kind: cache.kind.map(|kind| match kind {
            Kind::Java => LegacyKind::Java,
            Kind::ObjectiveC => LegacyKind::ObjectiveC,
            Kind::Swift => LegacyKind::Swift,
        }),
        rows: cache.rows,
        repeated: cache.repeated,
        left: left.collect(),
        damage: damage
            .map(|damage| format!("{}: {}", damage.table, damage.reason))
            .collect(),
        ..LegacyReport::default()
    }
}

impl From<LegacyError> for SampanError {
    fn from(error: LegacyError) -> Self {
        let reason = error.to_string();
        match error {
            LegacyError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Self::NotFound {
                    what: Subject::LegacyCache,
                }
            }
            LegacyError::Io { source, .. } => Self::StoreUnavailable {
                trouble: StoreTrouble::of(&source),
                reason: source.to_string(),
            },
            LegacyError::Stopped => Self::Internal { reason },
            // The file is none, or another client's or app's.
            _ => Self::InvalidArgument { reason },
        }
    }
}
