//! Owns: the caller's environment, which no other module reads. Flags win over `TASKQ_*`, and these over
//! defaults.
//! Never: the command line.
#![expect(clippy::disallowed_methods, reason = "the environment is read here")]

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::domain::EnvVar;
use crate::error::{Error, Result};

/// The path of sendmail(8) since 4.3BSD, and the older one of hier(7).
const SENDMAILS: [&str; 2] = ["/usr/sbin/sendmail", "/usr/lib/sendmail"];

/// The directory of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir {
    /// An absolute path.
    pub path: PathBuf,
    /// The user named it, so it may be mistyped.
    pub is_named: bool,
}

/// Returns the store's directory: `flag`, else `TASKQ_DIR`, else `taskq` in the user's data directory (XDG).
///
/// # Errors
/// `Usage` if `flag` is empty, or there is no home directory.
pub fn store_dir(flag: Option<&Path>) -> Result<StoreDir> {
    const WHAT: &str = "find the store";
    let named = flag
        .map(Path::to_owned)
        .or_else(|| std::env::var_os("TASKQ_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from));
    let is_named = named.is_some();
    let dir = match named {
        Some(dir) if dir.as_os_str().is_empty() => return Err(Error::usage(WHAT, "`--dir` is empty")),
        Some(dir) => dir,
        None => default_dir().ok_or_else(|| {
            Error::usage(WHAT, "there is no home directory")
                .hint("name a directory with `--dir` or `TASKQ_DIR`")
        })?,
    };
    let path = std::path::absolute(&dir).map_err(|error| Error::io(WHAT, &error))?;
    Ok(StoreDir { path, is_named })
}

/// Returns the store's directory if nobody names one. `None`: there is no home directory.
pub fn default_dir() -> Option<PathBuf> {
    Some(dirs::data_dir()?.join("taskq"))
}

/// Returns the user's home directory, if there is one.
pub fn home_dir() -> Option<PathBuf> {
    dirs::home_dir()
}

/// Returns the user's directory for configuration (XDG). `None`: there is no home directory.
pub fn config_dir() -> Option<PathBuf> {
    dirs::config_dir()
}

/// Returns the caller's environment, in its order, without `_`, which names this command.
pub fn environment() -> Vec<EnvVar> {
    std::env::vars_os()
        .filter(|(name, _)| name != "_")
        .map(|(name, value)| {
            let mut var = name.into_vec();
            var.push(b'=');
            var.extend(value.into_vec());
            var
        })
        .collect()
}

/// Returns the value of one variable of the caller's environment.
pub fn variable(name: &std::ffi::OsStr) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Returns a directory for files that need not outlive this boot: of root `/run`, of others
/// `XDG_RUNTIME_DIR`, else that for temporary files.
pub fn boot_directory(is_root: bool) -> PathBuf {
    const OF_ROOT: &str = "/run";
    let of_user = || std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let dir = if is_root { Some(PathBuf::from(OF_ROOT)) } else { of_user() };
    dir.filter(|dir| dir.is_dir()).unwrap_or_else(std::env::temp_dir)
}

/// Returns the place of this process in a chain of runs, each caused by an event of the one before; 0: it is
/// no such run.
pub fn chain_depth() -> u32 {
    std::env::var("TASKQ_DEPTH").ok().and_then(|depth| depth.parse().ok()).unwrap_or(0)
}

/// Returns the path of sendmail(8): `TASKQ_SENDMAIL`, else the system's; `None` if it does not exist.
pub fn sendmail() -> Option<PathBuf> {
    let named = std::env::var_os("TASKQ_SENDMAIL").filter(|path| !path.is_empty()).map(PathBuf::from);
    let places = named.map_or_else(|| SENDMAILS.map(PathBuf::from).to_vec(), |path| vec![path]);
    places.into_iter().filter_map(|path| std::path::absolute(path).ok()).find(|path| path.exists())
}

/// Returns the character set of the locale, by its name in mails.
pub fn charset() -> String {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        Some(value).filter(|value| !value.is_empty())
    });
    charset_of(locale.as_deref().unwrap_or("C"))
}

fn charset_of(locale: &str) -> String {
    let charset = locale.split('@').next().unwrap_or_default().split_once('.').map(|(_, charset)| charset);
    match (charset, locale) {
        (None, "C" | "POSIX") => "US-ASCII".to_owned(),
        (None, _) => "ISO-8859-1".to_owned(),
        (Some(charset), _) if charset.eq_ignore_ascii_case("utf8") => "UTF-8".to_owned(),
        (Some(charset), _) => charset.to_ascii_uppercase(),
    }
}

/// Returns the zone in `TZ`, if there is one. A leading colon, which POSIX allows, is ignored.
pub fn tz() -> Option<String> {
    let tz = std::env::var("TZ").ok()?;
    Some(tz.strip_prefix(':').unwrap_or(&tz).to_owned()).filter(|tz| !tz.is_empty())
}

/// Returns whether the terminal can move its cursor, by its type in `TERM`.
pub fn can_move_cursor() -> bool {
    std::env::var("TERM").is_ok_and(|term| !matches!(term.as_str(), "" | "dumb" | "unknown"))
}

/// Returns whether stderr goes to the journal, which reads levels (sd-daemon(3)).
pub fn logs_to_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

/// Returns the process that systemd has started for its unit, from systemd.exec(5). A child inherits it.
pub fn started_by_systemd() -> Option<u32> {
    std::env::var("SYSTEMD_EXEC_PID").ok()?.parse().ok()
}

/// Returns the caller's file mode creation mask.
pub fn umask() -> u32 {
    // Only setting it returns it. This program has one thread, which makes no file in between.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::stat::umask(mask);
    mask.bits()
}

/// Returns the editor that crontab(1) starts: `VISUAL`, else `EDITOR`, else the system's.
pub fn editor() -> std::ffi::OsString {
    let set = |name| std::env::var_os(name).filter(|editor| !editor.is_empty());
    let fallback = || {
        if Path::new("/usr/bin/sensible-editor").exists() { "/usr/bin/sensible-editor" } else { "vi" }.into()
    };
    set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_set_of_a_locale_is_after_its_point() {
        for (locale, charset) in [
            ("C", "US-ASCII"),
            ("POSIX", "US-ASCII"),
            ("C.UTF-8", "UTF-8"),
            ("de_DE.utf8", "UTF-8"),
            ("de_DE.iso-8859-15@euro", "ISO-8859-15"),
        ] {
            assert_eq!(charset_of(locale), charset, "{locale}");
        }
    }
}
