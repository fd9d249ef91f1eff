//! Owns: who may have a name.
//! Never: what a name looks like (see `domain`).

use serde::{Deserialize, Serialize};

use crate::domain::{JobId, JobName, Timestamp};
use crate::store::{StoreResult, Writer};

/// Why a waiting run of a replaced job is cancelled.
const REPLACED: &str = "its job was replaced";

/// What happens if a living job holds a name that another one wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameClash {
    Refuse,
    /// The holder gets no more fires, and its waiting runs are cancelled. Its running runs continue.
    Replace,
}

/// Takes a name from the job that holds it, so that another job can have it. A job that is done, or of which
/// only runs are left that are being stopped, gives its name up.
///
/// Returns the living holder if it keeps the name. `kept`: jobs that are never replaced.
pub fn free_name(
    writer: &Writer<'_>,
    name: &JobName,
    clash: NameClash,
    kept: &[JobId],
    now: Timestamp,
) -> StoreResult<Option<JobId>> {
    let Some((holder, is_needed)) = writer.name_holder(name)? else { return Ok(None) };
    if is_needed {
        match clash {
            NameClash::Replace if !kept.contains(&holder) => writer.retire_job(holder, REPLACED, now)?,
            NameClash::Refuse | NameClash::Replace => return Ok(Some(holder)),
        }
    }
    writer.release_name(holder)?;
    Ok(None)
}
