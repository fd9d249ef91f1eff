//! Runs that have resources, and runs that start in the place of one.

use taskq::domain::{End, Share};
use taskq::keeper::protocol::{
    FromKeeper, OwnResources, PROTOCOL_VERSION, StartExtras, StartOrder, ToKeeper,
};

use crate::harness::{Daemon, attempt, connected, open_gate};

fn share(text: &str) -> Share {
    serde_json::from_str(text).expect("a share")
}

fn start(daemon: &mut Daemon, order: StartOrder, needs: &str, has: Option<Share>) {
    let resources = OwnResources { needs: needs.parse().unwrap_or_default(), share: has };
    let extras = StartExtras { resources: Some(Box::new(resources)), ..StartExtras::default() };
    daemon.send(ToKeeper::Start(order, extras));
}

const TWO: &str = r#"{"gpu":{"indices":[1,4]},"mem":{"amount":1024}}"#;

#[test]
fn a_run_is_told_which_parts_it_has_whatever_its_environment_says() {
    let (keeper, mut daemon) = connected();
    let mut order = keeper.sh(1, "echo $TASKQ_GPU; echo ${TASKQ_MEM-none}");
    order.env.push(b"TASKQ_GPU=7".to_vec());
    start(&mut daemon, order, "", Some(share(TWO)));
    assert_eq!(daemon.finish().end, End::Exited(0));
    assert_eq!(keeper.output(1), "1,4\nnone\n");
}

#[test]
fn a_run_that_stands_by_takes_the_place_of_one_that_has_what_it_needs_and_every_daemon_is_told() {
    let (keeper, mut daemon) = connected();
    let gates = [keeper.fifo("first"), keeper.fifo("second")];
    start(&mut daemon, keeper.sh(1, "read word < first"), "", Some(share(TWO)));
    daemon.started(1);
    start(&mut daemon, keeper.sh(2, "echo $TASKQ_GPU; read word < second"), "gpu=1", None);
    // It has a slot, and waits.
    daemon.start(keeper.sh(3, "true"));
    daemon.started(3);
    assert_eq!(daemon.ended().attempt, attempt(3));
    open_gate(&gates[0]);
    let part = share(r#"{"gpu":{"indices":[1]}}"#);
    assert_eq!(daemon.next(), FromKeeper::Holds { attempt: attempt(2), share: part.clone() });
    daemon.started(2);
    assert_eq!(daemon.ended().attempt, attempt(1));
    // The daemon dies with these reports.
    drop(daemon);
    let mut daemon = Daemon::connect(&keeper.socket());
    daemon.send(ToKeeper::Hello { version: PROTOCOL_VERSION });
    assert_eq!(daemon.next(), FromKeeper::Holds { attempt: attempt(2), share: part });
    let FromKeeper::Hello { known, ended, .. } = daemon.next() else { panic!("a hello") };
    assert_eq!((known.len(), ended.len()), (1, 2));
    ended.iter().for_each(|ended| daemon.acknowledge(ended));
    open_gate(&gates[1]);
    assert_eq!(daemon.finish().attempt, attempt(2));
    assert_eq!(keeper.output(2), "1\n");
}

#[test]
fn what_no_run_gives_back_is_waited_for_until_the_daemon_recalls_it() {
    let (keeper, mut daemon) = connected();
    start(&mut daemon, keeper.sh(1, "true"), "", Some(share(r#"{"lic":{"indices":[0]}}"#)));
    assert_eq!(daemon.finish().attempt, attempt(1));
    start(&mut daemon, keeper.sh(2, "true"), "lic=1", None);
    daemon.send(ToKeeper::Recall { attempt: attempt(2) });
    let ended = daemon.finish();
    assert_eq!((ended.attempt, ended.end), (attempt(2), End::NotStarted));
}

#[test]
fn a_run_whose_limits_cannot_be_set_does_not_start() {
    let (keeper, mut daemon) = connected();
    let resources = OwnResources { share: Some(share(TWO)), ..OwnResources::default() };
    let resources = Some(Box::new(resources));
    let extras = StartExtras { resources, enforce: true, ..StartExtras::default() };
    daemon.send(ToKeeper::Start(keeper.sh(1, "echo it started"), extras));
    let End::SpawnFailed { status: 125, cause } = daemon.finish().end else { panic!("it started") };
    assert!(cause.starts_with("`--enforce`: "), "{cause}");
    assert!(!keeper.output_path(1).exists(), "no process, no output");
    daemon.run(keeper.sh(2, "echo another"));
    assert_eq!(keeper.output(2), "another\n");
}
