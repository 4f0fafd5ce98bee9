//! Random histories of a call: after each change the rows in the database match the call.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use super::*;
use crate::{
    audit::Action,
    call::tests::{
        histories::happenings,
        model::Model,
        story::{ADA, RULES, Story, person, user},
    },
    clock::now,
    store::AuditFilter,
    testing::on_both_engines,
};

/// Stores the users and the group that the stories use.
async fn prepare(store: &Store) {
    for who in 1..6 {
        store.put_user(user(who), &person(who).name, now()).await.unwrap();
    }
}

async fn fresh_group(store: &Store, group: GroupId) {
    let group = Group { id: group, name: "Team".to_owned(), created_at: now(), updated_at: now() };
    store.create_group(&group, Some(user(ADA)), &Actor::SERVER).await.unwrap();
}

async fn check(store: &Store, story: &Story, written: usize) {
    let id = story.call.origin().id;
    let read = store.call(id).await.unwrap().unwrap();
    let (read, live) = (read.view(story.now), story.call.view(story.now));
    assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(live).unwrap());
    let legs = store.rows_of_call(id, story.now).await.unwrap();
    let restored = Call::past(store.call(id).await.unwrap().unwrap().record, legs, RULES).unwrap();
    let open = |call: &Call| call.open_legs().map(|leg| leg.id).collect::<Vec<_>>();
    assert_eq!(open(&restored), open(&story.call));
    let events = store.events(id, PageRequest { limit: 255, after: None }).await.unwrap().items;
    assert_eq!(events.len(), written);
    let told: Vec<_> = story.recorded.iter().map(|r| (r.stamp.epoch, r.stamp.seq, r.event.kind())).collect();
    let stored: Vec<_> = events.iter().map(|event| (event.epoch, event.seq, event.kind.as_str())).collect();
    assert_eq!(stored, told);
}

async fn audited(store: &Store, call: CallId) -> Vec<Action> {
    let filter = AuditFilter { call: Some(call), ..AuditFilter::default() };
    let page = store.audit(filter, PageRequest { limit: 255, after: None }).await.unwrap();
    assert_eq!(page.next_cursor, None);
    page.items.into_iter().map(|entry| entry.action).collect()
}

on_both_engines! {
    async fn whatever_happens_the_database_holds_the_call_its_log_and_its_audit(database) {
        let store = database.open().await;
        prepare(&store).await;
        let mut runner = TestRunner::deterministic();
        for case in 0..CASES {
            let mut story = Story::of(CallId(uuid::Uuid::from_u128(1_000_000 + case)));
            let mut model = Model::begin(story.now);
            fresh_group(&store, story.call.origin().group_id).await;
            let mut written = 0;
            for happening in happenings().new_tree(&mut runner).unwrap().current().into_iter().take(25) {
                story.happen(happening, &mut model);
                for changes in &story.stored[written..] {
                    store.commit(changes).await.unwrap();
                }
                written = story.stored.len();
            }
            for changes in &story.stored[written..] {
                store.commit(changes).await.unwrap();
            }
            check(&store, &story, story.recorded.len()).await;
            model.check_audit(audited(&store, story.call.origin().id).await);
            if let Ok(effects) = story.handle(Command::End(Ending::GroupDeleted))
                && !effects.is_empty()
            {
                store.commit(&changes(effects)).await.unwrap();
            }
            assert_eq!(store.delete_group(story.call.origin().group_id, &Actor::SERVER, now()).await.unwrap(), None);
        }
    }
}

const CASES: u128 = 200;
