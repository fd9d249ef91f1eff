//! Owns: gates, `--if`: the conditions that only delay a start, and their text.
//! Never: measuring (see `watch`), running a script (see `keeper`), deciding on a start (see `engine`).
//!
//! A comparison has one direction, that in which a machine becomes idle, and no `<=`: measures are so fine
//! that it would make no difference.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::run::words;
use super::{Decimal, MachineState, Size};

/// A condition of the machine without which a run does not start yet.
///
/// Its text is that of `--if`. It is serialised as this text. If the text is not UTF-8, it is serialised as
/// `bytes:` and hexadecimal digits, which `--if` does not take.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Gate {
    /// `load<1.5`: the load average of the last minute is lower, the first number of /proc/loadavg, see
    /// proc_loadavg(5). It counts the processes of all CPUs together that run, wait for a CPU or wait for a
    /// disk. It takes about a minute to follow a change.
    Load(Decimal),
    /// `runnable<100%`: the processes that run or wait for a CPU are fewer, in percent of the CPUs online.
    /// This is `procs_running` of /proc/stat, see proc_stat(5), less the one that reads it.
    ///
    /// The text has to have its `%`: `runnable<2` could be meant as two processes.
    Runnable(Decimal),
    /// `psi.cpu<40`: at least one task waited in a lower percentage of the last second. This is the growth of
    /// `total` in the line `some` of /proc/pressure/cpu, see Documentation/accounting/psi.rst of the kernel.
    ///
    /// The text may have a `%` or not, because pressure is always a percentage.
    Pressure(Pressure, Decimal),
    /// `memfree>2G`: more memory is available without swapping, `MemAvailable` of /proc/meminfo, see
    /// proc_meminfo(5).
    MemFree(Size),
    /// `ac`: the machine runs on mains power.
    Ac,
    /// `online`: there is a route to other machines.
    Online,
    /// `path:FILE`: the file exists. An absolute path; stat(2) follows symbolic links.
    Path(Vec<u8>),
    /// `cmd:SCRIPT`: a script for sh exits with status 0.
    Command(Vec<u8>),
}

/// What tasks wait for under pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pressure {
    Cpu,
    Memory,
    Io,
}

words!(Pressure { Cpu = "cpu", Memory = "mem", Io = "io" });

/// How a gate is written: its name, the sign after it, and an example of what follows.
struct Form {
    name: &'static str,
    sign: &'static str,
    example: &'static str,
}

const FORMS: [Form; 10] = [
    Form { name: "load", sign: "<", example: "1.5" },
    Form { name: "runnable", sign: "<", example: "100%" },
    Form { name: "psi.cpu", sign: "<", example: "40" },
    Form { name: "psi.mem", sign: "<", example: "10" },
    Form { name: "psi.io", sign: "<", example: "20" },
    Form { name: "memfree", sign: ">", example: "2G" },
    Form { name: "ac", sign: "", example: "" },
    Form { name: "online", sign: "", example: "" },
    Form { name: "path", sign: ":", example: "FILE" },
    Form { name: "cmd", sign: ":", example: "SCRIPT" },
];

/// The prefix of the serialised form of a text that is not UTF-8.
const BYTES: &str = "bytes:";

impl Gate {
    /// The longest FILE, as an absolute path, and the longest SCRIPT, in bytes: the longest path of Linux.
    pub const ARG_BYTES_MAX: usize = 4096;

    /// The largest bound of a load, and of runnable processes in percent. No machine comes near it.
    const BOUND_MAX: Decimal = Decimal::from_hundredths(100_000_000);

    /// The largest bound of a pressure, which is never above 100 %.
    const PRESSURE_MAX: Decimal = Decimal::from_hundredths(10_000);

    /// Reads the text. A FILE is relative to `cwd`, an absolute path.
    ///
    /// A bound that no measure can meet, or that every measure meets, is refused.
    ///
    /// # Errors
    ///
    /// What is wrong, and what is accepted.
    pub fn read(text: &[u8], cwd: &Path) -> Result<Self, String> {
        let (name, sign, arg) = split(text);
        let form = FORMS.iter().find(|form| form.name.as_bytes() == name);
        let form = form.ok_or_else(|| format!("`{}` is not a gate: {}", lossy(text), accepted()))?;
        form.check_sign(sign, arg)?;
        match form.name {
            "load" => form.bound(arg, Some(arg), (Self::BOUND_MAX, "")).map(Self::Load),
            "runnable" => {
                let number = arg.strip_suffix(b"%");
                form.bound(arg, number, (Self::BOUND_MAX, "%")).map(Self::Runnable)
            }
            "memfree" => form.size(arg).map(Self::MemFree),
            "ac" => Ok(Self::Ac),
            "online" => Ok(Self::Online),
            "path" => form.path(arg, cwd).map(Self::Path),
            "cmd" => form.check(arg).map(|()| Self::Command(arg.to_vec())),
            name => {
                let pressure = name.strip_prefix("psi.").and_then(Pressure::from_word);
                let pressure = pressure.expect("the other forms are those of pressure");
                let number = arg.strip_suffix(b"%").unwrap_or(arg);
                let bound = form.bound(arg, Some(number), (Self::PRESSURE_MAX, "%"))?;
                Ok(Self::Pressure(pressure, bound))
            }
        }
    }

    /// Returns the text that reads back, in the shortest form. FILE is an absolute path.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::Load(bound) => format!("load<{bound}").into(),
            Self::Runnable(bound) => format!("runnable<{bound}%").into(),
            Self::Pressure(pressure, bound) => format!("psi.{pressure}<{bound}").into(),
            Self::MemFree(bound) => format!("memfree>{bound}").into(),
            Self::Ac => b"ac".to_vec(),
            Self::Online => b"online".to_vec(),
            Self::Path(path) => [b"path:", path.as_slice()].concat(),
            Self::Command(script) => [b"cmd:", script.as_slice()].concat(),
        }
    }

    /// Returns the state of the machine that it asks for; `None` if it asks for something else.
    pub fn state(&self) -> Option<MachineState> {
        match self {
            Self::Ac => Some(MachineState::Ac),
            Self::Online => Some(MachineState::Online),
            Self::Load(_)
            | Self::Runnable(_)
            | Self::Pressure(..)
            | Self::MemFree(_)
            | Self::Path(_)
            | Self::Command(_) => None,
        }
    }
}

/// Writes its text, with a replacement for what is not UTF-8.
impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lossy(&self.text()))
    }
}

impl From<Gate> for String {
    fn from(gate: Gate) -> Self {
        Self::from_utf8(gate.text()).unwrap_or_else(|error| {
            let digits = error.as_bytes().iter().map(|byte| format!("{byte:02x}"));
            BYTES.to_owned() + &digits.collect::<Self>()
        })
    }
}

impl TryFrom<String> for Gate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let root = Path::new("/");
        let Some(digits) = text.strip_prefix(BYTES) else { return Self::read(text.as_bytes(), root) };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |pair: &[u8]| match pair {
            [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        Self::read(&bytes.ok_or_else(|| format!("`{text}` is not `{BYTES}` and its bytes"))?, root)
    }
}

/// Splits a text into its name, the sign after it, and the rest.
fn split(text: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let is_sign = |byte: &u8| b"<>=!".contains(byte);
    let end = text.iter().position(|byte| is_sign(byte) || *byte == b':').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    // What follows a colon is any text, and may begin with a sign.
    let length = match rest.first() {
        Some(b':') => 1,
        Some(_) | None => rest.iter().take_while(|byte| is_sign(byte)).count(),
    };
    let (sign, arg) = rest.split_at(length);
    (name, sign, arg)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Returns the forms of all gates, for a sentence.
fn accepted() -> String {
    let forms: Vec<String> = FORMS.iter().map(|form| format!("`{}`", form.written())).collect();
    let (last, others) = forms.split_last().expect("there are some forms");
    format!("a gate is one of {} and {last}", others.join(", "))
}

impl Form {
    fn written(&self) -> String {
        format!("{}{}{}", self.name, self.sign, self.example)
    }

    fn check_sign(&self, sign: &[u8], arg: &[u8]) -> Result<(), String> {
        let Self { name, sign: wanted, .. } = self;
        if sign == wanted.as_bytes() {
            return Ok(());
        }
        Err(if wanted.is_empty() {
            format!("`{name}` takes no value, and `{}` is given", lossy(&[sign, arg].concat()))
        } else if sign.is_empty() {
            format!("`{name}` needs a `{wanted}`, as in `{}`", self.written())
        } else {
            format!("`{name}` takes only `{wanted}`, not `{}`, as in `{}`", lossy(sign), self.written())
        })
    }

    /// Reads a bound. `number` is `arg` without its unit, or `None` if the unit is missing.
    fn bound(
        &self,
        arg: &[u8],
        number: Option<&[u8]>,
        (max, unit): (Decimal, &str),
    ) -> Result<Decimal, String> {
        let min = Decimal::from_hundredths(1);
        let bound = number.and_then(|number| str::from_utf8(number).ok()?.parse().ok());
        bound.filter(|bound| (min..=max).contains(bound)).ok_or_else(|| {
            format!(
                "`{}` is not a number from {min}{unit} to {max}{unit} with at most two decimals, as in `{}`",
                lossy(arg),
                self.written()
            )
        })
    }

    fn size(&self, arg: &[u8]) -> Result<Size, String> {
        let size: Size = lossy(arg).parse()?;
        if size == Size::from_bytes(0) {
            let given = format!("{}{}{}", self.name, self.sign, lossy(arg));
            return Err(format!("`{given}` is always open: name a size of 1 byte or more"));
        }
        Ok(size)
    }

    fn path(&self, arg: &[u8], cwd: &Path) -> Result<Vec<u8>, String> {
        assert!(cwd.is_absolute(), "the directory of a job is absolute");
        self.check(arg)?;
        let path = std::path::absolute(cwd.join(OsStr::from_bytes(arg)));
        // Only an empty path is refused, and a relative one where there is no current directory.
        let path = path.expect("it is absolute already").into_os_string().into_vec();
        self.check(&path)?;
        Ok(path)
    }

    /// Checks a FILE or a SCRIPT.
    fn check(&self, arg: &[u8]) -> Result<(), String> {
        if arg.trim_ascii().is_empty() {
            return Err(format!("`{}:` needs a value, as in `{}`", self.name, self.written()));
        }
        if arg.len() > Gate::ARG_BYTES_MAX || arg.contains(&0) {
            let max = Gate::ARG_BYTES_MAX;
            return Err(format!("the text after `{}:` has a NUL byte or more than {max} bytes", self.name));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Gate, String> {
        Gate::read(text.as_bytes(), Path::new("/home/u"))
    }

    #[track_caller]
    fn check(text: &str, gate: Gate, written: &str) {
        assert_eq!((read(text), gate.to_string().as_str()), (Ok(gate), written), "{text}");
    }

    #[track_caller]
    fn refused(text: &str, cause: &str) {
        assert_eq!(read(text), Err(cause.to_owned()), "{text}");
    }

    #[test]
    fn a_gate_is_written_in_its_shortest_form() {
        let hundredths = Decimal::from_hundredths;
        check("load<1.5", Gate::Load(hundredths(150)), "load<1.5");
        check("load<02.00", Gate::Load(hundredths(200)), "load<2");
        check("runnable<100%", Gate::Runnable(hundredths(10_000)), "runnable<100%");
        check("runnable<0.10%", Gate::Runnable(hundredths(10)), "runnable<0.1%");
        check("psi.cpu<40", Gate::Pressure(Pressure::Cpu, hundredths(4_000)), "psi.cpu<40");
        check("psi.mem<0.25%", Gate::Pressure(Pressure::Memory, hundredths(25)), "psi.mem<0.25");
        check("psi.io<100%", Gate::Pressure(Pressure::Io, hundredths(10_000)), "psi.io<100");
        check("memfree>2048m", Gate::MemFree(Size::from_bytes(2 << 30)), "memfree>2G");
        check("ac", Gate::Ac, "ac");
        check("online", Gate::Online, "online");
        check(
            "cmd:test $(date +%H) -lt 6",
            Gate::Command(b"test $(date +%H) -lt 6".into()),
            "cmd:test $(date +%H) -lt 6",
        );
        check("cmd:<in grep -q :", Gate::Command(b"<in grep -q :".into()), "cmd:<in grep -q :");
    }

    #[test]
    fn a_file_is_relative_to_the_directory_of_the_job() {
        for (file, path) in [
            ("ready", "/home/u/ready"),
            ("./a//b/", "/home/u/a/b/"),
            ("../x", "/home/u/../x"),
            ("/mnt/disk", "/mnt/disk"),
            ("a<b: c ", "/home/u/a<b: c "),
        ] {
            check(&format!("path:{file}"), Gate::Path(path.into()), &format!("path:{path}"));
        }
    }

    #[test]
    fn the_form_of_each_gate_is_read() {
        for form in &FORMS {
            let gate = read(&form.written()).expect("it is accepted");
            assert_eq!(gate.to_string().split(form.sign).next(), form.written().split(form.sign).next());
        }
    }

    #[test]
    fn an_unknown_gate_is_refused_with_the_accepted_ones() {
        let accepted = "a gate is one of `load<1.5`, `runnable<100%`, `psi.cpu<40`, `psi.mem<10`, \
                        `psi.io<20`, `memfree>2G`, `ac`, `online`, `path:FILE` and `cmd:SCRIPT`";
        for unknown in ["", "lod<1", "Load<1", "load <1", "psi.memory<1", "psi<1", "battery", "!ac", "<1"] {
            refused(unknown, &format!("`{unknown}` is not a gate: {accepted}"));
        }
    }

    #[test]
    fn another_sign_is_refused_with_the_accepted_one() {
        refused("load>1", "`load` takes only `<`, not `>`, as in `load<1.5`");
        refused("load<=1", "`load` takes only `<`, not `<=`, as in `load<1.5`");
        refused("memfree<2G", "`memfree` takes only `>`, not `<`, as in `memfree>2G`");
        refused("psi.io:2", "`psi.io` takes only `<`, not `:`, as in `psi.io<20`");
        refused("path=/x", "`path` takes only `:`, not `=`, as in `path:FILE`");
        refused("runnable", "`runnable` needs a `<`, as in `runnable<100%`");
        refused("cmd", "`cmd` needs a `:`, as in `cmd:SCRIPT`");
        refused("ac<1", "`ac` takes no value, and `<1` is given");
        refused("online:", "`online` takes no value, and `:` is given");
    }

    #[test]
    fn a_bound_that_is_no_number_or_decides_nothing_is_refused() {
        for bad in ["", "-1", "0", "0.00", "1.234", "1e3", "1000000.01", " 1", "1%", "inf", "ü"] {
            let range = "from 0.01 to 1000000 with at most two decimals, as in `load<1.5`";
            refused(&format!("load<{bad}"), &format!("`{bad}` is not a number {range}"));
        }
        for bad in ["2", "0%", "-1%", "100%%", "%", "1000001%"] {
            let range = "from 0.01% to 1000000% with at most two decimals, as in `runnable<100%`";
            refused(&format!("runnable<{bad}"), &format!("`{bad}` is not a number {range}"));
        }
        for bad in ["100.01", "101%", "0%", "-5"] {
            let range = "from 0.01% to 100% with at most two decimals, as in `psi.cpu<40`";
            refused(&format!("psi.cpu<{bad}"), &format!("`{bad}` is not a number {range}"));
        }
        refused("memfree>-1", "`-1` is not a size: write it as `4096`, `500K`, `10M` or `1G`");
        refused("memfree>0K", "`memfree>0K` is always open: name a size of 1 byte or more");
    }

    #[test]
    fn an_empty_or_endless_file_or_script_is_refused() {
        refused("path:", "`path:` needs a value, as in `path:FILE`");
        refused("cmd: \n", "`cmd:` needs a value, as in `cmd:SCRIPT`");
        for name in ["path", "cmd"] {
            let cause = format!("the text after `{name}:` has a NUL byte or more than 4096 bytes");
            refused(&format!("{name}:a\0b"), &cause);
            refused(&format!("{name}:{}", "x".repeat(4_097)), &cause);
        }
        assert!(read(&format!("path:{}", "x".repeat(4_096))).is_err(), "it is longer when it is absolute");
    }

    #[test]
    fn a_gate_is_serialised_as_its_text() {
        for (text, json) in [
            (&b"psi.cpu<40%"[..], r#""psi.cpu<40""#),
            (b"path:/a \"b", r#""path:/a \"b""#),
            (b"cmd:\xff", r#""bytes:636d643aff""#),
        ] {
            let gate = Gate::read(text, Path::new("/")).expect("it is a gate");
            assert_eq!(serde_json::to_string(&gate).expect("it is a string"), json);
            assert_eq!(serde_json::from_str::<Gate>(json).expect("it reads back"), gate);
        }
        for bad in
            ["\"load<0\"", "\"bytes:636d643af\"", "\"bytes:636d643a+1\"", "\"bytes:zz\"", "\"bytes:ää\"", "1"]
        {
            assert!(serde_json::from_str::<Gate>(bad).is_err(), "{bad}");
        }
        refused("bytes:6163", &format!("`bytes:6163` is not a gate: {}", accepted()));
    }

    fn gates() -> impl Strategy<Value = Gate> {
        let number = (1..=100_000_000_u64).prop_map(Decimal::from_hundredths);
        let share = (1..=10_000_u64).prop_map(Decimal::from_hundredths);
        let pressure = prop::sample::select(Pressure::ALL);
        let bytes = vec(any::<u8>().prop_filter("no path has it", |byte| *byte != 0), 0..30);
        let arg = bytes.prop_map(|bytes| [b"x", bytes.as_slice()].concat());
        prop_oneof![
            number.clone().prop_map(Gate::Load),
            number.prop_map(Gate::Runnable),
            (pressure, share).prop_map(|(pressure, bound)| Gate::Pressure(pressure, bound)),
            (1..=Size::MAX.as_bytes()).prop_map(|bytes| Gate::MemFree(Size::from_bytes(bytes))),
            prop::sample::select(&[Gate::Ac, Gate::Online][..]),
            arg.clone().prop_map(|arg| {
                Gate::read(&[b"path:", arg.as_slice()].concat(), Path::new("/d")).expect("it is a path")
            }),
            arg.prop_map(Gate::Command),
        ]
    }

    proptest! {
        #[test]
        fn a_gate_reads_back(gate in gates(), cwd in "(/[a-z]{1,3}){1,3}") {
            prop_assert_eq!(Gate::read(&gate.text(), Path::new(&cwd)), Ok(gate.clone()));
            let stored = postcard::to_stdvec(&gate).expect("memory suffices");
            prop_assert_eq!(&postcard::from_bytes::<Gate>(&stored).expect("it reads back"), &gate);
            let json = serde_json::to_string(&gate).expect("memory suffices");
            prop_assert_eq!(serde_json::from_str::<Gate>(&json).expect("it reads back"), gate);
        }

        #[test]
        fn no_text_panics_and_what_is_read_reads_back(
            text in "(load|runnable|psi\\.io|memfree|path|cmd|ac)?[<>=:!]{0,2}[0-9.]{0,4}[%KMG]?\\PC{0,2}",
        ) {
            if let Ok(gate) = read(&text) {
                prop_assert_eq!(read(&gate.to_string()), Ok(gate));
            }
        }
    }
}
