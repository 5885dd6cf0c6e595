//! The protocol as a model whose states are all explored. It has a client that retries, a network
//! that loses, delays and duplicates requests, a service that dies, and a store with records that
//! expire and with `not_after`. In every state a toggle takes place at most once. Without one of
//! the rules, the checker finds a state where it does not hold.
//!
//! A lost message equals one that stays on its way for ever, so the states of the one are states of
//! the other. The model assumes what the README says: no request arrives later than records are
//! kept. It does not cover the code itself (the laws and the fault suite do), nor a clock that is
//! set back.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

/// Times are ticks. A client retries for `PERSISTENCE`, a request travels for at most `TRAVEL`, and
/// a service waits for at most `PATIENCE`. The first attempt may run at once, the last one as late
/// as their sum.
const PERSISTENCE: u8 = 1;
const TRAVEL: u8 = 1;
const PATIENCE: u8 = 1;
const RETENTION: u8 = PERSISTENCE + TRAVEL + PATIENCE + 1;
const END: u8 = RETENTION + 1;
const ATTEMPTS: u8 = 2;

/// The rule that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    Record,
    NotAfter,
    /// One step looks for the record, another one writes it with the effect.
    OneStep,
    /// Records expire before the last request that may have their key.
    Retention,
}

/// A command on its way to the store, or in a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Command {
    id: u8,
    not_after: u8,
    /// Only without one step: the first step found no record.
    looked: bool,
}

/// The world around one user's toggle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct World {
    now: u8,
    /// The client: when it started, how often it has sent, which answer it got.
    began: Option<u8>,
    attempts: u8,
    told: Option<bool>,
    /// When each request on its way to a service was sent, and whether the network has duplicated
    /// one.
    requests: Vec<u8>,
    doubled: bool,
    /// The commands that a service waits for, whether a service has died, and whether it has
    /// retried.
    waiting: BTreeSet<u8>,
    commands_sent: u8,
    died: bool,
    sent_again: bool,
    commands: Vec<Command>,
    /// Commands after which the caller was told that they will not take place later.
    over: BTreeSet<u8>,
    /// The store: the flag, and the record with its answer and its expiry.
    flag: bool,
    record: Option<(bool, u8)>,
    /// The effects so far.
    runs: u8,
    replayed: bool,
    late: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Tick,
    Send,
    /// The network duplicates a request.
    Double(usize),
    Arrive(usize),
    /// The service retries a command in doubt.
    SendAgain(usize),
    /// The store runs a command. Its reply arrives, or is lost.
    Run(usize, bool),
    /// The service answers that the outcome is unknown.
    TellUnknown(u8),
    /// The service dies, and forgets the commands that it waits for.
    Die,
}

struct Protocol(Without);

impl Protocol {
    fn retention(&self) -> u8 {
        if self.0 == Without::Retention { 1 } else { RETENTION }
    }

    /// One run of the script.
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

/// Runs a twin without a rule until the checker finds the property violated.
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
