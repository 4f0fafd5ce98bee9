//! Repeated creates.

use crate::{
    actor::Person,
    call::{CallType, EndReason, Metadata},
    calls::{Created, NewCall, Once},
    error::{ErrorCode, Refusal},
    ids::{CallId, GroupId},
    testing::{World, by, on_both_engines},
};

async fn create(
    world: &World,
    who: &Person,
    group_id: GroupId,
    key: &str,
    body: u8,
) -> Result<Created, Refusal> {
    let once = Some(Once { key: key.to_owned(), body_hash: [body; 32] });
    let new = NewCall { group_id, call_type: CallType::Video, metadata: Metadata::default(), once };
    world.control.calls.create(&by(who), new).await
}

/// Starts a call, or returns the running one; repeats while the answer is `unavailable`.
async fn until_a_call_runs(world: &World, who: &Person, team: GroupId) -> CallId {
    loop {
        match world.call(who, team).await {
            Ok(call) => return call.id,
            Err(refusal) if refusal.code == ErrorCode::CallExists => return refusal.call_id.unwrap(),
            Err(refusal) => assert_eq!(refusal.code, ErrorCode::Unavailable, "{refusal}"),
        }
    }
}

on_both_engines! {
    async fn a_repeated_create_gets_the_same_answer_and_starts_nothing(database) {
        let world = World::new(&database).await;
        let ada = world.person("Ada").await;
        let team = world.group(&ada, &[]).await;
        let Created::Now(first) = create(&world, &ada, team, "key-1", 1).await.unwrap() else { panic!("new") };
        let Created::Before(again) = create(&world, &ada, team, "key-1", 1).await.unwrap() else { panic!("repeated") };
        assert_eq!(again, serde_json::to_value(&*first).unwrap());
        world.control.calls.end(&by(&ada), first.id, EndReason::Normal).await.unwrap();
        let Created::Before(later) = create(&world, &ada, team, "key-1", 1).await.unwrap() else { panic!("repeated") };
        assert_eq!(later, again, "also after the call has ended");
        let other_body = create(&world, &ada, team, "key-1", 2).await.unwrap_err();
        assert_eq!(other_body.code, ErrorCode::IdempotencyMismatch);
        assert!(matches!(create(&world, &ada, team, "key-2", 1).await.unwrap(), Created::Now(_)));
    }

    async fn a_refused_create_leaves_its_key_free(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let running = world.call(&ada, team).await.unwrap();
        assert_eq!(create(&world, &bob, team, "key", 1).await.unwrap_err().code, ErrorCode::CallExists);
        world.control.calls.end(&by(&ada), running.id, EndReason::Normal).await.unwrap();
        assert!(matches!(create(&world, &bob, team, "key", 1).await.unwrap(), Created::Now(_)));
        let adas = create(&world, &ada, team, "key", 1).await.unwrap_err();
        assert_eq!(adas.code, ErrorCode::CallExists, "a key is its user's own");
    }

    async fn a_create_whose_caller_hangs_up_is_done_or_not_but_never_half(database) {
        let world = World::new(&database).await;
        let ada = world.person("Ada").await;
        for turns in 1..12 {
            let team = world.group(&ada, &[]).await;
            let mut creating = Box::pin(world.call(&ada, team));
            for _ in 0..turns {
                let answered = futures_util::poll!(&mut creating).is_ready();
                tokio::task::yield_now().await;
                if answered {
                    break;
                }
            }
            drop(creating);
            let actor = by(&ada);
            let call = until_a_call_runs(&world, &ada, team).await;
            world.control.calls.end(&actor, call, EndReason::Normal).await.expect("somebody owns it");
        }
    }

    async fn of_many_creates_with_one_key_one_call_comes(database) {
        let world = World::new(&database).await;
        let ada = world.person("Ada").await;
        let team = world.group(&ada, &[]).await;
        let tries = (0..16).map(|_| create(&world, &ada, team, "key", 1));
        let mut started = 0;
        for answer in futures_util::future::join_all(tries).await {
            match answer {
                Ok(Created::Now(_)) => started += 1,
                Ok(Created::Before(_)) => {}
                Err(refusal) => assert_eq!(refusal.code, ErrorCode::Conflict, "{refusal}"),
            }
        }
        assert_eq!(started, 1);
    }
}
