//! Operations of the app that uses the server.

use super::*;
use crate::groups::GroupsManagedBy;

#[tokio::test]
async fn the_app_keeps_people_groups_and_members_in_step() {
    let api = Api::of_an_app().await;
    let put = async |path: &str, body: Value| api.ask("PUT", path, SERVICE, Some(body)).await;
    let alice = put("/users/alice%40app", json!({"name": "Alice"})).await;
    assert_eq!(alice.status, StatusCode::OK);
    assert_eq!(put("/users/alice%40app", json!({"name": "Alice"})).await.body, alice.body);

    let nameless = api.get("/users/me", &Api::token_of("alice@app", now(), &json!({}))).await.body;
    assert_eq!(nameless["name"], "Alice", "a token without a name takes the one that the app gave");

    let group = put("/groups/team-7", json!({"name": "Team"})).await;
    assert_eq!((group.status, &group.body["name"]), (StatusCode::CREATED, &json!("Team")));
    let again = put("/groups/team-7", json!({"name": "Team"})).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &group.body));
    let renamed = put("/groups/team-7", json!({"name": "Crew"})).await;
    assert_eq!((&renamed.body["id"], &renamed.body["name"]), (&group.body["id"], &json!("Crew")));

    let member = "/groups/team-7/members/alice%40app";
    let added = put(member, json!({"role": "admin"})).await;
    assert_eq!(added.status, StatusCode::CREATED);
    assert_eq!(added.body, json!({"userId": alice.body["id"], "name": "Alice", "role": "admin"}));
    assert_eq!(put(member, json!({"role": "admin"})).await.status, StatusCode::OK);
    assert_eq!(put(member, json!({"role": "member"})).await.body["role"], "member");
    let bob = put("/groups/team-7/members/bob", json!({"name": "Bob", "role": "owner"})).await;
    assert_eq!((bob.status, &bob.body["name"]), (StatusCode::CREATED, &json!("Bob")));
    let no_owner = put("/groups/team-7/members/bob", json!({"role": "member"})).await;
    assert_eq!((no_owner.status, &no_owner.body["role"]), (StatusCode::OK, &json!("member")));
    put("/groups/nowhere/members/bob", json!({})).await.assert_problem(404, "not_found");

    let token = Api::token_of("alice@app", now(), &json!({"name": "Alice"}));
    assert_eq!(api.id_of(&token).await, alice.body["id"]);
    assert_eq!(api.get("/groups", &token).await.body["items"][0]["id"], group.body["id"]);
    assert_eq!(api.ask("DELETE", member, SERVICE, None).await.status, StatusCode::NO_CONTENT);
    let again = api.ask("DELETE", member, SERVICE, None).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "the app may repeat it");
    assert_eq!(api.get("/groups", &token).await.body["items"], json!([]));
    assert_eq!(api.ask("DELETE", "/groups/team-7", SERVICE, None).await.status, StatusCode::NO_CONTENT);
    api.ask("DELETE", "/groups/team-7", SERVICE, None).await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn an_id_of_the_app_never_names_what_another_id_of_it_became() {
    let api = Api::of_an_app().await;
    let put =
        async |path: String, name: &str| api.ask("PUT", &path, SERVICE, Some(json!({"name": name}))).await;
    let alice = put("/users/alice".to_owned(), "Alice").await.body["id"].as_str().unwrap().to_owned();
    let team = put("/groups/team-7".to_owned(), "Team").await.body["id"].as_str().unwrap().to_owned();

    let eve = Api::token_of(&alice, now(), &json!({"name": "Eve"}));
    let eve_id = api.id_of(&eve).await;
    assert_ne!(eve_id, alice, "a token for the id that Alice got here is not for Alice");
    assert_eq!(
        put(format!("/users/external:{alice}"), "Eve").await.body["id"],
        eve_id,
        "and the app can name Eve"
    );
    assert_eq!(put(format!("/users/{alice}"), "Alice L.").await.body["id"], alice, "and Alice");
    let crew = put(format!("/groups/external:{team}"), "Crew").await;
    assert_eq!(crew.status, StatusCode::CREATED);
    assert_ne!(crew.body["id"], team);
    assert_eq!(put(format!("/groups/{team}"), "Team").await.status, StatusCode::OK);

    let unmade = Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"nobody");
    for path in
        [format!("/users/{unmade}"), format!("/groups/{unmade}"), format!("/groups/team-7/members/{unmade}")]
    {
        put(path, "Nobody").await.assert_problem(404, "not_found");
    }
}

#[tokio::test]
async fn only_the_app_provisions() {
    let api = Api::of_an_app().await;
    let (ada, _, group) = api.team().await;
    let id = api.id_of(&ada).await;
    for (method, path, body) in [
        ("PUT", format!("/users/{id}"), Some(json!({"name": "Ada L."}))),
        ("DELETE", format!("/users/{id}/sessions"), None),
        ("PUT", format!("/groups/{group}"), Some(json!({"name": "Crew"}))),
        ("PUT", format!("/groups/{group}/members/{id}"), Some(json!({"role": "member"}))),
        ("POST", "/admin/sweep".to_owned(), None),
    ] {
        api.ask(method, &path, &ada, body.clone()).await.assert_problem(403, "forbidden");
        api.ask(method, &path, "not the token", body).await.assert_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn the_app_itself_takes_part_in_nothing() {
    let api = Api::of_an_app().await;
    let (_, _, group, call) = api.call().await;
    for path in ["/users/me", "/groups", "/ice-servers", "/calls/user/active"] {
        api.get(path, SERVICE).await.assert_problem(403, "forbidden");
    }
    api.post("/groups", SERVICE, json!({"name": "Crew"})).await.assert_problem(403, "forbidden");
    api.post("/calls", SERVICE, json!({"groupId": group})).await.assert_problem(403, "forbidden");
    api.ask("POST", &format!("{call}/join"), SERVICE, None).await.assert_problem(403, "forbidden");
    assert_eq!(api.get(&call, SERVICE).await.status, StatusCode::OK);
    assert_eq!(api.get(&format!("{call}/legs"), SERVICE).await.status, StatusCode::OK);
    assert_eq!(api.ask("PATCH", &format!("{call}/end"), SERVICE, None).await.body["status"], "cancelled");
}

#[tokio::test]
async fn where_the_app_manages_groups_its_users_do_not() {
    let api = Api::configured(|config| {
        config.auth.service_token = Some(SERVICE.into());
        config.groups_managed_by = GroupsManagedBy::Service;
    })
    .await;
    let (ada_id, ada) = api.user("Ada").await;
    let (bob_id, _) = api.user("Bob").await;
    api.post("/groups", &ada, json!({"name": "Team"})).await.assert_problem(403, "forbidden");
    let group = api.ask("PUT", "/groups/team-7", SERVICE, Some(json!({"name": "Team"}))).await.body;
    let path = format!("/groups/{}", group["id"].as_str().unwrap());
    let (adas, bobs) = (format!("{path}/members/{ada_id}"), format!("{path}/members/{bob_id}"));
    for (member, role) in [(&adas, "owner"), (&bobs, "member")] {
        let put = api.ask("PUT", member, SERVICE, Some(json!({ "role": role }))).await;
        assert_eq!(put.status, StatusCode::CREATED);
    }
    for (method, path, body) in [
        ("PATCH", &path, Some(json!({"name": "Crew"}))),
        ("DELETE", &path, None),
        ("POST", &format!("{path}/members"), Some(json!({"userId": Uuid::new_v4()}))),
        ("PATCH", &bobs, Some(json!({"role": "admin"}))),
        ("DELETE", &bobs, None),
        ("DELETE", &adas, None),
    ] {
        api.ask(method, path, &ada, body).await.assert_problem(403, "forbidden");
    }
    assert_eq!(api.get(&format!("{path}/members"), &ada).await.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(api.post("/calls", &ada, json!({"groupId": group["id"]})).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn signing_somebody_out_refuses_their_old_tokens_and_takes_newer_ones() {
    let api = Api::of_an_app().await;
    let old = Api::token_of("alice", now() - Duration::from_secs(60), &json!({"name": "Alice"}));
    let group = api.post("/groups", &old, json!({"name": "Team"})).await.body;
    let call = api.post("/calls", &old, json!({"groupId": group["id"]})).await.body;
    let call = format!("/calls/{}", call["id"].as_str().unwrap());

    assert_eq!(
        api.ask("DELETE", "/users/alice/sessions", SERVICE, None).await.status,
        StatusCode::NO_CONTENT
    );
    api.get("/users/me", &old).await.assert_problem(401, "unauthorized");
    let undated = Api::token_of("alice", now(), &json!({"iat": null}));
    api.get("/users/me", &undated).await.assert_problem(401, "unauthorized");
    let legs = api.get(&format!("{call}/legs"), SERVICE).await.body;
    assert_eq!(legs["items"][0]["reason"], "removed");
    let new = Api::token_of("alice", now() + Duration::from_secs(5), &json!({"name": "Alice"}));
    assert_eq!(api.get("/users/me", &new).await.status, StatusCode::OK);
    let noted = api.get("/audit?action=SESSIONS_REVOKED", SERVICE).await.body;
    assert_eq!(
        (&noted["items"][0]["actor"], &noted["items"][0]["actorId"]),
        (&json!("service"), &Value::Null)
    );
}
