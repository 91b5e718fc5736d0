package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kombo-go/kombo/examples/embeddedflow/store"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s, replica := db.open(t), db.open(t)
		clock := start
		for _, s := range []*store.Store{s, replica} {
			s.SetNow(func() time.Time { return clock })
		}
		begin := func(customer string) string {
			t.Helper()
			id, err := s.StartSession(t.Context(), customer, time.Hour)
			if err != nil || len(id) < 20 {
				t.Fatalf("StartSession = %q, %v", id, err)
			}
			return id
		}
		signedIn := func(id, want string) {
			t.Helper()
			got, err := replica.Session(t.Context(), id)
			if want != "" && (err != nil || got != want) {
				t.Errorf("Session = %q, %v, want %q", got, err, want)
			}
			if want == "" {
				wantError(t, "Session", err, store.ErrNotFound)
			}
		}
		first, second, other := begin("42"), begin("42"), begin("43")
		if first == second {
			t.Error("two sessions have one id")
		}
		signedIn(first, "42")
		signedIn(other, "43")
		for _, id := range []string{"", "42", first[1:], first + "A", strings.ToLower(first), "\x00", "\xff", strings.Repeat("x", 10_000)} {
			signedIn(id, "")
		}
		for range 2 { // twice is not an error
			if err := replica.EndSession(t.Context(), first); err != nil {
				t.Error(err)
			}
		}
		signedIn(first, "")
		signedIn(second, "42")
		clock = start.Add(time.Hour - time.Microsecond)
		signedIn(second, "42")
		clock = start.Add(time.Hour)
		signedIn(second, "")
		signedIn(begin("44"), "44")
		if got := count(t, s, "sessions"); got != 1 {
			t.Errorf("%d sessions are stored", got)
		}

		// The content of the database is not enough to sign in.
		var id string
		if err := s.DB().QueryRow(`SELECT id FROM sessions`).Scan(&id); err != nil {
			t.Fatal(err)
		}
		signedIn(id, "")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.StartSession(ctx, "42", time.Hour)
		wantError(t, "StartSession", err, context.Canceled)
		_, err = s.Session(ctx, other)
		wantError(t, "Session", err, context.Canceled)
		wantError(t, "EndSession", s.EndSession(ctx, other), context.Canceled)
	})
}
