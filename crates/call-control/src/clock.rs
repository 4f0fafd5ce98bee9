//! The time.

use chrono::{DateTime, SubsecRound, Utc};

/// The time in UTC, truncated to microseconds: that is the precision of Postgres.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
