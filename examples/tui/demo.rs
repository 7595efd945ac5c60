//! The world of `--demo`: a service in this process with real history, and companions that chat.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sampan::model::{AppId, ClientId, ConversationId};
use sampan::{Client, ClientOptions, Config, Engine, Limits, ServerAddress};
use sampan_service::{RunningService, Service, ServiceOptions};

use crate::support::history::{self, Recorded, Stage};
use crate::support::raw::RawConnection;
use crate::support::{self, Outcome, show};

const APP: &str = "tui";
const KEY: &str = "tui-key";

/// The participant whose screen this is; everybody in the history talked to them.
const ME: &str = "43aeb2a3-6086-4d97-ae04-a47553aa179a";

/// So long a companion waits before it says the next thing.
const PAUSE: Duration = Duration::from_secs(7);

/// The service, and the companions that chat there.
pub(crate) struct Demo {
    service: RunningService,
    folder: tempfile::TempDir,
    conversations: Vec<(ConversationId, Recorded)>,
}

impl Demo {
    /// Starts a service and plays the recorded history into it, but for the messages that the companions will say.
    pub(crate) async fn start() -> Outcome<Self> {
        let app = format!("{APP}:{KEY}:tui-master-key").parse()?;
        let service = Service::start(ServiceOptions::in_memory(app)).await?;
        let recorded = history::read(&fixture(), usize::MAX)?;
        let mut begun = recorded.clone();
        for conversation in &mut begun {
            let kept = conversation.messages.len().saturating_sub(20).max(1);
            conversation.messages.truncate(kept);
        }
        let url = support::socket_url(&service, APP).await?;
        let stage = Stage::set(&url, &AppId::new(APP)?, &begun).await?;
        let ids = stage.play(&begun, &AtomicU64::new(0)).await?;
        let rest = recorded.into_iter().zip(begun).map(|(mut whole, begun)| {
            whole.messages.drain(..begun.messages.len());
            whole
        });
        Ok(Self {
            service,
            folder: tempfile::tempdir()?,
            conversations: ids.into_iter().zip(rest).collect(),
        })
    }

    /// The engine and the client whose screen this is.
    pub(crate) async fn client(&self) -> Outcome<(Arc<Engine>, Arc<Client>)> {
        let server = ServerAddress::Router {
            url: format!("http://{}", self.service.addr()),
        };
        let store = self.folder.path().join("phone");
        let mut config = Config::new(AppId::new(APP)?, KEY, server, &store);
        config.limits = Limits::unthrottled();
        let engine = Engine::open(config)?;
        let client = engine.client(ClientId::new(ME)?, ClientOptions::default());
        let client = client.await?;
        Ok((engine, client))
    }

    /// Lets the companions say the rest of what was recorded, one message at a time, for as long as the
    /// program runs.
    pub(crate) async fn chat(&self) -> Outcome<()> {
        let url = support::socket_url(&self.service, APP).await?;
        let me = ClientId::new(ME)?;
        for (turn, (id, recorded)) in self.conversations.iter().enumerate() {
            let members = recorded.clients()?;
            let Some(companion) = members.iter().find(|member| **member != me) else {
                continue;
            };
            let raw = RawConnection::open(&url, AppId::new(APP)?).await?;
            raw.sign_in(companion).await?;
            let texts = recorded.messages.iter().map(|(_, _, text)| text.clone());
            let talk = Companion {
                raw,
                who: companion.clone(),
                conversation: id.clone(),
                texts: texts.collect(),
            };
            let delay = PAUSE.mul_f64(0.3 * f64::from(u8::try_from(turn)?));
            tokio::spawn(talk.chat(delay));
        }
        Ok(())
    }

    /// Ends the service.
    pub(crate) async fn stop(self) {
        self.service.stop().await;
    }
}

/// Somebody who talks to the user.
struct Companion {
    raw: RawConnection,
    who: ClientId,
    conversation: ConversationId,
    texts: Vec<String>,
}

impl Companion {
    async fn chat(self, delay: Duration) {
        tokio::time::sleep(delay).await;
        for text in &self.texts {
            if self
                .raw
                .say(&self.who, &self.conversation, text)
                .await
                .is_err()
            {
                // The service is gone, and with it the program.
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The made-up name of a participant.
pub(crate) fn name(client: &ClientId) -> String {
    show::name(client)
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chitchat/excerpt.jsonl")
}
