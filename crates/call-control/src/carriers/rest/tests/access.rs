//! Access: tokens, roles and membership.

use super::*;

#[tokio::test]
async fn nothing_personal_without_a_good_token() {
    let api = Api::new().await;
    let auth = &api.world.control.auth;
    let expired = auth.mint("ada", None, Duration::from_secs(60), now() - Duration::from_secs(3600)).unwrap();
    for token in ["", "nonsense", expired.as_str()] {
        let answer = api.get("/users/me", token).await;
        answer.assert_problem(401, "unauthorized");
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    }
    let basic =
        Request::get("/users/me").header(header::AUTHORIZATION, "Basic YTpi").body(Body::empty()).unwrap();
    api.send(basic).await.assert_problem(401, "unauthorized");
    let lower = auth.mint("ada", Some("Ada"), Duration::from_secs(60), now()).unwrap();
    let lower = Request::get("/users/me").header(header::AUTHORIZATION, format!("bearer {lower}"));
    assert_eq!(api.send(lower.body(Body::empty()).unwrap()).await.body["name"], "Ada");
}

#[tokio::test]
async fn outsiders_and_unknown_ids_get_a_problem() {
    let api = Api::new().await;
    let (ada, _, group) = api.team().await;
    let (_, eve) = api.user("Eve").await;
    let call = api.post("/calls", &ada, json!({"groupId": group})).await.body;
    let call = call["id"].as_str().unwrap();
    let (nobody, body) = (Uuid::new_v4(), json!({"title": "x"}));
    for (method, path) in [
        ("GET", ""),
        ("POST", "/join"),
        ("POST", "/leave"),
        ("PATCH", "/end"),
        ("PATCH", "/metadata"),
        ("GET", "/legs"),
        ("GET", "/events"),
        ("GET", "/recordings"),
    ] {
        let sent = (method == "PATCH" && path == "/metadata").then(|| body.clone());
        let outside = api.ask(method, &format!("/calls/{call}{path}"), &eve, sent.clone()).await;
        outside.assert_problem(403, "forbidden");
        let unknown = api.ask(method, &format!("/calls/{nobody}{path}"), &ada, sent.clone()).await;
        unknown.assert_problem(404, "not_found");
        let malformed = api.ask(method, &format!("/calls/not-an-id{path}"), &ada, sent).await;
        malformed.assert_problem(400, "bad_request");
    }
    api.post("/calls", &eve, json!({"groupId": group})).await.assert_problem(403, "forbidden");
    api.post("/calls", &ada, json!({"groupId": nobody})).await.assert_problem(403, "forbidden");
    api.get(&format!("/calls/group/{group}"), &eve).await.assert_problem(403, "forbidden");
    assert_eq!(
        api.get(&format!("/calls/{call}"), &ada).await.body["participants"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn only_pages_of_allowed_origins_may_ask() {
    let api = Api::new().await;
    let ask = async |origin: &str| {
        let request =
            Request::get("/health/live").header(header::ORIGIN, origin).body(Body::empty()).unwrap();
        let headers = api.send(request).await.headers;
        headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap().to_owned())
    };
    assert_eq!(ask("http://localhost:5173").await.as_deref(), Some("http://localhost:5173"));
    assert_eq!(ask("HTTP://LocalHost:5173").await.as_deref(), Some("HTTP://LocalHost:5173"));
    assert_eq!(ask("https://evil.example").await, None);
    assert_eq!(ask("null").await, None);
}

#[tokio::test]
async fn a_new_name_in_the_token_is_the_users_name() {
    let api = Api::new().await;
    let (id, _) = api.user("Ada").await;
    let renamed =
        api.world.control.auth.mint(&id.to_string(), Some("Ada L."), Duration::from_secs(60), now()).unwrap();
    api.get("/users/me", &renamed).await;
    assert_eq!(api.world.control.store.user(id).await.unwrap().unwrap().name, "Ada L.");
    let person = Person { id, name: "Ada L.".to_owned() };
    let group = api.world.group(&person, &[]).await;
    let members = api.get(&format!("/groups/{group}/members"), &renamed).await.body;
    assert_eq!(members["items"][0]["name"], "Ada L.");
}
