//! The protocol as a model, all of whose states are explored: a client that tries again, a network
//! that loses, delays and doubles, a service that dies, a store with records that expire and with
//! `not_after`. That a toggle takes place once holds in every state; take away one of the rules, and
//! the checker finds the state in which it does not.
//!
//! A message that is lost is one that stays on its way for ever: every state of the one is a state of
//! the other. The model assumes what the README says: that no request arrives later than records are
//! kept. What it does not cover: the code itself (the laws and the fault suite do), and a clock that
//! is put back.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Times are ticks. A client tries again for `PERSISTENCE`, a request travels for at most `TRAVEL`, a
/// service waits for at most `PATIENCE`; the first attempt may run at once, the last that late.
const PERSISTENCE: u8 = 1;
const TRAVEL: u8 = 1;
const PATIENCE: u8 = 1;
const RETENTION: u8 = PERSISTENCE + TRAVEL + PATIENCE + 1;
const END: u8 = RETENTION + 1;
const ATTEMPTS: u8 = 2;

/// Which rule is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    Record,
    NotAfter,
    /// The record is looked for in one step, and written with the effect in another.
    OneStep,
    /// Records go before the last request that may carry their key.
    Retention,
}

/// A command on its way to the store, or in its sockets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Command {
    id: u8,
    not_after: u8,
    /// Only without one step: no record was found.
    looked: bool,
}

/// One user's toggle, as everybody sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct World {
    now: u8,
    /// The client: when it began, how often it has sent, what it was told.
    began: Option<u8>,
    attempts: u8,
    told: Option<bool>,
    /// When each request that is on its way to a service was sent; how many were doubled.
    requests: Vec<u8>,
    doubled: bool,
    /// The commands that a service waits for; whether one has died, or sent a command again.
    waiting: BTreeSet<u8>,
    commands_sent: u8,
    died: bool,
    sent_again: bool,
    commands: Vec<Command>,
    /// Commands of which the caller was told that they will not take place any more.
    over: BTreeSet<u8>,
    /// The store: the flag, the record with its answer and the time when it goes.
    flag: bool,
    record: Option<(bool, u8)>,
    /// What has come of it.
    runs: u8,
    replayed: bool,
    late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Tick,
    Send,
    /// The network delivers a request twice.
    Double(usize),
    Arrive(usize),
    /// The service sends a command in doubt again.
    SendAgain(usize),
    /// The store runs a command; its reply arrives or is lost.
    Run(usize, bool),
    /// The service answers that the outcome is unknown.
    TellUnknown(u8),
    /// The service dies, and with it what it waits for.
    Die,
}

struct Protocol(Without);

impl Protocol {
    fn retention(&self) -> u8 {
        if self.0 == Without::Retention { 1 } else { RETENTION }
    }

    /// The step of the script.
    fn run(&self, world: &mut World, mut command: Command, reply_arrives: bool) {
        let record = world.record.filter(|(_, goes)| world.now < *goes && !command.looked);
        let answer = if let Some((answer, _)) = record {
            world.replayed = true;
            answer
        } else {
            if self.0 == Without::OneStep && !command.looked {
                command.looked = true;
                world.commands.push(command);
                return;
            }
            if world.now > command.not_after && self.0 != Without::NotAfter {
                return;
            }
            world.flag = !world.flag;
            world.runs += 1;
            world.late |= world.over.contains(&command.id);
            if self.0 != Without::Record {
                world.record = Some((world.flag, world.now + self.retention()));
            }
            world.flag
        };
        if reply_arrives && world.waiting.remove(&command.id) {
            world.told.get_or_insert(answer);
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.now < END {
            actions.push(Action::Tick);
        }
        let persists = world.began.is_none_or(|began| world.now <= began + PERSISTENCE);
        if world.told.is_none() && world.attempts < ATTEMPTS && persists {
            actions.push(Action::Send);
        }
        for i in 0..world.requests.len() {
            actions.push(Action::Arrive(i));
            if !world.doubled {
                actions.push(Action::Double(i));
            }
        }
        for (i, command) in world.commands.iter().enumerate() {
            actions.extend([Action::Run(i, true), Action::Run(i, false)]);
            let in_time = world.now <= command.not_after && world.waiting.contains(&command.id);
            if !world.sent_again && in_time && !command.looked {
                actions.push(Action::SendAgain(i));
            }
        }
        for id in &world.waiting {
            // Not before its time: until then the answer may still come.
            let in_time = |c: &Command| c.id == *id && world.now <= c.not_after;
            if !world.commands.iter().any(in_time) {
                actions.push(Action::TellUnknown(*id));
            }
        }
        if !world.died && !world.waiting.is_empty() {
            actions.push(Action::Die);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Tick => {
                world.now += 1;
                let now = world.now;
                world.requests.retain(|sent_at| now <= sent_at + TRAVEL);
            }
            Action::Send => {
                world.began.get_or_insert(world.now);
                world.attempts += 1;
                world.requests.push(world.now);
            }
            Action::Double(i) => {
                world.doubled = true;
                world.requests.push(world.requests[i]);
            }
            Action::Arrive(i) => {
                world.requests.remove(i);
                let (id, not_after) = (world.commands_sent, world.now + PATIENCE);
                world.commands_sent += 1;
                world.waiting.insert(id);
                world.commands.push(Command { id, not_after, looked: false });
            }
            Action::SendAgain(i) => {
                world.sent_again = true;
                world.commands.push(world.commands[i].clone());
            }
            Action::Run(i, reply_arrives) => {
                let command = world.commands.remove(i);
                self.run(&mut world, command, reply_arrives);
            }
            Action::TellUnknown(id) => {
                world.waiting.remove(&id);
                world.over.insert(id);
            }
            Action::Die => {
                world.died = true;
                world.waiting.clear();
            }
        }
        world.requests.sort_unstable();
        world.commands.sort_unstable();
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, world: &World| world.runs <= 1),
            Property::always("what a client is told took place", |_, world: &World| {
                world.told.is_none_or(|flag| world.runs > 0 && world.flag == flag)
            }),
            Property::always(NOT_LATE, |_, world: &World| !world.late),
            // The model does something at all.
            Property::sometimes("the tap is answered", |_, world: &World| world.told.is_some()),
            Property::sometimes("a replay is answered", |_, world: &World| {
                world.replayed && world.told.is_some() && world.attempts > 1
            }),
            Property::sometimes("the tap never takes place", |_, world: &World| {
                world.now == END && world.attempts == ATTEMPTS && world.runs == 0
            }),
        ]
    }
}

const ONCE: &str = "a tap takes place once at the most";
const NOT_LATE: &str = "what is over does not take place";

#[test]
fn exactly_once_holds_in_every_state() {
    let checker = Protocol(Without::Nothing).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    println!("{} states", checker.unique_state_count());
    assert!(checker.is_done() && checker.unique_state_count() > 10_000);
}

/// Runs a twin until the checker has found it wrong.
fn found_wrong(without: Without, property: &'static str) {
    let one = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let checker = Protocol(without).checker().threads(2).finish_when(one).spawn_bfs().join();
    let path = checker.discovery(property).map(|path| path.into_actions());
    println!("{without:?}: {path:?}");
    assert!(path.is_some(), "the model does not need the rule: {without:?}");
}

#[test]
fn without_a_record_a_tap_takes_place_twice() {
    found_wrong(Without::Record, ONCE);
}

#[test]
fn without_not_after_a_tap_takes_place_when_it_is_over() {
    found_wrong(Without::NotAfter, NOT_LATE);
}

#[test]
fn with_the_record_outside_the_step_a_tap_takes_place_twice() {
    found_wrong(Without::OneStep, ONCE);
}

#[test]
fn with_records_that_go_too_early_a_tap_takes_place_twice() {
    found_wrong(Without::Retention, ONCE);
}
