//! Every query on both databases.

mod full_disk;
mod histories;
mod opening;
mod outage;
mod ownership;

use std::{collections::BTreeSet, time::Duration};

use super::*;
use crate::{
    actor::{Actor, Person},
    call::{
        Beginning, Call, CallStatus, CallType, Changes, Command, Consent, Effect, Ending, Metadata,
        NewRecording, Origin, RecordingLayer, RecordingMode, Rules, Via,
    },
    clock::now,
    ids::{CallId, GroupId, LegId, RecordingId, StorageId, UserId},
    testing::{by, on_both_engines},
};
use switchyard_media_worker::media::RouterId;

async fn person(store: &Store, name: &str) -> Person {
    let person = Person { id: UserId::random(), name: name.to_owned() };
    store.put_user(person.id, name, now()).await.unwrap();
    person
}

async fn group(store: &Store, owner: &Person) -> GroupId {
    let now = now();
    let group = Group { id: GroupId::random(), name: "Team".to_owned(), created_at: now, updated_at: now };
    store.create_group(&group, Some(owner.id), &by(owner)).await.unwrap();
    group.id
}

fn call(group: GroupId, creator: &Person) -> (Call, Vec<Effect>) {
    let origin = Origin {
        id: CallId::random(),
        group_id: group,
        initiated_by: creator.id,
        call_type: CallType::Video,
        created_at: now(),
    };
    let rules =
        Rules { ring: None, unattached: None, resume_window: Duration::from_secs(30), ..Rules::default() };
    let first = Beginning {
        creator: creator.clone(),
        leg: LegId::random(),
        room: RouterId(uuid::Uuid::new_v4()),
        metadata: Metadata::default(),
        invitees: Vec::new(),
    };
    Call::create(origin, first, rules, &by(creator))
}

fn new_recording() -> NewRecording {
    NewRecording {
        id: RecordingId::random(),
        storage_id: StorageId::random(),
        mode: RecordingMode::Video,
        layer: RecordingLayer::High,
        consent: Consent::Notice,
    }
}

fn changes(effects: Vec<Effect>) -> Box<Changes> {
    let store = |effect| if let Effect::Store(changes) = effect { Some(changes) } else { None };
    effects.into_iter().find_map(store).unwrap()
}

async fn stored_call(store: &Store, group: GroupId, creator: &Person) -> Call {
    let (call, effects) = call(group, creator);
    store.commit(&changes(effects)).await.unwrap();
    call
}

fn first<C>(limit: u8) -> PageRequest<C> {
    PageRequest { limit, after: None }
}

fn after<C: Cursor>(limit: u8, cursor: Option<&String>) -> PageRequest<C> {
    PageRequest { limit, after: Some(C::decode(cursor.unwrap()).unwrap()) }
}

on_both_engines! {
    async fn a_user_is_written_once_and_renamed(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        store.put_user(ada.id, "Ada L.", now()).await.unwrap();
        assert_eq!(store.user(ada.id).await.unwrap().unwrap().name, "Ada L.");
        assert_eq!(store.user(UserId::random()).await.unwrap(), None);
    }

    async fn people_are_found_by_how_their_name_starts(database) {
        let store = database.open().await;
        for name in ["Ada", "adam", "Bob", "100%", "1000"] {
            person(&store, name).await;
        }
        let names = async |name: &str| {
            let page = store.users_by_name(name, first(10)).await.unwrap();
            page.items.into_iter().map(|user| user.name).collect::<Vec<_>>()
        };
        assert_eq!(names("AD").await, ["Ada", "adam"]);
        assert_eq!(names("100%").await, ["100%"]);
        assert_eq!(names("").await.len(), 5);
    }

    async fn a_group_has_its_creator_as_owner(database) {
        let store = database.open().await;
        let (ada, bob) = (person(&store, "Ada").await, person(&store, "Bob").await);
        let team = group(&store, &ada).await;
        store.add_member(team, NewMember { user: bob.id, role: Role::Admin, most: 10 }, &Actor::SERVER, now()).await.unwrap();

        assert_eq!(store.role(team, ada.id).await.unwrap(), Some(Role::Owner));
        assert_eq!(store.role(team, bob.id).await.unwrap(), Some(Role::Admin));
        assert_eq!(store.role(team, UserId::random()).await.unwrap(), None);
        let members = store.members(team, first(10)).await.unwrap().items;
        let listed: Vec<_> = members.iter().map(|member| (member.name.as_str(), member.role)).collect();
        assert_eq!(listed, [("Ada", Role::Owner), ("Bob", Role::Admin)]);
        assert_eq!(store.groups_of(bob.id, first(10)).await.unwrap().items[0].id, team);
        assert_eq!(store.rename_group(team, "Crew", &by(&ada), now()).await.unwrap().unwrap().name, "Crew");
        assert_eq!(store.group(team).await.unwrap().unwrap().name, "Crew");
    }

    async fn a_member_is_added_once_and_has_to_exist(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let team = group(&store, &ada).await;
        let twice = store.add_member(team, NewMember { user: ada.id, role: Role::Member, most: 10 }, &Actor::SERVER, now()).await;
        assert!(matches!(twice, Err(StoreError::Duplicate)));
        let unknown = store.add_member(team, NewMember { user: UserId::random(), role: Role::Member, most: 10 }, &Actor::SERVER, now()).await;
        assert!(matches!(unknown, Err(StoreError::MissingReference)));
    }

    async fn the_last_owner_stays(database) {
        let store = database.open().await;
        let (ada, bob) = (person(&store, "Ada").await, person(&store, "Bob").await);
        let team = group(&store, &ada).await;
        assert!(matches!(store.change_member(team, ada.id, None, &by(&ada), now()).await, Err(StoreError::LastOwner)));
        assert!(matches!(store.change_member(team, ada.id, Some(Role::Admin), &by(&ada), now()).await, Err(StoreError::LastOwner)));
        assert_eq!(store.role(team, ada.id).await.unwrap(), Some(Role::Owner));

        store.add_member(team, NewMember { user: bob.id, role: Role::Owner, most: 10 }, &Actor::SERVER, now()).await.unwrap();
        let actor = by(&ada);
        let both = tokio::join!(
            store.change_member(team, ada.id, None, &actor, now()),
            store.change_member(team, bob.id, None, &actor, now()),
        );
        assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1, "{both:?}");
        assert!(!store.change_member(team, UserId::random(), None, &by(&ada), now()).await.unwrap());
    }

    async fn a_call_is_read_as_it_was_written(database) {
        let store = database.open().await;
        let (ada, bob) = (person(&store, "Ada").await, person(&store, "Bob").await);
        let team = group(&store, &ada).await;
        let mut call = stored_call(&store, team, &ada).await;
        let metadata: Metadata = serde_json::from_str(r#"{"title":"Ü","n":[1,{"x":null}]}"#).unwrap();
        for command in [
            Command::Join { leg: LegId::random(), person: bob.clone(), via: Via::Rest, privileged: false },
            Command::MergeMetadata { patch: metadata, recording: new_recording() },
        ] {
            store.commit(&changes(call.handle(command, &Actor::SERVER, now()).unwrap())).await.unwrap();
        }

        let read = store.call(call.origin().id).await.unwrap().unwrap();
        let at = now();
        assert_eq!(serde_json::to_value(read.view(at)).unwrap(), serde_json::to_value(call.view(at)).unwrap());
        let legs = store.rows_of_call(call.origin().id, at).await.unwrap();
        let names: BTreeSet<_> = legs.legs.iter().map(|leg| leg.name.as_str()).collect();
        assert_eq!(names, BTreeSet::from(["Ada", "Bob"]));
        let again = Call::past(store.call(call.origin().id).await.unwrap().unwrap().record, legs, Rules::default()).unwrap();
        assert_eq!(again.participants(), call.participants());
        assert_eq!(again.stamp(), call.stamp());
    }

    async fn events_come_in_their_order_and_in_pages(database) {
        let store = database.open().await;
        let (ada, bob) = (person(&store, "Ada").await, person(&store, "Bob").await);
        let team = group(&store, &ada).await;
        let mut call = stored_call(&store, team, &ada).await;
        let join = Command::Join { leg: LegId::random(), person: bob.clone(), via: Via::Rest, privileged: false };
        for command in [join, Command::End(Ending::Normal)] {
            store.commit(&changes(call.handle(command, &Actor::SERVER, now()).unwrap())).await.unwrap();
        }
        let page = store.events(call.origin().id, first(2)).await.unwrap();
        let rest = store.events(call.origin().id, after(2, page.next_cursor.as_ref())).await.unwrap();
        let kinds: Vec<_> = page.items.iter().chain(&rest.items).map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["call-created", "leg-joined", "call-started", "call-ended"]);
        let seqs: Vec<_> = page.items.iter().chain(&rest.items).map(|event| event.seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4]);
        assert_eq!(page.items[1].details["name"], "Bob");
        assert_eq!(rest.next_cursor, None);
    }

    async fn only_the_owner_of_the_latest_version_may_write(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let team = group(&store, &ada).await;
        let mut call = stored_call(&store, team, &ada).await;
        let mut other = call.clone();
        let metadata: Metadata = serde_json::from_str(r#"{"a":1}"#).unwrap();
        let merge = Command::MergeMetadata { patch: metadata, recording: new_recording() };
        store.commit(&changes(call.handle(merge, &Actor::SERVER, now()).unwrap())).await.unwrap();
        let late = store.commit(&changes(other.handle(Command::End(Ending::Normal), &Actor::SERVER, now()).unwrap())).await;
        assert!(matches!(late, Err(StoreError::Fenced)));
        assert_eq!(store.call(call.origin().id).await.unwrap().unwrap().record.status, CallStatus::Waiting);
        assert_eq!(store.events(call.origin().id, first(10)).await.unwrap().items.len(), 2);
    }

    async fn writing_the_same_changes_again_does_nothing(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let team = group(&store, &ada).await;
        let (mut call, effects) = call(team, &ada);
        let created = changes(effects);
        store.commit(&created).await.unwrap();
        store.commit(&created).await.unwrap();
        let ended = changes(call.handle(Command::End(Ending::Normal), &Actor::SERVER, now()).unwrap());
        store.commit(&ended).await.unwrap();
        store.commit(&ended).await.unwrap();
        assert_eq!(store.events(call.origin().id, first(10)).await.unwrap().items.len(), 2);
        assert!(matches!(store.commit(&created).await, Err(StoreError::RunningCallExists)), "that was long ago");
    }

    async fn a_group_has_one_running_call_however_many_try(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let team = group(&store, &ada).await;
        let tries: Vec<_> = (0..64)
            .map(|_| {
                let (store, effects) = (store.clone(), call(team, &ada).1);
                tokio::spawn(async move { store.commit(&changes(effects)).await })
            })
            .collect();
        let mut created = 0;
        for attempt in tries {
            match attempt.await.unwrap() {
                Ok(()) => created += 1,
                Err(StoreError::RunningCallExists) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(created, 1);
        assert_eq!(store.calls_of_group(team, CallFilter::default(), first(100)).await.unwrap().items.len(), 1);
    }

    async fn a_call_needs_a_group(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let nowhere = store.commit(&changes(call(GroupId::random(), &ada).1)).await;
        assert!(matches!(nowhere, Err(StoreError::MissingReference)));
    }

    async fn history_is_paged_newest_first_and_filtered(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let team = group(&store, &ada).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            let mut call = stored_call(&store, team, &ada).await;
            ids.push(call.origin().id);
            if ids.len() < 5 {
                store.commit(&changes(call.handle(Command::End(Ending::Normal), &Actor::SERVER, now()).unwrap())).await.unwrap();
            }
        }
        ids.reverse();
        let all = CallFilter::default();
        let mut listed = Vec::new();
        let mut page = store.calls_of_group(team, all, first(2)).await.unwrap();
        loop {
            listed.extend(page.items.iter().map(|call| call.record.id));
            if page.next_cursor.is_none() { break }
            page = store.calls_of_group(team, all, after(2, page.next_cursor.as_ref())).await.unwrap();
        }
        assert_eq!(listed, ids);

        let waiting = CallFilter { status: Some(CallStatus::Waiting), ..CallFilter::default() };
        let waiting = store.calls_of_group(team, waiting, first(10)).await.unwrap().items;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].participants, [ada.id]);
        assert_eq!(store.running_call(team).await.unwrap().unwrap().record.id, ids[0]);
        assert_eq!(store.running_calls_for(ada.id).await.unwrap().len(), 1);
        assert_eq!(store.running_calls_for(UserId::random()).await.unwrap().len(), 0);
        assert_eq!(store.running_calls().await.unwrap().len(), 1);
        assert_eq!(store.running_calls_before(now()).await.unwrap().len(), 1);
        assert_eq!(store.running_calls_before(now() - Duration::from_secs(60)).await.unwrap().len(), 0);
    }

    async fn a_group_is_deleted_with_its_history_but_not_while_a_call_runs(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let team = group(&store, &ada).await;
        let mut call = stored_call(&store, team, &ada).await;
        let id = call.origin().id;
        assert_eq!(store.delete_group(team, &Actor::SERVER, now()).await.unwrap(), Some(id));
        store.commit(&changes(call.handle(Command::End(Ending::GroupDeleted), &Actor::SERVER, now()).unwrap())).await.unwrap();
        assert_eq!(store.delete_group(team, &Actor::SERVER, now()).await.unwrap(), None);
        assert!(store.group(team).await.unwrap().is_none());
        assert!(store.call(id).await.unwrap().is_none());
        assert!(store.events(id, first(10)).await.unwrap().items.is_empty());
    }

    async fn legs_are_seen_until_they_end(database) {
        let store = database.open().await;
        let ada = person(&store, "Ada").await;
        let team = group(&store, &ada).await;
        let mut call = stored_call(&store, team, &ada).await;
        let leg = call.open_legs().next().unwrap().id;
        let id = call.origin().id;
        let last_seen_at = async || store.legs(id, first(1)).await.unwrap().items[0].last_seen_at;
        let later = now() + Duration::from_secs(60);
        store.saw_legs(&[leg, LegId::random()], later).await.unwrap();
        assert_eq!(last_seen_at().await, later);

        store.commit(&changes(call.handle(Command::End(Ending::Normal), &Actor::SERVER, now()).unwrap())).await.unwrap();
        let ended = last_seen_at().await;
        store.saw_legs(&[leg], later + Duration::from_secs(60)).await.unwrap();
        assert_eq!(last_seen_at().await, ended);
        store.saw_legs(&[], later).await.unwrap();
    }

    async fn a_call_is_restored_without_the_legs_that_ended_long_ago(database) {
        let store = database.open().await;
        let (ada, bob) = (person(&store, "Ada").await, person(&store, "Bob").await);
        let team = group(&store, &ada).await;
        let mut call = stored_call(&store, team, &ada).await;
        let (leg, left_at) = (LegId::random(), now());
        for command in [
            Command::Join { leg, person: bob.clone(), via: Via::Rest, privileged: false },
            Command::Leave { user: bob.id, leg: None, reason: crate::call::LegReason::Left },
        ] {
            store.commit(&changes(call.handle(command, &Actor::SERVER, left_at).unwrap())).await.unwrap();
        }
        let at_once = store.rows_of_call(call.origin().id, left_at - Duration::from_secs(30)).await.unwrap();
        assert_eq!(at_once.legs.len(), 2);
        let later = store.rows_of_call(call.origin().id, left_at).await.unwrap();
        assert_eq!(later.legs.iter().map(|leg| leg.user_id).collect::<Vec<_>>(), [ada.id]);
        assert_eq!(later.last_left_at, Some(left_at));
        assert_eq!(BTreeSet::from_iter(later.visitors), BTreeSet::from([ada.id, bob.id]));
    }

    async fn servers_that_start_together_take_turns_migrating(database) {
        let opened = futures_util::future::join_all((0..4).map(|_| database.open())).await;
        let ada = person(&opened[0], "Ada").await;
        for store in opened {
            assert!(store.user(ada.id).await.unwrap().is_some());
        }
    }

    async fn opening_twice_migrates_once(database) {
        let first = database.open().await;
        let second = database.open().await;
        let ada = person(&first, "Ada").await;
        assert!(second.user(ada.id).await.unwrap().is_some());
        second.ping().await.unwrap();
        second.close().await;
        assert!(matches!(second.ping().await, Err(StoreError::Unavailable(_))));
    }
}

#[tokio::test]
async fn postgres_keeps_to_its_schema_beside_an_apps_own_tables() {
    let database = crate::testing::TestStore::postgres().await;
    let app = sqlx::PgPool::connect(&database.url).await.unwrap();
    for table in ["users", "groups", "calls"] {
        let sql = format!("CREATE TABLE IF NOT EXISTS public.{table} (id INT PRIMARY KEY)");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&app).await.unwrap();
    }
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS public._sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT);
         INSERT INTO public._sqlx_migrations VALUES (1, 'the app''s own') ON CONFLICT DO NOTHING",
    )
    .execute(&app)
    .await
    .unwrap();
    let store = database.open().await;
    let ada = person(&store, "Ada").await;
    group(&store, &ada).await;
    let foreign: i64 = sqlx::query_scalar("SELECT count(*) FROM public.users").fetch_one(&app).await.unwrap();
    assert_eq!(foreign, 0);
    let bookkeeping: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_tables WHERE tablename = '_sqlx_migrations' AND schemaname = $1",
    )
    .bind(&database.schema)
    .fetch_one(&app)
    .await
    .unwrap();
    assert_eq!(bookkeeping, 1);
}
