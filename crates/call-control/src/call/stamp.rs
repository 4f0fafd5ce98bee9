use serde::Serialize;
use ts_rs::TS;

/// A recorded event's place in its call's order. A gap in `seq`, or a new `epoch`, means: sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
pub struct Stamp {
    pub epoch: i64,
    pub seq: i64,
}
