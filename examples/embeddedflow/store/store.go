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
	"math/rand/v2"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
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

// maxAttempts limits the attempts of a transaction that conflicts with others.
const maxAttempts = 10

// Store stores connections and alerts. Create one with [Open]. It is safe for concurrent use, also by several processes.
type Store struct {
	// SQLite allows one writer at a time, so there are two pools: writers queue here, because in the database they would
	// poll, and readers do not wait for them. For Postgres both are the same pool.
	writer, reader *sql.DB
	postgres       bool
	now            func() time.Time
}

// Open opens the database and migrates its tables. The DSN is the address of a Postgres database, postgres://…, or else
// the path of a SQLite file, which is created if it does not exist.
func Open(ctx context.Context, dsn string) (*Store, error) {
	s := &Store{now: time.Now}
	var err error
	switch {
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		s.postgres = true
		s.writer, err = open("pgx", dsn, 10)
		s.reader = s.writer
	case dsn == "", dsn == ":memory:", strings.Contains(dsn, "://"):
		// The error does not quote the DSN, which may contain a password.
		return nil, errors.New("store: the DSN is neither a Postgres address nor the path of a file")
	default:
		s.writer, err = open("sqlite", sqliteDSN(dsn, "_txlock", "immediate"), 1)
		if err == nil {
			s.reader, err = open("sqlite", sqliteDSN(dsn, "_pragma", "query_only(1)"), runtime.GOMAXPROCS(0)+1)
		}
	}
	if err == nil {
		err = s.write(ctx, s.migrate)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: opening: %w", err), s.Close())
	}
	return s, nil
}

func open(driver, dsn string, connections int) (*sql.DB, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// sqliteDSN escapes the path, because a "?" begins the parameters.
func sqliteDSN(path, setting, value string) string {
	settings := url.Values{"_pragma": {
		// Short, because the driver does not notice the end of a context while it waits; write retries.
		"busy_timeout(1000)",
		"journal_mode(WAL)",
		"foreign_keys(1)",
		// An acknowledged event must survive a power failure.
		"synchronous(FULL)",
	}}
	settings.Add(setting, value)
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: settings.Encode()}).String()
}

// Close closes the database.
func (s *Store) Close() error {
	var errs []error
	if s.reader != nil && s.reader != s.writer {
		errs = append(errs, s.reader.Close())
	}
	// The writer is last, because only a writer can checkpoint SQLite's log.
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	return errors.Join(errs...)
}

// migrate runs the new migrations in the order of their names.
func (s *Store) migrate(ctx context.Context, tx *sql.Tx) error {
	// In SQLite, the transaction has the lock from its start.
	if s.postgres {
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at BIGINT NOT NULL)`); err != nil {
		return err
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		fresh, err := affected(tx.ExecContext(ctx, `INSERT INTO migrations (name, applied_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, name, s.now().UnixMicro()))
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

// write runs do in a transaction, and retries after conflicts. All transactions take their locks in the same order
// (event, integration or alert, version), so they cannot deadlock.
func (s *Store) write(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.transact(ctx, do)
		if err == nil || attempt == maxAttempts || !transient(err) {
			return err
		}
		pause := time.NewTimer(time.Millisecond + rand.N(time.Duration(attempt)*5*time.Millisecond)) //nolint:gosec // jitter is not a secret
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

func (s *Store) transact(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := do(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// transient reports whether a transaction was rolled back because of a conflict with another one.
func transient(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization_failure, deadlock_detected
	}
	var sqlite interface{ Code() int }
	if errors.As(err, &sqlite) {
		primary := sqlite.Code() & 0xff
		return primary == 5 || primary == 6 // SQLITE_BUSY, SQLITE_LOCKED
	}
	return false
}

// affected reports whether a statement has changed a row.
func affected(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
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
	err := s.reader.QueryRowContext(ctx, `SELECT version FROM versions WHERE customer_id = $1`, indexed(customerID)).Scan(&version)
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
