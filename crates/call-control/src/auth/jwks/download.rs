use std::time::Duration;

use reqwest::{Client, StatusCode, header, redirect::Policy};

use super::JwksUrl;

/// Downloads one document, with limits on its time and size.
pub(super) struct Download {
    url: JwksUrl,
    http: Client,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error("the request failed: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the answer is no key set: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Download {
    pub(super) fn new(url: JwksUrl) -> Result<Self, reqwest::Error> {
        let client = Client::builder().redirect(Policy::none()).timeout(TIMEOUT);
        // A request to a loopback address must not go through a proxy to another machine.
        let client = if url.is_loopback() { client.no_proxy() } else { client.https_only(true) };
        Ok(Self { url, http: client.build()? })
    }

    pub(super) async fn body(&self) -> Result<Vec<u8>, DownloadError> {
        let request = self.http.get(self.url.as_url().clone()).header(header::ACCEPT, "application/json");
        let mut response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(DownloadError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(DownloadError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// For the whole download, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of the key set in bytes; one key has about a kilobyte.
const MAX_BODY: usize = 1024 * 1024;
