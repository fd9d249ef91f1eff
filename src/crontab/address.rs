//! Owns: which mail addresses cron gives to sendmail(8).
//! Never: whom a job mails (see `environment`).

use crate::schedule::Dialect;

/// The characters of an address besides letters and digits.
pub fn safe_signs(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Debian => "@!:%-.,_+=/",
        Dialect::Cronie => "@!:%-.,_+",
    }
}

/// Returns whether cron gives this address, of `MAILTO` or `MAILFROM`, to sendmail(8) (`safe_p` in its
/// source).
pub fn is_safe(address: &[u8], dialect: Dialect) -> bool {
    let signs = safe_signs(dialect).as_bytes();
    address.first().is_some_and(u8::is_ascii_alphanumeric)
        && address.iter().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(byte))
}
