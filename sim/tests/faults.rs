//! Every kind of fault has an effect that can be seen: a script runs with the fault, and without.

use std::collections::BTreeSet;
use std::time::Duration;

use sampan::sync::link::NetworkChange;
use sampan_sim::{
    Action, CommitPart, Fault, Moment, Plan, RouterTrouble, StorageTrouble, Telling, run,
};

/// The device that the faults strike.
const ANN: usize = 0;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two devices that are online; every two seconds each of them sends a message, one of them asks for
/// history, and now and then for a token.
fn everyday() -> Plan {
    let mut plan = Plan::calm(5, 2, 2)
        .act(seconds(1), Action::Connect { device: ANN })
        .act(seconds(1), Action::Connect { device: 1 })
        .act(
            seconds(2),
            Action::CreateUnique {
                device: ANN,
                pick: 0,
            },
        );
    for at in (4..80).step_by(2) {
        for device in [ANN, 1] {
            let send = Action::Send {
                device,
                pick: 0,
                many: 2,
                calling: false,
            };
            plan = plan.act(seconds(at), send);
        }
        let fetch = Action::FetchHistory {
            device: ANN,
            pick: 0,
            limit: 20,
        };
        plan = plan.act(seconds(at), fetch);
    }
    plan.until(seconds(90))
}

/// The same, and every two seconds one of them sends a file.
fn with_files() -> Plan {
    (4..80).step_by(2).fold(everyday(), |plan, at| {
        let (device, pick) = (ANN, 0);
        plan.act(seconds(at), Action::SendFile { device, pick })
    })
}

/// The lines of a run, with the time in front.
struct Told(Vec<(f64, String)>);

impl Told {
    fn of(plan: &Plan) -> Self {
        let outcome = run(plan, Telling::Lines);
        assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
        let line = |line: &String| {
            let (at, rest) = line.trim_start().split_once("  ").unwrap_or(("", line));
            (at.parse().unwrap_or_default(), rest.to_owned())
        };
        Self(outcome.trace.lines().iter().map(line).collect())
    }

    /// The number of lines between two times that contain all these words.
    fn count(&self, from: u64, to: u64, words: &[&str]) -> usize {
        let span = seconds(from).as_secs_f64()..seconds(to).as_secs_f64();
        let lines = self.0.iter().filter(|(at, _)| span.contains(at));
        lines
            .filter(|(_, line)| words.iter().all(|word| line.contains(word)))
            .count()
    }
}

impl Told {
    /// The number of answers to Ann between two times that come after answers to later requests.
    fn overtaken(&self, from: u64, to: u64) -> usize {
        let span = seconds(from).as_secs_f64()..seconds(to).as_secs_f64();
        let lines = self.0.iter().filter(|(at, _)| span.contains(at));
        let serial = |(_, line): &(f64, String)| -> Option<u32> {
            let (_, rest) = line.split_once("-> engine 0")?.1.split_once('#')?;
            rest.split(' ').next()?.parse().ok()
        };
        let (mut newest, mut overtaken) = (0, 0);
        for serial in lines.filter_map(serial) {
            overtaken += usize::from(serial < newest);
            newest = newest.max(serial);
        }
        overtaken
    }
}

/// The difference between the runs with and without the fault.
enum Sign {
    /// There are more lines with these words in these seconds.
    More(u64, u64, &'static [&'static str]),
    /// There are fewer.
    Fewer(u64, u64, &'static [&'static str]),
    /// There are more answers that come after answers to later requests.
    Overtaken(u64, u64),
}

use Sign::{Fewer, More, Overtaken};

const UP: &[&str] = &["up ", "engine 0 ->"];
const DOWN: &[&str] = &["down ", "-> engine 0"];
const ACKS: &[&str] = &["down ", "-> engine 0", "Ack"];
const LOOK_UP: &[&str] = &["look-up", "engine 0"];
const SIGNS_IN: &[&str] = &["up ", "engine 0 ->", "Session { op: Open"];
const SIGNED_IN: &[&str] = &["session", "device 0: Open"];
const CRASH: &[&str] = &["crash", "engine 0"];

/// A fault, which strikes at the twentieth second; the fault that strikes in both runs; the difference.
type Case = (Fault, Option<Fault>, Sign);

/// Faults of frames.
fn of_the_line() -> Vec<Case> {
    let device = ANN;
    let lasting = seconds(30);
    vec![
        (Fault::Split { device, lasting }, None, Fewer(21, 45, UP)),
        (Fault::Break { device }, None, More(20, 90, SIGNS_IN)),
        (Fault::HalfOpen { device }, None, Fewer(21, 24, UP)),
        (
            Fault::Lag {
                device,
                lag: seconds(15),
                lasting,
            },
            None,
            Fewer(20, 24, UP),
        ),
        (Fault::Reorder { device, lasting }, None, Overtaken(20, 60)),
        (
            Fault::Duplicate { device, lasting },
            None,
            More(20, 60, DOWN),
        ),
        (Fault::Ignore { device, lasting }, None, Fewer(20, 24, ACKS)),
        (Fault::Mute { device, lasting }, None, Fewer(20, 24, ACKS)),
    ]
}

/// Faults that the service puts on a client.
fn of_sessions() -> Vec<Case> {
    let device = ANN;
    let lasting = seconds(30);
    let cut = || Some(Fault::Break { device });
    vec![
        (
            Fault::Refuse {
                device,
                code: 4116,
                lasting,
            },
            None,
            More(20, 60, &["MESSAGE_SENT_QUOTA_EXCEEDED"]),
        ),
        (
            Fault::RefuseSignIn {
                device,
                code: 4113,
                lasting,
            },
            cut(),
            More(20, 60, &["APP_QUOTA_EXCEEDED"]),
        ),
        (
            Fault::Close { device, code: 4107 },
            None,
            More(20, 60, SIGNS_IN),
        ),
        (
            Fault::ForgetToken { device },
            cut(),
            More(20, 60, &["SESSION_TOKEN_EXPIRED"]),
        ),
        (
            Fault::Kick { device },
            None,
            More(20, 60, &["device 0: Ended { reason: Kicked"]),
        ),
        (Fault::GoAway { device }, None, More(20, 60, LOOK_UP)),
        (
            Fault::Hint {
                device,
                hint: NetworkChange::Switched,
            },
            None,
            More(20, 30, UP),
        ),
    ]
}

/// Faults that keep a client from the service.
fn of_the_way() -> Vec<Case> {
    let device = ANN;
    let lasting = seconds(30);
    let cut = || Some(Fault::Break { device });
    let router = |trouble| Fault::Router { trouble, lasting };
    let asked = || Some(Fault::GoAway { device });
    vec![
        (
            router(RouterTrouble::Down),
            asked(),
            Fewer(20, 23, SIGNED_IN),
        ),
        (
            router(RouterTrouble::Slow),
            asked(),
            Fewer(20, 40, SIGNED_IN),
        ),
        (
            router(RouterTrouble::Nonsense),
            asked(),
            Fewer(20, 23, SIGNED_IN),
        ),
        (
            router(RouterTrouble::Elsewhere),
            asked(),
            More(20, 60, &["refused", "engine 0"]),
        ),
        (
            Fault::RefuseHandshakes { lasting },
            cut(),
            Fewer(20, 23, SIGNED_IN),
        ),
    ]
}

/// Faults of power, disk and clock.
fn of_the_device() -> Vec<Case> {
    let device = ANN;
    let lasting = seconds(30);
    let cut = || Some(Fault::Break { device });
    vec![
        (Fault::Crash { device }, None, More(20, 60, CRASH)),
        (
            Fault::CrashAt {
                device,
                moment: Moment::Sent,
                after: 2,
            },
            None,
            More(20, 60, CRASH),
        ),
        (
            Fault::CrashAtWrite { device, after: 3 },
            None,
            More(20, 60, CRASH),
        ),
        (
            Fault::Backup { device },
            Some(Fault::Restore { device }),
            More(20, 60, CRASH),
        ),
        (
            Fault::Restore { device },
            Some(Fault::Backup { device }),
            More(20, 60, CRASH),
        ),
        (
            Fault::DiskFull {
                device,
                after: 0,
                lasting,
            },
            None,
            Fewer(21, 45, &["commit", "device 0"]),
        ),
        (
            Fault::SlowDisk {
                device,
                pause: seconds(4),
                lasting,
            },
            None,
            Fewer(20, 40, &["commit", "device 0"]),
        ),
        (
            Fault::ClockJump {
                device,
                seconds: 400_000,
            },
            cut(),
            Fewer(20, 60, &["engine 0 ->", "Session", "st: Some"]),
        ),
    ]
}

/// Faults of the service.
fn of_the_service() -> Vec<Case> {
    let lasting = seconds(30);
    vec![
        (Fault::ServiceCrash { lasting }, None, Fewer(21, 45, UP)),
        (
            Fault::ServiceCrashAtCommit {
                part: CommitPart::All,
                lasting,
            },
            None,
            Fewer(24, 45, UP),
        ),
        (Fault::ServiceDiskFull, None, More(20, 60, SIGNS_IN)),
        (
            Fault::ServiceClockJump { seconds: 100_000 },
            None,
            More(20, 60, &["down ", "timestamp: Some(17001"]),
        ),
    ]
}

/// Faults of the storage of files.
fn of_the_storage() -> Vec<Case> {
    let lasting = seconds(30);
    let storage = |trouble, words| {
        let fault = Fault::Storage { trouble, lasting };
        (fault, None, More(20, 50, words))
    };
    vec![
        storage(
            StorageTrouble::Down,
            &["upload", "bytes", "nobody is there"],
        ),
        storage(StorageTrouble::Mute, &["upload", "the answer is lost"]),
        storage(StorageTrouble::RefusesTickets, &["upload", "ticket of"]),
        storage(StorageTrouble::Full, &["upload", "bytes", "507"]),
        storage(StorageTrouble::RefusesFiles, &["upload", "bytes", "413"]),
    ]
}

#[test]
fn every_kind_of_fault_does_something_that_can_be_seen() {
    let cases: Vec<Case> = [
        of_the_line(),
        of_sessions(),
        of_the_way(),
        of_the_device(),
        of_the_service(),
        of_the_storage(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let kinds: BTreeSet<_> = cases.iter().map(|(fault, ..)| fault.kind()).collect();
    assert_eq!(kinds.len(), Fault::KINDS, "a script for each kind");
    let mut unseen = Vec::new();
    for (fault, beside, sign) in cases {
        let (mut without, mut with) = match fault {
            Fault::Storage { .. } => (with_files(), with_files()),
            _ => (everyday(), everyday()),
        };
        // A backup comes before what it is good for, everything else before what shows it.
        if matches!(fault, Fault::Restore { .. }) {
            (without, with) = (strike(without, beside), strike(with, beside));
            with = with.strike(seconds(30), fault);
        } else {
            with = with.strike(seconds(20), fault);
            (without, with) = (strike(without, beside), strike(with, beside));
        }
        let (without, with) = (Told::of(&without), Told::of(&with));
        let count = |from, to, words| (without.count(from, to, words), with.count(from, to, words));
        let (seen, counted) = match sign {
            More(from, to, words) => {
                let (without, with) = count(from, to, words);
                (with > without, (without, with, words))
            }
            Fewer(from, to, words) => {
                let (without, with) = count(from, to, words);
                (with < without, (without, with, words))
            }
            Overtaken(from, to) => {
                let (without, with) = (without.overtaken(from, to), with.overtaken(from, to));
                (with > without, (without, with, DOWN))
            }
        };
        if !seen {
            unseen.push(format!("{fault:?}: without it, with it: {counted:?}"));
        }
    }
    assert!(unseen.is_empty(), "{unseen:#?}");
}

fn strike(plan: Plan, fault: Option<Fault>) -> Plan {
    match fault {
        Some(fault) => plan.strike(seconds(20), fault),
        None => plan,
    }
}
