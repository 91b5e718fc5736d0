-- Postgres refuses rows over 2,704 bytes in an index. Indexed columns contain keys of bounded length from here on (see
-- indexed in store.go); a text that is needed in full is in a column of its own.

ALTER TABLE integrations RENAME COLUMN integration_id TO id;
ALTER TABLE integrations ADD COLUMN integration_id TEXT NOT NULL DEFAULT '';
UPDATE integrations SET integration_id = id;
-- What Get said after the last event that reported a state.
ALTER TABLE integrations ADD COLUMN claimed_state TEXT NOT NULL DEFAULT '';

-- Failed flows have no id: flow is the log's address, or the event's id if there is no log.
ALTER TABLE alerts RENAME TO alerts_001;
CREATE TABLE alerts (
	customer_id  TEXT NOT NULL,
	tool         TEXT NOT NULL,
	category     TEXT NOT NULL,
	flow         TEXT NOT NULL,
	log_url      TEXT NOT NULL,
	key          TEXT NOT NULL UNIQUE,
	received_at  BIGINT NOT NULL,
	dismissed_at BIGINT,
	PRIMARY KEY (customer_id, tool, category, flow)
);
INSERT INTO alerts (customer_id, tool, category, flow, log_url, key, received_at, dismissed_at)
	SELECT customer_id, tool, category, log_url || event_id, log_url, key, received_at, dismissed_at FROM alerts_001;
DROP TABLE alerts_001;

-- Who is signed in. The id is a hash: who reads this table cannot use the sessions in it.
CREATE TABLE sessions (
	id          TEXT PRIMARY KEY,
	customer_id TEXT NOT NULL,
	expires_at  BIGINT NOT NULL
);
