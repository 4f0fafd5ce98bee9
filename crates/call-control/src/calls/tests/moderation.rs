//! Moderation, and its entries in the audit log.

use serde_json::json;
use switchyard_media_worker::media::ProducerId;

use super::all;
use crate::{
    actor::{Actor, Who},
    audit::Action,
    call::{EndReason, Metadata, Source, StandingChange},
    calls::CallFilter,
    error::ErrorCode,
    ids::CallId,
    store::{AuditFilter, Role},
    testing::{World, by, on_both_engines},
};

async fn actions(world: &World, call: CallId) -> Vec<Action> {
    let filter = AuditFilter { call: Some(call), ..AuditFilter::default() };
    let entries = world.control.store.audit(filter, all()).await.unwrap().items;
    entries.into_iter().rev().map(|entry| entry.action).collect()
}

on_both_engines! {
    async fn a_lock_keeps_newcomers_out_but_not_who_is_in_or_moderates(database) {
        let world = World::new(&database).await;
        let (ada, bob, cleo) = (world.person("Ada").await, world.person("Bob").await, world.person("Cleo").await);
        let team = world.group(&ada, &[&bob, &cleo]).await;
        let calls = &world.control.calls;
        let call = world.call(&bob, team).await.unwrap().id;
        let (socket, mut hears) = world.socket(&bob);
        world.attach(&bob, socket, call, "phone").await.unwrap();

        assert_eq!(calls.lock(&by(&cleo), call, true).await.unwrap_err().code, ErrorCode::Forbidden);
        assert!(calls.lock(&by(&bob), call, true).await.unwrap().locked);
        assert_eq!(hears.next("call:locked").await["by"], json!(bob.id));
        assert_eq!(calls.join(&by(&cleo), call).await.unwrap_err().code, ErrorCode::CallLocked);
        let (socket, _) = world.socket(&bob);
        world.attach(&bob, socket, call, "tablet").await.expect("who is in brings another device");
        calls.join(&by(&ada), call).await.expect("the owner is not kept out");

        let admitted = StandingChange { admitted: Some(true), ..StandingChange::default() };
        calls.permit(&by(&ada), call, cleo.id, admitted).await.unwrap();
        calls.join(&by(&cleo), call).await.expect("who is admitted comes in");
        calls.lock(&by(&ada), call, false).await.unwrap();
        assert!(!calls.find_one(&by(&ada), call).await.unwrap().locked);
        let logged = actions(&world, call).await;
        assert!([Action::CallLocked, Action::PermissionsChanged, Action::CallUnlocked].iter().all(|a| logged.contains(a)));
    }

    async fn somebody_removed_stays_out_until_admitted(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        let call = world.call(&ada, team).await.unwrap().id;
        let (socket, mut hears) = world.socket(&bob);
        let leg = world.attach(&bob, socket, call, "phone").await.unwrap().snapshot.leg_id;

        calls.remove(&by(&ada), call, bob.id).await.unwrap();
        let left = hears.next("participant-left").await;
        assert_eq!((&left["userId"], &left["reason"]), (&json!(bob.id), &json!("removed")));
        assert_eq!(world.control.hub.leg(socket, call), None);
        assert_eq!(calls.sync(call, leg, None).await.unwrap_err().code, ErrorCode::NotInCall);
        assert_eq!(world.attach(&bob, socket, call, "phone").await.unwrap_err().code, ErrorCode::Removed);
        assert_eq!(calls.remove(&by(&ada), call, bob.id).await.unwrap_err().code, ErrorCode::NotInCall);
        let admitted = StandingChange { admitted: Some(true), ..StandingChange::default() };
        calls.permit(&by(&ada), call, bob.id, admitted).await.unwrap();
        world.attach(&bob, socket, call, "phone").await.unwrap();
        assert_eq!(actions(&world, call).await, [
            Action::CallStarted, Action::CallJoined, Action::ParticipantRemoved, Action::PermissionsChanged, Action::CallJoined,
        ]);
    }

    async fn nobody_moderates_people_above_them(database) {
        let world = World::new(&database).await;
        let (ada, bob, cleo) = (world.person("Ada").await, world.person("Bob").await, world.person("Cleo").await);
        let team = world.group(&ada, &[&bob, &cleo]).await;
        let calls = &world.control.calls;
        let call = world.call(&bob, team).await.unwrap().id;
        calls.join(&by(&ada), call).await.unwrap();
        calls.join(&by(&cleo), call).await.unwrap();
        assert_eq!(calls.remove(&by(&bob), call, ada.id).await.unwrap_err().code, ErrorCode::Forbidden);
        calls.remove(&by(&bob), call, cleo.id).await.expect("its initiator has a say over other members");
        world.control.groups.set_role(&by(&ada), team, cleo.id, Role::Admin).await.unwrap();
        assert_eq!(calls.remove(&by(&cleo), call, ada.id).await.unwrap_err().code, ErrorCode::Forbidden);
        calls.remove(&by(&cleo), call, bob.id).await.unwrap();
        let admin = Actor { who: Who::Service, address: None };
        calls.remove(&admin, call, ada.id).await.expect("the app may do anything");
    }

    async fn an_initiator_whom_a_moderator_removed_has_no_say_until_admitted(database) {
        let world = World::new(&database).await;
        let (ada, bob, cleo) = (world.person("Ada").await, world.person("Bob").await, world.person("Cleo").await);
        let team = world.group(&ada, &[&bob, &cleo]).await;
        let calls = &world.control.calls;
        let call = world.call(&bob, team).await.unwrap().id;
        calls.join(&by(&ada), call).await.unwrap();
        calls.join(&by(&cleo), call).await.unwrap();
        calls.remove(&by(&ada), call, bob.id).await.unwrap();

        let standing = StandingChange { can_subscribe: Some(false), ..StandingChange::default() };
        let refused = [
            calls.lock(&by(&bob), call, true).await.unwrap_err(),
            calls.permit(&by(&bob), call, cleo.id, standing).await.unwrap_err(),
            calls.remove(&by(&bob), call, cleo.id).await.unwrap_err(),
            calls.mute(&by(&bob), call, ProducerId(uuid::Uuid::new_v4()), true).await.unwrap_err(),
            calls.update_metadata(&by(&bob), call, Metadata::default()).await.unwrap_err(),
            calls.end(&by(&bob), call, EndReason::Normal).await.unwrap_err(),
        ];
        assert_eq!(refused.map(|refusal| refusal.code), [ErrorCode::Forbidden; 6]);
        assert_eq!(calls.join(&by(&bob), call).await.unwrap_err().code, ErrorCode::Removed);

        let admitted = StandingChange { admitted: Some(true), ..StandingChange::default() };
        calls.permit(&by(&ada), call, bob.id, admitted).await.unwrap();
        assert!(calls.lock(&by(&bob), call, true).await.unwrap().locked);
        calls.remove(&by(&bob), call, cleo.id).await.unwrap();
        calls.join(&by(&bob), call).await.unwrap();

        calls.remove(&by(&ada), call, bob.id).await.unwrap();
        calls.end(&by(&ada), call, EndReason::Normal).await.unwrap();
        let late = calls.update_metadata(&by(&bob), call, Metadata::default()).await.unwrap_err();
        assert_eq!(late.code, ErrorCode::Forbidden, "the record keeps who was removed");
    }

    async fn nobody_undoes_what_moderators_decided_about_them(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        let call = world.call(&bob, team).await.unwrap().id;
        calls.join(&by(&ada), call).await.unwrap();
        calls.remove(&by(&ada), call, bob.id).await.unwrap();
        let admitted = |admitted| StandingChange { admitted: Some(admitted), ..StandingChange::default() };
        let himself = calls.permit(&by(&bob), call, bob.id, admitted(true)).await.unwrap_err();
        assert_eq!(himself.code, ErrorCode::Forbidden, "its initiator has a say, but not in what he may do");
        calls.permit(&by(&ada), call, bob.id, admitted(false)).await.unwrap();
        assert_eq!(calls.join(&by(&bob), call).await.unwrap_err().code, ErrorCode::Removed);
    }

    async fn who_lost_their_membership_learns_nothing_by_leaving(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        let call = world.call(&ada, team).await.unwrap().id;
        calls.join(&by(&bob), call).await.unwrap();
        world.control.groups.remove_member(&by(&ada), team, bob.id).await.unwrap();
        assert_eq!(calls.leave(&by(&bob), call, None).await.unwrap_err().code, ErrorCode::Forbidden);
    }

    async fn who_may_only_listen_is_told_so(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        let call = world.call(&ada, team).await.unwrap().id;
        let (socket, mut hears) = world.socket(&bob);
        world.attach(&bob, socket, call, "phone").await.unwrap();
        let only_mic = StandingChange { can_publish: Some([Source::Mic].into()), ..StandingChange::default() };
        calls.permit(&by(&ada), call, bob.id, only_mic.clone()).await.unwrap();
        let told = hears.next("call:permissions").await;
        assert_eq!((&told["userId"], &told["canPublish"], &told["canSubscribe"]), (&json!(bob.id), &json!(["mic"]), &json!(true)));
        let seq = calls.permit(&by(&ada), call, bob.id, only_mic).await.unwrap().seq;
        assert_eq!(told["seq"], json!(seq), "saying it twice changes nothing");
        let participants = serde_json::to_value(calls.participants(&by(&ada), call).await.unwrap()).unwrap();
        assert_eq!(participants[1]["canPublish"], json!(["mic"]));
        assert_eq!(participants[0]["canPublish"], json!(["mic", "camera", "screen", "screen-audio"]));
    }

    async fn the_audit_log_tells_who_did_what_from_where_and_outlives_the_group(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        let from_home = Actor { address: Some("192.0.2.7".parse().unwrap()), ..by(&bob) };
        let call = world.call(&ada, team).await.unwrap().id;
        calls.join(&from_home, call).await.unwrap();
        calls.leave(&from_home, call, None).await.unwrap();
        calls.end(&by(&ada), call, EndReason::Normal).await.unwrap();
        world.control.groups.delete(&by(&ada), team).await.unwrap();

        let filter = AuditFilter { group: Some(team), user: Some(bob.id), ..AuditFilter::default() };
        let entries = world.control.store.audit(filter, all()).await.unwrap().items;
        let told: Vec<_> = entries.iter().map(|e| (e.action, e.actor_id, e.address.as_deref())).collect();
        assert_eq!(told, [
            (Action::CallLeft, Some(bob.id), Some("192.0.2.7")),
            (Action::CallJoined, Some(bob.id), Some("192.0.2.7")),
            (Action::MemberAdded, None, None),
        ]);
        let whole = AuditFilter { group: Some(team), ..AuditFilter::default() };
        let last = world.control.store.audit(whole, all()).await.unwrap().items.swap_remove(0);
        assert_eq!((last.action, last.actor_id), (Action::GroupDeleted, Some(ada.id)));
    }

    async fn history_is_filtered_by_who_was_there_when_and_how(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (world.person("Ada").await, world.person("Bob").await);
        let team = world.group(&ada, &[&bob]).await;
        let calls = &world.control.calls;
        let alone = world.call(&ada, team).await.unwrap();
        calls.end(&by(&ada), alone.id, EndReason::Normal).await.unwrap();
        let together = world.call(&ada, team).await.unwrap();
        calls.join(&by(&bob), together.id).await.unwrap();
        let found = async |filter| {
            let page = calls.find_by_group(&by(&ada), team, filter, all()).await.unwrap();
            page.items.into_iter().map(|call| call.id).collect::<Vec<_>>()
        };
        assert_eq!(found(CallFilter { member: Some(bob.id), ..CallFilter::default() }).await, [together.id]);
        assert_eq!(found(CallFilter { to: Some(together.created_at), ..CallFilter::default() }).await, [alone.id]);
        assert_eq!(found(CallFilter { from: Some(together.created_at), ..CallFilter::default() }).await, [together.id]);
        let audio = CallFilter { call_type: Some(crate::call::CallType::Audio), ..CallFilter::default() };
        assert!(found(audio).await.is_empty());
    }
}
