//! The disk under SQLite has no room left.

use super::*;
use crate::testing::TestStore;

impl Store {
    /// Leaves no room for another page of the database file.
    pub(crate) async fn fill_disk(&self) {
        self.limit_pages("1").await;
    }

    pub(crate) async fn free_disk(&self) {
        self.limit_pages("1000000").await;
    }

    async fn limit_pages(&self, pages: &'static str) {
        match &self.db {
            Db::Sqlite { writer, .. } => writer.limit_pages(pages).await,
            Db::Postgres(_) => panic!("only SQLite has its disk to itself"),
        }
    }
}

/// Commits new calls until one does not fit.
async fn write_until_full(store: &Store, ada: &Person, teams: &[GroupId]) -> Box<Changes> {
    for team in teams {
        let changes = changes(call(*team, ada).1);
        match store.commit(&changes).await {
            Ok(()) => {}
            Err(StoreError::Unavailable(_)) => return changes,
            Err(error) => panic!("a full disk is an outage, not {error:?}"),
        }
    }
    panic!("the disk is not full");
}

#[tokio::test]
async fn a_full_disk_refuses_changes_only_as_long_as_it_is_full() {
    let database = TestStore::sqlite().await;
    let store = database.open().await;
    let ada = person(&store, "Ada").await;
    let mut teams = Vec::new();
    for _ in 0..60 {
        teams.push(group(&store, &ada).await);
    }
    store.fill_disk().await;
    let refused = write_until_full(&store, &ada, &teams).await;
    assert!(store.is_away());
    store.free_disk().await;
    let written = async {
        while store.commit(&refused).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("there is room again");
    let stored = store.call(refused.call.id).await.unwrap().unwrap();
    assert_eq!(stored.record.version, 1);
    stored_call(&store, group(&store, &ada).await, &ada).await;
}
