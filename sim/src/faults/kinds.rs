//! The faults of the world, and their rates. A script names the same faults as a seed draws.

use std::time::Duration;

use sampan::sync::link::NetworkChange;

use sampan::wire::code::CODES;

use crate::dice::{Dice, nth};
use crate::shape::{At, Shape};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device reaches nobody: sockets go deaf, new ones never open.
    Split {
        /// The device.
        device: usize,
        /// The duration.
        lasting: Duration,
    },
    /// The device's socket breaks; both ends notice.
    Break {
        /// The device.
        device: usize,
    },
    /// The device's socket goes deaf for good; neither end is told.
    HalfOpen {
        /// The device.
        device: usize,
    },
    /// Frames from and to the device take long.
    Lag {
        /// The device.
        device: usize,
        /// The longest delay.
        lag: Duration,
        /// The duration.
        lasting: Duration,
    },
    /// Some answers to the device arrive after frames that were sent later.
    Reorder {
        /// The device.
        device: usize,
        /// The duration.
        lasting: Duration,
    },
    /// Some frames arrive at the device twice.
    Duplicate {
        /// The device.
        device: usize,
        /// The duration.
        lasting: Duration,
    },
    /// The service does not see some requests of the device, as when it throttles without a word.
    Ignore {
        /// The device.
        device: usize,
        /// The duration.
        lasting: Duration,
    },
    /// The service does what the device asks, and some of its answers are lost.
    Mute {
        /// The device.
        device: usize,
        /// The duration.
        lasting: Duration,
    },
    /// The service refuses some requests of the device with a number.
    Refuse {
        /// The device.
        device: usize,
        /// The number.
        code: i32,
        /// The duration.
        lasting: Duration,
    },
    /// The service refuses some sign-ins of the device with a number.
    RefuseSignIn {
        /// The device.
        device: usize,
        /// The number.
        code: i32,
        /// The duration.
        lasting: Duration,
    },
    /// The service closes the device's socket with a number.
    Close {
        /// The device.
        device: usize,
        /// The number.
        code: u16,
    },
    /// The service no longer knows the device's session token.
    ForgetToken {
        /// The device.
        device: usize,
    },
    /// An operator sends the client away.
    Kick {
        /// The device.
        device: usize,
    },
    /// The service asks the device to look it up anew.
    GoAway {
        /// The device.
        device: usize,
    },
    /// The operating system says something about the network, true or not.
    Hint {
        /// The device.
        device: usize,
        /// The hint.
        hint: NetworkChange,
    },
    /// The router does not help.
    Router {
        /// The trouble.
        trouble: RouterTrouble,
        /// The duration.
        lasting: Duration,
    },
    /// Handshakes are refused.
    RefuseHandshakes {
        /// The duration.
        lasting: Duration,
    },
    /// The device loses its power between two inputs.
    Crash {
        /// The device.
        device: usize,
    },
    /// The device loses its power between the effects of an input.
    CrashAt {
        /// The device.
        device: usize,
        /// The effect right before the power cut.
        moment: Moment,
        /// The number of such effects until then.
        after: u32,
    },
    /// The device loses its power between two operations of its disk.
    CrashAtWrite {
        /// The device.
        device: usize,
        /// The number of operations until then.
        after: u64,
    },
    /// The device's files are copied away.
    Backup {
        /// The device.
        device: usize,
    },
    /// The device's files are replaced by the copy, if there is one.
    Restore {
        /// The device.
        device: usize,
    },
    /// The device's disk refuses to write.
    DiskFull {
        /// The device.
        device: usize,
        /// The number of operations that still succeed.
        after: u64,
        /// The duration.
        lasting: Duration,
    },
    /// Every commit of the device takes long.
    SlowDisk {
        /// The device.
        device: usize,
        /// The duration of a commit.
        pause: Duration,
        /// The duration.
        lasting: Duration,
    },
    /// The device's wall clock jumps.
    ClockJump {
        /// The device.
        device: usize,
        /// The seconds of the jump.
        seconds: i64,
    },
    /// The service loses its power and comes back.
    ServiceCrash {
        /// The time until the service is back.
        lasting: Duration,
    },
    /// The service loses its power at its next commit.
    ServiceCrashAtCommit {
        /// The part of the commit that is on disk. Nobody was told of the commit.
        part: CommitPart,
        /// The time until the service is back.
        lasting: Duration,
    },
    /// The service's disk refuses one commit: everybody is disconnected, the batch is lost.
    ServiceDiskFull,
    /// The service's wall clock jumps, forwards or back.
    ServiceClockJump {
        /// The seconds of the jump.
        seconds: i32,
    },
    /// The storage of files does not help.
    Storage {
        /// The trouble.
        trouble: StorageTrouble,
        /// The duration.
        lasting: Duration,
    },
}

/// The trouble with the storage of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageTrouble {
    /// The storage can't be reached.
    Down,
    /// The storage carries requests out, and some of its answers are lost.
    Mute,
    /// The storage takes no ticket that was given before.
    RefusesTickets,
    /// The disk of the storage is full.
    Full,
    /// The storage refuses every file for good.
    RefusesFiles,
}

/// The trouble with a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterTrouble {
    /// The router can't be asked.
    Down,
    /// The router answers when nobody waits any more.
    Slow,
    /// The router's answer means nothing.
    Nonsense,
    /// The router names a service that does not exist, and the real one as the second.
    Elsewhere,
}

/// A moment between two effects of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The app was answered that its write is safe.
    Promised,
    /// A frame has left.
    Sent,
    /// A commit has returned.
    Committed,
    /// Observers were told.
    Told,
}

/// The progress of a commit of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitPart {
    /// Nothing of it is on disk.
    Nothing,
    /// All of it is on disk.
    All,
}

impl Fault {
    /// The number of kinds.
    pub const KINDS: usize = RATES.len() + 3 + 4;

    /// The name of its kind, for shrinking and for people.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Split { .. } => "split",
            Self::Break { .. } => "break",
            Self::HalfOpen { .. } => "half-open",
            Self::Lag { .. } => "lag",
            Self::Reorder { .. } => "reorder",
            Self::Duplicate { .. } => "duplicate",
            Self::Ignore { .. } => "ignore",
            Self::Mute { .. } => "mute",
            Self::Refuse { .. } => "refuse",
            Self::RefuseSignIn { .. } => "refuse-sign-in",
            Self::Close { .. } => "close",
            Self::ForgetToken { .. } => "forget-token",
            Self::Kick { .. } => "kick",
            Self::GoAway { .. } => "go-away",
            Self::Hint { .. } => "hint",
            Self::Router { trouble, .. } => match trouble {
                RouterTrouble::Down => "router-down",
                RouterTrouble::Slow => "router-slow",
                RouterTrouble::Nonsense => "router-nonsense",
                RouterTrouble::Elsewhere => "router-elsewhere",
            },
            Self::RefuseHandshakes { .. } => "refuse-handshakes",
            Self::Crash { .. } => "crash",
            Self::CrashAt { .. } => "crash-at",
            Self::CrashAtWrite { .. } => "crash-at-write",
            Self::Backup { .. } => "backup",
            Self::Restore { .. } => "restore",
            Self::DiskFull { .. } => "disk-full",
            Self::SlowDisk { .. } => "slow-disk",
            Self::ClockJump { .. } => "clock-jump",
            Self::ServiceCrash { .. } => "service-crash",
            Self::ServiceCrashAtCommit { .. } => "service-crash-at-commit",
            Self::ServiceDiskFull => "service-disk-full",
            Self::ServiceClockJump { .. } => "service-clock-jump",
            Self::Storage { trouble, .. } => match trouble {
                StorageTrouble::Down => "storage-down",
                StorageTrouble::Mute => "storage-mute",
                StorageTrouble::RefusesTickets => "storage-refuses-tickets",
                StorageTrouble::Full => "storage-full",
                StorageTrouble::RefusesFiles => "storage-refuses-files",
            },
        }
    }
}

impl Fault {
    /// The device that the fault strikes; none for a fault of the service or the router.
    pub(crate) const fn device(&self) -> Option<usize> {
        match self {
            Self::Split { device, .. }
            | Self::Break { device }
            | Self::HalfOpen { device }
            | Self::Lag { device, .. }
            | Self::Reorder { device, .. }
            | Self::Duplicate { device, .. }
            | Self::Ignore { device, .. }
            | Self::Mute { device, .. }
            | Self::Refuse { device, .. }
            | Self::RefuseSignIn { device, .. }
            | Self::Close { device, .. }
            | Self::ForgetToken { device }
            | Self::Kick { device }
            | Self::GoAway { device }
            | Self::Hint { device, .. }
            | Self::Crash { device }
            | Self::CrashAt { device, .. }
            | Self::CrashAtWrite { device, .. }
            | Self::Backup { device }
            | Self::Restore { device }
            | Self::DiskFull { device, .. }
            | Self::SlowDisk { device, .. }
            | Self::ClockJump { device, .. } => Some(*device),
            Self::Router { .. }
            | Self::RefuseHandshakes { .. }
            | Self::ServiceCrash { .. }
            | Self::ServiceCrashAtCommit { .. }
            | Self::ServiceDiskFull
            | Self::ServiceClockJump { .. }
            | Self::Storage { .. } => None,
        }
    }
}

/// The rate of a kind of fault in a run: the most strikes, each with a chance of one in two, and the number of
/// such runs in a thousand.
struct Rate {
    runs_in_thousand: u64,
    at_most: u64,
    draw: fn(&mut Dice, usize) -> Fault,
}

const fn rate(runs_in_thousand: u64, at_most: u64, draw: fn(&mut Dice, usize) -> Fault) -> Rate {
    Rate {
        runs_in_thousand,
        at_most,
        draw,
    }
}

/// Every kind by its rate; of the router there are four kinds in one, of the storage five.
#[rustfmt::skip] // a table: one kind a line
const RATES: &[Rate] = &[
    rate(500, 3, |dice, device| Fault::Split { device, lasting: dice.millis(500, 90_000) }),
    rate(600, 4, |_, device| Fault::Break { device }),
    rate(250, 2, |_, device| Fault::HalfOpen { device }),
    rate(400, 2, |dice, device| Fault::Lag { device, lag: dice.millis(200, 15_000), lasting: dice.millis(1_000, 60_000) }),
    rate(300, 2, |dice, device| Fault::Reorder { device, lasting: dice.millis(1_000, 60_000) }),
    rate(400, 3, |dice, device| Fault::Duplicate { device, lasting: dice.millis(1_000, 120_000) }),
    rate(250, 2, |dice, device| Fault::Ignore { device, lasting: dice.millis(1_000, 60_000) }),
    rate(400, 2, |dice, device| Fault::Mute { device, lasting: dice.millis(1_000, 60_000) }),
    rate(250, 2, |dice, device| Fault::Refuse { device, code: code(dice), lasting: dice.millis(1_000, 30_000) }),
    rate(150, 2, |dice, device| Fault::RefuseSignIn { device, code: code(dice), lasting: dice.millis(1_000, 30_000) }),
    rate(150, 2, |dice, device| Fault::Close { device, code: close_code(dice) }),
    rate(200, 2, |_, device| Fault::ForgetToken { device }),
    rate(80, 1, |_, device| Fault::Kick { device }),
    rate(200, 2, |_, device| Fault::GoAway { device }),
    rate(200, 3, |dice, device| Fault::Hint { device, hint: hint(dice) }),
    rate(250, 2, |dice, _| Fault::Router { trouble: trouble(dice), lasting: dice.millis(1_000, 60_000) }),
    rate(150, 1, |dice, _| Fault::RefuseHandshakes { lasting: dice.millis(1_000, 60_000) }),
    rate(400, 3, |_, device| Fault::Crash { device }),
    rate(400, 3, |dice, device| Fault::CrashAt { device, moment: moment(dice), after: after(dice) }),
    rate(500, 3, |dice, device| Fault::CrashAtWrite { device, after: dice.between(1, 30) }),
    rate(120, 2, |_, device| Fault::Backup { device }),
    rate(120, 1, |_, device| Fault::Restore { device }),
    rate(200, 2, |dice, device| Fault::DiskFull { device, after: dice.below(10), lasting: dice.millis(500, 60_000) }),
    rate(150, 2, |dice, device| Fault::SlowDisk { device, pause: dice.millis(20, 4_000), lasting: dice.millis(1_000, 60_000) }),
    rate(250, 2, |dice, device| Fault::ClockJump { device, seconds: jump(dice) }),
    rate(250, 2, |dice, _| Fault::ServiceCrash { lasting: dice.millis(10, 20_000) }),
    rate(250, 2, |dice, _| Fault::ServiceCrashAtCommit { part: part(dice), lasting: dice.millis(10, 20_000) }),
    rate(150, 2, |_, _| Fault::ServiceDiskFull),
    rate(150, 2, |dice, _| Fault::ServiceClockJump { seconds: shift(dice) }),
    rate(500, 3, |dice, _| Fault::Storage { trouble: storage(dice), lasting: dice.millis(1_000, 120_000) }),
];

/// Any code that the service may answer with; now and then an unknown one.
fn code(dice: &mut Dice) -> i32 {
    let pick = dice.number();
    if dice.chance(50) {
        return 4999;
    }
    let known: Vec<i32> = CODES.iter().map(|entry| entry.code.number()).collect();
    let known: Vec<i32> = known.into_iter().filter(|code| *code >= 4100).collect();
    nth(&known, pick).copied().unwrap_or(4200)
}

/// Any number that the service closes sockets with, but for those after which a client must not come
/// back by itself.
fn close_code(dice: &mut Dice) -> u16 {
    const CODES: [u16; 6] = [1000, 1006, 4107, 4108, 4109, 4114];
    nth(&CODES, dice.number()).copied().unwrap_or(1006)
}

fn trouble(dice: &mut Dice) -> RouterTrouble {
    match dice.below(4) {
        0 => RouterTrouble::Down,
        1 => RouterTrouble::Slow,
        2 => RouterTrouble::Nonsense,
        _ => RouterTrouble::Elsewhere,
    }
}

fn storage(dice: &mut Dice) -> StorageTrouble {
    match dice.below(5) {
        0 => StorageTrouble::Down,
        1 => StorageTrouble::Mute,
        2 => StorageTrouble::RefusesTickets,
        3 => StorageTrouble::Full,
        _ => StorageTrouble::RefusesFiles,
    }
}

fn moment(dice: &mut Dice) -> Moment {
    match dice.below(6) {
        0..3 => Moment::Promised,
        3 => Moment::Sent,
        4 => Moment::Committed,
        _ => Moment::Told,
    }
}

fn after(dice: &mut Dice) -> u32 {
    u32::try_from(dice.between(1, 6)).unwrap_or(1)
}

fn part(dice: &mut Dice) -> CommitPart {
    if dice.chance(500) {
        CommitPart::All
    } else {
        CommitPart::Nothing
    }
}

fn hint(dice: &mut Dice) -> NetworkChange {
    match dice.below(3) {
        0 => NetworkChange::Lost,
        1 => NetworkChange::Back,
        _ => NetworkChange::Switched,
    }
}

/// Up to a few days, forwards or backwards.
fn jump(dice: &mut Dice) -> i64 {
    let seconds = i64::try_from(dice.below(400_000)).unwrap_or(0);
    if dice.chance(500) { seconds } else { -seconds }
}

/// Up to ten minutes, forwards or back.
fn shift(dice: &mut Dice) -> i32 {
    let seconds = i32::try_from(dice.below(600)).unwrap_or(0);
    if dice.chance(500) { seconds } else { -seconds }
}

/// The faults of a seed, by time.
pub(crate) fn faults(seed: u64, shape: &Shape) -> Vec<At<Fault>> {
    let mut dice = Dice::stream(seed, "faults");
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let mut faults = Vec::new();
    // Some runs are calm: there a failure without any fault is seen as such.
    if dice.chance(50) {
        return faults;
    }
    for rate in RATES {
        if !dice.chance(rate.runs_in_thousand) {
            continue;
        }
        for _ in 0..rate.at_most {
            if dice.chance(500) {
                let device = usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1);
                let at = Duration::from_millis(dice.below(millis));
                let what = (rate.draw)(&mut dice, device);
                faults.push(At { at, what });
            }
        }
    }
    faults.extend(passing_refusals(seed, shape));
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// In three of ten plans the service refuses writes of a device for a while, and accepts them later. These
/// draws have a stream of their own, so all other draws stay as they are.
fn passing_refusals(seed: u64, shape: &Shape) -> Option<At<Fault>> {
    const CODES: [i32; 4] = [4200, 4201, 4300, 4301];
    let mut dice = Dice::stream(seed, "passing refusals");
    if !dice.chance(300) {
        return None;
    }
    let millis = u64::try_from(shape.chaos.as_millis()).unwrap_or(u64::MAX);
    let at = Duration::from_millis(dice.below(millis));
    let what = Fault::Refuse {
        device: usize::try_from(dice.number()).unwrap_or(0) % shape.devices.max(1),
        code: nth(&CODES, dice.number()).copied().unwrap_or(4200),
        lasting: dice.millis(5_000, 40_000),
    };
    Some(At { at, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_of_fault_strikes_within_a_few_hundred_seeds() {
        let drawn = (0..400).flat_map(|seed| Plan::of_seed(seed).faults);
        let kinds: BTreeSet<_> = drawn.map(|fault| fault.what.kind()).collect();
        assert_eq!(kinds.len(), Fault::KINDS);
    }
}
