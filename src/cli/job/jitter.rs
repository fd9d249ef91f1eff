//! Owns: the delay of `--jitter`, which is fixed for a job and a machine.
//! Never: storing it.

use crate::domain::{CommandLine, NewJob, Span, stable_hash};

const SECOND: u64 = 1_000_000;

/// Returns the delay of a job's fires: below its jitter, in whole seconds if the jitter has any. It depends
/// on the machine, and on the name of the job, or else on its command and directory.
pub fn delay(job: &NewJob, machine_id: &str) -> Span {
    let Some(jitter) = job.jitter else { return Span::ZERO };
    let parts: Vec<&[u8]> = match (&job.name, &job.execution.command) {
        (Some(name), _) => vec![name.as_str().as_bytes()],
        (None, CommandLine::Argv(words)) => {
            words.iter().chain([&job.execution.cwd]).map(Vec::as_slice).collect()
        }
        (None, CommandLine::Script(script)) => vec![script, &job.execution.cwd],
        (None, CommandLine::Sealed) => vec![&job.execution.cwd],
    };
    let machine = stable_hash(0, machine_id.as_bytes());
    // The length keeps `ab c` apart from `a bc`.
    let hash = parts
        .iter()
        .fold(machine, |hash, part| stable_hash(stable_hash(hash, &part.len().to_le_bytes()), part));
    let unit = if jitter.as_micros() >= SECOND { SECOND } else { 1 };
    Span::from_micros(mixed(hash) % (jitter.as_micros() / unit) * unit)
}

/// Mixes the upper bits of a hash into the lower ones, which a short text moves too little.
fn mixed(hash: u64) -> u64 {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::samples::definition;

    fn seconds(name: &str, command: &str, machine_id: &str, jitter: Span) -> u64 {
        let delay = delay(&NewJob { jitter: Some(jitter), ..definition(name, command) }, machine_id);
        assert!(delay < jitter);
        delay.as_micros() / SECOND
    }

    #[test]
    fn a_delay_is_fixed_for_a_job_and_a_machine_and_never_changes() {
        let hour = Span::from_seconds(3_600);
        assert_eq!(seconds("backup", "true", "a1", hour), seconds("backup", "false", "a1", hour));
        assert_eq!(
            [("backup", "", "a1"), ("backup", "", "a2"), ("", "true", "a1"), ("", "true x", "a1")]
                .map(|(name, command, machine)| seconds(name, command, machine, hour)),
            [2767, 1282, 2051, 555]
        );
    }

    #[test]
    fn the_delays_of_many_jobs_are_spread_over_the_whole_span() {
        let mut tenths = [0; 10];
        for job in 0..10_000 {
            let delay = seconds(&format!("job-{job}"), "true", "a1", Span::from_seconds(1_000));
            tenths[usize::try_from(delay / 100).expect("below ten")] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1_150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn a_short_jitter_has_parts_of_a_second_and_a_long_one_whole_seconds() {
        let delay = |jitter| {
            let job = NewJob { jitter: Some(Span::from_millis(jitter)), ..definition("backup", "true") };
            delay(&job, "a1").as_micros()
        };
        assert!(delay(999) > 0 && delay(999) < 999_000);
        assert_eq!((delay(1_999), delay(60_500) % SECOND), (0, 0));
    }
}
