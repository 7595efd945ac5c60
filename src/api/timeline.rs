//! A timeline: a live window over one conversation.

use std::sync::Arc;

use crate::model::{ItemKey, MessageRef};
use crate::runtime::LiveTimeline;
use crate::views::{
    FillFailure, FillState, Loaded, Side, TimelineEdge, TimelineStart, TimelineUpdate, Version,
};
use crate::{SampanError, Subject};

/// A live window over one conversation's messages, unsent ones included.
///
/// `next` gives the changes. The view lives until `end`, until its last handle is dropped, or until the client
/// signs out. The view keeps neither the client nor the engine alive. Every method may be called from any thread,
/// the main thread included.
#[derive(Debug, uniffi::Object)]
pub struct Timeline {
    live: Arc<LiveTimeline>,
}

impl Timeline {
    pub(super) const fn new(live: Arc<LiveTimeline>) -> Self {
        Self { live }
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.live.end();
    }
}

#[uniffi::export]
impl Timeline {
    /// Waits until the timeline has another version than `have`, and answers the edits from that version to the
    /// newest one. Zero is the version of a caller without a window. The call answers at once when there is a newer
    /// version, and waits while the app is in the background. Any number of callers may wait, each with a version
    /// of its own, and a cancelled call loses nothing. None when the view has ended.
    ///
    /// The edits begin with a reset when the version is too old, after `jump`, and when the conversation was merged
    /// into another one.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self, have: Version) -> Result<Option<TimelineUpdate>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Adds older messages to the window: at once the messages on this device, otherwise those at the service, page
    /// by page until one is visible or the first message is reached. Being offline is not an error: the answer says
    /// that history is missing, and the next call continues on this device behind the gap. Simultaneous calls share
    /// one load. A load continues when its call is cancelled.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[uniffi::method(default(limit = 50))]
    pub async fn load_older(&self, limit: u32) -> Result<Loaded, SampanError> {
        self.load(Side::Older, limit).await
    }

    /// Adds newer messages to the window, as `load_older` adds older ones. At the live end the call returns at
    /// once.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[uniffi::method(default(limit = 50))]
    pub async fn load_newer(&self, limit: u32) -> Result<Loaded, SampanError> {
        self.load(Side::Newer, limit).await
    }

    /// Asks the service for a page of the missing history of a gap; `gap` is the key of the gap's item in the
    /// window. While offline the answer says that the request waits, and the next session fetches the page.
    ///
    /// # Errors
    ///
    /// `TimedOut`, `Refused`; `StoreUnavailable`; `NotFound` when the window has no such gap; `ViewEnded`.
    pub async fn fill(&self, gap: ItemKey) -> Result<Loaded, SampanError> {
        let side = self
            .live
            .gap_of(&gap)
            .ok_or(SampanError::NotFound { what: Subject::Gap })?;
        self.live.load(side, 100).await?.map_err(failed)
    }

    /// Moves the window to another place. The next update is a reset, whose anchor names the item to begin at. The
    /// service is asked for a message that is not on this device.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[expect(
        clippy::unused_async,
        reason = "an app awaits it like the loads, and it may come to read one day"
    )]
    pub async fn jump(&self, to: TimelineStart) -> Result<(), SampanError> {
        self.live.jump(to);
        Ok(())
    }

    /// Reports the items on the screen: call it whenever they change. Missing history among them is fetched and
    /// messages among them are marked read, as the options say. The call does not wait; keys that the window does
    /// not have are ignored.
    ///
    /// # Errors
    ///
    /// None of its own: a text that is no key is an `InvalidArgument`.
    pub fn seen(&self, first: ItemKey, last: ItemKey) -> Result<(), SampanError> {
        self.live.see(first, last);
        Ok(())
    }

    /// Ends the view: calls that wait in `next` return none.
    pub fn end(&self) {
        self.live.end();
    }
}

impl Timeline {
    async fn load(&self, side: Side, limit: u32) -> Result<Loaded, SampanError> {
        let outcome = self.live.load(side, limit).await?;
        Ok(outcome.unwrap_or_else(|cause| Loaded {
            edge: TimelineEdge::Missing {
                state: FillState::Failed { cause },
            },
            ..Loaded::default()
        }))
    }
}

/// The failure to fill a gap, as the error of a call.
fn failed(failure: FillFailure) -> SampanError {
    match failure {
        FillFailure::TimedOut => SampanError::TimedOut,
        FillFailure::Refused {
            refusal,
            code,
            reason,
        } => SampanError::Refused {
            refusal,
            code,
            reason,
        },
        FillFailure::Store { trouble, reason } => SampanError::StoreUnavailable { trouble, reason },
    }
}

/// The message of a link from `MessageRef.link`. A timeline begins at that message with `TimelineStart.Reference`.
///
/// # Errors
///
/// `InvalidArgument` for a text that is no such link.
#[uniffi::export]
pub fn parse_message_link(link: String) -> Result<MessageRef, SampanError> {
    Ok(MessageRef::from_link(&link)?)
}
