//! Clients that are watched: signers that fail, refusals, broken connections and crashes.

use std::time::Duration;

use super::world::{Device, Signer, World};
use crate::model::{ClientId, Presence};
use crate::sync::{Done, RequestError, Unwatch, Watch, Watched};
use crate::wire::ServiceCode;
use crate::wire::generated::CommandType;

fn ids(names: &[&str]) -> Vec<ClientId> {
    names.iter().map(|it| ClientId::new(it).unwrap()).collect()
}

/// The clients that are watched, and what is known of them.
fn watched(world: &mut World, device: Device) -> Vec<(String, Presence)> {
    let list = world.ask(device, Watched).unwrap().clients;
    let told = list.into_iter();
    told.map(|it| (it.client.to_string(), it.presence))
        .collect()
}

fn told(pairs: &[(&str, Presence)]) -> Vec<(String, Presence)> {
    let pairs = pairs.iter();
    pairs.map(|(name, it)| ((*name).to_owned(), *it)).collect()
}

fn watch(world: &mut World, device: Device, names: &[&str]) {
    let clients = ids(names);
    assert_eq!(world.ask(device, Watch { clients }), Ok(Done));
}

#[test]
fn what_is_watched_outlives_connections_and_crashes_and_is_known_anew_each_time() {
    let mut world = World::seeded(91);
    let [ann, _ben] = world.devices(["ann", "ben"]);
    watch(&mut world, ann, &["cat", "ben"]);
    let unknown = told(&[("ben", Presence::Unknown), ("cat", Presence::Unknown)]);
    let known = told(&[("ben", Presence::Online), ("cat", Presence::Offline)]);
    assert_eq!(watched(&mut world, ann), unknown);
    world.settle();
    assert_eq!(watched(&mut world, ann), known);
    assert!(world.is_asleep(ann));
    world.partition(ann);
    world.moment();
    assert_eq!(watched(&mut world, ann), unknown);
    world.repair(ann);
    world.settle();
    assert_eq!(watched(&mut world, ann), known);
    world.crash(ann);
    assert_eq!(watched(&mut world, ann), unknown);
    world.connect(ann);
    world.settle();
    assert_eq!(watched(&mut world, ann), known);
    let clients = ids(&["cat", "dan"]);
    assert_eq!(world.ask(ann, Unwatch { clients }), Ok(Done));
    world.settle();
    assert_eq!(watched(&mut world, ann), told(&[("ben", Presence::Online)]));
}

#[test]
fn a_signer_that_fails_delays_watching_and_the_next_try_comes_by_itself() {
    let mut world = World::seeded(92);
    let ann = world.device("ann", None);
    world.set_signer(ann, Signer::Signs);
    world.connect(ann);
    world.settle();
    world.set_signer(ann, Signer::Fails);
    watch(&mut world, ann, &["ben"]);
    world.pass(Duration::from_secs(1));
    assert_eq!(
        watched(&mut world, ann),
        told(&[("ben", Presence::Unknown)])
    );
    let room = world.create(ann, &["ben"]);
    world.say(ann, &room, "written all the same");
    world.set_signer(ann, Signer::Signs);
    world.pass(Duration::from_secs(300));
    assert_eq!(
        watched(&mut world, ann),
        told(&[("ben", Presence::Offline)])
    );
}

#[test]
fn who_is_taken_off_the_list_while_the_signer_is_asked_is_not_watched() {
    let mut world = World::seeded(95);
    let ann = world.device("ann", None);
    world.set_signer(ann, Signer::Signs);
    world.connect(ann);
    world.settle();
    watch(&mut world, ann, &["ben", "cat"]);
    let clients = ids(&["ben"]);
    assert_eq!(world.ask(ann, Unwatch { clients }), Ok(Done));
    world.settle();
    assert!(world.service.watched.iter().eq(["cat"]));
    assert_eq!(
        watched(&mut world, ann),
        told(&[("cat", Presence::Offline)])
    );
}

#[test]
fn a_refusal_for_good_is_told_and_one_for_now_is_followed_by_another_try() {
    let mut world = World::seeded(93);
    let [ann] = world.devices(["ann"]);
    world.service.refuses = Some((CommandType::Session, ServiceCode::SIGNATURE_FAILED));
    watch(&mut world, ann, &["ben"]);
    world.settle();
    assert_eq!(
        watched(&mut world, ann),
        told(&[("ben", Presence::NotAllowed)])
    );
    world.service.refuses = Some((CommandType::Session, ServiceCode::APP_QUOTA_EXCEEDED));
    watch(&mut world, ann, &["cat"]);
    world.pass(Duration::from_secs(1));
    world.service.refuses = None;
    world.pass(Duration::from_secs(300));
    assert_eq!(
        watched(&mut world, ann),
        told(&[("ben", Presence::NotAllowed), ("cat", Presence::Offline)])
    );
}

#[test]
fn more_than_a_thousand_are_not_watched_and_many_go_in_parts() {
    let mut world = World::seeded(94);
    let [ann] = world.devices(["ann"]);
    let names: Vec<String> = (0..1001).map(|number| format!("n{number:04}")).collect();
    let clients: Vec<ClientId> = names.iter().map(|it| ClientId::new(it).unwrap()).collect();
    let too_many = world.ask(
        ann,
        Watch {
            clients: clients.clone(),
        },
    );
    assert!(matches!(
        too_many,
        Err(RequestError::InvalidArgument { .. })
    ));
    let before = world.sent_frames(ann);
    let clients = clients.into_iter().take(120).collect();
    assert_eq!(world.ask(ann, Watch { clients }), Ok(Done));
    world.moment();
    assert_eq!(world.sent_frames(ann) - before, 3);
    let list = watched(&mut world, ann);
    assert_eq!(list.len(), 120);
    assert!(list.iter().all(|(_, it)| *it == Presence::Offline));
}

#[test]
fn who_is_taken_off_the_list_while_it_waits_for_another_try_is_not_asked_for() {
    let mut world = World::seeded(96);
    let [ann] = world.devices(["ann"]);
    world.service.refuses = Some((CommandType::Session, ServiceCode::APP_QUOTA_EXCEEDED));
    watch(&mut world, ann, &["ben", "cat"]);
    world.pass(Duration::from_secs(1));
    let clients = ids(&["ben"]);
    assert_eq!(world.ask(ann, Unwatch { clients }), Ok(Done));
    world.pass(Duration::from_secs(1));
    world.service.refuses = None;
    world.pass(Duration::from_secs(300));
    assert!(
        world.service.watched.iter().eq(["cat"]),
        "{:?}",
        world.service.watched
    );
    assert_eq!(
        watched(&mut world, ann),
        told(&[("cat", Presence::Offline)])
    );
}

#[test]
fn a_refusal_for_now_is_followed_by_pauses_that_grow() {
    let mut world = World::seeded(97);
    let [ann] = world.devices(["ann"]);
    world.service.refuses = Some((CommandType::Session, ServiceCode::APP_QUOTA_EXCEEDED));
    let before = world.sent_frames(ann);
    watch(&mut world, ann, &["ben"]);
    world.pass(Duration::from_secs(60));
    let tries = world.sent_frames(ann) - before;
    assert!((3..=8).contains(&tries), "{tries} tries in a minute");
}
