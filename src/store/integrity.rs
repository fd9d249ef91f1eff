//! Owns: the check of a database by SQLite itself.
//! Never: a lost log (see `commits`).

use super::{Reader, StoreResult};

impl Reader<'_> {
    /// Returns what is wrong with the database, at most ten sentences of SQLite's. Reads all of it.
    pub fn integrity_problems(&self) -> StoreResult<Vec<String>> {
        let mut lines: Vec<String> = self.all("PRAGMA integrity_check(10)", [], |row| row.get(0))?;
        lines.retain(|line| line != "ok");
        Ok(lines)
    }

    /// Returns the tables with rows that refer to rows which are not there, and how many of each.
    pub fn broken_references(&self) -> StoreResult<Vec<(String, usize)>> {
        self.all(r#"SELECT "table", count(*) FROM pragma_foreign_key_check GROUP BY "table""#, [], |row| {
            Ok((row.get(0)?, row.get::<_, u32>(1)? as usize))
        })
    }
}
