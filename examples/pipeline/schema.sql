-- The same for SQLite and Postgres. Times are microseconds since 1970 (UTC); 0 means never.

-- One row for each integration. Rows of deleted integrations stay for a while, so a late event does not revive them.
CREATE TABLE IF NOT EXISTS connections (
    integration_id TEXT PRIMARY KEY,
    customer       TEXT NOT NULL DEFAULT '',
    email          TEXT NOT NULL DEFAULT '',
    tool           TEXT NOT NULL DEFAULT '',
    state          TEXT NOT NULL DEFAULT 'ACTIVE',
    setup_status   TEXT NOT NULL DEFAULT '',
    state_at       BIGINT NOT NULL DEFAULT 0, -- Kombo's time of the state and the setup status
    deleted_at     BIGINT NOT NULL DEFAULT 0,
    checked_at     BIGINT NOT NULL DEFAULT 0 -- by the last reconcile
);
CREATE INDEX IF NOT EXISTS connections_checked_at ON connections (checked_at);

-- One row for each model that is fetched from an integration.
CREATE TABLE IF NOT EXISTS fetches (
    integration_id TEXT NOT NULL REFERENCES connections,
    model          TEXT NOT NULL,
    wanted         BIGINT NOT NULL, -- grows with each reported change
    since          BIGINT NOT NULL DEFAULT 0, -- the checkpoint: start of the last complete fetch
    full_after     BIGINT NOT NULL DEFAULT 0, -- time of the next fetch of everything
    PRIMARY KEY (integration_id, model)
);

-- The customer's data, as Kombo sends it. A deleted record has none. With the fetch of their model, the records are deleted.
CREATE TABLE IF NOT EXISTS records (
    integration_id TEXT NOT NULL,
    model          TEXT NOT NULL,
    id             TEXT NOT NULL,
    data           TEXT NOT NULL,
    deleted        BOOLEAN NOT NULL,
    PRIMARY KEY (integration_id, model, id),
    FOREIGN KEY (integration_id, model) REFERENCES fetches ON DELETE CASCADE
);
