//! One WebSocket connection: frames in, frames out, heartbeats, and the times of giving up.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt as _;
use sampan::wire::generated::ErrorCommand;
use sampan::wire::{
    CloseCode, Command, Direction, Encoding, Envelope, Frame, Subprotocol, WireError,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use super::actor::{Letter, Waits};
use super::fanout::{LocalFanOut, Outgoing, Queue};
use super::metrics::{Levels, Metrics};
use super::turns::Lane;
use crate::core::{ConnectionId, Gap, Input};

/// A message above this ends the connection; one above the protocol's 5 KiB is refused.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Memory set aside for reading on a connection, also while it is idle: a message of some hundred characters;
/// longer frames make it grow.
pub(super) const READ_BUFFER_BYTES: usize = 512;

/// Bytes written at once. Nothing is set aside for them while a connection is idle.
pub(super) const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// A connection on which nobody logs in is closed after this.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(120);

/// A connection from which nothing comes is closed after this: every SDK sends something at least
/// each 180 s, and gives up on a silent service after 380 s at the latest.
const READ_TIMEOUT: Duration = Duration::from_secs(400);

/// A client that does not take one write in this time is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A close frame that is not taken in this time is not waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a command waits that must not arrive together with the one before.
const MOMENT: Duration = Duration::from_millis(15);

/// Frames that cannot be read before a connection is closed.
const JUNK_MAX: u32 = 16;

/// Commands that share one write, when so many wait.
const WRITES_AT_ONCE: usize = 64;

/// Bytes of commands that share one write; one command may be longer.
const WRITE_BYTES_AT_ONCE: usize = 64 * 1024;

/// Bytes that a connection's WebSocket may keep before its socket takes them: the longest answer as
/// text, and the pongs of the pings that are let pass.
pub(super) const WRITE_BUFFER_BYTES_MAX: usize = 12 * 1024 * 1024;

/// Inputs of one connection that wait for the core before the connection is not read any more.
const INPUTS_WAITING: u32 = 32;

/// Bytes of inputs of all connections that wait for the core; above them each connection may have
/// one input waiting.
const INPUT_BYTES_WAITING: usize = 16 * 1024 * 1024;

/// Pings and pongs that may come in one [`CONTROL_WINDOW`]. Every SDK sends one in 30 s at most.
const CONTROL_FRAMES_MAX: u32 = 100;

/// The span over which pings and pongs are counted.
const CONTROL_WINDOW: Duration = Duration::from_secs(10);

/// The reason why a connection ends.
enum End {
    /// The other side is gone, or there is nothing to say.
    Silently,
    /// With a close frame.
    With(CloseCode),
}

/// The state that all connections share.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) mailbox: mpsc::Sender<Letter>,
    pub(super) outlets: Arc<LocalFanOut>,
    pub(super) metrics: Arc<Metrics>,
    /// Bytes of inputs that wait for the core.
    pub(super) waiting: Arc<AtomicUsize>,
}

impl Reach {
    /// All numbers as text.
    pub(super) fn numbers(&self) -> String {
        self.metrics.text(self.levels())
    }

    /// The bytes that wait, and the numbers of commands handed on so far.
    pub(super) fn levels(&self) -> Levels {
        Levels {
            input_bytes_waiting: self.waiting.load(Ordering::Relaxed),
            ..self.outlets.levels()
        }
    }
}

/// Serves a connection until it ends, and tells the core of both ends of its life.
pub(super) async fn serve(
    mut socket: WebSocket,
    (connection, address): (ConnectionId, IpAddr),
    (subprotocol, origin): (Subprotocol, Option<String>),
    reach: Reach,
) {
    let outlets = Arc::clone(&reach.outlets);
    let standing = Standing::new(connection, address, &reach.metrics);
    let queue = outlets.open(connection);
    let mut link = Link {
        connection,
        subprotocol,
        reach,
        inputs: Arc::new(Semaphore::new(INPUTS_WAITING as usize)),
        junk: 0,
        controls: (Instant::now(), 0),
    };
    let mode = subprotocol.offline_mode;
    if link.tell(Input::Connected { connection, mode }, None).await && link.came_from(origin).await
    {
        let end = link.run(&mut socket, queue).await;
        outlets.close(connection);
        // The service may be stopping: then nobody needs to know.
        link.tell(Input::Lost { connection }, None).await;
        standing.ends(&end);
        if let End::With(code) = end {
            let frame = CloseFrame {
                code: code.0,
                reason: close_reason(code).into(),
            };
            let close = async {
                socket.send(Message::Close(Some(frame))).await?;
                socket.close().await
            };
            // A client that is gone cannot be told; it finds out by itself.
            let _ = Box::pin(timeout(CLOSE_TIMEOUT, close)).await;
        }
    }
    outlets.close(connection);
}

/// A connection that is counted for as long as it stands.
struct Standing {
    connection: ConnectionId,
    metrics: Arc<Metrics>,
    reason: Cow<'static, str>,
}

impl Standing {
    fn new(connection: ConnectionId, address: IpAddr, metrics: &Arc<Metrics>) -> Self {
        metrics.connections.inc();
        metrics.connections_opened.inc();
        debug!(connection = connection.0, %address, "connection opened");
        Self {
            connection,
            metrics: Arc::clone(metrics),
            reason: Cow::Borrowed("gone"),
        }
    }

    fn ends(mut self, end: &End) {
        if let End::With(code) = end {
            self.reason = Cow::Owned(code.0.to_string());
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let reason = std::mem::take(&mut self.reason);
        debug!(
            connection = self.connection.0,
            reason = reason.as_ref(),
            "connection ended"
        );
        self.metrics.closed(reason);
    }
}

struct Link {
    connection: ConnectionId,
    subprotocol: Subprotocol,
    reach: Reach,
    /// One permit for each input that may wait for the core.
    inputs: Arc<Semaphore>,
    junk: u32,
    /// Pings and pongs since when, and how many.
    controls: (Instant, u32),
}

/// The silence of a client so far, and its limit.
struct Silence {
    since: Instant,
    logged_in: bool,
}

impl Silence {
    fn end(&self) -> Instant {
        let patience = match self.logged_in {
            true => READ_TIMEOUT,
            false => LOGIN_TIMEOUT,
        };
        self.since + patience
    }

    /// Handles the end of a sign-in's time: unless a client has signed in meanwhile, the connection is closed.
    fn over(&mut self, queue: &Queue) -> Result<(), End> {
        match self.logged_in {
            true => Err(End::With(CloseCode::READ_TIMEOUT)),
            false if queue.is_welcome() => {
                self.logged_in = true;
                Ok(())
            }
            false => Err(End::With(CloseCode::LOGIN_TIMEOUT)),
        }
    }

    fn broken(&mut self, queue: &Queue) {
        self.logged_in = self.logged_in || queue.is_welcome();
        if self.logged_in {
            self.since = Instant::now();
        }
    }
}

impl Link {
    async fn run(&mut self, socket: &mut WebSocket, mut queue: Queue) -> End {
        let mut silence = Silence {
            since: Instant::now(),
            logged_in: false,
        };
        let mut permit = None;
        // Reading and writing lie in boxes: an idle connection sets nothing aside for their steps.
        loop {
            let may_read = permit.is_some() && !queue.is_held();
            let done = tokio::select! {
                next = queue.next() => match next {
                    None => Err(self.cut_off()),
                    Some(next) => Box::pin(self.write(socket, &mut queue, next)).await,
                },
                granted = permit_of(&self.inputs, &self.reach.waiting), if permit.is_none() => {
                    permit = granted;
                    Ok(())
                }
                message = socket.recv(), if may_read => {
                    silence.broken(&queue);
                    match message {
                        None => Err(End::Silently),
                        Some(message) => Box::pin(self.read(socket, message, &mut permit)).await,
                    }
                }
                () = sleep_until(silence.end()) => silence.over(&queue),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// The queue has gone: the service stops, or the client read too slowly.
    fn cut_off(&self) -> End {
        match self.reach.outlets.is_stopping() {
            true => End::With(CloseCode::NORMAL),
            false => End::Silently,
        }
    }

    /// Tells the core of which web origin the connection is, where a browser named one; answers whether there is a
    /// core.
    async fn came_from(&self, origin: Option<String>) -> bool {
        let connection = self.connection;
        match origin {
            Some(origin) => {
                self.tell(Input::CameFrom { connection, origin }, None)
                    .await
            }
            None => true,
        }
    }

    /// Puts an input into the core's mailbox; answers whether there is a core.
    async fn tell(&self, input: Input, waits: Option<Waits>) -> bool {
        let lane = Lane::Connection(self.connection);
        let letter = Letter::Input {
            input,
            lane,
            waits,
            came_at: Instant::now(),
        };
        self.reach.mailbox.send(letter).await.is_ok()
    }

    /// Handles one message of the client. Pings are answered by the WebSocket itself.
    async fn read(
        &mut self,
        socket: &mut WebSocket,
        message: Result<Message, axum::Error>,
        permit: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<(), End> {
        let message = message.map_err(|error| End::With(broken(&error)))?;
        let frame = match &message {
            Message::Binary(bytes) => Frame::Binary(Cow::Borrowed(bytes)),
            Message::Text(text) => Frame::Text(Cow::Borrowed(text.as_str())),
            Message::Ping(_) | Message::Pong(_) => return self.count_control(),
            Message::Close(_) => return Err(End::Silently),
        };
        match frame.decode(self.subprotocol.encoding, Direction::ToService) {
            Ok(envelope) => {
                let (connection, envelope) = (self.connection, Box::new(envelope));
                let input = Input::Received {
                    connection,
                    envelope,
                };
                let length = match &message {
                    Message::Binary(bytes) => bytes.len(),
                    Message::Text(text) => text.len(),
                    _ => 0,
                };
                let waits = permit.take();
                let waits = waits.map(|permit| Waits::new(permit, length, &self.reach.waiting));
                match self.tell(input, waits).await {
                    true => Ok(()),
                    false => Err(End::With(CloseCode::NORMAL)),
                }
            }
            Err(error) => self.refuse(socket, &frame, &error).await,
        }
    }

    /// Each ping makes the service write a pong: many of them are no heartbeat.
    fn count_control(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let (since, count) = &mut self.controls;
        if now.duration_since(*since) > CONTROL_WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        match *count > CONTROL_FRAMES_MAX {
            true => Err(End::With(CloseCode::UNPARSEABLE)),
            false => Ok(()),
        }
    }

    /// Answers a frame that cannot be read; too many of them end the connection.
    async fn refuse(
        &mut self,
        socket: &mut WebSocket,
        frame: &Frame<'_>,
        error: &WireError,
    ) -> Result<(), End> {
        self.junk += 1;
        if self.junk > JUNK_MAX {
            return Err(End::With(CloseCode::UNPARSEABLE));
        }
        let code = error.code();
        let mut reply = Envelope::new(Command::Error(ErrorCommand {
            code: code.number(),
            reason: code.name().to_owned(),
            detail: Some(error.to_string()),
            ..ErrorCommand::default()
        }));
        reply.serial = error.serial().or_else(|| serial_of_long(frame, error));
        let message = self.message(reply.to_bytes());
        self.send(socket, message).await
    }

    /// Writes the waiting commands, in as few writes as may be.
    async fn write(
        &self,
        socket: &mut WebSocket,
        queue: &mut Queue,
        first: Outgoing,
    ) -> Result<(), End> {
        let (mut next, mut written, mut weight) = (Some(first), 0, 0);
        while let Some(outgoing) = next {
            weight += outgoing.weight();
            match outgoing {
                Outgoing::Close(code) => return Err(End::With(code)),
                Outgoing::Write { bytes, gap, .. } => {
                    if gap == Gap::Moment {
                        self.unless_cut_off(queue, flush(socket)).await?;
                        sleep(MOMENT).await;
                    }
                    let message = self.message(bytes);
                    let feed = async { taken(timeout(WRITE_TIMEOUT, socket.feed(message)).await) };
                    self.unless_cut_off(queue, feed).await?;
                    written += 1;
                }
            }
            let more = written < WRITES_AT_ONCE && weight < WRITE_BYTES_AT_ONCE;
            next = if more { queue.next_waiting() } else { None };
        }
        self.unless_cut_off(queue, flush(socket)).await?;
        queue.taken(weight);
        Ok(())
    }

    /// Waits for a write, or for the end of the connection.
    async fn unless_cut_off(
        &self,
        queue: &Queue,
        write: impl Future<Output = Result<(), End>>,
    ) -> Result<(), End> {
        tokio::select! {
            biased;
            written = write => written,
            () = queue.ended() => Err(self.cut_off()),
        }
    }

    async fn send(&self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        taken(timeout(WRITE_TIMEOUT, socket.send(message)).await)
    }

    fn message(&self, bytes: Vec<u8>) -> Message {
        match self.subprotocol.encoding {
            Encoding::Binary => Message::Binary(bytes.into()),
            Encoding::Text => Message::Text(STANDARD.encode(bytes).into()),
        }
    }
}

/// Waits until the connection may have one more input waiting. Where the inputs of all are many,
/// that is when none of its own waits any more.
async fn permit_of(inputs: &Arc<Semaphore>, waiting: &AtomicUsize) -> Option<OwnedSemaphorePermit> {
    if waiting.load(Ordering::Relaxed) < INPUT_BYTES_WAITING {
        return Arc::clone(inputs).acquire_owned().await.ok();
    }
    let all = Arc::clone(inputs).acquire_many_owned(INPUTS_WAITING).await;
    all.ok()?.split(1)
}

async fn flush(socket: &mut WebSocket) -> Result<(), End> {
    taken(timeout(WRITE_TIMEOUT, socket.flush()).await)
}

fn taken(result: Result<Result<(), axum::Error>, tokio::time::error::Elapsed>) -> Result<(), End> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Silently),
    }
}

/// The request number of a command that is too long, so that its sender learns which one failed.
fn serial_of_long(frame: &Frame<'_>, error: &WireError) -> Option<sampan::wire::Serial> {
    let WireError::TooLong { .. } = error else {
        return None;
    };
    match frame {
        Frame::Binary(bytes) => Envelope::from_bytes(bytes).ok()?.serial,
        Frame::Text(text) => {
            let bytes = STANDARD.decode(text.as_bytes()).ok()?;
            Envelope::from_bytes(&bytes).ok()?.serial
        }
    }
}

/// The close code for a connection whose frames broke the WebSocket protocol or its limits.
fn broken(error: &axum::Error) -> CloseCode {
    // The cause is hidden behind a box; only its text is left.
    if error.to_string().contains("too long") || error.to_string().contains("too large") {
        CloseCode::FRAME_TOO_LONG
    } else {
        CloseCode::UNPARSEABLE
    }
}

fn close_reason(code: CloseCode) -> &'static str {
    match code {
        CloseCode::NORMAL => "",
        code => code.service_code().name(),
    }
}
