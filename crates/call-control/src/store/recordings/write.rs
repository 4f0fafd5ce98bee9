//! What the recorder reports, and how a recording ends.
