//! The link's inputs, and its answer to each: a [`LinkStep`].

use std::time::Duration;

use crate::model::{AppId, ClientId, ConnectionState, NetworkChange};
use crate::wire::{CloseCode, Envelope, Frame, ServiceCode, Subprotocol};
use crate::{Limits, ServerAddress};

/// The engine's settings that a link needs.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// The application; it travels with the commands that open sessions.
    pub app_id: AppId,
    /// The address of the service.
    pub server: ServerAddress,
    /// The one subprotocol that is proposed.
    pub subprotocol: Subprotocol,
    /// Paces and limits.
    pub limits: Limits,
}

/// A client's place on the link. The attaching side chooses it and never uses it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientSlot(pub u32);

/// The number of one socket, from connecting to its end. Inputs of an older socket are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionNumber(pub u64);

/// The number of one question to the router; the answer to an older one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookUpNumber(pub u64);

/// A client's own number for a request; it never reaches the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestTag(pub u64);

/// A client's need of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkWish {
    /// The client does not need the connection.
    #[default]
    Idle,
    /// The client needs the connection, until it says otherwise.
    Online,
}

/// One thing that happened to the link.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once and handed over; the large one is the common one"
)]
pub enum LinkInput {
    /// A client comes to the link; it wants nothing yet.
    Attach {
        /// The client's place.
        slot: ClientSlot,
        /// Its id, by which notifications find it.
        client: ClientId,
    },
    /// A client goes; its requests are forgotten.
    Detach {
        /// The client's place.
        slot: ClientSlot,
    },
    /// A client needs the connection, or no longer.
    Wish {
        /// The client's place.
        slot: ClientSlot,
        /// The wish.
        wish: LinkWish,
    },
    /// A client has something to send.
    Submit {
        /// The client's place.
        slot: ClientSlot,
        /// The request.
        request: LinkRequest,
    },
    /// The app goes to the background: disconnect and stay so.
    Pause,
    /// The app is back.
    Resume,
    /// The operating system said something about the network.
    Network(NetworkChange),
    /// The router answered, or could not be asked.
    Routed {
        /// The question.
        lookup: LookUpNumber,
        /// The body of its answer (status 200), or none if there was no such answer.
        answer: Option<Vec<u8>>,
    },
    /// The socket is open.
    Connected {
        /// The connection.
        connection: ConnectionNumber,
        /// The subprotocol that the service chose of those proposed.
        subprotocol: Option<String>,
    },
    /// The socket is closed, or could not be opened.
    Disconnected {
        /// The connection.
        connection: ConnectionNumber,
        /// With which code, if it was closed in good form.
        close: Option<CloseCode>,
    },
    /// A frame came.
    Received {
        /// On which socket.
        connection: ConnectionNumber,
        /// The frame.
        frame: Frame<'static>,
    },
    /// The time that the last step asked for has come.
    Woke,
}

/// The consequences of one input.
#[derive(Debug, Default, PartialEq)]
pub struct LinkStep {
    /// Work for the sockets, in order.
    pub effects: Vec<LinkEffect>,
    /// The news for clients, in order.
    pub deliveries: Vec<(ClientSlot, Delivery)>,
    /// The connection's state, if it changed.
    pub state: Option<ConnectionState>,
    /// The time to wake the link, counted from the `now` of this step; none for never. It replaces the time of
    /// an earlier step.
    pub wake_after: Option<Duration>,
}

/// Work for the sockets.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkEffect {
    /// Ask the router: `GET {base}/v1/route` with the application's id.
    LookUp {
        /// The number of the question.
        lookup: LookUpNumber,
        /// The router's base URL, with scheme and without a path.
        base: String,
    },
    /// Open a socket; proposals are one subprotocol.
    Connect {
        /// The number of the socket.
        connection: ConnectionNumber,
        /// Its URL.
        url: String,
        /// The subprotocol to propose.
        subprotocol: Subprotocol,
    },
    /// Close a socket, or stop opening it; nothing more is wanted from it.
    Disconnect {
        /// The connection.
        connection: ConnectionNumber,
    },
    /// Send a frame.
    Send {
        /// On which socket.
        connection: ConnectionNumber,
        /// The frame.
        frame: Frame<'static>,
    },
}

/// Something that a client wants to send.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkRequest {
    /// The client's number for it, when it wants an answer; the link gives such a request a serial.
    pub tag: Option<RequestTag>,
    /// The command; the link adds peer and serial, and the application where it belongs.
    pub envelope: Envelope,
}

/// News for a client from the link.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// The connection is open: sessions can be opened.
    Connected,
    /// The connection is gone. All requests of the client that were pending were answered before
    /// this with [`Unanswered::ConnectionLost`].
    Disconnected,
    /// The service refuses the application, so the link does not connect until a client asks for it anew.
    Refused {
        /// The service's number.
        code: ServiceCode,
    },
    /// A request was answered, or will not be. A request that timed out may still be answered
    /// later: then there is a second reply with the same tag.
    Reply {
        /// The client's number of the request.
        tag: RequestTag,
        /// The answer.
        outcome: Result<Envelope, Unanswered>,
    },
    /// The service said something by itself.
    Notified(Envelope),
}

/// The reason why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unanswered {
    /// There is no connection: the request was not sent.
    NotConnected,
    /// The request is larger than a command may be: it was not sent.
    TooLong,
    /// Nothing came in time, on a connection that is alive as far as is known.
    TimedOut,
    /// The connection broke after it was sent.
    ConnectionLost,
}
