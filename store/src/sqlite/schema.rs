//! The tables. A later version adds statements to [`STEPS`]; those that were released are never changed.

/// Each step brings the file from version n (its index) to n + 1.
pub const STEPS: &[&str] = &[
    "
CREATE TABLE connections (
    id BLOB NOT NULL PRIMARY KEY,
    shard INTEGER NOT NULL,
    provider TEXT NOT NULL,
    provider_user BLOB NOT NULL, -- sealed
    subjects TEXT NOT NULL,      -- JSON array
    zone TEXT,
    scopes TEXT NOT NULL,        -- JSON array
    state TEXT NOT NULL,
    reason TEXT,
    created_at INTEGER NOT NULL,
    state_at INTEGER NOT NULL,
    last_poll INTEGER,
    next_poll INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX connections_by_shard ON connections (shard, id);

CREATE TABLE tokens (
    id BLOB NOT NULL PRIMARY KEY,
    access BLOB NOT NULL, -- sealed
    refresh BLOB,         -- sealed
    expires_at INTEGER,
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    owner BLOB NOT NULL,
    until_at INTEGER NOT NULL,
    fence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (
    id BLOB NOT NULL,
    stream TEXT NOT NULL,
    fetched_to INTEGER NOT NULL,
    history_from INTEGER,
    PRIMARY KEY (id, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE digests (
    id BLOB NOT NULL,
    stream TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (id, stream, window_start)
) STRICT, WITHOUT ROWID;

CREATE TABLE held (
    id BLOB NOT NULL,
    stream TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (id, stream, bucket)
) STRICT;

CREATE TABLE observations (
    id BLOB NOT NULL PRIMARY KEY,
    record_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    connection_id BLOB NOT NULL,
    provider TEXT NOT NULL,
    stream TEXT NOT NULL,
    lane TEXT NOT NULL,
    data_type TEXT NOT NULL,
    code TEXT NOT NULL,
    code_system TEXT NOT NULL,
    category TEXT NOT NULL,
    status TEXT NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER,
    utc_offset INTEGER,
    offset_origin TEXT NOT NULL,
    local_date TEXT,
    value REAL,
    value_text TEXT,
    unit TEXT,
    comparator TEXT,
    value_code TEXT,
    absent_reason TEXT,
    components TEXT, -- JSON array
    device_id BLOB,
    method TEXT NOT NULL,
    source_modified INTEGER,
    version INTEGER NOT NULL,
    raw_topic TEXT NOT NULL,
    raw_partition INTEGER NOT NULL,
    raw_offset INTEGER NOT NULL,
    mapper_version INTEGER NOT NULL,
    fhir TEXT NOT NULL
) STRICT;
CREATE INDEX observations_by_time ON observations (subject_id, data_type, start_at DESC, id);

CREATE TABLE devices (
    id BLOB NOT NULL PRIMARY KEY,
    subject_id TEXT NOT NULL,
    connection_id BLOB NOT NULL,
    provider TEXT NOT NULL,
    kind TEXT,
    manufacturer TEXT,
    model TEXT,
    firmware TEXT,
    battery TEXT,
    last_sync INTEGER,
    version INTEGER NOT NULL,
    mapper_version INTEGER NOT NULL,
    fhir TEXT NOT NULL
) STRICT;
CREATE INDEX devices_by_subject ON devices (subject_id, id);
",
    "
CREATE TABLE connections_by_subject (
    subject TEXT NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (subject, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE health (
    id BLOB NOT NULL PRIMARY KEY,
    synced_at INTEGER,
    last_error TEXT,
    last_error_at INTEGER,
    subscribed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE intents (
    id BLOB NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE data_keys (
    owner TEXT NOT NULL,
    id BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE subjects (
    id TEXT NOT NULL PRIMARY KEY,
    identity BLOB, -- sealed
    mark BLOB,     -- what the identity is found by
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX subjects_by_mark ON subjects (mark);

CREATE TABLE consents (
    subject TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    terms TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pending (
    key BLOB NOT NULL PRIMARY KEY,
    body BLOB NOT NULL, -- sealed
    until_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_by_end ON pending (until_at);

CREATE TABLE erasures (
    subject TEXT NOT NULL,
    step TEXT NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    note TEXT,
    PRIMARY KEY (subject, step)
) STRICT, WITHOUT ROWID;
",
    "
ALTER TABLE observations ADD COLUMN stored_at INTEGER NOT NULL DEFAULT 0;
",
];
