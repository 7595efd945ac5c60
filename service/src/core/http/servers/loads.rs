//! History of another service, loaded while this service runs.

use sampan::model::AppId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, bad};
use crate::core::exchange::server_call::ServerRequest;
use crate::core::loading::{LoadedMessage, Loader};
use crate::core::machine::Core;
use crate::storage::{Known, Storage};

/// Messages in one request, and conversations: the service does nothing else meanwhile.
const ROWS_MAX: usize = 500;

/// The body of a request.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    messages: Vec<LoadedMessage>,
    #[serde(default)]
    conversations: Vec<LoadedConversation>,
}

#[derive(Deserialize)]
struct LoadedConversation {
    id: String,
    known: Known,
}

impl<S: Storage> Core<S> {
    /// Joins messages and conversations with the stored ones. Answers the outcome of each, in order.
    pub(super) async fn load(&mut self, app: &AppId, request: &ServerRequest) -> Answered {
        let body = Body::deserialize(&request.body)
            .map_err(|error| bad(&format!("the body cannot be loaded: {error}")))?;
        if body.messages.len() > ROWS_MAX || body.conversations.len() > ROWS_MAX {
            return Err(bad(&format!("more than {ROWS_MAX} rows of a kind")));
        }
        let mut loader = Loader::new(&mut self.storage, app.clone());
        let (mut messages, mut conversations) = (Vec::new(), Vec::new());
        for message in &body.messages {
            let loaded = loader.message(message).await?;
            messages.push(json!(loaded));
        }
        for one in body.conversations {
            let lacking = loader.conversation(&one.id, one.known).await?;
            conversations.push(Value::from(lacking));
        }
        Ok(json!({ "messages": messages, "conversations": conversations }))
    }
}
