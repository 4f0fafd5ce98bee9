-- Who holds the key to a leg whose connection was lost: the SHA-256 of its resume token.
ALTER TABLE call_legs ADD COLUMN resume_hash BYTEA;

-- Whether newcomers are let in, and what single participants may do, where it differs from the default.
ALTER TABLE calls ADD COLUMN moderation JSONB NOT NULL DEFAULT '{}';

-- What kind of actor it was: a user, the service or the server itself.
ALTER TABLE audit_log ADD COLUMN actor TEXT NOT NULL DEFAULT 'user';

CREATE INDEX audit_log_by_group ON audit_log (group_id, created_at, id);
CREATE INDEX audit_log_by_call ON audit_log (call_id, created_at, id);

-- Answers to creates that carried an Idempotency-Key, kept for a day.
CREATE TABLE idempotency_keys (
    user_id     UUID NOT NULL REFERENCES users (id),
    route       TEXT NOT NULL,
    key         TEXT NOT NULL,
    body_hash   BYTEA NOT NULL,
    response    JSONB NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id, route, key)
);

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
