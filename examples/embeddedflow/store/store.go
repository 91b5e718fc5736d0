// Package store stores the connections of the customers of a service, in SQLite or Postgres.
//
// Webhooks arrive late, twice and in any order, and at the same time as the token exchange. So each row is a function of
// the set of events, not of their order: times decide, and the rest is merged by rules that do not depend on the order
// (see [integration]). There are two exceptions. If two customers claim an integration, which Kombo does not do, the
// first one gets it. And failed flows have no time, so the time of arrival counts.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/kombo-go/kombo/examples/internal/database"
)

var (
	// ErrNotFound means that the customer has no such connection or alert. Another customer may have it.
	ErrNotFound = errors.New("store: not found")
	// ErrOtherCustomer means that the integration belongs to another customer.
	ErrOtherCustomer = errors.New("store: the integration belongs to another customer")
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the Postgres advisory lock that lets one process migrate at a time.
const migrationLock = 0x6b6f6d626f // "kombo"

// Store stores connections and alerts. Create one with [Open]. It is safe for concurrent use, also by several processes.
type Store struct {
	db  *database.DB
	now func() time.Time
}

// Open opens the database and migrates its tables. The DSN is the address of a Postgres database, postgres://…, or else
// the path of a SQLite file, which is created if it does not exist.
func Open(ctx context.Context, dsn string) (*Store, error) {
	db, err := database.Open(dsn)
	if err != nil {
		return nil, fmt.Errorf("store: opening: %w", err)
	}
	s := &Store{db: db, now: time.Now}
	err = db.Alone(ctx, migrationLock, func(ctx context.Context) error { return db.Write(ctx, s.migrate) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: opening: %w", err), s.Close())
	}
	return s, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// migrate runs the new migrations in the order of their names.
func (s *Store) migrate(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at BIGINT NOT NULL)`); err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		fresh, err := database.Changed(tx.ExecContext(ctx, `INSERT INTO migrations (name, applied_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, s.now().UnixMicro()))
		if err != nil {
			return err
		}
		if !fresh {
			continue
		}
		script, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(script)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// clean makes text storable: Postgres refuses zero bytes and invalid UTF-8. Nothing is removed, so different IDs stay
// different.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// maxIndexed is the longest indexed text in bytes. Four of them fit into a row of a Postgres index.
const maxIndexed = 255

// indexed makes text storable in an index. Postgres refuses index rows over 2,704 bytes, so longer text is replaced by
// its hash. Text that looks like such a hash is hashed, too, so different IDs stay different.
func indexed(s string) string {
	const prefix = "sha256:"
	s = clean(s)
	if len(s) <= maxIndexed && !strings.HasPrefix(s, prefix) {
		return s
	}
	return prefix + hashed(s)
}

func fromMicros(t int64) time.Time { return time.UnixMicro(t).UTC() }

// Version returns a number that grows with every change that the customer can see, in all processes. Read it before the
// data, so a change in between has a newer version.
func (s *Store) Version(ctx context.Context, customerID string) (int64, error) {
	var version int64
	err := s.db.Reader.QueryRowContext(ctx, `SELECT version FROM versions WHERE customer_id = $1`, indexed(customerID)).Scan(&version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("store: reading the version: %w", err)
	}
	return version, nil
}

// grow increases the version of a customer, whose ID is [indexed]. Other changes for the customer wait for the end of the
// transaction, so versions become visible in order. It is the last step of each transaction, and does nothing without a
// customer.
func grow(ctx context.Context, tx *sql.Tx, customerID string) error {
	if customerID == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO versions (customer_id, version) VALUES ($1, 1)
		ON CONFLICT (customer_id) DO UPDATE SET version = versions.version + 1`, customerID)
	return err
}
