//! Many users at the same time.

use std::collections::BTreeSet;

use super::*;
use crate::actor::Person;

/// Runs `act` for every person at the same time.
async fn all_at_once<W>(people: &[Person], act: impl Fn(Person) -> W)
where
    W: Future<Output = Result<CallView, Refusal>> + Send + 'static,
{
    let acting: Vec<_> = people.iter().map(|person| tokio::spawn(act(person.clone()))).collect();
    for act in acting {
        act.await.unwrap().unwrap();
    }
}

async fn crowd(world: &World, size: usize) -> Vec<Person> {
    let mut people = Vec::new();
    for number in 0..size {
        people.push(world.person(&format!("Person {number}")).await);
    }
    people
}

on_both_engines! {
    async fn two_hundred_people_come_and_go_at_once_and_peak_and_duration_are_right(database) {
        let world = World::new(&database).await;
        let (ada, people) = (world.person("Ada").await, crowd(&world, 200).await);
        let team = world.group(&ada, &people.iter().collect::<Vec<_>>()).await;
        let calls = &world.control.calls;
        let call = world.call(&ada, team).await.unwrap().id;
        all_at_once(&people, |person| {
            let calls = calls.clone();
            async move {
                calls.join(&by(&person), call).await?;
                calls.leave(&by(&person), call, None).await
            }
        })
        .await;
        let ended = calls.end(&by(&ada), call, EndReason::Normal).await.unwrap();

        let (mut present, mut peak, mut after) = (BTreeSet::from([json!(ada.id).to_string()]), 1, None);
        let mut seqs = Vec::new();
        loop {
            let page = calls.events(&by(&ada), call, PageRequest { limit: 100, after }).await.unwrap();
            for event in &page.items {
                let user = event.details["userId"].to_string();
                match event.kind.as_str() {
                    "leg-joined" => assert!(present.insert(user)),
                    "leg-left" => assert!(present.remove(&user)),
                    _ => {}
                }
                peak = peak.max(present.len());
                seqs.push(event.seq);
            }
            after = page.items.last().map(|event| event.seq);
            if page.next_cursor.is_none() {
                break;
            }
        }
        assert_eq!(seqs, (1..=403).collect::<Vec<_>>(), "created, 200 times joined and left, started, ended");
        assert_eq!(ended.max_participants, peak as i64);
        let lasted = ended.ended_at.unwrap() - ended.started_at.unwrap();
        assert_eq!(ended.duration_seconds, Some(lasted.num_seconds()));
    }

    async fn two_hundred_joins_and_leaves_on_twenty_calls_all_succeed(database) {
        let world = World::new(&database).await;
        let (ada, people) = (world.person("Ada").await, crowd(&world, 200).await);
        let calls = &world.control.calls;
        let mut running = Vec::new();
        for team in people.chunks(10) {
            let group = world.group(&ada, &team.iter().collect::<Vec<_>>()).await;
            running.push(world.call(&ada, group).await.unwrap().id);
        }
        let place = |person: &Person| running[people.iter().position(|other| other.id == person.id).unwrap() / 10];
        all_at_once(&people, |person| {
            let (calls, call) = (calls.clone(), place(&person));
            async move { calls.join(&by(&person), call).await }
        })
        .await;
        all_at_once(&people, |person| {
            let (calls, call) = (calls.clone(), place(&person));
            async move { calls.leave(&by(&person), call, None).await }
        })
        .await;
        for call in running {
            let ended = calls.end(&by(&ada), call, EndReason::Normal).await.unwrap();
            assert_eq!((ended.status, ended.max_participants), (CallStatus::Ended, 11));
        }
        assert_eq!(calls.events_unstored(), 0, "all was stored before it was told");
    }
}
