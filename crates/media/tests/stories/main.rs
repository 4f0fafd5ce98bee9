//! Stories of calls on a simulated network: the SFU as its clients see it, one behaviour per file. Clients
//! are made of webrtc-rs's own ICE, DTLS, SRTP and RTP, so that the tests do not rely on the code that they
//! test.
#![expect(unreachable_pub, reason = "a test binary exports nothing")]
#![expect(clippy::disallowed_methods, reason = "a story starts at any time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::wildcard_enum_match_arm, reason = "webrtc-rs's enums are open")]

mod data_channels;
mod floor;
mod handshakes;
mod hostile;
mod identity;
mod late_join;
mod layers;
mod links;
mod loss;
mod paths;
mod pauses;
mod rates;
mod relays;
mod repair_budget;
mod reports;
mod restarts;
mod runs;
mod shapes;
mod shedding;
mod simulcast;
mod speakers;
mod teardown;
mod two_party;
mod uplinks;
mod world;
