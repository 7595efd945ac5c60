//! Users at other programs: they speak the protocol to the service over a line without faults, and do edits,
//! recalls and changes of members and names.

use std::time::Duration;

use sampan::model::{ClientId, ConversationId, MessageContent, MessageId, Timestamp};
use sampan::wire::generated::{
    ConvCommand, DirectCommand, JsonObjectMessage, PatchCommand, PatchItem, ReadCommand, ReadTuple,
    SessionCommand,
};
use sampan::wire::{Command, Envelope, OfflineMode, Op, Payload, Serial, content};
use sampan_service::core::{ConnectionId, Input};
use sampan_service::storage::{Body, Conversation, Kind, Member, Message, Write};

use crate::devices::actions::Action;
use crate::dice::nth;
use crate::service::{APP, Broken, Held, Truth, app};
use crate::trace::terse;
use crate::world::World;

/// One of a user's conversations whose members may change. The imported conversation keeps its
/// members, so that there is always one for all.
fn changeable<'a>(truth: &'a Truth, client: &ClientId, pick: u64) -> Option<&'a Held> {
    let own = truth.of(client).into_iter();
    let own: Vec<_> = own
        .filter(|held| held.conversation.unique_id.is_none())
        .collect();
    nth(&own, pick).copied()
}

impl World {
    /// A user at another program does something.
    pub(crate) fn other_acts(&mut self, action: Action) -> Result<(), Broken> {
        if !self.server.is_up() {
            return Ok(());
        }
        match action {
            Action::OtherSends {
                user,
                pick,
                calling,
            } => self.other_sends(user, pick, calling),
            Action::OtherEdits { user, pick } => self.other_patches(user, pick, Patch::Edit),
            Action::OtherRecalls { user, pick } => self.other_patches(user, pick, Patch::Recall),
            Action::OtherReads { user, pick } => self.other_reads(user, pick),
            Action::OtherAdds { user, pick, whom } => {
                self.other_changes_members(user, pick, whom, Op::Add)
            }
            Action::OtherRemoves { user, pick, whom } => {
                self.other_changes_members(user, pick, whom, Op::Remove)
            }
            Action::OtherSpeaks { user, pick } => self.other_speaks(user, pick),
            Action::OtherRenames { user, pick } => self.other_renames(user, pick),
            _ => Ok(()),
        }
    }

    /// The connection of a user, signed in.
    fn other_connection(&mut self, user: usize) -> Result<(ConnectionId, ClientId), Broken> {
        let client = Self::user_name(user)?;
        if let Some(connection) = self.network.others.get(&user) {
            return Ok((*connection, client));
        }
        let connection = self.network.fresh();
        self.network.others.insert(user, connection);
        let mode = OfflineMode::Unread;
        self.service(Input::Connected { connection, mode })?;
        let body = SessionCommand {
            ua: Some("another program".to_owned()),
            ..SessionCommand::default()
        };
        let mut open = Envelope::new(Command::session(Op::Open, body));
        open.app_id = Some(APP.to_owned());
        self.other_says(user, connection, &client, open)?;
        Ok((connection, client))
    }

    fn other_says(
        &mut self,
        user: usize,
        connection: ConnectionId,
        client: &ClientId,
        envelope: Envelope,
    ) -> Result<(), Broken> {
        let envelope = envelope.with_peer(client.as_str()).with_serial(Serial(1));
        let bytes = envelope.to_bytes();
        self.busy_at = self.now;
        self.record.trace.note(self.now, "other", user, &bytes, || {
            format!("{client}: {}", terse(&format!("{:?}", envelope.command)))
        });
        let envelope = Box::new(envelope);
        self.service(Input::Received {
            connection,
            envelope,
        })
    }

    fn other_does(&mut self, user: usize, command: Command) -> Result<(), Broken> {
        let (connection, client) = self.other_connection(user)?;
        self.other_says(user, connection, &client, Envelope::new(command))
    }

    fn other_sends(&mut self, user: usize, pick: u64, calling: bool) -> Result<(), Broken> {
        let client = Self::user_name(user)?;
        let truth = self.server.places()?;
        let Some(held) = nth(&truth.of(&client), pick).copied() else {
            return self.other_starts(user);
        };
        self.other_says_in(user, held, calling)
    }

    /// Says something in a conversation whose members may change.
    fn other_speaks(&mut self, user: usize, pick: u64) -> Result<(), Broken> {
        let client = Self::user_name(user)?;
        let truth = self.server.places()?;
        match changeable(&truth, &client, pick) {
            Some(held) => self.other_says_in(user, held, false),
            None => Ok(()),
        }
    }

    fn other_says_in(&mut self, user: usize, held: &Held, calling: bool) -> Result<(), Broken> {
        let words = format!("o{user}.{}", self.fresh());
        let (msg, binary_msg) = content::encode(&MessageContent::text(words)).into_fields();
        let command = Command::direct(DirectCommand {
            cid: Some(held.conversation.id.to_string()),
            msg,
            binary_msg,
            r: Some(held.members.len() == 2),
            mention_all: calling.then_some(true),
            ..DirectCommand::default()
        });
        self.other_does(user, command)
    }

    /// Makes the conversation of all users, or finds it.
    fn other_starts(&mut self, user: usize) -> Result<(), Broken> {
        let mut members = Vec::new();
        for user in 0..=self.plan.shape.users {
            members.push(Self::user_name(user)?.to_string());
        }
        let body = ConvCommand {
            m: members,
            unique: Some(true),
            ..ConvCommand::default()
        };
        self.other_does(user, Command::conv(Op::Start, body))
    }

    fn other_patches(&mut self, user: usize, pick: u64, patch: Patch) -> Result<(), Broken> {
        let client = Self::user_name(user)?;
        let truth = self.server.truth()?;
        let own: Vec<(&ConversationId, &Message)> = truth
            .conversations
            .iter()
            .flat_map(|(id, held)| held.messages.iter().map(move |message| (id, message)))
            .filter(|(_, message)| message.from == client && !message.recalled)
            .collect();
        let Some((conversation, message)) = nth(&own, pick).copied() else {
            return Ok(());
        };
        let words = format!("e{user}.{}", self.fresh());
        let (data, _) = content::encode(&MessageContent::text(words)).into_fields();
        let item = PatchItem {
            cid: Some(conversation.to_string()),
            mid: Some(message.id.to_string()),
            timestamp: Some(message.sent_at.as_millis()),
            recall: Some(matches!(patch, Patch::Recall)),
            data: data.map(String::into_bytes),
            ..PatchItem::default()
        };
        let body = PatchCommand {
            patches: vec![item],
            ..PatchCommand::default()
        };
        self.other_does(user, Command::patch(Op::Modify, body))
    }

    fn other_reads(&mut self, user: usize, pick: u64) -> Result<(), Broken> {
        let client = Self::user_name(user)?;
        let truth = self.server.newest_truth()?;
        let Some(held) = nth(&truth.of(&client), pick).copied() else {
            return Ok(());
        };
        let newest = held.messages.last();
        let tuple = ReadTuple {
            cid: held.conversation.id.to_string(),
            timestamp: newest.map(|message| message.sent_at.as_millis()),
            mid: newest.map(|message| message.id.to_string()),
        };
        let body = ReadCommand {
            convs: vec![tuple],
            ..ReadCommand::default()
        };
        self.other_does(user, Command::Read(body))
    }

    fn other_changes_members(
        &mut self,
        user: usize,
        pick: u64,
        whom: usize,
        op: Op,
    ) -> Result<(), Broken> {
        let client = Self::user_name(user)?;
        let truth = self.server.places()?;
        let Some(held) = changeable(&truth, &client, pick) else {
            return Ok(());
        };
        let body = ConvCommand {
            cid: Some(held.conversation.id.to_string()),
            m: vec![Self::user_name(whom)?.to_string()],
            ..ConvCommand::default()
        };
        self.other_does(user, Command::conv(op, body))
    }

    fn other_renames(&mut self, user: usize, pick: u64) -> Result<(), Broken> {
        let client = Self::user_name(user)?;
        let truth = self.server.places()?;
        let Some(held) = nth(&truth.of(&client), pick).copied() else {
            return Ok(());
        };
        let data = format!(r#"{{"topic":"n{}"}}"#, self.fresh());
        let body = ConvCommand {
            cid: Some(held.conversation.id.to_string()),
            attr: Some(JsonObjectMessage { data }),
            ..ConvCommand::default()
        };
        self.other_does(user, Command::conv(Op::Update, body))
    }

    /// Puts a conversation of all users there, whose messages come in runs of equal times, as a
    /// service may hold them that this one did not write.
    pub(crate) fn import(&mut self) -> Result<(), Broken> {
        let many = self.plan.shape.imported;
        if many == 0 {
            return Ok(());
        }
        let app = app()?;
        let id = ConversationId::new("5eed".repeat(6)).map_err(broken)?;
        let end = self.service_now().wall;
        let start = Timestamp::from_millis(end.as_millis() - 86_400_000);
        let users = self.plan.shape.users;
        let mut at = start;
        let mut times = Vec::new();
        let mut writes = Vec::new();
        for number in 0..many {
            if self.dice.chance(600) {
                at = at.saturating_add(Duration::from_millis(1 + self.dice.below(9_000)));
            }
            times.push(at);
            let user = usize::try_from(self.dice.number()).unwrap_or(0) % (users + 1);
            let message = self.imported_message(number, user, at)?;
            writes.push(Write::PutMessage(app.clone(), id.clone(), message));
        }
        let conversation = Conversation {
            id: id.clone(),
            kind: Kind::Normal,
            creator: Self::user_name(0)?,
            columns: serde_json_map(),
            unique_id: Some("imported".to_owned()),
            created_at: start,
            updated_at: start,
            expires_at: None,
        };
        let mut facts = vec![Write::PutConversation(app.clone(), conversation)];
        for user in 0..=users {
            let mut member = Member::joined(&Self::user_name(user)?, start);
            let mark = self.dice.number();
            member.read_until = nth(&times, mark).copied().unwrap_or(start);
            facts.push(Write::PutMember(app.clone(), id.clone(), member));
        }
        facts.extend(writes);
        self.server.import(facts)
    }

    fn imported_message(
        &mut self,
        number: usize,
        user: usize,
        sent_at: Timestamp,
    ) -> Result<Message, Broken> {
        // Ids whose order has nothing to do with that of the messages.
        let id = format!("{:016x}{number:06}", self.dice.number());
        let payload = content::encode(&MessageContent::text(format!("i{user}.{number}")));
        let body = match payload {
            Payload::Text(text) => Body::Text(text),
            Payload::Binary(bytes) => Body::Binary(bytes),
        };
        Ok(Message {
            id: MessageId::new(id).map_err(broken)?,
            sent_at,
            from: Self::user_name(user)?,
            body,
            wants_receipt: false,
            mention_all: false,
            mentions: Vec::new(),
            patched_at: None,
            recalled: false,
            delivered_at: None,
            read_at: None,
            token: None,
            only_for: Vec::new(),
        })
    }
}

/// A change of a message.
#[derive(Clone, Copy)]
enum Patch {
    Edit,
    Recall,
}

fn broken(error: impl std::fmt::Display) -> Broken {
    Broken(error.to_string())
}

fn serde_json_map() -> serde_json::Map<String, serde_json::Value> {
    serde_json::Map::new()
}
