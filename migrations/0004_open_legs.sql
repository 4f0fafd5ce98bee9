-- Who is in a call is asked with almost every request: the answer must not cost more for a call with many ended legs.
CREATE INDEX call_legs_open_by_call ON call_legs (call_id, joined_at, id) WHERE left_at IS NULL;
