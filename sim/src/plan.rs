//! A plan: everything that a run will do, written down before it begins.
//!
//! A seed makes a plan; a test may write one by hand; shrinking takes parts of one away. The world
//! that carries a plan out draws nothing that would move when a part is taken away: each purpose
//! has its own stream of chance.

use std::time::Duration;

use sampan::wire::OfflineMode;

use crate::devices::actions::{Action, actions};
use crate::dice::Dice;
use crate::faults::kinds::{Fault, faults};
use crate::faults::planted::Mutation;

/// Something that happens at a time, counted from the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// When.
    pub at: Duration,
    /// What.
    pub what: T,
}

/// Everything that a run will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed of every stream of chance.
    pub seed: u64,
    /// How large the world is, and how it is set up.
    pub shape: Shape,
    /// What the apps do, by time.
    pub actions: Vec<At<Action>>,
    /// What goes wrong, by time.
    pub faults: Vec<At<Fault>>,
    /// The planted fault, if the run is to be caught out.
    pub mutation: Option<Mutation>,
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
    /// By the limits of the hosted service; tokens are trusted for minutes only.
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

impl Plan {
    /// The plan of a seed: a medium workload, and every kind of fault at its own rate.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let shape = Shape::of_seed(seed);
        Self {
            seed,
            actions: actions(seed, &shape),
            faults: faults(seed, &shape),
            shape,
            mutation: None,
        }
    }

    /// A plan without actions and faults, to be written by hand.
    #[must_use]
    pub fn calm(seed: u64, users: usize, devices: usize) -> Self {
        let shape = Shape {
            users,
            devices,
            chaos: Duration::ZERO,
            ..Shape::of_seed(seed)
        };
        let shape = Shape {
            imported: 0,
            sharing: Sharing::None,
            offline: Offline::Unread,
            tags: Tags::None,
            token_ttl: Duration::from_secs(86_400),
            unread_cap: 100,
            catch_up_max: 100,
            pace: Pace::Unthrottled,
            limiter: Limiter::None,
            signer: Signer::None,
            ..shape
        };
        Self {
            seed,
            shape,
            actions: Vec::new(),
            faults: Vec::new(),
            mutation: None,
        }
    }

    /// Adds an action. The chaos lasts at least until it.
    #[must_use]
    pub fn act(mut self, at: Duration, what: Action) -> Self {
        self.shape.chaos = self.shape.chaos.max(at + Duration::from_millis(1));
        self.actions.push(At { at, what });
        self
    }

    /// Adds a fault. The chaos lasts at least until it strikes.
    #[must_use]
    pub fn strike(mut self, at: Duration, what: Fault) -> Self {
        self.shape.chaos = self.shape.chaos.max(at + Duration::from_millis(1));
        self.faults.push(At { at, what });
        self
    }

    /// Lets the chaos last until a time.
    #[must_use]
    pub fn until(mut self, at: Duration) -> Self {
        self.shape.chaos = at;
        self
    }

    /// Takes the last device away, and all that happens on it.
    pub(crate) fn without_last_device(&mut self) {
        let last = self.shape.devices.saturating_sub(1);
        if last < self.shape.users {
            return;
        }
        self.shape.devices = last;
        self.actions.retain(|it| it.what.device() != Some(last));
        self.faults.retain(|it| it.what.device() != Some(last));
    }

    /// Plants a fault.
    #[must_use]
    pub const fn with(mut self, mutation: Mutation) -> Self {
        self.mutation = Some(mutation);
        self
    }
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

    pub(crate) const fn offline_mode(&self) -> OfflineMode {
        match self.offline {
            Offline::Unread => OfflineMode::Unread,
            Offline::Push => OfflineMode::Push,
        }
    }

    fn of_seed(seed: u64) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_plan_and_another_seed_another() {
        assert_eq!(Plan::of_seed(3), Plan::of_seed(3));
        assert_ne!(Plan::of_seed(3), Plan::of_seed(4));
    }

    #[test]
    fn everything_in_a_plan_lies_within_its_chaos_and_in_order() {
        for seed in 0..50 {
            let plan = Plan::of_seed(seed);
            assert!(plan.actions.is_sorted_by_key(|act| act.at));
            assert!(plan.faults.is_sorted_by_key(|fault| fault.at));
            assert!(plan.actions.iter().all(|act| act.at < plan.shape.chaos));
            assert!(plan.faults.iter().all(|fault| fault.at < plan.shape.chaos));
        }
    }
}
