package store_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
)

// randomText returns text that a database cannot compress.
func randomText(seed uint64, size int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	random := rand.New(rand.NewPCG(seed, 0))
	text := make([]byte, size)
	for i := range text {
		text[i] = alphabet[random.IntN(len(alphabet))]
	}
	return string(text)
}

// Any text may be long, also in an index, although Postgres refuses more than 2,704 bytes there.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	for _, size := range []int{255, 256, 2_704, 2_705, 9_000, 200_000} {
		long := func(seed uint64) string { return randomText(seed, size-1) + "1" }
		// Only the ends differ, so nothing may be cut off.
		sibling := func(s string) string { return s[:len(s)-1] + "2" }
		eachDatabase(t, func(t *testing.T, db database) {
			s := db.open(t)
			l := life{long(1), long(2)}
			event, log := long(3), "https://log.example/"+long(4)
			created := l.created(event)
			created.Data.Tool, created.Data.EndUser.OrganizationName, created.Data.EndUser.CreatorEmail = long(5), long(6), long(7)
			if !apply(t, s, created) || apply(t, s, created) {
				t.Error("an event does not count once")
			}
			state := l.changed(sibling(event), kombo.State(long(8)), kombo.SetupStatus(long(9)), minutes(1))
			state.Data.IntegrationTool, state.Data.EndUser = created.Data.Tool, created.Data.EndUser
			if !apply(t, s, state) {
				t.Error("two events are one")
			}
			token := l.token()
			token.EndUserOrganizationName, token.EndUserEmail, token.Tool = long(6), long(7), long(5)
			before, err := s.Connected(t.Context(), l.customer, kombo.Category(long(10)), token)
			if err != nil {
				t.Fatal(err)
			}
			want := store.Connection{
				Key: "random", IntegrationID: l.id, CustomerID: l.customer, Tool: long(5), Category: kombo.CategoryHRIS, State: kombo.State(long(8)),
				SetupStatus: kombo.SetupStatus(long(9)), CreatedBy: long(7), Organization: long(6), ConnectedAt: start, ChangedAt: minutes(1),
			}
			compare(t, "what Connected returns", []store.Connection{want}, []store.Connection{before})
			apply(t, s, life{sibling(l.id), sibling(l.customer)}.created(long(11)))
			compare(t, "connections", []store.Connection{want}, connections(t, s, l.customer))

			for _, fail := range []kombo.Event{
				failed(long(12), l.customer, kombo.Category(long(13)), log), failed(long(14), l.customer, kombo.Category(long(13)), log),
				failed(long(15), l.customer, kombo.Category(long(13)), sibling(log)), failed(long(16), l.customer, "", ""), failed(sibling(long(16)), l.customer, "", ""),
			} {
				apply(t, s, fail)
			}
			alerts := attention(t, s, l.customer)
			logs := map[string]int{}
			for _, alert := range alerts {
				logs[alert.LogURL]++
				if err := s.Dismiss(t.Context(), l.customer, alert.Key); err != nil {
					t.Error(err)
				}
			}
			if len(alerts) != 4 || logs[log] != 1 || logs[sibling(log)] != 1 || logs[""] != 2 || len(attention(t, s, l.customer)) != 0 {
				t.Errorf("%d alerts, then %d", len(alerts), len(attention(t, s, l.customer)))
			}
			if version(t, s, l.customer) == 0 || version(t, s, sibling(l.customer)) != 1 {
				t.Errorf("versions are %d and %d", version(t, s, l.customer), version(t, s, sibling(l.customer)))
			}

			if id, err := s.StartSession(t.Context(), l.customer, time.Hour); err != nil {
				t.Error(err)
			} else if got, err := s.Session(t.Context(), id); err != nil || got != l.customer {
				t.Errorf("Session = %.50q, %v", got, err)
			}
			for _, key := range []string{long(1), strings.Repeat("x", size)} {
				_, err := s.Connection(t.Context(), l.customer, key)
				wantError(t, "Connection", err, store.ErrNotFound)
				wantError(t, "Dismiss", s.Dismiss(t.Context(), l.customer, key), store.ErrNotFound)
			}
			if err := s.Disconnected(t.Context(), l.customer, before.Key, start); err != nil {
				t.Error(err)
			}
			if got := count(t, s, "integrations"); got != 2 || len(connections(t, s, l.customer)) != 0 || len(connections(t, s, sibling(l.customer))) != 1 {
				t.Errorf("%d integrations", got)
			}
		})
	}
}

// The hash of a long text differs from every other text.
func TestKeyOfALongText(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		apply(t, s, personio.created(randomText(1, 3000)))
		var key string
		if err := s.DB().QueryRow(`SELECT id FROM events`).Scan(&key); err != nil {
			t.Fatal(err)
		}
		if !apply(t, s, life{"personio:2", "42"}.created(key)) {
			t.Errorf("%s counts as the long one", key)
		}
	})
}

// A database from before keys were bounded keeps its content.
func TestMigration(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		for _, table := range []string{"events", "integrations", "alerts", "versions", "sessions"} {
			exec(t, s, `DROP TABLE `+table)
		}
		exec(t, s, store.Migration(t, "migrations/001_init.sql"))
		exec(t, s, `DELETE FROM migrations WHERE name <> 'migrations/001_init.sql'`)
		exec(t, s, `INSERT INTO events (id, type, received_at) VALUES ('event1', 'integration-created', 1)`)
		exec(t, s, `INSERT INTO integrations (integration_id, key, customer_id, tool, connected_at) VALUES ('personio:1', 'KEY', '42', 'personio', 1)`)
		exec(t, s, `INSERT INTO alerts (customer_id, tool, category, log_url, event_id, key, received_at) VALUES ('42', 'workday', 'ATS', 'https://log.example', '', 'A', 1)`)
		exec(t, s, `INSERT INTO alerts (customer_id, tool, category, log_url, event_id, key, received_at) VALUES ('42', 'workday', 'ATS', '', 'event2', 'B', 2)`)

		s = db.open(t)
		if got := connections(t, s, "42"); len(got) != 1 || got[0].IntegrationID != "personio:1" || got[0].Key != "KEY" {
			t.Errorf("connections = %+v", got)
		}
		if apply(t, s, personio.created("event1")) || !apply(t, s, personio.changed("event3", kombo.StateInvalid, "", minutes(1))) || count(t, s, "integrations") != 1 {
			t.Error("an event or an integration is not the same as before")
		}
		// The same two flows again.
		apply(t, s, failed("event4", "42", "ATS", "https://log.example"), failed("event2", "42", "ATS", ""))
		if got := attention(t, s, "42"); len(got) != 3 || got[1].Key != "B" || got[2].Key != "A" || got[2].LogURL != "https://log.example" {
			t.Errorf("attention = %+v", got)
		}
	})
}
