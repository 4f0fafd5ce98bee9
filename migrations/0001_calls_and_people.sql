-- One text for SQLite and Postgres: every type below is legal in both. Times are UTC with microseconds.

CREATE TABLE users (
    id         UUID PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX users_by_name ON users (name);

CREATE TABLE groups (
    id         UUID PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE group_members (
    group_id   UUID NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id    UUID NOT NULL REFERENCES users (id),
    role       TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (group_id, user_id)
);

CREATE INDEX group_members_by_user ON group_members (user_id);

CREATE TABLE calls (
    id               UUID PRIMARY KEY,
    group_id         UUID NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    initiated_by_id  UUID NOT NULL REFERENCES users (id),
    type             TEXT NOT NULL DEFAULT 'video' CHECK (type IN ('audio', 'video', 'screen')),
    status           TEXT NOT NULL CHECK (status IN ('waiting', 'active', 'ended', 'cancelled', 'failed')),
    webrtc_room_id   UUID,
    started_at       TIMESTAMPTZ,
    ended_at         TIMESTAMPTZ,
    duration_seconds BIGINT,
    max_participants BIGINT NOT NULL,
    metadata         JSONB NOT NULL,
    end_reason       TEXT,
    error_message    TEXT,
    created_at       TIMESTAMPTZ NOT NULL,
    updated_at       TIMESTAMPTZ NOT NULL,
    version          BIGINT NOT NULL,
    epoch            BIGINT NOT NULL,
    seq              BIGINT NOT NULL
);

CREATE UNIQUE INDEX calls_one_running_per_group ON calls (group_id) WHERE status IN ('waiting', 'active');
CREATE INDEX calls_by_group ON calls (group_id, created_at);
CREATE INDEX calls_by_status ON calls (status, created_at);

CREATE TABLE call_legs (
    id           UUID PRIMARY KEY,
    call_id      UUID NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    user_id      UUID NOT NULL REFERENCES users (id),
    device_id    TEXT,
    joined_at    TIMESTAMPTZ NOT NULL,
    attached_at  TIMESTAMPTZ,
    last_seen_at TIMESTAMPTZ NOT NULL,
    left_at      TIMESTAMPTZ,
    reason       TEXT
);

CREATE INDEX call_legs_by_call ON call_legs (call_id, joined_at);
CREATE INDEX call_legs_open_by_user ON call_legs (user_id) WHERE left_at IS NULL;

CREATE TABLE call_events (
    call_id    UUID NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,
    epoch      BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    details    JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (call_id, seq)
);

-- Plain ids without foreign keys: the log outlives what it tells of.
CREATE TABLE audit_log (
    id         UUID PRIMARY KEY,
    action     TEXT NOT NULL,
    actor_id   UUID,
    group_id   UUID,
    call_id    UUID,
    subject_id UUID,
    address    TEXT,
    details    JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX audit_log_by_time ON audit_log (created_at, id);
