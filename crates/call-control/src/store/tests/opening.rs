//! Opening databases by their addresses.

use sqlx::{Connection, PgConnection};

use super::*;
use crate::testing::TestStore;

#[tokio::test]
async fn a_schema_may_have_the_name_of_a_reserved_word() {
    let database = TestStore::postgres().await;
    let mut stranger = PgConnection::connect(&database.url).await.unwrap();
    let reserved = "SELECT word FROM pg_get_keywords() WHERE catcode = 'R'";
    let words: Vec<String> = sqlx::query_scalar(reserved).fetch_all(&mut stranger).await.unwrap();
    for word in &words {
        let created = open::create_schema(&mut stranger, word).await;
        created.unwrap_or_else(|error| panic!("{word}: {error}"));
    }
    assert!(words.iter().any(|word| word == "select"), "{words:?}");
    let store = Store::open(&database.url, "select").await.unwrap();
    person(&store, "Ada").await;
    let people = sqlx::query_scalar("SELECT count(*) FROM \"select\".users").fetch_one(&mut stranger);
    let people: i64 = people.await.unwrap();
    assert_eq!(people, 1);
}

#[tokio::test]
async fn what_keeps_no_records_is_not_opened() {
    for bad in ["mysql://localhost/x", "sqlite::memory:", "sqlite://", "sqlite:calls.db?mode=ro"] {
        let refused = Store::open(bad, "switchyard").await;
        assert!(matches!(refused, Err(StoreError::Config(_))), "{bad}");
        let refused = Ownership::claim(bad, "switchyard").await;
        assert!(matches!(refused, Err(StoreError::Config(_))), "{bad}");
    }
}
