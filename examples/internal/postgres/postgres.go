// Package postgres gives each test a Postgres schema of its own.
package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// environment names the variable with the DSN of a Postgres database in which tests may make schemas.
const environment = "KOMBO_TEST_POSTGRES"

// Schema makes a schema that is dropped after the test, and returns the DSN with it. It skips the test
// if there is no Postgres.
func Schema(t testing.TB) (dsn string) {
	t.Helper()
	dsn = os.Getenv(environment)
	if dsn == "" {
		t.Skip(environment + " contains no DSN")
	}
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(environment + " is not a URL") // which may contain a password
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	schema := "test_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), `CREATE SCHEMA `+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's context has ended by now.
		if _, err := db.ExecContext(context.Background(), `DROP SCHEMA `+schema+` CASCADE`); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	query := address.Query()
	query.Set("search_path", schema)
	address.RawQuery = query.Encode()
	return address.String()
}
