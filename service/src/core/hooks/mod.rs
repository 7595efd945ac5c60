//! Hooks: the service asks an app's own server before an operation, and tells the server after it (the
//! protocol, appendix B). The core makes the questions and judges the answers; the shell carries both.
//!
//! A command that needs an answer has no effect before the answer. The command is abandoned at the question,
//! waits as a job of its connection, and is decided anew with the answer, on the state of that moment.

pub(in crate::core) mod messages;

use sampan::model::{AppId, ClientId};
use sampan::wire::ServiceCode;
use serde_json::{Map, Value, json};

use crate::core::apps::app::App;
use crate::core::exchange::decision::Caller;
use crate::core::exchange::hook_call::{HookCall, HookName};
use crate::core::exchange::input::{ConnectionId, SessionId};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::storage::Storage;

impl<S: Storage> Core<S> {
    /// Asks a hook, if the app has it; answers its result, empty where it failed or there is none. A refusal of
    /// the hook is a refusal here.
    pub(in crate::core) fn ask_hook(
        &mut self,
        caller: &Caller,
        hook: HookName,
        parameters: impl FnOnce() -> Value,
    ) -> Result<Map<String, Value>, Failure> {
        let app = &caller.app;
        let hooks = self.settings_of(app).hooks;
        if caller.is_server() || !hooks.has(hook) {
            return Ok(Map::new());
        }
        let Some(answer) = self.hook_turn.answers.get(self.hook_turn.used).cloned() else {
            let call = HookCall {
                app: app.clone(),
                hook,
                parameters: parameters(),
            };
            return Err(Failure::Asks(Box::new(call)));
        };
        self.hook_turn.used += 1;
        match answer {
            None if hooks.strict => {
                let detail = "the app's hook did not answer";
                Err(Refusal::because(refusing(hook), detail).into())
            }
            None => Ok(Map::new()),
            Some(result) => judge(hook, result),
        }
    }

    /// An app that is served.
    #[must_use]
    pub fn app(&self, id: &AppId) -> Option<App> {
        self.apps.find(id.as_str()).cloned()
    }

    /// Tells a hook of something, if the app has it.
    pub(in crate::core) fn tell_hook(
        &mut self,
        app: &AppId,
        hook: HookName,
        parameters: impl FnOnce() -> Value,
    ) {
        if self.settings_of(app).hooks.has(hook) {
            self.hook_turn.tell.push(HookCall {
                app: app.clone(),
                hook,
                parameters: parameters(),
            });
        }
    }

    /// Tells of a client that signed in.
    pub(in crate::core) fn tell_online(&mut self, app: &AppId, id: &SessionId, is_again: bool) {
        let tag = self.tag_of(id);
        self.tell_hook(app, HookName::ClientOnline, || {
            json!({
                "peerId": id.client.as_str(),
                "sourceIP": "",
                "tag": tag,
                "reconnect": i32::from(is_again),
            })
        });
    }

    /// Tells of a client that signed out or was lost.
    pub(in crate::core) fn tell_offline(
        &mut self,
        app: &AppId,
        client: &ClientId,
        tag: Option<String>,
        how: Offline,
    ) {
        self.tell_hook(app, HookName::ClientOffline, || {
            json!({
                "peerId": client.as_str(),
                "closeCode": how as i32,
                "closeMsg": how.message(),
                "sourceIP": "",
                "tag": tag,
                "errorCode": null,
                "errorMsg": null,
            })
        });
    }

    /// The tag of a session.
    pub(in crate::core) fn tag_of(&self, id: &SessionId) -> Option<String> {
        let tag = self.registry.session(id)?.tag.as_ref()?;
        Some(tag.as_str().to_owned())
    }
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Offline {
    /// The client closed it.
    Closed = 1,
    /// Its connection was lost.
    Lost = 2,
    /// Another device has its tag.
    Conflict = 3,
    /// The app's own server ended it.
    Kicked = 4,
}

impl Offline {
    const fn message(self) -> &'static str {
        match self {
            Self::Closed => "closed by the client",
            Self::Lost => "connection lost",
            Self::Conflict => "tag conflict",
            Self::Kicked => "removed by the app",
        }
    }
}

impl Caller {
    /// True if the caller is the app's own server: no hook is asked about its operations.
    fn is_server(&self) -> bool {
        self.session.connection == ConnectionId(0)
    }
}

/// The code for a refusal by a hook.
const fn refusing(hook: HookName) -> ServiceCode {
    match hook {
        HookName::MessageReceived => ServiceCode::MESSAGE_REJECTED_BY_APP,
        HookName::MessageUpdate => ServiceCode::MESSAGE_UPDATE_REJECTED_BY_APP,
        _ => ServiceCode::CONVERSATION_REJECTED_BY_APP,
    }
}

/// The result of a hook that lets the operation happen; a refusal with the app's code and words if not.
fn judge(hook: HookName, result: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    let key = match hook {
        HookName::MessageReceived | HookName::MessageUpdate => "drop",
        _ => "reject",
    };
    if result.get(key).and_then(Value::as_bool) != Some(true) {
        return Ok(result);
    }
    let code = result.get("code").and_then(Value::as_i64);
    let detail = result.get("detail").and_then(Value::as_str);
    let refusal = Refusal {
        app_code: code.and_then(|code| i32::try_from(code).ok()),
        app_msg: detail.map(str::to_owned),
        // Some SDKs show their app this one alone.
        detail: detail.map(str::to_owned),
        ..Refusal::from(refusing(hook))
    };
    Err(refusal.into())
}
