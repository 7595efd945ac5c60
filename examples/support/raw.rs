//! A raw client of the protocol: frames by hand, without a store. Many identities share a connection.
//!
//! It stands for "somebody else" in examples and tests: it fills the service with history faster than
//! a whole engine would, and does what the engine does not do yet, such as editing messages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sampan::InsecureConnections;
use sampan::model::{
    AppId, ClientId, ConversationId, Mentions, MessageContent, MessageId, MessageRef, Timestamp,
};
use sampan::net::{Connection, Frame, Incoming, SocketTarget, SocketTransport, Tls, Transport};
use sampan::wire::generated::{
    ConvCommand, JsonObjectMessage, PatchCommand, PatchItem, SessionCommand,
};
use sampan::wire::{
    Command, Direction, Encoding, Envelope, Op, Serial, Subprotocol, content, convert,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Outcome;

/// The longest that an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

type Waiting = Arc<Mutex<BTreeMap<i32, oneshot::Sender<Envelope>>>>;

/// One connection.
pub(crate) struct RawConnection {
    outgoing: mpsc::Sender<Frame>,
    waiting: Waiting,
    serial: Mutex<i32>,
    app: AppId,
    /// The messages that the service sends unasked.
    pub(crate) notifications: mpsc::UnboundedReceiver<Envelope>,
}

/// A command that is on its way.
pub(crate) struct Posted(oneshot::Receiver<Envelope>);

impl Posted {
    /// Waits for the answer; a refusal is an error.
    pub(crate) async fn answer(self) -> Outcome<Envelope> {
        let answer = timeout(ANSWER_TIMEOUT, self.0).await??;
        match answer.command {
            Command::Error(refusal) => Err(Box::new(Unexpected(format!("{refusal:?}")))),
            _ => Ok(answer),
        }
    }

    /// Waits until the service has the message that was posted.
    pub(crate) async fn acknowledged(self) -> Outcome<(MessageId, Timestamp)> {
        match self.answer().await?.command {
            Command::Ack(ack) if ack.code.is_none() => Ok((
                MessageId::new(ack.uid.as_deref().unwrap_or_default())?,
                Timestamp::from_millis(ack.t.unwrap_or_default()),
            )),
            other => Err(Box::new(Unexpected(format!("{other:?}")))),
        }
    }
}

/// An answer of the service that was not expected.
#[derive(Debug)]
pub(crate) struct Unexpected(pub(crate) String);

impl std::fmt::Display for Unexpected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unexpected answer: {}", self.0)
    }
}

impl std::error::Error for Unexpected {}

impl RawConnection {
    /// Opens a connection to a WebSocket's URL.
    pub(crate) async fn open(url: &str, app: AppId) -> Outcome<Self> {
        let transport = SocketTransport::new(Tls::web()?, InsecureConnections::LoopbackOnly);
        let target = SocketTarget {
            url: url.to_owned(),
            subprotocol: Subprotocol::DEFAULT.name().to_owned(),
            timeout: ANSWER_TIMEOUT,
        };
        let Connection {
            outgoing,
            mut incoming,
            ..
        } = transport.connect(target).await?;
        let waiting = Waiting::default();
        let answers = Arc::clone(&waiting);
        let (notified, notifications) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Incoming::Frame(frame)) = incoming.recv().await {
                let Ok(envelope) = frame.decode(Encoding::Binary, Direction::ToClient) else {
                    continue;
                };
                let waiter = envelope.serial.and_then(|serial| {
                    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                    answers.remove(&serial.0)
                });
                // The caller that asked may have gone; so may the listener.
                match waiter {
                    Some(waiter) => drop(waiter.send(envelope)),
                    None => drop(notified.send(envelope)),
                }
            }
        });
        Ok(Self {
            outgoing,
            waiting,
            serial: Mutex::new(0),
            app,
            notifications,
        })
    }

    /// Sends a command and waits for its answer; a refusal is an error.
    pub(crate) async fn ask(&self, client: &ClientId, command: Command) -> Outcome<Envelope> {
        self.post(client, command).await?.answer().await
    }

    /// Sends a command; the commands of one connection arrive in order.
    pub(crate) async fn post(&self, client: &ClientId, command: Command) -> Outcome<Posted> {
        let serial = {
            let mut serial = self.serial.lock().unwrap_or_else(PoisonError::into_inner);
            *serial += 1;
            *serial
        };
        let (waiter, answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(serial, waiter);
        let mut envelope = Envelope::new(command)
            .with_peer(client.as_str())
            .with_serial(Serial(serial));
        if matches!(&envelope.command, Command::Session { .. }) {
            envelope.app_id = Some(self.app.as_str().to_owned());
        }
        let frame = Frame::encode(&envelope, Encoding::Binary, Direction::ToService)?;
        self.outgoing.send(frame).await?;
        Ok(Posted(answer))
    }

    /// Signs a client in.
    pub(crate) async fn sign_in(&self, client: &ClientId) -> Outcome<()> {
        let body = SessionCommand {
            ua: Some("raw/1".to_owned()),
            ..SessionCommand::default()
        };
        let command = Command::session(Op::Open, body);
        self.ask(client, command).await.map(|_| ())
    }

    /// Which of these clients are online.
    pub(crate) async fn online(
        &self,
        asker: &ClientId,
        clients: &[ClientId],
    ) -> Outcome<Vec<ClientId>> {
        let body = SessionCommand {
            session_peer_ids: clients.iter().map(ToString::to_string).collect(),
            ..SessionCommand::default()
        };
        let answer = self.ask(asker, Command::session(Op::Query, body)).await?;
        match answer.command {
            Command::Session { body, .. } => {
                let online = body.online_session_peer_ids.iter();
                Ok(online.map(ClientId::new).collect::<Result<_, _>>()?)
            }
            other => Err(Box::new(Unexpected(format!("{other:?}")))),
        }
    }

    /// Adds members to a conversation, or removes them.
    pub(crate) async fn change_members(
        &self,
        client: &ClientId,
        conversation: &ConversationId,
        op: Op,
        members: &[ClientId],
    ) -> Outcome<()> {
        let body = ConvCommand {
            cid: Some(conversation.as_str().to_owned()),
            m: members.iter().map(ToString::to_string).collect(),
            ..ConvCommand::default()
        };
        self.ask(client, Command::conv(op, body)).await.map(|_| ())
    }

    /// Makes a conversation with a name; always a new one.
    pub(crate) async fn start_conversation(
        &self,
        creator: &ClientId,
        members: &[ClientId],
        name: &str,
    ) -> Outcome<ConversationId> {
        let attributes = serde_json::json!({ "name": name }).to_string();
        let body = ConvCommand {
            m: members.iter().map(ToString::to_string).collect(),
            unique: Some(false),
            attr: Some(JsonObjectMessage { data: attributes }),
            ..ConvCommand::default()
        };
        let answer = self.ask(creator, Command::conv(Op::Start, body)).await?;
        match answer.command {
            Command::Conv { body, .. } => {
                let id = body.cid.as_deref().unwrap_or_default();
                Ok(ConversationId::new(id)?)
            }
            other => Err(Box::new(Unexpected(format!("{other:?}")))),
        }
    }

    /// Sends a text and waits until the service has it.
    pub(crate) async fn say(
        &self,
        sender: &ClientId,
        conversation: &ConversationId,
        text: &str,
    ) -> Outcome<MessageRef> {
        let posted = self.post_text(sender, conversation, text).await?;
        let (id, sent_at) = posted.acknowledged().await?;
        Ok(MessageRef {
            conversation: conversation.clone(),
            sent_at,
            id,
        })
    }

    /// Sends a text.
    pub(crate) async fn post_text(
        &self,
        sender: &ClientId,
        conversation: &ConversationId,
        text: &str,
    ) -> Outcome<Posted> {
        let content = MessageContent::text(text);
        let body = convert::direct(conversation, &content, &Mentions::default());
        self.post(sender, Command::direct(body)).await
    }

    /// Replaces what a message says.
    pub(crate) async fn edit(
        &self,
        sender: &ClientId,
        message: &MessageRef,
        text: &str,
    ) -> Outcome<()> {
        let (data, binary) = content::encode(&MessageContent::text(text)).into_fields();
        let item = PatchItem {
            data: data.map(String::into_bytes),
            binary_msg: binary,
            ..patch_item(message)
        };
        self.patch(sender, item).await
    }

    /// Takes a message back.
    pub(crate) async fn recall(&self, sender: &ClientId, message: &MessageRef) -> Outcome<()> {
        let recalled = MessageContent::Recalled {
            caption: None,
            details: sampan::model::Details::default(),
        };
        let (data, binary) = content::encode(&recalled).into_fields();
        let item = PatchItem {
            recall: Some(true),
            data: data.map(String::into_bytes),
            binary_msg: binary,
            ..patch_item(message)
        };
        self.patch(sender, item).await
    }

    async fn patch(&self, sender: &ClientId, item: PatchItem) -> Outcome<()> {
        let body = PatchCommand {
            patches: vec![item],
            ..PatchCommand::default()
        };
        let command = Command::Patch {
            op: Op::Modify,
            body,
        };
        self.ask(sender, command).await.map(|_| ())
    }
}

fn patch_item(message: &MessageRef) -> PatchItem {
    PatchItem {
        cid: Some(message.conversation.as_str().to_owned()),
        mid: Some(message.id.as_str().to_owned()),
        timestamp: Some(message.sent_at.as_millis()),
        ..PatchItem::default()
    }
}
