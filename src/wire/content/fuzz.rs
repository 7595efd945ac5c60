//! Hostile payloads: a corpus that is cut, spliced and respelled at random, read and written.
//!
//! The suite reads twenty thousand; `cargo xtask fuzz payload` reads more, from another seed. A coverage-guided
//! fuzzer would need a nightly compiler, which this workspace does not use. The corpus and the mutations here
//! know the envelope instead.

use crate::splitmix;
use crate::wire::generated::DirectCommand;

use super::*;
use crate::model::reply::Reply;

/// Payloads of each kind, and some that break a rule each.
const CORPUS: &[&str] = &[
    r#"{"_lctype":-1,"_lctext":"hi \ud83d\ude00","_lcattrs":{"a":{"b":[1,null,1e300]}}}"#,
    r#"{"_lctype":-2,"_lcfile":{"objId":"0123","url":"https://f/x.png","metaData":{"name":"x","format":"png","width":640,"height":480,"size":18032,"mime_type":"image/png"}}}"#,
    r#"{"_lctype":-3,"_lcfile":{"url":"u","metaData":{"duration":12.3,"size":9000}}}"#,
    r#"{"_lctype":-4,"_lctext":"cap","_lcfile":{"url":"u","size":1000.0,"name":"a","metaData":{"name":"b"}}}"#,
    r#"{"_lctype":-5,"_lcloc":{"longitude":116.5,"latitude":39.9,"altitude":4}}"#,
    r#"{"_lctype":-6,"_lcfile":{"url":"u","extra":123456789012345678901234567890}}"#,
    r#"{"_lctype":-127,"_lctext":"gone"}"#,
    r#"{ "z":1.50, "_lctype" : 77, "a":[[[{}]]],"e":"\u8239" }"#,
    r#"{"_lctype":-1,"_lctext":"it is","_lcattrs":{"sampanReply":{"id":"fptKnuYYQMGdiSt_Zs7zDA","t":1700000000000,"from":"ben","text":"?"}}}"#,
    r#"{"_lctype":0,"x":"\ud800"}"#,
    "plain words",
    "",
    "[1,2]",
    r#""_lctype""#,
];

/// Pieces of JSON and of envelopes, to be put anywhere.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u",
    "\\ud83d",
    "\\udc00",
    "null",
    "true",
    "-0",
    "1e999",
    "-1e-999",
    "9007199254740993",
    "18446744073709551616",
    "0.1",
    "\"_lctype\":",
    "\"_lcfile\":",
    "\"metaData\":{",
    "\"url\":\"",
    "\"_lcattrs\":{",
    "\"_lcloc\":{\"longitude\":1,\"latitude\":2}",
    "\"sampanReply\":{",
    "船",
    "\u{0}",
    "\u{202e}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// Numbers that a seed decides.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        let number = splitmix::next(&mut self.0);
        let limit = u64::try_from(limit.max(1)).unwrap();
        usize::try_from(number % limit).unwrap()
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// A place between two characters.
    fn place(&mut self, text: &str) -> usize {
        let mut at = self.below(text.len().saturating_add(1));
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn span(&mut self, text: &str) -> std::ops::Range<usize> {
        let (one, other) = (self.place(text), self.place(text));
        one.min(other)..one.max(other)
    }

    /// One change to a text.
    fn mutate(&mut self, text: &mut String) {
        match self.below(6) {
            0 => text.insert_str(self.place(&text.clone()), self.pick(PIECES)),
            1 => text.replace_range(self.span(&text.clone()), ""),
            2 => text.replace_range(self.span(&text.clone()), self.pick(PIECES)),
            3 => {
                let other = self.pick(CORPUS);
                let part = other.get(self.span(other)).unwrap_or_default();
                text.insert_str(self.place(&text.clone()), part);
            }
            4 => {
                let digit = ["0", "9", "-", ".", "e"][self.below(5)];
                text.insert_str(self.place(&text.clone()), digit);
            }
            _ => {
                let span = self.span(&text.clone());
                let part = text.get(span).unwrap_or_default().to_owned();
                text.insert_str(self.place(&text.clone()), &part);
            }
        }
    }

    fn payload(&mut self) -> Payload {
        let mut text = self.pick(CORPUS).to_owned();
        for _ in 0..self.below(5) {
            self.mutate(&mut text);
        }
        match self.below(12) {
            0 => {
                let mut bytes = text.into_bytes();
                let at = self.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = byte.wrapping_add(1);
                }
                Payload::Binary(bytes)
            }
            _ => Payload::Text(text),
        }
    }
}

/// Checks the rules that hold for any payload.
fn check(payload: &Payload) {
    let content = decode(payload.clone());
    let written = encode(&content);
    // A payload that was read once is read so for ever, by everybody.
    assert_eq!(decode(written.clone()), content);
    assert_eq!(encode(&decode(written.clone())), written);
    match (&content, payload) {
        // Unknown content goes on to the byte, but for halves of emoji, which are no characters.
        (MessageContent::Plain { .. } | MessageContent::Binary { .. }, _) => {
            assert_eq!(written, *payload);
        }
        (MessageContent::Custom { .. }, Payload::Text(text)) => {
            assert_eq!(written, Payload::Text(without_halves(text).into_owned()));
        }
        _ => {}
    }
    let _ = (content.check(), content.words(), kind_of(payload));
    assert_eq!(
        format!("{content:?}"),
        format!("MessageContent::{}(..)", content.kind_name())
    );
    if let Some(reply) = Reply::of(&content) {
        let again = reply.put_into(MessageContent::text("x")).unwrap();
        assert_eq!(Reply::of(&again), Some(reply));
    }
    // The fields of commands carry it to the same content.
    let (msg, binary_msg) = payload.clone().into_fields();
    let body = DirectCommand {
        msg,
        binary_msg,
        ..DirectCommand::default()
    };
    let read = Payload::from_fields(body.msg, body.binary_msg);
    if !payload.is_empty() {
        assert_eq!(read.as_ref(), Some(payload));
    }
}

/// A number that was asked for from outside.
fn wanted(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn any_payload_is_read_without_loss_and_without_a_panic() {
    let cases = wanted("SAMPAN_FUZZ_CASES").unwrap_or(20_000);
    let from = wanted("SAMPAN_FUZZ_FROM").unwrap_or(1);
    for case in 0..cases {
        let seed = from.wrapping_add(case);
        let payload = Chance(seed).payload();
        let outcome = std::panic::catch_unwind(|| check(&payload));
        assert!(
            outcome.is_ok(),
            "SAMPAN_FUZZ_CASES=1 SAMPAN_FUZZ_FROM={seed}: {payload:?}"
        );
    }
}
