//! Opening and migrating a database.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Executor, PgPool, SqlitePool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Db, Store, StoreError, on};

impl Store {
    /// Opens `sqlite://…` or `postgres://…` and brings its tables up to date. On Postgres everything lives in
    /// `schema`, which is created if it is missing; SQLite has no schemas and ignores it.
    ///
    /// # Errors
    /// [`StoreError::Config`] for an address or schema that cannot be right, [`StoreError::Unavailable`] or
    /// [`StoreError::Migration`] when the database does not play along.
    pub async fn open(url: &str, schema: &str) -> Result<Self, StoreError> {
        let db = match url.split(':').next() {
            Some("sqlite") => Db::Sqlite(open_sqlite(url).await?),
            Some("postgres" | "postgresql") => Db::Postgres(open_postgres(url, schema).await?),
            Some(_) | None => {
                return Err(StoreError::Config("DATABASE_URL is neither sqlite: nor postgres:".to_owned()));
            }
        };
        on!(&db, |pool| MIGRATIONS.run(pool).await)?;
        Ok(Self { db })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it doesn't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on!(&self.db, |pool| pool.execute("SELECT 1").await.map(drop)).map_err(StoreError::Unavailable)
    }

    /// Waits for what is being written and closes every connection.
    pub async fn close(&self) {
        on!(&self.db, |pool| pool.close().await);
    }
}

async fn open_sqlite(url: &str) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE);
    Ok(SqlitePoolOptions::new()
        .max_connections(SQLITE_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await?)
}

async fn open_postgres(url: &str, schema: &str) -> Result<PgPool, StoreError> {
    if !is_schema_name(schema) {
        return Err(StoreError::Config(
            "DATABASE_SCHEMA takes lower-case letters, digits and _, at most 63".to_owned(),
        ));
    }
    let options = PgConnectOptions::from_str(url)?.options([("search_path", schema)]);
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_with(options)
        .await?;
    create_schema(&pool, schema).await?;
    Ok(pool)
}

/// Looks before it creates: a role that may not create schemas can still use the one made for it.
async fn create_schema(pool: &PgPool, schema: &str) -> Result<(), StoreError> {
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(pool)
        .await?;
    if !exists {
        let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
        // Another server may be making it at the same moment; even IF NOT EXISTS then meets its row.
        let made = pool.execute(sqlx::AssertSqlSafe(create)).await.map_err(StoreError::from);
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

/// How long a request waits for a connection or a lock before it is told that the database is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// SQLite writes one transaction at a time; more connections only serve readers.
const SQLITE_CONNECTIONS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;

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
