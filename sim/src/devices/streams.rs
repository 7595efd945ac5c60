//! Actions with a stream of chance of their own: adding such an action leaves all other plans as they are.

use std::time::Duration;

use crate::devices::actions::Action;
use crate::dice::Dice;
use crate::shape::{At, Pace, Shape};

/// The actions of all streams, in no order.
pub(super) fn all(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let streams = [
        absences,
        rare_writes,
        joins,
        repeats,
        removals,
        bursts,
        files,
    ];
    streams.map(|stream| stream(seed, shape)).concat()
}

/// A stream's chance, and the conditions of its plan.
struct Stream<'a> {
    dice: Dice,
    shape: &'a Shape,
    millis: u64,
    actions: Vec<At<Action>>,
}

/// A time, a device and a choice among its things.
#[derive(Clone, Copy)]
struct Draw {
    at: Duration,
    device: usize,
    pick: u64,
}

impl<'a> Stream<'a> {
    fn new(seed: u64, name: &str, shape: &'a Shape) -> Self {
        Self {
            dice: Dice::stream(seed, name),
            shape,
            millis: u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX),
            actions: Vec::new(),
        }
    }

    fn draw(&mut self) -> Draw {
        Draw {
            at: Duration::from_millis(self.dice.below(self.millis)),
            device: usize::try_from(self.dice.number()).unwrap_or(0) % self.shape.devices.max(1),
            pick: self.dice.number(),
        }
    }

    fn add(&mut self, at: Duration, what: Action) {
        self.actions.push(At { at, what });
    }

    /// Each of the next draws has one action.
    fn each(mut self, many: u64, action: impl Fn(&mut Dice, Draw) -> Action) -> Vec<At<Action>> {
        for _ in 0..many {
            let drawn = self.draw();
            let what = action(&mut self.dice, drawn);
            self.add(drawn.at, what);
        }
        self.actions
    }
}

/// Writes that apps make now and then.
fn rare_writes(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut stream = Stream::new(seed, "rare writes", shape);
    let many = stream.dice.below(10);
    stream.each(many, |dice, Draw { device, pick, .. }| {
        match dice.below(10) {
            0 => Action::Quit { device, pick },
            1..6 => Action::ReadUntil { device, pick },
            6..8 => Action::KeepFailed { device, pick },
            8 => Action::KeepForeign { device, pick },
            _ => Action::Remove { device, pick },
        }
    })
}

/// Clients join conversations, most of which they have left or were removed from.
fn joins(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut stream = Stream::new(seed, "joins", shape);
    let many = stream.dice.below(4);
    stream.each(many, |_, Draw { device, pick, .. }| Action::Join {
        device,
        pick,
    })
}

/// Removes users from a conversation and adds them again; others send messages meanwhile, and right afterwards.
/// Half of the removed users are offline when they are added, and get messages at the moment when they come
/// online.
fn absences(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut stream = Stream::new(seed, "absences", shape);
    for _ in 0..stream.dice.below(4) {
        let Draw {
            mut at,
            device,
            pick,
        } = stream.draw();
        let whom = device % shape.users;
        let user = (whom + 1) % shape.users;
        let offline = stream.dice.chance(500);
        let mut then = |stream: &mut Stream<'_>, what, latest| {
            at += stream.dice.millis(1, latest);
            stream.add(at, what);
        };
        then(&mut stream, Action::OtherRemoves { user, pick, whom }, 1);
        if offline {
            then(&mut stream, Action::Disconnect { device }, 3_000);
        }
        for _ in 0..stream.dice.below(3) {
            then(&mut stream, Action::OtherSpeaks { user, pick }, 3_000);
        }
        then(&mut stream, Action::OtherAdds { user, pick, whom }, 3_000);
        if offline {
            then(&mut stream, Action::Connect { device }, 3_000);
        }
        then(&mut stream, Action::OtherSpeaks { user, pick }, 300);
    }
    stream.actions
}

/// Apps send messages again under the local id of before.
fn repeats(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut stream = Stream::new(seed, "repeats", shape);
    let many = stream.dice.below(4);
    stream.each(many, |_, Draw { device, pick, .. }| Action::SendAgain {
        device,
        pick,
    })
}

/// Apps keep a message as failed and take out an unsent message soon after.
fn removals(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut stream = Stream::new(seed, "removals", shape);
    for _ in 0..stream.dice.below(3) {
        let Draw { at, device, pick } = stream.draw();
        stream.add(at, Action::KeepFailed { device, pick });
        let at = at + stream.dice.millis(1, 20_000);
        let pick = stream.dice.number();
        stream.add(at, Action::Remove { device, pick });
    }
    stream.actions
}

/// Files that apps send.
fn files(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let many = Dice::stream(seed, "many files").below(9);
    let stream = Stream::new(seed, "files", shape);
    stream.each(many, |_, Draw { device, pick, .. }| Action::SendFile {
        device,
        pick,
    })
}

/// In one of ten plans an app sends more messages at once than the hosted service takes in a minute.
fn bursts(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut stream = Stream::new(seed, "bursts", shape);
    let many = u64::from(shape.pace == Pace::Hosted && stream.dice.chance(200));
    stream.each(many, |_, Draw { device, pick, .. }| Action::Send {
        device,
        pick,
        many: 70,
        calling: false,
    })
}
