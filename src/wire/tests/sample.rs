//! Commands made of random bytes, for the properties: every command, every field, present or not.
//!
//! A struct literal names all its fields, so a field that the schema gains is missed here by the
//! compiler.

use proptest::prelude::*;

use crate::model::Timestamp;
use crate::wire::generated::*;
use crate::wire::{Command, Envelope, Op, Serial};

/// Bytes to decide by. When they are used up it says no and zero, so a case shrinks with them.
pub(super) struct Entropy(std::vec::IntoIter<u8>);

impl Entropy {
    fn byte(&mut self) -> u8 {
        self.0.next().unwrap_or(0)
    }

    fn chance(&mut self) -> bool {
        self.byte() % 2 == 1
    }
}

/// A value made of entropy.
pub(super) trait Sample {
    /// Makes one.
    fn sample(entropy: &mut Entropy) -> Self;
}

impl Sample for bool {
    fn sample(entropy: &mut Entropy) -> Self {
        entropy.chance()
    }
}

impl Sample for u8 {
    fn sample(entropy: &mut Entropy) -> Self {
        entropy.byte()
    }
}

impl Sample for i32 {
    fn sample(entropy: &mut Entropy) -> Self {
        match entropy.byte() % 5 {
            0 => 0,
            1 => i32::from(entropy.byte()),
            2 => -65_535,
            3 => Self::MIN,
            _ => Self::MAX,
        }
    }
}

impl Sample for i64 {
    fn sample(entropy: &mut Entropy) -> Self {
        match entropy.byte() % 4 {
            0 => 0,
            1 => 1_700_000_000_000 + i64::from(entropy.byte()),
            2 => Self::MIN,
            _ => Self::MAX,
        }
    }
}

impl Sample for String {
    fn sample(entropy: &mut Entropy) -> Self {
        let length = entropy.byte() % 6;
        (0..length)
            .map(|_| if entropy.chance() { 'x' } else { '船' })
            .collect()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(entropy: &mut Entropy) -> Self {
        entropy.chance().then(|| T::sample(entropy))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(entropy: &mut Entropy) -> Self {
        let length = entropy.byte() % 3;
        (0..length).map(|_| T::sample(entropy)).collect()
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample(entropy: &mut Entropy) -> Self {
        Self::new(T::sample(entropy))
    }
}

impl Sample for Op {
    fn sample(entropy: &mut Entropy) -> Self {
        let ops: Vec<Self> = (0..200)
            .filter_map(|number| Self::try_from(number).ok())
            .collect();
        ops[usize::from(entropy.byte()) % ops.len()]
    }
}

impl Sample for Serial {
    fn sample(entropy: &mut Entropy) -> Self {
        Self(Sample::sample(entropy))
    }
}

impl Sample for Timestamp {
    fn sample(entropy: &mut Entropy) -> Self {
        Self::from_millis(Sample::sample(entropy))
    }
}

macro_rules! sample {
    ($name:ident { $($field:ident),* }) => {
        impl Sample for $name {
            fn sample(entropy: &mut Entropy) -> Self {
                Self { $($field: Sample::sample(entropy)),* }
            }
        }
    };
}

sample! { SessionCommand { t, n, s, ua, r, tag, device_id, session_peer_ids,
online_session_peer_ids, st, st_ttl, code, reason, device_token, sp, detail,
last_unread_notif_time, last_patch_time, config_bitmap, system_info } }
sample! { DirectCommand { msg, uid, from_peer_id, timestamp, offline, has_more, to_peer_ids, r, cid,
id, transient, dt, room_id, push_data, will, patch_timestamp, binary_msg, mention_pids,
mention_all, conv_type } }
sample! { AckCommand { code, reason, mid, cid, t, uid, fromts, tots, r#type, ids, app_code, app_msg
} }
sample! { ErrorCommand { code, reason, app_code, detail, pids, app_msg } }
sample! { ConvCommand { m, transient, unique, cid, cdate, init_by, sort, limit, skip, flag, count,
udate, t, n, s, status_sub, status_pub, status_ttl, unique_id, target_client_id,
max_read_timestamp, max_ack_timestamp, query_all_members, max_read_tuples, cids, info,
temp_conv, temp_conv_ttl, temp_conv_ids, allowed_pids, failed_pids, existing, next, results,
r#where, attr, attr_modified } }
sample! { JsonObjectMessage { data } }
sample! { ConvMemberInfo { pid, role, info_id } }
sample! { UnreadCommand { convs, notif_time } }
sample! { UnreadTuple { cid, unread, mid, timestamp, from, data, patch_timestamp, mentioned,
binary_msg, conv_type } }
sample! { ReadCommand { cid, cids, convs } }
sample! { ReadTuple { cid, timestamp, mid } }
sample! { MaxReadTuple { pid, max_ack_timestamp, max_read_timestamp } }
sample! { RcpCommand { id, cid, t, read, from } }
sample! { LogsCommand { cid, l, limit, t, tt, tmid, mid, checksum, stored, direction, t_included,
tt_included, lctype, logs } }
sample! { LogItem { from, data, timestamp, msg_id, ack_at, read_at, patch_timestamp, mention_all,
mention_pids, bin, conv_type } }
sample! { PatchCommand { patches, last_patch_time } }
sample! { PatchItem { cid, mid, timestamp, recall, data, patch_timestamp, from, binary_msg,
mention_all, mention_pids, patch_code, patch_reason } }
sample! { BlacklistCommand { src_cid, to_pids, src_pid, to_cids, limit, next, blocked_pids,
blocked_cids, allowed_pids, failed_pids, t, n, s } }
sample! { PresenceCommand { status, session_peer_ids, cid } }
sample! { RoomCommand { room_id, s, t, n, transient, room_peer_ids, by_peer_id } }
sample! { ReportCommand { initiative, r#type, data } }
sample! { DataCommand { ids, msg, offline } }
sample! { PubsubCommand { cid, cids, topic, subtopic, topics, subtopics, results } }
sample! { LoginCommand { system_info } }
sample! { LoggedinCommand { push_disabled } }
sample! { SystemInfo { device_type, os_version, android_version, is_emulator } }
sample! { SemanticVersion { major, minor, patch, pre_release, build } }
sample! { AndroidVersion { codename, api_level } }
sample! { Envelope {
    app_id, peer_id, serial, installation_id, priority, service, server_ts, client_ts,
    notification_type, command
} }

impl Sample for Command {
    fn sample(entropy: &mut Entropy) -> Self {
        let kind = CommandType::try_from(i32::from(entropy.byte() % 22)).unwrap();
        let op = Op::sample(entropy);
        match kind {
            CommandType::Session => Self::Session {
                op,
                body: Sample::sample(entropy),
            },
            CommandType::Conv => Self::Conv {
                op,
                body: Sample::sample(entropy),
            },
            CommandType::Direct => Self::Direct(Sample::sample(entropy)),
            CommandType::Ack => Self::Ack(Sample::sample(entropy)),
            CommandType::Rcp => Self::Rcp(Sample::sample(entropy)),
            CommandType::Unread => Self::Unread(Sample::sample(entropy)),
            CommandType::Logs => Self::Logs(Sample::sample(entropy)),
            CommandType::Error => Self::Error(Sample::sample(entropy)),
            CommandType::Login => Self::Login(Sample::sample(entropy)),
            CommandType::Data => Self::Data(Sample::sample(entropy)),
            CommandType::Room => Self::Room {
                op,
                body: Sample::sample(entropy),
            },
            CommandType::Read => Self::Read(Sample::sample(entropy)),
            CommandType::Presence => Self::Presence(Sample::sample(entropy)),
            CommandType::Report => Self::Report {
                op,
                body: Sample::sample(entropy),
            },
            CommandType::Echo => Self::Echo,
            CommandType::Loggedin => Self::Loggedin(Sample::sample(entropy)),
            CommandType::Logout => Self::Logout,
            CommandType::Loggedout => Self::Loggedout,
            CommandType::Patch => Self::Patch {
                op,
                body: Sample::sample(entropy),
            },
            CommandType::Pubsub => Self::Pubsub(Sample::sample(entropy)),
            CommandType::Blacklist => Self::Blacklist {
                op,
                body: Sample::sample(entropy),
            },
            CommandType::Goaway => Self::Goaway,
        }
    }
}

/// Any command with anything around it.
pub(super) fn any_envelope() -> impl Strategy<Value = Envelope> {
    prop::collection::vec(any::<u8>(), 0..400)
        .prop_map(|bytes| Envelope::sample(&mut Entropy(bytes.into_iter())))
}

/// One command of each kind, with every field present.
pub(super) fn one_of_each_kind() -> Vec<Envelope> {
    (0..22)
        .map(|kind| {
            // Entropy of ones: every option is there, every list has an entry. The envelope takes
            // two bytes for each of its fields before it comes to the kind of its command.
            let command = {
                let mut bytes = vec![1; 4000];
                bytes[0] = kind;
                Command::sample(&mut Entropy(bytes.into_iter()))
            };
            Envelope::new(command)
                .with_serial(Serial(-65_535))
                .with_peer("Tom")
        })
        .collect()
}
