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
/// `next` tells what changed. The view lives until `end`, until its last handle is dropped, or until
/// the client signs out; it keeps neither the client nor the engine alive. Everything may be called
/// from any thread, the main thread included.
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
    /// Waits until the timeline shows something else than at a version, and answers the edits that lead
    /// from there to the newest one; zero is the version of a caller that has nothing yet. It answers at once when
    /// there is a newer one. Any number may wait, each with a version of its own; a call that is cancelled loses
    /// nothing. None when the view has ended.
    ///
    /// The edits begin with a reset when the version is too old, after `jump`, and when the
    /// conversation was merged into another one. While the app is in the background it waits.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self, have: Version) -> Result<Option<TimelineUpdate>, SampanError> {
        Ok(self.live.next(have).await)
    }

    /// Takes older messages into the window: what this device holds at once, else what the service has,
    /// page by page until one can be shown or the first message is reached. Being offline is no error: the
    /// answer says that history is missing, and the next call goes on behind it with what is held. Calls
    /// at the same time are one. A call that is cancelled goes on without anybody who waits.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[uniffi::method(default(limit = 50))]
    pub async fn load_older(&self, limit: u32) -> Result<Loaded, SampanError> {
        self.load(Side::Older, limit).await
    }

    /// Takes newer messages into the window, as `load_older` does older ones. At the live end it returns
    /// at once.
    ///
    /// # Errors
    ///
    /// `ViewEnded`.
    #[uniffi::method(default(limit = 50))]
    pub async fn load_newer(&self, limit: u32) -> Result<Loaded, SampanError> {
        self.load(Side::Newer, limit).await
    }

    /// Asks the service for a page of missing history, which an item of the window names. Offline the
    /// answer says that it waits, and it is fetched with the next session.
    ///
    /// # Errors
    ///
    /// `TimedOut`, `Refused`; `StoreUnavailable`; `NotFound` when the window has no such gap;
    /// `ViewEnded`.
    pub async fn fill(&self, gap: ItemKey) -> Result<Loaded, SampanError> {
        let side = self
            .live
            .gap_of(&gap)
            .ok_or(SampanError::NotFound { what: Subject::Gap })?;
        self.live.load(side, 100).await?.map_err(failed)
    }

    /// Goes somewhere else: the update that follows is a reset, and its anchor says where to begin. A
    /// message that this device does not hold is asked for.
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

    /// Tells which items are on the screen: call it whenever that changes. Missing history there is fetched, and
    /// messages there are marked read, as the options say. The call does no work itself; keys that the window does
    /// not hold are ignored.
    ///
    /// # Errors
    ///
    /// None of its own: a text that is no key is an `InvalidArgument`.
    pub fn seen(&self, first: ItemKey, last: ItemKey) -> Result<(), SampanError> {
        self.live.see(first, last);
        Ok(())
    }

    /// Ends the view: those who wait in `next` are given none.
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

/// Why a gap could not be filled, as the error of a call.
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

/// The message that a link of `MessageRef.link` leads to: a timeline begins there with `TimelineStart.Reference`.
///
/// # Errors
///
/// `InvalidArgument` for a text that is no such link.
#[uniffi::export]
pub fn parse_message_link(link: String) -> Result<MessageRef, SampanError> {
    Ok(MessageRef::from_link(&link)?)
}
