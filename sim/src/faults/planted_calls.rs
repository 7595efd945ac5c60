//! The planted faults of calls: an engine that does something else than the app asked for.

use sampan::model::MessageContent;
use sampan::sync::{Focus, Request, SendMessage};

use crate::faults::planted::Mutation;

/// Changes a call on its way to the machine.
pub(crate) fn taken(mutation: Option<Mutation>, request: Request) -> Request {
    match (mutation, request) {
        (Some(Mutation::FreshLocalId), Request::SendMessage(mut call)) => {
            call.message.options.local_id = None;
            call.into()
        }
        (Some(Mutation::KeptIsSent), Request::KeepFailed(call)) => {
            let send = SendMessage {
                conversation: call.conversation,
                message: call.message,
            };
            send.into()
        }
        // A call that is answered and leaves everything as it is.
        (Some(Mutation::LostRemoval), Request::RemoveMessage(_)) => {
            Focus { conversation: None }.into()
        }
        (Some(Mutation::WrongForeign), Request::KeepForeign(mut call)) => {
            call.message.content = MessageContent::text("wrong");
            call.into()
        }
        (_, request) => request,
    }
}
