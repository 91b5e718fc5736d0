-- The same for SQLite and Postgres. Times are microseconds since 1970 (UTC): text compares badly.

CREATE TABLE events (
	id          TEXT PRIMARY KEY,
	type        TEXT NOT NULL,
	received_at BIGINT NOT NULL
);

-- One row for each integration id, ever: deleted ones stay, so that no late event revives them.
CREATE TABLE integrations (
	integration_id       TEXT PRIMARY KEY,
	key                  TEXT NOT NULL UNIQUE,
	customer_id          TEXT NOT NULL DEFAULT '',
	tool                 TEXT NOT NULL DEFAULT '',
	category             TEXT NOT NULL DEFAULT '',
	claimed_category     TEXT NOT NULL DEFAULT '', -- the browser's session said so; events know better
	created_by           TEXT NOT NULL DEFAULT '',
	organization         TEXT NOT NULL DEFAULT '',
	state                TEXT NOT NULL DEFAULT '',
	qa_status            TEXT NOT NULL DEFAULT '',
	state_at             BIGINT,                   -- of the event that told state and qa_status
	state_event          TEXT NOT NULL DEFAULT '',
	setup_status         TEXT NOT NULL DEFAULT '',
	setup_at             BIGINT,                   -- of the event that told setup_status
	setup_event          TEXT NOT NULL DEFAULT '',
	claimed_setup_status TEXT NOT NULL DEFAULT '', -- as of the token exchange, which has no time; events know better
	connected_at         BIGINT NOT NULL,          -- when it was first heard of
	announced_at         BIGINT,                   -- when integration-created came first
	linked_at            BIGINT,                   -- when a token named it last
	deleted_at           BIGINT
);

CREATE INDEX integrations_customer_id ON integrations (customer_id);

-- Failed flows have no id. Where the log's address tells them apart, event_id is ''.
CREATE TABLE alerts (
	customer_id  TEXT NOT NULL,
	tool         TEXT NOT NULL,
	category     TEXT NOT NULL,
	log_url      TEXT NOT NULL,
	event_id     TEXT NOT NULL,
	key          TEXT NOT NULL UNIQUE,
	received_at  BIGINT NOT NULL,
	dismissed_at BIGINT,
	PRIMARY KEY (customer_id, tool, category, log_url, event_id)
);

CREATE TABLE versions (
	customer_id TEXT PRIMARY KEY,
	version     BIGINT NOT NULL
);
