use super::stun::{Check, IceError, Incoming, Rejection, Request};
use super::{Credentials, IceState, Tuple};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// One transport's ICE-lite agent, always controlled.
///
/// The first valid tuple is selected at once, so that media can start; from then on the client selects by
/// USE-CANDIDATE (the last nomination wins) or by NOMINATION (the highest number wins). A tuple stays valid
/// for 30 s after its last valid check.
#[derive(Debug)]
pub(crate) struct IceLite {
    current: Credentials,
    /// The credentials before an ICE restart, valid until the client's first valid check with the current
    /// ones.
    previous: Option<Credentials>,
    tuples: Vec<ValidTuple>,
    selection: Selection,
    highest_nomination: Option<u32>,
}

/// The result of handling a datagram that was not dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Handled {
    /// The reply to send on the tuple of the datagram.
    pub reply: Option<Bytes>,
    pub outcome: Outcome,
    pub changes: Changes,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An authenticated check: the tuple is valid.
    ValidCheck,
    /// A keepalive: it validates nothing and gets no reply.
    Indication,
    /// Answered with an error response.
    Rejected(Rejection),
}

/// The changes made by a datagram or a timeout.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// [`IceLite::state`] changed.
    pub state: bool,
    /// [`IceLite::selected`] changed.
    pub selected: bool,
    /// Tuples that stopped being valid.
    pub forgotten: Vec<Tuple>,
}

impl IceLite {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self {
            current: credentials,
            previous: None,
            tuples: Vec::new(),
            selection: Selection::Never,
            highest_nomination: None,
        }
    }

    /// Handles a STUN datagram. Answers valid checks and authenticated but unacceptable ones; a request that lacks
    /// USERNAME or MESSAGE-INTEGRITY gets a plain 400; anything else returns an error, to be counted.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        tuple: Tuple,
        datagram: &[u8],
    ) -> Result<Handled, IceError> {
        let mut request = match Incoming::parse(datagram)? {
            Incoming::Request(request) => request,
            Incoming::Indication => {
                return Ok(Handled {
                    reply: None,
                    outcome: Outcome::Indication,
                    changes: Changes::default(),
                });
            }
        };
        let Some(username_fragment) = request.local_username_fragment() else {
            return rejected(&request, Rejection::BadRequest, None);
        };
        let credentials = self.accepted(username_fragment).ok_or(IceError::UnknownUsername)?;
        request.authenticate(&credentials.password)?;
        let check = match request.check() {
            Ok(check) => check,
            Err(rejection) => return rejected(&request, rejection, Some(&credentials.password)),
        };
        let tuple = tuple.canonical();
        let reply = request.success(tuple, &credentials.password)?;
        if credentials == &self.current && self.previous.take().is_some() {
            self.highest_nomination = None;
        }
        let changes = self.observe(|ice| ice.handle_check(now, tuple, &check));
        Ok(Handled { reply: Some(reply), outcome: Outcome::ValidCheck, changes })
    }

    /// Forgets tuples whose consent has run out.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Changes {
        self.observe(|ice| {
            let expired = ice.tuples.extract_if(.., |valid| valid.expires_at() <= now);
            let forgotten: Vec<Tuple> = expired.map(|valid| valid.tuple).collect();
            if ice.selected().is_some_and(|selected| forgotten.contains(selected)) {
                ice.selection = match ice.tuples.iter().max_by_key(|valid| valid.last_check) {
                    Some(freshest) => Selection::Provisional(freshest.tuple),
                    None => Selection::Lost,
                };
            }
            forgotten
        })
    }

    /// When to call [`Self::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.tuples.iter().map(ValidTuple::expires_at).min()
    }

    /// Begins an ICE restart (RFC 8445 §9). Until the client's first valid check with the new credentials,
    /// the old ones stay valid and media continues over the selected tuple.
    pub(crate) fn restart(&mut self, credentials: Credentials) {
        let replaced = std::mem::replace(&mut self.current, credentials);
        self.previous.get_or_insert(replaced);
    }

    /// Whether checks may carry this local username fragment.
    pub(crate) fn accepts(&self, username_fragment: &str) -> bool {
        self.accepted(username_fragment).is_some()
    }

    /// The tuple to send on; `None` while there is no consent to send (RFC 7675).
    pub(crate) fn selected(&self) -> Option<&Tuple> {
        match &self.selection {
            Selection::Provisional(tuple) | Selection::Nominated(tuple) => Some(tuple),
            Selection::Never | Selection::Lost => None,
        }
    }

    /// Whether this tuple had a valid check within the last 30 s, so that its datagrams are from the client.
    pub(crate) fn is_valid_tuple(&self, tuple: Tuple) -> bool {
        let tuple = tuple.canonical();
        self.tuples.iter().any(|valid| valid.tuple == tuple)
    }

    /// The tuples that lead to this transport.
    pub(crate) fn tuples(&self) -> impl Iterator<Item = Tuple> {
        self.tuples.iter().map(|valid| valid.tuple)
    }

    pub(crate) fn state(&self) -> IceState {
        match self.selection {
            Selection::Never => IceState::New,
            Selection::Provisional(_) => IceState::Connected,
            Selection::Nominated(_) => IceState::Completed,
            Selection::Lost => IceState::Disconnected,
        }
    }

    fn handle_check(&mut self, now: Instant, tuple: Tuple, check: &Check) -> Vec<Tuple> {
        let forgotten = self.validate(now, tuple);
        if self.nominates(check) {
            self.selection = Selection::Nominated(tuple);
        } else if self.selected().is_none() {
            self.selection = Selection::Provisional(tuple);
        }
        forgotten
    }

    /// Records a valid check of `tuple` at `now`. If there are too many tuples, forgets the least recently
    /// checked one.
    fn validate(&mut self, now: Instant, tuple: Tuple) -> Vec<Tuple> {
        if let Some(valid) = self.tuples.iter_mut().find(|valid| valid.tuple == tuple) {
            valid.last_check = now;
            return Vec::new();
        }
        let mut forgotten = Vec::new();
        if self.tuples.len() == MAX_TUPLES {
            let selected = self.selected().copied();
            let unused = self.tuples.iter().enumerate().filter(|(_, valid)| Some(valid.tuple) != selected);
            if let Some((oldest, _)) = unused.min_by_key(|(_, valid)| valid.last_check) {
                forgotten.push(self.tuples.remove(oldest).tuple);
            }
        }
        self.tuples.push(ValidTuple { tuple, last_check: now });
        forgotten
    }

    /// Whether a check nominates its tuple: a NOMINATION number must be higher than any before, and
    /// USE-CANDIDATE counts only if no check had a NOMINATION.
    fn nominates(&mut self, check: &Check) -> bool {
        match check.nomination {
            Some(value) if self.highest_nomination.is_none_or(|highest| value > highest) => {
                self.highest_nomination = Some(value);
                true
            }
            Some(_) => false,
            None => check.use_candidate && self.highest_nomination.is_none(),
        }
    }

    fn observe(&mut self, change: impl FnOnce(&mut Self) -> Vec<Tuple>) -> Changes {
        let (state, selected) = (self.state(), self.selected().copied());
        let forgotten = change(self);
        Changes { state: self.state() != state, selected: self.selected() != selected.as_ref(), forgotten }
    }

    fn accepted(&self, username_fragment: &str) -> Option<&Credentials> {
        self.credentials().find(|credentials| credentials.username_fragment == username_fragment)
    }

    fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

#[derive(Debug)]
struct ValidTuple {
    tuple: Tuple,
    last_check: Instant,
}

impl ValidTuple {
    fn expires_at(&self) -> Instant {
        self.last_check + CONSENT_LIFETIME
    }
}

#[derive(Debug, Clone, Copy)]
enum Selection {
    /// No check has been valid yet.
    Never,
    /// In use because the tuple is valid, though the client has not nominated it.
    Provisional(Tuple),
    Nominated(Tuple),
    /// No tuple has a valid check within its lifetime.
    Lost,
}

fn rejected(request: &Request, rejection: Rejection, password: Option<&str>) -> Result<Handled, IceError> {
    let reply = request.error(&rejection, password)?;
    Ok(Handled { reply: Some(reply), outcome: Outcome::Rejected(rejection), changes: Changes::default() })
}

/// How long a valid check gives consent to send (RFC 7675 §5.1).
const CONSENT_LIFETIME: Duration = Duration::from_secs(30);
/// More than a real client's interfaces times two IP versions; limits the memory a hostile client can use.
const MAX_TUPLES: usize = 8;

#[cfg(test)]
mod tests;
