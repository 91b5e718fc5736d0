// Package database opens the SQLite or Postgres database of an example, and runs transactions in it.
package database

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// maxAttempts limits the attempts of a transaction that conflicts with others.
const maxAttempts = 10

// DB is a database, also for several processes at once.
//
// SQLite allows one writer at a time, so there are two pools: writers queue here, because in the database they would
// poll, and readers do not wait for them. For Postgres both are the same pool.
type DB struct {
	Writer, Reader *sql.DB
	// Pool has the connections to Postgres. It is nil for SQLite.
	Pool *pgxpool.Pool
}

// Open opens a database. The DSN is the address of a Postgres database, postgres://…, or else the path of a SQLite file,
// which is created if it does not exist. The database may still be away.
func Open(dsn string) (*DB, error) {
	db := new(DB)
	var err error
	switch {
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		db.Pool, err = openPool(dsn)
		if err == nil {
			db.Writer = stdlib.OpenDBFromPool(db.Pool)
			db.Reader = db.Writer
		}
	case dsn == "", dsn == ":memory:", strings.Contains(dsn, "://"):
		// The error does not quote the DSN, which may contain a password.
		return nil, errors.New("the DSN is neither a Postgres address nor the path of a file")
	default:
		db.Writer, err = openSQLite(dsn, "_txlock", "immediate", 1)
		if err == nil {
			db.Reader, err = openSQLite(dsn, "_pragma", "query_only(1)", runtime.GOMAXPROCS(0)+1)
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func openPool(dsn string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 10
	return pgxpool.NewWithConfig(context.Background(), config)
}

func openSQLite(path, setting, value string, connections int) (*sql.DB, error) {
	settings := url.Values{"_pragma": {
		// Short, because the driver does not notice the end of a context while it waits; Write retries.
		"busy_timeout(1000)",
		"journal_mode(WAL)",
		"foreign_keys(1)",
		// An acknowledged event must survive a power failure.
		"synchronous(FULL)",
	}}
	settings.Add(setting, value)
	// The path is escaped, because a "?" begins the parameters.
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: settings.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Close closes the database.
func (db *DB) Close() error {
	var errs []error
	if db.Reader != nil && db.Reader != db.Writer {
		errs = append(errs, db.Reader.Close())
	}
	// The writer is last, because only a writer can checkpoint SQLite's log.
	if db.Writer != nil {
		errs = append(errs, db.Writer.Close())
	}
	if db.Pool != nil {
		db.Pool.Close()
	}
	return errors.Join(errs...)
}

// Write runs do in a transaction, and retries after conflicts with others.
func (db *DB) Write(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := db.transact(ctx, do)
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

// Alone runs do while no other process runs one with the same lock. In SQLite, whose first write in a transaction
// locks the whole database, it just runs do.
func (db *DB) Alone(ctx context.Context, lock int64, do func(context.Context) error) error {
	if db.Pool == nil {
		return do(ctx)
	}
	tx, err := db.Writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // which unlocks
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, lock); err != nil {
		return err
	}
	return do(ctx)
}

func (db *DB) transact(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	tx, err := db.Writer.BeginTx(ctx, nil)
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

// Changed reports whether a statement has changed a row.
func Changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Strings returns the rows of a query, each with its columns as text.
func (db *DB) Strings(ctx context.Context, query string, arguments ...any) (table [][]string, err error) {
	rows, err := db.Reader.QueryContext(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		row, targets := make([]string, len(columns)), make([]any, len(columns))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		table = append(table, row)
	}
	return table, rows.Err()
}
