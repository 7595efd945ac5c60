//! Properties of commands and frames, and the byte-level examples of the protocol.

mod golden;
mod sample;

use proptest::prelude::*;
use prost::Message;

use self::sample::{any_envelope, one_of_each_kind};
use super::frame::{TO_CLIENT_BYTES_MAX, TO_SERVICE_BYTES_MAX};
use super::generated::{CommandType, GenericCommand, OpType};
use super::json::JSON_BYTES_MAX;
use super::{Command, Direction, Encoding, Envelope, FIELDS_MAX, Frame, Serial, WireError};

/// Decodes the serialized form of a struct that need not make sense.
fn decode(generic: &GenericCommand) -> Result<Envelope, WireError> {
    Envelope::from_bytes(&generic.encode_to_vec())
}

fn command(kind: CommandType) -> GenericCommand {
    GenericCommand {
        cmd: Some(kind.into()),
        i: Some(0),
        ..GenericCommand::default()
    }
}

#[test]
fn every_kind_of_command_comes_back_with_every_field() {
    let envelopes = one_of_each_kind();
    for (number, envelope) in (0..).zip(&envelopes) {
        assert_eq!(i32::from(envelope.command.kind()), number);
        let bytes = envelope.to_bytes();
        assert_eq!(Envelope::from_bytes(&bytes).as_ref(), Ok(envelope));
        // And byte for byte what the schema's own encoder makes of it.
        let generic = GenericCommand::decode(&*bytes).unwrap();
        assert_eq!(generic.encode_to_vec(), bytes);
    }
    assert_eq!(envelopes.len(), 22);
}

#[test]
fn what_a_command_lacks_is_said_and_its_serial_is_kept() {
    let serial = Some(Serial(0));
    for kind in (0..22).map(|number| CommandType::try_from(number).unwrap()) {
        let Err(error) = decode(&command(kind)) else {
            continue;
        };
        assert_eq!(error.serial(), serial, "{error}");
        assert_eq!(error.code().number(), 4114);
    }
    let missing_op = decode(&command(CommandType::Conv)).unwrap_err();
    assert_eq!(missing_op.to_string(), "Conv without an operation");
    let missing_body = decode(&command(CommandType::Direct)).unwrap_err();
    assert_eq!(missing_body.to_string(), "Direct without its body");
    let unknown = GenericCommand {
        cmd: Some(22),
        ..command(CommandType::Echo)
    };
    let number = 22;
    assert_eq!(
        decode(&unknown),
        Err(WireError::UnknownCommand { number, serial })
    );
    let unknown_op = GenericCommand {
        op: Some(34),
        ..command(CommandType::Conv)
    };
    assert_eq!(
        decode(&unknown_op).unwrap_err().to_string(),
        "Conv with unknown operation 34"
    );
    assert_eq!(
        Envelope::from_bytes(&[]),
        Err(WireError::MissingCommand { serial: None })
    );
}

#[test]
fn a_body_that_sdks_leave_out_when_empty_may_be_absent() {
    let close = GenericCommand {
        op: Some(OpType::Close.into()),
        ..command(CommandType::Session)
    };
    let closed = decode(&close).unwrap();
    assert_eq!(
        closed.command,
        Command::session(OpType::Close, Default::default())
    );
    assert!(decode(&command(CommandType::Login)).is_ok());
    assert!(decode(&command(CommandType::Loggedin)).is_ok());
}

#[test]
fn an_operation_on_a_command_that_has_none_is_ignored() {
    // The C# SDK writes one into history queries.
    let query = GenericCommand {
        op: Some(OpType::Open.into()),
        logs_message: Some(Default::default()),
        ..command(CommandType::Logs)
    };
    assert_eq!(decode(&query).unwrap().command.op(), None);
}

#[test]
fn a_field_that_is_present_and_zero_is_not_absent() {
    let envelope = Envelope::new(Command::Echo).with_serial(Serial(0));
    assert_eq!(envelope.to_bytes(), [0x08, 0x0e, 0x28, 0x00]);
    let read = Envelope::from_bytes(&envelope.to_bytes()).unwrap();
    assert_eq!(read.serial, Some(Serial(0)));
    let without = Envelope::from_bytes(&[0x08, 0x0e]).unwrap();
    assert_eq!(without.serial, None);
}

#[test]
fn unknown_fields_are_skipped() {
    // Field 200 as a varint, a text and a group around an echo.
    let frame = [
        0xc0, 0x0c, 0x05, 0x08, 0x0e, 0xc2, 0x0c, 0x01, b'x', 0xc3, 0x0c, 0x08, 0x01, 0xc4, 0x0c,
    ];
    let envelope = Envelope::from_bytes(&frame).unwrap();
    assert_eq!(envelope.command, Command::Echo);
}

#[test]
fn a_required_field_that_is_missing_refuses_the_whole_command() {
    // error { reason: "" } with the serial 5.
    let frame = [0x08, 0x07, 0x28, 0x05, 0xba, 0x06, 0x02, 0x12, 0x00];
    assert_eq!(
        Envelope::from_bytes(&frame),
        Err(WireError::MissingField {
            field: "ErrorCommand.code",
            serial: Some(Serial(5)),
        })
    );
}

#[test]
fn the_data_of_a_patch_need_not_be_text() {
    // patch/modify { patches: [{ data: ff fe }] }
    let frame = [
        0x08, 0x12, 0x10, 0x96, 0x01, 0x92, 0x07, 0x06, 0x0a, 0x04, 0x2a, 0x02, 0xff, 0xfe,
    ];
    let Command::Patch { body, .. } = Envelope::from_bytes(&frame).unwrap().command else {
        panic!("a patch");
    };
    assert_eq!(body.patches.first().unwrap().data, Some(vec![0xff, 0xfe]));
}

#[test]
fn text_that_is_not_utf8_is_malformed_and_not_repeated() {
    let frame = [0x08, 0x0e, 0x22, 0x02, 0xff, 0xfe];
    let error = Envelope::from_bytes(&frame).unwrap_err();
    assert!(matches!(error, WireError::Malformed { .. }), "{error}");
    assert_eq!(error.serial(), None);
}

#[test]
fn the_documented_commands_are_those_of_the_schema() {
    let page = include_str!("../../../docs/wire.md");
    for envelope in one_of_each_kind() {
        let kind = envelope.command.kind();
        let row = format!("\n| {} | {} | ", i32::from(kind), kind.as_str_name());
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn the_documented_limits_are_those_of_the_code() {
    let page = include_str!("../../../docs/wire.md");
    for limit in [
        format!("| a command from a client | {TO_SERVICE_BYTES_MAX} bytes"),
        format!(
            "| a command to a client | {} MiB",
            TO_CLIENT_BYTES_MAX >> 20
        ),
        format!("| fields of a command | {FIELDS_MAX} "),
        format!("| a piece of JSON, parsed | {} MiB", JSON_BYTES_MAX >> 20),
    ] {
        assert!(page.contains(&limit), "{limit}");
    }
}

proptest! {
    #[test]
    fn any_command_comes_back_through_either_encoding(envelope in any_envelope()) {
        for encoding in [Encoding::Binary, Encoding::Text] {
            let frame = Frame::encode(&envelope, encoding, Direction::ToClient).unwrap();
            let read = frame.decode(encoding, Direction::ToClient);
            prop_assert_eq!(read.as_ref(), Ok(&envelope));
        }
        let generic = GenericCommand::decode(&*envelope.to_bytes()).unwrap();
        prop_assert_eq!(generic.encode_to_vec(), envelope.to_bytes());
    }

    #[test]
    fn any_bytes_are_a_command_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        reads_or_refuses(&bytes);
    }

    #[test]
    fn any_text_is_a_command_or_an_error(text in "[A-Za-z0-9+/=]{0,64}|\\PC{0,30}") {
        let _ = Frame::text(&text).decode(Encoding::Text, Direction::ToService);
    }

    #[test]
    fn a_damaged_command_is_a_command_or_an_error(
        envelope in any_envelope(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = envelope.to_bytes();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        reads_or_refuses(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        reads_or_refuses(&bytes);
    }
}

/// A command that is read can be written, and reads the same again.
fn reads_or_refuses(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::from_bytes(bytes) {
        assert_eq!(Envelope::from_bytes(&envelope.to_bytes()), Ok(envelope));
    }
}
