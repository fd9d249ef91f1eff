//! Owns: measuring the machine for gates, at the instants at which it is asked.
//! Never: scripts (see `keeper`), what a closed gate delays (see `engine`), a clock.
//!
//! A gate that cannot be read is closed, and its reading says why.

mod pressure;
mod proc;
#[cfg(test)]
mod tests;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::{Gate, GateMeasure, GateReading, MachineState, Pressure};
use crate::error::Error;

use super::states::MachineStates;
use pressure::{PressureMeter, Share};
use proc::Proc;

/// Measures for gates. Between two calls it keeps only samples of pressure.
#[derive(Debug)]
pub struct GateMeter {
    proc: Proc,
    states: MachineStates,
    pressures: BTreeMap<Pressure, PressureMeter>,
}

impl Default for GateMeter {
    fn default() -> Self {
        Self::below("/proc", MachineStates::default())
    }
}

impl GateMeter {
    /// Reads below `proc` instead of /proc. `ac` and `online` are those of `states`.
    pub fn below(proc: impl Into<PathBuf>, states: MachineStates) -> Self {
        Self { proc: Proc(proc.into()), states, pressures: BTreeMap::new() }
    }

    /// Reads the gates. Scripts are not read here and have no reading. Each file is read at most once.
    ///
    /// `now` is monotonic. A pressure has a value from the second call on, see [`GateReading::NotYet`]. Calls
    /// that are one second apart measure each second. An earlier call repeats the value. A call after a pause
    /// of more than 5 s starts again.
    pub fn measure(&mut self, gates: &BTreeSet<Gate>, now: Duration) -> BTreeMap<Gate, GateReading> {
        let shares = self.shares(gates, now);
        self.read(gates, &shares)
    }

    /// Reads the gates for a person, without samples: of a pressure the kernel's mean of ten seconds.
    pub fn glance(&self, gates: &BTreeSet<Gate>) -> BTreeMap<Gate, GateReading> {
        let mean = |pressure| (pressure, self.proc.mean_pressure(pressure).map(Share::Known));
        self.read(gates, &pressures(gates).map(mean).collect())
    }

    fn read(
        &self,
        gates: &BTreeSet<Gate>,
        shares: &BTreeMap<Pressure, Result<Share, String>>,
    ) -> BTreeMap<Gate, GateReading> {
        let load = LazyCell::new(|| self.proc.load());
        let runnable = LazyCell::new(|| self.proc.runnable());
        let available = LazyCell::new(|| self.proc.available());
        let mut readings = BTreeMap::new();
        for gate in gates {
            let reading = match gate {
                Gate::Load(bound) => compared(&load, GateMeasure::Load, |load| load < bound),
                Gate::Runnable(bound) => compared(&runnable, GateMeasure::Percent, |value| value < bound),
                Gate::MemFree(bound) => compared(&available, GateMeasure::Memory, |size| size > bound),
                Gate::Pressure(pressure, bound) => match &shares[pressure] {
                    Ok(Share::Known(share)) => {
                        GateReading::compared(share < bound, GateMeasure::Percent(*share))
                    }
                    Ok(Share::NotYet) => GateReading::NotYet,
                    Err(cause) => GateReading::Unreadable(cause.clone()),
                },
                Gate::Ac => self.state(MachineState::Ac),
                Gate::Online => self.state(MachineState::Online),
                Gate::Path(path) => existence(Path::new(OsStr::from_bytes(path))),
                Gate::Command(_) => continue,
            };
            readings.insert(gate.clone(), reading);
        }
        readings
    }

    /// Returns the pressures that the gates compare.
    fn shares(&mut self, gates: &BTreeSet<Gate>, now: Duration) -> BTreeMap<Pressure, Result<Share, String>> {
        let mut shares = BTreeMap::new();
        for pressure in pressures(gates) {
            shares.entry(pressure).or_insert_with(|| {
                let meter = self.pressures.entry(pressure).or_default();
                meter.share(now, || self.proc.pressure(pressure))
            });
        }
        shares
    }

    fn state(&self, state: MachineState) -> GateReading {
        match self.states.holds(state) {
            Ok(holds) => GateReading::of(holds == Some(true)),
            Err(error) => GateReading::Unreadable(error.to_string()),
        }
    }
}

fn pressures(gates: &BTreeSet<Gate>) -> impl Iterator<Item = Pressure> {
    gates.iter().filter_map(|gate| match gate {
        Gate::Pressure(pressure, _) => Some(*pressure),
        _ => None,
    })
}

/// Compares what was read with the bound of a gate.
fn compared<T: Copy>(
    value: &Result<T, String>,
    measure: impl FnOnce(T) -> GateMeasure,
    is_open: impl FnOnce(&T) -> bool,
) -> GateReading {
    match value {
        Ok(value) => GateReading::compared(is_open(value), measure(*value)),
        Err(cause) => GateReading::Unreadable(cause.clone()),
    }
}

/// Returns whether a file exists, by stat(2): a symbolic link exists if its target does.
fn existence(path: &Path) -> GateReading {
    match fs::metadata(path) {
        Ok(_) => GateReading::of(true),
        Err(error) if is_absence(&error) => GateReading::of(false),
        Err(error) => {
            let what = format!("look at `{}`", path.display());
            GateReading::Unreadable(Error::io(what, &error).to_string())
        }
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
