package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, dsn string }{
		{"nothing", ""},
		{"memory", ":memory:"},
		{"another database", "mysql://user:hunter2@localhost/db"},
		{"a malformed address", "postgres://user:hunter2@localhost:port/db"},
		{"nobody there", "postgres://user:hunter2@127.0.0.1:1/db"},
		{"a directory", t.TempDir()},
		{"no directory", filepath.Join(t.TempDir(), "none", "db")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := store.Open(t.Context(), test.dsn)
			if err == nil || s != nil {
				t.Fatalf("Open = %v, %v", s, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// Processes that start at the same time migrate once, and existing data is kept.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		for round := range 2 {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					s, err := store.Open(t.Context(), db.dsn)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := s.Apply(t.Context(), personio.created("event1")); err != nil {
						t.Error(err)
					}
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			s := db.open(t)
			if got := count(t, s, "migrations"); got != 2 {
				t.Errorf("round %d: %d migrations", round, got)
			}
			if got := connections(t, s, "42"); len(got) != 1 {
				t.Errorf("round %d: connections = %+v", round, got)
			}
		}
	})
}

func TestContext(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		apply(t, s, personio.created("event1"))
		key := connections(t, s, "42")[0].Key
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		calls := map[string]func() error{
			"Open": func() error {
				_, err := store.Open(ctx, db.dsn)
				return err
			},
			"Connected": func() error { return only(s.Connected(ctx, "42", "", life{"personio:2", "42"}.token())) },
			"Apply": func() error {
				changed, err := s.Apply(ctx, life{"personio:3", "42"}.created("event2"))
				if changed {
					t.Error("something has changed")
				}
				return err
			},
			"Connections":  func() error { _, err := s.Connections(ctx, "42"); return err },
			"Connection":   func() error { _, err := s.Connection(ctx, "42", key); return err },
			"Disconnected": func() error { return s.Disconnected(ctx, "42", key, start) },
			"Attention":    func() error { _, err := s.Attention(ctx, "42"); return err },
			"Dismiss":      func() error { return s.Dismiss(ctx, "42", "key") },
			"Version":      func() error { _, err := s.Version(ctx, "42"); return err },
		}
		for name, call := range calls {
			wantError(t, name, call(), context.Canceled)
		}
		if events, integrations := count(t, s, "events"), count(t, s, "integrations"); events != 1 || integrations != 1 {
			t.Errorf("%d events and %d integrations are left", events, integrations)
		}
	})
}

// A call that waits for another process ends with its context and changes nothing.
func TestContextEndsWhileWaiting(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s, other := db.open(t), db.open(t)
		block, err := other.DB().BeginTx(t.Context(), nil) // SQLite has its lock now
		if err != nil {
			t.Fatal(err)
		}
		defer block.Rollback()
		if db.postgres {
			if _, err := block.Exec(`LOCK TABLE versions IN EXCLUSIVE MODE`); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err = s.Apply(ctx, personio.created("event1"))
		wantError(t, "Apply", err, context.DeadlineExceeded)
		if err := block.Rollback(); err != nil {
			t.Fatal(err)
		}
		if got := count(t, s, "events"); got != 0 {
			t.Errorf("%d events are left", got)
		}
		if !apply(t, s, personio.created("event1")) || len(connections(t, s, "42")) != 1 {
			t.Error("the event does not count when it is delivered again")
		}
	})
}

// The ID and the effect of an event are stored together or not at all, no matter which of them fails.
func TestOneTransaction(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		tests := []struct {
			table string
			event func(id string) kombo.Event
		}{
			{"events", func(id string) kombo.Event { return personio.created(id) }},
			{"integrations", func(id string) kombo.Event { return personio.created(id) }},
			{"versions", func(id string) kombo.Event { return personio.created(id) }},
			{"integrations", func(id string) kombo.Event { return personio.changed(id, kombo.StateActive, "", start) }},
			{"integrations", func(id string) kombo.Event { return personio.deleted(id, start) }},
			{"alerts", func(id string) kombo.Event { return failed(id, "42", kombo.CategoryATS, "https://log.example") }},
			{"versions", func(id string) kombo.Event { return failed(id, "42", kombo.CategoryATS, "https://log.example") }},
			{"events", func(id string) kombo.Event { return failed(id, "42", kombo.CategoryATS, "https://log.example") }},
		}
		for i, test := range tests {
			event := test.event(fmt.Sprint("event", i))
			breakTable(t, s, db, test.table)
			if changed, err := s.Apply(t.Context(), event); err == nil || changed || !strings.Contains(err.Error(), "store: applying "+string(event.EventType())) {
				t.Errorf("%d: with %s broken Apply = %t, %v", i, test.table, changed, err)
			}
			for _, table := range []string{"events", "integrations", "alerts", "versions"} {
				if got := count(t, s, table); got != 0 {
					t.Errorf("%d: %s broken, %d rows left in %s", i, test.table, got, table)
				}
			}
			repair(t, s, db, test.table)
			if !apply(t, s, event) {
				t.Errorf("%d: the event does not count when it is delivered again", i)
			}
			for _, table := range []string{"events", "integrations", "alerts", "versions"} {
				exec(t, s, `DELETE FROM `+table)
			}
		}
	})
}

// breakTable makes every insertion into a table fail.
func breakTable(t *testing.T, s *store.Store, db database, table string) {
	t.Helper()
	if db.postgres {
		exec(t, s, `CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''broken''; END'`)
		exec(t, s, `CREATE TRIGGER broken BEFORE INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION broken()`)
		return
	}
	exec(t, s, `CREATE TRIGGER broken BEFORE INSERT ON `+table+` BEGIN SELECT RAISE(ABORT, 'broken'); END`)
}

func repair(t *testing.T, s *store.Store, db database, table string) {
	t.Helper()
	if db.postgres {
		exec(t, s, `DROP TRIGGER broken ON `+table)
		return
	}
	exec(t, s, `DROP TRIGGER broken`)
}

// Several processes apply the same and different events concurrently.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		stores := []*store.Store{db.open(t), db.open(t)}
		reference := life{"reference", "42"}
		var lives []life
		for _, id := range names("personio:", 3) {
			lives = append(lives, life{id, "42"})
		}
		tell := func(l life) (tell []func(*store.Store) (bool, error)) {
			for _, event := range []kombo.Event{
				l.changed(l.id+"-b", kombo.StateInvalid, "", minutes(5)),
				l.created(l.id + "-a"),
				l.changed(l.id+"-c", kombo.StateActive, kombo.SetupStatusCompleted, minutes(1)),
				l.changed(l.id+"-d", kombo.StateInactive, "", minutes(3)),
				failed(l.id+"-e", "42", kombo.CategoryLMS, "https://log.example/"+l.id),
			} {
				tell = append(tell, func(s *store.Store) (bool, error) { return s.Apply(context.Background(), event) })
			}
			return append(tell, func(s *store.Store) (bool, error) {
				return false, only(s.Connected(context.Background(), "42", kombo.CategoryHRIS, l.token()))
			})
		}
		for _, tell := range tell(reference) {
			if _, err := tell(stores[0]); err != nil {
				t.Fatal(err)
			}
		}
		var all []func(*store.Store) (bool, error)
		for _, l := range lives {
			all = append(all, tell(l)...)
		}
		changes := make([]int, len(all))
		var mutex sync.Mutex
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for i := range all {
					i = (i*(1+worker/2*6) + worker*5) % len(all) // a different order for each, because 18 has no factor in common with 1, 7, 13 and 19
					changed, err := all[i](stores[worker%2])
					if err != nil {
						t.Error(err)
					}
					if changed {
						mutex.Lock()
						changes[i]++
						mutex.Unlock()
					}
				}
			})
		}
		wg.Wait()
		for i, n := range changes {
			if n > 1 {
				t.Errorf("event %d has changed something %d times", i, n)
			}
		}
		want := dump(t, stores[0], reference.id)
		for _, l := range lives {
			if diff := diff(want, dump(t, stores[1], l.id)); diff != "" {
				t.Errorf("%s (-in order +at once):\n%s", l.id, diff)
			}
		}
		if got := count(t, stores[0], "events"); got != 20 {
			t.Errorf("%d events", got)
		}
		if got := count(t, stores[0], "alerts"); got != 4 {
			t.Errorf("%d alerts", got)
		}
	})
}

// If several customers claim an integration at once, one gets it.
func TestConcurrentCustomers(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		stores := []*store.Store{db.open(t), db.open(t)}
		apply(t, stores[0], life{"personio:1", ""}.created("event1"))
		customers := names("customer", 6)
		errs := make([]error, len(customers))
		var wg sync.WaitGroup
		for i, customer := range customers {
			wg.Go(func() {
				errs[i] = only(stores[i%2].Connected(context.Background(), customer, "", life{"personio:1", ""}.token()))
			})
		}
		wg.Wait()
		owners := 0
		for i, customer := range customers {
			got := connections(t, stores[0], customer)
			switch {
			case errs[i] == nil && len(got) == 1:
				owners++
			case !errors.Is(errs[i], store.ErrOtherCustomer) || len(got) != 0:
				t.Errorf("%s: Connected = %v, connections = %+v", customer, errs[i], got)
			}
		}
		if owners != 1 {
			t.Errorf("%d owners", owners)
		}
	})
}

func TestVersion(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s, replica := db.open(t), db.open(t)
		clock := start
		s.SetNow(func() time.Time { return clock })
		event := func(e kombo.Event) func() error {
			return func() error { _, err := s.Apply(context.Background(), e); return err }
		}
		steps := []struct {
			name string
			do   func() error
			grow bool
		}{
			{"a row without customer", event(life{"personio:1", ""}.created("event1")), false},
			{"its customer", func() error { return only(s.Connected(t.Context(), "42", "", personio.token())) }, true},
			{"state", event(personio.changed("event2", kombo.StateActive, "", minutes(1))), true},
			{"the same again", event(personio.changed("event2", kombo.StateActive, "", minutes(1))), false},
			{"the same under another id", event(personio.changed("event3", kombo.StateActive, "", minutes(1))), false},
			{"an older state", event(personio.changed("event0", kombo.StateInvalid, "", minutes(0))), false},
			{"older, but with setup status", event(personio.changed("event00", kombo.StateInvalid, kombo.SetupStatusCompleted, minutes(0))), true},
			{"a later time", event(personio.changed("event4", kombo.StateActive, "", minutes(2))), true},
			{"failed flow", event(failed("event5", "42", kombo.CategoryATS, "https://log.example/1")), true},
			{"failed flow under another id", event(failed("event6", "42", kombo.CategoryATS, "https://log.example/1")), false},
			{"dismissed", func() error { return s.Dismiss(t.Context(), "42", attention(t, s, "42")[0].Key) }, true},
			{"data changed", event(&kombo.DataChangedEvent{EventHeader: header("event7", kombo.EventDataChanged), Data: kombo.DataChangedData{IntegrationID: "personio:1"}}), false},
			{"another failed flow", event(failed("event8", "42", kombo.CategoryHRIS, "https://log.example/2")), true},
			{"reconnected", func() error {
				clock = minutes(10)
				return only(s.Connected(t.Context(), "42", "", personio.token()))
			}, true},
			{"deleted", func() error { return s.Disconnected(t.Context(), "42", connections(t, s, "42")[0].Key, minutes(11)) }, true},
		}
		for _, step := range steps {
			before := version(t, replica, "42")
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if after := version(t, replica, "42"); (after > before) != step.grow || after < before {
				t.Errorf("%s: from %d to %d", step.name, before, after)
			}
		}
		if got := version(t, s, "43") + version(t, s, ""); got != 0 {
			t.Errorf("the versions of others are %d", got)
		}
	})
}
