-- Tokens made at or before this time, and those that do not say when they were made, are refused.
ALTER TABLE users ADD COLUMN sessions_revoked_at TIMESTAMPTZ;
