-- Who was rung for a call, and what became of it: one row for each person and call.
CREATE TABLE call_invitations (
    call_id       UUID NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    user_id       UUID NOT NULL REFERENCES users (id),
    -- Null: the app.
    invited_by_id UUID REFERENCES users (id),
    status        TEXT NOT NULL CHECK (status IN ('ringing', 'answered', 'declined', 'missed', 'cancelled')),
    -- The person did not want to be disturbed: no device rang.
    quiet         BOOLEAN NOT NULL,
    -- How often they were rung.
    rings         BIGINT NOT NULL,
    -- When they were last rung.
    rung_at       TIMESTAMPTZ NOT NULL,
    ended_at      TIMESTAMPTZ,
    -- When the person saw that they missed it.
    seen_at       TIMESTAMPTZ,
    PRIMARY KEY (call_id, user_id)
);

CREATE INDEX call_invitations_missed ON call_invitations (user_id, rung_at, call_id)
    WHERE status IN ('missed', 'cancelled');

ALTER TABLE users ADD COLUMN do_not_disturb BOOLEAN NOT NULL DEFAULT FALSE;
