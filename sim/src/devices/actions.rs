//! The actions of apps, and of people at other programs.

use std::time::Duration;

use crate::devices::streams;
use crate::dice::Dice;
use crate::shape::{At, Shape};

/// One action. A `pick` chooses among the existing things at that time; without any, nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The app goes online, taking over from other devices with its tag.
    Connect {
        /// The device.
        device: usize,
    },
    /// The app goes offline.
    Disconnect {
        /// The device.
        device: usize,
    },
    /// Asks for the one conversation with another user, or with all.
    CreateUnique {
        /// The device.
        device: usize,
        /// The other members.
        pick: u64,
    },
    /// Makes a conversation with all users, also where there is one already.
    CreateSeparate {
        /// The device.
        device: usize,
    },
    /// Sends messages, one right after the other.
    Send {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
        /// The number of messages.
        many: u8,
        /// True if the messages call everybody.
        calling: bool,
    },
    /// Sends a file.
    SendFile {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
    },
    /// Marks a conversation read.
    MarkRead {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
    },
    /// Pages back in a conversation: through its newest gap, or behind its oldest message.
    FetchHistory {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
        /// The number of messages.
        limit: u32,
    },
    /// Looks at a conversation.
    Focus {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
    },
    /// Asks how far others have read.
    FetchReceipts {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
    },
    /// Enqueues a failed entry again.
    Retry {
        /// The device.
        device: usize,
        /// The entry.
        pick: u64,
    },
    /// Gives an entry up.
    Discard {
        /// The device.
        device: usize,
        /// The entry.
        pick: u64,
    },
    /// Edits a message that the device sent.
    Edit {
        /// The device.
        device: usize,
        /// The message.
        pick: u64,
    },
    /// Recalls a message that the device sent.
    Recall {
        /// The device.
        device: usize,
        /// The message.
        pick: u64,
    },
    /// Sets an attribute of a conversation that no other device sets.
    SetAttribute {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
    },
    /// Mutes a conversation, or unmutes it.
    Mute {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
    },
    /// Adds a client to a conversation whose members may change, or removes one.
    ChangeMembers {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
        /// The number of the other user.
        whom: usize,
    },
    /// Leaves a conversation whose members may change.
    Quit {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
    },
    /// Joins a conversation, whether it is known here or not.
    Join {
        /// The device.
        device: usize,
        /// One of all conversations.
        pick: u64,
    },
    /// Marks a conversation read up to a message.
    ReadUntil {
        /// The device.
        device: usize,
        /// The conversation and the message.
        pick: u64,
    },
    /// Keeps a message as failed that could not be made ready.
    KeepFailed {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
    },
    /// Stores a message that came by another way.
    KeepForeign {
        /// The device.
        device: usize,
        /// One of all messages.
        pick: u64,
    },
    /// Sends a message again under its local id, as an app does that does not know if its first call came through.
    SendAgain {
        /// The device.
        device: usize,
        /// The conversation and the message.
        pick: u64,
    },
    /// Takes out an unsent message.
    Remove {
        /// The device.
        device: usize,
        /// The entry.
        pick: u64,
    },
    /// Another process of the app leaves messages for the engine, which finds them when it is told,
    /// or when it starts.
    Leave {
        /// The device.
        device: usize,
        /// The conversation.
        pick: u64,
        /// The number of messages.
        many: u8,
    },
    /// The app tells the engine that something may have been left.
    Import {
        /// The device.
        device: usize,
    },
    /// Asks for a conversation by its id, whether it is known here or not.
    FetchConversations {
        /// The device.
        device: usize,
        /// One of all conversations.
        pick: u64,
    },
    /// Asks for a session token.
    FreshToken {
        /// The device.
        device: usize,
    },
    /// The app goes to the background for a time.
    Pause {
        /// The device.
        device: usize,
        /// The duration.
        lasting: Duration,
    },
    /// A user at another program sends a message.
    OtherSends {
        /// The user.
        user: usize,
        /// The conversation.
        pick: u64,
        /// True if the message calls everybody.
        calling: bool,
    },
    /// A user at another program edits a message of their own.
    OtherEdits {
        /// The user.
        user: usize,
        /// The message.
        pick: u64,
    },
    /// A user at another program recalls a message of their own.
    OtherRecalls {
        /// The user.
        user: usize,
        /// The message.
        pick: u64,
    },
    /// A user at another program reads a conversation.
    OtherReads {
        /// The user.
        user: usize,
        /// The conversation.
        pick: u64,
    },
    /// A user at another program adds somebody to a conversation.
    OtherAdds {
        /// The user.
        user: usize,
        /// The conversation.
        pick: u64,
        /// The number of the other user.
        whom: usize,
    },
    /// A user at another program removes somebody from a conversation, or leaves it.
    OtherRemoves {
        /// The user.
        user: usize,
        /// The conversation.
        pick: u64,
        /// The number of the other user.
        whom: usize,
    },
    /// A user at another program says something in a conversation whose members may change.
    OtherSpeaks {
        /// The user.
        user: usize,
        /// The conversation, of those whose members may change.
        pick: u64,
    },
    /// A user at another program renames a conversation.
    OtherRenames {
        /// The user.
        user: usize,
        /// The conversation.
        pick: u64,
    },
}

impl Action {
    /// The device on which it happens; none for actions of users at other programs.
    pub(crate) const fn device(&self) -> Option<usize> {
        match self {
            Self::Connect { device }
            | Self::Disconnect { device }
            | Self::CreateUnique { device, .. }
            | Self::CreateSeparate { device }
            | Self::Send { device, .. }
            | Self::SendFile { device, .. }
            | Self::MarkRead { device, .. }
            | Self::FetchHistory { device, .. }
            | Self::Focus { device, .. }
            | Self::FetchReceipts { device, .. }
            | Self::Retry { device, .. }
            | Self::Discard { device, .. }
            | Self::Edit { device, .. }
            | Self::SetAttribute { device, .. }
            | Self::Mute { device, .. }
            | Self::ChangeMembers { device, .. }
            | Self::Recall { device, .. }
            | Self::Quit { device, .. }
            | Self::Join { device, .. }
            | Self::ReadUntil { device, .. }
            | Self::KeepFailed { device, .. }
            | Self::KeepForeign { device, .. }
            | Self::SendAgain { device, .. }
            | Self::Remove { device, .. }
            | Self::Leave { device, .. }
            | Self::Import { device }
            | Self::FetchConversations { device, .. }
            | Self::FreshToken { device }
            | Self::Pause { device, .. } => Some(*device),
            Self::OtherSends { .. }
            | Self::OtherEdits { .. }
            | Self::OtherRecalls { .. }
            | Self::OtherReads { .. }
            | Self::OtherAdds { .. }
            | Self::OtherRemoves { .. }
            | Self::OtherSpeaks { .. }
            | Self::OtherRenames { .. } => None,
        }
    }
}

/// The actions of a seed, by time.
pub(crate) fn actions(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut dice = Dice::stream(seed, "actions");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let many = dice.between(30, 120);
    let mut actions: Vec<At<Action>> = Vec::new();
    for device in 0..shape.devices {
        // Most apps go online when they start; some are used offline first.
        let latest = if dice.chance(700) { 2_000 } else { millis / 2 };
        let at = dice.millis(0, latest);
        let what = Action::Connect { device };
        actions.push(At { at, what });
    }
    for _ in 0..many {
        let at = Duration::from_millis(dice.below(millis));
        let what = action(&mut dice, shape);
        actions.push(At { at, what });
    }
    actions.extend(streams::all(seed, shape));
    actions.retain(|action| action.at < shape.chaos);
    actions.sort_by_key(|action| action.at);
    actions
}

fn action(dice: &mut Dice, shape: &Shape) -> Action {
    let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
    let pick = dice.number();
    if dice.chance(250) {
        return other(dice, shape, pick);
    }
    match dice.below(100) {
        0..4 => Action::Edit { device, pick },
        4..6 => Action::Recall { device, pick },
        6..8 => Action::SetAttribute { device, pick },
        8..9 => Action::Mute { device, pick },
        9..10 => Action::ChangeMembers {
            device,
            pick,
            whom: usize::try_from(pick / 11).unwrap_or(0) % (shape.users + 1),
        },
        10..36 => Action::Send {
            device,
            pick,
            many: if dice.chance(100) { 8 } else { 1 },
            calling: dice.chance(150),
        },
        36..38 => Action::Leave {
            device,
            pick,
            many: u8::try_from(dice.between(1, 5)).unwrap_or(1),
        },
        38..39 => Action::Import { device },
        39..40 => Action::FetchConversations { device, pick },
        40..48 => Action::CreateUnique { device, pick },
        48..54 => Action::CreateSeparate { device },
        54..66 => Action::MarkRead { device, pick },
        66..74 => Action::FetchHistory {
            device,
            pick,
            limit: u32::try_from(dice.between(1, 40)).unwrap_or(20),
        },
        74..79 => Action::Focus { device, pick },
        79..82 => Action::FetchReceipts { device, pick },
        82..86 => Action::Retry { device, pick },
        86..90 => Action::Discard { device, pick },
        90..93 => Action::Disconnect { device },
        93..94 => Action::FreshToken { device },
        94..98 => Action::Connect { device },
        _ => Action::Pause {
            device,
            lasting: dice.millis(100, 60_000),
        },
    }
}

fn other(dice: &mut Dice, shape: &Shape, pick: u64) -> Action {
    // One user more than there are users with devices: the last one is never an engine.
    let users = shape.users + 1;
    let user = usize::try_from(dice.number()).unwrap_or(0) % users;
    let whom = usize::try_from(dice.number()).unwrap_or(0) % users;
    match dice.below(100) {
        0..45 => Action::OtherSends {
            user,
            pick,
            calling: dice.chance(150),
        },
        45..57 => Action::OtherEdits { user, pick },
        57..67 => Action::OtherRecalls { user, pick },
        67..77 => Action::OtherReads { user, pick },
        77..85 => Action::OtherAdds { user, pick, whom },
        85..92 => Action::OtherRemoves { user, pick, whom },
        _ => Action::OtherRenames { user, pick },
    }
}
