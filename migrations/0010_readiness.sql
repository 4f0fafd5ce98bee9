-- One row that readiness probes write, to find out whether the database takes writes.
CREATE TABLE readiness (
    id          INTEGER PRIMARY KEY,
    checked_at  TIMESTAMPTZ NOT NULL
);
