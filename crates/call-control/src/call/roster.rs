//! The legs of a call in memory: the open ones, the ids of those that ended within the resume window, and who
//! has been there. Everything else about ended legs is in the database only.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};

use super::{InvitationRow, Leg, LegRecord, budget::JoinBudget};
use crate::ids::{LegId, UserId};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Roster {
    pub(super) open: BTreeMap<LegId, Leg>,
    /// In the order of their departure.
    departures: VecDeque<Departure>,
    /// All users who have or had a leg in the call.
    visitors: BTreeMap<UserId, JoinBudget>,
}

/// A leg that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Departure {
    leg: LegId,
    user: UserId,
    at: DateTime<Utc>,
}

/// What one command changed in a [`Roster`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changed {
    /// The open legs as they were before; `None` for a leg that was not there.
    legs: BTreeMap<LegId, Option<Leg>>,
    visitors: BTreeMap<UserId, Option<JoinBudget>>,
    departures: usize,
}

/// The rows from which a [`super::Call`] is built.
#[derive(Clone, Debug, Default)]
pub struct CallRows {
    /// The open legs, and those that ended within the resume window. Others are ignored at no harm.
    pub legs: Vec<LegRecord>,
    /// All users who have or had a leg.
    pub visitors: Vec<UserId>,
    /// When the last leg to end ended.
    pub last_left_at: Option<DateTime<Utc>>,
    pub invitations: Vec<InvitationRow>,
}

impl Roster {
    pub(super) fn restore(mut legs: Vec<LegRecord>, visitors: Vec<UserId>) -> Self {
        let mut roster = Self::default();
        legs.sort_by_key(|leg| (leg.left_at, leg.id));
        for leg in legs {
            match leg.left_at {
                Some(at) => {
                    roster.departures.push_back(Departure { leg: leg.id, user: leg.user_id, at });
                }
                None => {
                    roster.open.insert(leg.id, Leg::restore(leg));
                }
            }
        }
        roster.visitors = visitors.into_iter().map(|user| (user, JoinBudget::default())).collect();
        roster
    }

    /// A roster with the leg of the creator.
    pub(super) fn begin(leg: Leg) -> Self {
        let mut roster = Self::default();
        roster.open(&mut Changed::default(), leg, JoinBudget::default());
        roster
    }

    pub(super) fn leg_mut(&mut self, changed: &mut Changed, id: LegId) -> Option<&mut Leg> {
        let leg = self.open.get_mut(&id)?;
        changed.legs.entry(id).or_insert_with(|| Some(leg.clone()));
        Some(leg)
    }

    pub(super) fn open(&mut self, changed: &mut Changed, leg: Leg, budget: JoinBudget) {
        changed.legs.entry(leg.id).or_insert(None);
        let before = self.visitors.insert(leg.person.id, budget);
        changed.visitors.entry(leg.person.id).or_insert(before);
        self.open.insert(leg.id, leg);
    }

    /// Takes out a leg that ends.
    pub(super) fn end(&mut self, changed: &mut Changed, id: LegId, at: DateTime<Utc>) -> Option<Leg> {
        let leg = self.open.remove(&id)?;
        changed.legs.entry(id).or_insert_with(|| Some(leg.clone()));
        self.departures.push_back(Departure { leg: id, user: leg.person.id, at });
        changed.departures += 1;
        Some(leg)
    }

    /// Takes back what a command changed.
    pub(super) fn revert(&mut self, changed: Changed) {
        for (id, before) in changed.legs {
            match before {
                Some(leg) => self.open.insert(id, leg),
                None => self.open.remove(&id),
            };
        }
        for (user, before) in changed.visitors {
            match before {
                Some(budget) => self.visitors.insert(user, budget),
                None => self.visitors.remove(&user),
            };
        }
        self.departures.truncate(self.departures.len().saturating_sub(changed.departures));
    }

    /// Forgets the legs that ended at `until` or before.
    pub(super) fn forget(&mut self, until: DateTime<Utc>) {
        while self.departures.front().is_some_and(|departure| departure.at <= until) {
            self.departures.pop_front();
        }
    }

    /// Whether this leg of the user ended after `since`.
    pub(super) fn has_just_left(&self, user: UserId, leg: LegId, since: DateTime<Utc>) -> bool {
        let same = |departure: &Departure| departure.leg == leg && departure.user == user;
        self.departures.iter().any(|departure| same(departure) && departure.at > since)
    }

    pub(super) fn has_visited(&self, user: UserId) -> bool {
        self.visitors.contains_key(&user)
    }

    pub(super) fn budget(&self, user: UserId) -> JoinBudget {
        self.visitors.get(&user).copied().unwrap_or_default()
    }
}
