package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kombo-go/kombo/examples/internal/database"
	"github.com/kombo-go/kombo/examples/internal/postgres"
)

func open(t *testing.T, dsn string) *database.DB {
	t.Helper()
	db, err := database.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func openSQLite(t *testing.T) *database.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "a database?%41#.db")) // in a DSN, "?" begins the parameters
}

func TestSQLiteSettings(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "1000", "synchronous": "2"} {
		var got string
		if err := db.Writer.QueryRow(`PRAGMA ` + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", pragma, got, err, want)
		}
	}
	if got := db.Writer.Stats().MaxOpenConnections; got != 1 {
		t.Errorf("%d connections may write", got)
	}
}

// After a conflict, a transaction is retried a limited number of times.
func TestRetry(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	tests := []struct {
		name      string
		err       error
		failures  int
		wantCalls int
		wantErr   bool
	}{
		{"none", nil, 0, 1, false},
		{"a deadlock", &pgconn.PgError{Code: "40P01"}, 2, 3, false},
		{"a serialization failure", fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: "40001"}), 1, 2, false},
		{"for ever", &pgconn.PgError{Code: "40001"}, 1000, database.MaxAttempts, true},
		{"busy", sqliteError(5 | 1<<8), 1, 2, false},
		{"locked", sqliteError(6), 1, 2, false},
		{"a constraint", sqliteError(19), 1, 1, true},
		{"another code", &pgconn.PgError{Code: "23505"}, 1, 1, true},
		{"another error", errors.New("other"), 1, 1, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			err := db.Write(t.Context(), func(context.Context, *sql.Tx) error {
				if calls++; calls <= test.failures {
					return test.err
				}
				return nil
			})
			if calls != test.wantCalls || (err != nil) != test.wantErr {
				t.Errorf("%d calls, %v", calls, err)
			}
		})
	}
	t.Run("the context ends", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Write(ctx, func(context.Context, *sql.Tx) error {
			cancel()
			return sqliteError(5)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Write: %v", err)
		}
	})
}

type sqliteError int

func (e sqliteError) Error() string { return fmt.Sprint("sqlite error ", int(e)) }
func (e sqliteError) Code() int     { return int(e) }

func TestStrings(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{
		"SQLite":   func(t *testing.T) string { t.Helper(); return filepath.Join(t.TempDir(), "test.db") },
		"Postgres": func(t *testing.T) string { t.Helper(); return postgres.Schema(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, dsn(t))
			err := db.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, `CREATE TABLE pets (name TEXT, legs BIGINT); INSERT INTO pets VALUES ('cat', 4), ('hen', 2)`)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := db.Strings(t.Context(), `SELECT name, legs FROM pets WHERE legs < $1 ORDER BY name`, 5)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]string{{"cat", "4"}, {"hen", "2"}}, got); diff != "" {
				t.Error(diff)
			}
			if _, err := db.Strings(t.Context(), `SELECT nothing FROM pets`); err == nil {
				t.Error("a bad query succeeds")
			}
		})
	}
}
