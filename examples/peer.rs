//! A device that another process drives: one JSON deed a line on standard input, one answer a line on
//! standard output. The tests of the Java SDK use it as the other side, as they use the JavaScript SDK.
//!
//! `{"do": "login", "url": …, "appId": …, "appKey": …, "clientId": …}` comes first; then `start`, `say`,
//! `sends` and `gets` (a payload), `sendsFile` and `seesFile`, `hears`, `shows`, `read`, `unread`, `import` (the cache of an older SDK), `add`,
//! `remove`, `join`, `quit`, `told` and `order` (what events told of members), `leave` (go offline) and `return`
//! (go online again).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use sampan::model::{
    AppId, ClientId, ConversationId, Event, MediaSource, MembersNotice, Message, NewConversation,
    NewMedia, NewMessage, Uniqueness,
};
use sampan::wire::content;
use sampan::wire::payload::Payload;
use sampan::{Client, ClientOptions, Config, Conversation, Engine, Limits, ServerAddress};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

/// Any failure: it is the answer then.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A signed-in device. Its folder goes with it.
struct Device {
    engine: Arc<Engine>,
    client: Arc<Client>,
    /// The news of members and messages that the events told, in order.
    heard: Arc<Mutex<Vec<Heard>>>,
    _folder: tempfile::TempDir,
}

/// Something that an event told.
enum Heard {
    Notice(MembersNotice),
    Message(Box<Message>),
}

/// Keeps what the events tell of members and messages.
fn listen(client: &Client) -> Arc<Mutex<Vec<Heard>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (kept, mut events) = (Arc::clone(&heard), client.events());
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let told = match event {
                Event::MembersChanged { notice, .. } => Heard::Notice(notice),
                Event::MessageAdded { message, .. } => Heard::Message(Box::new(message)),
                _ => continue,
            };
            if let Ok(mut kept) = kept.lock() {
                kept.push(told);
            }
        }
    });
    heard
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut device = None;
    while let Some(line) = lines.next_line().await? {
        let details: Value = serde_json::from_str(&line)?;
        let answer = match &device {
            None => match Device::login(&details).await {
                Ok(signed_in) => {
                    device = Some(signed_in);
                    json!({})
                }
                Err(error) => json!({ "error": error.to_string() }),
            },
            Some(device) => match device.does(&details).await {
                Ok(answer) => answer,
                Err(error) => json!({ "error": error.to_string() }),
            },
        };
        println!("{answer}");
    }
    Ok(())
}

impl Device {
    async fn login(details: &Value) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let server = ServerAddress::Router {
            url: text(details, "url")?.to_owned(),
        };
        let app = AppId::new(text(details, "appId")?)?;
        let mut config = Config::new(app, text(details, "appKey")?, server, folder.path());
        config.limits = Limits::unthrottled();
        let engine = Engine::open(config)?;
        let id = ClientId::new(text(details, "clientId")?)?;
        let client = engine.client(id, ClientOptions::default()).await?;
        let device = Self {
            engine,
            heard: listen(&client),
            client,
            _folder: folder,
        };
        device.go_online().await?;
        Ok(device)
    }

    async fn go_online(&self) -> Outcome<()> {
        self.client.go_online(None)?;
        timeout(PATIENCE, self.client.wait_online()).await??;
        Ok(())
    }

    async fn does(&self, details: &Value) -> Outcome<Value> {
        match text(details, "do")? {
            "start" => self.start(details).await,
            "say" => self.say(details).await,
            "sends" => self.sends(details).await,
            "gets" => self.gets(details).await,
            "sendsFile" => self.sends_file(details).await,
            "seesFile" => self.sees_file(text(details, "text")?).await,
            "hears" => self.hears(text(details, "text")?).await,
            "shows" => self.shows(details).await,
            "read" => {
                self.conversation(details).await?.mark_read(None).await?;
                Ok(json!({}))
            }
            "unread" => self.unread(details).await,
            "import" => self.import(text(details, "path")?).await,
            "add" | "remove" | "join" | "quit" => self.change_members(details).await,
            "told" => self.told(details).await,
            "order" => self.order(details).await,
            "leave" => {
                self.client.go_offline()?;
                Ok(json!({}))
            }
            "return" => {
                self.go_online().await?;
                Ok(json!({}))
            }
            other => Err(format!("no such deed: {other}").into()),
        }
    }

    /// Takes over the cache that an older SDK left.
    #[cfg(feature = "import-legacy")]
    async fn import(&self, path: &str) -> Outcome<Value> {
        let source = sampan::LegacySource {
            path: path.into(),
            scope: sampan::LegacyScope::AllConversations,
        };
        let report = self.client.import_legacy(source, None).await?;
        Ok(json!({ "messages": report.messages.all(), "left": report.left.len() }))
    }

    #[cfg(not(feature = "import-legacy"))]
    async fn import(&self, _path: &str) -> Outcome<Value> {
        Err("built without the feature import-legacy".into())
    }

    async fn start(&self, details: &Value) -> Outcome<Value> {
        let members = details.get("members").and_then(Value::as_array);
        let members = members.ok_or("members are missing")?.iter();
        let ids = members.map(|id| ClientId::new(id.as_str().unwrap_or_default()));
        let wanted = NewConversation {
            members: ids.collect::<Result<_, _>>()?,
            name: details
                .get("name")
                .and_then(Value::as_str)
                .map(str::to_owned),
            uniqueness: Uniqueness::Separate,
            ..NewConversation::default()
        };
        let talk = self.client.create_conversation(wanted).await?.conversation;
        let id = self.until(async || {
            let id = talk.info().await.ok()?.id;
            (!id.is_local()).then_some(id)
        });
        Ok(json!({ "cid": id.await?.as_str() }))
    }

    async fn say(&self, details: &Value) -> Outcome<Value> {
        let talk = self.conversation(details).await?;
        let sent = talk
            .send_text(text(details, "text")?.to_owned(), None)
            .await?;
        let message = self.until(async || {
            let message = talk.message_by_local_id(sent.local_id.clone()).await.ok()?;
            message.id.is_some().then_some(message)
        });
        Ok(described(&message.await?))
    }

    /// Sends what a payload says: the text of one, or bytes.
    async fn sends(&self, details: &Value) -> Outcome<Value> {
        let talk = self.conversation(details).await?;
        let payload = match details.get("bytes").and_then(Value::as_array) {
            Some(bytes) => {
                let bytes = bytes.iter().filter_map(Value::as_u64);
                Payload::Binary(bytes.map(u8::try_from).collect::<Result<_, _>>()?)
            }
            None => Payload::Text(text(details, "payload")?.to_owned()),
        };
        let mut message = NewMessage::new(content::decode(payload));
        let mentioned = details.get("mentions").and_then(Value::as_array);
        for id in mentioned.into_iter().flatten().filter_map(Value::as_str) {
            message.mentions.clients.push(ClientId::new(id)?);
        }
        let sent = talk.send(message).await?;
        let message = self.until(async || {
            let message = talk.message_by_local_id(sent.local_id.clone()).await.ok()?;
            message.id.is_some().then_some(message)
        });
        Ok(described(&message.await?))
    }

    /// Sends a file of this machine.
    async fn sends_file(&self, details: &Value) -> Outcome<Value> {
        let talk = self.conversation(details).await?;
        let path = text(details, "path")?.into();
        let media = NewMedia {
            caption: Some(text(details, "text")?.to_owned()),
            ..NewMedia::new(MediaSource::Path { path })
        };
        let sent = talk.send_media(media).await?;
        let message = self.until(async || {
            let message = talk.message_by_local_id(sent.local_id.clone()).await.ok()?;
            message.id.is_some().then_some(message)
        });
        Ok(described(&message.await?))
    }

    /// Waits for a message with a file and these words, and tells where the file is on this machine then.
    async fn sees_file(&self, words: &str) -> Outcome<Value> {
        let heard = self.newest_of_others(words).await?;
        let file = heard.content.media().ok_or("a message without a file")?;
        let download = self.client.download(file.clone())?;
        let path = timeout(PATIENCE, download.file()).await??;
        Ok(json!({ "path": path, "name": file.name, "size": file.size }))
    }

    /// Waits for a message of an id, and tells its payload.
    async fn gets(&self, details: &Value) -> Outcome<Value> {
        let talk = self.conversation(details).await?;
        let id = text(details, "id")?;
        let found = self.until(async || {
            let page = talk.page(None, 100).await.ok()?;
            let mut messages = page.items.iter().filter_map(|item| item.message());
            let named = |it: &&Message| it.id.as_ref().is_some_and(|it| it.as_str() == id);
            messages.find(named).cloned()
        });
        let message = found.await?;
        let (payload, bytes) = match content::encode(&message.content) {
            Payload::Text(text) => (Some(text), None),
            Payload::Binary(bytes) => (None, Some(bytes)),
        };
        let mentions = message.mentions.clients.iter().map(ClientId::as_str);
        Ok(json!({
            "kind": message.content.kind_name(),
            "payload": payload,
            "bytes": bytes,
            "mentions": mentions.collect::<Vec<_>>(),
        }))
    }

    /// Waits until some conversation's newest message is another's with these words.
    async fn hears(&self, words: &str) -> Outcome<Value> {
        Ok(described(&self.newest_of_others(words).await?))
    }

    async fn newest_of_others(&self, words: &str) -> Outcome<Message> {
        let me = self.client.client_id();
        self.until(async || {
            let list = self
                .client
                .conversations(None, 100)
                .await
                .ok()?
                .conversations;
            let mut newest = list.into_iter().filter_map(|info| info.last_message);
            newest.find(|message| message.sender != me && message.content.words() == Some(words))
        })
        .await
    }

    /// Waits until the timeline says exactly these words; a recalled message says `(recalled)`.
    async fn shows(&self, details: &Value) -> Outcome<Value> {
        let talk = self.conversation(details).await?;
        let wanted = details.get("texts").ok_or("texts are missing")?;
        let shown = self.until(async || {
            let page = talk.page(None, 100).await.ok()?;
            let words = page.items.iter().map(|item| match item.message() {
                Some(message) => message.content.words().unwrap_or("(recalled)").to_owned(),
                None => "(gap)".to_owned(),
            });
            let shown = Value::from_iter(words);
            (shown == *wanted).then_some(shown)
        });
        Ok(json!({ "texts": shown.await? }))
    }

    async fn unread(&self, details: &Value) -> Outcome<Value> {
        let talk = self.conversation(details).await?;
        let wanted = details.get("count").and_then(Value::as_u64);
        let counted = self.until(async || {
            let count = u64::from(talk.info().await.ok()?.unread.count);
            (Some(count) == wanted).then_some(count)
        });
        Ok(json!({ "count": counted.await? }))
    }

    async fn change_members(&self, details: &Value) -> Outcome<Value> {
        let members = details.get("members").and_then(Value::as_array);
        let ids = members.into_iter().flatten();
        let ids = ids.map(|id| ClientId::new(id.as_str().unwrap_or_default()));
        let members: Vec<_> = ids.collect::<Result<_, _>>()?;
        let talk = self.conversation(details).await?;
        let _in_commit = match text(details, "do")? {
            "add" => talk.add_members(members).await?,
            "remove" => talk.remove_members(members).await?,
            "join" => talk.join().await?,
            _ => talk.quit().await?,
        };
        Ok(json!({}))
    }

    /// Waits for a notice of members by its name in a conversation; each is handed out once.
    async fn told(&self, details: &Value) -> Outcome<Value> {
        let (name, cid) = (text(details, "name")?, text(details, "cid")?);
        let member = details.get("member").and_then(Value::as_str);
        let told = self.until(async || {
            let mut heard = self.heard.lock().ok()?;
            let at = heard.iter().position(|heard| match heard {
                Heard::Notice(notice) => {
                    let mut names = notice.members.iter().map(ClientId::as_str);
                    notice.conversation.as_str() == cid
                        && format!("{:?}", notice.event) == name
                        && member.is_none_or(|member| names.any(|name| name == member))
                }
                Heard::Message(_) => false,
            });
            match heard.remove(at?) {
                Heard::Notice(notice) => Some(notice),
                Heard::Message(_) => None,
            }
        });
        let told = told.await?;
        let members = told.members.iter().map(ClientId::as_str);
        let by = told.by.as_ref().map(ClientId::as_str);
        Ok(json!({ "members": Value::from_iter(members), "by": by }))
    }

    /// Waits until so much was heard in a conversation, and answers it in order: notices of members by their
    /// names, messages by their words.
    async fn order(&self, details: &Value) -> Outcome<Value> {
        let cid = text(details, "cid")?;
        let count = details.get("count").and_then(Value::as_u64);
        let heard = self.until(async || {
            let heard = self.heard.lock().ok()?;
            let lines = heard.iter().filter_map(|heard| match heard {
                Heard::Notice(notice) => {
                    let is_here = notice.conversation.as_str() == cid;
                    is_here.then(|| format!("{:?}", notice.event))
                }
                Heard::Message(message) => {
                    let words = message.content.words().unwrap_or_default();
                    (message.conversation.as_str() == cid).then(|| words.to_owned())
                }
            });
            let lines: Vec<_> = lines.collect();
            (u64::try_from(lines.len()).ok() >= count).then_some(lines)
        });
        Ok(json!({ "heard": heard.await? }))
    }

    async fn conversation(&self, details: &Value) -> Outcome<Arc<Conversation>> {
        let id = ConversationId::new(text(details, "cid")?)?;
        let handle = self.client.conversation(id.clone())?;
        match handle.info().await {
            Ok(_) => Ok(handle),
            Err(_) => Ok(self.client.fetch_conversation(id).await?),
        }
    }

    /// Asks again after each event until there is an answer.
    async fn until<T>(&self, ask: impl AsyncFn() -> Option<T>) -> Outcome<T> {
        let mut events = self.engine.events();
        let search = async {
            loop {
                if let Some(found) = ask().await {
                    return found;
                }
                // Something may change without an event, so the question is asked again now and then.
                let _ = timeout(Duration::from_millis(200), events.next()).await;
            }
        };
        Ok(timeout(PATIENCE, search)
            .await
            .map_err(|_| "it did not happen in time")?)
    }
}

fn described(message: &Message) -> Value {
    json!({
        "id": message.id.as_ref().map(ToString::to_string),
        "from": message.sender.as_str(),
        "cid": message.conversation.as_str(),
        "timestamp": message.sent_at.as_millis(),
    })
}

fn text<'a>(details: &'a Value, key: &str) -> Outcome<&'a str> {
    let found = details.get(key).and_then(Value::as_str);
    Ok(found.ok_or_else(|| format!("{key} is missing"))?)
}
