//! Owns: what the program takes from its surroundings: environment, well-known files, the machine's size.
//! Never: the command line.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::unistd::User;

use crate::domain::EnvVar;
use crate::error::{Error, Result};

/// localtime(5).
const LOCALTIME: &str = "/etc/localtime";

/// Where sendmail(8) lies: there since 4.3BSD, or where hier(7) still has it.
const SENDMAILS: [&str; 2] = ["/usr/sbin/sendmail", "/usr/lib/sendmail"];

/// The store's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir {
    /// Absolute.
    pub path: PathBuf,
    /// Somebody named it, and may have mistyped it.
    pub is_named: bool,
}

/// Returns the store's directory: `flag`, else `TASKQ_DIR`, else `taskq` in the user's data directory (XDG).
///
/// # Errors
/// `Usage` if there is no such directory to be had.
pub fn store_dir(flag: Option<&Path>) -> Result<StoreDir> {
    const WHAT: &str = "find the store";
    let named = flag
        .map(Path::to_owned)
        .or_else(|| std::env::var_os("TASKQ_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from));
    let is_named = named.is_some();
    let dir = match named {
        Some(dir) if dir.as_os_str().is_empty() => return Err(Error::usage(WHAT, "`--dir` is empty")),
        Some(dir) => dir,
        None => dirs::data_dir()
            .ok_or_else(|| {
                Error::usage(WHAT, "there is no home directory")
                    .hint("name a directory with `--dir` or `TASKQ_DIR`")
            })?
            .join("taskq"),
    };
    let path = std::path::absolute(&dir).map_err(|error| Error::io(WHAT, error))?;
    Ok(StoreDir { path, is_named })
}

/// Returns the caller's environment, in its order, without `_`, which names this very command.
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

/// Returns the value of one variable of the caller's.
pub fn variable(name: &std::ffi::OsStr) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Returns the bare environment that cron(8) gives its jobs: the caller's, or that of `user`.
pub fn clean_environment(user: Option<&Person>) -> Vec<EnvVar> {
    let own_home = || dirs::home_dir().unwrap_or_else(|| PathBuf::from("/")).into_os_string().into_vec();
    let home = user.map_or_else(own_home, |user| user.home.clone());
    let own_name = || User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    let name = user.map(|user| user.name.clone()).or_else(own_name);
    let mut env =
        vec![[b"HOME=", home.as_slice()].concat(), b"SHELL=/bin/sh".to_vec(), b"PATH=/usr/bin:/bin".to_vec()];
    env.extend(name.map(|name| format!("LOGNAME={name}").into_bytes()));
    env
}

/// A user, as far as environments and mails are about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name in passwd(5).
    pub name: String,
    /// The home directory.
    pub home: Vec<u8>,
    /// The login shell.
    pub shell: Vec<u8>,
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        let bytes = |path: PathBuf| path.into_os_string().into_vec();
        Self { name: user.name, home: bytes(user.dir), shell: bytes(user.shell) }
    }
}

/// Finds a user by name.
pub fn find_person(name: &str) -> Option<Person> {
    User::from_name(name).ok().flatten().map(Person::from)
}

/// Returns a user of this name, or the one that this process runs as; one that is in no passwd(5) has a
/// number for a name and no home.
pub fn person(name: Option<&str>) -> Person {
    let found = match name {
        Some(name) => find_person(name),
        None => User::from_uid(nix::unistd::geteuid()).ok().flatten().map(Person::from),
    };
    found.unwrap_or_else(|| Person {
        name: name.map_or_else(|| nix::unistd::geteuid().to_string(), str::to_owned),
        home: b"/".to_vec(),
        shell: b"/bin/sh".to_vec(),
    })
}

/// Tells whether this process may do anything.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Returns sendmail(8): what `TASKQ_SENDMAIL` names, else the system's; `None` if it is not there.
pub fn sendmail() -> Option<PathBuf> {
    let named = std::env::var_os("TASKQ_SENDMAIL").filter(|path| !path.is_empty()).map(PathBuf::from);
    let places = named.map_or_else(|| SENDMAILS.map(PathBuf::from).to_vec(), |path| vec![path]);
    places.into_iter().filter_map(|path| std::path::absolute(path).ok()).find(|path| path.exists())
}

/// Returns the machine's name.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// Returns the character set of the locale, by the name that mails use.
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

/// Returns what `TZ` names, if anything. A leading colon is POSIX's, and means nothing here.
pub fn tz() -> Option<String> {
    let tz = std::env::var("TZ").ok()?;
    Some(tz.strip_prefix(':').unwrap_or(&tz).to_owned()).filter(|tz| !tz.is_empty())
}

/// localtime(5) as it is.
#[derive(Debug, Default)]
pub struct Localtime {
    /// The zone that the link names.
    pub name: Option<String>,
    /// The file's content; empty if there is none.
    pub tzif: Vec<u8>,
}

/// Reads the system's zone.
pub fn localtime() -> Localtime {
    let name = fs::read_link(LOCALTIME)
        .ok()
        .and_then(|link| Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned()));
    Localtime { name, tzif: fs::read(LOCALTIME).unwrap_or_default() }
}

/// Returns an identity of the machine's present boot.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

/// Returns how many CPUs this process may use, at least 1.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Tells whether stderr goes to the journal, which wants levels (sd-daemon(3)).
pub fn logs_to_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

/// Returns the program to start keepers with: this one, even if an upgrade has replaced its file.
pub fn own_program() -> PathBuf {
    std::env::current_exe().ok().filter(|exe| exe.exists()).unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// Returns the caller's file mode creation mask.
pub fn umask() -> u32 {
    // There is no way to read it but to set it; this program has one thread, and nothing is made in between.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    nix::sys::stat::umask(mask);
    mask.bits()
}

/// Returns what pam_env(8) gives to every session: `/etc/environment`, then `/etc/default/locale`, which
/// wins.
pub fn login_environment() -> Vec<EnvVar> {
    let mut vars: Vec<EnvVar> = Vec::new();
    for file in ["/etc/environment", "/etc/default/locale"] {
        for var in login_variables(&fs::read(file).unwrap_or_default()) {
            let name = &var[..=var.iter().position(|byte| *byte == b'=').unwrap_or(0)];
            vars.retain(|known| !known.starts_with(name));
            vars.push(var);
        }
    }
    vars
}

/// Reads such a file. A backslash at its end joins a line with the next.
fn login_variables(text: &[u8]) -> Vec<EnvVar> {
    let mut vars = Vec::new();
    let mut joined = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        // pam_env(8) knows no quotes here: a `#` begins a comment everywhere.
        let comment = line.iter().position(|byte| *byte == b'#');
        joined.extend_from_slice(&line[..comment.unwrap_or(line.len())]);
        if comment.is_some() || joined.pop_if(|last| *last == b'\\').is_none() {
            vars.extend(login_variable(&joined));
            joined.clear();
        }
    }
    vars
}

/// Reads a line: `export ` in front and quotes around the value are taken away, each for itself.
fn login_variable(line: &[u8]) -> Option<EnvVar> {
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"export ").unwrap_or(line);
    let equals = line.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')?;
    let (name, value) = (&line[..equals], line[equals..].strip_prefix(b"=").filter(|_| equals > 0)?);
    let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'');
    let value = match value.split_first() {
        Some((first, rest)) if is_quote(first) => match rest.split_last() {
            Some((last, inner)) if is_quote(last) => inner,
            _ => rest,
        },
        _ => value,
    };
    Some([name, b"=", value].concat())
}

/// Returns what differs from machine to machine and stays, machine-id(5); empty if there is none.
pub fn machine_id() -> String {
    fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned()
}

/// Returns the cron whose tables this machine most likely has: cronie where its crond(8) is installed and no
/// cron(8).
pub fn has_cronie() -> bool {
    Path::new("/usr/sbin/crond").exists() && !Path::new("/usr/sbin/cron").exists()
}

/// Returns the editor that crontab(1) would start: `VISUAL`, else `EDITOR`, else the system's.
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
    fn what_every_session_gets_is_read_as_pam_env_reads_it() {
        // Each line was given to Debian's libpam-modules 1.5.2, and the job's environment read.
        for (line, expected) in [
            ("A=b", "A=b"),
            ("  A=b", "A=b"),
            ("export A=b", "A=b"),
            ("exportA=b", "exportA=b"),
            ("A=a=b", "A=a=b"),
            ("A=$HOME", "A=$HOME"),
            ("A=", "A="),
            ("A=  ", "A=  "),
            ("A= a", "A= a"),
            ("A=a\tb\t", "A=a\tb\t"),
            ("A=\"\"", "A="),
            ("A=\" a \"", "A= a "),
            ("A='a\"b'", "A=a\"b"),
            ("A=\"a\"b\"", "A=a\"b"),
            ("A=\"a", "A=a"),
            ("A=\"a\"b", "A=a\"b"),
            ("A='a'\"b", "A=a'\"b"),
            ("A=a\"b\"", "A=a\"b\""),
            ("A=\"a\" ", "A=a\" "),
            ("A=\"", "A="),
            ("A=a # c", "A=a "),
            ("A=a#c", "A=a"),
            ("A=\"a#b\"", "A=a"),
            ("A=\"a\" # c", "A=a\" "),
            ("A=a\\b", "A=a\\b"),
            ("A=x \\\n  y", "A=x   y"),
        ] {
            assert_eq!(login_variables(line.as_bytes()), [expected.as_bytes()], "{line}");
        }
        for line in ["", "# A=b", "A", "=b", "A =b", "A-B=c", "\u{e9}=b", "export  A=b", "export\tA=b"] {
            assert_eq!(login_variables(line.as_bytes()), [] as [EnvVar; 0], "{line}");
        }
    }

    #[test]
    fn a_locale_has_the_character_set_behind_its_point() {
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
