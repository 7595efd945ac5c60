//! A log-in with the session of an account: the app's own server names the client of the session, and the
//! service signs the log-in of that client.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use sampan::model::ClientId;
use serde_json::{Map, Value, json};

use super::asking::Asker;
use super::http::{Parameters, Shared, answer, ask};
use crate::core::access::Operation;
use crate::core::{HookCall, HookName, RestAnswer, RestCall, Vouched};

/// The routes of both forms.
pub(super) fn routes() -> [(&'static str, Operation, MethodRouter<Arc<Shared>>); 2] {
    let operation = Operation::SignAccount;
    [
        ("/1.1/rtm/sign", operation, post(sign)),
        ("/1.2/rtm/clients/sign", operation, get(sign_by_query)),
    ]
}

async fn sign(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    body: Bytes,
) -> Response {
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let token = body
        .as_ref()
        .and_then(|body| body.get("session_token")?.as_str());
    sign_for(&shared, asker, token).await
}

async fn sign_by_query(
    State(shared): State<Arc<Shared>>,
    Extension(asker): Extension<Asker>,
    Query(parameters): Parameters,
) -> Response {
    let token = parameters.get("session_token").map(String::as_str);
    sign_for(&shared, asker, token).await
}

async fn sign_for(shared: &Shared, asker: Asker, token: Option<&str>) -> Response {
    let Some(token) = token else {
        return answer(RestAnswer::refused(400, 1, "session_token is missing"));
    };
    match vouched(shared, &asker, token).await {
        Ok(vouched) => ask(shared, asker, RestCall::Sign(vouched)).await,
        Err(refused) => answer(refused),
    }
}

/// Asks the app's own server whose session it is, if the app has a function for that. A function that fails lets
/// nobody in.
async fn vouched(shared: &Shared, asker: &Asker, token: &str) -> Result<Vouched, RestAnswer> {
    let hook = HookName::ClientSign;
    let apps = shared.apps();
    let Some(app) = apps.find(asker.app.as_str()) else {
        return Err(unauthorized());
    };
    if !app.settings.hooks.has(hook) {
        return Ok(Vouched::ByNobody(token.to_owned()));
    }
    let Some(_place) = shared.waiting_place(asker) else {
        return Err(RestAnswer::refused(503, 1, "too many requests at a time"));
    };
    let call = HookCall {
        app: asker.app.clone(),
        hook,
        parameters: json!({ "sessionToken": token }),
    };
    match shared.hooks.ask(app, &call).await {
        Some(result) => of_account(&result).map(Vouched::ByApp),
        None => Err(RestAnswer::refused(
            503,
            1,
            "the app's server did not answer",
        )),
    }
}

/// The client that a function named.
fn of_account(result: &Map<String, Value>) -> Result<ClientId, RestAnswer> {
    if result.get("reject").and_then(Value::as_bool) == Some(true) {
        let code = result.get("code").and_then(Value::as_i64);
        let code = code.and_then(|code| i32::try_from(code).ok());
        let detail = result.get("detail").and_then(Value::as_str);
        let detail = detail.unwrap_or("the app refused the session");
        return Err(RestAnswer::refused(403, code.unwrap_or(403), detail));
    }
    let client = result.get("clientId").and_then(Value::as_str);
    client
        .and_then(|client| ClientId::new(client).ok())
        .ok_or_else(unauthorized)
}

fn unauthorized() -> RestAnswer {
    RestAnswer::refused(401, 401, "Unauthorized.")
}
