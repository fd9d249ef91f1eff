//! Owns: the tests of `StateWatch`, with real sockets where the machine allows a network of its own.
//! Never: the rules of one state (see `network` and `power`).

use std::fs;
use std::os::fd::AsRawFd;

use libc::{AF_INET6, RTN_BLACKHOLE, RTN_UNREACHABLE};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, NetlinkAddr, SockProtocol, getsockname, sendto};
use tempfile::TempDir;

use super::sandbox::{FAR, NEAR, Route, in_new_network};
use super::*;

use MachineState::{Ac, Battery, Boot, Online, Start};

fn set<const N: usize>(states: [MachineState; N]) -> BTreeSet<MachineState> {
    BTreeSet::from(states)
}

fn changes<const N: usize>(changes: [(MachineState, bool); N]) -> StateNews {
    StateNews { changes: changes.into(), problems: Vec::new() }
}

/// A laptop, with its charger plugged in or not.
struct Laptop(TempDir);

impl Laptop {
    fn new() -> Self {
        let laptop = Self(tempfile::tempdir().expect("there is room"));
        for (name, kind) in [("AC", "Mains"), ("BAT0", "Battery")] {
            let dir = laptop.0.path().join("class/power_supply").join(name);
            fs::create_dir_all(&dir).expect("there is room");
            fs::write(dir.join("type"), kind).expect("there is room");
        }
        laptop.plug(true);
        laptop
    }

    fn plug(&self, is_plugged: bool) {
        let dir = self.0.path().join("class/power_supply");
        fs::write(dir.join("AC/online"), if is_plugged { "1\n" } else { "0\n" }).expect("there is room");
        let status = if is_plugged { "Charging\n" } else { "Discharging\n" };
        fs::write(dir.join("BAT0/status"), status).expect("there is room");
    }

    fn states(&self) -> MachineStates {
        MachineStates::below(self.0.path())
    }

    fn watch(&self) -> StateWatch {
        StateWatch::new(self.states())
    }
}

/// Blocks until there is news. The limit is for a failure only.
fn wait(watch: &mut StateWatch) -> StateNews {
    loop {
        let mut fds: Vec<_> = watch.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let ready = poll(&mut fds, PollTimeout::from(30_000_u16)).expect("poll works");
        assert!(ready > 0, "no descriptor became readable");
        let news = watch.take();
        if news != StateNews::default() {
            return news;
        }
    }
}

#[test]
fn without_a_wanted_state_there_is_no_descriptor() {
    let mut watch = StateWatch::new(MachineStates::default());
    for wanted in [set([]), set([Boot, Start])] {
        assert_eq!(watch.listen(&wanted), StateNews::default());
        assert_eq!(watch.fds().count(), 0);
        assert_eq!(watch.take(), StateNews::default());
    }
}

#[test]
fn descriptors_are_opened_and_closed_with_the_states_that_need_them() {
    let laptop = Laptop::new();
    let mut watch = laptop.watch();
    for (wanted, count) in [
        (set([Ac]), 1),
        (set([Ac, Battery, Boot]), 1),
        (set([Ac, Online]), 2),
        (set([Online]), 1),
        (set([Start]), 0),
    ] {
        assert_eq!(watch.listen(&wanted), StateNews::default(), "{wanted:?}");
        assert_eq!(watch.fds().count(), count, "{wanted:?}");
    }
}

#[test]
fn a_socket_stays_open_while_it_is_wanted() {
    let laptop = Laptop::new();
    let mut watch = laptop.watch();
    let mut fds = [set([Ac]), set([Ac, Battery, Online]), set([Battery])].map(|wanted| {
        let _ = watch.listen(&wanted);
        watch.fds().last().map(|fd| fd.as_raw_fd())
    });
    fds.sort_unstable();
    assert_eq!(fds[0], fds[2]);
}

#[test]
fn the_instants_are_not_read_and_the_rest_is() {
    let laptop = Laptop::new();
    let holds = || [Boot, Start, Ac, Battery].map(|state| laptop.states().holds(state).expect("it is read"));
    assert_eq!(holds(), [None, None, Some(true), Some(false)]);
    laptop.plug(false);
    assert_eq!(holds(), [None, None, Some(false), Some(true)]);
}

#[test]
fn the_first_value_is_no_change_unless_another_was_assumed() {
    let laptop = Laptop::new();
    let mut watch = laptop.watch();
    assert_eq!(watch.listen(&set([Ac, Battery])), StateNews::default());
    assert_eq!(watch.seen(), &BTreeMap::from([(Ac, true), (Battery, false)]));

    let mut later = laptop.watch();
    watch.seen().iter().for_each(|(state, held)| later.assume(*state, *held));
    laptop.plug(false);
    assert_eq!(later.listen(&set([Ac, Battery])), changes([(Ac, false), (Battery, true)]));
}

#[test]
fn a_state_that_is_wanted_again_is_compared_with_its_value_then() {
    let laptop = Laptop::new();
    let mut watch = laptop.watch();
    assert_eq!(watch.listen(&set([Ac])), StateNews::default());
    assert_eq!(watch.listen(&set([])), StateNews::default());
    laptop.plug(false);
    assert_eq!(watch.listen(&set([Ac])), StateNews::default());
}

#[test]
fn a_change_that_is_noticed_with_another_state_is_reported() {
    let laptop = Laptop::new();
    let mut watch = laptop.watch();
    assert_eq!(watch.listen(&set([Ac])), StateNews::default());
    laptop.plug(false);
    assert_eq!(watch.listen(&set([Ac, Battery])), changes([(Ac, false)]));
}

#[test]
fn a_reading_that_fails_is_told_and_tried_again() {
    let laptop = Laptop::new();
    let class = laptop.0.path().join("class");
    let broken = laptop.0.path().join("away");
    fs::rename(&class, &broken).expect("it can be renamed");
    fs::write(&class, "").expect("there is room");
    let mut watch = laptop.watch();
    for news in [watch.listen(&set([Ac, Online])), watch.take()] {
        let problems: Vec<_> = news.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, ["cannot read the state of the power supplies: not a directory"]);
    }
    assert_eq!(watch.seen().keys().collect::<Vec<_>>(), [&Online]);
    fs::remove_file(&class).expect("it is there");
    fs::rename(&broken, &class).expect("it can be renamed");
    assert_eq!(watch.take().problems, []);
    assert_eq!(watch.seen().get(&Ac), Some(&true));
}

#[test]
fn a_socket_that_fails_is_told_and_opened_again_and_no_change_is_lost() {
    let laptop = Laptop::new();
    let mut watch = laptop.watch();
    assert_eq!(watch.listen(&set([Ac])), StateNews::default());
    let broken = Watched { socket: Some(NetlinkSocket::broken()), is_stale: false };
    watch.watched.insert(Subject::Power, broken);
    laptop.plug(false);
    let news = watch.take();
    let problems: Vec<_> = news.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["cannot watch the state of the power supplies: socket operation on non-socket"]);
    assert_eq!((news.changes, watch.fds().count()), (vec![(Ac, false)], 0));
    laptop.plug(true);
    assert_eq!(watch.listen(&set([Ac])), changes([(Ac, true)]));
    assert_eq!(watch.fds().count(), 1);
}

#[test]
fn a_machine_is_online_from_its_first_usable_default_route_to_its_last() {
    in_new_network(|network| {
        let mut watch = Laptop::new().watch();
        assert_eq!(watch.listen(&set([Online])), StateNews::default());
        assert_eq!(watch.seen(), &BTreeMap::from([(Online, false)]));
        network.add_cable()?;
        let [online, offline] = [true, false].map(|holds| changes([(Online, holds)]));

        network.set_up(NEAR, true)?;
        network.set_up(FAR, true)?;
        network.add_address(1)?;
        assert_eq!(watch.take(), StateNews::default());
        network.add_route(Route::through(NEAR))?;
        assert_eq!(wait(&mut watch), online);
        // Another one makes no difference, and neither does its end.
        network.add_route(Route { metric: 200, ..Route::through(NEAR) })?;
        network.remove_route(Route::through(NEAR))?;
        assert_eq!(watch.take(), StateNews::default());
        network.remove_route(Route { metric: 200, ..Route::through(NEAR) })?;
        assert_eq!(wait(&mut watch), offline);

        network.add_route(Route::through(NEAR))?;
        assert_eq!(wait(&mut watch), online);
        // The cable is pulled and put in.
        network.set_up(FAR, false)?;
        assert_eq!(wait(&mut watch), offline);
        network.set_up(FAR, true)?;
        assert_eq!(wait(&mut watch), online);
        // The kernel removes the route with the last address, and does not say so.
        network.remove_address(1)?;
        assert_eq!(wait(&mut watch), offline);

        network.add_address(1)?;
        network.add_route(Route::through(NEAR))?;
        assert_eq!(wait(&mut watch), online);
        network.set_up(NEAR, false)?;
        assert_eq!(wait(&mut watch), offline);
        network.set_up(NEAR, true)?;
        network.add_route(Route::through(NEAR))?;
        assert_eq!(wait(&mut watch), online);
        network.remove_link(NEAR)?;
        assert_eq!(wait(&mut watch), offline);
        Ok(())
    });
}

#[test]
fn a_machine_with_ipv6_only_is_online() {
    in_new_network(|network| {
        let mut watch = Laptop::new().watch();
        network.add_cable()?;
        network.set_up(NEAR, true)?;
        network.set_up(FAR, true)?;
        let refusal = Route { family: AF_INET6, kind: RTN_UNREACHABLE, link: None, metric: 50 };
        network.add_route(refusal)?;
        assert_eq!(watch.listen(&set([Online])), StateNews::default());
        let route = Route { family: AF_INET6, ..Route::through(NEAR) };
        network.add_route(route)?;
        assert_eq!(wait(&mut watch), changes([(Online, true)]));
        network.remove_route(route)?;
        assert_eq!(wait(&mut watch), changes([(Online, false)]));
        Ok(())
    });
}

#[test]
fn a_default_route_that_drops_everything_or_stays_inside_is_none() {
    in_new_network(|network| {
        const LOOPBACK: u32 = 1;
        let mut watch = Laptop::new().watch();
        assert_eq!(watch.listen(&set([Online])), StateNews::default());
        network.set_up(LOOPBACK, true)?;
        network.add_route(Route { kind: RTN_BLACKHOLE, link: None, metric: 1, ..Route::through(0) })?;
        network.add_route(Route { kind: RTN_UNREACHABLE, link: None, metric: 2, ..Route::through(0) })?;
        network.add_route(Route { metric: 3, ..Route::through(LOOPBACK) })?;
        assert_eq!(watch.take(), StateNews::default());
        assert_eq!(watch.states.holds(Online), Ok(Some(false)));
        Ok(())
    });
}

#[test]
fn a_change_is_not_lost_with_the_messages_that_find_no_room() {
    in_new_network(|network| {
        let mut watch = Laptop::new().watch();
        assert_eq!(watch.listen(&set([Online])), StateNews::default());
        network.add_cable()?;
        network.set_up(NEAR, true)?;
        network.set_up(FAR, true)?;
        assert_eq!(watch.take(), StateNews::default());
        // None of their messages leads to a reading, and a socket holds some hundreds.
        (1..=2_000).try_for_each(|n| network.add_address(n))?;
        network.add_route(Route::through(NEAR))?;
        assert_eq!(wait(&mut watch), changes([(Online, true)]));
        assert_eq!(watch.take(), StateNews::default());
        Ok(())
    });
}

#[test]
fn a_uevent_of_the_kernel_leads_to_a_reading() {
    in_new_network(|network| {
        let laptop = Laptop::new();
        let mut watch = laptop.watch();
        // Not every machine has a power supply to unplug.
        watch.subsystems = &["net"];
        assert_eq!(watch.listen(&set([Ac, Battery])), StateNews::default());
        laptop.plug(false);
        network.add_cable()?;
        assert_eq!(wait(&mut watch), changes([(Ac, false), (Battery, true)]));
        laptop.plug(true);
        network.remove_link(NEAR)?;
        assert_eq!(wait(&mut watch), changes([(Ac, true), (Battery, false)]));
        Ok(())
    });
}

#[test]
fn a_uevent_of_another_subsystem_leads_to_none() {
    in_new_network(|network| {
        let laptop = Laptop::new();
        let mut watch = laptop.watch();
        assert_eq!(watch.listen(&set([Ac])), StateNews::default());
        laptop.plug(false);
        network.add_cable()?;
        assert_eq!(watch.take(), StateNews::default());
        Ok(())
    });
}

#[test]
fn a_uevent_of_a_process_is_dropped() {
    in_new_network(|_| {
        let laptop = Laptop::new();
        let mut watch = laptop.watch();
        assert_eq!(watch.listen(&set([Ac])), StateNews::default());
        let port = {
            let fd = watch.fds().next().expect("a state is wanted");
            getsockname::<NetlinkAddr>(fd.as_raw_fd())?.pid()
        };
        laptop.plug(false);
        let sender = NetlinkSocket::open(SockProtocol::NetlinkKObjectUEvent, 0)?;
        let uevent = b"change@/devices/AC\0ACTION=change\0SUBSYSTEM=power_supply\0";
        for to in [NetlinkAddr::new(port, 0), NetlinkAddr::new(0, 1)] {
            sendto(sender.as_fd().as_raw_fd(), uevent, &to, MsgFlags::empty())?;
        }
        assert_eq!(watch.take(), StateNews::default());
        Ok(())
    });
}
