//! Receipts, read marks, and unread counts.

use super::Timestamp;

/// The messages of one conversation that a client has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Unread {
    /// How many messages: own, transient and recalled ones don't count.
    pub count: u32,
    /// True if `count` is only a lower bound: the service counts to its cap, and not all of the
    /// history is on this device.
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

    /// True if nothing is unread.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.count == 0 && !self.at_least && !self.mentioned
    }
}

/// Until when a conversation's messages were delivered to, and read by, the other side.
///
/// Marks only move forward; a mark covers every message not newer than itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Receipt {
    /// The newest time that was delivered.
    pub delivered_until: Option<Timestamp>,
    /// The newest time that was read.
    pub read_until: Option<Timestamp>,
}

impl Receipt {
    /// Raises the marks to those of `other`; a mark is never lowered. True when one moved.
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
