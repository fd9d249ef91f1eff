//! Owns: tests of `bytes=` and `lines=`.
//! Never: their arithmetic (see `growth`).

use std::fs::{self, File};
use std::io::Write;

use super::*;
use taskq::domain::Size;

const HUNDRED: PathChange = PathChange::Bytes(Size::from_bytes(100));

fn append(world: &World, name: &str, bytes: &[u8]) -> File {
    let mut file =
        File::options().append(true).create(true).open(world.path(name)).expect("it can be opened");
    file.write_all(bytes).expect("it can be written");
    file
}

#[test]
fn a_file_that_stays_open_is_reported_as_it_grows() {
    let mut world = World::new();
    world.listen_new(world.source("app.log", HUNDRED));
    world.events();
    let mut file = append(&world, "app.log", &[0; 99]);
    assert_eq!(world.events(), [""; 0]);
    file.write_all(&[0; 1]).expect("it can be written");
    assert_eq!(world.events(), [""; 0]);
    assert_eq!(world.events_after(100 * MILLI), ["bytes app.log"]);
    file.write_all(&[0; 350]).expect("it can be written");
    assert_eq!(world.events_after(SECOND), ["bytes app.log x3"]);
    assert_eq!(world.events_after(SECOND), [""; 0]);
    assert!(world.is_asleep());
}

#[test]
fn what_is_there_counts_at_the_first_look_and_what_came_later_after_a_restart() {
    let mut world = World::new();
    append(&world, "app.log", &[0; 250]);
    world.listen_new(world.source("*.log", HUNDRED));
    assert_eq!(world.events(), ["bytes app.log x2"]);
    append(&world, "app.log", &[0; 40]);
    world.restart();
    assert_eq!(world.events(), [""; 0]);
    append(&world, "app.log", &[0; 10]);
    world.restart();
    assert_eq!(world.events(), ["bytes app.log"]);
}

#[test]
fn a_file_that_is_replaced_or_cut_counts_from_its_begin() {
    let mut world = World::new();
    append(&world, "app.log", &[0; 250]);
    world.listen(world.source("app.log", HUNDRED));
    assert_eq!(world.events(), ["bytes app.log x2"]);
    // copytruncate of logrotate(8).
    File::options()
        .write(true)
        .open(world.path("app.log"))
        .expect("it is there")
        .set_len(0)
        .expect("it can be");
    append(&world, "app.log", &[0; 100]);
    assert_eq!(world.events_after(SECOND), ["bytes app.log"]);
    world.rename("app.log", "app.log.1");
    append(&world, "app.log", &[0; 300]);
    assert_eq!(world.events_after(SECOND), ["bytes app.log x3"]);
}

#[test]
fn lines_are_counted_from_where_the_last_look_ended() {
    let mut world = World::new();
    world.listen(world.source("app.log", PathChange::Lines(3)));
    append(&world, "app.log", b"1\n2\n3");
    assert_eq!(world.events(), [""; 0]);
    append(&world, "app.log", b"\n4\n");
    assert_eq!(world.events_after(SECOND), ["lines app.log"]);
    append(&world, "app.log", &b"\n".repeat(8));
    let news = {
        world.now += SECOND;
        world.news()
    };
    let data = news[0].events[0].occurrence.data.as_deref().expect("there is data");
    assert!(data.ends_with(r#""change":"lines","size":16,"lines":12}"#), "{data}");
    assert_eq!(news[0].events[0].occurrence.count, 3);
    let mark = world.marks[&TriggerId(1)][&b"app.log"[..]];
    assert_eq!((mark.size, mark.lines, mark.base), (16, 12, 12));
    append(&world, "app.log", &b"\n".repeat(3));
    world.restart();
    assert_eq!(world.events(), ["lines app.log"]);
}

#[test]
fn a_large_file_is_read_in_parts() {
    let mut world = World::new();
    fs::write(world.path("app.log"), vec![b'\n'; (16 << 20) + 1]).expect("there is room");
    world.listen(world.source("app.log", PathChange::Lines(1 << 20)));
    assert_eq!(world.events(), ["lines app.log x16"]);
    assert_eq!(world.watch.next_wake(), Some(world.now));
    assert_eq!(world.events(), [""; 0]);
    assert!(world.is_asleep());
}

#[test]
fn writes_wake_it_up_ten_times_a_second_at_most() {
    let mut world = World::new();
    let mut file = append(&world, "app.log", b"x");
    let mut other = append(&world, "other.log", b"x");
    world.listen(world.source("app.log", HUNDRED));
    world.events();
    let (mut wakes, mut looks) = (0, 0);
    for _ in 0..1_000 {
        world.now += MILLI;
        file.write_all(b"xx").expect("it can be written");
        other.write_all(b"xx").expect("it can be written");
        let is_timer = world.watch.next_wake().is_some_and(|wake| wake <= world.now);
        if world.is_readable() || is_timer {
            wakes += 1;
            looks += world.events().len();
        }
    }
    assert!((9..=11).contains(&looks), "{looks}");
    assert!(wakes <= 22, "{wakes}");
}

#[test]
fn a_fifo_and_a_directory_do_not_grow() {
    let mut world = World::new();
    nix::unistd::mkfifo(&world.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    world.mkdir("dir");
    world.listen(world.source("*", PathChange::Lines(1)));
    assert_eq!(world.events(), [""; 0]);
}
