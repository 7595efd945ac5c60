//! A command: one value of one enum for each frame.
//!
//! The schema has one message with eighteen optional bodies; here a command has exactly the body that belongs
//! to it. Absent is not the same as zero, so every field that may be absent is an option.

use prost::Message;

use super::error::WireError;
use super::generated::{
    AckCommand, BlacklistCommand, CommandType, ConvCommand, DataCommand, DirectCommand,
    ErrorCommand, GenericCommand, LoggedinCommand, LoginCommand, LogsCommand, OpType, PatchCommand,
    PresenceCommand, PubsubCommand, RcpCommand, ReadCommand, ReportCommand, RoomCommand,
    SessionCommand, UnreadCommand,
};
use super::scan;
use super::serial::Serial;
use crate::model::Timestamp;

/// A command with the other fields of its frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The application; only in the first commands of a connection.
    pub app_id: Option<String>,
    /// The client id that the command comes from or goes to.
    pub peer_id: Option<String>,
    /// The number of a request, and of its reply; none in a notification.
    pub serial: Option<Serial>,
    /// The device installation; in logins and live query.
    pub installation_id: Option<String>,
    /// Priority of a message: 1 high, 2 normal, 3 low.
    pub priority: Option<i32>,
    /// The service of the platform: one of the `SERVICE_` constants.
    pub service: Option<i32>,
    /// The service's time.
    pub server_ts: Option<Timestamp>,
    /// The client's time; live query only.
    pub client_ts: Option<Timestamp>,
    /// [`Envelope::PERMANENT`] when the notification can be read again over HTTP.
    pub notification_type: Option<i32>,
    /// The command.
    pub command: Command,
}

/// Everything a frame can be about, with the body that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Signing in and out, tokens, who is online. Its body may be absent on the wire.
    Session {
        /// The operation.
        op: OpType,
        /// The body.
        body: Box<SessionCommand>,
    },
    /// Conversations and their members.
    Conv {
        /// The operation.
        op: OpType,
        /// The body.
        body: Box<ConvCommand>,
    },
    /// A chat message.
    Direct(Box<DirectCommand>),
    /// A message was accepted or refused, or received.
    Ack(Box<AckCommand>),
    /// A receipt.
    Rcp(RcpCommand),
    /// Unread counts.
    Unread(UnreadCommand),
    /// History.
    Logs(Box<LogsCommand>),
    /// A refusal.
    Error(ErrorCommand),
    /// Login of a device. Its body may be absent on the wire.
    Login(Box<LoginCommand>),
    /// The reply to a login. Its body may be absent on the wire.
    Loggedin(LoggedinCommand),
    /// Payload of the push and live query channels.
    Data(DataCommand),
    /// Groups of the first generation API. Its body may be absent on the wire.
    Room {
        /// The operation.
        op: OpType,
        /// The body.
        body: Box<RoomCommand>,
    },
    /// Conversations were read.
    Read(ReadCommand),
    /// A watched peer came or went; first generation API.
    Presence(PresenceCommand),
    /// A device token. Its body may be absent on the wire.
    Report {
        /// The operation.
        op: OpType,
        /// The body.
        body: ReportCommand,
    },
    /// Heartbeat.
    Echo,
    /// Logout of live query.
    Logout,
    /// The reply to it.
    Loggedout,
    /// Messages were edited or recalled.
    Patch {
        /// The operation.
        op: OpType,
        /// The body.
        body: PatchCommand,
    },
    /// Unused by every published SDK. Its body may be absent on the wire.
    Pubsub(Box<PubsubCommand>),
    /// Block lists.
    Blacklist {
        /// The operation.
        op: OpType,
        /// The body.
        body: Box<BlacklistCommand>,
    },
    /// This node is leaving: discover again.
    Goaway,
}

impl Envelope {
    /// The push service.
    pub const SERVICE_PUSH: i32 = 0;
    /// Live query.
    pub const SERVICE_LIVE_QUERY: i32 = 1;
    /// Messaging: stands on every notification, or some SDKs drop it.
    pub const SERVICE_MESSAGING: i32 = 2;
    /// The notification type of notifications that can be read again over HTTP.
    pub const PERMANENT: i32 = 1;

    /// A command with nothing around it.
    #[must_use]
    pub const fn new(command: Command) -> Self {
        Self {
            app_id: None,
            peer_id: None,
            serial: None,
            installation_id: None,
            priority: None,
            service: None,
            server_ts: None,
            client_ts: None,
            notification_type: None,
            command,
        }
    }

    /// A notification of messaging to a client: without a serial, with the fields that every SDK needs.
    #[must_use]
    pub fn notification(peer: impl Into<String>, at: Timestamp, command: Command) -> Self {
        Self {
            peer_id: Some(peer.into()),
            service: Some(Self::SERVICE_MESSAGING),
            server_ts: Some(at),
            ..Self::new(command)
        }
    }

    /// The reply to this request: with its serial if it has one, and its peer.
    #[must_use]
    pub fn reply(&self, command: Command) -> Self {
        Self {
            peer_id: self.peer_id.clone(),
            serial: self.serial,
            ..Self::new(command)
        }
    }

    /// The same command with a serial.
    #[must_use]
    pub fn with_serial(mut self, serial: Serial) -> Self {
        self.serial = Some(serial);
        self
    }

    /// The same command from or to a client.
    #[must_use]
    pub fn with_peer(mut self, peer: impl Into<String>) -> Self {
        self.peer_id = Some(peer.into());
        self
    }

    /// Reads the bytes of a serialized command; the caller has checked their length.
    ///
    /// Unknown fields are skipped. The memory that this allocates is bounded by a constant factor of the length plus
    /// a constant (the bound on fields, [`FIELDS_MAX`](super::FIELDS_MAX)).
    ///
    /// # Errors
    ///
    /// Every variant of [`WireError`] but those about length and encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let scan = scan::scan(bytes)?;
        let generic = GenericCommand::decode(bytes).map_err(|error| WireError::Malformed {
            reason: error.to_string(),
        })?;
        let serial = generic.i.map(Serial);
        if let Some(field) = scan.missing {
            return Err(WireError::MissingField { field, serial });
        }
        Self::try_from(generic)
    }

    /// The bytes of this command, without a copy of its body.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = GenericCommand {
            cmd: Some(self.command.kind().into()),
            op: self.command.op().map(i32::from),
            app_id: self.app_id.clone(),
            peer_id: self.peer_id.clone(),
            i: self.serial.map(|serial| serial.0),
            installation_id: self.installation_id.clone(),
            priority: self.priority,
            service: self.service,
            server_ts: self.server_ts.map(Timestamp::as_millis),
            client_ts: self.client_ts.map(Timestamp::as_millis),
            notification_type: self.notification_type,
            ..GenericCommand::default()
        };
        let mut bytes = header.encode_to_vec();
        // Bodies have the highest field numbers, so they stand last in a serialized command.
        self.command.append_body(&mut bytes);
        bytes
    }
}

impl TryFrom<GenericCommand> for Envelope {
    type Error = WireError;

    /// Picks the body that belongs to the command; other bodies are ignored.
    fn try_from(mut generic: GenericCommand) -> Result<Self, WireError> {
        let command = Command::take_from(&mut generic)?;
        Ok(Self {
            app_id: generic.app_id,
            peer_id: generic.peer_id,
            serial: generic.i.map(Serial),
            installation_id: generic.installation_id,
            priority: generic.priority,
            service: generic.service,
            server_ts: generic.server_ts.map(Timestamp::from_millis),
            client_ts: generic.client_ts.map(Timestamp::from_millis),
            notification_type: generic.notification_type,
            command,
        })
    }
}

impl Command {
    /// A session command.
    #[must_use]
    pub fn session(op: OpType, body: SessionCommand) -> Self {
        let body = Box::new(body);
        Self::Session { op, body }
    }

    /// A conversation command.
    #[must_use]
    pub fn conv(op: OpType, body: ConvCommand) -> Self {
        let body = Box::new(body);
        Self::Conv { op, body }
    }

    /// A chat message.
    #[must_use]
    pub fn direct(body: DirectCommand) -> Self {
        Self::Direct(Box::new(body))
    }

    /// An acknowledgement.
    #[must_use]
    pub fn ack(body: AckCommand) -> Self {
        Self::Ack(Box::new(body))
    }

    /// A history query or its answer.
    #[must_use]
    pub fn logs(body: LogsCommand) -> Self {
        Self::Logs(Box::new(body))
    }

    /// A change of messages.
    #[must_use]
    pub const fn patch(op: OpType, body: PatchCommand) -> Self {
        Self::Patch { op, body }
    }

    /// A block list command.
    #[must_use]
    pub fn blacklist(op: OpType, body: BlacklistCommand) -> Self {
        let body = Box::new(body);
        Self::Blacklist { op, body }
    }

    /// The command's number in the schema.
    #[must_use]
    pub const fn kind(&self) -> CommandType {
        match self {
            Self::Session { .. } => CommandType::Session,
            Self::Conv { .. } => CommandType::Conv,
            Self::Direct(_) => CommandType::Direct,
            Self::Ack(_) => CommandType::Ack,
            Self::Rcp(_) => CommandType::Rcp,
            Self::Unread(_) => CommandType::Unread,
            Self::Logs(_) => CommandType::Logs,
            Self::Error(_) => CommandType::Error,
            Self::Login(_) => CommandType::Login,
            Self::Loggedin(_) => CommandType::Loggedin,
            Self::Data(_) => CommandType::Data,
            Self::Room { .. } => CommandType::Room,
            Self::Read(_) => CommandType::Read,
            Self::Presence(_) => CommandType::Presence,
            Self::Report { .. } => CommandType::Report,
            Self::Echo => CommandType::Echo,
            Self::Logout => CommandType::Logout,
            Self::Loggedout => CommandType::Loggedout,
            Self::Patch { .. } => CommandType::Patch,
            Self::Pubsub(_) => CommandType::Pubsub,
            Self::Blacklist { .. } => CommandType::Blacklist,
            Self::Goaway => CommandType::Goaway,
        }
    }

    /// The operation, of a command that has several.
    #[must_use]
    pub const fn op(&self) -> Option<OpType> {
        match self {
            Self::Session { op, .. }
            | Self::Conv { op, .. }
            | Self::Room { op, .. }
            | Self::Report { op, .. }
            | Self::Patch { op, .. }
            | Self::Blacklist { op, .. } => Some(*op),
            _ => None,
        }
    }

    fn take_from(generic: &mut GenericCommand) -> Result<Self, WireError> {
        let head = Head::of(generic)?;
        Ok(match head.command {
            CommandType::Session => Self::Session {
                op: head.op()?,
                body: Box::new(head.optional(generic.session_message.take())),
            },
            CommandType::Conv => Self::Conv {
                op: head.op()?,
                body: Box::new(head.required(generic.conv_message.take())?),
            },
            CommandType::Direct => {
                Self::Direct(Box::new(head.required(generic.direct_message.take())?))
            }
            CommandType::Ack => Self::Ack(Box::new(head.required(generic.ack_message.take())?)),
            CommandType::Rcp => Self::Rcp(head.required(generic.rcp_message.take())?),
            CommandType::Unread => Self::Unread(head.required(generic.unread_message.take())?),
            CommandType::Logs => Self::Logs(Box::new(head.required(generic.logs_message.take())?)),
            CommandType::Error => Self::Error(head.required(generic.error_message.take())?),
            CommandType::Login => {
                Self::Login(Box::new(head.optional(generic.login_message.take())))
            }
            CommandType::Loggedin => Self::Loggedin(head.optional(generic.loggedin_message.take())),
            CommandType::Data => Self::Data(head.required(generic.data_message.take())?),
            CommandType::Room => Self::Room {
                op: head.op()?,
                body: Box::new(head.optional(generic.room_message.take())),
            },
            CommandType::Read => Self::Read(head.required(generic.read_message.take())?),
            CommandType::Presence => {
                Self::Presence(head.required(generic.presence_message.take())?)
            }
            CommandType::Report => Self::Report {
                op: head.op()?,
                body: head.optional(generic.report_message.take()),
            },
            CommandType::Echo => Self::Echo,
            CommandType::Logout => Self::Logout,
            CommandType::Loggedout => Self::Loggedout,
            CommandType::Patch => Self::Patch {
                op: head.op()?,
                body: head.required(generic.patch_message.take())?,
            },
            CommandType::Pubsub => {
                Self::Pubsub(Box::new(head.optional(generic.pubsub_message.take())))
            }
            CommandType::Blacklist => Self::Blacklist {
                op: head.op()?,
                body: Box::new(head.required(generic.blacklist_message.take())?),
            },
            CommandType::Goaway => Self::Goaway,
        })
    }

    /// Appends the body as the field of the schema it is; JavaScript clients need it even empty.
    fn append_body(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Login(body) => append(100, &**body, bytes),
            Self::Data(body) => append(101, body, bytes),
            Self::Session { body, .. } => append(102, &**body, bytes),
            Self::Error(body) => append(103, body, bytes),
            Self::Direct(body) => append(104, &**body, bytes),
            Self::Ack(body) => append(105, &**body, bytes),
            Self::Unread(body) => append(106, body, bytes),
            Self::Read(body) => append(107, body, bytes),
            Self::Rcp(body) => append(108, body, bytes),
            Self::Logs(body) => append(109, &**body, bytes),
            Self::Conv { body, .. } => append(110, &**body, bytes),
            Self::Room { body, .. } => append(111, &**body, bytes),
            Self::Presence(body) => append(112, body, bytes),
            Self::Report { body, .. } => append(113, body, bytes),
            Self::Patch { body, .. } => append(114, body, bytes),
            Self::Pubsub(body) => append(115, &**body, bytes),
            Self::Blacklist { body, .. } => append(116, &**body, bytes),
            Self::Loggedin(body) => append(117, body, bytes),
            Self::Echo | Self::Logout | Self::Loggedout | Self::Goaway => {}
        }
    }
}

/// Appends a sub-message: its key, its length, its bytes.
fn append(number: u32, body: &impl Message, bytes: &mut Vec<u8>) {
    let length = body.encoded_len();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, bytes);
    prost::encoding::encode_varint(length as u64, bytes);
    bytes.reserve(length);
    body.encode_raw(bytes);
}

/// The fields that are read before the body: enough to tell a fault of the body.
struct Head {
    command: CommandType,
    op: Option<i32>,
    serial: Option<Serial>,
}

impl Head {
    fn of(generic: &GenericCommand) -> Result<Self, WireError> {
        let serial = generic.i.map(Serial);
        let number = generic.cmd.ok_or(WireError::MissingCommand { serial })?;
        let command = CommandType::try_from(number)
            .map_err(|_| WireError::UnknownCommand { number, serial })?;
        Ok(Self {
            command,
            op: generic.op,
            serial,
        })
    }

    fn op(&self) -> Result<OpType, WireError> {
        let Self {
            command, serial, ..
        } = *self;
        let number = self.op.ok_or(WireError::MissingOp { command, serial })?;
        OpType::try_from(number).map_err(|_| WireError::UnknownOp {
            command,
            number,
            serial,
        })
    }

    fn required<T>(&self, body: Option<T>) -> Result<T, WireError> {
        body.ok_or(WireError::MissingBody {
            command: self.command,
            serial: self.serial,
        })
    }

    /// A body that some SDK leaves out when it would be empty.
    fn optional<T: Default>(&self, body: Option<T>) -> T {
        body.unwrap_or_default()
    }
}
