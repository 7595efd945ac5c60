//! Plug-ins of an app: told of what is made, and asked about what other clients say.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use sampan::model::{Count, Json, MediaFile, MessageContent, NewMessage, ParsedMessage};
use sampan::{
    Client, ClientOptions, Conversation, Engine, EnginePlugin, LogLevel, LogRecord, LogSink,
    SampanError, escape_html, set_log_sink,
};
use tokio::sync::Semaphore;

use crate::file_host::FileHost;
use crate::place::{Device, Place, heard, id, in_time};

/// A plug-in that marks what passes through it.
struct Marker {
    name: &'static str,
    made: mpsc::Sender<String>,
    fails: AtomicBool,
    /// The number of messages that it lets through, where it holds them back.
    gate: Option<Semaphore>,
}

impl Marker {
    fn new(name: &'static str, gate: Option<Semaphore>) -> (Arc<Self>, mpsc::Receiver<String>) {
        let (made, told) = mpsc::channel();
        let marker = Self {
            name,
            made,
            fails: AtomicBool::new(false),
            gate,
        };
        (Arc::new(marker), told)
    }

    fn is_well(&self, what: &str) -> Result<(), SampanError> {
        self.made.send(format!("{} {what}", self.name)).unwrap();
        if self.fails.load(Ordering::Relaxed) {
            let reason = "out of ink".to_owned();
            return Err(SampanError::Callback { reason });
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl EnginePlugin for Marker {
    fn name(&self) -> String {
        let thread = std::thread::current();
        assert_ne!(
            thread.name(),
            Some("sampan-engine"),
            "it is code of the app"
        );
        self.name.to_owned()
    }

    fn engine_created(&self, _engine: Arc<Engine>) -> Result<(), SampanError> {
        self.is_well("engine")
    }

    fn client_created(&self, client: Arc<Client>) -> Result<(), SampanError> {
        self.is_well(client.client_id().as_str())
    }

    fn conversation_created(&self, _conversation: Arc<Conversation>) -> Result<(), SampanError> {
        self.is_well("conversation")?;
        assert!(self.name != "panics", "the plug-in is broken");
        Ok(())
    }

    async fn before_parse(&self, payload: Json) -> Result<Json, SampanError> {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.fails.load(Ordering::Relaxed) {
            let reason = "out of ink".to_owned();
            return Err(SampanError::Callback { reason });
        }
        let marked = payload
            .as_str()
            .replace("tea", &format!("tea {}", self.name));
        Json::parse(&marked).map_err(|_| SampanError::Callback {
            reason: "no JSON".to_owned(),
        })
    }

    async fn after_parse(&self, message: ParsedMessage) -> Result<MessageContent, SampanError> {
        let from = message.sender.map(|it| it.to_string()).unwrap_or_default();
        Ok(match message.content {
            MessageContent::Text { text, details } => MessageContent::Text {
                text: format!("{text} <{} {from}>", self.name),
                details,
            },
            other => other,
        })
    }
}

async fn plugged(place: &Place, name: &str, plugins: Vec<Arc<dyn EnginePlugin>>) -> Device {
    let engine = Engine::open_with_plugins(place.config(name), plugins).unwrap();
    let client = engine.client(id("ann"), ClientOptions::default()).await;
    let client = client.unwrap();
    Device { engine, client }
}

/// S321–S324: plug-ins are told of engine, client and conversations; messages of others pass through the plug-ins in
/// order, before and after they are parsed, live, from history and as the last message, and are stored as they left.
#[tokio::test]
async fn plug_ins_are_told_of_what_is_made_and_change_what_others_say_in_order() {
    let place = Place::new().await;
    let (first, told) = Marker::new("one", None);
    let (second, _also_told) = Marker::new("two", None);
    let ann = plugged(&place, "phone", vec![first, second]).await;
    assert_eq!(heard(&told, "the engine").unwrap(), "one engine");
    assert_eq!(heard(&told, "the client").unwrap(), "one ann");
    let ben = place.online("laptop", "ben").await;
    let talk = ben.talk_to("ann").await;
    talk.send_text("black tea".into(), None).await.unwrap();
    ben.has_sent_everything().await;
    let cid = ben.service_id(&talk).await;
    // Missed messages come by history and as the newest of an unread count.
    ann.go_online().await;
    let words = "ben: black tea two one <one ben> <two ben>";
    ann.sees(&cid, &[words]).await;
    assert_eq!(heard(&told, "a conversation").unwrap(), "one conversation");
    talk.send_text("green tea".into(), None).await.unwrap();
    let live = "ben: green tea two one <one ben> <two ben>";
    ann.sees(&cid, &[words, live]).await;
    // Plain content, which is not JSON, is not shown before parsing; this client's own messages pass the plug-ins by.
    let plain = MessageContent::Plain {
        text: "plain tea".into(),
    };
    talk.send(NewMessage::new(plain)).await.unwrap();
    ben.has_sent_everything().await;
    let anns = ann.handle(&cid);
    anns.send_text("my tea".into(), None).await.unwrap();
    ann.has_sent_everything().await;
    ann.sees(&cid, &[words, live, "ben: plain tea", "ann: my tea"])
        .await;
    ben.sees(
        &cid,
        &[
            "ben: black tea",
            "ben: green tea",
            "ben: plain tea",
            "ann: my tea",
        ],
    )
    .await;
    // An edit passes too.
    let newest = ben.messages(&cid).await;
    let key = sampan::model::MessageKey::local(newest[1].local_id.clone().unwrap());
    talk.edit(key, MessageContent::text("white tea"))
        .await
        .unwrap();
    ann.until("the edit", || async {
        let lines = ann.lines(&cid).await.ok()?;
        let edited = "ben: white tea two one <one ben> <two ben>".to_owned();
        lines.contains(&edited).then_some(())
    })
    .await;
}

/// The lines of the log.
#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn log(&self, records: Vec<LogRecord>, _dropped: Count) -> Result<(), SampanError> {
        let lines = records.into_iter().map(|record| record.text);
        self.0.lock().unwrap().extend(lines);
        Ok(())
    }
}

/// S320: a plug-in that fails is named in the log, and its message goes on; a plug-in that takes its time holds back
/// the messages behind and not the engine.
#[tokio::test]
async fn a_plug_in_that_fails_is_named_and_one_that_is_slow_does_not_hold_the_engine() {
    let lines = Arc::new(Lines::default());
    set_log_sink(Arc::clone(&lines) as Arc<dyn LogSink>, LogLevel::Warn).unwrap();
    let place = Place::new().await;
    let (broken, _told) = Marker::new("panics", Some(Semaphore::new(0)));
    let ann = plugged(
        &place,
        "phone",
        vec![Arc::clone(&broken) as Arc<dyn EnginePlugin>],
    )
    .await;
    ann.go_online().await;
    let ben = place.online("laptop", "ben").await;
    let talk = ben.talk_to("ann").await;
    talk.send_text("tea".into(), None).await.unwrap();
    ben.has_sent_everything().await;
    let cid = ben.service_id(&talk).await;
    // The message is held back; calls that need no answer of the service go on.
    let own = ann.talk_to("cat").await;
    own.send_text("while it waits".into(), None).await.unwrap();
    assert_eq!(ann.client.outbox().await.unwrap().len(), 2);
    let gate = broken.gate.as_ref().unwrap();
    gate.add_permits(1);
    broken.fails.store(true, Ordering::Relaxed);
    gate.add_permits(100);
    ann.sees(&cid, &["ben: tea <panics ben>"]).await;
    ann.until("the name in the log", || async {
        let lines = lines.0.lock().unwrap();
        let parsing = "the plug-in panics failed before parsing";
        lines.iter().any(|it| it.contains(parsing)).then_some(())
    })
    .await;
    let failed = |what: &str| lines.0.lock().unwrap().iter().any(|it| it.contains(what));
    assert!(failed("the plug-in panics failed for a conversation"));
}

/// S341: text is escaped for a web page on request, and by default is not.
#[tokio::test]
async fn text_is_escaped_for_html_on_request_and_passed_on_as_it_is() {
    let place = Place::new().await;
    let ann = place.online("phone", "ann").await;
    let ben = place.online("laptop", "ben").await;
    let talk = ann.talk_to("ben").await;
    let script = r#"<script>alert("x & 'y'")</script>"#;
    talk.send_text(script.into(), None).await.unwrap();
    let cid = ann.service_id(&talk).await;
    ben.sees(&cid, &[&format!("ann: {script}")]).await;
    assert_eq!(
        escape_html(script.to_owned()),
        "&lt;script&gt;alert(&quot;x &amp; &#39;y&#39;&quot;)&lt;/script&gt;"
    );
}

/// Files pass plug-ins by: an engine that has some downloads as any other.
#[tokio::test]
async fn an_engine_with_plug_ins_downloads_files() {
    let place = Place::new().await;
    let host = FileHost::start().await;
    let (marker, _told) = Marker::new("one", None);
    let ann = plugged(&place, "phone", vec![marker]).await;
    let url = host.put("cat", b"meow");
    let download = ann.client.download(MediaFile::at(url)).unwrap();
    let path = in_time("the file", download.file()).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"meow");
}
