//! The size and set-up of a world, and the times of its events.

use std::time::Duration;

use sampan::wire::OfflineMode;

use crate::dice::Dice;

/// Something that happens at a time, counted from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The time.
    pub at: Duration,
    /// The thing that happens.
    pub what: T,
}

/// The size and the set-up of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The number of users with devices.
    pub users: usize,
    /// The number of devices; device `n` is of user `n` modulo the users.
    pub devices: usize,
    /// The time for which apps act and faults strike. Then everything heals and must come to rest.
    pub chaos: Duration,
    /// Messages that the conversation of all users holds before the run, some at equal times.
    pub imported: usize,
    /// The sharing of engines, and so of connections, by clients.
    pub sharing: Sharing,
    /// The service's way with messages that a user missed.
    pub offline: Offline,
    /// The sharing of a tag by the devices of one user: of devices with one tag, one is signed in at a time.
    pub tags: Tags,
    /// The life of session tokens.
    pub token_ttl: Duration,
    /// The largest unread count that the service tells.
    pub unread_cap: u32,
    /// The most messages of a conversation that a device fetches by itself.
    pub catch_up_max: u32,
    /// The pace of the outbox.
    pub pace: Pace,
    /// The service's way with requests above the hosted service's limits.
    pub limiter: Limiter,
    /// The signer of the app, which takes its time and fails now and then.
    pub signer: Signer,
}

/// The sharing of engines by clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Each has an engine of its own.
    None,
    /// Two by two they share an engine: its connection, its clock, its power.
    Pairs,
}

/// The service's way with messages that a user missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offline {
    /// The service tells how many there are (`lc.protobuf2.3`).
    Unread,
    /// The service pushes them, once (`lc.protobuf2.1`).
    Push,
}

/// The sharing of a tag by the devices of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// Nobody has a tag: all devices may be signed in at once.
    None,
    /// The devices of a user push each other off.
    Shared,
}

/// The pace of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// By the limits of the hosted service, which forgets the tokens of messages after minutes.
    Hosted,
    /// Without limits, against a service that never forgets a token.
    Unthrottled,
}

/// The service's way with requests above the hosted service's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// The service has no limiter.
    None,
    /// The service answers them with a number.
    Told,
    /// The service does not answer them at all.
    Silent,
}

/// The signer of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// There is none.
    None,
    /// There is a slow one, which sometimes fails.
    Slow,
}

impl Shape {
    /// The number of engines.
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

    /// True if the service forgets the tokens of messages.
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
