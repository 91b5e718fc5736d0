package store_test

import (
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
)

func TestAttention(t *testing.T) {
	t.Parallel()
	const log = "https://log.example/"
	ats := func(minute int, logURL string) store.Alert {
		return store.Alert{Key: "random", Kind: store.KindFlowFailed, Tool: "workday", Category: kombo.CategoryATS, LogURL: logURL, At: minutes(minute)}
	}
	invalid := func(minute int) store.Alert {
		return store.Alert{Key: "random", Kind: store.KindInvalid, Tool: "personio", Category: kombo.CategoryHRIS, At: minutes(minute), ConnectionKey: "random"}
	}
	other := func(l life, category kombo.Category) *kombo.IntegrationCreatedEvent {
		e := l.created("created" + l.id)
		e.Data.Category = category
		return e
	}
	fail := func(event, logURL string) kombo.Event { return failed(event, "42", kombo.CategoryATS, logURL) }
	lever := life{"lever:1", "42"}
	leverState := func(event string) *kombo.IntegrationStateChangedEvent {
		e := lever.changed(event, kombo.StateActive, "", minutes(5))
		e.Data.IntegrationCategory = kombo.CategoryATS
		return e
	}
	type step struct {
		minute int
		event  kombo.Event
		do     func(*testing.T, *store.Store)
	}
	dismiss := func(n int) func(*testing.T, *store.Store) {
		return func(t *testing.T, s *store.Store) {
			key := attention(t, s, "42")[n].Key
			for range 2 { // twice is not an error
				if err := s.Dismiss(t.Context(), "42", key); err != nil {
					t.Error(err)
				}
			}
		}
	}
	tests := []struct {
		name  string
		steps []step
		want  []store.Alert
	}{
		{"nothing", nil, nil},
		{"a connection that works", []step{{event: personio.created("1")}, {event: personio.changed("2", kombo.StateActive, "", start)}}, nil},
		{"one that is switched off", []step{{event: personio.changed("2", kombo.StateInactive, "", start)}}, nil},
		{"invalid", []step{{event: personio.changed("1", kombo.StateInvalid, "", minutes(7))}}, []store.Alert{invalid(7)}},
		{"invalid and renewed", []step{{event: personio.changed("2", kombo.StateActive, "", minutes(8))}, {event: personio.changed("1", kombo.StateInvalid, "", minutes(7))}}, nil},
		{"invalid and deleted", []step{{event: personio.changed("1", kombo.StateInvalid, "", minutes(7))}, {event: personio.deleted("2", minutes(8))}}, nil},
		{"the worse first, then the newest", []step{
			{minute: 1, event: fail("1", log+"1")},
			{minute: 3, event: fail("2", log+"2")},
			{minute: 4, event: personio.changed("3", kombo.StateInvalid, "", minutes(2))},
		}, []store.Alert{invalid(2), ats(3, log+"2"), ats(1, log+"1")}},
		{"the same flow", []step{{minute: 1, event: fail("1", log)}, {minute: 2, event: fail("1", log)}, {minute: 3, event: fail("2", log)}}, []store.Alert{ats(1, log)}},
		{"the same flow, reported by a clock that is behind", []step{{minute: 3, event: fail("1", log)}, {minute: 1, event: fail("2", log)}}, []store.Alert{ats(1, log)}},
		{"without log", []step{{minute: 1, event: fail("1", "")}, {minute: 2, event: fail("2", "")}, {minute: 2, event: fail("2", "")}}, []store.Alert{ats(2, ""), ats(1, "")}},
		{"dismissed", []step{{minute: 1, event: fail("1", log)}, {minute: 2, event: fail("2", log+"2")}, {do: dismiss(0)}}, []store.Alert{ats(1, log)}},
		{"dismissed, and delivered again", []step{{minute: 1, event: fail("1", log)}, {do: dismiss(0)}, {minute: 2, event: fail("2", log)}, {minute: 0, event: fail("3", log)}}, nil},
		{"overtaken by integration-created", []step{{minute: 1, event: fail("1", log)}, {minute: 2, event: other(lever, kombo.CategoryATS)}}, nil},
		{"overtaken by a token", []step{{minute: 1, event: fail("1", log)}, {minute: 2, do: func(t *testing.T, s *store.Store) { connect(t, s, lever, kombo.CategoryATS) }}}, nil},
		{"overtaken by a token whose category comes later", []step{
			{minute: 1, event: fail("1", log)},
			{minute: 2, do: func(t *testing.T, s *store.Store) { connect(t, s, lever, "") }},
			{minute: 3, event: leverState("2")},
		}, nil},
		{"overtaken by a reconnection", []step{
			{minute: 1, do: func(t *testing.T, s *store.Store) { connect(t, s, lever, kombo.CategoryATS) }},
			{minute: 2, event: fail("1", log)},
			{minute: 3, do: func(t *testing.T, s *store.Store) { connect(t, s, lever, kombo.CategoryATS) }},
		}, nil},
		{"overtaken by one that is deleted since", []step{
			{minute: 1, event: fail("1", log)},
			{minute: 2, event: other(lever, kombo.CategoryATS)},
			{minute: 3, event: lever.deleted("2", minutes(3))},
		}, nil},
		{"another category", []step{{minute: 1, event: fail("1", log)}, {minute: 2, event: personio.created("2")}}, []store.Alert{ats(1, log)}},
		{"another customer", []step{{minute: 1, event: fail("1", log)}, {minute: 2, event: other(life{"lever:1", "43"}, kombo.CategoryATS)}}, []store.Alert{ats(1, log)}},
		{"an earlier token", []step{
			{minute: 1, do: func(t *testing.T, s *store.Store) { connect(t, s, lever, kombo.CategoryATS) }}, {minute: 2, event: fail("1", log)},
		}, []store.Alert{ats(2, log)}},
		{"an earlier connection", []step{{minute: 1, event: other(lever, kombo.CategoryATS)}, {minute: 2, event: fail("1", log)}}, []store.Alert{ats(2, log)}},
		{"an earlier one whose integration-created is late", []step{
			{minute: 1, event: leverState("1")},
			{minute: 2, event: fail("2", log)},
			{minute: 3, event: other(lever, kombo.CategoryATS)},
		}, []store.Alert{ats(2, log)}},
		{"one that may be old", []step{{minute: 1, event: fail("1", log)}, {minute: 2, event: leverState("2")}}, []store.Alert{ats(1, log)}},
		{"at the same time", []step{{minute: 1, event: fail("1", log)}, {minute: 1, event: other(lever, kombo.CategoryATS)}}, []store.Alert{ats(1, log)}},
		{"failed again", []step{{minute: 1, event: fail("1", log)}, {minute: 2, event: other(lever, kombo.CategoryATS)}, {minute: 3, event: fail("3", log+"2")}}, []store.Alert{ats(3, log+"2")}},
		{"nobody's", []step{{minute: 1, event: failed("1", "", kombo.CategoryATS, log)}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, db database) {
				s := db.open(t)
				for _, step := range test.steps {
					s.SetNow(func() time.Time { return minutes(step.minute) })
					if step.event != nil {
						apply(t, s, step.event)
						continue
					}
					step.do(t, s)
				}
				got := attention(t, s, "42")
				compare(t, "attention", test.want, got)
				for _, alert := range got {
					if alert.Kind != store.KindInvalid {
						continue
					}
					if _, err := s.Connection(t.Context(), "42", alert.ConnectionKey); err != nil {
						t.Errorf("the connection of %+v: %v", alert, err)
					}
					wantError(t, "Dismiss of an invalid connection", s.Dismiss(t.Context(), "42", alert.Key), store.ErrNotFound)
				}
				for _, customer := range []string{"", "44"} {
					compare(t, "another customer's attention", nil, attention(t, s, customer))
				}
			})
		})
	}
}
