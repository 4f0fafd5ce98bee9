//! Databases that go away.

use sqlx::{Connection, Executor, SqliteConnection};

use super::{Place, TestStore, postgres::Server};

/// The database is away for as long as this lives.
pub(crate) enum Outage<'a> {
    /// A stranger holds the lock of a SQLite file.
    Locked(SqliteConnection),
    /// Every process of a Postgres server is stopped.
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

/// A stopped server would outlive its test.
pub(crate) struct Frozen<'a>(&'a Server);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.thaw();
    }
}
