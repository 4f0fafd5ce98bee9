//! The database becomes unreachable under the store.

use std::time::Instant;

use futures_util::future::join_all;

use super::*;
use crate::testing::on_both_engines_with_outages;

/// One new call per group.
async fn new_calls(store: &Store, number: usize) -> Vec<Box<Changes>> {
    let ada = person(store, "Ada").await;
    let mut calls = Vec::new();
    for _ in 0..number {
        let team = group(store, &ada).await;
        calls.push(changes(call(team, &ada).1));
    }
    calls
}

on_both_engines_with_outages! {
    async fn nobody_waits_for_long_and_afterwards_everything_works(database) {
        let store = database.open().await;
        let calls = new_calls(&store, 64).await;
        let outage = database.take_away().await;
        let started = Instant::now();
        for refused in join_all(calls.iter().map(|call| store.commit(call))).await {
            let away = matches!(refused, Err(StoreError::Unavailable(_) | StoreError::InDoubt(_)));
            assert!(away, "{refused:?}");
        }
        assert!(started.elapsed() < gate::OPERATION + Duration::from_secs(2), "{:?}", started.elapsed());
        let started = Instant::now();
        assert!(matches!(store.commit(&calls[0]).await, Err(StoreError::Unavailable(Away::Resting))));
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
        assert!(store.is_away());
        outage.end().await;

        while store.ping().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!store.is_away());
        for written in join_all(calls.iter().map(|call| store.commit(call))).await {
            written.unwrap();
        }
        for call in &calls {
            let stored = store.call(call.call.id).await.unwrap().unwrap();
            assert_eq!(stored.record.version, 1);
            assert_eq!(store.events(call.call.id, first(10)).await.unwrap().items.len(), 1);
        }
    }
}
