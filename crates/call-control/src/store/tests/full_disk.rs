//! The disk under SQLite has no room left.

use std::time::Instant;

use super::*;
use crate::{
    audit::{Action, AuditEntry},
    error::ErrorCode,
    testing::{TestStore, World, small_disk::on_a_small_disk},
};

impl Store {
    /// Leaves no room for another page of the database file.
    pub(crate) async fn fill_disk(&self) {
        self.limit_pages("1").await;
    }

    pub(crate) async fn free_disk(&self) {
        self.limit_pages("1000000").await;
    }

    /// Limits the size of the database file. It cannot become smaller than it is. The limit belongs to a
    /// connection, so it is set on the open one and on those that replace it.
    async fn limit_pages(&self, pages: &'static str) {
        let pool = writer(self).pool();
        let options = pool.connect_options().as_ref().clone();
        pool.set_connect_options(options.pragma("max_page_count", pages));
        let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(limit).execute(pool).await.unwrap();
    }
}

fn writer(store: &Store) -> &Gate<Sqlite> {
    match &store.db {
        Db::Sqlite { writer, .. } => writer,
        Db::Postgres(_) => panic!("only SQLite has its disk to itself"),
    }
}

/// Tells the connection that writes at this time from those that replace it: each has its own temporary tables.
async fn mark_connection(store: &Store) {
    sqlx::query("CREATE TEMPORARY TABLE mark (id INT)").execute(writer(store).pool()).await.unwrap();
}

async fn is_marked(store: &Store) -> bool {
    let marks = sqlx::query_scalar("SELECT count(*) FROM sqlite_temp_master WHERE name = 'mark'");
    let marks: i64 = marks.fetch_one(writer(store).pool()).await.unwrap();
    marks > 0
}

async fn until<T, E>(what: impl AsyncFn() -> Result<T, E>) -> T {
    let tries = async {
        loop {
            match what().await {
                Ok(done) => return done,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), tries).await.expect("there is room again")
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

/// Nothing of a call that could not be stored is in the database.
async fn assert_unknown(store: &Store, call: CallId) {
    assert!(store.call(call).await.unwrap().is_none());
    assert!(store.legs(call, first(10)).await.unwrap().items.is_empty());
    assert!(store.events(call, first(10)).await.unwrap().items.is_empty());
    assert!(audited(store, call).await.is_empty());
}

async fn audited(store: &Store, call: CallId) -> Vec<AuditEntry> {
    let of_call = AuditFilter { call: Some(call), ..AuditFilter::default() };
    store.audit(of_call, first(100)).await.unwrap().items
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
    until(async || store.commit(&refused).await).await;
    let stored = store.call(refused.call.id).await.unwrap().unwrap();
    assert_eq!(stored.record.version, 1);
    stored_call(&store, group(&store, &ada).await, &ada).await;
}

/// The foreign key of the row is looked at by the COMMIT. After that error SQLite leaves the transaction open.
#[tokio::test]
async fn a_commit_that_is_refused_costs_its_connection() {
    let database = TestStore::sqlite().await;
    let store = database.open().await;
    let ada = person(&store, "Ada").await;
    mark_connection(&store).await;
    let refused: Result<(), StoreError> = transaction!(writer(&store), begin_with("BEGIN IMMEDIATE"), |tx| {
        sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut *tx).await?;
        let member =
            "INSERT INTO group_members (group_id, user_id, role, created_at) VALUES ($1, $2, 'member', $3)";
        let member = sqlx::query(member).bind(GroupId::random()).bind(ada.id).bind(now());
        member.execute(&mut *tx).await?;
    });
    assert!(matches!(refused, Err(StoreError::MissingReference)), "{refused:?}");
    assert!(!is_marked(&store).await, "the connection is another one");
    stored_call(&store, group(&store, &ada).await, &ada).await;
}

on_a_small_disk! {
    async fn a_commit_that_finds_no_room_costs_its_connection_and_leaves_nothing_behind(disk) {
        let database = disk.database();
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let refused = changes(call(group(&store, &ada).await, &ada).1);
        mark_connection(&store).await;
        disk.fill();
        // SQLite writes a small transaction to its log at the COMMIT. If that fails, SQLite ends the transaction by
        // itself, and the driver still counts it as open.
        let error = store.commit(&refused).await.unwrap_err();
        assert!(matches!(error, StoreError::InDoubt(_)), "the COMMIT failed, and nothing before it: {error:?}");
        assert!(error.to_string().contains("disk is full"), "{error}");
        assert!(!is_marked(&store).await, "the connection is another one");
        assert!(store.is_away() && store.ready().await.is_err());
        assert_unknown(&store, refused.call.id).await;

        disk.free();
        until(async || store.commit(&refused).await).await;
        assert_eq!(store.call(refused.call.id).await.unwrap().unwrap().record.version, 1);
        assert_eq!(store.events(refused.call.id, first(10)).await.unwrap().items.len(), 1);
        assert_eq!(audited(&store, refused.call.id).await.len(), 1);
        until(async || store.ready().await).await;
    }

    async fn a_server_goes_on_over_a_full_disk_and_what_waited_is_stored_without_a_restart(disk) {
        let database = disk.database();
        let world = World::new(&database).await;
        let (ada, bob, cleo) = (world.person("Ada").await, world.person("Bob").await, world.person("Cleo").await);
        let (team, other) = (world.group(&ada, &[&bob, &cleo]).await, world.group(&ada, &[]).await);
        let (calls, store) = (&world.control.calls, &world.control.store);
        let (socket, mut hears) = world.socket(&ada);
        let call = world.call(&ada, team).await.unwrap().id;
        world.attach(&ada, socket, call, "laptop").await.unwrap();
        for person in [&bob, &cleo] {
            calls.join(&by(person), call).await.unwrap();
        }
        let before = store.events(call, first(100)).await.unwrap().items.len();

        disk.fill();
        for person in [&bob, &cleo] {
            calls.leave(&by(person), call, None).await.unwrap();
            assert_eq!(hears.next("participant-left").await["name"], person.name);
        }
        for refused in [
            calls.lock(&by(&ada), call, true).await,
            calls.join(&by(&cleo), call).await,
            world.call(&ada, other).await,
        ] {
            assert_eq!(refused.unwrap_err().code, ErrorCode::Unavailable);
        }
        assert_eq!(store.events(call, first(100)).await.unwrap().items.len(), before);
        assert!(store.running_call(other).await.unwrap().is_none());

        disk.free();
        until(async || calls.lock(&by(&ada), call, true).await).await;
        let seqs = store.events(call, first(100)).await.unwrap().items.into_iter().map(|event| event.seq);
        assert!(seqs.eq(1..=before as i64 + 3), "each event is there once");
        let actions: Vec<_> = audited(store, call).await.into_iter().map(|entry| entry.action).collect();
        assert_eq!(actions[..3], [Action::CallLocked, Action::CallLeft, Action::CallLeft], "newest first");
        assert_eq!(calls.events_lost(), 0);
        world.call(&ada, other).await.unwrap();
    }

    async fn a_start_without_room_for_the_tables_is_refused_at_once(disk) {
        let database = disk.database();
        disk.fill();
        let started = Instant::now();
        let refused = Store::open(&database.url, &database.schema).await.unwrap_err();
        assert!(refused.to_string().contains("disk is full"), "{refused}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        disk.free();
        person(&database.open().await, "Ada").await;
    }
}
