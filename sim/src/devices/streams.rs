//! Actions that have a stream of chance of their own: where one is added, all other plans stay as they are.

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

/// Writes that apps make now and then.
fn rare_writes(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut dice = Dice::stream(seed, "rare writes");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let many = dice.below(10);
    let mut actions = Vec::new();
    for _ in 0..many {
        let at = Duration::from_millis(dice.below(millis));
        let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
        let pick = dice.number();
        let what = match dice.below(10) {
            0 => Action::Quit { device, pick },
            1..6 => Action::ReadUntil { device, pick },
            6..8 => Action::KeepFailed { device, pick },
            8 => Action::KeepForeign { device, pick },
            _ => Action::Remove { device, pick },
        };
        actions.push(At { at, what });
    }
    actions
}

/// Clients join conversations, most of which they have left or were removed from.
fn joins(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut dice = Dice::stream(seed, "joins");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let mut actions = Vec::new();
    for _ in 0..dice.below(4) {
        let at = Duration::from_millis(dice.below(millis));
        let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
        let pick = dice.number();
        let what = Action::Join { device, pick };
        actions.push(At { at, what });
    }
    actions
}

/// Users are removed from a conversation and added again; meanwhile something is said there, and
/// right after too. Half of those who are removed are offline when they are added, and are spoken to
/// in the moment in which they come online.
fn absences(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut dice = Dice::stream(seed, "absences");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let mut actions = Vec::new();
    for _ in 0..dice.below(4) {
        let mut at = Duration::from_millis(dice.below(millis));
        let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
        let whom = device % shape.users;
        let user = (whom + 1) % shape.users;
        let pick = dice.number();
        let offline = dice.chance(500);
        let mut then = |what, dice: &mut Dice, latest| {
            at += dice.millis(1, latest);
            actions.push(At { at, what });
        };
        then(Action::OtherRemoves { user, pick, whom }, &mut dice, 1);
        if offline {
            then(Action::Disconnect { device }, &mut dice, 3_000);
        }
        for _ in 0..dice.below(3) {
            then(Action::OtherSpeaks { user, pick }, &mut dice, 3_000);
        }
        then(Action::OtherAdds { user, pick, whom }, &mut dice, 3_000);
        if offline {
            then(Action::Connect { device }, &mut dice, 3_000);
        }
        then(Action::OtherSpeaks { user, pick }, &mut dice, 300);
    }
    actions
}

/// Apps send messages again under the local id of before.
fn repeats(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut dice = Dice::stream(seed, "repeats");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let mut actions = Vec::new();
    for _ in 0..dice.below(4) {
        let at = Duration::from_millis(dice.below(millis));
        let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
        let pick = dice.number();
        let what = Action::SendAgain { device, pick };
        actions.push(At { at, what });
    }
    actions
}

/// Apps keep a message as failed and take out an unsent message soon after.
fn removals(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut dice = Dice::stream(seed, "removals");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let mut actions = Vec::new();
    for _ in 0..dice.below(3) {
        let at = Duration::from_millis(dice.below(millis));
        let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
        let pick = dice.number();
        let kept = Action::KeepFailed { device, pick };
        actions.push(At { at, what: kept });
        let at = at + dice.millis(1, 20_000);
        let pick = dice.number();
        let taken_out = Action::Remove { device, pick };
        actions.push(At {
            at,
            what: taken_out,
        });
    }
    actions
}

/// Files that apps send.
fn files(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut dice = Dice::stream(seed, "files");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let file = |_| {
        let at = Duration::from_millis(dice.below(millis));
        let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
        let pick = dice.number();
        let what = Action::SendFile { device, pick };
        At { at, what }
    };
    (0..Dice::stream(seed, "many files").below(9))
        .map(file)
        .collect()
}

/// In one of ten plans an app sends more messages at once than the hosted service takes in a minute.
fn bursts(seed: u64, shape: &Shape) -> Vec<At<Action>> {
    let mut dice = Dice::stream(seed, "bursts");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    if shape.pace != Pace::Hosted || !dice.chance(200) {
        return Vec::new();
    }
    let at = Duration::from_millis(dice.below(millis));
    let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
    let what = Action::Send {
        device,
        pick: dice.number(),
        many: 70,
        calling: false,
    };
    vec![At { at, what }]
}
