//! One server per database.

use sqlx::Connection;

use super::*;
use crate::testing::{TestStore, on_both_engines};

async fn claim(database: &TestStore) -> Result<Ownership, StoreError> {
    Ownership::claim(&database.url, &database.schema).await
}

async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it never came to be so");
}

on_both_engines! {
    async fn a_second_server_is_refused_and_told_who_has_the_database(database) {
        let first = claim(&database).await.unwrap();
        let refused = claim(&database).await.unwrap_err();
        assert!(matches!(refused, StoreError::Owned(_)), "{refused:?}");
        let own_id = format!("process {}", std::process::id());
        assert!(refused.to_string().contains(&own_id), "{refused}");
        assert!(first.is_held());
    }

    async fn a_server_that_starts_waits_for_one_that_is_just_stopping(database) {
        let first = claim(&database).await.unwrap();
        let stops = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            first.release().await;
        };
        let (second, ()) = tokio::join!(claim(&database), stops);
        assert!(second.unwrap().is_held());
        assert!(!first.is_held());
    }

    async fn a_server_that_fails_to_start_leaves_the_database_to_the_next(database) {
        drop(claim(&database).await.unwrap());
        assert!(claim(&database).await.is_ok());
    }
}

#[tokio::test]
async fn a_server_whose_session_postgres_ended_owns_the_database_again() {
    let database = TestStore::own_postgres().await;
    let first = claim(&database).await.unwrap();
    let mut admin = sqlx::PgConnection::connect(&database.url).await.unwrap();
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'switchyard,%'",
    )
    .execute(&mut admin)
    .await
    .unwrap();
    until(|| !first.is_held()).await;
    until(|| first.is_held()).await;
    assert!(matches!(claim(&database).await, Err(StoreError::Owned(_))));
}

#[tokio::test]
async fn servers_with_a_schema_each_share_a_postgres() {
    let (one, other) = (TestStore::postgres().await, TestStore::postgres().await);
    let owned = (claim(&one).await.unwrap(), claim(&other).await.unwrap());
    assert!(owned.0.is_held() && owned.1.is_held());
}

#[tokio::test]
async fn a_database_by_another_name_is_the_same_database() {
    let database = TestStore::sqlite().await;
    database.open().await.close().await;
    let path = database.url.strip_prefix("sqlite://").unwrap();
    let link = format!("{path}.link");
    std::os::unix::fs::symlink(path, &link).unwrap();
    let first = claim(&database).await.unwrap();
    let refused = Ownership::claim(&format!("sqlite://{link}"), &database.schema).await;
    assert!(matches!(refused, Err(StoreError::Owned(_))));
    assert!(first.is_held());
}
