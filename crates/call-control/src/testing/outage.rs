//! Database outages.

use sqlx::{Connection, Executor, SqliteConnection};

use super::{Place, TestStore, postgres::Server};

/// The database is unreachable as long as this value lives.
pub(crate) enum Outage<'a> {
    /// Another connection holds the exclusive lock of the SQLite file.
    Locked(SqliteConnection),
    /// All processes of the Postgres server are stopped (SIGSTOP).
    Frozen(Frozen<'a>),
}

impl TestStore {
    pub(crate) async fn take_away(&self) -> Outage<'_> {
        match &self.place {
            Place::File { .. } => {
                let mut stranger = SqliteConnection::connect(&self.url).await.unwrap();
                stranger.execute("BEGIN EXCLUSIVE").await.unwrap();
                Outage::Locked(stranger)
            }
            Place::OwnServer(server) => {
                server.freeze();
                Outage::Frozen(Frozen(server))
            }
            Place::SharedServer => panic!("other tests use this server"),
        }
    }
}

impl Outage<'_> {
    pub(crate) async fn end(self) {
        match self {
            Self::Locked(stranger) => stranger.close().await.unwrap(),
            Self::Frozen(server) => drop(server),
        }
    }
}

/// Continues the server when dropped: a stopped server would stay after its test.
pub(crate) struct Frozen<'a>(&'a Server);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.thaw();
    }
}
