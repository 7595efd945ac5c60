//! Subprotocols: the form of frames, and the way in which a client learns of missed messages.

use std::fmt;

/// The form of frames: bytes or text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// A binary message holds a serialized command.
    Binary,
    /// A text message holds its base64: the standard alphabet, padded.
    Text,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Binary => "binary",
            Self::Text => "text",
        })
    }
}

/// The way in which a client learns of messages that it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfflineMode {
    /// Version 1: the service pushes the stored messages after the session opens.
    Push,
    /// Version 3: the service sends unread counts; the client asks for history.
    Unread,
}

/// The subprotocol that a client proposes in `Sec-WebSocket-Protocol`, and the service must echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subprotocol {
    /// Bytes or text.
    pub encoding: Encoding,
    /// The way to learn of missed messages, once a session is open.
    pub offline_mode: OfflineMode,
}

impl Subprotocol {
    /// The default proposal of every current SDK, and of this engine.
    pub const DEFAULT: Self = Self {
        encoding: Encoding::Binary,
        offline_mode: OfflineMode::Unread,
    };

    /// All four.
    pub const ALL: [Self; 4] = [
        Self::DEFAULT,
        Self::of(Encoding::Binary, OfflineMode::Push),
        Self::of(Encoding::Text, OfflineMode::Unread),
        Self::of(Encoding::Text, OfflineMode::Push),
    ];

    const fn of(encoding: Encoding, offline_mode: OfflineMode) -> Self {
        Self {
            encoding,
            offline_mode,
        }
    }

    /// Its name in the header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self.encoding, self.offline_mode) {
            (Encoding::Binary, OfflineMode::Push) => "lc.protobuf2.1",
            (Encoding::Binary, OfflineMode::Unread) => "lc.protobuf2.3",
            (Encoding::Text, OfflineMode::Push) => "lc.proto2base64.1",
            (Encoding::Text, OfflineMode::Unread) => "lc.proto2base64.3",
        }
    }

    /// The subprotocol of that name, if it is one of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The first one of ours in a `Sec-WebSocket-Protocol` header. The SDKs propose one, but the
    /// header may hold a list, separated by commas.
    #[must_use]
    pub fn choose(header: &str) -> Option<Self> {
        header.split(',').find_map(|name| Self::parse(name.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subprotocol_is_found_by_its_own_name_and_by_no_other() {
        for subprotocol in Subprotocol::ALL {
            assert_eq!(Subprotocol::parse(subprotocol.name()), Some(subprotocol));
        }
        assert_eq!(Subprotocol::parse("lc.protobuf2.2"), None);
        assert_eq!(
            Subprotocol::choose("chat, lc.proto2base64.1"),
            Subprotocol::parse("lc.proto2base64.1")
        );
    }
}
