//! The time.

use chrono::{DateTime, SubsecRound, Utc};

/// The time as both engines can keep it: Postgres holds microseconds.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
