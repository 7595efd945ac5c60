//! The structs of the wire, made from `proto/realtime.proto`; do not edit.
//!
//! `SAMPAN_REGENERATE=1 cargo test --test generated` writes this file, and that test fails when it
//! is stale. What the fields mean is said in the schema and repeated here.

#![allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    reason = "prost writes this code; the schema it comes from is what is reviewed"
)]

/// The one top-level message: a frame holds exactly one.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct GenericCommand {
    /// Which command. Written always, also when 0: a JavaScript client does not recognise a command
    /// without it.
    #[prost(enumeration = "CommandType", optional, tag = "1")]
    pub cmd: ::core::option::Option<i32>,
    /// The operation within the command; absent where a command has only one.
    #[prost(enumeration = "OpType", optional, tag = "2")]
    pub op: ::core::option::Option<i32>,
    /// The application. In session/open and login; the service remembers it for the connection.
    #[prost(string, optional, tag = "3")]
    pub app_id: ::core::option::Option<::prost::alloc::string::String>,
    /// The client id this command belongs to.
    #[prost(string, optional, tag = "4")]
    pub peer_id: ::core::option::Option<::prost::alloc::string::String>,
    /// Correlation number of a request and its reply. Absent in notifications. Negative numbers and 0
    /// are legal.
    #[prost(int32, optional, tag = "5")]
    pub i: ::core::option::Option<i32>,
    /// The device installation, in login and live query.
    #[prost(string, optional, tag = "6")]
    pub installation_id: ::core::option::Option<::prost::alloc::string::String>,
    /// Priority of a message: 1 high, 2 normal, 3 low.
    #[prost(int32, optional, tag = "7")]
    pub priority: ::core::option::Option<i32>,
    /// 0 push, 1 live query, 2 instant messaging; 2 stands on every notification of messaging.
    #[prost(int32, optional, tag = "8")]
    pub service: ::core::option::Option<i32>,
    /// Time of the service, milliseconds since the Unix epoch.
    #[prost(int64, optional, tag = "9")]
    pub server_ts: ::core::option::Option<i64>,
    /// Time of the client, milliseconds; live query only.
    #[prost(int64, optional, tag = "10")]
    pub client_ts: ::core::option::Option<i64>,
    /// 1: permanent, can be read again over HTTP; absent otherwise.
    #[prost(int32, optional, tag = "11")]
    pub notification_type: ::core::option::Option<i32>,
    /// Body of login.
    #[prost(message, optional, tag = "100")]
    pub login_message: ::core::option::Option<LoginCommand>,
    /// Body of data.
    #[prost(message, optional, tag = "101")]
    pub data_message: ::core::option::Option<DataCommand>,
    /// Body of session.
    #[prost(message, optional, tag = "102")]
    pub session_message: ::core::option::Option<SessionCommand>,
    /// Body of error.
    #[prost(message, optional, tag = "103")]
    pub error_message: ::core::option::Option<ErrorCommand>,
    /// Body of direct.
    #[prost(message, optional, tag = "104")]
    pub direct_message: ::core::option::Option<DirectCommand>,
    /// Body of ack.
    #[prost(message, optional, tag = "105")]
    pub ack_message: ::core::option::Option<AckCommand>,
    /// Body of unread.
    #[prost(message, optional, tag = "106")]
    pub unread_message: ::core::option::Option<UnreadCommand>,
    /// Body of read.
    #[prost(message, optional, tag = "107")]
    pub read_message: ::core::option::Option<ReadCommand>,
    /// Body of rcp.
    #[prost(message, optional, tag = "108")]
    pub rcp_message: ::core::option::Option<RcpCommand>,
    /// Body of logs.
    #[prost(message, optional, tag = "109")]
    pub logs_message: ::core::option::Option<LogsCommand>,
    /// Body of conv.
    #[prost(message, optional, tag = "110")]
    pub conv_message: ::core::option::Option<ConvCommand>,
    /// Body of room.
    #[prost(message, optional, tag = "111")]
    pub room_message: ::core::option::Option<RoomCommand>,
    /// Body of presence.
    #[prost(message, optional, tag = "112")]
    pub presence_message: ::core::option::Option<PresenceCommand>,
    /// Body of report.
    #[prost(message, optional, tag = "113")]
    pub report_message: ::core::option::Option<ReportCommand>,
    /// Body of patch.
    #[prost(message, optional, tag = "114")]
    pub patch_message: ::core::option::Option<PatchCommand>,
    /// Body of pubsub.
    #[prost(message, optional, tag = "115")]
    pub pubsub_message: ::core::option::Option<PubsubCommand>,
    /// Body of blacklist.
    #[prost(message, optional, tag = "116")]
    pub blacklist_message: ::core::option::Option<BlacklistCommand>,
    /// Body of loggedin.
    #[prost(message, optional, tag = "117")]
    pub loggedin_message: ::core::option::Option<LoggedinCommand>,
}
/// Signing in and out, tokens, and who is online.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct SessionCommand {
    /// Timestamp of the signature.
    #[prost(int64, optional, tag = "1")]
    pub t: ::core::option::Option<i64>,
    /// Nonce of the signature.
    #[prost(string, optional, tag = "2")]
    pub n: ::core::option::Option<::prost::alloc::string::String>,
    /// Signature, lower-case hex.
    #[prost(string, optional, tag = "3")]
    pub s: ::core::option::Option<::prost::alloc::string::String>,
    /// Name and version of the SDK, such as js/5.0.0-rc.8.
    #[prost(string, optional, tag = "4")]
    pub ua: ::core::option::Option<::prost::alloc::string::String>,
    /// True: an automatic reconnect and no new login by the user.
    #[prost(bool, optional, tag = "5")]
    pub r: ::core::option::Option<bool>,
    /// Device tag: of the devices of a client that share it, one is signed in.
    #[prost(string, optional, tag = "6")]
    pub tag: ::core::option::Option<::prost::alloc::string::String>,
    /// Identity of the device.
    #[prost(string, optional, tag = "7")]
    pub device_id: ::core::option::Option<::prost::alloc::string::String>,
    /// Client ids to ask about; in the first generation API, to watch.
    #[prost(string, repeated, tag = "8")]
    pub session_peer_ids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Those of them that are online.
    #[prost(string, repeated, tag = "9")]
    pub online_session_peer_ids: ::prost::alloc::vec::Vec<
        ::prost::alloc::string::String,
    >,
    /// Session token, opaque.
    #[prost(string, optional, tag = "10")]
    pub st: ::core::option::Option<::prost::alloc::string::String>,
    /// Lifetime of the token, in seconds. Below 2147483: the Java SDK multiplies it by 1000 in 32
    /// bits.
    #[prost(int32, optional, tag = "11")]
    pub st_ttl: ::core::option::Option<i32>,
    /// Why the session was closed. Absent on success: a present 0 already counts as failure.
    #[prost(int32, optional, tag = "12")]
    pub code: ::core::option::Option<i32>,
    /// Name of the error.
    #[prost(string, optional, tag = "13")]
    pub reason: ::core::option::Option<::prost::alloc::string::String>,
    /// Push token or device UUID; the Swift and Objective-C SDKs send it.
    #[prost(string, optional, tag = "14")]
    pub device_token: ::core::option::Option<::prost::alloc::string::String>,
    /// Session push of the first generation API; unused.
    #[prost(bool, optional, tag = "15")]
    pub sp: ::core::option::Option<bool>,
    /// Detail of the error, for humans.
    #[prost(string, optional, tag = "16")]
    pub detail: ::core::option::Option<::prost::alloc::string::String>,
    /// Newest notifTime the client has seen, milliseconds.
    #[prost(int64, optional, tag = "17")]
    pub last_unread_notif_time: ::core::option::Option<i64>,
    /// Newest patch the client has seen, milliseconds.
    #[prost(int64, optional, tag = "18")]
    pub last_patch_time: ::core::option::Option<i64>,
    /// What the client understands, as bits; listed in docs/wire.md.
    #[prost(int64, optional, tag = "19")]
    pub config_bitmap: ::core::option::Option<i64>,
    /// Device and system; unknown to the JavaScript SDK.
    #[prost(message, optional, tag = "20")]
    pub system_info: ::core::option::Option<SystemInfo>,
}
/// A chat message: up to the service, and down to the receivers.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct DirectCommand {
    /// Text payload; absent when binaryMsg is there.
    #[prost(string, optional, tag = "1")]
    pub msg: ::core::option::Option<::prost::alloc::string::String>,
    /// Legacy.
    #[prost(string, optional, tag = "2")]
    pub uid: ::core::option::Option<::prost::alloc::string::String>,
    /// Sender. Set by the service; what a client writes here is ignored.
    #[prost(string, optional, tag = "3")]
    pub from_peer_id: ::core::option::Option<::prost::alloc::string::String>,
    /// Time of the message, given by the service, milliseconds.
    #[prost(int64, optional, tag = "4")]
    pub timestamp: ::core::option::Option<i64>,
    /// Pushed from the store of offline messages.
    #[prost(bool, optional, tag = "5")]
    pub offline: ::core::option::Option<bool>,
    /// More offline messages exist than were pushed.
    #[prost(bool, optional, tag = "6")]
    pub has_more: ::core::option::Option<bool>,
    /// Receivers, first generation API.
    #[prost(string, repeated, tag = "7")]
    pub to_peer_ids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// The sender wants receipts.
    #[prost(bool, optional, tag = "10")]
    pub r: ::core::option::Option<bool>,
    /// Conversation.
    #[prost(string, optional, tag = "11")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
    /// Message id, given by the service.
    #[prost(string, optional, tag = "12")]
    pub id: ::core::option::Option<::prost::alloc::string::String>,
    /// Delivered to online members only, never stored.
    #[prost(bool, optional, tag = "13")]
    pub transient: ::core::option::Option<bool>,
    /// Deduplication token: a repeat with the same token is the same message.
    #[prost(string, optional, tag = "14")]
    pub dt: ::core::option::Option<::prost::alloc::string::String>,
    /// Group, first generation API.
    #[prost(string, optional, tag = "15")]
    pub room_id: ::core::option::Option<::prost::alloc::string::String>,
    /// JSON text for the offline push.
    #[prost(string, optional, tag = "16")]
    pub push_data: ::core::option::Option<::prost::alloc::string::String>,
    /// Held back and sent when this client goes away without closing.
    #[prost(bool, optional, tag = "17")]
    pub will: ::core::option::Option<bool>,
    /// When the message was modified, milliseconds; absent if never.
    #[prost(int64, optional, tag = "18")]
    pub patch_timestamp: ::core::option::Option<i64>,
    /// Binary payload. Its presence alone makes the message binary, so it is never written empty.
    #[prost(bytes = "vec", optional, tag = "19")]
    pub binary_msg: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    /// Client ids that are mentioned.
    #[prost(string, repeated, tag = "20")]
    pub mention_pids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Everybody is mentioned.
    #[prost(bool, optional, tag = "21")]
    pub mention_all: ::core::option::Option<bool>,
    /// Kind of the conversation: 1 normal, 2 chat room, 3 service, 4 temporary.
    #[prost(int32, optional, tag = "22")]
    pub conv_type: ::core::option::Option<i32>,
}
/// From the service: accepted or refused. From a client: received.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AckCommand {
    /// Error code. Absent on success: a present 0 already counts as failure.
    #[prost(int32, optional, tag = "1")]
    pub code: ::core::option::Option<i32>,
    /// Name of the error.
    #[prost(string, optional, tag = "2")]
    pub reason: ::core::option::Option<::prost::alloc::string::String>,
    /// The message that was received.
    #[prost(string, optional, tag = "3")]
    pub mid: ::core::option::Option<::prost::alloc::string::String>,
    /// Conversation.
    #[prost(string, optional, tag = "4")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
    /// Time the service gave the message, milliseconds.
    #[prost(int64, optional, tag = "5")]
    pub t: ::core::option::Option<i64>,
    /// Id the service gave the message.
    #[prost(string, optional, tag = "6")]
    pub uid: ::core::option::Option<::prost::alloc::string::String>,
    /// Start of a range of received messages: their time in milliseconds, inclusive.
    #[prost(int64, optional, tag = "7")]
    pub fromts: ::core::option::Option<i64>,
    /// End of that range, inclusive; alone it means all up to it.
    #[prost(int64, optional, tag = "8")]
    pub tots: ::core::option::Option<i64>,
    /// Legacy.
    #[prost(string, optional, tag = "9")]
    pub r#type: ::core::option::Option<::prost::alloc::string::String>,
    /// Received messages without a conversation.
    #[prost(string, repeated, tag = "10")]
    pub ids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Code chosen by a hook of the application; absent on success.
    #[prost(int32, optional, tag = "11")]
    pub app_code: ::core::option::Option<i32>,
    /// Text chosen by a hook of the application.
    #[prost(string, optional, tag = "12")]
    pub app_msg: ::core::option::Option<::prost::alloc::string::String>,
}
/// Why something was refused.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ErrorCommand {
    /// Error code; listed in docs/wire.md.
    #[prost(int32, required, tag = "1")]
    pub code: i32,
    /// Name of the error, in capitals.
    #[prost(string, required, tag = "2")]
    pub reason: ::prost::alloc::string::String,
    /// Code chosen by a hook of the application.
    #[prost(int32, optional, tag = "3")]
    pub app_code: ::core::option::Option<i32>,
    /// Text for humans.
    #[prost(string, optional, tag = "4")]
    pub detail: ::core::option::Option<::prost::alloc::string::String>,
    /// Within failedPids: the members this error applies to.
    #[prost(string, repeated, tag = "5")]
    pub pids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Text chosen by a hook of the application.
    #[prost(string, optional, tag = "6")]
    pub app_msg: ::core::option::Option<::prost::alloc::string::String>,
}
/// Operations on conversations, their replies and their notifications.
#[derive(Clone, PartialEq, ::prost::Message)]
#[prost(skip_debug)]
pub struct ConvCommand {
    /// Member ids.
    #[prost(string, repeated, tag = "1")]
    pub m: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// A chat room.
    #[prost(bool, optional, tag = "2")]
    pub transient: ::core::option::Option<bool>,
    /// Use the conversation that has exactly these members, if there is one.
    #[prost(bool, optional, tag = "3")]
    pub unique: ::core::option::Option<bool>,
    /// Conversation.
    #[prost(string, optional, tag = "4")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
    /// When it was created, ISO 8601.
    #[prost(string, optional, tag = "5")]
    pub cdate: ::core::option::Option<::prost::alloc::string::String>,
    /// Who made the change.
    #[prost(string, optional, tag = "6")]
    pub init_by: ::core::option::Option<::prost::alloc::string::String>,
    /// Order of a query: keys, comma separated, '-' for descending.
    #[prost(string, optional, tag = "7")]
    pub sort: ::core::option::Option<::prost::alloc::string::String>,
    /// Page size.
    #[prost(int32, optional, tag = "8")]
    pub limit: ::core::option::Option<i32>,
    /// Page offset.
    #[prost(int32, optional, tag = "9")]
    pub skip: ::core::option::Option<i32>,
    /// Bits of a query: 1 without members, 2 with the last message.
    #[prost(int32, optional, tag = "10")]
    pub flag: ::core::option::Option<i32>,
    /// Answer of count.
    #[prost(int32, optional, tag = "11")]
    pub count: ::core::option::Option<i32>,
    /// When it was changed, ISO 8601.
    #[prost(string, optional, tag = "12")]
    pub udate: ::core::option::Option<::prost::alloc::string::String>,
    /// Timestamp of the signature.
    #[prost(int64, optional, tag = "13")]
    pub t: ::core::option::Option<i64>,
    /// Nonce of the signature.
    #[prost(string, optional, tag = "14")]
    pub n: ::core::option::Option<::prost::alloc::string::String>,
    /// Signature, lower-case hex.
    #[prost(string, optional, tag = "15")]
    pub s: ::core::option::Option<::prost::alloc::string::String>,
    /// Unused.
    #[prost(bool, optional, tag = "16")]
    pub status_sub: ::core::option::Option<bool>,
    /// Unused.
    #[prost(bool, optional, tag = "17")]
    pub status_pub: ::core::option::Option<bool>,
    /// Unused.
    #[prost(int32, optional, tag = "18")]
    pub status_ttl: ::core::option::Option<i32>,
    /// Id of the set of members, 32 hex digits.
    #[prost(string, optional, tag = "19")]
    pub unique_id: ::core::option::Option<::prost::alloc::string::String>,
    /// Member whose role is changed.
    #[prost(string, optional, tag = "20")]
    pub target_client_id: ::core::option::Option<::prost::alloc::string::String>,
    /// How far the others have read, milliseconds.
    #[prost(int64, optional, tag = "21")]
    pub max_read_timestamp: ::core::option::Option<i64>,
    /// How far the others have received, milliseconds.
    #[prost(int64, optional, tag = "22")]
    pub max_ack_timestamp: ::core::option::Option<i64>,
    /// Ask max_read for every member by itself.
    #[prost(bool, optional, tag = "23")]
    pub query_all_members: ::core::option::Option<bool>,
    /// How far each member has received and read.
    #[prost(message, repeated, tag = "24")]
    pub max_read_tuples: ::prost::alloc::vec::Vec<MaxReadTuple>,
    /// Conversations of an is_member query.
    #[prost(string, repeated, tag = "25")]
    pub cids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Role of a member.
    #[prost(message, optional, tag = "26")]
    pub info: ::core::option::Option<ConvMemberInfo>,
    /// A temporary conversation.
    #[prost(bool, optional, tag = "27")]
    pub temp_conv: ::core::option::Option<bool>,
    /// Life of a temporary conversation, in seconds.
    #[prost(int32, optional, tag = "28")]
    pub temp_conv_ttl: ::core::option::Option<i32>,
    /// Temporary conversations to query, by id.
    #[prost(string, repeated, tag = "29")]
    pub temp_conv_ids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Members for whom the operation worked.
    #[prost(string, repeated, tag = "30")]
    pub allowed_pids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Members for whom it failed, and why.
    #[prost(message, repeated, tag = "31")]
    pub failed_pids: ::prost::alloc::vec::Vec<ErrorCommand>,
    /// start found a conversation that existed; unknown to the JavaScript SDK.
    #[prost(bool, optional, tag = "32")]
    pub existing: ::core::option::Option<bool>,
    /// Where the next page starts; absent on the last one.
    #[prost(string, optional, tag = "40")]
    pub next: ::core::option::Option<::prost::alloc::string::String>,
    /// Answer of a query, JSON.
    #[prost(message, optional, tag = "100")]
    pub results: ::core::option::Option<JsonObjectMessage>,
    /// Condition of a query, JSON.
    #[prost(message, optional, tag = "101")]
    pub r#where: ::core::option::Option<JsonObjectMessage>,
    /// Attributes, or changes of them, as submitted; JSON.
    #[prost(message, optional, tag = "103")]
    pub attr: ::core::option::Option<JsonObjectMessage>,
    /// Resulting values of the changed attributes; JSON.
    #[prost(message, optional, tag = "104")]
    pub attr_modified: ::core::option::Option<JsonObjectMessage>,
}
/// JSON in text form.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct JsonObjectMessage {
    /// The JSON text.
    #[prost(string, required, tag = "1")]
    pub data: ::prost::alloc::string::String,
}
/// Role of a member.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ConvMemberInfo {
    /// Client id of the member.
    #[prost(string, optional, tag = "1")]
    pub pid: ::core::option::Option<::prost::alloc::string::String>,
    /// Owner, Manager or Member.
    #[prost(string, optional, tag = "2")]
    pub role: ::core::option::Option<::prost::alloc::string::String>,
    /// Id of the stored row.
    #[prost(string, optional, tag = "3")]
    pub info_id: ::core::option::Option<::prost::alloc::string::String>,
}
/// Unread counts; each is absolute.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct UnreadCommand {
    /// One tuple for each conversation that changed.
    #[prost(message, repeated, tag = "1")]
    pub convs: ::prost::alloc::vec::Vec<UnreadTuple>,
    /// Time of this notification, milliseconds; the client sends the newest back at its next open.
    #[prost(int64, optional, tag = "2")]
    pub notif_time: ::core::option::Option<i64>,
}
/// Unread count of one conversation, with its newest message.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct UnreadTuple {
    /// Conversation.
    #[prost(string, required, tag = "1")]
    pub cid: ::prost::alloc::string::String,
    /// Absolute count; 0 when it was read elsewhere.
    #[prost(int32, required, tag = "2")]
    pub unread: i32,
    /// Id of the newest message.
    #[prost(string, optional, tag = "3")]
    pub mid: ::core::option::Option<::prost::alloc::string::String>,
    /// Time of the newest message, milliseconds.
    #[prost(int64, optional, tag = "4")]
    pub timestamp: ::core::option::Option<i64>,
    /// Sender of the newest message.
    #[prost(string, optional, tag = "5")]
    pub from: ::core::option::Option<::prost::alloc::string::String>,
    /// Text of the newest message.
    #[prost(string, optional, tag = "6")]
    pub data: ::core::option::Option<::prost::alloc::string::String>,
    /// When the newest message was modified, milliseconds.
    #[prost(int64, optional, tag = "7")]
    pub patch_timestamp: ::core::option::Option<i64>,
    /// An unread message mentions the client.
    #[prost(bool, optional, tag = "8")]
    pub mentioned: ::core::option::Option<bool>,
    /// Bytes of the newest message, instead of data.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub binary_msg: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    /// Kind of the conversation: 1 normal, 2 chat room, 3 service, 4 temporary.
    #[prost(int32, optional, tag = "10")]
    pub conv_type: ::core::option::Option<i32>,
}
/// Marks conversations as read.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ReadCommand {
    /// Older form: everything in this conversation.
    #[prost(string, optional, tag = "1")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
    /// Older form: everything in these conversations.
    #[prost(string, repeated, tag = "2")]
    pub cids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// How far each conversation is read.
    #[prost(message, repeated, tag = "3")]
    pub convs: ::prost::alloc::vec::Vec<ReadTuple>,
}
/// How far one conversation is read.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ReadTuple {
    /// Conversation.
    #[prost(string, required, tag = "1")]
    pub cid: ::prost::alloc::string::String,
    /// Up to and including the message of this time, milliseconds; with mid absent too, everything.
    #[prost(int64, optional, tag = "2")]
    pub timestamp: ::core::option::Option<i64>,
    /// Id of that message.
    #[prost(string, optional, tag = "3")]
    pub mid: ::core::option::Option<::prost::alloc::string::String>,
}
/// How far one member has received and read.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct MaxReadTuple {
    /// The member.
    #[prost(string, optional, tag = "1")]
    pub pid: ::core::option::Option<::prost::alloc::string::String>,
    /// Newest message received, its time in milliseconds; absent or 0 is never.
    #[prost(int64, optional, tag = "2")]
    pub max_ack_timestamp: ::core::option::Option<i64>,
    /// Newest message read, its time in milliseconds; absent or 0 is never.
    #[prost(int64, optional, tag = "3")]
    pub max_read_timestamp: ::core::option::Option<i64>,
}
/// A receipt, to the sender of a message.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RcpCommand {
    /// Message id.
    #[prost(string, optional, tag = "1")]
    pub id: ::core::option::Option<::prost::alloc::string::String>,
    /// Conversation.
    #[prost(string, optional, tag = "2")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
    /// When it was received or read, milliseconds.
    #[prost(int64, optional, tag = "3")]
    pub t: ::core::option::Option<i64>,
    /// True for read. Absent for delivered: the Java SDK asks only whether it is there.
    #[prost(bool, optional, tag = "4")]
    pub read: ::core::option::Option<bool>,
    /// Who received or read it.
    #[prost(string, optional, tag = "5")]
    pub from: ::core::option::Option<::prost::alloc::string::String>,
}
/// A query of the history, and its answer.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct LogsCommand {
    /// Conversation.
    #[prost(string, optional, tag = "1")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
    /// Page size, as the JavaScript and Objective-C SDKs send it.
    #[prost(int32, optional, tag = "2")]
    pub l: ::core::option::Option<i32>,
    /// Page size, as the others send it.
    #[prost(int32, optional, tag = "3")]
    pub limit: ::core::option::Option<i32>,
    /// Time of the start point, milliseconds.
    #[prost(int64, optional, tag = "4")]
    pub t: ::core::option::Option<i64>,
    /// Time of the end point, milliseconds.
    #[prost(int64, optional, tag = "5")]
    pub tt: ::core::option::Option<i64>,
    /// Message id of the end point.
    #[prost(string, optional, tag = "6")]
    pub tmid: ::core::option::Option<::prost::alloc::string::String>,
    /// Message id of the start point.
    #[prost(string, optional, tag = "7")]
    pub mid: ::core::option::Option<::prost::alloc::string::String>,
    /// Unused.
    #[prost(string, optional, tag = "8")]
    pub checksum: ::core::option::Option<::prost::alloc::string::String>,
    /// Unused.
    #[prost(bool, optional, tag = "9")]
    pub stored: ::core::option::Option<bool>,
    /// Towards older or newer messages.
    #[prost(
        enumeration = "logs_command::QueryDirection",
        optional,
        tag = "10",
        default = "Old"
    )]
    pub direction: ::core::option::Option<i32>,
    /// The start point itself belongs to the page.
    #[prost(bool, optional, tag = "11")]
    pub t_included: ::core::option::Option<bool>,
    /// The end point itself belongs to the page.
    #[prost(bool, optional, tag = "12")]
    pub tt_included: ::core::option::Option<bool>,
    /// Only typed messages of this type.
    #[prost(int32, optional, tag = "13")]
    pub lctype: ::core::option::Option<i32>,
    /// The page, ascending by time in both directions.
    #[prost(message, repeated, tag = "105")]
    pub logs: ::prost::alloc::vec::Vec<LogItem>,
}
/// Nested message and enum types in `LogsCommand`.
pub mod logs_command {
    /// Which way a history query goes from its start point.
    #[derive(
        Clone,
        Copy,
        Debug,
        PartialEq,
        Eq,
        Hash,
        PartialOrd,
        Ord,
        ::prost::Enumeration
    )]
    #[repr(i32)]
    pub enum QueryDirection {
        /// From newer to older messages.
        Old = 1,
        /// From older to newer messages.
        New = 2,
    }
    impl QueryDirection {
        /// String value of the enum field names used in the ProtoBuf definition.
        ///
        /// The values are not transformed in any way and thus are considered stable
        /// (if the ProtoBuf definition does not change) and safe for programmatic use.
        pub fn as_str_name(&self) -> &'static str {
            match self {
                Self::Old => "OLD",
                Self::New => "NEW",
            }
        }
        /// Creates an enum from field names used in the ProtoBuf definition.
        pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
            match value {
                "OLD" => Some(Self::Old),
                "NEW" => Some(Self::New),
                _ => None,
            }
        }
    }
}
/// A stored message.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct LogItem {
    /// Sender.
    #[prost(string, optional, tag = "1")]
    pub from: ::core::option::Option<::prost::alloc::string::String>,
    /// Text; base64 of the bytes when bin is true.
    #[prost(string, optional, tag = "2")]
    pub data: ::core::option::Option<::prost::alloc::string::String>,
    /// Time of the message, milliseconds.
    #[prost(int64, optional, tag = "3")]
    pub timestamp: ::core::option::Option<i64>,
    /// Message id.
    #[prost(string, optional, tag = "4")]
    pub msg_id: ::core::option::Option<::prost::alloc::string::String>,
    /// First delivery to the other side, milliseconds; absent if not delivered.
    #[prost(int64, optional, tag = "5")]
    pub ack_at: ::core::option::Option<i64>,
    /// When it was read, milliseconds; absent if not.
    #[prost(int64, optional, tag = "6")]
    pub read_at: ::core::option::Option<i64>,
    /// When it was modified or recalled, milliseconds; absent if never.
    #[prost(int64, optional, tag = "7")]
    pub patch_timestamp: ::core::option::Option<i64>,
    /// Everybody is mentioned.
    #[prost(bool, optional, tag = "8")]
    pub mention_all: ::core::option::Option<bool>,
    /// Client ids that are mentioned.
    #[prost(string, repeated, tag = "9")]
    pub mention_pids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// The payload is binary and data its base64.
    #[prost(bool, optional, tag = "10")]
    pub bin: ::core::option::Option<bool>,
    /// Kind of the conversation: 1 normal, 2 chat room, 3 service, 4 temporary.
    #[prost(int32, optional, tag = "11")]
    pub conv_type: ::core::option::Option<i32>,
}
/// Changes of messages that exist.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct PatchCommand {
    /// The changes.
    #[prost(message, repeated, tag = "1")]
    pub patches: ::prost::alloc::vec::Vec<PatchItem>,
    /// Time of the newest patch, milliseconds.
    #[prost(int64, optional, tag = "2")]
    pub last_patch_time: ::core::option::Option<i64>,
}
/// Change of one message; cid, mid and timestamp name it.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct PatchItem {
    /// Conversation.
    #[prost(string, optional, tag = "1")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
    /// Message id.
    #[prost(string, optional, tag = "2")]
    pub mid: ::core::option::Option<::prost::alloc::string::String>,
    /// Time of the message, milliseconds; a patch never changes it.
    #[prost(int64, optional, tag = "3")]
    pub timestamp: ::core::option::Option<i64>,
    /// True: the message is withdrawn.
    #[prost(bool, optional, tag = "4")]
    pub recall: ::core::option::Option<bool>,
    /// New text. A string in the SDKs, on the wire the same; bytes here, because the Java SDK writes
    /// the raw bytes of a binary message into it and they need not be UTF-8.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub data: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    /// When the patch was made, milliseconds.
    #[prost(int64, optional, tag = "6")]
    pub patch_timestamp: ::core::option::Option<i64>,
    /// Sender of the message.
    #[prost(string, optional, tag = "7")]
    pub from: ::core::option::Option<::prost::alloc::string::String>,
    /// New bytes, instead of data.
    #[prost(bytes = "vec", optional, tag = "8")]
    pub binary_msg: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    /// Everybody is mentioned.
    #[prost(bool, optional, tag = "9")]
    pub mention_all: ::core::option::Option<bool>,
    /// Client ids that are mentioned.
    #[prost(string, repeated, tag = "10")]
    pub mention_pids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Why the service changed the message; absent when its sender did.
    #[prost(int64, optional, tag = "11")]
    pub patch_code: ::core::option::Option<i64>,
    /// Words for patchCode.
    #[prost(string, optional, tag = "12")]
    pub patch_reason: ::core::option::Option<::prost::alloc::string::String>,
}
/// Block lists, of a conversation or of a client.
#[derive(Clone, PartialEq, ::prost::Message)]
#[prost(skip_debug)]
pub struct BlacklistCommand {
    /// Conversation whose list it is.
    #[prost(string, optional, tag = "1")]
    pub src_cid: ::core::option::Option<::prost::alloc::string::String>,
    /// Client ids to block, unblock or check.
    #[prost(string, repeated, tag = "2")]
    pub to_pids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Client whose list it is; not offered by current SDKs.
    #[prost(string, optional, tag = "3")]
    pub src_pid: ::core::option::Option<::prost::alloc::string::String>,
    /// Conversations to block for a client; not offered by current SDKs.
    #[prost(string, repeated, tag = "4")]
    pub to_cids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Page size.
    #[prost(int32, optional, tag = "5")]
    pub limit: ::core::option::Option<i32>,
    /// Where the next page starts; absent on the last one.
    #[prost(string, optional, tag = "6")]
    pub next: ::core::option::Option<::prost::alloc::string::String>,
    /// Client ids that are blocked.
    #[prost(string, repeated, tag = "8")]
    pub blocked_pids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Conversations that are blocked.
    #[prost(string, repeated, tag = "9")]
    pub blocked_cids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Client ids for whom the operation worked.
    #[prost(string, repeated, tag = "10")]
    pub allowed_pids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Client ids for whom it failed, and why.
    #[prost(message, repeated, tag = "11")]
    pub failed_pids: ::prost::alloc::vec::Vec<ErrorCommand>,
    /// Timestamp of the signature.
    #[prost(int64, optional, tag = "12")]
    pub t: ::core::option::Option<i64>,
    /// Nonce of the signature.
    #[prost(string, optional, tag = "13")]
    pub n: ::core::option::Option<::prost::alloc::string::String>,
    /// Signature, lower-case hex.
    #[prost(string, optional, tag = "14")]
    pub s: ::core::option::Option<::prost::alloc::string::String>,
}
/// A watched peer came or went; first generation API.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PresenceCommand {
    /// Came or went.
    #[prost(enumeration = "StatusType", optional, tag = "1")]
    pub status: ::core::option::Option<i32>,
    /// Who.
    #[prost(string, repeated, tag = "2")]
    pub session_peer_ids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Conversation; unused.
    #[prost(string, optional, tag = "3")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
}
/// Groups of the first generation API.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct RoomCommand {
    /// Group.
    #[prost(string, optional, tag = "1")]
    pub room_id: ::core::option::Option<::prost::alloc::string::String>,
    /// Signature, lower-case hex.
    #[prost(string, optional, tag = "2")]
    pub s: ::core::option::Option<::prost::alloc::string::String>,
    /// Timestamp of the signature, in seconds.
    #[prost(int64, optional, tag = "3")]
    pub t: ::core::option::Option<i64>,
    /// Nonce of the signature.
    #[prost(string, optional, tag = "4")]
    pub n: ::core::option::Option<::prost::alloc::string::String>,
    /// Group without stored members.
    #[prost(bool, optional, tag = "5")]
    pub transient: ::core::option::Option<bool>,
    /// Members the operation is about.
    #[prost(string, repeated, tag = "6")]
    pub room_peer_ids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Who made the change.
    #[prost(string, optional, tag = "7")]
    pub by_peer_id: ::core::option::Option<::prost::alloc::string::String>,
}
/// A device's push token.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
#[prost(skip_debug)]
pub struct ReportCommand {
    /// True: sent without being asked.
    #[prost(bool, optional, tag = "1")]
    pub initiative: ::core::option::Option<bool>,
    /// What data holds; token.
    #[prost(string, optional, tag = "2")]
    pub r#type: ::core::option::Option<::prost::alloc::string::String>,
    /// The push token.
    #[prost(string, optional, tag = "3")]
    pub data: ::core::option::Option<::prost::alloc::string::String>,
}
/// Payload of the push and live query channels.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct DataCommand {
    /// Ids to acknowledge.
    #[prost(string, repeated, tag = "1")]
    pub ids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// The payloads.
    #[prost(message, repeated, tag = "2")]
    pub msg: ::prost::alloc::vec::Vec<JsonObjectMessage>,
    /// Pushed from the store of offline messages.
    #[prost(bool, optional, tag = "3")]
    pub offline: ::core::option::Option<bool>,
}
/// Unused by every published SDK.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PubsubCommand {
    /// Conversation.
    #[prost(string, optional, tag = "1")]
    pub cid: ::core::option::Option<::prost::alloc::string::String>,
    /// Conversations.
    #[prost(string, repeated, tag = "2")]
    pub cids: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Topic.
    #[prost(string, optional, tag = "3")]
    pub topic: ::core::option::Option<::prost::alloc::string::String>,
    /// Topic within the topic.
    #[prost(string, optional, tag = "4")]
    pub subtopic: ::core::option::Option<::prost::alloc::string::String>,
    /// Topics.
    #[prost(string, repeated, tag = "5")]
    pub topics: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Topics within the topic.
    #[prost(string, repeated, tag = "6")]
    pub subtopics: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Answer, JSON.
    #[prost(message, optional, tag = "7")]
    pub results: ::core::option::Option<JsonObjectMessage>,
}
/// Login of the push and live query channels.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LoginCommand {
    /// Device and system.
    #[prost(message, optional, tag = "1")]
    pub system_info: ::core::option::Option<SystemInfo>,
}
/// Reply to login.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LoggedinCommand {
    /// True: an idle Android client may drop the socket.
    #[prost(bool, optional, tag = "1")]
    pub push_disabled: ::core::option::Option<bool>,
}
/// Device and system of a client.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SystemInfo {
    /// Kind of device.
    #[prost(enumeration = "DeviceType", optional, tag = "1")]
    pub device_type: ::core::option::Option<i32>,
    /// Version of the system.
    #[prost(message, optional, tag = "2")]
    pub os_version: ::core::option::Option<SemanticVersion>,
    /// Version of Android, where it is one.
    #[prost(message, optional, tag = "3")]
    pub android_version: ::core::option::Option<AndroidVersion>,
    /// The device is simulated.
    #[prost(bool, optional, tag = "4")]
    pub is_emulator: ::core::option::Option<bool>,
}
/// A version number in parts.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SemanticVersion {
    /// First number.
    #[prost(int32, optional, tag = "1")]
    pub major: ::core::option::Option<i32>,
    /// Second number.
    #[prost(int32, optional, tag = "2")]
    pub minor: ::core::option::Option<i32>,
    /// Third number.
    #[prost(int32, optional, tag = "3")]
    pub patch: ::core::option::Option<i32>,
    /// What follows the hyphen.
    #[prost(string, optional, tag = "4")]
    pub pre_release: ::core::option::Option<::prost::alloc::string::String>,
    /// What follows the plus sign.
    #[prost(string, optional, tag = "5")]
    pub build: ::core::option::Option<::prost::alloc::string::String>,
}
/// A version of Android.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AndroidVersion {
    /// Code name.
    #[prost(string, optional, tag = "1")]
    pub codename: ::core::option::Option<::prost::alloc::string::String>,
    /// API level.
    #[prost(string, optional, tag = "2")]
    pub api_level: ::core::option::Option<::prost::alloc::string::String>,
}
/// What a frame is about. 0 is a command: the number is always written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum CommandType {
    /// Log in and out, refresh a token, ask who is online; body sessionMessage.
    Session = 0,
    /// Operations on conversations; body convMessage.
    Conv = 1,
    /// A chat message, in both directions; body directMessage.
    Direct = 2,
    /// Service: message accepted or refused. Client: message received. Body ackMessage.
    Ack = 3,
    /// Receipt notification, delivered or read; body rcpMessage.
    Rcp = 4,
    /// Unread notification; body unreadMessage.
    Unread = 5,
    /// History query and its answer; body logsMessage.
    Logs = 6,
    /// Error reply; body errorMessage.
    Error = 7,
    /// Login of the push and live query channels; body loginMessage, often absent.
    Login = 8,
    /// Payload of the push and live query channels; body dataMessage.
    Data = 9,
    /// Groups of the first generation API; body roomMessage.
    Room = 10,
    /// Mark conversations as read; body readMessage.
    Read = 11,
    /// Watched peer came or went, first generation API; body presenceMessage.
    Presence = 12,
    /// Upload of a device token; body reportMessage.
    Report = 13,
    /// Heartbeat of the application; no body.
    Echo = 14,
    /// Reply to login; body loggedinMessage.
    Loggedin = 15,
    /// Logout of the live query channel; no body.
    Logout = 16,
    /// Reply to logout; no body.
    Loggedout = 17,
    /// Modify or recall a message; body patchMessage.
    Patch = 18,
    /// Unused by every published SDK; body pubsubMessage.
    Pubsub = 19,
    /// Block list of a conversation; body blacklistMessage.
    Blacklist = 20,
    /// This node is leaving, discover again; no body.
    Goaway = 21,
}
impl CommandType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Conv => "conv",
            Self::Direct => "direct",
            Self::Ack => "ack",
            Self::Rcp => "rcp",
            Self::Unread => "unread",
            Self::Logs => "logs",
            Self::Error => "error",
            Self::Login => "login",
            Self::Data => "data",
            Self::Room => "room",
            Self::Read => "read",
            Self::Presence => "presence",
            Self::Report => "report",
            Self::Echo => "echo",
            Self::Loggedin => "loggedin",
            Self::Logout => "logout",
            Self::Loggedout => "loggedout",
            Self::Patch => "patch",
            Self::Pubsub => "pubsub",
            Self::Blacklist => "blacklist",
            Self::Goaway => "goaway",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "session" => Some(Self::Session),
            "conv" => Some(Self::Conv),
            "direct" => Some(Self::Direct),
            "ack" => Some(Self::Ack),
            "rcp" => Some(Self::Rcp),
            "unread" => Some(Self::Unread),
            "logs" => Some(Self::Logs),
            "error" => Some(Self::Error),
            "login" => Some(Self::Login),
            "data" => Some(Self::Data),
            "room" => Some(Self::Room),
            "read" => Some(Self::Read),
            "presence" => Some(Self::Presence),
            "report" => Some(Self::Report),
            "echo" => Some(Self::Echo),
            "loggedin" => Some(Self::Loggedin),
            "logout" => Some(Self::Logout),
            "loggedout" => Some(Self::Loggedout),
            "patch" => Some(Self::Patch),
            "pubsub" => Some(Self::Pubsub),
            "blacklist" => Some(Self::Blacklist),
            "goaway" => Some(Self::Goaway),
            _ => None,
        }
    }
}
/// The operation within a command. A request and its reply have ops of their own. "shutup" is the
/// wire's word for silencing a member; "mute" is about push alone. Numbers 34, 35, 37, 38 and 41
/// once were ops of conv and are retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum OpType {
    /// Session: sign in.
    Open = 1,
    /// Conv: add members or join. Session: watch more peers (first generation).
    Add = 2,
    /// Conv: remove members or quit. Session: stop watching peers (first generation).
    Remove = 3,
    /// Session: sign out.
    Close = 4,
    /// Session: reply to open.
    Opened = 5,
    /// Session: reply to close, or a kick when it carries a code.
    Closed = 6,
    /// Session: who is online. Conv: find conversations. Blacklist: page of the list.
    Query = 7,
    /// Reply to a query of sessions or of a block list.
    QueryResult = 8,
    /// Session: unused; a conflict arrives as closed with code 4111.
    Conflict = 9,
    /// Reply to add.
    Added = 10,
    /// Reply to remove.
    Removed = 11,
    /// Session: ask for a fresh token.
    Refresh = 12,
    /// Session: reply to refresh.
    Refreshed = 13,
    /// Conv: create, or find a unique one.
    Start = 30,
    /// Conv: reply to start.
    Started = 31,
    /// Conv: you were added (notification).
    Joined = 32,
    /// Conv: members were added (notification).
    MembersJoined = 33,
    /// Conv: you were removed (notification).
    Left = 39,
    /// Conv: members were removed (notification).
    MembersLeft = 40,
    /// Conv: reply to query, a JSON array.
    Results = 42,
    /// Conv: how many members.
    Count = 43,
    /// Conv: reply to count, members and is_member.
    Result = 44,
    /// Conv: change attributes.
    Update = 45,
    /// Conv: reply to update, mute and unmute, and notification of a change.
    Updated = 46,
    /// Conv: no offline push to me.
    Mute = 47,
    /// Conv: offline push to me again.
    Unmute = 48,
    /// Conv: unused.
    Status = 49,
    /// Conv: who is in a chat room now.
    Members = 50,
    /// Conv: how far others have received and read; reply has the same op.
    MaxRead = 51,
    /// Conv: am I a member of these.
    IsMember = 52,
    /// Conv: change a member's role.
    MemberInfoUpdate = 53,
    /// Conv: reply to member_info_update.
    MemberInfoUpdated = 54,
    /// Conv: a member's role changed (notification).
    MemberInfoChanged = 55,
    /// Conv: a temporary conversation has ended; known to the Swift SDK only.
    Expire = 56,
    /// Room: join a group.
    Join = 80,
    /// Room: invite into a group.
    Invite = 81,
    /// Room: leave a group.
    Leave = 82,
    /// Room: remove from a group.
    Kick = 83,
    /// Room: the operation was refused.
    Reject = 84,
    /// Room: reply to or notification of invite.
    Invited = 85,
    /// Room: reply to or notification of kick.
    Kicked = 86,
    /// Report: here is a device token.
    Upload = 100,
    /// Report: reply to upload.
    Uploaded = 101,
    /// Pubsub: unused.
    Subscribe = 120,
    /// Pubsub: unused.
    Subscribed = 121,
    /// Pubsub: unused.
    Unsubscribe = 122,
    /// Pubsub: unused.
    Unsubscribed = 123,
    /// Pubsub: unused.
    IsSubscribed = 124,
    /// Patch: request, and also the notification.
    Modify = 150,
    /// Patch: reply to modify.
    Modified = 151,
    /// Blacklist: block clients of a conversation.
    Block = 170,
    /// Blacklist: unblock clients of a conversation.
    Unblock = 171,
    /// Blacklist: reply to block. Conv: you were blocked (notification).
    Blocked = 172,
    /// Blacklist: reply to unblock. Conv: you were unblocked (notification).
    Unblocked = 173,
    /// Conv: members were blocked (notification).
    MembersBlocked = 174,
    /// Conv: members were unblocked (notification).
    MembersUnblocked = 175,
    /// Blacklist: are these clients blocked.
    CheckBlock = 176,
    /// Reply to check_block and check_shutup.
    CheckResult = 177,
    /// Conv: silence members.
    AddShutup = 180,
    /// Conv: let silenced members speak again.
    RemoveShutup = 181,
    /// Conv: page of the silenced members.
    QueryShutup = 182,
    /// Conv: reply to add_shutup.
    ShutupAdded = 183,
    /// Conv: reply to remove_shutup.
    ShutupRemoved = 184,
    /// Conv: reply to query_shutup.
    ShutupResult = 185,
    /// Conv: you were silenced (notification).
    Shutuped = 186,
    /// Conv: you may speak again (notification).
    Unshutuped = 187,
    /// Conv: members were silenced (notification).
    MembersShutuped = 188,
    /// Conv: members may speak again (notification).
    MembersUnshutuped = 189,
    /// Conv: are these members silenced.
    CheckShutup = 190,
}
impl OpType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Close => "close",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Query => "query",
            Self::QueryResult => "query_result",
            Self::Conflict => "conflict",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Refresh => "refresh",
            Self::Refreshed => "refreshed",
            Self::Start => "start",
            Self::Started => "started",
            Self::Joined => "joined",
            Self::MembersJoined => "members_joined",
            Self::Left => "left",
            Self::MembersLeft => "members_left",
            Self::Results => "results",
            Self::Count => "count",
            Self::Result => "result",
            Self::Update => "update",
            Self::Updated => "updated",
            Self::Mute => "mute",
            Self::Unmute => "unmute",
            Self::Status => "status",
            Self::Members => "members",
            Self::MaxRead => "max_read",
            Self::IsMember => "is_member",
            Self::MemberInfoUpdate => "member_info_update",
            Self::MemberInfoUpdated => "member_info_updated",
            Self::MemberInfoChanged => "member_info_changed",
            Self::Expire => "expire",
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Leave => "leave",
            Self::Kick => "kick",
            Self::Reject => "reject",
            Self::Invited => "invited",
            Self::Kicked => "kicked",
            Self::Upload => "upload",
            Self::Uploaded => "uploaded",
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
            Self::IsSubscribed => "is_subscribed",
            Self::Modify => "modify",
            Self::Modified => "modified",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
            Self::MembersBlocked => "members_blocked",
            Self::MembersUnblocked => "members_unblocked",
            Self::CheckBlock => "check_block",
            Self::CheckResult => "check_result",
            Self::AddShutup => "add_shutup",
            Self::RemoveShutup => "remove_shutup",
            Self::QueryShutup => "query_shutup",
            Self::ShutupAdded => "shutup_added",
            Self::ShutupRemoved => "shutup_removed",
            Self::ShutupResult => "shutup_result",
            Self::Shutuped => "shutuped",
            Self::Unshutuped => "unshutuped",
            Self::MembersShutuped => "members_shutuped",
            Self::MembersUnshutuped => "members_unshutuped",
            Self::CheckShutup => "check_shutup",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "open" => Some(Self::Open),
            "add" => Some(Self::Add),
            "remove" => Some(Self::Remove),
            "close" => Some(Self::Close),
            "opened" => Some(Self::Opened),
            "closed" => Some(Self::Closed),
            "query" => Some(Self::Query),
            "query_result" => Some(Self::QueryResult),
            "conflict" => Some(Self::Conflict),
            "added" => Some(Self::Added),
            "removed" => Some(Self::Removed),
            "refresh" => Some(Self::Refresh),
            "refreshed" => Some(Self::Refreshed),
            "start" => Some(Self::Start),
            "started" => Some(Self::Started),
            "joined" => Some(Self::Joined),
            "members_joined" => Some(Self::MembersJoined),
            "left" => Some(Self::Left),
            "members_left" => Some(Self::MembersLeft),
            "results" => Some(Self::Results),
            "count" => Some(Self::Count),
            "result" => Some(Self::Result),
            "update" => Some(Self::Update),
            "updated" => Some(Self::Updated),
            "mute" => Some(Self::Mute),
            "unmute" => Some(Self::Unmute),
            "status" => Some(Self::Status),
            "members" => Some(Self::Members),
            "max_read" => Some(Self::MaxRead),
            "is_member" => Some(Self::IsMember),
            "member_info_update" => Some(Self::MemberInfoUpdate),
            "member_info_updated" => Some(Self::MemberInfoUpdated),
            "member_info_changed" => Some(Self::MemberInfoChanged),
            "expire" => Some(Self::Expire),
            "join" => Some(Self::Join),
            "invite" => Some(Self::Invite),
            "leave" => Some(Self::Leave),
            "kick" => Some(Self::Kick),
            "reject" => Some(Self::Reject),
            "invited" => Some(Self::Invited),
            "kicked" => Some(Self::Kicked),
            "upload" => Some(Self::Upload),
            "uploaded" => Some(Self::Uploaded),
            "subscribe" => Some(Self::Subscribe),
            "subscribed" => Some(Self::Subscribed),
            "unsubscribe" => Some(Self::Unsubscribe),
            "unsubscribed" => Some(Self::Unsubscribed),
            "is_subscribed" => Some(Self::IsSubscribed),
            "modify" => Some(Self::Modify),
            "modified" => Some(Self::Modified),
            "block" => Some(Self::Block),
            "unblock" => Some(Self::Unblock),
            "blocked" => Some(Self::Blocked),
            "unblocked" => Some(Self::Unblocked),
            "members_blocked" => Some(Self::MembersBlocked),
            "members_unblocked" => Some(Self::MembersUnblocked),
            "check_block" => Some(Self::CheckBlock),
            "check_result" => Some(Self::CheckResult),
            "add_shutup" => Some(Self::AddShutup),
            "remove_shutup" => Some(Self::RemoveShutup),
            "query_shutup" => Some(Self::QueryShutup),
            "shutup_added" => Some(Self::ShutupAdded),
            "shutup_removed" => Some(Self::ShutupRemoved),
            "shutup_result" => Some(Self::ShutupResult),
            "shutuped" => Some(Self::Shutuped),
            "unshutuped" => Some(Self::Unshutuped),
            "members_shutuped" => Some(Self::MembersShutuped),
            "members_unshutuped" => Some(Self::MembersUnshutuped),
            "check_shutup" => Some(Self::CheckShutup),
            _ => None,
        }
    }
}
/// Whether a watched peer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum StatusType {
    /// The peer came online.
    On = 1,
    /// The peer went offline.
    Off = 2,
}
impl StatusType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}
/// Kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum DeviceType {
    /// Neither of the others.
    Unknown = 0,
    /// Android.
    Android = 1,
    /// iOS.
    Ios = 2,
}
impl DeviceType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Android => "android",
            Self::Ios => "ios",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "unknown" => Some(Self::Unknown),
            "android" => Some(Self::Android),
            "ios" => Some(Self::Ios),
            _ => None,
        }
    }
}
