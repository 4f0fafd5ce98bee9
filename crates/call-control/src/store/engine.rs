//! Which database, as DATABASE_URL and DATABASE_SCHEMA say it. Reading them opens nothing.

use std::str::FromStr;

use sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

use super::StoreError;

/// The kind of database, and how to connect to it.
pub(super) enum Engine {
    Sqlite(Box<SqliteConnectOptions>),
    /// All tables are in the schema, the first in the search path.
    Postgres(Box<PgConnectOptions>),
}

impl Engine {
    /// # Errors
    /// [`StoreError::Config`] for what can be no database, or none that keeps records.
    pub(super) fn parse(url: &str, schema: &str) -> Result<Self, StoreError> {
        if !is_schema_name(schema) {
            return Err(StoreError::Config(SCHEMA_RULE.to_owned()));
        }
        match url.split_once(':') {
            Some(("sqlite", _)) => Ok(Self::Sqlite(Box::new(sqlite(url)?))),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                let options = PgConnectOptions::from_str(url).map_err(|error| driver_refuses(&error))?;
                // The name needs no quotes: reserved words have no meaning in a search path.
                Ok(Self::Postgres(Box::new(options.options([("search_path", schema)]))))
            }
            Some(_) | None => Err(unusable("it is neither sqlite: nor postgres://")),
        }
    }
}

/// Refuses what is no file, or one that keeps no records: each connection to a database in memory would have
/// a database of its own.
fn sqlite(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| driver_refuses(&error))?;
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    for parameter in parameters.split('&') {
        match parameter {
            "mode=memory" | "vfs=memdb" => return Err(unusable(IN_MEMORY)),
            "mode=ro" | "immutable=1" | "immutable=true" => {
                return Err(unusable(
                    "the server writes to its database, and this opens it for reading only",
                ));
            }
            encoded if encoded.contains('%') => {
                return Err(unusable("parameters behind the ? are written without %"));
            }
            _ => {}
        }
    }
    match options.get_filename().to_str() {
        None | Some("") => Err(unusable("it names no file")),
        // The driver makes the second of `sqlite::memory:`.
        Some(name) if name == ":memory:" || name.starts_with("file:sqlx-in-memory") => {
            Err(unusable(IN_MEMORY))
        }
        // SQLite would read it as an address with parameters of its own.
        Some(name) if name.starts_with("file:") => Err(unusable("write the path of the file without file:")),
        Some(_) => Ok(options),
    }
}

/// The driver's words do not repeat the address, which may contain a password.
fn driver_refuses(error: &sqlx::Error) -> StoreError {
    unusable(&error.to_string())
}

fn unusable(why: &str) -> StoreError {
    StoreError::Config(format!("DATABASE_URL cannot be used: {why}"))
}

/// Stricter than Postgres, so that the name is the same everywhere, in quotes or not.
fn is_schema_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let rest_is_plain =
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_of_postgres = name.starts_with("pg_") || name == "information_schema";
    starts_well && rest_is_plain && name.len() <= NAME_LENGTH && !is_of_postgres
}

const IN_MEMORY: &str = "a database in memory keeps no records";
const SCHEMA_RULE: &str = "DATABASE_SCHEMA takes 1 to 63 lower-case letters, digits and _, begins neither with a \
                           digit nor with pg_, and is not information_schema";
/// In bytes: Postgres cuts longer names (its `NAMEDATALEN` is 64).
const NAME_LENGTH: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    /// The reason why this address is refused.
    fn refused(url: &str) -> String {
        match Engine::parse(url, "switchyard") {
            Err(StoreError::Config(message)) => message,
            Err(error) => panic!("{url}: {error:?}"),
            Ok(_) => panic!("{url} is accepted"),
        }
    }

    #[test]
    fn a_schema_name_cannot_smuggle_sql() {
        for good in ["switchyard", "_calls2", "select", "user", "public", &"x".repeat(63)] {
            assert!(is_schema_name(good), "{good}");
        }
        for bad in [
            "",
            "pg_calls",
            "information_schema",
            "2x",
            "Switchyard",
            "a b",
            "a\"b",
            "a;drop",
            "$user",
            "a,b",
            &"x".repeat(64),
        ] {
            assert!(!is_schema_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_address_is_that_of_a_file_or_of_a_server() {
        for good in [
            "sqlite:///var/lib/switchyard/calls.db",
            "sqlite:calls.db?mode=rwc",
            "sqlite://calls%3F.db?mode=rw&cache=private",
            "postgres://switchyard:secret@db.example:5432/calls?sslmode=require",
            "postgresql:///calls?host=/run/postgresql",
        ] {
            assert!(Engine::parse(good, "switchyard").is_ok(), "{good}");
        }
        for (bad, words) in [
            ("nonsense", "neither sqlite: nor postgres://"),
            ("mysql://localhost/x", "neither sqlite: nor postgres://"),
            ("postgres:calls", "neither sqlite: nor postgres://"),
            ("postgres://:secret@db.example:70000/calls", "port"),
            ("postgres://:secret@db.example/calls?sslmode=strange", "strange"),
            ("sqlite://calls.db?colour=blue", "colour"),
            ("sqlite://calls.db?mode=append", "append"),
        ] {
            let message = refused(bad);
            assert!(message.starts_with("DATABASE_URL") && message.contains(words), "{bad}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn a_database_that_keeps_no_records_is_refused() {
        for (bad, words) in [
            ("sqlite:", "names no file"),
            ("sqlite://", "names no file"),
            ("sqlite:?mode=rwc", "names no file"),
            ("sqlite::memory:", "in memory"),
            ("sqlite://:memory:?cache=shared", "in memory"),
            ("sqlite:%3Amemory:", "in memory"),
            ("sqlite://calls.db?mode=memory", "in memory"),
            ("sqlite://?mode=memory&cache=shared", "in memory"),
            ("sqlite://calls.db?cache=private&vfs=memdb", "in memory"),
            ("sqlite://calls.db?mode=ro", "reading only"),
            ("sqlite://calls.db?mode=rwc&immutable=1", "reading only"),
            ("sqlite://calls.db?mode=%72o", "without %"),
            ("sqlite:file:calls.db", "without file:"),
            ("sqlite:file:calls.db%3Fmode=memory", "without file:"),
        ] {
            let message = refused(bad);
            assert!(message.starts_with("DATABASE_URL") && message.contains(words), "{bad}: {message}");
        }
    }
}
