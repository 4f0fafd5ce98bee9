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
        sign_in("localhost", "127.0.0.1:5000", &[("origin", "https://evil.example")]),
        sign_in("localhost", "127.0.0.1:5000", &[("x-forwarded-for", "10.0.0.2")]),
        sign_in("localhost", "127.0.0.1:5000", &[("forwarded", "for=10.0.0.2")]),
    ] {
        api.send(request).await.assert_problem(403, "forbidden");
    }
    let nowhere =
        Request::post("/auth/dev-token").header(header::HOST, "localhost").body(Body::empty()).unwrap();
    api.send(nowhere).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn a_server_with_a_secret_has_no_dev_sign_in() {
    let api = Api::new().await;
    api.send(sign_in("localhost:3000", "127.0.0.1:5000", &[])).await.assert_problem(404, "not_found");
    let (_, ada) = api.user("Ada").await;
    api.get("/users?name=A", &ada).await.assert_problem(403, "forbidden");
}
