//! The progress of upkeep: the pass over messages past their retention, the sweep of notifications.

use std::time::Duration;

use sampan::model::{AppId, ClientId, ConversationId};

use crate::core::apps::app::{App, Apps};

/// How long an app wants messages kept; `None` means for ever.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct KeptFor {
    pub(in crate::core) in_rooms: Option<Duration>,
    pub(in crate::core) elsewhere: Option<Duration>,
}

/// The progress of a pass.
#[derive(Debug)]
pub(in crate::core) struct RetentionPass {
    /// The apps that limit retention, and how long they want messages kept.
    pub(in crate::core) apps: Vec<(AppId, KeptFor)>,
    /// The app that the pass is at.
    pub(in crate::core) app: usize,
    /// The conversation of that app that was finished last.
    pub(in crate::core) after: Option<ConversationId>,
    pub(in crate::core) due: Duration,
}

impl RetentionPass {
    pub(in crate::core) fn new(apps: &Apps) -> Self {
        let kept = |app: &App| {
            let retention = &app.settings.retention;
            let kept = KeptFor {
                in_rooms: retention.room_messages(),
                elsewhere: retention.messages(),
            };
            let limits = kept.in_rooms.or(kept.elsewhere).is_some();
            limits.then(|| (app.credentials.id.clone(), kept))
        };
        Self {
            apps: apps.iter().filter_map(kept).collect(),
            app: 0,
            after: None,
            due: Duration::ZERO,
        }
    }

    /// The time at which the next step is due, in elapsed time; none if messages are kept for ever.
    pub(in crate::core) fn due(&self) -> Option<Duration> {
        (!self.apps.is_empty()).then_some(self.due)
    }
}

/// The progress of the last sweep of notifications.
#[derive(Debug, Default)]
pub(in crate::core) struct Swept {
    pub(in crate::core) client: Option<(AppId, ClientId)>,
    pub(in crate::core) conversation: Option<(AppId, ConversationId)>,
}
