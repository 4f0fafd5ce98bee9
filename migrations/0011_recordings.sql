-- Plain ids without foreign keys to calls and groups: a row that vanished would leave its files for ever.
CREATE TABLE recordings (
    id            UUID PRIMARY KEY,
    -- The data directory that holds the files. A server repairs and deletes only its own.
    storage_id    UUID NOT NULL,
    call_id       UUID NOT NULL,
    group_id      UUID NOT NULL,
    status        TEXT NOT NULL
        CHECK (status IN ('recording', 'paused', 'finishing', 'ready', 'incomplete', 'failed', 'deleted')),
    started_by_id UUID,
    started_at    TIMESTAMPTZ NOT NULL,
    ended_at      TIMESTAMPTZ,
    end_reason    TEXT
        CHECK (end_reason IN ('stopped', 'call-ended', 'disk-full', 'storage-error', 'server-restart', 'limit')),
    mode          TEXT NOT NULL CHECK (mode IN ('audio', 'video')),
    consent       TEXT NOT NULL CHECK (consent IN ('notice', 'ask')),
    bytes         BIGINT NOT NULL,
    delete_after  TIMESTAMPTZ,
    -- When its deletion was decided. Its files go next, and then the status says `deleted`.
    deleted_at    TIMESTAMPTZ,
    link_epoch    BIGINT NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    version       BIGINT NOT NULL
);

CREATE UNIQUE INDEX recordings_one_running_per_call ON recordings (call_id) WHERE status IN ('recording', 'paused');
CREATE INDEX recordings_by_call ON recordings (call_id, created_at, id);
CREATE INDEX recordings_by_group ON recordings (group_id, created_at, id);
CREATE INDEX recordings_unfinished ON recordings (storage_id) WHERE status IN ('recording', 'paused', 'finishing');
CREATE INDEX recordings_to_delete ON recordings (delete_after) WHERE delete_after IS NOT NULL;
CREATE INDEX recordings_to_remove ON recordings (storage_id) WHERE deleted_at IS NOT NULL AND status <> 'deleted';

CREATE TABLE recording_tracks (
    id           UUID PRIMARY KEY,
    recording_id UUID NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    producer_id  UUID,
    leg_id       UUID NOT NULL,
    user_id      UUID NOT NULL,
    source       TEXT NOT NULL,
    codec        TEXT,
    start_ms     BIGINT NOT NULL,
    duration_ms  BIGINT NOT NULL,
    bytes        BIGINT NOT NULL,
    packets_lost BIGINT NOT NULL,
    concealed_ms BIGINT NOT NULL,
    held_ms      BIGINT NOT NULL,
    width        BIGINT,
    height       BIGINT,
    -- `spans`: when it was on; `holes`: when pictures are missing.
    spans        JSONB NOT NULL,
    note         TEXT,
    -- When its deletion was decided. Its files go next, and then their rows.
    deleted_at   TIMESTAMPTZ
);

CREATE INDEX recording_tracks_by_recording ON recording_tracks (recording_id);
CREATE INDEX recording_tracks_to_remove ON recording_tracks (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE recording_files (
    id           UUID PRIMARY KEY,
    recording_id UUID NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    track_id     UUID,
    kind         TEXT NOT NULL CHECK (kind IN ('track', 'captions')),
    part         BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    place        TEXT NOT NULL CHECK (place IN ('local')),
    key          TEXT NOT NULL,
    bytes        BIGINT NOT NULL,
    start_ms     BIGINT NOT NULL,
    sha256       TEXT,
    -- Of captions.
    language     TEXT
);

CREATE INDEX recording_files_by_recording ON recording_files (recording_id);
CREATE UNIQUE INDEX recording_files_by_key ON recording_files (key);

-- What the call knows of its running recording.
ALTER TABLE calls ADD COLUMN recording JSONB NOT NULL DEFAULT '{}';
