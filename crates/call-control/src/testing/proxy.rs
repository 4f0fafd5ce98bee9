//! A proxy in front of a Postgres server that can break a connection during a COMMIT.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::TestStore;

pub(crate) struct Proxy {
    directory: tempfile::TempDir,
    next: Arc<AtomicU8>,
}

/// What happens to the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fate {
    /// The COMMIT is executed and answered.
    Answered = 0,
    /// The COMMIT is executed, but its answer is lost.
    Done = 1,
    /// The COMMIT does not reach the server.
    Lost = 2,
}

impl Proxy {
    /// Starts a proxy in front of the shared server.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
        let server = super::postgres::socket().await;
        let next = Arc::new(AtomicU8::new(Fate::Answered as u8));
        let fate = Arc::clone(&next);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.unwrap();
                tokio::spawn(relay(client, server, Arc::clone(&fate)));
            }
        });
        Self { directory, next }
    }

    pub(crate) fn database(&self) -> TestStore {
        let url =
            format!("postgres://switchyard@localhost/postgres?host={}", self.directory.path().display());
        TestStore::new(url, super::fresh_schema(), super::Place::SharedServer)
    }

    /// Sets the fate of the next COMMIT only.
    pub(crate) fn doom_next_commit(&self, fate: Fate) {
        self.next.store(fate as u8, Ordering::SeqCst);
    }

    /// Whether the fate has been applied to a COMMIT.
    pub(crate) fn has_struck(&self) -> bool {
        self.next.load(Ordering::SeqCst) == Fate::Answered as u8
    }
}

/// Forwards both directions until one side closes, or a COMMIT meets its fate.
async fn relay(mut client: UnixStream, mut server: UnixStream, fate: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let commits = asked[..length].windows(COMMIT.len()).any(|window| window == COMMIT);
                let struck = if commits { fate.swap(Fate::Answered as u8, Ordering::SeqCst) } else { 0 };
                if struck == Fate::Lost as u8 || server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
                if struck == Fate::Done as u8 {
                    let _ = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Name of the Unix socket in the directory of Postgres.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";
const COMMIT: &[u8] = b"COMMIT\0";
