//! Opens a database and applies the migrations.

use std::{num::NonZeroUsize, ops::RangeInclusive, path::Path, str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep, timeout};

use super::{Away, Db, Store, StoreError, file, gate::Gate, readiness::Readiness};

impl Store {
    /// Checks address and schema, as far as that is possible without opening the database. `made_later` is a
    /// directory that need not exist yet.
    ///
    /// # Errors
    /// [`StoreError::Config`] for an invalid URL or schema name, [`StoreError::File`] for a file that cannot be
    /// an SQLite database.
    pub fn check(url: &str, schema: &str, made_later: &Path) -> Result<(), StoreError> {
        match Address::parse(url, schema)? {
            Address::Sqlite(options) => match file_of(&options) {
                Some(path) if !made_later.exists() && file::directory_of(path) == made_later => Ok(()),
                Some(path) => Ok(file::check(path)?),
                None => Ok(()),
            },
            Address::Postgres(_) => Ok(()),
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
        let db = match Address::parse(url, schema)? {
            Address::Sqlite(options) => open_sqlite(*options).await?,
            Address::Postgres(options) => open_postgres(*options, schema).await?,
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

/// Where the database is.
pub(super) enum Address {
    Sqlite(Box<SqliteConnectOptions>),
    /// All tables are in the schema, the first in the search path.
    Postgres(Box<PgConnectOptions>),
}

impl Address {
    pub(super) fn parse(url: &str, schema: &str) -> Result<Self, StoreError> {
        let unusable =
            |error: sqlx::Error| StoreError::Config(format!("DATABASE_URL cannot be used: {error}"));
        if !is_schema_name(schema) {
            return Err(StoreError::Config(SCHEMA_RULE.to_owned()));
        }
        match url.split_once(':') {
            Some(("sqlite", _)) => {
                SqliteConnectOptions::from_str(url).map(Box::new).map(Self::Sqlite).map_err(unusable)
            }
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                let options = PgConnectOptions::from_str(url).map_err(unusable)?;
                Ok(Self::Postgres(Box::new(options.options([("search_path", schema)]))))
            }
            Some(_) | None => {
                Err(StoreError::Config("DATABASE_URL is neither sqlite: nor postgres://".to_owned()))
            }
        }
    }
}

/// The file of the database; `None` for one in memory.
fn file_of(options: &SqliteConnectOptions) -> Option<&Path> {
    let path = options.get_filename();
    let name = path.to_string_lossy();
    (!name.starts_with("file:") && !name.contains(":memory:")).then_some(path)
}

async fn open_sqlite(options: SqliteConnectOptions) -> Result<Db, StoreError> {
    if let Some(path) = file_of(&options) {
        file::try_writing(path)?;
    }
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

/// Retries, because SQLite fails at once if two connections switch a new file to WAL mode at the same time.
async fn migrate_sqlite(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let give_up = Instant::now() + MIGRATION_PATIENCE;
    loop {
        match try_migrate_sqlite(options).await {
            Err(StoreError::Unavailable(_)) if Instant::now() < give_up => sleep(MIGRATION_RETRY).await,
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
async fn create_schema(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
        // Another server may create the schema at the same time: even IF NOT EXISTS then fails as a
        // duplicate.
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
    // Postgres keeps names that begin with pg_ for itself.
    starts_well && rest_is_plain && name.len() <= 63 && !name.starts_with("pg_")
}

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

const SCHEMA_RULE: &str = "DATABASE_SCHEMA takes at most 63 lower-case letters, digits and _, and begins neither with a digit nor with pg_";
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

#[cfg(test)]
mod tests {
    use super::is_schema_name;

    #[test]
    fn a_schema_name_cannot_smuggle_sql() {
        assert!(is_schema_name("switchyard"));
        assert!(is_schema_name("_calls2"));
        for bad in ["", "pg_calls", "2x", "Switchyard", "a b", "a\"b", "a;drop", &"x".repeat(64)] {
            assert!(!is_schema_name(bad), "{bad}");
        }
    }
}
