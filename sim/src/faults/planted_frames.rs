//! The planted faults of frames: the frames of a broken client, or frames that it misreads.

use sampan::wire::generated::PatchItem;
use sampan::wire::{Command, Envelope, Op, Retry, ServiceCode};

use crate::faults::planted::Mutation;

/// Farther than any run goes: about twelve days of milliseconds.
const AHEAD_MILLIS: i64 = 1_000_000_000;

/// The number of a refusal after which no client tries again: a hook of the app refused.
const FOR_GOOD: i32 = 4402;

/// The words of a planted edit.
const WRONG: &[u8] = br#"{"_lctype":-1,"_lctext":"wrong"}"#;

/// The command that leaves a second time; `count` counts them.
pub(crate) fn again(mutation: Mutation, count: u64, envelope: &Envelope) -> Option<Envelope> {
    if mutation != Mutation::SentTwice || !count.is_multiple_of(5) {
        return None;
    }
    let mut again = envelope.clone();
    let Command::Direct(body) = &mut again.command else {
        return None;
    };
    body.dt = None;
    again.serial = None;
    Some(again)
}

/// Changes a command on its way to the service. None if the command never arrives.
pub(crate) fn up(mutation: Mutation, mut envelope: Envelope) -> Option<Envelope> {
    let peer = envelope.peer_id.clone();
    match (mutation, &mut envelope.command) {
        (Mutation::LostToken, Command::Direct(body)) => body.dt = None,
        (Mutation::UnreadCursorAhead, Command::Session { op: Op::Open, body }) => {
            ahead(&mut body.last_unread_notif_time);
        }
        (Mutation::PatchCursorAhead, Command::Session { op: Op::Open, body }) => {
            ahead(&mut body.last_patch_time);
        }
        (Mutation::LostReadMark, Command::Read(_)) => return None,
        (Mutation::ShortMark, Command::Read(body)) => {
            for mark in &mut body.convs {
                mark.timestamp = mark.timestamp.map(|at| at - 1);
            }
        }
        (
            Mutation::WrongEdit | Mutation::LostRecall,
            Command::Patch {
                op: Op::Modify,
                body,
            },
        ) => {
            for item in &mut body.patches {
                wrong_patch(mutation, item);
            }
        }
        (
            Mutation::WrongAttribute,
            Command::Conv {
                op: Op::Update,
                body,
            },
        ) => {
            if let Some(changes) = &mut body.attr {
                changes.data = zeroed(&changes.data);
            }
        }
        (
            Mutation::WrongMute,
            Command::Conv {
                op: op @ Op::Mute, ..
            },
        ) => *op = Op::Unmute,
        (
            Mutation::WrongQuit,
            Command::Conv {
                op: op @ Op::Remove,
                body,
            },
        ) if body.m.first() == peer.as_ref() => *op = Op::Add,
        (
            Mutation::WrongMember,
            Command::Conv {
                op: Op::Add | Op::Remove,
                body,
            },
        ) => {
            // A user without a device takes another's place.
            body.m = vec!["u9".to_owned()];
        }
        _ => {}
    }
    Some(envelope)
}

fn wrong_patch(mutation: Mutation, item: &mut PatchItem) {
    let recalls = item.recall == Some(true);
    match mutation {
        Mutation::WrongEdit if !recalls => item.data = Some(WRONG.to_vec()),
        Mutation::LostRecall if recalls => {
            item.recall = None;
            item.data = Some(WRONG.to_vec());
        }
        _ => {}
    }
}

/// The same changes, each to zero.
fn zeroed(changes: &str) -> String {
    let Ok(serde_json::Value::Object(mut changes)) = serde_json::from_str(changes) else {
        return changes.to_owned();
    };
    for value in changes.values_mut().filter(|value| value.is_number()) {
        *value = 0.into();
    }
    serde_json::Value::Object(changes).to_string()
}

/// Changes a command on its way to the device; `count` counts them. None if the command never arrives.
pub(crate) fn down(mutation: Mutation, count: u64, mut envelope: Envelope) -> Option<Envelope> {
    let is_answer = envelope.serial.is_some();
    match (mutation, &mut envelope.command) {
        (Mutation::LostMessage, Command::Direct(_)) if count.is_multiple_of(7) => return None,
        (Mutation::ShortPage, Command::Logs(body)) if body.logs.len() > 2 => {
            body.logs.remove(1);
        }
        (Mutation::LostPatch, Command::Patch { op: Op::Modify, .. }) if !is_answer => return None,
        (Mutation::WrongUnread, Command::Unread(body)) => {
            for tuple in &mut body.convs {
                tuple.unread += 1;
            }
        }
        (Mutation::WrongTime, Command::Direct(body)) => {
            body.timestamp = body.timestamp.map(|at| at + 1);
        }
        (Mutation::LostAcknowledgement, Command::Ack(_))
        | (Mutation::LostUnread, Command::Unread(_)) => {
            return None;
        }
        (Mutation::HarshVerdict, Command::Error(body)) if is_answer && passes(body.code) => {
            body.code = FOR_GOOD;
        }
        (Mutation::HarshVerdict, Command::Ack(body)) if body.code.is_some_and(passes) => {
            body.code = Some(FOR_GOOD);
        }
        (Mutation::WrongSender, Command::Direct(body)) => {
            body.from_peer_id = Some("u0".to_owned());
        }
        _ => {}
    }
    Some(envelope)
}

/// True for the number of a refusal after which the same command may succeed.
fn passes(code: i32) -> bool {
    let entry = ServiceCode::new(code).entry();
    entry.is_some_and(|entry| entry.retry == Retry::Later)
}

fn ahead(cursor: &mut Option<i64>) {
    *cursor = cursor.map(|at| at + AHEAD_MILLIS);
}
