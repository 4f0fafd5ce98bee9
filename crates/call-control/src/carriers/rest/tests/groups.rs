//! Groups and their members.

use super::*;

#[tokio::test]
async fn groups_and_their_members() {
    let api = Api::new().await;
    let (ada, bob, group) = api.team().await;
    let (eve_id, eve) = api.user("Eve").await;
    let path = format!("/groups/{group}");
    assert_eq!(api.get("/groups", &bob).await.body["items"][0]["id"], group);
    assert_eq!(api.get(&path, &bob).await.body["name"], "Team");
    api.get(&path, &eve).await.assert_problem(403, "forbidden");
    api.get(&format!("/groups/{}", Uuid::new_v4()), &ada).await.assert_problem(404, "not_found");

    api.ask("PATCH", &path, &bob, Some(json!({"name": "Crew"}))).await.assert_problem(403, "forbidden");
    assert_eq!(api.ask("PATCH", &path, &ada, Some(json!({"name": "Crew"}))).await.body["name"], "Crew");

    let members = format!("{path}/members");
    api.post(&members, &bob, json!({"userId": eve_id})).await.assert_problem(403, "forbidden");
    api.post(&members, &ada, json!({"userId": Uuid::new_v4()})).await.assert_problem(404, "not_found");
    assert_eq!(api.post(&members, &ada, json!({"userId": eve_id, "role": "admin"})).await.status, 201);
    api.post(&members, &ada, json!({"userId": eve_id})).await.assert_problem(409, "conflict");
    let listed = api.get(&members, &bob).await.body;
    let roles: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|member| member["role"].clone()).collect();
    assert_eq!(roles, [json!("owner"), json!("member"), json!("admin")]);

    let me = api.get("/users/me", &ada).await.body;
    let (ada_path, eve_path) =
        (format!("{members}/{}", me["id"].as_str().unwrap()), format!("{members}/{eve_id}"));
    api.ask("PATCH", &eve_path, &eve, Some(json!({"role": "owner"}))).await.assert_problem(403, "forbidden");
    api.ask("DELETE", &ada_path, &eve, None).await.assert_problem(403, "forbidden");
    api.ask("DELETE", &ada_path, &ada, None).await.assert_problem(409, "conflict");
    api.ask("PATCH", &ada_path, &ada, Some(json!({"role": "member"}))).await.assert_problem(409, "conflict");
    assert_eq!(api.ask("DELETE", &eve_path, &eve, None).await.status, StatusCode::NO_CONTENT);
    api.ask("DELETE", &eve_path, &ada, None).await.assert_problem(404, "not_found");
    api.ask("DELETE", &path, &bob, None).await.assert_problem(403, "forbidden");
    assert_eq!(api.ask("DELETE", &path, &ada, None).await.status, StatusCode::NO_CONTENT);
    api.get(&path, &ada).await.assert_problem(404, "not_found");
}
