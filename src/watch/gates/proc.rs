//! Owns: what gates compare, in the files of proc(5).
//! Never: the bounds of gates.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use nix::errno::Errno;

use crate::domain::{Decimal, Pressure, Size};
use crate::error::{Error, ErrorKind};

/// Where proc(5) is mounted.
///
/// The error of each measure is the whole sentence, as in ``cannot read `/proc/stat`: permission denied``.
#[derive(Debug)]
pub(super) struct Proc(pub(super) PathBuf);

impl Proc {
    /// Returns the load average of the last minute.
    pub(super) fn load(&self) -> Result<Decimal, String> {
        self.read("loadavg", |text| {
            let first = text.split_ascii_whitespace().next();
            first.and_then(|first| first.parse().ok()).ok_or("it does not begin with a load average")
        })
    }

    /// Returns how many processes run or wait for a CPU, less this one, in percent of the CPUs online.
    pub(super) fn runnable(&self) -> Result<Decimal, String> {
        self.read("stat", |text| {
            let running: u64 = number_after(text, "procs_running").ok_or("it has no `procs_running`")?;
            let cpus = u64::try_from(text.lines().filter(|line| is_of_cpu(line)).count()).unwrap_or(u64::MAX);
            // In hundredths of a percent.
            let hundredths = running.saturating_sub(1).saturating_mul(10_000).checked_div(cpus);
            hundredths.map(Decimal::from_hundredths).ok_or("it has no CPU")
        })
    }

    /// Returns the memory that is available without swapping.
    pub(super) fn available(&self) -> Result<Size, String> {
        self.read("meminfo", |text| {
            // Called kB, and meant as KiB.
            let kib: Option<u64> = number_after(text, "MemAvailable:");
            let size = kib.and_then(|kib| kib.checked_mul(1_024)).map(Size::from_bytes);
            size.filter(|size| *size <= Size::MAX).ok_or("it has no `MemAvailable`")
        })
    }

    /// Returns for how long at least one task has waited, since the machine has booted.
    pub(super) fn pressure(&self, pressure: Pressure) -> Result<Duration, String> {
        let micros = self.some_pressure(pressure, "total=", "it has no `total` of `some`");
        micros.map(Duration::from_micros)
    }

    /// Returns in how much of the last ten seconds at least one task has waited, in percent.
    pub(super) fn mean_pressure(&self, pressure: Pressure) -> Result<Decimal, String> {
        self.some_pressure(pressure, "avg10=", "it has no `avg10` of `some`")
    }

    fn some_pressure<T: FromStr>(
        &self,
        pressure: Pressure,
        field: &str,
        missing: &'static str,
    ) -> Result<T, String> {
        let file = match pressure {
            Pressure::Cpu => "pressure/cpu",
            Pressure::Memory => "pressure/memory",
            Pressure::Io => "pressure/io",
        };
        self.read(file, |text| {
            let line = text.lines().find_map(|line| line.strip_prefix("some "));
            let value = line.and_then(|line| line.split(' ').find_map(|word| word.strip_prefix(field)));
            value.and_then(|value| value.parse().ok()).ok_or(missing)
        })
    }

    fn read<T>(&self, file: &str, parse: impl FnOnce(&str) -> Result<T, &'static str>) -> Result<T, String> {
        let path = self.0.join(file);
        let what = format!("read `{}`", path.display());
        match fs::read_to_string(path) {
            Ok(text) => parse(&text).map_err(|cause| Error::new(ErrorKind::Io, what, cause).to_string()),
            Err(error) if file.starts_with("pressure/") && is_unknown(&error) => {
                let cause = "the kernel does not measure pressure, or only if it is booted with `psi=1`";
                Err(Error::new(ErrorKind::Io, what, cause).to_string())
            }
            Err(error) => Err(Error::io(what, &error).to_string()),
        }
    }
}

/// Returns whether the kernel says that it has no such file, or that its feature is off.
fn is_unknown(error: &io::Error) -> bool {
    [Errno::ENOENT, Errno::EOPNOTSUPP].iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
}

/// Returns the number that is the second word of the line that begins with `name`.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_ascii_whitespace);
    words.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok()).flatten())
}

/// Returns whether this is the line of one CPU, `cpu0`. That of all together is `cpu`.
fn is_of_cpu(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_says_that_it_measures_no_pressure_when_the_file_is_opened_or_read() {
        for (errno, is_said) in [(Errno::ENOENT, true), (Errno::EOPNOTSUPP, true), (Errno::EACCES, false)] {
            assert_eq!(is_unknown(&errno.into()), is_said, "{errno}");
        }
    }
}
