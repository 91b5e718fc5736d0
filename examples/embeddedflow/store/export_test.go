package store

import (
	"database/sql"
	"testing"
	"time"
)

// SetNow replaces the clock.
func (s *Store) SetNow(now func() time.Time) { s.now = now }

// DB returns the connections that may write.
func (s *Store) DB() *sql.DB { return s.db.Writer }

// Migration returns a script.
func Migration(t testing.TB, name string) string {
	t.Helper()
	script, err := migrations.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}
