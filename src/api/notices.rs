//! Notices of sessions, peers, groups and rooms, in the words of older chat guides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::Mutex;

use crate::model::{
    ClientId, ConversationId, ConversationInfo, ConversationState, Event, Json, Message,
    MessageState, Presence, SessionEnd, SessionState,
};
use crate::runtime::EventStream;
use crate::{SampanError, Subject};

use super::client::Client;
use super::conversation::Conversation;

/// Conversations that are read at once.
const PAGE: u32 = 500;

/// One notice, in the words of older guides. The groups of the first generation and the rooms of the second are
/// conversations.
#[derive(Clone, Debug, PartialEq, uniffi::Enum)]
pub enum SessionNotice {
    /// The session is open for the first time: `sessionOpened`, `open`.
    Opened,
    /// The connection is lost, and the engine reconnects by itself: `sessionPaused`, `reuse`.
    Paused,
    /// The session is open again: `sessionResumed`, and `open` of rooms.
    Resumed,
    /// The app closed the session: `close`.
    Closed,
    /// The session ended, and the engine does not reconnect by itself: `sessionFailed`.
    Failed {
        /// The reason.
        reason: SessionEnd,
    },
    /// Another client's message came live or in history: `message`.
    Message {
        /// The conversation of the message; for a message between peers, their conversation.
        conversation: ConversationId,
        /// The message.
        message: Message,
    },
    /// The service accepted an own message: `messageSendFinished`.
    Sent {
        /// The message.
        message: Message,
    },
    /// An own message failed: `messageSendFailed`.
    SendFailed {
        /// The message, with the reason.
        message: Message,
    },
    /// An own message was delivered or read: `onMessageDelivered`, `receipt`.
    Receipt {
        /// The message.
        message: Message,
    },
    /// A watched peer is online: `online`.
    PeerOnline {
        /// The peer.
        peer: ClientId,
    },
    /// A watched peer is offline: `offline`.
    PeerOffline {
        /// The peer.
        peer: ClientId,
    },
    /// This client made a group or room: `create`. `Joined` follows.
    Created {
        /// The conversation.
        conversation: ConversationId,
    },
    /// This client joined a group or room: `joined`.
    Joined {
        /// The conversation.
        conversation: ConversationId,
    },
    /// This client left a group or room: `left`.
    Left {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Other clients joined a group or room: `membersJoined`, and `join` of rooms.
    MembersJoined {
        /// The conversation.
        conversation: ConversationId,
        /// The members.
        members: Vec<ClientId>,
    },
    /// Other clients left a group or room, or were removed: `membersLeft`, and `left` of rooms.
    MembersLeft {
        /// The conversation.
        conversation: ConversationId,
        /// The members.
        members: Vec<ClientId>,
    },
    /// The app sent an event by `Client.emit`: `emit` of rooms.
    Emitted {
        /// The name of the event.
        name: String,
        /// The value of the event.
        data: Option<Json>,
    },
    /// The listener was too slow and missed notices: read the screens again.
    Lagged,
}

impl SessionNotice {
    /// The conversation of the notice; none for a notice that concerns no single conversation.
    #[must_use]
    pub const fn conversation(&self) -> Option<&ConversationId> {
        match self {
            Self::Message { conversation, .. }
            | Self::Created { conversation }
            | Self::Joined { conversation }
            | Self::Left { conversation }
            | Self::MembersJoined { conversation, .. }
            | Self::MembersLeft { conversation, .. } => Some(conversation),
            Self::Sent { message } | Self::SendFailed { message } | Self::Receipt { message } => {
                Some(&message.conversation)
            }
            _ => None,
        }
    }
}

/// The notices of one client from the moment the feed was made, in the order of the events behind them.
#[derive(Debug, uniffi::Object)]
pub struct NoticeFeed {
    only: Option<ConversationId>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    events: EventStream,
    told: Teller,
}

impl NoticeFeed {
    /// A feed that starts with the present session, and in `known` the conversations of the client.
    pub(super) fn new(
        events: EventStream,
        me: ClientId,
        session: SessionState,
        known: impl IntoIterator<Item = ConversationInfo>,
        only: Option<ConversationId>,
    ) -> Arc<Self> {
        let told = Teller::new(me, session, known);
        let inner = Mutex::new(Inner { events, told });
        Arc::new(Self { only, inner })
    }
}

#[uniffi::export]
impl NoticeFeed {
    /// Waits for the next notice. When several callers wait, each notice goes to one of them. None when the engine
    /// was shut down. A feed without a reader keeps up to 1,024 events, then gives `Lagged`.
    ///
    /// In Rust a cancelled call loses nothing. In Swift and Kotlin the notice that comes at the moment of the
    /// cancellation may be lost. `Client.feed` loses none.
    ///
    /// # Errors
    ///
    /// None of its own: in Swift a cancelled task throws out of it.
    pub async fn next(&self) -> Result<Option<SessionNotice>, SampanError> {
        let mut inner = self.inner.lock().await;
        loop {
            if let Some(notice) = inner.told.waiting.pop_front() {
                let wanted = match &self.only {
                    Some(only) => notice.conversation() == Some(only),
                    None => true,
                };
                if wanted {
                    return Ok(Some(notice));
                }
                continue;
            }
            let Some(event) = inner.events.next().await else {
                return Ok(None);
            };
            inner.told.take(event);
        }
    }
}

impl Client {
    /// The notices from now on, in the words of older guides; if `only` names a conversation, its notices alone.
    pub(super) async fn notices(
        &self,
        only: Option<ConversationId>,
    ) -> Result<Arc<NoticeFeed>, SampanError> {
        // A change during the reading of the list is known before its notice comes, so it is told once at most.
        let (events, session) = (self.events(), self.session_state());
        let known = self.all_conversations().await?;
        let me = self.client_id();
        Ok(NoticeFeed::new(events, me, session, known, only))
    }

    /// Every conversation on this device, newest activity first.
    pub(super) async fn all_conversations(&self) -> Result<Vec<ConversationInfo>, SampanError> {
        let mut all = Vec::new();
        let mut next = None;
        loop {
            let page = self.conversations(next, PAGE).await?;
            all.extend(page.conversations);
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// A conversation from this device, else from the service.
    pub(super) async fn known_or_fetched(
        &self,
        id: ConversationId,
    ) -> Result<Arc<Conversation>, SampanError> {
        let handle = self.conversation(id.clone())?;
        match handle.info().await {
            Ok(_) => Ok(handle),
            Err(SampanError::NotFound {
                what: Subject::Conversation,
            }) => self.fetch_conversation(id).await,
            Err(error) => Err(error),
        }
    }
}

/// Makes notices of events.
#[derive(Debug)]
struct Teller {
    me: ClientId,
    waiting: VecDeque<SessionNotice>,
    session: SessionState,
    was_open: bool,
    known: BTreeMap<ConversationId, Known>,
}

/// A conversation as the notices so far described it.
#[derive(Debug)]
struct Known {
    is_in: bool,
    members: BTreeSet<ClientId>,
}

impl Known {
    fn of(info: &ConversationInfo) -> Self {
        Self {
            is_in: info.state == ConversationState::Live,
            members: info.members.iter().cloned().collect(),
        }
    }
}

impl Teller {
    fn new(
        me: ClientId,
        session: SessionState,
        known: impl IntoIterator<Item = ConversationInfo>,
    ) -> Self {
        let known = known.into_iter().filter(is_made);
        Self {
            me,
            waiting: VecDeque::new(),
            was_open: session == SessionState::Open,
            session,
            known: known
                .map(|info| (info.id.clone(), Known::of(&info)))
                .collect(),
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::SessionChanged { state, .. } => self.session_changed(state),
            Event::MessageAdded { message, .. } | Event::TransientMessage { message, .. }
                if message.sender != self.me =>
            {
                let conversation = message.conversation.clone();
                self.tell(SessionNotice::Message {
                    conversation,
                    message,
                });
            }
            Event::MessageChanged { message, .. } if message.sender == self.me => {
                self.own_message_changed(message);
            }
            Event::PresenceChanged { peer, presence, .. } => match presence {
                Presence::Online => self.tell(SessionNotice::PeerOnline { peer }),
                Presence::Offline => self.tell(SessionNotice::PeerOffline { peer }),
                Presence::Unknown | Presence::NotAllowed => {}
            },
            Event::ConversationChanged { conversation, .. } => {
                self.conversation_changed(&conversation);
            }
            Event::Emitted { name, data, .. } => self.tell(SessionNotice::Emitted { name, data }),
            Event::Lagged { .. } => self.tell(SessionNotice::Lagged),
            _ => {}
        }
    }

    fn tell(&mut self, notice: SessionNotice) {
        self.waiting.push_back(notice);
    }

    fn session_changed(&mut self, state: SessionState) {
        let before = std::mem::replace(&mut self.session, state.clone());
        match state {
            // The session was open already when the notices began.
            SessionState::Open if before == SessionState::Open => {}
            SessionState::Open if self.was_open => self.tell(SessionNotice::Resumed),
            SessionState::Open => {
                self.was_open = true;
                self.tell(SessionNotice::Opened);
            }
            SessionState::Opening if before == SessionState::Open => {
                self.tell(SessionNotice::Paused);
            }
            SessionState::Opening => {}
            SessionState::Closed => {
                self.was_open = false;
                self.tell(SessionNotice::Closed);
            }
            SessionState::Ended { reason } => {
                self.was_open = false;
                self.tell(SessionNotice::Failed { reason });
            }
        }
    }

    fn own_message_changed(&mut self, message: Message) {
        let is_change = message.change.is_some() || message.edited_at.is_some();
        match &message.state {
            MessageState::Sent if !is_change => self.tell(SessionNotice::Sent { message }),
            MessageState::Delivered { .. } | MessageState::Read { .. } if !is_change => {
                self.tell(SessionNotice::Receipt { message });
            }
            MessageState::Failed { .. } => self.tell(SessionNotice::SendFailed { message }),
            _ => {}
        }
    }

    fn conversation_changed(&mut self, info: &ConversationInfo) {
        if !is_made(info) {
            return;
        }
        let now = Known::of(info);
        let conversation = || info.id.clone();
        let before = self.known.remove(&info.id);
        let was_in = before.as_ref().is_some_and(|it| it.is_in);
        if before.is_none() && info.creator.as_ref() == Some(&self.me) {
            self.tell(SessionNotice::Created {
                conversation: conversation(),
            });
        }
        let conversation = conversation();
        match (was_in, now.is_in) {
            (false, true) => self.tell(SessionNotice::Joined { conversation }),
            (true, false) => self.tell(SessionNotice::Left { conversation }),
            (true, true) => {
                let members = before.map(|it| it.members).unwrap_or_default();
                self.members_changed(&conversation, &members, &now.members);
            }
            (false, false) => {}
        }
        self.known.insert(info.id.clone(), now);
    }

    fn members_changed(
        &mut self,
        conversation: &ConversationId,
        before: &BTreeSet<ClientId>,
        now: &BTreeSet<ClientId>,
    ) {
        let others = |members: Vec<ClientId>| -> Vec<ClientId> {
            members.into_iter().filter(|it| *it != self.me).collect()
        };
        let came = others(now.difference(before).cloned().collect());
        let left = others(before.difference(now).cloned().collect());
        if !came.is_empty() {
            self.tell(SessionNotice::MembersJoined {
                conversation: conversation.clone(),
                members: came,
            });
        }
        if !left.is_empty() {
            self.tell(SessionNotice::MembersLeft {
                conversation: conversation.clone(),
                members: left,
            });
        }
    }
}

/// Tells if the service has told of the conversation; before that its members are unknown.
fn is_made(info: &ConversationInfo) -> bool {
    let is_told = info.created_at.is_some() && !info.id.is_local();
    is_told
        && matches!(
            info.state,
            ConversationState::Live | ConversationState::Left
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_that_begin_while_the_session_is_open_tell_of_a_pause_and_of_its_end() {
        let me = ClientId::new("ann").unwrap();
        let mut told = Teller::new(me.clone(), SessionState::Open, []);
        let states = [
            SessionState::Open,
            SessionState::Opening,
            SessionState::Open,
            SessionState::Closed,
            SessionState::Open,
        ];
        for state in states {
            let client = me.clone();
            told.take(Event::SessionChanged { client, state });
        }
        let expected = [
            SessionNotice::Paused,
            SessionNotice::Resumed,
            SessionNotice::Closed,
            SessionNotice::Opened,
        ];
        assert_eq!(told.waiting, expected);
    }
}
