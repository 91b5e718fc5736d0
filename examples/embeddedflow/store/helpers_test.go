package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/examples/internal/postgres"
)

// start is the time at which tests begin. Their clocks stand still unless they are set.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// database returns a new, empty database.
type database struct {
	dsn      string
	postgres bool
}

// open opens a store on the database. Several stores can share it.
func (d database) open(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	s.SetNow(func() time.Time { return start })
	return s
}

func sqliteDatabase(t testing.TB) database {
	t.Helper()
	// An awkward name: in a DSN, "?" begins the parameters.
	return database{dsn: filepath.Join(t.TempDir(), "a store?%41#.db")}
}

func postgresDatabase(t testing.TB) database {
	t.Helper()
	return database{dsn: postgres.Schema(t), postgres: true}
}

// eachDatabase runs a test on SQLite and on Postgres.
func eachDatabase(t *testing.T, test func(*testing.T, database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, sqliteDatabase(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, postgresDatabase(t))
	})
}

// life generates the events of one integration.
type life struct{ id, customer string }

var personio = life{"personio:1", "42"}

func (l life) endUser() kombo.EndUser {
	return kombo.EndUser{OrganizationName: "Acme, Inc.", CreatorEmail: "ada@acme.example", OriginID: l.customer}
}

func header(id string, eventType kombo.EventType) kombo.EventHeader {
	return kombo.EventHeader{ID: id, Type: eventType}
}

func (l life) created(event string) *kombo.IntegrationCreatedEvent {
	return &kombo.IntegrationCreatedEvent{EventHeader: header(event, kombo.EventIntegrationCreated), Data: kombo.IntegrationCreatedData{
		ID: l.id, Tool: "personio", Category: kombo.CategoryHRIS, EndUser: l.endUser(),
	}}
}

func (l life) deleted(event string, at time.Time) *kombo.IntegrationDeletedEvent {
	return &kombo.IntegrationDeletedEvent{EventHeader: header(event, kombo.EventIntegrationDeleted), Data: kombo.IntegrationDeletedData{
		ID: l.id, Tool: "personio", Category: kombo.CategoryHRIS, EndUser: l.endUser(), DeletedAt: at,
	}}
}

func (l life) changed(event string, state kombo.State, setup kombo.SetupStatus, at time.Time) *kombo.IntegrationStateChangedEvent {
	return &kombo.IntegrationStateChangedEvent{EventHeader: header(event, kombo.EventIntegrationStateChanged), Data: kombo.IntegrationStateChangedData{
		IntegrationID: l.id, IntegrationTool: "personio", IntegrationCategory: kombo.CategoryHRIS, EndUser: l.endUser(),
		State: state, QAStatus: kombo.QAStatusPassed, SetupStatus: setup, UpdatedAt: at,
	}}
}

func (l life) token() *kombo.ConnectedIntegration {
	return &kombo.ConnectedIntegration{
		ID: l.id, Tool: "personio", EndUserOriginID: l.customer, EndUserOrganizationName: "Acme, Inc.",
		EndUserEmail: "ada@acme.example", SetupStatus: kombo.SetupStatusIncomplete,
	}
}

func failed(event, customer string, category kombo.Category, logURL string) *kombo.ConnectionFlowFailedEvent {
	return &kombo.ConnectionFlowFailedEvent{EventHeader: header(event, kombo.EventConnectionFlowFailed), Data: kombo.ConnectionFlowFailedData{
		IntegrationTool: "workday", IntegrationCategory: category, LogURL: logURL,
		EndUser: kombo.EndUser{OrganizationName: "Acme, Inc.", OriginID: customer},
	}}
}

// apply applies events, which must succeed, and reports whether the last one has changed something.
func apply(t testing.TB, s *store.Store, events ...kombo.Event) (changed bool) {
	t.Helper()
	for _, event := range events {
		var err error
		if changed, err = s.Apply(context.Background(), event); err != nil {
			t.Fatal(err)
		}
	}
	return changed
}

func connect(t testing.TB, s *store.Store, l life, category kombo.Category) {
	t.Helper()
	if err := only(s.Connected(context.Background(), l.customer, category, l.token())); err != nil {
		t.Fatal(err)
	}
}

// only drops all results of a call except the error.
func only[T any](_ T, err error) error { return err }

func connections(t testing.TB, s *store.Store, customer string) []store.Connection {
	t.Helper()
	got, err := s.Connections(context.Background(), customer)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func attention(t testing.TB, s *store.Store, customer string) []store.Alert {
	t.Helper()
	got, err := s.Attention(context.Background(), customer)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func version(t testing.TB, s *store.Store, customer string) int64 {
	t.Helper()
	got, err := s.Version(context.Background(), customer)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// compare compares everything except keys, which are random and must not be empty.
func compare[T any](t testing.TB, what string, want, got []T) {
	t.Helper()
	random := cmp.FilterPath(func(p cmp.Path) bool {
		return strings.HasSuffix(p.Last().String(), "Key")
	}, cmp.Comparer(func(a, b string) bool { return (a != "") == (b != "") }))
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), random); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// dump returns the row of an integration, or nil. It leaves out what may differ between two equivalent histories: the
// random key, the ID of the integration and the IDs of the events.
func dump(t testing.TB, s *store.Store, id string) map[string]any {
	t.Helper()
	rows, err := s.DB().Query(`SELECT * FROM integrations WHERE integration_id = $1`, id)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var row map[string]any
	for rows.Next() {
		if row != nil {
			t.Fatalf("two rows for %s", id)
		}
		values, addresses := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			addresses[i] = &values[i]
		}
		if err := rows.Scan(addresses...); err != nil {
			t.Fatal(err)
		}
		row = map[string]any{}
		for i, name := range names {
			switch name {
			case "key", "id", "integration_id", "state_event", "setup_event":
			default:
				row[name] = values[i]
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return row
}

// count counts the rows of a table.
func count(t testing.TB, s *store.Store, table string) (n int) {
	t.Helper()
	if err := s.DB().QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func exec(t testing.TB, s *store.Store, statement string) {
	t.Helper()
	if _, err := s.DB().Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

func minutes(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

func names(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint(prefix, i))
	}
	return names
}
