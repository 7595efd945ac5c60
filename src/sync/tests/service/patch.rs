//! Edits and recalls.

use super::{Outgoing, Service, Socket};
use crate::wire::generated::{ErrorCommand, PatchCommand};
use crate::wire::{Command, Envelope, Op, ServiceCode};

/// The content of a recalled message.
pub(in crate::sync::tests) const RECALLED: &str = r#"{"_lctype":-127}"#;

impl Service {
    pub(super) fn patch(
        &mut self,
        now: i64,
        socket: Socket,
        client: &str,
        request: &Envelope,
        body: &PatchCommand,
    ) -> Outgoing {
        let [item] = &body.patches[..] else {
            panic!("a device changes one message at a time");
        };
        let cid = item.cid.clone().unwrap();
        let (at, id) = (item.timestamp.unwrap(), item.mid.clone().unwrap());
        let refuse = |code: ServiceCode| {
            let error = ErrorCommand {
                code: code.number(),
                reason: code.name().to_owned(),
                ..ErrorCommand::default()
            };
            vec![(socket, request.reply(Command::Error(error)))]
        };
        self.patches += 1;
        let changed_at = self.last_patch.max(now - 1) + 1;
        self.last_patch = changed_at;
        let conversation = self.conversations.get_mut(&cid).unwrap();
        let mut messages = conversation.messages.iter_mut();
        let Some(message) = messages.find(|it| it.id == id && it.at == at) else {
            return refuse(ServiceCode::MESSAGE_NOT_FOUND);
        };
        if message.from != client {
            return refuse(ServiceCode::MESSAGE_OWNERSHIP_REQUIRED);
        }
        message.text = match item.recall {
            Some(true) => RECALLED.to_owned(),
            _ => String::from_utf8(item.data.clone().unwrap()).unwrap(),
        };
        message.edited_at = Some(changed_at);
        let told = PatchCommand {
            patches: vec![message.patch(&cid)],
            last_patch_time: None,
        };
        let members = conversation.members.clone();
        let done = PatchCommand {
            last_patch_time: Some(changed_at),
            ..PatchCommand::default()
        };
        let mut out = vec![(socket, request.reply(Command::patch(Op::Modified, done)))];
        let others = self.tell(now, &members, &Command::patch(Op::Modify, told));
        out.extend(others.into_iter().filter(|(to, _)| *to != socket));
        out
    }
}
