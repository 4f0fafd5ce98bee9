//! The demo page, built into the binary. A binary without the page answers how to build it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};
use switchyard_call_control::error::{ErrorCode, Refusal};

#[derive(Embed)]
#[folder = "../../web-demo/dist"]
#[allow_missing = true]
struct Page;

/// Answers requests that match no API route: with files of the page, with the page for its own routes, else
/// with 404. A browser that opens an unknown address gets the page with the 404, and the page says that there is
/// nothing.
pub(crate) async fn serve(request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return not_found();
    }
    let path = request.uri().path().trim_start_matches('/');
    if let Some(file) = Page::get(path).filter(|_| path != INDEX) {
        return file_response(path, file);
    }
    let status = match accepted(&request) {
        Accepted::Html | Accepted::Anything if is_page_route(path) => StatusCode::OK,
        Accepted::Html => StatusCode::NOT_FOUND,
        Accepted::Anything | Accepted::Other => return not_found(),
    };
    let mut response = match Page::get(INDEX) {
        Some(index) => file_response(INDEX, index),
        None => Html(NOT_BUILT).into_response(),
    };
    *response.status_mut() = status;
    response
}

/// The page's own routes. Any other path must be a 404, or a mistyped API call would be answered with a page.
fn is_page_route(path: &str) -> bool {
    path.is_empty() || path.starts_with("group/") || path.starts_with("call/")
}

/// What kind of answer a request asks for (RFC 9110, 12.5.1).
enum Accepted {
    /// HTML by name, as browsers do when they go to an address.
    Html,
    /// Whatever there is, as scripts and command lines do.
    Anything,
    Other,
}

fn accepted(request: &Request) -> Accepted {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    match accept {
        Some(accept) if accept.contains("text/html") => Accepted::Html,
        Some(accept) if !accept.contains("*/*") => Accepted::Other,
        Some(_) | None => Accepted::Anything,
    }
}

fn not_found() -> Response {
    Refusal::new(ErrorCode::NotFound, "there is nothing at this address").into_response()
}

fn file_response(path: &str, file: EmbeddedFile) -> Response {
    let mut response = Body::from(file.data).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    // Vite puts a hash of the content into the names under assets/, so those never change.
    let caching =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if path == INDEX {
        for (name, value) in PAGE_HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("webm") => "video/webm",
        Some("woff2") => "font/woff2",
        Some(_) | None => "application/octet-stream",
    }
}

const INDEX: &str = "index.html";

const PAGE_HEADERS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; \
         connect-src 'self' ws: wss:; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Switchyard</title>
<body style=\"font: 1rem/1.5 system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem\">
<h1>Switchyard is running</h1>
<p>This binary was built without the demo page. To get it, run <code>make run</code>, which needs Node,
or <code>npm ci &amp;&amp; npm run build</code> in <code>web-demo/</code> and then build the server again.</p>
<p>The API is here all the same: <a href=\"/docs\">documentation</a>, <a href=\"/openapi.json\">OpenAPI document</a>.</p>
";

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &str) -> Response {
        serve(Request::builder().uri(path).body(Body::empty()).unwrap()).await
    }

    #[tokio::test]
    async fn the_page_answers_its_own_routes_whether_built_or_not() {
        for route in ["/", "/group/7", "/call/7", "/group/7/start/video"] {
            let response = get(route).await;
            assert_eq!(response.status(), StatusCode::OK, "{route}");
            assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        }
    }

    #[tokio::test]
    async fn what_the_api_does_not_know_stays_unknown() {
        for path in
            ["/calls/7/verb", "/groups", "/socket.io/x", "/openapi.yaml", "/assets/missing.js", "/index.html"]
        {
            assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let post = Request::post("/").body(Body::empty()).unwrap();
        assert_eq!(serve(post).await.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_browser_at_an_unknown_address_gets_the_page_and_a_404() {
        for (accept, content_type) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
            ("*/*", "application/problem+json"),
            ("application/json", "application/problem+json"),
        ] {
            let request =
                Request::get("/anything").header(header::ACCEPT, accept).body(Body::empty()).unwrap();
            let response = serve(request).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{accept}");
            let told = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert!(told.starts_with(content_type), "{accept}: {told}");
        }
    }

    #[test]
    fn every_kind_of_file_vite_writes_has_its_type() {
        assert_eq!(content_type("assets/index-1a2b.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("assets/x"), "application/octet-stream");
    }
}
