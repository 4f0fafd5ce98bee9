//! Opens a database and applies the migrations.

use std::{num::NonZeroUsize, ops::RangeInclusive, path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep, timeout};

use super::{Away, Db, Store, StoreError, engine::Engine, file, gate::Gate, readiness::Readiness};

impl Store {
    /// Checks address and schema, as far as that is possible without opening the database. `made_later` is a
    /// directory that need not exist yet.
    ///
    /// # Errors
    /// [`StoreError::Config`] for an invalid URL or schema name, [`StoreError::File`] for a file that cannot be
    /// an SQLite database.
    pub fn check(url: &str, schema: &str, made_later: &Path) -> Result<(), StoreError> {
        match Engine::parse(url, schema)? {
            Engine::Sqlite(options) => {
                let path = options.get_filename();
                let is_made_later = !made_later.exists() && file::directory_of(path) == made_later;
                if is_made_later { Ok(()) } else { Ok(file::check(path)?) }
            }
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Opens `sqlite://…` or `postgres://…` and applies the migrations. On Postgres all tables are in
    /// `schema`, which is created if it is missing; SQLite ignores it. Servers that open the same database at
    /// the same time migrate one after another.
    ///
    /// # Errors
    /// As [`Store::check`]; [`StoreError::Unavailable`] or [`StoreError::Migration`] if the database cannot be
    /// opened or migrated.
    pub async fn open(url: &str, schema: &str) -> Result<Self, StoreError> {
        let db = match Engine::parse(url, schema)? {
            Engine::Sqlite(options) => open_sqlite(*options).await?,
            Engine::Postgres(options) => open_postgres(*options, schema).await?,
        };
        Ok(Self { db, readiness: Readiness::default() })
    }

    /// Whether the database was found unreachable and has not answered a change since.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match &self.db {
            Db::Sqlite { writer, .. } => writer.is_away(),
            Db::Postgres(gate) => gate.is_away(),
        }
    }

    /// Waits for operations in progress and closes all connections.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Db::Postgres(gate) => gate.close().await,
        }
    }
}

async fn open_sqlite(options: SqliteConnectOptions) -> Result<Db, StoreError> {
    file::try_writing(options.get_filename())?;
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", SQLITE_CACHE)
        .busy_timeout(PATIENCE);
    migrate_sqlite(&options).await?;
    let pool = async |connections| -> Result<SqlitePool, sqlx::Error> {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            .idle_timeout(SQLITE_IDLE)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await
    };
    Ok(Db::Sqlite { readers: Gate::new(pool(sqlite_readers()).await?), writer: Gate::new(pool(1).await?) })
}

/// Number of reading connections: one per core, 2 to 8. They run while one connection writes. Each is a
/// thread with its own cache, and more threads than cores would only wait for each other.
fn sqlite_readers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(u32::MAX).clamp(*SQLITE_READERS.start(), *SQLITE_READERS.end())
}

/// Retries while another connection has the file locked: SQLite fails at once if two connections switch a new file
/// to WAL mode at the same time. Waiting makes no room on a full disk.
async fn migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let give_up = Instant::now() + MIGRATION_PATIENCE;
    loop {
        match try_migrate_sqlite(options).await {
            Err(StoreError::Unavailable(away)) if away.is_lock() && Instant::now() < give_up => {
                sleep(MIGRATION_RETRY).await;
            }
            done => return done,
        }
    }
}

/// Applies all migrations in one transaction, which also holds the write lock: the driver locks only Postgres
/// itself.
async fn try_migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let mut connection: SqliteConnection = options.connect().await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    migrated(MIGRATIONS.run(&mut *tx).await)?;
    tx.commit().await?;
    Ok(connection.close().await?)
}

async fn open_postgres(options: PgConnectOptions, schema: &str) -> Result<Db, StoreError> {
    timeout(MIGRATION_PATIENCE, migrate_postgres(&options, schema)).await.map_err(|_| Away::Late)??;
    let pool: PgPool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_with(options.options(ABANDONED_WORK_ENDS))
        .await?;
    Ok(Db::Postgres(Gate::new(pool)))
}

async fn migrate_postgres(options: &PgConnectOptions, schema: &str) -> Result<(), StoreError> {
    let mut connection: PgConnection = options.connect().await?;
    create_schema(&mut connection, schema).await?;
    migrated(MIGRATIONS.run(&mut connection).await)?;
    Ok(connection.close().await?)
}

/// Reports a database that is unreachable during the migration as unreachable, not as a failed migration.
fn migrated(done: Result<(), MigrateError>) -> Result<(), StoreError> {
    match done {
        Err(MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) => Err(cause.into()),
        done => Ok(done?),
    }
}

/// Creates the schema if it is missing. Checks first: a role without the right to create schemas can use an
/// existing one.
pub(super) async fn create_schema(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        // In quotes, because the name may be a reserved word.
        let create = format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"");
        // Another server may create the schema at the same time: even IF NOT EXISTS then fails as a
        // duplicate.
        let made = connection.execute(sqlx::AssertSqlSafe(create)).await.map_err(StoreError::from);
        if !matches!(made, Ok(_) | Err(StoreError::Duplicate)) {
            made?;
        }
    }
    Ok(())
}

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// How long an operation waits for a connection or a lock.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a start waits while another server migrates.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(60);
const MIGRATION_RETRY: Duration = Duration::from_millis(50);
const SQLITE_READERS: RangeInclusive<u32> = 2..=8;
/// Page cache of each connection: 512 KiB (negative means KiB). Other pages are in the system's file cache.
const SQLITE_CACHE: &str = "-512";
/// How long an idle connection is kept.
const SQLITE_IDLE: Duration = Duration::from_secs(60);
const POSTGRES_CONNECTIONS: u32 = 16;
/// In milliseconds. An operation that this server has given up must not hold locks in the database any
/// longer.
const ABANDONED_WORK_ENDS: [(&str, &str); 3] = [
    ("lock_timeout", "2000"),
    ("statement_timeout", "3000"),
    ("idle_in_transaction_session_timeout", "5000"),
];
