//! Owns: the tests of `GateMeter`, below directories that stand for /proc and /sys.
//! Never: the text of gates (see `domain`).

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const STAT: &str = "cpu  9 0 9 9\ncpu0 4 0 4 4\ncpu1 5 0 5 5\nintr 7 1\nprocs_running 4\nprocs_blocked 0\n";
const MEMINFO: &str = "MemTotal:       9000000 kB\nMemFree:         100000 kB\nMemAvailable:   2097152 kB\n";

/// A machine with a load of 2.31, two CPUs, three runnable processes and the reader, and 2 GiB available.
struct Machine {
    dir: TempDir,
    meter: GateMeter,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("there is room");
        let meter = GateMeter::below(dir.path().join("proc"), MachineStates::below(dir.path().join("sys")));
        let machine = Self { dir, meter };
        machine.write("loadavg", "2.31 0.39 1.02 1/85 23777\n");
        machine.write("stat", STAT);
        machine.write("meminfo", MEMINFO);
        machine
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("proc").join(file)
    }

    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("it is below a directory")).expect("there is room");
        fs::write(path, text).expect("there is room");
    }

    /// Sets for how long tasks have waited for a CPU.
    fn wait_ms(&self, ms: u64) {
        let line = |kind, total| format!("{kind} avg10=9.99 avg60=9.99 avg300=9.99 total={total}\n");
        self.write("pressure/cpu", line("some", ms * 1_000) + &line("full", 7));
    }

    fn read(&mut self, gate: &Gate, now_ms: u64) -> GateReading {
        let readings = self.meter.measure(&BTreeSet::from([gate.clone()]), Duration::from_millis(now_ms));
        readings.into_iter().next().expect("it is not a script").1
    }

    /// Returns whether a gate is open, and the measure as shown.
    #[track_caller]
    fn at(&mut self, gate: &str, now_ms: u64) -> (bool, String) {
        match self.read(&gate_of(gate), now_ms) {
            GateReading::Read { is_open, measure } => {
                (is_open, measure.map_or_else(String::new, |measure| measure.to_string()))
            }
            GateReading::NotYet => (false, "not yet".to_owned()),
            GateReading::Unreadable(cause) => panic!("{gate}: {cause}"),
        }
    }

    #[track_caller]
    fn check(&mut self, gate: &str, is_open: bool, measure: &str) {
        assert_eq!(self.at(gate, 0), (is_open, measure.to_owned()), "{gate}");
    }

    /// Checks the reason, of which the directory is left out.
    #[track_caller]
    fn check_unreadable(&mut self, gate: &str, cause: &str) {
        let GateReading::Unreadable(full) = self.read(&gate_of(gate), 0) else { panic!("{gate} is read") };
        let dir = format!("{}/", self.dir.path().display());
        assert_eq!(full.replace(&dir, "/"), cause, "{gate}");
    }
}

fn gate_of(text: &str) -> Gate {
    Gate::read(text.as_bytes(), Path::new("/")).expect("it is a gate")
}

#[test]
fn a_load_is_compared_with_that_of_the_last_minute() {
    let mut machine = Machine::new();
    machine.check("load<1.5", false, "2.31");
    machine.check("load<2.31", false, "2.31");
    machine.check("load<2.32", true, "2.31");
    machine.write("loadavg", "0.00 9.00 9.00 1/85 1\n");
    machine.check("load<0.01", true, "0");
}

#[test]
fn runnable_processes_are_counted_without_the_reader_and_by_cpu() {
    let mut machine = Machine::new();
    machine.check("runnable<100%", false, "150%");
    machine.check("runnable<150%", false, "150%");
    machine.check("runnable<150.01%", true, "150%");
    machine.write("stat", STAT.replace("running 4", "running 1"));
    machine.check("runnable<1%", true, "0%");
    machine.write("stat", STAT.replace("running 4", "running 0"));
    machine.check("runnable<1%", true, "0%");
    machine.write("stat", STAT.replace("running 4", "running 2") + "cpu2 0\n");
    machine.check("runnable<33.33%", false, "33.33%");
    machine.check("runnable<33.34%", true, "33.33%");
}

#[test]
fn free_memory_is_what_is_available() {
    let mut machine = Machine::new();
    machine.check("memfree>2G", false, "2.0G");
    machine.check("memfree>2147483647", true, "2.0G");
    machine.check("memfree>512M", true, "2.0G");
    machine.write("meminfo", MEMINFO.replace("2097152", "2097151"));
    machine.check("memfree>2G", false, "1.9G");
}

#[test]
fn a_pressure_is_the_growth_of_the_last_second() {
    let mut machine = Machine::new();
    machine.wait_ms(1_000_000);
    assert_eq!(machine.at("psi.cpu<40", 0), (false, "not yet".to_owned()));
    machine.wait_ms(1_000_820);
    assert_eq!(machine.at("psi.cpu<40", 1_000), (false, "82%".to_owned()));
    machine.wait_ms(1_000_850);
    assert_eq!(machine.at("psi.cpu<40%", 2_000), (true, "3%".to_owned()));
    machine.wait_ms(1_001_250);
    assert_eq!(machine.at("psi.cpu<40", 3_000), (false, "40%".to_owned()));
    // A loop that was late.
    assert_eq!(machine.at("psi.cpu<40", 8_000), (true, "0%".to_owned()));
    machine.wait_ms(1_001_251);
    assert_eq!(machine.at("psi.cpu<40", 11_000), (true, "0.03%".to_owned()));
    // The kernel was read later than our clock.
    machine.wait_ms(1_002_253);
    assert_eq!(machine.at("psi.cpu<100", 12_000), (false, "100%".to_owned()));
}

#[test]
fn a_pressure_that_is_asked_for_too_soon_is_the_former() {
    let mut machine = Machine::new();
    machine.wait_ms(0);
    assert_eq!(machine.at("psi.cpu<40", 10_000).1, "not yet");
    machine.wait_ms(500);
    assert_eq!(machine.at("psi.cpu<40", 10_899).1, "not yet");
    assert_eq!(machine.at("psi.cpu<40", 10_900).1, "55.55%");
    machine.wait_ms(600);
    assert_eq!(machine.at("psi.cpu<60", 11_200), (true, "55.55%".to_owned()));
    assert_eq!(machine.at("psi.cpu<40", 11_900).1, "10%", "since the sample, not since the last call");
    assert_eq!(machine.at("psi.cpu<40", 11_000).1, "10%", "even if time goes back");
}

#[test]
fn a_pressure_is_measured_anew_after_a_long_pause() {
    let mut machine = Machine::new();
    machine.wait_ms(0);
    assert_eq!(machine.at("psi.cpu<40", 0).1, "not yet");
    assert_eq!(machine.at("psi.cpu<40", 5_000).1, "0%");
    machine.wait_ms(1_000);
    assert_eq!(machine.at("psi.cpu<40", 10_001).1, "not yet");
    assert_eq!(machine.at("psi.cpu<40", 10_500).1, "not yet");
    assert_eq!(machine.at("psi.cpu<40", 11_001).1, "0%");
}

#[test]
fn a_pressure_is_measured_anew_after_an_error_and_when_it_shrinks() {
    let mut machine = Machine::new();
    machine.wait_ms(2_000);
    assert_eq!(machine.at("psi.cpu<40", 0).1, "not yet");
    machine.wait_ms(100);
    assert_eq!(machine.at("psi.cpu<40", 1_000).1, "not yet");
    machine.write("pressure/cpu", "");
    assert!(matches!(machine.read(&gate_of("psi.cpu<40"), 2_000), GateReading::Unreadable(_)));
    machine.wait_ms(200);
    assert_eq!(machine.at("psi.cpu<40", 3_000).1, "not yet");
    assert_eq!(machine.at("psi.cpu<40", 4_000).1, "0%");
}

#[test]
fn each_pressure_is_measured_by_itself_and_once_for_all_gates() {
    let mut machine = Machine::new();
    machine.wait_ms(0);
    machine.write("pressure/memory", "some avg10=0.00 total=7\nfull total=9000000\n");
    let gates: BTreeSet<Gate> = ["psi.cpu<40", "psi.cpu<60", "psi.mem<10"].into_iter().map(gate_of).collect();
    let first = machine.meter.measure(&gates, Duration::ZERO);
    assert!(first.values().all(|reading| *reading == GateReading::NotYet));
    machine.wait_ms(500);
    let second = machine.meter.measure(&gates, Duration::from_secs(1));
    let open: Vec<_> = second.iter().map(|(gate, reading)| (gate.to_string(), reading.is_open())).collect();
    let wanted = [("psi.cpu<40", false), ("psi.cpu<60", true), ("psi.mem<10", true)];
    assert_eq!(open, wanted.map(|(gate, is_open)| (gate.to_owned(), is_open)));
}

#[test]
fn a_kernel_without_pressure_says_so() {
    let cause = "the kernel does not measure pressure, or only if it is booted with `psi=1`";
    for (gate, file) in [("psi.cpu<40", "cpu"), ("psi.mem<10", "memory"), ("psi.io<20", "io")] {
        Machine::new().check_unreadable(gate, &format!("cannot read `/proc/pressure/{file}`: {cause}"));
    }
}

#[test]
fn a_missing_file_closes_its_gates() {
    let mut machine = Machine::new();
    for (gate, file) in [("load<9", "loadavg"), ("runnable<900%", "stat"), ("memfree>1", "meminfo")] {
        fs::remove_file(machine.path(file)).expect("it is there");
        machine.check_unreadable(gate, &format!("cannot read `/proc/{file}`: no such file or directory"));
    }
}

#[test]
fn a_malformed_file_closes_its_gates() {
    let mut machine = Machine::new();
    let files: [(&str, &str, &str, &[&str]); 5] = [
        (
            "load<9",
            "loadavg",
            "it does not begin with a load average",
            &["", "\n", "x 1 2", "-1 0", "1e9", "nan"],
        ),
        (
            "runnable<900%",
            "stat",
            "it has no `procs_running`",
            &["", "cpu0 1\n", "cpu0 1\nprocs_running\n", "cpu0 1\nprocs_running -1\n", "procs_running_9 1\n"],
        ),
        (
            "runnable<900%",
            "stat",
            "it has no CPU",
            &["procs_running 1\n", "cpu 1\ncpufreq 1\nprocs_running 1"],
        ),
        (
            "memfree>1",
            "meminfo",
            "it has no `MemAvailable`",
            &["", "MemFree: 9 kB\n", "MemAvailable:\n", "MemAvailable: 18446744073709551615 kB\n"],
        ),
        (
            "psi.cpu<40",
            "pressure/cpu",
            "it has no `total` of `some`",
            &["", "full total=1\n", "some avg10=0.00\n", "some total=\n", "some total=-1\n"],
        ),
    ];
    for (gate, file, cause, texts) in files {
        for text in texts {
            machine.write(file, text);
            machine.check_unreadable(gate, &format!("cannot read `/proc/{file}`: {cause}"));
        }
    }
    machine.write("loadavg", b"\xff");
    assert!(!machine.read(&gate_of("load<9"), 0).is_open());
}

#[test]
fn huge_counts_are_no_panic() {
    let mut machine = Machine::new();
    machine.write("stat", format!("cpu0 1\nprocs_running {}\n", u64::MAX));
    assert!(!machine.at("runnable<1000000%", 0).0);
    machine.wait_ms(0);
    assert!(!machine.at("psi.cpu<100", 0).0);
    machine.write("pressure/cpu", format!("some total={}\n", u64::MAX));
    assert_eq!(machine.at("psi.cpu<100", 1_000), (false, "100%".to_owned()));
}

#[test]
fn a_path_is_open_while_its_file_exists() {
    let mut machine = Machine::new();
    let dir = machine.dir.path().to_owned();
    let gate = |name: &str| format!("path:{}/{name}", dir.display());
    machine.check(&gate("ready"), false, "");
    symlink(dir.join("ready"), dir.join("link")).expect("it is new");
    machine.check(&gate("link"), false, "");
    fs::write(dir.join("ready"), "").expect("there is room");
    machine.check(&gate("ready"), true, "");
    machine.check(&gate("link"), true, "");
    machine.check(&gate("proc"), true, "");
    machine.check(&gate("ready/"), false, "");
    machine.check(&gate("ready/below"), false, "");
    symlink(dir.join("loop"), dir.join("loop")).expect("it is new");
    let cause = "cannot look at `/loop`: too many symbolic links encountered";
    machine.check_unreadable(&gate("loop"), cause);
}

#[test]
fn the_states_of_the_machine_are_gates() {
    let mut machine = Machine::new();
    machine.check("ac", true, "");
    let battery = machine.dir.path().join("sys/class/power_supply/BAT0");
    fs::create_dir_all(&battery).expect("there is room");
    fs::write(battery.join("type"), "Battery\n").expect("there is room");
    fs::write(battery.join("status"), "Discharging\n").expect("there is room");
    machine.check("ac", false, "");
    fs::remove_dir_all(machine.dir.path().join("sys/class/power_supply")).expect("it is there");
    fs::write(machine.dir.path().join("sys/class/power_supply"), "").expect("there is room");
    machine.check_unreadable("ac", "cannot read the state of the power supplies: not a directory");
    let is_online = MachineStates::default().holds(MachineState::Online).expect("it is read");
    machine.check("online", is_online == Some(true), "");
}

#[test]
fn a_script_is_not_measured() {
    let gates = BTreeSet::from([gate_of("cmd:true"), gate_of("load<3")]);
    let readings = Machine::new().meter.measure(&gates, Duration::ZERO);
    assert_eq!(readings.keys().collect::<Vec<_>>(), [&gate_of("load<3")]);
}

#[test]
fn the_files_of_this_machine_are_read() {
    let gates: BTreeSet<Gate> = ["load<1", "runnable<1%", "memfree>1"].into_iter().map(gate_of).collect();
    for (gate, reading) in GateMeter::default().measure(&gates, Duration::ZERO) {
        assert!(matches!(reading, GateReading::Read { measure: Some(_), .. }), "{gate}: {reading:?}");
    }
}
