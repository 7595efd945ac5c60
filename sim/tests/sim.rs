//! The simulator is what it says: it repeats itself, it obeys a script, it notices planted faults.

use std::time::Duration;

use sampan_sim::{
    Action, Dice, Fault, Mutation, Plan, StorageTrouble, Telling, Violation, run, shrink,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_same_plan_gives_the_same_trace_to_the_byte() {
    for seed in [1, 20, 300] {
        let plan = Plan::of_seed(seed);
        let (first, second) = (run(&plan, Telling::Silent), run(&plan, Telling::Lines));
        assert_eq!(first.trace.hash(), second.trace.hash(), "seed {seed}");
        assert_eq!(first.counts, second.counts, "seed {seed}");
    }
}

/// D02: with power cuts, lost answers and full disks.
#[test]
fn the_first_seeds_keep_every_promise() {
    for seed in 0..10 {
        let outcome = run(&Plan::of_seed(seed), Telling::Silent);
        assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    }
}

/// Three devices of two users: each goes offline and online, sends, edits, recalls and reads, in any order.
fn at_random(seed: u64) -> Plan {
    let mut dice = Dice::stream(seed, "three devices");
    let plan = Plan::calm(seed, 2, 3).act(seconds(2), Action::CreateUnique { device: 0, pick: 0 });
    let plan = (0..3).fold(plan, |plan, device| {
        plan.act(seconds(1), Action::Connect { device })
    });
    (0..60).fold(plan, |plan, _| {
        let at = seconds(4) + dice.millis(0, 120_000);
        let device = usize::try_from(dice.below(3)).unwrap_or(0);
        let pick = dice.number();
        let (many, calling) = (1, false);
        let what = match dice.below(10) {
            0..3 => Action::Send {
                device,
                pick,
                many,
                calling,
            },
            3 => Action::SendFile { device, pick },
            4 => Action::Edit { device, pick },
            5 => Action::Recall { device, pick },
            6 => Action::MarkRead { device, pick },
            7 => Action::FetchReceipts { device, pick },
            8 => Action::Disconnect { device },
            _ => Action::Connect { device },
        };
        plan.act(at, what)
    })
}

#[test]
fn three_devices_that_send_edit_recall_read_and_reconnect_at_random_converge() {
    let mut messages = 0;
    for seed in 0..30 {
        let outcome = run(&at_random(seed), Telling::Silent);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:#?}",
            outcome.violations
        );
        messages += outcome.counts.messages;
    }
    assert!(messages > 300, "{messages} messages in all");
}

/// A file that is sent while the storage is down, and a crash in the middle of its upload.
#[test]
fn a_file_whose_upload_is_cut_off_arrives_once() {
    let (device, pick) = (0, 0);
    let storage = Fault::Storage {
        trouble: StorageTrouble::Mute,
        lasting: seconds(40),
    };
    for crash in 0..20 {
        let plan = Plan::calm(5, 2, 2)
            .act(seconds(1), Action::Connect { device })
            .act(seconds(2), Action::CreateUnique { device, pick })
            .strike(seconds(3), storage)
            .act(seconds(4), Action::SendFile { device, pick })
            .strike(
                seconds(4) + Duration::from_millis(500 * crash),
                Fault::Crash { device },
            );
        let outcome = run(&plan, Telling::Silent);
        assert!(
            outcome.violations.is_empty(),
            "{crash}: {:#?}",
            outcome.violations
        );
        assert_eq!(outcome.counts.messages, 1, "{crash}");
    }
}

/// Two devices, a message written while the line is down, and a crash before it is back.
fn offline_then_crash() -> Plan {
    let device = 0;
    Plan::calm(5, 2, 2)
        .act(seconds(1), Action::Connect { device })
        .act(seconds(1), Action::Connect { device: 1 })
        .act(seconds(2), Action::CreateUnique { device, pick: 0 })
        .strike(
            seconds(5),
            Fault::Split {
                device,
                lasting: seconds(60),
            },
        )
        .act(
            seconds(10),
            Action::Send {
                device,
                pick: 0,
                many: 3,
                calling: false,
            },
        )
        .strike(seconds(20), Fault::Crash { device })
        .until(seconds(90))
}

#[test]
fn a_script_is_carried_out_and_what_was_written_offline_survives_the_crash() {
    let outcome = run(&offline_then_crash(), Telling::Silent);
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    assert_eq!((outcome.counts.messages, outcome.counts.faults), (3, 2));
}

#[test]
fn a_failing_script_is_shrunk_to_what_it_fails_by() {
    let plan = offline_then_crash().with(Mutation::LostIntentCommit);
    let noisy = (0..10).fold(plan, |plan, second| {
        let device = 1;
        plan.act(seconds(30 + second), Action::MarkRead { device, pick: 0 })
    });
    let shrunk = shrink(&noisy, Some("lost")).expect("a lost promise is noticed");
    assert!(shrunk.plan.actions.len() < noisy.actions.len());
    assert!(!shrunk.outcome.trace.lines().is_empty());
    let broken = |it: &Violation| it.check == "lost";
    assert!(shrunk.outcome.violations.iter().any(broken));
}

/// The suite `sim` hunts all of them, with the simulator built to be quick. Here are those that the
/// first seeds show.
#[test]
fn planted_faults_that_show_at_once_are_noticed() {
    let at_once = Mutation::ALL.iter().filter(|it| it.limit() <= 4);
    let unnoticed: Vec<_> = at_once.filter(|it| it.hunt().is_none()).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}

#[test]
fn the_page_of_proofs_states_the_limit_and_the_check_of_every_planted_fault() {
    let page = include_str!("../../docs/proof.md");
    for mutation in Mutation::ALL {
        let (limit, check) = (mutation.limit(), mutation.check());
        let row = format!("| `{mutation:?}` | {limit} | `{check}` |");
        assert!(page.contains(&row), "docs/proof.md lacks {row}");
        let named = format!("`{check}`");
        let (_, checks) = page
            .split_once("## Checks")
            .expect("the page lists the checks");
        assert!(
            checks.contains(&named),
            "docs/proof.md knows no check {check}"
        );
    }
}
