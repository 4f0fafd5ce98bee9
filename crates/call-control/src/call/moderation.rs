//! Decisions of moderators: whether the call is locked, and the permissions of single users.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::{CallType, Source};
use crate::ids::UserId;

/// Stored in the call's row. A user without an entry has [`Standing::default`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Moderation {
    pub locked: bool,
    standings: BTreeMap<UserId, Standing>,
}

/// What one user may do in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Standing {
    /// `None`: all sources that this type of call allows.
    can_publish: Option<BTreeSet<Source>>,
    pub can_subscribe: bool,
    pub can_signal: bool,
    pub admission: Admission,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    /// May join unless the call is locked.
    #[default]
    Default,
    /// May join even while the call is locked.
    Admitted,
    /// May not join.
    Removed,
}

/// A wished-for change of a [`Standing`]; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, TS)]
#[serde(default, rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct StandingChange {
    /// The sources that may be sent; an empty list makes a listener.
    pub can_publish: Option<BTreeSet<Source>>,
    /// Whether anything may be received.
    pub can_subscribe: Option<bool>,
    /// Whether `call:signal` may be sent.
    pub can_signal: Option<bool>,
    /// `true` lets somebody in who was removed, or whom a lock keeps out.
    pub admitted: Option<bool>,
}

/// What one person may send and receive, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Permissions {
    pub can_publish: BTreeSet<Source>,
    pub can_subscribe: bool,
    pub can_signal: bool,
}

impl Default for Standing {
    fn default() -> Self {
        Self { can_publish: None, can_subscribe: true, can_signal: true, admission: Admission::Default }
    }
}

impl Standing {
    #[must_use]
    pub fn permissions(&self, call: CallType) -> Permissions {
        let carried = || Source::ALL.into_iter().filter(|source| source.is_allowed_in(call)).collect();
        Permissions {
            can_publish: self.can_publish.clone().unwrap_or_else(carried),
            can_subscribe: self.can_subscribe,
            can_signal: self.can_signal,
        }
    }

    fn change(&mut self, change: StandingChange) {
        if let Some(sources) = change.can_publish {
            self.can_publish = Some(sources);
        }
        if let Some(subscribe) = change.can_subscribe {
            self.can_subscribe = subscribe;
        }
        if let Some(signal) = change.can_signal {
            self.can_signal = signal;
        }
        match (change.admitted, self.admission) {
            (Some(true), _) => self.admission = Admission::Admitted,
            // A removed user stays removed.
            (Some(false), Admission::Admitted) => self.admission = Admission::Default,
            (Some(false), Admission::Default | Admission::Removed) | (None, _) => {}
        }
    }
}

impl Moderation {
    #[must_use]
    pub fn standing(&self, user: UserId) -> Standing {
        self.standings.get(&user).cloned().unwrap_or_default()
    }

    /// Returns whether anything changed.
    pub(super) fn change(&mut self, user: UserId, change: StandingChange) -> bool {
        let mut standing = self.standing(user);
        standing.change(change);
        self.set(user, standing)
    }

    pub(super) fn remove(&mut self, user: UserId) {
        let standing = Standing { admission: Admission::Removed, ..self.standing(user) };
        self.set(user, standing);
    }

    fn set(&mut self, user: UserId, standing: Standing) -> bool {
        if standing == self.standing(user) {
            return false;
        }
        if standing == Standing::default() {
            self.standings.remove(&user);
        } else {
            self.standings.insert(user, standing);
        }
        true
    }
}
