//! How large a world is and how it is set up, and when things happen in it.

use std::time::Duration;

use sampan::wire::OfflineMode;

use crate::dice::Dice;

/// Something that happens at a time, counted from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// When.
    pub at: Duration,
    /// What.
    pub what: T,
}

/// How large the world is, and how it is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many users have devices.
    pub users: usize,
    /// How many devices there are; device `n` is of user `n` modulo the users.
    pub devices: usize,
    /// How long apps act and faults strike. Then everything heals and must come to rest.
    pub chaos: Duration,
    /// Messages that the conversation of all users holds before the run, some at equal times.
    pub imported: usize,
    /// Whether clients share engines, and so connections.
    pub sharing: Sharing,
    /// What the service does about messages that a user missed.
    pub offline: Offline,
    /// Whether devices of one user share a tag, so that one of them is signed in at a time.
    pub tags: Tags,
    /// The life of session tokens.
    pub token_ttl: Duration,
    /// The largest unread count that the service tells.
    pub unread_cap: u32,
    /// How many messages a device fetches of a conversation by itself.
    pub catch_up_max: u32,
    /// How the outbox paces itself.
    pub pace: Pace,
    /// What the service does with requests above the hosted service's limits.
    pub limiter: Limiter,
    /// Whether the app has a signer, which takes its time and fails now and then.
    pub signer: Signer,
}

/// Whether clients share engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Each has an engine of its own.
    None,
    /// Two by two they share an engine: its connection, its clock, its power.
    Pairs,
}

/// What the service does about messages that a user missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// It tells how many there are (`lc.protobuf2.3`).
    Unread,
    /// It pushes them, once (`lc.protobuf2.1`).
    Push,
}

/// Whether devices of one user share a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Nobody has a tag: all devices may be signed in at once.
    None,
    /// The devices of a user push each other off.
    Shared,
}

/// How the outbox paces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// By the limits of the hosted service, which forgets the tokens of messages after minutes.
    Hosted,
    /// Without limits, against a service that never forgets a token.
    Unthrottled,
}

/// What the service does with requests above the hosted service's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// It has none.
    None,
    /// It answers them with a number.
    Told,
    /// It does not answer them at all.
    Silent,
}

/// Whether the app has a signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// It has none.
    None,
    /// It has one, slow and sometimes failing.
    Slow,
}

impl Shape {
    /// How many engines there are.
    pub(crate) const fn engines(&self) -> usize {
        match self.sharing {
            Sharing::None => self.devices,
            Sharing::Pairs => self.devices.div_ceil(2),
        }
    }

    /// The engine on which a client runs. Two clients of one engine are of different users.
    pub(crate) const fn engine_of(&self, device: usize) -> usize {
        match self.sharing {
            Sharing::None => device,
            Sharing::Pairs => device / 2,
        }
    }

    /// Whether the service forgets the tokens of messages.
    pub(crate) fn forgets_tokens(&self) -> bool {
        self.pace == Pace::Hosted
    }

    pub(crate) const fn offline_mode(&self) -> OfflineMode {
        match self.offline {
            Offline::Unread => OfflineMode::Unread,
            Offline::Push => OfflineMode::Push,
        }
    }

    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::stream(seed, "shape");
        let users = usize::try_from(dice.between(2, 3)).unwrap_or(2);
        let pace = if Dice::stream(seed, "pace").chance(500) {
            Pace::Hosted
        } else {
            Pace::Unthrottled
        };
        let devices = users + usize::try_from(dice.below(3)).unwrap_or(0);
        Self {
            users,
            devices,
            chaos: Duration::from_secs(dice.between(60, 600)),
            imported: match dice.below(4) {
                0 => 0,
                1 => 10,
                2 => 60,
                _ => 150,
            },
            sharing: if Dice::stream(seed, "sharing").chance(250) {
                Sharing::Pairs
            } else {
                Sharing::None
            },
            offline: if Dice::stream(seed, "offline").chance(120) {
                Offline::Push
            } else {
                Offline::Unread
            },
            tags: if dice.chance(150) {
                Tags::Shared
            } else {
                Tags::None
            },
            token_ttl: Duration::from_secs(if dice.chance(300) { 60 } else { 172_800 }),
            unread_cap: if dice.chance(300) { 5 } else { 100 },
            catch_up_max: if dice.chance(400) { 10 } else { 100 },
            limiter: match Dice::stream(seed, "limiter").below(3) {
                0 if pace == Pace::Hosted => Limiter::Told,
                1 if pace == Pace::Hosted => Limiter::Silent,
                _ => Limiter::None,
            },
            pace,
            signer: if dice.chance(150) {
                Signer::Slow
            } else {
                Signer::None
            },
        }
    }
}
