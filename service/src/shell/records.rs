//! The routes by which an app's own servers read everything that is kept: history and tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get};

use super::asking::Asker;
use super::http::{Shared, ask};
use crate::core::access::Operation;
use crate::core::{RecordsCall, RestCall};

type Parameters = Query<BTreeMap<String, String>>;
type App = Extension<Asker>;
type Route = (&'static str, Operation, MethodRouter<Arc<Shared>>);

/// All of them need the master key.
pub(super) fn routes() -> [Route; 6] {
    let route = |path, handler| (path, Operation::ReadRecords, handler);
    [
        route("/1.2/rtm/messages", get(of_app)),
        route("/1.2/rtm/conversations/{id}/messages", get(of_conversation)),
        route("/1.2/rtm/chatrooms/{id}/messages", get(of_conversation)),
        route(
            "/1.2/rtm/service-conversations/{id}/messages",
            get(of_conversation),
        ),
        route("/1.2/rtm/clients/{id}/messages", get(of_client)),
        route("/1.1/scan/classes/{class}", get(of_table)),
    ]
}

async fn of_app(
    State(shared): State<Arc<Shared>>,
    Extension(app): App,
    Query(query): Parameters,
) -> Response {
    let call = RecordsCall::OfApp { query };
    ask(&shared, app, RestCall::Records(call)).await
}

async fn of_conversation(
    State(shared): State<Arc<Shared>>,
    Extension(app): App,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Response {
    let call = RecordsCall::OfConversation { id, query };
    ask(&shared, app, RestCall::Records(call)).await
}

async fn of_client(
    State(shared): State<Arc<Shared>>,
    Extension(app): App,
    Path(id): Path<String>,
    Query(query): Parameters,
) -> Response {
    let call = RecordsCall::OfClient { id, query };
    ask(&shared, app, RestCall::Records(call)).await
}

async fn of_table(
    State(shared): State<Arc<Shared>>,
    Extension(app): App,
    Path(class): Path<String>,
    Query(query): Parameters,
) -> Response {
    let call = RecordsCall::OfTable { class, query };
    ask(&shared, app, RestCall::Records(call)).await
}
