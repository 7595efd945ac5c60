//! Plug-ins between the socket and the loop: other clients' messages pass through the app's hooks before the
//! engine reads them.
//!
//! ```text
//!   socket ──▶ [`pump`]: frame by frame, in order ──▶ the loop
//!                 │  each payload of another's message
//!                 ▼
//!     before parsing ──▶ parse ──▶ after parsing        of the first plug-in, then of the next
//! ```
//!
//! Hooks run on caller threads, one at a time for a connection. When a hook fails, panics, or takes longer than
//! [`PATIENCE`], the log names its plug-in and its input goes on unchanged. A plug-in is skipped until its slow
//! hook ends, so a hook that never ends keeps one caller thread and delays one message. The loop does not wait;
//! frames behind a slow hook come later.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::callers::Callers;
use crate::model::{Json, MessageContent, ParsedMessage};
use crate::net::{
    Connection, Frame, HttpAnswer, HttpRequest, INCOMING_FRAMES_MAX, Incoming, NetError, NetFuture,
    Response, SocketTarget, Transport,
};
use crate::wire::payloads::{self, Carried};
use crate::wire::subprotocol::Encoding;
use crate::wire::{Direction, Payload, content};

/// How long one hook may take with one message.
const PATIENCE: Duration = Duration::from_secs(5);

/// The hooks of a plug-in that messages pass through. A failure is a text.
pub(crate) trait MessageHooks: Send + Sync {
    /// The plug-in's name.
    fn name(&self) -> &str;

    /// Before a message is parsed: its raw JSON.
    fn before_parse(&self, payload: Json) -> BoxFuture<'static, Result<Json, String>>;

    /// After a message was parsed.
    fn after_parse(
        &self,
        message: ParsedMessage,
    ) -> BoxFuture<'static, Result<MessageContent, String>>;
}

/// The plug-ins of an engine, in their order.
pub(crate) type Plugins = Vec<Arc<dyn MessageHooks>>;

/// The transport with the plug-ins between it and the engine; the transport itself where there are none.
pub(super) fn plugged(
    transport: Arc<dyn Transport>,
    plugins: Plugins,
    callers: &Callers,
) -> Arc<dyn Transport> {
    if plugins.is_empty() {
        return transport;
    }
    let callers = callers.clone();
    Arc::new(PluggedTransport {
        inner: transport,
        hooks: Hooks {
            plugins: plugins.into_iter().map(Plugin::new).collect(),
            callers,
        },
    })
}

/// A transport whose frames pass through plug-ins.
struct PluggedTransport {
    inner: Arc<dyn Transport>,
    hooks: Hooks,
}

/// The plug-ins, and the threads that they run on.
#[derive(Clone)]
struct Hooks {
    plugins: Arc<[Plugin]>,
    callers: Callers,
}

/// A plug-in, and whether a hook of it is overdue.
struct Plugin {
    hooks: Arc<dyn MessageHooks>,
    /// Alive while a hook that took too long still runs.
    overdue: Mutex<Weak<()>>,
}

impl Plugin {
    fn new(hooks: Arc<dyn MessageHooks>) -> Self {
        Self {
            hooks,
            overdue: Mutex::default(),
        }
    }

    /// The code under this lock moves a value and runs no code of the app.
    fn overdue(&self) -> MutexGuard<'_, Weak<()>> {
        self.overdue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for PluggedTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PluggedTransport({} plug-ins)", self.hooks.plugins.len())
    }
}

impl Transport for PluggedTransport {
    fn connect(&self, target: SocketTarget) -> NetFuture<Connection> {
        let (connecting, hooks) = (self.inner.connect(target), self.hooks.clone());
        Box::pin(async move {
            let Connection {
                outgoing,
                incoming,
                subprotocol,
            } = connecting.await?;
            let (forward, passed) = mpsc::channel(INCOMING_FRAMES_MAX);
            tokio::spawn(pump(incoming, forward, hooks));
            Ok::<_, NetError>(Connection {
                outgoing,
                incoming: passed,
                subprotocol,
            })
        })
    }

    fn get(&self, url: String, patience: Duration) -> NetFuture<Response> {
        self.inner.get(url, patience)
    }

    fn exchange(&self, request: HttpRequest) -> NetFuture<HttpAnswer> {
        self.inner.exchange(request)
    }
}

/// Passes frames on, in order, until one end is gone.
async fn pump(
    mut incoming: mpsc::Receiver<Incoming>,
    forward: mpsc::Sender<Incoming>,
    hooks: Hooks,
) {
    while let Some(came) = incoming.recv().await {
        let passed = match came {
            Incoming::Frame(frame) => Incoming::Frame(hooks.pass(frame).await),
            closed @ Incoming::Closed(_) => closed,
        };
        if forward.send(passed).await.is_err() {
            break;
        }
    }
    // The side that closed the connection waits until this queue ends.
    while incoming.recv().await.is_some() {}
}

impl Hooks {
    /// The frame, with the plug-ins' changes of the messages in it. A frame without messages of others, and one
    /// that cannot be read, stays as it is.
    async fn pass(&self, frame: Frame) -> Frame {
        let encoding = match &frame {
            Frame::Binary(_) => Encoding::Binary,
            Frame::Text(_) => Encoding::Text,
        };
        let Ok(mut envelope) = frame.decode(encoding, Direction::ToClient) else {
            return frame;
        };
        let carried = payloads::carried(&envelope.command);
        let is_other = |it: &Carried| {
            let sender = it.sender.as_ref().map(|sender| sender.as_str());
            sender.is_none() || sender != envelope.peer_id.as_deref()
        };
        if !carried.iter().any(is_other) {
            return frame;
        }
        let before: Vec<Payload> = carried.iter().map(|it| it.payload.clone()).collect();
        let mut after = Vec::with_capacity(carried.len());
        for message in carried {
            let is_other = is_other(&message);
            after.push(match is_other {
                true => self.pass_message(message).await,
                false => message.payload,
            });
        }
        if after == before {
            return frame;
        }
        payloads::put(&mut envelope.command, after);
        match Frame::encode(&envelope, encoding, Direction::ToClient) {
            Ok(frame) => frame,
            Err(error) => {
                log::warn!("what plug-ins made of a message does not fit: {error}");
                frame
            }
        }
    }

    async fn pass_message(&self, message: Carried) -> Payload {
        let Carried {
            mut payload,
            conversation,
            sender,
        } = message;
        for plugin in self.plugins.iter() {
            let json = match &payload {
                Payload::Text(text) => Json::parse(text).ok(),
                Payload::Binary(_) => None,
            };
            if let Some(json) = json {
                let hook = plugin.hooks.before_parse(json.clone());
                match self.run(plugin, "before parsing", hook).await {
                    Some(changed) if changed != json => {
                        payload = Payload::Text(changed.as_str().to_owned());
                    }
                    _ => {}
                }
            }
            let said = content::decode(payload.clone());
            let message = ParsedMessage {
                conversation: conversation.clone(),
                sender: sender.clone(),
                content: said.clone(),
            };
            let hook = plugin.hooks.after_parse(message);
            match self.run(plugin, "after parsing", hook).await {
                Some(changed) if changed != said => payload = content::encode(&changed),
                _ => {}
            }
        }
        payload
    }

    /// Runs a hook on a caller thread. Gives none if the hook fails or an earlier hook of the plug-in is overdue.
    async fn run<T: Send + 'static>(
        &self,
        plugin: &Plugin,
        when: &str,
        hook: BoxFuture<'static, Result<T, String>>,
    ) -> Option<T> {
        if plugin.overdue().strong_count() > 0 {
            return None;
        }
        let runs = Arc::new(());
        let overdue = Arc::downgrade(&runs);
        let (done, answer) = oneshot::channel();
        let work = async move {
            let outcome = AssertUnwindSafe(hook).catch_unwind().await;
            drop(runs);
            // The pump no longer waits for a hook that was too slow.
            let _ = done.send(outcome.unwrap_or_else(|_| Err("it panicked".to_owned())));
        };
        self.callers.spawn(&Handle::current(), Box::pin(work));
        let outcome = match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err("it gave no answer".to_owned())),
            Err(_) => {
                *plugin.overdue() = overdue;
                Err("it takes too long, and is passed over until it ends".to_owned())
            }
        };
        match outcome {
            Ok(value) => Some(value),
            Err(reason) => {
                let name = plugin.hooks.name();
                log::warn!("the plug-in {name} failed {when}: {reason}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;
    use tokio::time::Instant;

    use super::*;

    /// Hooks that write "cup" for "tea", each with leave.
    struct Cups(Arc<Semaphore>);

    impl MessageHooks for Cups {
        fn name(&self) -> &str {
            "cups"
        }

        fn before_parse(&self, payload: Json) -> BoxFuture<'static, Result<Json, String>> {
            let leave = Arc::clone(&self.0);
            Box::pin(async move {
                leave.acquire().await.unwrap().forget();
                Ok(Json::parse(payload.as_str().replace("tea", "cup")).unwrap())
            })
        }

        fn after_parse(
            &self,
            message: ParsedMessage,
        ) -> BoxFuture<'static, Result<MessageContent, String>> {
            Box::pin(async move { Ok(message.content) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_plug_in_whose_hook_does_not_end_is_passed_over_until_it_does() {
        let leave = Arc::new(Semaphore::new(0));
        let hooks = Hooks {
            plugins: [Plugin::new(Arc::new(Cups(Arc::clone(&leave))))].into(),
            callers: Callers::inline(),
        };
        let tea = || Payload::Text(r#""tea""#.to_owned());
        let passed = || async {
            let (began, payload) = (Instant::now(), tea());
            let message = Carried {
                payload,
                conversation: None,
                sender: None,
            };
            let payload = hooks.pass_message(message).await;
            (payload, began.elapsed())
        };
        let (first, pause) = passed().await;
        assert!(first == tea() && pause >= PATIENCE && pause < 2 * PATIENCE);
        for _ in 0..3 {
            assert_eq!(passed().await, (tea(), Duration::ZERO));
        }
        leave.add_permits(2);
        tokio::task::yield_now().await;
        let cup = Payload::Text(r#""cup""#.to_owned());
        assert_eq!(passed().await, (cup, Duration::ZERO));
    }
}
