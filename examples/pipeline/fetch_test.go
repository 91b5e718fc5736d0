package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// A fetch that fails for a reason that takes time sleeps, and the next event about its integration wakes it.
func TestFetchSleeps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		code  kombo.ErrorCode
		ahead time.Duration // of the clock
		state kombo.State
		mails int
	}{
		{"credentials are broken", kombo.CodeIntegrationAuthenticationInvalid, 0, kombo.StateInvalid, 1},
		{"the setup is incomplete", kombo.CodeIntegrationSetupIncomplete, 3 * time.Minute, kombo.StateActive, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, database string) {
				h := start(t, database)
				id := h.connect()
				before := lists(h.kombo)
				h.kombo.InjectFault(kombotest.Fault{Op: "GET /hris/employees", Times: -1, Code: test.code})
				h.mutex.Lock()
				h.ahead = test.ahead // a fetch sleeps for half of its age
				h.mutex.Unlock()
				h.put(id, "e3", "new")
				h.sync(id)
				h.await("the fetch sleeps", func() string {
					if calls, awake := lists(h.kombo)-before, h.jobs("fetch", "running")+h.jobs("fetch", "available"); calls == 0 || awake > 0 {
						return fmt.Sprintf("%d calls, %d jobs are awake", calls, awake)
					}
					return ""
				})
				h.await("the state and the mail", func() string {
					rows, err := h.db.Strings(t.Context(), `SELECT state FROM connections`)
					h.mutex.Lock()
					defer h.mutex.Unlock()
					if err != nil || rows[0][0] != string(test.state) || len(h.mails) != test.mails {
						return fmt.Sprint(rows, h.mails, err)
					}
					return ""
				})
				h.kombo.ClearFaults()
				if err := h.kombo.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
					t.Fatal(err)
				}
				if err := h.kombo.SetState(t.Context(), id, kombo.StateActive); err != nil {
					t.Fatal(err)
				}
				h.await("the repair", func() string { return compare(t.Context(), h.db.Reader, h.kombo) })
			})
		})
	}
}

// The weekly fetches of many integrations spread over the week, and each keeps its time.
func TestNextFull(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hours := map[time.Duration]int{}
	for i := range 16800 {
		id := fmt.Sprintf("personio:%d", i)
		next := nextFull(id, now)
		if wait := next.Sub(now); wait <= 0 || wait > week {
			t.Fatalf("%s waits %v", id, wait)
		}
		if again := nextFull(id, next); again.Sub(next) != week {
			t.Fatalf("%s is fetched again after %v", id, again.Sub(next))
		}
		hours[next.Sub(now)/time.Hour]++
	}
	for hour, n := range hours {
		if n > 200 { // 100 on average
			t.Errorf("%d fetches in hour %d", n, hour)
		}
	}
}

// Reconcile deletes what is left of integrations that were deleted long ago, and nothing else.
func TestPruning(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database)
		gone, _ := h.connect(), h.connect()
		if err := h.kombo.DeleteIntegration(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		h.await("the deletion", func() string { return compare(t.Context(), h.db.Reader, h.kombo) })
		for _, later := range []struct {
			days, rows int
		}{{80, 2}, {91, 1}} {
			h.mutex.Lock()
			h.ahead = time.Duration(later.days) * 24 * time.Hour
			h.mutex.Unlock()
			if err := h.reconcile(t.Context(), &river.Job[reconcileArgs]{JobRow: &rivertype.JobRow{}}); err != nil {
				t.Fatal(err)
			}
			rows, err := h.db.Strings(t.Context(), `SELECT integration_id FROM connections`)
			if err != nil || len(rows) != later.rows {
				t.Errorf("after %d days: %v, %v, want %d rows", later.days, rows, err, later.rows)
			}
		}
	})
}
