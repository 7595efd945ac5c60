//! One WebSocket connection: frames in, frames out, heartbeats, and when to give up.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt as _;
use sampan::wire::generated::ErrorCommand;
use sampan::wire::{
    CloseCode, Command, Direction, Encoding, Envelope, Frame, Op, Subprotocol, WireError,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::fanout::{LocalFanOut, Outgoing, Queue};
use crate::core::{ConnectionId, Gap, Input};

/// A message above this ends the connection; one above the protocol's 5 KiB is refused.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Buffers of a connection. Small ones keep idle connections cheap; longer frames make them grow
/// for as long as they are read or written.
pub(super) const BUFFER_BYTES: usize = 4 * 1024;

/// A connection on which nobody logs in is closed after this.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(120);

/// A connection from which nothing comes is closed after this: every SDK sends something at least
/// each 180 s, and gives up on a silent service after 380 s at the latest.
const READ_TIMEOUT: Duration = Duration::from_secs(400);

/// A client that does not take one write in this time is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long something waits that must not arrive together with what was sent before.
const MOMENT: Duration = Duration::from_millis(15);

/// Frames that cannot be read before a connection is closed.
const JUNK_MAX: u32 = 16;

/// Commands that share one write, when so many wait.
const WRITES_AT_ONCE: usize = 64;

/// Why a connection ends.
enum End {
    /// The other side is gone, or there is nothing to say.
    Silently,
    /// With a close frame.
    With(CloseCode),
}

/// Serves a connection until it ends, and tells the core of both ends of its life.
pub(super) async fn serve(
    mut socket: WebSocket,
    connection: ConnectionId,
    subprotocol: Subprotocol,
    mailbox: mpsc::Sender<Input>,
    outlets: Arc<LocalFanOut>,
) {
    let queue = outlets.open(connection);
    let connected = Input::Connected {
        connection,
        mode: subprotocol.offline_mode,
    };
    if mailbox.send(connected).await.is_ok() {
        let mut link = Link {
            connection,
            subprotocol,
            mailbox: mailbox.clone(),
            junk: 0,
        };
        let end = link.run(&mut socket, queue).await;
        outlets.close(connection);
        // The service may be stopping: then nobody needs to know.
        let _ = mailbox.send(Input::Lost { connection }).await;
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
            let _ = timeout(WRITE_TIMEOUT, close).await;
        }
    }
    outlets.close(connection);
}

struct Link {
    connection: ConnectionId,
    subprotocol: Subprotocol,
    mailbox: mpsc::Sender<Input>,
    junk: u32,
}

impl Link {
    async fn run(&mut self, socket: &mut WebSocket, mut queue: Queue) -> End {
        let mut logged_in = false;
        let mut patience = LOGIN_TIMEOUT;
        let mut deadline = Instant::now() + patience;
        loop {
            tokio::select! {
                next = queue.next() => match next {
                    None => return End::With(CloseCode::NORMAL),
                    Some(next) => {
                        if let Err(end) = self.write(socket, &mut queue, next).await {
                            return end;
                        }
                    }
                },
                message = socket.recv() => {
                    let Some(message) = message else { return End::Silently };
                    match self.read(socket, message).await {
                        Err(end) => return end,
                        Ok(Heard::Login) if !logged_in => {
                            logged_in = true;
                            patience = READ_TIMEOUT;
                        }
                        Ok(_) => {}
                    }
                    if logged_in {
                        deadline = Instant::now() + patience;
                    }
                }
                () = sleep_until(deadline) => {
                    return End::With(match logged_in {
                        true => CloseCode::READ_TIMEOUT,
                        false => CloseCode::LOGIN_TIMEOUT,
                    });
                }
            }
        }
    }

    /// Handles one message of the client. Pings are answered by the WebSocket itself.
    async fn read(
        &mut self,
        socket: &mut WebSocket,
        message: Result<Message, axum::Error>,
    ) -> Result<Heard, End> {
        let message = message.map_err(|error| End::With(broken(&error)))?;
        let frame = match &message {
            Message::Binary(bytes) => Frame::Binary(Cow::Borrowed(bytes)),
            Message::Text(text) => Frame::Text(Cow::Borrowed(text.as_str())),
            Message::Ping(_) | Message::Pong(_) => return Ok(Heard::Something),
            Message::Close(_) => return Err(End::Silently),
        };
        match frame.decode(self.subprotocol.encoding, Direction::ToService) {
            Ok(envelope) => {
                let heard = match &envelope.command {
                    Command::Session { op: Op::Open, .. } | Command::Login(_) => Heard::Login,
                    _ => Heard::Something,
                };
                let (connection, envelope) = (self.connection, Box::new(envelope));
                let input = Input::Received {
                    connection,
                    envelope,
                };
                self.mailbox
                    .send(input)
                    .await
                    .map_err(|_| End::With(CloseCode::NORMAL))?;
                Ok(heard)
            }
            Err(error) => self.refuse(socket, &frame, &error).await,
        }
    }

    /// Answers a frame that cannot be read; too many of them end the connection.
    async fn refuse(
        &mut self,
        socket: &mut WebSocket,
        frame: &Frame<'_>,
        error: &WireError,
    ) -> Result<Heard, End> {
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
        self.send(socket, message).await?;
        Ok(Heard::Something)
    }

    /// Writes what waits, as few writes as may be.
    async fn write(
        &self,
        socket: &mut WebSocket,
        queue: &mut Queue,
        first: Outgoing,
    ) -> Result<(), End> {
        let mut next = Some(first);
        let mut written = 0;
        while let Some(outgoing) = next {
            match outgoing {
                Outgoing::Close(code) => return Err(End::With(code)),
                Outgoing::Write { bytes, gap } => {
                    if gap == Gap::Moment {
                        flush(socket).await?;
                        sleep(MOMENT).await;
                    }
                    let feed = timeout(WRITE_TIMEOUT, socket.feed(self.message(bytes)));
                    taken(feed.await)?;
                    written += 1;
                }
            }
            next = if written < WRITES_AT_ONCE {
                queue.next_waiting()
            } else {
                None
            };
        }
        flush(socket).await
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

/// What a message of a client was.
enum Heard {
    /// Somebody signs in.
    Login,
    /// Anything else.
    Something,
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
    // The cause is hidden behind a box; its text is what is left of it.
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
