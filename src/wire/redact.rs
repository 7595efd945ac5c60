//! The debug form of commands, for logs and failing tests: ids, times and numbers, and never texts of users,
//! tokens, signatures, push tokens or custom attributes.
//!
//! A message with such a secret has its `Debug` here. `tests/generated.rs` has the list of these messages,
//! which keeps prost from deriving their `Debug`.

use std::fmt;

use super::generated::{
    BlacklistCommand, ConvCommand, DirectCommand, JsonObjectMessage, LogItem, PatchItem,
    ReportCommand, RoomCommand, SessionCommand, UnreadTuple,
};

/// Prints the named fields, and the lengths of the hidden ones after them.
macro_rules! debug_without_secrets {
    ($name:ident { $($shown:ident),* } hiding { $($hidden:ident),* }) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut out = f.debug_struct(stringify!($name));
                $(out.field(stringify!($shown), &self.$shown);)*
                $(out.field(stringify!($hidden), &self.$hidden.as_ref().map(|it| Hidden(it.len())));)*
                out.finish_non_exhaustive()
            }
        }
    };
}

/// Stands for a present value that is not shown.
struct Hidden(usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}

debug_without_secrets! {
    SessionCommand {
        r, tag, device_id, session_peer_ids, online_session_peer_ids, st_ttl, code, reason,
        last_unread_notif_time, last_patch_time, config_bitmap
    } hiding { s, st, device_token }
}

debug_without_secrets! {
    DirectCommand {
        cid, id, from_peer_id, timestamp, r, transient, will, dt, patch_timestamp, conv_type
    } hiding { msg, binary_msg, push_data }
}

debug_without_secrets! {
    ConvCommand {
        m, transient, unique, cid, init_by, sort, limit, skip, flag, count, udate, cids, temp_conv,
        temp_conv_ids, allowed_pids, failed_pids, next, results, r#where, attr, attr_modified
    } hiding { s }
}

debug_without_secrets! {
    UnreadTuple { cid, unread, mid, timestamp, patch_timestamp, mentioned, conv_type }
    hiding { data, binary_msg }
}

debug_without_secrets! {
    LogItem { msg_id, from, timestamp, ack_at, read_at, patch_timestamp, bin, conv_type }
    hiding { data }
}

debug_without_secrets! {
    PatchItem { cid, mid, timestamp, recall, patch_timestamp, from, patch_code }
    hiding { data, binary_msg }
}

debug_without_secrets! {
    BlacklistCommand { src_cid, to_pids, limit, next, blocked_pids, allowed_pids, failed_pids }
    hiding { s }
}

debug_without_secrets! {
    RoomCommand { room_id, t, transient, room_peer_ids, by_peer_id } hiding { s }
}

debug_without_secrets! {
    ReportCommand { initiative, r#type } hiding { data }
}

impl fmt::Debug for JsonObjectMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonObjectMessage")
            .field(&Hidden(self.data.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_token_or_signature_is_shown() {
        let secret = || Some("hunter2".to_owned());
        let json = || {
            Some(JsonObjectMessage {
                data: "hunter2".to_owned(),
            })
        };
        let shown = [
            format!(
                "{:?}",
                SessionCommand {
                    s: secret(),
                    st: secret(),
                    device_token: secret(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                DirectCommand {
                    msg: secret(),
                    push_data: secret(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                ConvCommand {
                    s: secret(),
                    attr: json(),
                    r#where: json(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                UnreadTuple {
                    data: secret(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                LogItem {
                    data: secret(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                PatchItem {
                    data: Some(b"hunter2".to_vec()),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                BlacklistCommand {
                    s: secret(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                RoomCommand {
                    s: secret(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                ReportCommand {
                    data: secret(),
                    ..Default::default()
                }
            ),
        ];
        for text in shown {
            assert!(
                !text.contains("hunter2") && !text.contains("104, 117"),
                "{text}"
            );
            assert!(text.contains("<7 bytes>"), "{text}");
        }
    }
}
