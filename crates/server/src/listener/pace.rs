//! How long a connection may take for each step.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What a connection is doing, and since when. Shared by the connection's stream, its requests and its task.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    step: Step,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing of a request has come since the connection was opened.
    Opened,
    /// Nothing of a request has come since the last response.
    Idle,
    /// A part of a request's head has come.
    Head,
    /// The head has come, and the body is on its way.
    Body,
    /// The request is worked on, or its response is on its way.
    Answer,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { step: Step::Opened, since: Instant::now() }) }
    }

    /// Bytes have come.
    pub(super) fn read(&self) {
        let mut state = self.lock();
        match state.step {
            Step::Idle => state.enter(Step::Head),
            // The time for the head began when the connection was opened.
            Step::Opened => state.step = Step::Head,
            Step::Head | Step::Body | Step::Answer => {}
        }
    }

    pub(super) fn enter(&self, step: Step) {
        self.lock().enter(step);
    }

    /// The body has come, or its reader does not want the rest.
    pub(super) fn body_read(&self) {
        let mut state = self.lock();
        if state.step == Step::Body {
            state.enter(Step::Answer);
        }
    }

    /// Whether the connection could be closed without breaking off a request, and since when.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        match state.step {
            Step::Opened | Step::Idle | Step::Head => Some(state.since),
            Step::Body | Step::Answer => None,
        }
    }

    /// Waits until a step takes longer than it may.
    pub(super) async fn overrun(&self) {
        loop {
            let now = Instant::now();
            let deadline = self.lock().deadline();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return;
            }
            // A step may begin meanwhile whose time is shorter: look again soon.
            let next_look = now + LOOK_EVERY;
            sleep_until(deadline.map_or(next_look, |deadline| deadline.min(next_look))).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, step: Step) {
        (self.step, self.since) = (step, Instant::now());
    }

    fn deadline(&self) -> Option<Instant> {
        let limit = match self.step {
            Step::Opened | Step::Head => HEAD,
            Step::Idle => KEEP_ALIVE,
            Step::Body => BODY,
            // The stream ends when the client takes nothing of the response.
            Step::Answer => return None,
        };
        Some(self.since + limit)
    }
}

/// From the opening of the connection, or the first byte of a later request, to the end of the head.
const HEAD: Duration = Duration::from_secs(10);
/// For a body: even one of the longest, 256 KiB, comes in time over 100 kbit/s.
const BODY: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const LOOK_EVERY: Duration = Duration::from_secs(2);
