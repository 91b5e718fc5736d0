// Package store keeps what the customers of a service have connected, in SQLite or Postgres.
//
// Webhooks come late, twice and in any order, and the token exchange runs beside them. So each row is a
// function of the set of what was told, not of the order: what has a time is decided by it, the rest is
// merged by rules that do not depend on the order (see [integration]). Two things cannot be: an integration that is
// said to belong to two customers, which Kombo does not do, belongs to the one that was named first;
// and failed flows have no time, so that of their arrival counts.
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
	// ErrNotFound means that the customer has no such connection or alert, whoever else may have it.
	ErrNotFound = errors.New("store: not found")
	// ErrOtherCustomer means that the integration belongs to another customer.
	ErrOtherCustomer = errors.New("store: the integration belongs to another customer")
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the number of the Postgres lock under which one process at a time migrates.
const migrationLock = 0x6b6f6d626f // "kombo"

// maxAttempts is how often a transaction is tried that others get in the way of.
const maxAttempts = 10

// Store keeps connections and what needs attention. Make one with [Open]. It is safe for concurrent use,
// also by several processes.
type Store struct {
	// For SQLite, which lets one write at a time, these are two pools: writers queue here instead of
	// in the database, which makes them poll, and readers do not wait for them. For Postgres they are
	// the same.
	writer, reader *sql.DB
	postgres       bool
	now            func() time.Time
}

// Open opens the database and brings its tables up to date. The DSN is the address of a Postgres database,
// postgres://…, or else the path of a SQLite file, which is made where there is none.
func Open(ctx context.Context, dsn string) (*Store, error) {
	s := &Store{now: time.Now}
	var err error
	switch {
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		s.postgres = true
		s.writer, err = open("pgx", dsn, 10)
		s.reader = s.writer
	case dsn == "", dsn == ":memory:", strings.Contains(dsn, "://"):
		// Not naming the DSN: it may hold a password.
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

// sqliteDSN escapes the path: a "?" in it would begin the settings.
func sqliteDSN(path, setting, value string) string {
	settings := url.Values{"_pragma": {
		// Short, because a driver that waits here does not notice the end of a context; write tries again.
		"busy_timeout(1000)",
		"journal_mode(WAL)",
		"foreign_keys(1)",
		// Kombo is told that an event is safe: it must outlive a power failure.
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
	// The writer last: only a connection that may write can tidy up SQLite's log.
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	return errors.Join(errs...)
}

// migrate runs the migrations that have not run yet, in the order of their names.
func (s *Store) migrate(ctx context.Context, tx *sql.Tx) error {
	// SQLite has the lock from the beginning of the transaction.
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

// write runs do in a transaction, and again where others got in the way. All transactions take their locks in
// the same order (event, integration or alert, version), so that they cannot block each other for ever.
func (s *Store) write(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.transact(ctx, do)
		if err == nil || attempt == maxAttempts || !transient(err) {
			return err
		}
		pause := time.NewTimer(time.Millisecond + rand.N(time.Duration(attempt)*5*time.Millisecond)) //nolint:gosec // G404: a pause needs no secret
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

// transient reports whether a transaction failed, without effect, because of what others did meanwhile.
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

// clean makes text storable: Postgres has none with a zero byte, and none that is not UTF-8. Nothing is
// left out, so that no id becomes another's.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// maxIndexed is how long an indexed text may be, in bytes. Four of them fit into a row of an index of Postgres.
const maxIndexed = 255

// indexed makes text storable in an index: Postgres refuses rows over 2,704 bytes there, so longer text is
// replaced by its hash. Text that looks like a hash is hashed too, so that no id becomes another's.
func indexed(s string) string {
	const prefix = "sha256:"
	s = clean(s)
	if len(s) <= maxIndexed && !strings.HasPrefix(s, prefix) {
		return s
	}
	return prefix + hashed(s)
}

func fromMicros(t int64) time.Time { return time.UnixMicro(t).UTC() }

// Version returns a number that grows with every change that the customer can see, whichever process made
// it. Ask for it before what it is the version of: then a change in between is seen with the next.
func (s *Store) Version(ctx context.Context, customerID string) (int64, error) {
	var version int64
	err := s.reader.QueryRowContext(ctx, `SELECT version FROM versions WHERE customer_id = $1`, indexed(customerID)).Scan(&version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("store: reading the version: %w", err)
	}
	return version, nil
}

// grow counts a change that the customer, whose id is [indexed], can see. Others that change something of the same customer wait
// for the transaction's end, so that versions become visible in their order. Last in each transaction, and
// nothing for what belongs to nobody yet.
func grow(ctx context.Context, tx *sql.Tx, customerID string) error {
	if customerID == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO versions (customer_id, version) VALUES ($1, 1)
		ON CONFLICT (customer_id) DO UPDATE SET version = versions.version + 1`, customerID)
	return err
}
