//! The routes by which an app's own servers work with conversations, members, messages and clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use sampan::wire::signature::KeyKind;
use serde_json::Value;

use super::asking::Asker;
use super::http::{Shared, answer, ask};
use crate::core::access::Operation;
use crate::core::{OlderCall, RestAnswer, RestCall, ServerCall, ServerRequest};
use crate::storage::Kind;

/// Bytes of a request that loads history. All other bodies are far smaller.
const LOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

type Texts = BTreeMap<String, String>;

/// All routes, each with its operation.
pub(super) fn routes() -> Vec<(&'static str, Operation, MethodRouter<Arc<Shared>>)> {
    let all = of_conversations()
        .into_iter()
        .chain(of_chat_rooms())
        .chain(of_services())
        .chain(of_clients())
        .chain(of_older());
    all.map(|(path, method, call)| (path, call.operation(), route(method, call)))
        .collect()
}

type Row = (&'static str, MethodFilter, ServerCall);

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const DELETE: MethodFilter = MethodFilter::DELETE;

#[rustfmt::skip]
fn of_conversations() -> Vec<Row> {
    use Kind::Normal;
    use ServerCall as Call;
    vec![
        ("/1.2/rtm/all-conversations", GET, Call::Find(None)),
        ("/1.2/rtm/conversations", POST, Call::Create(Normal)),
        ("/1.2/rtm/conversations", GET, Call::Find(Some(Normal))),
        ("/1.2/rtm/conversations/{id}", PUT, Call::Change(Normal)),
        ("/1.2/rtm/conversations/{id}", DELETE, Call::Delete(Normal)),
        ("/1.2/rtm/conversations/{id}/members", POST, Call::AddMembers),
        ("/1.2/rtm/conversations/{id}/members", DELETE, Call::RemoveMembers),
        ("/1.2/rtm/conversations/{id}/members", GET, Call::ListMembers(Normal)),
        ("/1.2/rtm/conversations/{id}/mutes", POST, Call::Mute),
        ("/1.2/rtm/conversations/{id}/mutes", DELETE, Call::Unmute),
        ("/1.2/rtm/conversations/{id}/mutes", GET, Call::ListMuted),
        ("/1.2/rtm/conversations/{id}/messages", POST, Call::Send(Normal)),
        ("/1.2/rtm/conversations/{id}/messages/{message}", PUT, Call::Edit(Normal)),
        ("/1.2/rtm/conversations/{id}/messages/{message}", DELETE, Call::DeleteMessage(Normal)),
        ("/1.2/rtm/conversations/{id}/messages/{message}/recall", PUT, Call::Recall(Normal)),
    ]
}

#[rustfmt::skip]
fn of_chat_rooms() -> Vec<Row> {
    use Kind::Room;
    use ServerCall as Call;
    vec![
        ("/1.2/rtm/chatrooms", POST, Call::Create(Room)),
        ("/1.2/rtm/chatrooms", GET, Call::Find(Some(Room))),
        ("/1.2/rtm/chatrooms/{id}", PUT, Call::Change(Room)),
        ("/1.2/rtm/chatrooms/{id}", DELETE, Call::Delete(Room)),
        ("/1.2/rtm/chatrooms/{id}/members", GET, Call::ListMembers(Room)),
        ("/1.2/rtm/chatrooms/{id}/members/online-count", GET, Call::CountInside),
        ("/1.2/rtm/chatrooms/{id}/messages", POST, Call::Send(Room)),
        ("/1.2/rtm/chatrooms/{id}/messages/{message}", PUT, Call::Edit(Room)),
        ("/1.2/rtm/chatrooms/{id}/messages/{message}", DELETE, Call::DeleteMessage(Room)),
        ("/1.2/rtm/chatrooms/{id}/messages/{message}/recall", PUT, Call::Recall(Room)),
    ]
}

#[rustfmt::skip]
fn of_services() -> Vec<Row> {
    use Kind::System;
    use ServerCall as Call;
    vec![
        ("/1.2/rtm/service-conversations", POST, Call::Create(System)),
        ("/1.2/rtm/service-conversations", GET, Call::Find(Some(System))),
        ("/1.2/rtm/service-conversations/{id}", PUT, Call::Change(System)),
        ("/1.2/rtm/service-conversations/{id}", DELETE, Call::Delete(System)),
        ("/1.2/rtm/service-conversations/{id}/subscribers", POST, Call::Subscribe),
        ("/1.2/rtm/service-conversations/{id}/subscribers", GET, Call::ListSubscribers),
        ("/1.2/rtm/service-conversations/{id}/subscribers/count", GET, Call::CountSubscribers),
        ("/1.2/rtm/service-conversations/{id}/subscribers/{client}", DELETE, Call::Unsubscribe),
        ("/1.2/rtm/service-conversations/{id}/subscribers/{client}/messages", GET, Call::ListFor),
        ("/1.2/rtm/service-conversations/{id}/subscribers/{client}/messages/{message}", DELETE, Call::DeleteFor),
        ("/1.2/rtm/service-conversations/{id}/broadcasts", POST, Call::SendToSubscribers),
        ("/1.2/rtm/service-conversations/{id}/messages", POST, Call::Send(System)),
        ("/1.2/rtm/service-conversations/{id}/messages/{message}", PUT, Call::Edit(System)),
        ("/1.2/rtm/service-conversations/{id}/messages/{message}", DELETE, Call::DeleteMessage(System)),
        ("/1.2/rtm/service-conversations/{id}/messages/{message}/recall", PUT, Call::Recall(System)),
        ("/1.2/rtm/broadcasts", POST, Call::Broadcast),
        ("/1.2/rtm/broadcasts", GET, Call::ListBroadcasts),
        ("/1.2/rtm/broadcasts/{message}", DELETE, Call::DeleteBroadcast),
    ]
}

#[rustfmt::skip]
fn of_clients() -> Vec<Row> {
    use ServerCall as Call;
    vec![
        ("/1.2/rtm/sessions", GET, Call::ListSessions),
        ("/1.2/rtm/clients/check-online", POST, Call::CheckOnline),
        ("/1.2/rtm/clients/{id}/bar", POST, Call::Bar),
        ("/1.2/rtm/clients/{id}/bar", DELETE, Call::Unbar),
        ("/1.2/rtm/clients/{id}/erase", POST, Call::Erase),
        ("/1.2/rtm/clients/{id}/unread-count", GET, Call::CountUnread),
        ("/1.2/rtm/clients/{id}/service-conversations", GET, Call::ListSubscriptions),
        ("/1.2/rtm/stats", GET, Call::Count),
        ("/1.2/rtm/loads", POST, Call::Load),
    ]
}

#[rustfmt::skip]
fn of_older() -> Vec<Row> {
    use ServerCall::Older;
    vec![
        ("/1.1/rtm/messages", POST, Older(OlderCall::Send)),
        ("/1.1/rtm/patch/message", PUT, Older(OlderCall::Patch)),
        ("/1.1/rtm/broadcast", POST, Older(OlderCall::Broadcast)),
        ("/1.1/rtm/broadcast/subscriber", POST, Older(OlderCall::SendToSubscribers)),
        ("/1.1/classes/_Conversation", POST, Older(OlderCall::MakeRow)),
        ("/1.1/classes/_Conversation", GET, Older(OlderCall::FindRows)),
        ("/1.1/classes/_Conversation/{id}", GET, Older(OlderCall::ReadRow)),
        ("/1.1/classes/_Conversation/{id}", PUT, Older(OlderCall::ChangeRow)),
        ("/1.1/classes/_Conversation/{id}", DELETE, Older(OlderCall::DeleteRow)),
    ]
}

fn route(method: MethodFilter, call: ServerCall) -> MethodRouter<Arc<Shared>> {
    let handler = move |State(shared): State<Arc<Shared>>,
                        Extension(app): Extension<Asker>,
                        Extension(key): Extension<KeyKind>,
                        path: Option<Path<Texts>>,
                        Query(query): Query<Texts>,
                        body: Bytes| async move {
        let body = match body.is_empty() {
            true => Value::Null,
            false => match serde_json::from_slice(&body) {
                Ok(body) => body,
                Err(_) => return answer(RestAnswer::refused(400, 1, "the body is not JSON")),
            },
        };
        let request = ServerRequest {
            call,
            path: path.map(|Path(path)| path).unwrap_or_default(),
            query,
            body,
            key,
        };
        ask_for(&shared, app, request).await
    };
    let route = on(method, handler);
    match call {
        ServerCall::Load => route.layer(DefaultBodyLimit::max(LOAD_BYTES_MAX)),
        _ => route,
    }
}

async fn ask_for(shared: &Shared, app: Asker, request: ServerRequest) -> Response {
    ask(shared, app, RestCall::Server(Box::new(request))).await
}
