//! The inputs of a client's machine, and its answer to each: a [`Step`].

use std::collections::BTreeSet;
use std::time::Duration;

use super::client::TypingClients;
use super::link::{Delivery, LinkRequest, LinkWish};
use super::request::{Caller, Reply, Request, RequestError, RequestId};
use super::upload::{UploadError, Uploaded};

use crate::Secret;
pub use crate::model::OperationSignature;
use crate::model::{
    MembersNotice, Message, OutboxEntryId, SessionState, SigningRequest, Timestamp, WatchedClient,
};
use crate::store::Upload;
use crate::wire::Envelope;

/// One thing that happened to a client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientInput {
    /// The API was called.
    Requested {
        /// The number of the call, chosen by the caller.
        id: RequestId,
        /// The call.
        request: Request,
    },
    /// The link has something for the client.
    Delivered(Delivery),
    /// The app's signer answered.
    Signed {
        /// The effect that asked.
        effect: EffectId,
        /// The signature, or the signer's error.
        outcome: Result<OperationSignature, String>,
    },
    /// The service refused the session of the account with which the client signs in.
    AccountRefused {
        /// The effect that asked.
        effect: EffectId,
        /// The number of the app's own server, or else the HTTP status.
        code: i32,
        /// The words that came with it.
        reason: String,
    },
    /// A step of an upload is over.
    Uploaded {
        /// The effect that asked.
        effect: EffectId,
        /// The upload's result, or why there is none.
        outcome: Result<Uploaded, UploadError>,
    },
    /// The service told the notifications that this client missed, or was not reached.
    MissedTold {
        /// The effect that asked.
        effect: EffectId,
        /// Changes of conversations and their members, oldest first; none if the service was not reached.
        told: Vec<Envelope>,
    },
    /// The time that the last step asked for has come.
    Woke,
}

/// The consequences of one input, once the machine's writes are committed, as durable as their batch says
/// ([`Batch::class`](crate::store::Batch::class)). The parts are carried out in the order of the fields.
#[derive(Debug, Default)]
pub struct Step {
    /// Answers to API calls. A call is answered when its writes are durable.
    pub replies: Vec<(RequestId, Result<Reply, RequestError>)>,
    /// Requests for the link, in order.
    pub requests: Vec<LinkRequest>,
    /// Acknowledgements for the service: they may leave when all that was written until now is
    /// durable, cache writes included. Losing one is harmless; sending one early is not.
    pub acknowledgements: Vec<LinkRequest>,
    /// Work outside: signatures, uploads, questions over HTTP.
    pub effects: Vec<Effect>,
    /// The client's need of the link, if that changed.
    pub wish: Option<LinkWish>,
    /// The session's state, if it changed.
    pub session: Option<SessionState>,
    /// Transient messages: told and not kept.
    pub transient: Vec<Message>,
    /// The events of members: told and not kept.
    pub notices: Vec<MembersNotice>,
    /// Watched clients with the states that the service told: told and not kept.
    pub presence: Vec<WatchedClient>,
    /// The clients that write, by conversation, if that changed.
    pub typing: Option<TypingClients>,
    /// The time to wake the machine, counted from the `now` of this step; none for never. It replaces the time
    /// of an earlier step.
    pub wake_after: Option<Duration>,
}

impl Step {
    /// Takes in a later step of the same turn of the loop, so that both are carried out after one commit.
    pub fn absorb(&mut self, later: Self) {
        self.replies.extend(later.replies);
        self.requests.extend(later.requests);
        self.acknowledgements.extend(later.acknowledgements);
        self.effects.extend(later.effects);
        self.wish = later.wish.or(self.wish);
        self.session = later.session.or_else(|| self.session.take());
        self.transient.extend(later.transient);
        self.notices.extend(later.notices);
        self.presence.extend(later.presence);
        self.typing = later.typing.or_else(|| self.typing.take());
        self.wake_after = later.wake_after;
    }

    /// Answers an API call.
    pub(crate) fn reply<A: Into<Reply>>(
        &mut self,
        caller: Caller<A>,
        answer: Result<A, RequestError>,
    ) {
        self.replies.push((caller.id(), answer.map(Into::into)));
    }
}

/// The number of an effect; its outcome comes back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub u64);

/// Work that a machine cannot do itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the app's signer; the outcome comes back as [`ClientInput::Signed`].
    Sign {
        /// The number of the effect.
        effect: EffectId,
        /// The operation to sign.
        operation: SigningRequest,
    },
    /// Work on files that messages wait for.
    Media(MediaEffect),
    /// Ask over HTTP for the notifications that this client missed; the answer comes back as
    /// [`ClientInput::MissedTold`].
    AskMissed(MissedQuestion),
}

/// The question for the notifications that a client missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissedQuestion {
    /// The number of the effect.
    pub effect: EffectId,
    /// Notifications from then on are asked for.
    pub since: Timestamp,
    /// The token of the session.
    pub token: Secret,
}

/// Work on files that messages wait for.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEffect {
    /// Do the next step of an upload, which its stage names; the outcome comes back as
    /// [`ClientInput::Uploaded`].
    Upload {
        /// The number of the effect.
        effect: EffectId,
        /// The entry whose file it is.
        entry: OutboxEntryId,
        /// The file, and how far it is.
        upload: Upload,
    },
    /// Stop the step of an upload; nobody waits for its outcome.
    EndUpload {
        /// The number of the effect that asked for it.
        effect: EffectId,
    },
    /// Take a file out of the spool: nothing names it any more.
    Unspool {
        /// Its name.
        file: String,
        /// The URL of the uploaded file, if it was uploaded.
        stored_at: Option<String>,
    },
    /// Remove from the spool every file that is not among these.
    KeepSpooled {
        /// The files that entries name.
        files: BTreeSet<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absorbed_step_keeps_the_latest_timer_and_the_last_word_on_the_session() {
        let mut first = Step {
            wake_after: Some(Duration::from_secs(1)),
            session: Some(SessionState::Opening),
            ..Step::default()
        };
        first.absorb(Step {
            wake_after: None,
            ..Step::default()
        });
        assert_eq!(first.wake_after, None);
        assert_eq!(first.session, Some(SessionState::Opening));
    }
}
