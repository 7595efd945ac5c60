//! The targets of loading: the data folder of a service that does not run, or a service that runs. In both, the
//! service's own rules join the loaded rows with the stored ones.

use std::time::Duration;

use sampan::model::AppId;
use sampan_service::core::loading::{Loaded, LoadedMessage, Loader};
use sampan_service::storage::{Known, RedbStorage, Storage as _};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::LoadError;
use super::options::Destination;
use crate::http::{Server, Verdict, judge};

/// Messages that are made durable together in a folder.
const COMMIT_ROWS: usize = 50_000;

/// The path of a service that takes history.
const PATH: &str = "/1.2/rtm/loads";

/// Bytes of an answer: a reason for each row.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Tries of one request.
const TRIES: u32 = 10;

/// The first wait before a request is sent again; it doubles each time.
const WAIT: Duration = Duration::from_millis(200);

/// The longest wait before a request is sent again.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(super) enum Into {
    Folder {
        app: AppId,
        storage: Box<RedbStorage>,
        uncommitted: usize,
    },
    Service(Box<Server>),
}

/// The answer of a service.
#[derive(Deserialize)]
struct Answered {
    messages: Vec<Loaded>,
    conversations: Vec<Option<String>>,
}

impl Into {
    pub(super) fn open(destination: &Destination, app: AppId) -> Result<Self, LoadError> {
        Ok(match destination {
            Destination::Folder(data) => Self::Folder {
                app,
                storage: Box::new(RedbStorage::open_folder(data)?),
                uncommitted: 0,
            },
            Destination::Service(server) => Self::Service(server.clone()),
        })
    }

    /// Loads messages; answers the outcome for each, in order.
    pub(super) async fn messages(
        &mut self,
        batch: Vec<LoadedMessage>,
    ) -> Result<Vec<Loaded>, LoadError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Folder {
                app,
                storage,
                uncommitted,
            } => {
                let mut loader = Loader::new(storage.as_mut(), app.clone());
                let mut loaded = Vec::with_capacity(batch.len());
                for message in &batch {
                    loaded.push(loader.message(message).await?);
                }
                *uncommitted += batch.len();
                if *uncommitted >= COMMIT_ROWS {
                    storage.commit().await?;
                    *uncommitted = 0;
                }
                Ok(loaded)
            }
            Self::Service(server) => {
                let answered = ask(server, &json!({ "messages": batch })).await?;
                match answered {
                    Some(answered) if answered.messages.len() == batch.len() => {
                        Ok(answered.messages)
                    }
                    None if batch.len() == 1 => {
                        let reason = "the row is longer than the service takes at once";
                        Ok(vec![Loaded::Refused(reason.to_owned())])
                    }
                    _ => Err(LoadError::Answer(server.address().to_owned())),
                }
            }
        }
    }

    /// Loads facts about conversations; answers for each what the operator should know.
    pub(super) async fn conversations(
        &mut self,
        batch: Vec<(String, Known)>,
    ) -> Result<Vec<Option<String>>, LoadError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Folder { app, storage, .. } => {
                let mut loader = Loader::new(storage.as_mut(), app.clone());
                let mut lacking = Vec::with_capacity(batch.len());
                for (id, known) in batch {
                    lacking.push(loader.conversation(&id, known).await?);
                }
                Ok(lacking)
            }
            Self::Service(server) => {
                let row = |(id, known): &(String, Known)| json!({ "id": id, "known": known });
                let rows: Vec<Value> = batch.iter().map(row).collect();
                let answered = ask(server, &json!({ "conversations": rows })).await?;
                match answered {
                    Some(answered) if answered.conversations.len() == batch.len() => {
                        Ok(answered.conversations)
                    }
                    _ => Err(LoadError::Answer(server.address().to_owned())),
                }
            }
        }
    }

    /// Makes everything durable. A service has done that before each answer.
    pub(super) async fn finish(&mut self) -> Result<(), LoadError> {
        if let Self::Folder { storage, .. } = self {
            storage.commit().await?;
        }
        Ok(())
    }
}

/// Asks until there is an answer; none when the request is too long. A request may be answered twice: loading again
/// changes nothing.
async fn ask(server: &Server, body: &Value) -> Result<Option<Answered>, LoadError> {
    let (body, mut wait, mut tries) = (body.to_string(), WAIT, 0);
    loop {
        tries += 1;
        let (reason, asked) = match server.send(PATH, body.clone(), ANSWER_BYTES_MAX).await {
            Err(error) => (error.to_string(), None),
            Ok(answer) if answer.status == 413 => return Ok(None),
            Ok(answer) => match judge(&answer, server.key()) {
                Verdict::Good => {
                    let read = serde_json::from_slice(&answer.body);
                    let read = read.map_err(|_| LoadError::Answer(server.address().to_owned()));
                    return read.map(Some);
                }
                Verdict::Gone(_) => {
                    return Err(LoadError::TakesNone(server.address().to_owned()));
                }
                Verdict::Fatal(fatal) => return Err(fatal.into()),
                Verdict::Limited(asked) => ("too many requests".to_owned(), asked),
                Verdict::Unwell(reason) => (reason, None),
            },
        };
        if tries >= TRIES {
            return Err(LoadError::GivenUp { reason, tries });
        }
        tokio::time::sleep(asked.unwrap_or(wait).min(WAIT_MAX)).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}
