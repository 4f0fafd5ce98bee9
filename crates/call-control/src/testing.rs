//! Shared by the tests of this crate: databases of both kinds, and a complete call control.

mod matroska;
mod outage;
mod postgres;
pub(crate) mod proxy;
mod recording;
pub(crate) mod small_disk;
mod world;

use crate::{
    actor::{Actor, Person, Who},
    calls::RecordingConfig,
    store::Store,
};

pub(crate) use matroska::Reel;
pub(crate) use recording::Tape;
pub(crate) use world::{Heard, SECRET, TestOutlet, World, fast_rules, slow_rules};

/// Runs one async test body on SQLite and on Postgres. The body takes the [`TestStore`].
macro_rules! on_both_engines {
    ($($tests:tt)+) => {
        $crate::testing::on_engine!(sqlite, sqlite: $($tests)+);
        $crate::testing::on_engine!(postgres, postgres: $($tests)+);
    };
}

/// As [`on_both_engines!`], for tests with database outages: each has its own Postgres server.
macro_rules! on_both_engines_with_outages {
    ($($tests:tt)+) => {
        $crate::testing::on_engine!(sqlite, sqlite: $($tests)+);
        $crate::testing::on_engine!(postgres, own_postgres: $($tests)+);
    };
}

macro_rules! on_engine {
    ($engine:ident, $open:ident: $(async fn $name:ident($store:ident) $body:block)+) => {
        mod $engine {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    let $store = $crate::testing::TestStore::$open().await;
                    $body
                }
            )+
        }
    };
}

pub(crate) use {on_both_engines, on_both_engines_with_outages, on_engine};

/// This user as an actor.
pub(crate) fn by(person: &Person) -> Actor {
    Actor { who: Who::User { person: person.clone(), admin: false }, address: None }
}

/// A database of one test, which can be opened more than once.
pub(crate) struct TestStore {
    pub(crate) url: String,
    pub(crate) schema: String,
    place: Place,
    recordings: tempfile::TempDir,
}

/// Where the database is; dropped with the test.
enum Place {
    File { _directory: tempfile::TempDir },
    SharedServer,
    OwnServer(postgres::Server),
}

impl TestStore {
    fn new(url: String, schema: String, place: Place) -> Self {
        Self { url, schema, place, recordings: tempfile::tempdir().unwrap() }
    }

    /// Recording with the folder of this test.
    pub(crate) fn recording(&self) -> RecordingConfig {
        let mut config = RecordingConfig::in_folder(self.recordings.path().to_owned());
        config.recorder.min_free = 0;
        config
    }

    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_in(tempfile::tempdir().unwrap())
    }

    pub(crate) fn sqlite_in(directory: tempfile::TempDir) -> Self {
        let url = format!("sqlite://{}", directory.path().join("test.db").display());
        Self::new(url, "switchyard".to_owned(), Place::File { _directory: directory })
    }

    pub(crate) async fn postgres() -> Self {
        Self::new(postgres::url().await, fresh_schema(), Place::SharedServer)
    }

    pub(crate) async fn own_postgres() -> Self {
        let server = postgres::Server::own().await;
        Self::new(server.url(), fresh_schema(), Place::OwnServer(server))
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url, &self.schema).await.unwrap()
    }
}

fn fresh_schema() -> String {
    format!("test_{}", uuid::Uuid::new_v4().simple())
}
