//! The byte-level examples of the protocol, appendix A: we write and read as the official SDKs do.

use crate::model::Timestamp;
use crate::wire::generated::{AckCommand, DirectCommand, SessionCommand};
use crate::wire::{Command, Direction, Encoding, Envelope, Frame, Op, Serial};

const CONVERSATION: &str = "5f0c0e3a9d1f2b0006a1b2c3";
const MESSAGE: &str = "fptKnuYYQMGdiSt_Zs7zDA";

/// Bytes from hex with spaces between them.
fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn check(envelope: &Envelope, expected: &[u8]) {
    assert_eq!(envelope.to_bytes(), expected);
    assert_eq!(Envelope::from_bytes(expected).as_ref(), Ok(envelope));
}

#[test]
fn a_session_is_opened_as_the_javascript_sdk_does() {
    let body = SessionCommand {
        ua: Some("js/5.0.0-rc.8".into()),
        r: Some(false),
        config_bitmap: Some(0xbb),
        ..SessionCommand::default()
    };
    let open = Envelope {
        app_id: Some("myApp".into()),
        ..Envelope::new(Command::session(Op::Open, body))
            .with_serial(Serial(1))
            .with_peer("Tom")
    };
    let expected = bytes(
        "08 00  10 01  1a 05 6d 79 41 70 70  22 03 54 6f 6d  28 01
         b2 06 15 22 0d 6a 73 2f 35 2e 30 2e 30 2d 72 63 2e 38  28 00  98 01 bb 01",
    );
    check(&open, &expected);

    let text = "CAAQARoFbXlBcHAiA1RvbSgBsgYVIg1qcy81LjAuMC1yYy44KACYAbsB";
    let frame = Frame::encode(&open, Encoding::Text, Direction::ToService).unwrap();
    assert_eq!(frame, Frame::text(text));
    let read = Frame::text(text).decode(Encoding::Text, Direction::ToService);
    assert_eq!(read, Ok(open));
}

#[test]
fn an_opened_session_has_token_and_time() {
    let body = SessionCommand {
        st: Some("tok".into()),
        st_ttl: Some(172_800),
        ..SessionCommand::default()
    };
    let opened = Envelope {
        server_ts: Some(Timestamp::from_millis(1_700_000_000_123)),
        ..Envelope::new(Command::session(Op::Opened, body))
            .with_serial(Serial(1))
            .with_peer("Tom")
    };
    let expected = bytes(
        "08 00  10 05  22 03 54 6f 6d  28 01  48 fb d0 95 ff bc 31
         b2 06 09 52 03 74 6f 6b  58 80 c6 0a",
    );
    check(&opened, &expected);
}

#[test]
fn a_message_and_its_acknowledgement_share_a_serial() {
    let text = "{\"_lctype\":-1,\"_lctext\":\"hi\"}";
    let direct = Envelope::new(Command::direct(DirectCommand {
        msg: Some(text.into()),
        cid: Some(CONVERSATION.into()),
        dt: Some("d-1".into()),
        ..DirectCommand::default()
    }))
    .with_serial(Serial(2));
    let mut expected = bytes("08 02  28 02  c2 06 3e  0a 1d");
    expected.extend(text.bytes());
    expected.extend(bytes("5a 18"));
    expected.extend(CONVERSATION.bytes());
    expected.extend(bytes("72 03 64 2d 31"));
    check(&direct, &expected);

    let ack = direct
        .reply(Command::ack(AckCommand {
            cid: Some(CONVERSATION.into()),
            t: Some(1_700_000_000_456),
            uid: Some(MESSAGE.into()),
            ..AckCommand::default()
        }))
        .with_peer("Tom");
    let mut expected = bytes("08 03  22 03 54 6f 6d  28 02  ca 06 39  22 18");
    expected.extend(CONVERSATION.bytes());
    expected.extend(bytes("28 c8 d3 95 ff bc 31  32 16"));
    expected.extend(MESSAGE.bytes());
    check(&ack, &expected);
}

#[test]
fn an_echo_counts_from_any_number() {
    let echo = |number| Envelope::new(Command::Echo).with_serial(Serial(number));
    check(&echo(7), &bytes("08 0e 28 07"));
    check(
        &echo(-65_535),
        &bytes("08 0e 28 81 80 fc ff ff ff ff ff ff 01"),
    );
}

#[test]
fn a_body_follows_the_serial_and_peer_under_the_tag_of_the_schema() {
    let tags = [
        (0, "b2 06"),
        (1, "f2 06"),
        (2, "c2 06"),
        (3, "ca 06"),
        (4, "e2 06"),
        (5, "d2 06"),
        (6, "ea 06"),
        (7, "ba 06"),
        (9, "aa 06"),
        (11, "da 06"),
        (15, "aa 07"),
        (18, "92 07"),
        (20, "a2 07"),
    ];
    let envelopes = super::one_of_each_kind();
    for (kind, tag) in tags {
        let envelope: &Envelope = &envelopes[kind];
        let header = Envelope {
            command: Command::Echo,
            ..envelope.clone()
        }
        .to_bytes();
        let op = envelope
            .command
            .op()
            .map_or(0, |op| if op as i32 > 127 { 3 } else { 2 });
        let body = envelope.to_bytes().split_off(header.len() + op);
        assert!(body.starts_with(&bytes(tag)), "{kind}: {:02x?}", &body[..2]);
    }
}
