//! Receipts, read marks, and unread counts.

use super::Timestamp;

/// The messages of one conversation that a client has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Unread {
    /// The number of unread messages; own, transient and recalled messages do not count.
    pub count: u32,
    /// True if `count` is only a lower bound: the service counts to its cap, and a part of the history is not
    /// on this device.
    pub at_least: bool,
    /// True if an unread message mentions the client.
    pub mentioned: bool,
}

impl Unread {
    /// Nothing unread.
    pub const NONE: Self = Self {
        count: 0,
        at_least: false,
        mentioned: false,
    };

    /// True if no message is unread.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.count == 0 && !self.at_least && !self.mentioned
    }
}

/// The times up to which the other side received and read a conversation's messages.
///
/// A mark only moves forward. A mark covers every message that is not newer than the mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Receipt {
    /// The newest delivered time.
    pub delivered_until: Option<Timestamp>,
    /// The newest read time.
    pub read_until: Option<Timestamp>,
}

impl Receipt {
    /// Raises the marks to those of `other`, and never lowers a mark. True if a mark moved.
    pub fn raise(&mut self, other: Self) -> bool {
        let before = *self;
        self.delivered_until = self.delivered_until.max(other.delivered_until);
        self.read_until = self.read_until.max(other.read_until);
        *self != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_raised_and_never_lowered() {
        let at = |millis| Some(Timestamp::from_millis(millis));
        let mut receipt = Receipt {
            delivered_until: at(10),
            read_until: None,
        };
        assert!(receipt.raise(Receipt {
            delivered_until: at(5),
            read_until: at(3)
        }));
        assert_eq!(
            receipt,
            Receipt {
                delivered_until: at(10),
                read_until: at(3)
            }
        );
        assert!(!receipt.raise(Receipt {
            delivered_until: at(9),
            read_until: None
        }));
    }
}
