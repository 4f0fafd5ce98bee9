//! Panic containment: a panic removes only the transport that was being handled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use switchyard_media::{Counters, Paths, Population, Sfu};

/// The SFU behind a guard: a panic inside it removes only the transport that was being handled.
pub(crate) struct Contained {
    sfu: Sfu,
    /// Panics caught.
    faults: u64,
}

impl Contained {
    pub(crate) fn new(sfu: Sfu) -> Self {
        Self { sfu, faults: 0 }
    }

    /// `None` when `work` panicked. The SFU stays usable after `bury`; a panic in `bury` itself ends the
    /// worker.
    pub(crate) fn enter<T>(&mut self, now: Instant, work: impl FnOnce(&mut Sfu) -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut self.sfu)));
        if result.is_err() {
            self.faults += 1;
            tracing::error!(faults = self.faults, "media fault contained");
            self.sfu.bury(now);
        }
        result.ok()
    }

    pub(crate) fn faults(&self) -> u64 {
        self.faults
    }

    pub(crate) fn transports(&self) -> usize {
        self.sfu.transports()
    }

    pub(crate) fn population(&self) -> Population {
        self.sfu.population()
    }

    pub(crate) fn paths(&self) -> Paths {
        self.sfu.paths()
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.sfu.counters()
    }
}
