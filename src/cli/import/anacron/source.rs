//! Owns: reading an anacrontab and anacron's time stamps.
//! Never: their meaning (see `table` and `jobs`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The table of the system.
pub const SYSTEM_TABLE: &str = "/etc/anacrontab";

/// The directory of the time stamps: a file for each id, with the date of its last run.
const SPOOL: &str = "/var/spool/anacron";

/// A larger file is not an anacrontab.
const BYTES_MAX: u64 = 4 << 20;

/// A table.
pub struct AnacronTable {
    /// Its path without links.
    pub key: String,
    /// Its name in messages.
    pub shown: String,
    pub text: Vec<u8>,
}

/// Reads a table; without `file`, that of the system. Errors say that `what` was being done.
pub fn anacron_table(file: Option<&Path>, what: &str) -> Result<AnacronTable> {
    let file = file.unwrap_or_else(|| Path::new(SYSTEM_TABLE));
    let what = format!("{what} `{}`", file.display());
    let failure = |error| Error::io(&what, &error);
    if fs::metadata(file).map_err(failure)?.len() > BYTES_MAX {
        let cause = format!("it has more than {} MiB: it is not an anacrontab", BYTES_MAX >> 20);
        return Err(Error::usage(&what, cause));
    }
    let text = fs::read(file).map_err(failure)?;
    let key = fs::canonicalize(file).map_err(failure)?.into_os_string().into_string();
    let key =
        key.map_err(|_| Error::usage(&what, "its path is not UTF-8, so that no later import would find it"))?;
    Ok(AnacronTable { key, shown: file.display().to_string(), text })
}

/// Returns the date of the last run of an id, as `YYYYMMDD`; `None` if anacron has none.
pub fn time_stamp(id: &str) -> Option<String> {
    fs::read_to_string(PathBuf::from(SPOOL).join(id)).ok()
}
