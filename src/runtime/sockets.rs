//! Carries out the link's effects on the network, and brings the results back.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::board::EngineBoard;
use super::publish::Publisher;
use crate::model::{AppId, ConnectionFailure, Event};
use crate::net::{self, Closed, Connection, Incoming, NetError, Response, SocketTarget, Transport};
use crate::sync::link::{ConnectionNumber, LinkEffect, LinkInput, LookUpNumber};
use crate::wire::route::Route;
use crate::wire::{CloseCode, Frame};
use crate::{Limits, ServerAddress};

/// The status of an HTTP answer with the requested content.
const OK: u16 = 200;

/// How long a closed socket may take to say goodbye when somebody waits for that.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// The engine's sockets: at most one open, at most one being opened, some being closed.
pub(super) struct Sockets {
    transport: Arc<dyn Transport>,
    app_id: AppId,
    limits: Limits,
    tasks: JoinSet<FinishedSocketTask>,
    opening: Option<(ConnectionNumber, AbortHandle)>,
    open: Option<(ConnectionNumber, Connection)>,
    /// True if the open connection has brought a frame: until then its peer may be anybody.
    has_spoken: bool,
    closing: JoinSet<()>,
    failures: Failures,
}

/// The failures of connecting: for callers who watch, and for later questions.
pub(super) struct Failures {
    board: Arc<EngineBoard>,
    publisher: Publisher,
}

impl Failures {
    pub(super) const fn new(board: Arc<EngineBoard>, publisher: Publisher) -> Self {
        Self { board, publisher }
    }

    /// The note comes last: an app that acts on it finds everything else in its place.
    fn tell(&self, what: &str, failure: ConnectionFailure) {
        let note = format!("{what}: {failure}");
        self.board.failure.send_replace(Some(failure.clone()));
        self.publisher
            .publish(&[Event::ConnectionFailed { failure }]);
        log::warn!("{note}");
    }

    /// All is well again.
    fn forget(&self) {
        self.board.failure.send_replace(None);
    }
}

/// Work that a task did.
enum FinishedSocketTask {
    Opened(ConnectionNumber, Result<Connection, NetError>),
    Routed(LookUpNumber, Result<Vec<u8>, ConnectionFailure>),
}

impl Sockets {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        app_id: AppId,
        limits: Limits,
        failures: Failures,
    ) -> Self {
        Self {
            transport,
            app_id,
            limits,
            tasks: JoinSet::new(),
            opening: None,
            open: None,
            has_spoken: false,
            closing: JoinSet::new(),
            failures,
        }
    }

    /// Carries out one effect. Its outcome, if any, comes out of [`Sockets::next`]; a socket that can't take a
    /// frame any more is answered with its end at once.
    pub(super) fn carry_out(&mut self, effect: LinkEffect) -> Option<LinkInput> {
        match effect {
            LinkEffect::LookUp { lookup, base } => {
                self.look_up(lookup, &base);
                None
            }
            LinkEffect::Connect {
                connection,
                url,
                subprotocol,
            } => {
                let target = SocketTarget {
                    url,
                    subprotocol: subprotocol.name().to_owned(),
                    timeout: self.limits.connect_timeout,
                };
                self.connect(connection, target);
                None
            }
            LinkEffect::Disconnect { connection } => {
                self.disconnect(connection);
                None
            }
            LinkEffect::Send { connection, frame } => self.send(connection, frame),
        }
    }

    /// Closes the open socket; says which one that was, if there was one.
    pub(super) fn disconnect_any(&mut self) -> Option<ConnectionNumber> {
        let opening = self.opening.as_ref().map(|(number, _)| *number);
        let open = self.open.as_ref().map(|(number, _)| *number);
        let number = open.or(opening)?;
        self.disconnect(number);
        Some(number)
    }

    /// A future that is done when all closed sockets have said goodbye, or have had the time to.
    pub(super) fn goodbye(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let mut closing = std::mem::take(&mut self.closing);
        async move {
            let all = async { while closing.join_next().await.is_some() {} };
            // A peer that takes no goodbye notices without it.
            let _ = timeout(GOODBYE_TIMEOUT, all).await;
        }
    }

    /// Waits for the next input from the network. The wait may be dropped.
    pub(super) async fn next(&mut self) -> LinkInput {
        loop {
            tokio::select! {
                Some(finished) = self.tasks.join_next() => {
                    // A task that was aborted has nothing to say.
                    let finished = finished.ok().and_then(|finished| self.take(finished));
                    if let Some(input) = finished {
                        return input;
                    }
                }
                (connection, incoming) = receive(&mut self.open) => {
                    return self.received(connection, incoming);
                }
                // Keeps the set of closed sockets from growing; nobody asked.
                Some(_) = self.closing.join_next() => {}
                else => std::future::pending().await,
            }
        }
    }

    /// The next thing that came already.
    pub(super) fn try_next(&mut self) -> Option<LinkInput> {
        while let Some(finished) = self.tasks.try_join_next() {
            let input = finished.ok().and_then(|finished| self.take(finished));
            if input.is_some() {
                return input;
            }
        }
        let (number, connection) = self.open.as_mut()?;
        let number = *number;
        let incoming = connection.incoming.try_recv().ok()?;
        Some(self.received(number, Some(incoming)))
    }

    fn look_up(&mut self, lookup: LookUpNumber, base: &str) {
        let url = route_url(base, &self.app_id);
        let question = self.transport.get(url, self.limits.connect_timeout);
        self.tasks.spawn(async move {
            let answer = match question.await {
                Ok(response) => routed(response),
                Err(error) => Err(ConnectionFailure::from(&error)),
            };
            FinishedSocketTask::Routed(lookup, answer)
        });
    }

    fn connect(&mut self, number: ConnectionNumber, target: SocketTarget) {
        let work = self.transport.connect(target);
        let task = self
            .tasks
            .spawn(async move { FinishedSocketTask::Opened(number, work.await) });
        self.opening = Some((number, task));
    }

    fn disconnect(&mut self, number: ConnectionNumber) {
        if let Some((_, task)) = self.opening.take_if(|(opening, _)| *opening == number) {
            task.abort();
        }
        if let Some((_, connection)) = self.open.take_if(|(open, _)| *open == number) {
            let Connection {
                outgoing,
                mut incoming,
                subprotocol: _,
            } = connection;
            drop(outgoing);
            // The pump ends after its goodbye; its queue ends with it.
            self.closing
                .spawn(async move { while incoming.recv().await.is_some() {} });
        }
    }

    fn send(&mut self, number: ConnectionNumber, frame: Frame<'static>) -> Option<LinkInput> {
        let (open, connection) = self.open.as_ref()?;
        if *open != number {
            return None;
        }
        if connection.outgoing.try_send(frame).is_ok() {
            return None;
        }
        // Full: the peer does not read. Closed: its end is on the way; a second one does no harm.
        log::warn!("the connection takes no more frames");
        self.disconnect(number);
        Some(ended(number, None))
    }

    fn take(&mut self, finished: FinishedSocketTask) -> Option<LinkInput> {
        match finished {
            FinishedSocketTask::Routed(lookup, answer) => {
                let answer = answer
                    .map_err(|failure| self.failures.tell("no answer from the router", failure))
                    .ok();
                Some(LinkInput::Routed { lookup, answer })
            }
            FinishedSocketTask::Opened(number, outcome) => {
                // A connection that is not wanted any more is dropped, and thereby closed.
                self.opening.take_if(|(opening, _)| *opening == number)?;
                Some(self.opened(number, outcome))
            }
        }
    }

    fn opened(
        &mut self,
        number: ConnectionNumber,
        outcome: Result<Connection, NetError>,
    ) -> LinkInput {
        match outcome {
            Ok(connection) => {
                self.has_spoken = false;
                let subprotocol = Some(connection.subprotocol.clone());
                self.open = Some((number, connection));
                LinkInput::Connected {
                    connection: number,
                    subprotocol,
                }
            }
            Err(error) => {
                self.failures
                    .tell("no connection", ConnectionFailure::from(&error));
                ended(number, None)
            }
        }
    }

    fn received(&mut self, number: ConnectionNumber, incoming: Option<Incoming>) -> LinkInput {
        let close = match incoming {
            Some(Incoming::Frame(frame)) => {
                if !self.has_spoken {
                    self.has_spoken = true;
                    self.failures.forget();
                }
                return LinkInput::Received {
                    connection: number,
                    frame,
                };
            }
            Some(Incoming::Closed(Closed::ByPeer { code })) => {
                if !self.has_spoken
                    && let Some(failure) = silent_end(code)
                {
                    self.failures.tell("the connection ended", failure);
                }
                code.map(CloseCode)
            }
            Some(Incoming::Closed(Closed::Broken(error))) => {
                self.failures
                    .tell("the connection ended", ConnectionFailure::from(&error));
                None
            }
            None => None,
        };
        self.disconnect(number);
        ended(number, close)
    }
}

/// The router's answer, if it is one: a sign-in page of a network answers with 200 too.
fn routed(response: Response) -> Result<Vec<u8>, ConnectionFailure> {
    let wrong = |reason: String| ConnectionFailure::NotTheService { reason };
    if response.status != OK {
        let status = response.status;
        return Err(wrong(format!(
            "the router answered with HTTP status {status}"
        )));
    }
    let text = std::str::from_utf8(&response.body).ok();
    let route = text.and_then(|text| Route::decode(text).ok());
    let Some(route) = route else {
        return Err(wrong("the router's answer names no server".to_owned()));
    };
    let url = route.server;
    if net::check_server(&ServerAddress::Socket { url }).is_err() {
        return Err(wrong(
            "the router's server can't be connected to".to_owned(),
        ));
    }
    Ok(response.body)
}

/// The failure behind the close of a connection on which nothing was ever said. The service's own codes are for
/// the link to judge.
fn silent_end(code: Option<u16>) -> Option<ConnectionFailure> {
    match code {
        Some(4000..) => None,
        // Going away, restarting, overloaded.
        Some(code @ (1001 | 1012 | 1013)) => Some(ConnectionFailure::Unreachable {
            reason: format!("the service closed the connection at once, with code {code}"),
        }),
        _ => Some(ConnectionFailure::NotTheService {
            reason: "somebody took the connection and closed it without a word".to_owned(),
        }),
    }
}

/// The router's question (the protocol, section 1.3). A clear-text address wants a clear-text socket.
fn route_url(base: &str, app: &AppId) -> String {
    let base = base.trim_end_matches('/');
    let secure = !base.starts_with("http://");
    let app = percent_encoded(app.as_str());
    format!("{base}/v1/route?appId={app}&secure={secure}")
}

/// Escapes the characters that a query may not hold.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

const fn ended(connection: ConnectionNumber, close: Option<CloseCode>) -> LinkInput {
    LinkInput::Disconnected { connection, close }
}

/// The next thing on the open connection; without one it waits for ever.
async fn receive(
    open: &mut Option<(ConnectionNumber, Connection)>,
) -> (ConnectionNumber, Option<Incoming>) {
    match open {
        Some((number, connection)) => (*number, connection.incoming.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{MemoryTransport, OUTGOING_FRAMES_MAX};
    use crate::runtime::callers::Callers;
    use crate::wire::Subprotocol;

    /// A peer that does not read: what does not fit is not dropped in silence.
    #[tokio::test]
    async fn a_socket_that_takes_no_more_frames_is_at_its_end() {
        let (transport, mut peer) = MemoryTransport::pair();
        let publisher = Publisher::new(Callers::inline());
        let mut sockets = Sockets::new(
            Arc::new(transport),
            AppId::new("app").unwrap(),
            Limits::default(),
            Failures::new(Arc::default(), publisher),
        );
        let connection = ConnectionNumber(1);
        let url = "ws://memory/".to_owned();
        let subprotocol = Subprotocol::DEFAULT;
        let opened = sockets.carry_out(LinkEffect::Connect {
            connection,
            url,
            subprotocol,
        });
        assert!(opened.is_none());
        let mut service = peer.accept().await.unwrap();
        assert!(matches!(sockets.next().await, LinkInput::Connected { .. }));
        let mut send = || {
            let frame = Frame::Binary(vec![7].into());
            sockets.carry_out(LinkEffect::Send { connection, frame })
        };
        for _ in 0..OUTGOING_FRAMES_MAX {
            assert!(send().is_none());
        }
        let ended = send();
        assert!(
            matches!(ended, Some(LinkInput::Disconnected { connection: it, .. }) if it == connection),
            "{ended:?}"
        );
        assert!(send().is_none(), "nothing goes to a connection that ended");
        let mut arrived = 0;
        while service.from_engine.recv().await.is_some() {
            arrived += 1;
        }
        assert_eq!(arrived, OUTGOING_FRAMES_MAX);
    }

    #[test]
    fn only_an_answer_that_names_a_server_is_the_routers() {
        let answer = |status, body: &str| {
            let body = body.as_bytes().to_vec();
            routed(Response { status, body })
        };
        let good = r#"{"server":"wss://chat.example.org","ttl":60}"#;
        assert_eq!(answer(200, good), Ok(good.as_bytes().to_vec()));
        for (status, body) in [
            (302, good),
            (200, "<html>please sign in</html>"),
            (200, "{}"),
            (200, r#"{"server":7}"#),
            (200, r#"{"server":"http:"}"#),
            (200, r#"{"server":"https://chat.example.org"}"#),
            (200, ""),
        ] {
            let failure = answer(status, body).unwrap_err();
            assert!(
                matches!(failure, ConnectionFailure::NotTheService { .. }),
                "{status} {body}: {failure:?}"
            );
        }
    }

    #[test]
    fn a_silent_end_is_a_strangers_unless_a_code_of_the_service_says_more() {
        for code in [None, Some(1000), Some(1006), Some(1002)] {
            let failure = silent_end(code);
            assert!(
                matches!(failure, Some(ConnectionFailure::NotTheService { .. })),
                "{code:?}"
            );
        }
        assert_eq!(silent_end(Some(4102)), None);
        assert!(matches!(
            silent_end(Some(1012)),
            Some(ConnectionFailure::Unreachable { .. })
        ));
    }

    #[test]
    fn the_routers_question_escapes_the_app_and_asks_for_what_the_address_is() {
        let app = AppId::new("a b&c-MdYXbMMI").unwrap();
        assert_eq!(
            route_url("http://127.0.0.1:8080/", &app),
            "http://127.0.0.1:8080/v1/route?appId=a%20b%26c-MdYXbMMI&secure=false"
        );
        let app = AppId::new("app").unwrap();
        assert_eq!(
            route_url("https://chat.example.org", &app),
            "https://chat.example.org/v1/route?appId=app&secure=true"
        );
    }
}
