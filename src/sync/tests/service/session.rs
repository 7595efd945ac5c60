//! Signing in, and what is told then.

use super::{Outgoing, Service, Session, Socket, notification};
use crate::model::Timestamp;
use crate::wire::generated::{
    ErrorCommand, PatchCommand, PatchItem, SessionCommand, UnreadCommand, UnreadTuple,
};
use crate::wire::{Command, Envelope, Op, ServiceCode};

impl Service {
    pub(super) fn open(
        &mut self,
        now: i64,
        socket: Socket,
        request: &Envelope,
        body: &SessionCommand,
    ) -> Outgoing {
        let refuse = |code: ServiceCode| {
            let error = ErrorCommand {
                code: code.number(),
                reason: code.name().to_owned(),
                ..ErrorCommand::default()
            };
            vec![(socket, request.reply(Command::Error(error)))]
        };
        let client = request.peer_id.clone().unwrap();
        if let Some(token) = &body.st
            && self.session_tokens.get(token) != Some(&client)
        {
            return refuse(ServiceCode::SESSION_TOKEN_EXPIRED);
        }
        if self.wants_signatures && body.st.is_none() && body.s.is_none() {
            return refuse(ServiceCode::SIGNATURE_FAILED);
        }
        let mut out = Vec::new();
        let others: Vec<Socket> = self
            .sessions
            .iter()
            .filter(|(other, session)| {
                let same_tag = body.tag.is_some() && session.tag == body.tag;
                **other != socket && session.client == client && same_tag
            })
            .map(|(other, _)| *other)
            .collect();
        for other in others {
            let zombie = self.sessions[&other].device == body.device_id;
            if !zombie && body.r == Some(true) {
                return refuse(ServiceCode::SESSION_CONFLICT);
            }
            self.sessions.remove(&other);
            if !zombie {
                let conflict = SessionCommand {
                    code: Some(ServiceCode::SESSION_CONFLICT.number()),
                    ..SessionCommand::default()
                };
                let command = Command::session(Op::Closed, conflict);
                out.push((other, notification(&client, now, command)));
            }
        }
        let session = Session {
            client: client.clone(),
            device: body.device_id.clone(),
            tag: body.tag.clone(),
        };
        self.sessions.insert(socket, session);
        let token = self.token(&client);
        let opened = Envelope {
            server_ts: Some(Timestamp::from_millis(now)),
            ..request.reply(Command::session(Op::Opened, token))
        };
        out.push((socket, opened));
        out.extend(self.unread_at_open(now, socket, &client, body.last_unread_notif_time));
        out.extend(self.edits_at_open(now, socket, &client, body.last_patch_time));
        out
    }

    /// The unread counts that changed since the client's last notification, cleared ones included.
    fn unread_at_open(
        &self,
        now: i64,
        socket: Socket,
        client: &str,
        since: Option<i64>,
    ) -> Outgoing {
        let mine = self.conversations.iter().filter(|(_, it)| it.has(client));
        let tuples = mine.filter_map(|(cid, it)| {
            let tuple = it.tuple(cid, client, self.unread_cap);
            let told = match since {
                None => tuple.unread > 0,
                Some(since) => {
                    tuple.timestamp >= Some(since)
                        || it.marked_at.get(client).is_some_and(|at| *at >= since)
                }
            };
            told.then_some(tuple)
        });
        let mut convs: Vec<UnreadTuple> = tuples.collect();
        convs.sort_by_key(|tuple| std::cmp::Reverse(tuple.timestamp));
        convs.truncate(self.unread_told_max);
        if convs.is_empty() {
            return Vec::new();
        }
        let body = UnreadCommand {
            convs,
            notif_time: Some(now),
        };
        vec![(socket, notification(client, now, Command::Unread(body)))]
    }

    fn edits_at_open(
        &self,
        now: i64,
        socket: Socket,
        client: &str,
        since: Option<i64>,
    ) -> Outgoing {
        let Some(since) = since else {
            return Vec::new();
        };
        let mine = self.conversations.iter().filter(|(_, it)| it.has(client));
        let patches: Vec<PatchItem> = mine
            .flat_map(|(cid, it)| it.messages.iter().map(move |message| (cid, message)))
            .filter(|(_, message)| message.edited_at > Some(since))
            .map(|(cid, message)| message.patch(cid))
            .collect();
        if patches.is_empty() {
            return Vec::new();
        }
        let body = PatchCommand {
            patches,
            last_patch_time: None,
        };
        vec![(
            socket,
            notification(client, now, Command::patch(Op::Modify, body)),
        )]
    }
}
