//! Opening and migrating a database.

use std::{num::NonZeroUsize, ops::RangeInclusive, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep, timeout};

use super::{Away, Db, Store, StoreError, gate::Gate, on, tx};

impl Store {
    /// Opens `sqlite://…` or `postgres://…` and brings its tables up to date. On Postgres everything lives in
    /// `schema`, which is created if it is missing; SQLite has no schemas and ignores it. Servers that open the same
    /// database at once take turns.
    ///
    /// # Errors
    /// [`StoreError::Config`] for an address or schema that cannot be right, [`StoreError::Unavailable`] or
    /// [`StoreError::Migration`] when the database does not play along.
    pub async fn open(url: &str, schema: &str) -> Result<Self, StoreError> {
        let db = match url.split(':').next() {
            Some("sqlite") => open_sqlite(url).await?,
            Some("postgres" | "postgresql") => open_postgres(url, schema).await?,
            Some(_) | None => {
                return Err(StoreError::Config("DATABASE_URL is neither sqlite: nor postgres:".to_owned()));
            }
        };
        Ok(Self { db })
    }

    /// Whether the database answers, and would take a change.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it doesn't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let reads = on!(&self.db, |connection| connection.execute("SELECT 1").await.map(drop));
        self.try_writing().await.and(reads)
    }

    /// Whether changes would be refused at once, because the database was found away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match &self.db {
            Db::Sqlite { writer, .. } => writer.is_away(),
            Db::Postgres(gate) => gate.is_away(),
        }
    }

    /// Waits for what is being written and closes every connection.
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Db::Postgres(gate) => gate.close().await,
        }
    }

    /// On SQLite this waits for its turn to write.
    async fn try_writing(&self) -> Result<(), StoreError> {
        tx!(&self.db, |tx| tx.execute("SELECT 1").await.map(drop)?);
        Ok(())
    }
}

async fn open_sqlite(url: &str) -> Result<Db, StoreError> {
    let options = SqliteConnectOptions::from_str(url)?
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

/// Any number of connections reads while one writes, but more than there are cores only wait for each other, and each
/// is a thread with a cache of its own.
fn sqlite_readers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(u32::MAX).clamp(*SQLITE_READERS.start(), *SQLITE_READERS.end())
}

/// SQLite lets two connections neither switch a new file to WAL at once nor wait for each other's turn at it.
async fn migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let give_up = Instant::now() + MIGRATION_PATIENCE;
    loop {
        match try_migrate_sqlite(options).await {
            Err(StoreError::Unavailable(_)) if Instant::now() < give_up => sleep(MIGRATION_RETRY).await,
            done => return done,
        }
    }
}

/// All or nothing, in one transaction: the driver itself locks only Postgres while it migrates.
async fn try_migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let mut connection: SqliteConnection = options.connect().await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    migrated(MIGRATIONS.run(&mut *tx).await)?;
    tx.commit().await?;
    Ok(connection.close().await?)
}

async fn open_postgres(url: &str, schema: &str) -> Result<Db, StoreError> {
    if !is_schema_name(schema) {
        return Err(StoreError::Config(
            "DATABASE_SCHEMA takes lower-case letters, digits and _, at most 63".to_owned(),
        ));
    }
    let options = PgConnectOptions::from_str(url)?.options([("search_path", schema)]);
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

/// A database that is away while it is brought up to date is away, and not wrong.
fn migrated(done: Result<(), MigrateError>) -> Result<(), StoreError> {
    match done {
        Err(MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) => Err(cause.into()),
        done => Ok(done?),
    }
}

/// Looks before it creates: a role that may not create schemas can still use the one made for it.
async fn create_schema(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
        // Another server may be making it at the same moment; even IF NOT EXISTS then meets its row.
        let made = connection.execute(sqlx::AssertSqlSafe(create)).await.map_err(StoreError::from);
        if !matches!(made, Ok(_) | Err(StoreError::Duplicate)) {
            made?;
        }
    }
    Ok(())
}

fn is_schema_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let rest_is_plain =
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    starts_well && rest_is_plain && name.len() <= 63
}

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// How long an operation waits for a connection or a lock.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a start waits for another server that is migrating.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(60);
const MIGRATION_RETRY: Duration = Duration::from_millis(50);
const SQLITE_READERS: RangeInclusive<u32> = 2..=8;
/// Pages of each connection, as negative KiB. What is not there is in the system's cache.
const SQLITE_CACHE: &str = "-512";
/// How long a connection is kept that nobody needs.
const SQLITE_IDLE: Duration = Duration::from_secs(60);
const POSTGRES_CONNECTIONS: u32 = 16;
/// Milliseconds. What this side has given up must not go on holding locks over there.
const ABANDONED_WORK_ENDS: [(&str, &str); 3] = [
    ("lock_timeout", "2000"),
    ("statement_timeout", "3000"),
    ("idle_in_transaction_session_timeout", "5000"),
];

#[cfg(test)]
mod tests {
    use super::is_schema_name;

    #[test]
    fn a_schema_name_cannot_smuggle_sql() {
        assert!(is_schema_name("switchyard"));
        assert!(is_schema_name("_calls2"));
        for bad in ["", "2x", "Switchyard", "a b", "a\"b", "a;drop", &"x".repeat(64)] {
            assert!(!is_schema_name(bad), "{bad}");
        }
    }
}
