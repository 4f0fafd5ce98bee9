//! Sign-in by name.

use super::*;

fn sign_in(host: &str, peer: &str, more: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::post("/auth/dev-token").header(header::HOST, host);
    request = request.header(header::CONTENT_TYPE, "application/json");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let peer: SocketAddr = peer.parse().unwrap();
    request.extension(ConnectInfo(peer)).body(Body::from(r#"{"name":"Ada"}"#)).unwrap()
}

#[tokio::test]
async fn dev_sign_in_is_for_this_machine_alone() {
    let data = tempfile::tempdir().unwrap();
    let api = Api::with(SignIn::Dev { data_dir: data.path().to_owned() }).await;
    let first = api.send(sign_in("localhost:3000", "127.0.0.1:5000", &[])).await;
    let second = api.send(sign_in("[::1]:3000", "[::1]:5000", &[("origin", "http://localhost:5173")])).await;
    assert_eq!((first.status, &first.body["user"]), (StatusCode::OK, &second.body["user"]));
    assert_eq!(first.body["user"]["name"], "Ada");
    let token = first.body["token"].as_str().unwrap();
    assert_eq!(api.get("/users/me", token).await.body["id"], first.body["user"]["id"]);
    assert_eq!(api.get("/users?name=a", token).await.body["items"], json!([first.body["user"]]));

    for request in [
        sign_in("localhost:3000", "10.0.0.2:5000", &[]),
        sign_in("calls.example", "127.0.0.1:5000", &[]),
        sign_in("localhost:x@evil.example", "127.0.0.1:5000", &[]),
        sign_in("[::1]evil.example", "127.0.0.1:5000", &[]),
        sign_in("localhost", "127.0.0.1:5000", &[("host", "evil.example")]),
        sign_in("localhost", "127.0.0.1:5000", &[("origin", "https://evil.example")]),
        sign_in("localhost:3000", "127.0.0.1:5000", &[("origin", "http://localhost:3001")]),
        sign_in("localhost", "127.0.0.1:5000", &[("origin", "http://localhost"), ("origin", "null")]),
        sign_in("localhost", "127.0.0.1:5000", &[("sec-fetch-site", "cross-site")]),
        sign_in("localhost", "127.0.0.1:5000", &[("sec-fetch-site", "same-site")]),
    ] {
        api.send(request).await.assert_problem(403, "forbidden");
    }
    let nowhere =
        Request::post("/auth/dev-token").header(header::HOST, "localhost").body(Body::empty()).unwrap();
    api.send(nowhere).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn an_allowed_page_of_another_machine_does_not_sign_in_by_name() {
    let data = tempfile::tempdir().unwrap();
    let api = Api::configured(|config| {
        config.auth = AuthConfig::new(SignIn::Dev { data_dir: data.path().to_owned() });
        config.origins = vec!["https://app.example".parse().unwrap()];
    })
    .await;
    let page = sign_in("localhost:3000", "127.0.0.1:5000", &[("origin", "https://app.example")]);
    api.send(page).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn the_pages_of_this_machine_sign_in_by_name() {
    let data = tempfile::tempdir().unwrap();
    let api = Api::with(SignIn::Dev { data_dir: data.path().to_owned() }).await;
    for (host, origin) in [
        ("localhost:3000", "http://localhost:3000"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        // The dev server of the demo page passes requests on under the server's own host.
        ("localhost:3000", "http://localhost:5173"),
    ] {
        let more = [("origin", origin), ("sec-fetch-site", "same-origin")];
        let answer = api.send(sign_in(host, "127.0.0.1:5000", &more)).await;
        assert_eq!(answer.status, StatusCode::OK, "{host} {origin}");
    }
}

#[tokio::test]
async fn whoever_came_through_a_proxy_ends_sign_in_by_name() {
    for header in
        ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via", "x-real-ip", "cf-connecting-ip"]
    {
        let data = tempfile::tempdir().unwrap();
        let api = Api::with(SignIn::Dev { data_dir: data.path().to_owned() }).await;
        let plain = || sign_in("localhost", "127.0.0.1:5000", &[]);
        let first = api.send(plain()).await;
        assert_eq!(first.status, StatusCode::OK);
        let through = sign_in("localhost", "127.0.0.1:5000", &[(header, "10.0.0.2")]);
        api.send(through).await.assert_problem(403, "forbidden");
        api.send(plain()).await.assert_problem(403, "forbidden");
        let token = first.body["token"].as_str().unwrap();
        assert_eq!(api.get("/users/me", token).await.status, StatusCode::OK, "{header}: old tokens are good");
    }
}

#[tokio::test]
async fn a_proxy_is_noticed_whatever_it_asks_for() {
    let data = tempfile::tempdir().unwrap();
    let api = Api::with(SignIn::Dev { data_dir: data.path().to_owned() }).await;
    let page = Request::get("/health/live").header("x-real-ip", "10.0.0.2").body(Body::empty()).unwrap();
    api.send(page).await;
    api.send(sign_in("localhost", "127.0.0.1:5000", &[])).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn a_server_with_a_secret_has_no_dev_sign_in() {
    let api = Api::new().await;
    api.send(sign_in("localhost:3000", "127.0.0.1:5000", &[])).await.assert_problem(404, "not_found");
    let (_, ada) = api.user("Ada").await;
    api.get("/users?name=A", &ada).await.assert_problem(403, "forbidden");
}
