//! One server per database: a second server would take the live calls of the first away from it.
//!
//! SQLite is owned through a lock on a file beside the database, Postgres through a session that holds an
//! advisory lock. Both end with the process, however it ends.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Away, StoreError, engine::Engine};

/// The right of this process to be the only server of its database. It ends with [`Ownership::release`], and
/// when it is dropped.
#[derive(Debug)]
pub struct Ownership {
    held: Arc<AtomicBool>,
    lock: Lock,
}

#[derive(Debug)]
enum Lock {
    /// The locked file beside an SQLite database.
    File(File),
    Session(Keeper),
}

/// Who owns the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Ownership {
    /// Claims the database of [`super::Store::open`], before it is opened. If another server owns it, waits
    /// for a few seconds: Postgres may notice late that a process is gone.
    ///
    /// # Errors
    /// [`StoreError::Owned`] if another server lives on this database; [`StoreError::Config`] for an invalid
    /// URL or schema, or if the lock file cannot be written; [`StoreError::Unavailable`].
    pub async fn claim(url: &str, schema: &str) -> Result<Self, StoreError> {
        let engine = Engine::parse(url, schema)?;
        let give_up = Instant::now() + PATIENCE;
        let mut told = false;
        loop {
            let owner = match Self::try_claim(&engine, schema).await? {
                Ok(claimed) => return Ok(claimed),
                Err(owner) => owner,
            };
            if Instant::now() >= give_up {
                return Err(StoreError::Owned(owner));
            }
            if !told {
                tracing::warn!(%owner, "another server owns the database; waiting for it to stop");
                told = true;
            }
            sleep(RETRY).await;
        }
    }

    /// Whether no other server can own the database at this time. On Postgres this is false from the loss of
    /// the session until the lock is taken again.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Lets another server own the database.
    pub async fn release(&self) {
        self.held.store(false, Ordering::Release);
        match &self.lock {
            Lock::File(file) => {
                if let Err(error) = file.unlock() {
                    tracing::warn!(%error, "the lock of the database ends only with this process");
                }
            }
            Lock::Session(keeper) => keeper.stop().await,
        }
    }

    async fn try_claim(engine: &Engine, schema: &str) -> Result<Result<Self, Owner>, StoreError> {
        let held = Arc::new(AtomicBool::new(true));
        let locked = match engine {
            Engine::Sqlite(options) => lock_beside(options.get_filename())?.map(Lock::File),
            Engine::Postgres(options) => {
                let door = Door::new(options, schema);
                let entered = timeout(PATIENCE, door.enter()).await.map_err(|_| Away::Late)??;
                entered.map(|session| Lock::Session(Keeper::start(door, session, Arc::clone(&held))))
            }
        };
        Ok(locked.map(|lock| Self { held, lock }))
    }
}

/// Locks the file beside the database and writes the id of this process into it, for the message of a server
/// that is refused.
fn lock_beside(database: &Path) -> Result<Result<File, Owner>, StoreError> {
    // One database may have several names.
    let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let mut path = database.into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |error: io::Error| {
        StoreError::Config(format!("the lock file {} cannot be used: {error}", path.display()))
    };
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Err(owner_in(&mut file))),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| {
        let pid = std::process::id();
        write!(file, "{pid}")
    });
    if let Err(error) = written {
        tracing::warn!(%error, "a second server will not be told the id of this process");
    }
    Ok(Ok(file))
}

fn owner_in(file: &mut File) -> Owner {
    let mut pid = String::new();
    match file.take(PID_LENGTH).read_to_string(&mut pid) {
        Ok(1..) => Owner(format!("process {pid}")),
        Ok(0) | Err(_) => Owner("a process that is just starting".to_owned()),
    }
}

/// How to get the session that owns a Postgres database.
#[derive(Clone, Debug)]
struct Door {
    options: PgConnectOptions,
    schema: String,
}

impl Door {
    fn new(options: &PgConnectOptions, schema: &str) -> Self {
        let name = format!("switchyard, process {}", std::process::id());
        let options = options.clone().application_name(&name).options(DEAD_CLIENTS_ARE_NOTICED);
        Self { options, schema: schema.to_owned() }
    }

    async fn enter(&self) -> Result<Result<PgConnection, Owner>, StoreError> {
        let mut session = self.options.connect().await?;
        let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))")
            .bind(LOCK_CLASS)
            .bind(&self.schema)
            .fetch_one(&mut session)
            .await?;
        if locked {
            return Ok(Ok(session));
        }
        let owner: Option<(String, String)> = sqlx::query_as(FIND_OWNER)
            .bind(LOCK_CLASS)
            .bind(&self.schema)
            .fetch_optional(&mut session)
            .await?;
        session.close().await?;
        Ok(Err(match owner {
            Some((name, address)) => Owner(format!("{name} at {address}")),
            None => Owner("a server that is just stopping".to_owned()),
        }))
    }

    /// Takes the lock again after its session was lost.
    async fn enter_again(&self) -> PgConnection {
        let mut told = false;
        loop {
            sleep(RETRY).await;
            match timeout(PATIENCE, self.enter()).await {
                Ok(Ok(Ok(session))) => return session,
                Ok(Ok(Err(owner))) if !told => {
                    tracing::warn!(%owner, "another session owns the database; this server adopts no calls");
                    told = true;
                }
                Ok(Ok(Err(_))) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the database cannot be claimed again yet"),
                Err(_) => tracing::debug!("the database does not answer a claim"),
            }
        }
    }
}

/// The task that holds the session of a Postgres database, and replaces it when it is lost.
#[derive(Debug)]
struct Keeper {
    stop: CancellationToken,
    task: TaskTracker,
}

impl Keeper {
    fn start(door: Door, session: PgConnection, held: Arc<AtomicBool>) -> Self {
        let keeper = Self { stop: CancellationToken::new(), task: TaskTracker::new() };
        keeper.task.spawn(keep(door, session, held, keeper.stop.clone()));
        keeper.task.close();
        keeper
    }

    async fn stop(&self) {
        self.stop.cancel();
        self.task.wait().await;
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn keep(door: Door, mut session: PgConnection, held: Arc<AtomicBool>, stop: CancellationToken) {
    while stop.run_until_cancelled(loss_of(&mut session)).await.is_some() {
        held.store(false, Ordering::Release);
        tracing::warn!("the session that owns the database is lost");
        let Some(again) = stop.run_until_cancelled(door.enter_again()).await else { return };
        session = again;
        held.store(true, Ordering::Release);
        tracing::info!("this server owns the database again");
    }
    let _ = timeout(FAREWELL, session.close()).await;
}

/// Waits until the session does not answer any more.
async fn loss_of(session: &mut PgConnection) {
    while let Ok(Ok(())) = timeout(PATIENCE, session.ping()).await {
        sleep(PING_PERIOD).await;
    }
}

const FIND_OWNER: &str = "
    SELECT coalesce(activity.application_name, 'a server'), coalesce(host(activity.client_addr), 'the same host')
    FROM pg_locks JOIN pg_stat_activity activity ON activity.pid = pg_locks.pid
    WHERE pg_locks.locktype = 'advisory' AND pg_locks.granted AND pg_locks.objsubid = 2
        AND pg_locks.classid = $1::int4::oid AND pg_locks.objid = hashtext($2)::oid
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Tells the lock from those of other programs on the same database: "swyd".
const LOCK_CLASS: i32 = 0x7377_7964;
/// In seconds. Postgres ends the session of a host that is gone within half a minute.
const DEAD_CLIENTS_ARE_NOTICED: [(&str, &str); 3] =
    [("tcp_keepalives_idle", "10"), ("tcp_keepalives_interval", "5"), ("tcp_keepalives_count", "3")];
/// How long a start waits for another server to end, and the time limit of one answer of Postgres.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(250);
const PING_PERIOD: Duration = Duration::from_secs(1);
/// How long the end of a session may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Longer than any process id in decimal.
const PID_LENGTH: u64 = 20;
