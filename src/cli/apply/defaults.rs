//! Owns: which keys of `[defaults]` a job takes.
//! Never: what they mean.
//!
//! A default goes to a job as an option of `set` goes to a stored one: the job's own key comes first, a
//! trigger replaces all triggers, and `env` adds.

use super::syntax::FileKey;

/// Keys of which a job has only one, or only its own.
const GROUPS: [&[&str]; 6] = [
    &["command", "script"],
    &["at", "cron", "calendar", "every", "on"],
    &["every", "anchor", "after_end"],
    &["environment", "clean_env"],
    &["stdin", "stdin_text", "stdin_from"],
    &["array", "each", "items"],
];

/// Keys that mean nothing without one of others.
const NEEDS: [(&str, &[&str]); 17] = [
    ("tz", &["at", "cron", "calendar", "every"]),
    ("start", &["cron", "calendar", "every", "on"]),
    ("until", &["at", "cron", "calendar", "every", "on"]),
    ("times", &["at", "cron", "calendar", "every", "on"]),
    ("jitter", &["at", "cron", "calendar", "every"]),
    ("nth", &["cron", "calendar", "every"]),
    ("anchor", &["every"]),
    ("after_end", &["every"]),
    ("all_of", &["on"]),
    ("any", &["after"]),
    ("stdin_from", &["after"]),
    ("retry_delay", &["retries"]),
    ("retry_on", &["retries"]),
    ("if_timeout", &["if"]),
    ("mail_format", &["mail"]),
    ("enforce", &["needs"]),
    ("cwd_optional", &["cwd"]),
];

/// Returns the keys of a job: those of the defaults that it takes, and its own.
pub(super) fn with_defaults<'a>(own: &'a [FileKey], defaults: &'a [FileKey]) -> Vec<&'a FileKey> {
    let is_own = |key: &str| own.iter().any(|own| own.key == key);
    let is_replaced = |default: &FileKey| {
        let of_group = GROUPS.iter().filter(|group| group.contains(&default.key.as_str()));
        default.key != "env" && is_own(&default.key)
            || of_group.flat_map(|group| group.iter()).any(|other| *other != default.key && is_own(other))
    };
    let mut taken: Vec<&FileKey> = defaults.iter().filter(|default| !is_replaced(default)).collect();
    taken.extend(own);
    if taken.len() == own.len() {
        return taken;
    }
    let has = |key: &str| taken.iter().any(|taken| taken.key == key && taken.value != 0);
    let is_needed = |key: &FileKey| {
        let needs = NEEDS.iter().find(|(needing, _)| *needing == key.key);
        is_own(&key.key) || needs.is_none_or(|(_, needed)| needed.iter().any(|key| has(key)))
    };
    taken.iter().copied().filter(|key| is_needed(key)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn keys(text: &str) -> Vec<FileKey> {
        let pairs = text.split_whitespace().map(|pair| pair.split_once('=').expect("a pair"));
        let key = |(key, value): (&str, &str)| FileKey {
            key: key.to_owned(),
            value: value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from),
            key_at: 0,
            at: 0,
            parts_at: Vec::new(),
        };
        pairs.map(key).collect()
    }

    #[test]
    fn a_job_takes_the_defaults_that_it_does_not_replace_and_that_mean_something() {
        for (own, defaults, taken) in [
            ("script=a", "mail=m", "mail=m script=a"),
            ("script=a mail=x", "mail=m", "script=a mail=x"),
            ("script=a", "script=b", "script=a"),
            ("command=a", "script=b", "command=a"),
            ("script=a env=A", "env=B", "env=B script=a env=A"),
            ("script=a every=5m", "cron=@daily tz=UTC", "tz=UTC script=a every=5m"),
            ("script=a on=emit:x", "tz=UTC jitter=5m times=3", "times=3 script=a on=emit:x"),
            ("script=a", "tz=UTC until=2030 retry_delay=5s if_timeout=1h any=1", "script=a"),
            ("script=a retries=0", "retries=3 retry_delay=5s", "script=a retries=0"),
            ("script=a retries=2", "retry_delay=5s", "retry_delay=5s script=a retries=2"),
            ("script=a every=1h", "every=5m anchor=2030", "script=a every=1h"),
            ("script=a tz=UTC", "mail=m", "mail=m script=a tz=UTC"),
        ] {
            let (own, defaults) = (keys(own), keys(defaults));
            let found: Vec<FileKey> = with_defaults(&own, &defaults).into_iter().cloned().collect();
            assert_eq!(found, keys(taken), "{taken}");
        }
    }
}
