package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
)

func diff(want, got map[string]any) string { return cmp.Diff(want, got) }

func TestEffects(t *testing.T) {
	t.Parallel()
	base := store.Connection{
		Key: "random", IntegrationID: "personio:1", CustomerID: "42", Tool: "personio", Category: kombo.CategoryHRIS,
		CreatedBy: "ada@acme.example", Organization: "Acme, Inc.", ConnectedAt: start, ChangedAt: start,
	}
	with := func(change func(*store.Connection)) []store.Connection {
		c := base
		change(&c)
		return []store.Connection{c}
	}
	connected := func(category kombo.Category, setup kombo.SetupStatus) func(*testing.T, *store.Store) {
		return func(t *testing.T, s *store.Store) {
			token := personio.token()
			token.SetupStatus = setup
			if err := only(s.Connected(t.Context(), "42", category, token)); err != nil {
				t.Fatal(err)
			}
		}
	}
	event := func(e kombo.Event) func(*testing.T, *store.Store) {
		return func(t *testing.T, s *store.Store) { apply(t, s, e) }
	}
	nobody := life{"personio:1", ""}
	millisecond := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.FixedZone("", 3600))
	tests := []struct {
		name  string
		tell  []func(*testing.T, *store.Store)
		want  []store.Connection
		wrong string
	}{
		{name: "created", tell: []func(*testing.T, *store.Store){event(personio.created("1"))}, want: []store.Connection{base}},
		{
			name: "connected", tell: []func(*testing.T, *store.Store){connected(kombo.CategoryATS, kombo.SetupStatusFinalSyncPending)},
			want: with(func(c *store.Connection) {
				c.Category, c.SetupStatus = kombo.CategoryATS, kombo.SetupStatusFinalSyncPending
			}),
		},
		{
			name: "connected without category", tell: []func(*testing.T, *store.Store){connected("", "")},
			want: with(func(c *store.Connection) { c.Category = "" }),
		},
		{
			name: "an event knows the category better", tell: []func(*testing.T, *store.Store){connected(kombo.CategoryATS, ""), event(personio.created("1")), connected(kombo.CategoryAssessment, "")},
			want: []store.Connection{base},
		},
		{
			name: "the setup of a later token", tell: []func(*testing.T, *store.Store){connected("", kombo.SetupStatusIncomplete), connected(kombo.CategoryHRIS, kombo.SetupStatusCompleted), connected("", kombo.SetupStatusFinalSyncPending)},
			want: with(func(c *store.Connection) { c.SetupStatus = kombo.SetupStatusCompleted }),
		},
		{
			name: "an event knows the setup better", tell: []func(*testing.T, *store.Store){event(personio.changed("1", kombo.StateActive, kombo.SetupStatusIncomplete, start)), connected("", kombo.SetupStatusCompleted)},
			want: with(func(c *store.Connection) {
				c.State, c.SetupStatus = kombo.StateActive, kombo.SetupStatusIncomplete
			}),
		},
		{
			name: "state changed alone", tell: []func(*testing.T, *store.Store){event(personio.changed("1", kombo.StateInvalid, kombo.SetupStatusCompleted, millisecond))},
			want: with(func(c *store.Connection) {
				c.State, c.SetupStatus, c.ChangedAt = kombo.StateInvalid, kombo.SetupStatusCompleted, time.Date(2026, 3, 4, 4, 6, 7, 89e6, time.UTC)
			}),
		},
		{
			name: "a state and a setup status that are new", tell: []func(*testing.T, *store.Store){event(personio.changed("1", "DREAMING", "HALF", minutes(1)))},
			want: with(func(c *store.Connection) { c.State, c.SetupStatus, c.ChangedAt = "DREAMING", "HALF", minutes(1) }),
		},
		{
			// As text, these times would have the opposite order.
			name: "newer by a microsecond", tell: []func(*testing.T, *store.Store){
				event(personio.changed("1", kombo.StateInvalid, "", minutes(1).Truncate(time.Second).Add(time.Microsecond))),
				event(personio.changed("2", kombo.StateActive, "", minutes(1).Truncate(time.Second))),
			},
			want: with(func(c *store.Connection) {
				c.State, c.ChangedAt = kombo.StateInvalid, minutes(1).Truncate(time.Second).Add(time.Microsecond)
			}),
		},
		{
			name: "another time zone", tell: []func(*testing.T, *store.Store){
				event(personio.changed("1", kombo.StateInvalid, "", minutes(2).In(time.FixedZone("", -7200)))),
				event(personio.changed("2", kombo.StateActive, "", minutes(1).In(time.FixedZone("", 7200)))),
			},
			want: with(func(c *store.Connection) { c.State, c.ChangedAt = kombo.StateInvalid, minutes(2) }),
		},
		{
			name: "the greater id of one time", tell: []func(*testing.T, *store.Store){
				event(personio.changed("b", kombo.StateInvalid, "", start)), event(personio.changed("a", kombo.StateActive, "", start)),
			},
			want: with(func(c *store.Connection) { c.State = kombo.StateInvalid }),
		},
		{
			name: "a redelivery under another id between", tell: []func(*testing.T, *store.Store){
				event(personio.changed("a", kombo.StateInvalid, "", start)), event(personio.changed("c", kombo.StateInvalid, "", start)), event(personio.changed("b", kombo.StateActive, "", start)),
			},
			want: with(func(c *store.Connection) { c.State = kombo.StateInvalid }),
		},
		{
			name: "setup status is missing in the newer", tell: []func(*testing.T, *store.Store){
				event(personio.changed("1", kombo.StateActive, kombo.SetupStatusCompleted, minutes(1))), event(personio.changed("2", kombo.StateInvalid, "", minutes(2))),
			},
			want: with(func(c *store.Connection) {
				c.State, c.SetupStatus, c.ChangedAt = kombo.StateInvalid, kombo.SetupStatusCompleted, minutes(2)
			}),
		},
		{
			name: "setup status comes late", tell: []func(*testing.T, *store.Store){
				event(personio.changed("3", kombo.StateInvalid, "", minutes(3))), event(personio.changed("2", kombo.StateActive, kombo.SetupStatusCompleted, minutes(2))), event(personio.changed("1", kombo.StateActive, kombo.SetupStatusIncomplete, minutes(1))),
			},
			want: with(func(c *store.Connection) {
				c.State, c.SetupStatus, c.ChangedAt = kombo.StateInvalid, kombo.SetupStatusCompleted, minutes(3)
			}),
		},
		{name: "deleted", tell: []func(*testing.T, *store.Store){event(personio.created("1")), event(personio.deleted("2", minutes(1)))}},
		{name: "deleted alone", tell: []func(*testing.T, *store.Store){event(personio.deleted("1", minutes(1)))}},
		{
			name: "nothing revives", tell: []func(*testing.T, *store.Store){
				event(personio.deleted("1", minutes(1))), event(personio.created("2")), event(personio.changed("3", kombo.StateActive, kombo.SetupStatusCompleted, minutes(9))), connected(kombo.CategoryHRIS, ""),
			},
		},
		{name: "nobody's", tell: []func(*testing.T, *store.Store){event(nobody.created("1"))}},
		{name: "nobody's at first", tell: []func(*testing.T, *store.Store){event(nobody.created("1")), connected("", "")}, want: []store.Connection{base}},
		{
			name: "nobody's until another event", tell: []func(*testing.T, *store.Store){event(nobody.created("1")), event(personio.changed("2", kombo.StateActive, "", start))},
			want: with(func(c *store.Connection) { c.State = kombo.StateActive }),
		},
		{name: "a customer does not change", tell: []func(*testing.T, *store.Store){event(personio.created("1")), event(life{"personio:1", "43"}.created("2"))}, want: []store.Connection{base}},
		{
			name: "text that Postgres cannot store", tell: []func(*testing.T, *store.Store){func(t *testing.T, s *store.Store) {
				e := personio.created("1\x00")
				e.Data.EndUser.OrganizationName = "A\x00cme\xff"
				apply(t, s, e)
			}},
			want: with(func(c *store.Connection) { c.Organization = "A\uFFFDcme\uFFFD" }),
		},
		{
			name: "an event about something else", tell: []func(*testing.T, *store.Store){event(personio.created("1")), event(&kombo.UnknownEvent{EventHeader: header("2", "new-thing")})},
			want: []store.Connection{base},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, db database) {
				s := db.open(t)
				for _, tell := range test.tell {
					tell(t, s)
				}
				got := connections(t, s, "42")
				compare(t, "connections", test.want, got)
				for _, c := range got {
					one, err := s.Connection(t.Context(), "42", c.Key)
					if diff := cmp.Diff(c, one); err != nil || diff != "" {
						t.Errorf("Connection: %v (-listed +alone):\n%s", err, diff)
					}
				}
				for _, customer := range []string{"", "43", "4%", "42 "} {
					compare(t, "another customer's", nil, connections(t, s, customer))
				}
				if got := count(t, s, "integrations"); got != 1 {
					t.Errorf("%d rows", got)
				}
			})
		})
	}
}

// Apply reports whether an event has changed something.
func TestChanged(t *testing.T) {
	t.Parallel()
	dataChanged := &kombo.DataChangedEvent{EventHeader: header("data", kombo.EventDataChanged), Data: kombo.DataChangedData{IntegrationID: "personio:1"}}
	steps := []struct {
		name  string
		event kombo.Event
		want  bool
	}{
		{"state", personio.changed("2", kombo.StateActive, kombo.SetupStatusCompleted, minutes(2)), true},
		{"state again", personio.changed("2", kombo.StateActive, kombo.SetupStatusCompleted, minutes(2)), false},
		{"state under another id", personio.changed("3", kombo.StateActive, kombo.SetupStatusCompleted, minutes(2)), false},
		{"an older state", personio.changed("1", kombo.StateInvalid, kombo.SetupStatusIncomplete, minutes(1)), false},
		{"created", personio.created("4"), true},
		{"created again", personio.created("4"), false},
		{"created under another id", personio.created("5"), false},
		{"failed", failed("6", "42", "ATS", "https://log.example"), true},
		{"failed again", failed("6", "42", "ATS", "https://log.example"), false},
		{"failed under another id", failed("7", "42", "ATS", "https://log.example"), false},
		{"another thing", dataChanged, true},
		{"another thing again", dataChanged, false},
		{"deleted", personio.deleted("8", minutes(3)), true},
		{"deleted again", personio.deleted("8", minutes(3)), false},
		{"deleted under another id", personio.deleted("9", minutes(3)), false},
		{"deleted later", personio.deleted("10", minutes(4)), false},
	}
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		for _, step := range steps {
			if got := apply(t, s, step.event); got != step.want {
				t.Errorf("%s: changed = %t", step.name, got)
			}
		}
		if got := count(t, s, "events"); got != 11 {
			t.Errorf("%d IDs are stored", got)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		for name, call := range map[string]func() error{
			"no event":       func() error { _, err := s.Apply(t.Context(), nil); return err },
			"no event id":    func() error { _, err := s.Apply(t.Context(), personio.created("")); return err },
			"no customer":    func() error { return only(s.Connected(t.Context(), "", "", life{"personio:1", ""}.token())) },
			"no integration": func() error { return only(s.Connected(t.Context(), "42", "", nil)) },
			"no id":          func() error { return only(s.Connected(t.Context(), "42", "", life{"", "42"}.token())) },
		} {
			if err := call(); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if got := count(t, s, "integrations") + count(t, s, "events"); got != 0 {
			t.Errorf("%d rows", got)
		}
	})
}

// A customer cannot see or change the connections of another customer.
func TestOtherCustomer(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		apply(t, s, personio.created("1"), personio.changed("2", kombo.StateInvalid, "", start), failed("3", "42", kombo.CategoryATS, "https://log.example"), life{"nobody", ""}.created("4"), failed("5", "", kombo.CategoryATS, "https://log.example"))
		key := connections(t, s, "42")[0].Key
		alerts := attention(t, s, "42")
		before, beforeVersion := dump(t, s, "personio:1"), version(t, s, "42")
		var nobodyKey string
		if err := s.DB().QueryRow(`SELECT key FROM integrations WHERE integration_id = 'nobody'`).Scan(&nobodyKey); err != nil {
			t.Fatal(err)
		}

		// A token without a customer, so only the row has one, and then a token with the wrong customer.
		token := life{"personio:1", ""}.token()
		token.EndUserOrganizationName = "AAA"
		wantError(t, "Connected", only(s.Connected(t.Context(), "43", kombo.CategoryATS, token)), store.ErrOtherCustomer)
		wantError(t, "Connected with another's token", only(s.Connected(t.Context(), "43", "", life{"personio:2", "42"}.token())), store.ErrOtherCustomer)
		for _, customer := range []string{"43", ""} {
			_, err := s.Connection(t.Context(), customer, key)
			wantError(t, "Connection", err, store.ErrNotFound)
			_, err = s.Connection(t.Context(), customer, nobodyKey)
			wantError(t, "Connection of nobody", err, store.ErrNotFound)
			wantError(t, "Disconnected", s.Disconnected(t.Context(), customer, key, start), store.ErrNotFound)
			wantError(t, "Disconnected of nobody", s.Disconnected(t.Context(), customer, nobodyKey, start), store.ErrNotFound)
			compare(t, "connections", nil, connections(t, s, customer))
			compare(t, "attention", nil, attention(t, s, customer))
			for _, alert := range alerts {
				wantError(t, "Dismiss", s.Dismiss(t.Context(), customer, alert.Key), store.ErrNotFound)
			}
		}
		if diff := diff(before, dump(t, s, "personio:1")); diff != "" {
			t.Errorf("the row has changed:\n%s", diff)
		}
		if got := version(t, s, "42"); got != beforeVersion || dump(t, s, "personio:2") != nil {
			t.Errorf("version %d, then %d; %v", beforeVersion, got, dump(t, s, "personio:2"))
		}
		if diff := cmp.Diff(alerts, attention(t, s, "42")); diff != "" {
			t.Errorf("the alerts have changed:\n%s", diff)
		}
	})
}

func TestDisconnected(t *testing.T) {
	t.Parallel()
	event := func(n int) func(*testing.T, *store.Store, string) {
		return func(t *testing.T, s *store.Store, _ string) {
			apply(t, s, personio.deleted("deleted"+time.Duration(n).String(), minutes(n)))
		}
	}
	call := func(n int) func(*testing.T, *store.Store, string) {
		return func(t *testing.T, s *store.Store, key string) {
			if err := s.Disconnected(t.Context(), "42", key, minutes(n)); err != nil {
				t.Error(err)
			}
		}
	}
	tests := []struct {
		name string
		tell []func(*testing.T, *store.Store, string)
		want int
	}{
		{"by the call", []func(*testing.T, *store.Store, string){call(3)}, 3},
		{"by the event", []func(*testing.T, *store.Store, string){event(3)}, 3},
		{"the event after", []func(*testing.T, *store.Store, string){call(3), event(2)}, 2},
		{"the event before", []func(*testing.T, *store.Store, string){event(2), call(3)}, 2},
		{"the event later", []func(*testing.T, *store.Store, string){call(2), event(3)}, 2},
		{"twice", []func(*testing.T, *store.Store, string){call(3), call(2), event(4), event(3)}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, db database) {
				s := db.open(t)
				apply(t, s, personio.created("1"))
				key := connections(t, s, "42")[0].Key
				for _, tell := range test.tell {
					tell(t, s, key)
					compare(t, "connections", nil, connections(t, s, "42"))
					_, err := s.Connection(t.Context(), "42", key)
					wantError(t, "Connection", err, store.ErrNotFound)
				}
				if got := dump(t, s, "personio:1")["deleted_at"]; got != minutes(test.want).UnixMicro() {
					t.Errorf("deleted_at = %v", got)
				}
			})
		})
	}
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		eachDatabase(t, func(t *testing.T, db database) {
			s := db.open(t)
			wantError(t, "Disconnected", s.Disconnected(t.Context(), "42", "none", start), store.ErrNotFound)
			_, err := s.Connection(t.Context(), "42", "none")
			wantError(t, "Connection", err, store.ErrNotFound)
		})
	})
}

func TestOldestFirst(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		clock := start
		s.SetNow(func() time.Time { return clock })
		for i, id := range []string{"b", "B", "c", "a"} {
			clock = minutes(i / 2)
			apply(t, s, life{id, "42"}.created("event"+id))
		}
		var got []string
		keys := map[string]bool{}
		for _, c := range connections(t, s, "42") {
			got = append(got, c.IntegrationID)
			keys[c.Key] = true
		}
		if diff := cmp.Diff([]string{"B", "b", "a", "c"}, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if len(keys) != 4 {
			t.Errorf("keys = %v", keys)
		}
	})
}

// Every order of the events of an integration, with duplicates, ends in the same row.
func TestPermutations(t *testing.T) {
	t.Parallel()
	type step func(s *store.Store, l life, copies string) error
	event := func(of func(l life, copies string) kombo.Event) step {
		return func(s *store.Store, l life, copies string) error {
			_, err := s.Apply(context.Background(), of(l, copies))
			return err
		}
	}
	steps := map[string]step{
		"connected": func(s *store.Store, l life, _ string) error {
			return only(s.Connected(context.Background(), l.customer, kombo.CategoryHRIS, l.token()))
		},
		"created": event(func(l life, copies string) kombo.Event { return l.created(l.id + "created" + copies) }),
		"old": event(func(l life, copies string) kombo.Event {
			return l.changed(l.id+"old"+copies, kombo.StateInvalid, kombo.SetupStatusFinalSyncPending, minutes(1))
		}),
		"new": event(func(l life, copies string) kombo.Event {
			return l.changed(l.id+"new"+copies, kombo.StateActive, "", minutes(2))
		}),
		"deleted": event(func(l life, copies string) kombo.Event { return l.deleted(l.id+"deleted"+copies, minutes(3)) }),
		// From an event without a customer.
		"nobody's": event(func(l life, copies string) kombo.Event {
			e := l.created(l.id + "nobody" + copies)
			e.Data.EndUser.OriginID = ""
			return e
		}),
	}
	tests := []struct {
		name  string
		tells []string
		alive bool
	}{
		{"alive", []string{"connected", "created", "old", "new"}, true},
		{"webhooks only", []string{"nobody's", "created", "old", "new"}, true},
		{"deleted", []string{"connected", "created", "old", "new", "deleted"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, db database) {
				s := db.open(t)
				var wantRow map[string]any
				var want []store.Connection
				number := 0
				permute(test.tells, func(order []string) {
					// The first order is the real one.
					number++
					suffix := time.Duration(number).String()
					l := life{"personio:" + suffix, "customer" + suffix}
					tell := func(order []string, copies string) {
						for _, name := range order {
							if err := steps[name](s, l, copies); err != nil {
								t.Fatalf("%v: %s: %v", order, name, err)
							}
						}
					}
					// Duplicates: at once, at the end, and with other IDs in another order.
					tell(order[:1+number%len(order)], "")
					tell(order, "")
					if number > 1 {
						tell(order[number%len(order):], "")
						tell(order[:number%len(order)], "again")
					}
					row, got := dump(t, s, l.id), connections(t, s, l.customer)
					if row["customer_id"] != l.customer {
						t.Errorf("%v: the customer is %v", order, row["customer_id"])
					}
					delete(row, "customer_id")
					for i := range got {
						got[i].IntegrationID, got[i].CustomerID = "", ""
					}
					if number == 1 {
						wantRow, want = row, got
						if (len(want) == 1) != test.alive {
							t.Fatalf("connections = %+v", want)
						}
						if test.alive && (want[0].State != kombo.StateActive || want[0].SetupStatus != kombo.SetupStatusFinalSyncPending || want[0].Category != kombo.CategoryHRIS) {
							t.Errorf("connection = %+v", want[0])
						}
						return
					}
					if diff := diff(wantRow, row); diff != "" {
						t.Errorf("%v: the row (-in order +got):\n%s", order, diff)
					}
					compare(t, "connections", want, got)
				})
				if (number != 24) == test.alive {
					t.Errorf("%d permutations", number)
				}
			})
		})
	}
}

// permute calls do with each order of the items. The given order is first.
func permute(items []string, do func([]string)) {
	var extend func(order, rest []string)
	extend = func(order, rest []string) {
		if len(rest) == 0 {
			do(order)
		}
		for i := range rest {
			others := append(append([]string(nil), rest[:i]...), rest[i+1:]...)
			extend(append(append([]string(nil), order...), rest[i]), others)
		}
	}
	extend(nil, items)
}

// After a reconnection, the token exchange does not return the state. Get does, and its state counts until the next event.
func TestRead(t *testing.T) {
	t.Parallel()
	get := func(state kombo.State) *kombo.Integration {
		return &kombo.Integration{
			ID: "personio:1", Tool: kombo.IntegrationTool{ID: "personio", Label: "Personio"}, Category: kombo.CategoryHRIS,
			Status: state, SetupStatus: kombo.SetupStatusCompleted, EndUser: personio.endUser(),
		}
	}
	old := personio.changed("1", kombo.StateInvalid, "", minutes(1))
	tests := []struct {
		name                    string
		before, meanwhile, then []kombo.Event
		want                    kombo.State
	}{
		{name: "the first connection", want: "NEW"},
		{name: "a reconnection", before: []kombo.Event{old}, want: "NEW"},
		{name: "an event meanwhile", before: []kombo.Event{old}, meanwhile: []kombo.Event{personio.changed("2", kombo.StateActive, "", minutes(2))}, want: kombo.StateActive},
		{name: "the first event meanwhile", meanwhile: []kombo.Event{old}, want: kombo.StateInvalid},
		{name: "an older event meanwhile", before: []kombo.Event{old}, meanwhile: []kombo.Event{personio.changed("0", kombo.StateInactive, "", minutes(0))}, want: "NEW"},
		{name: "an event afterwards", before: []kombo.Event{old}, then: []kombo.Event{personio.changed("2", kombo.StateInactive, "", minutes(2))}, want: kombo.StateInactive},
		{name: "an older event afterwards", before: []kombo.Event{old}, then: []kombo.Event{personio.changed("0", kombo.StateInactive, "", minutes(0))}, want: "NEW"},
		{name: "the same event afterwards", before: []kombo.Event{old}, then: []kombo.Event{old, personio.changed("1", kombo.StateInvalid, "", minutes(1))}, want: "NEW"},
		{name: "deleted meanwhile", before: []kombo.Event{old}, meanwhile: []kombo.Event{personio.deleted("2", minutes(2))}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, db database) {
				s := db.open(t)
				apply(t, s, test.before...)
				before, err := s.Connected(t.Context(), "42", "", personio.token())
				if err != nil {
					t.Fatal(err)
				}
				apply(t, s, test.meanwhile...)
				was := version(t, s, "42")
				for range 2 { // twice does no harm
					if err := s.Read(t.Context(), before, get("NEW")); err != nil {
						t.Fatal(err)
					}
				}
				if version(t, s, "42") == was {
					t.Error("the version has not grown")
				}
				apply(t, s, test.then...)
				got := connections(t, s, "42")
				if test.want == "" {
					compare(t, "connections", nil, got)
					return
				}
				if len(got) != 1 || got[0].State != test.want || got[0].Category != kombo.CategoryHRIS || got[0].SetupStatus != kombo.SetupStatusCompleted {
					t.Errorf("connections = %+v, want %s", got, test.want)
				}
				wantAlerts := 0
				if test.want == kombo.StateInvalid {
					wantAlerts = 1
				}
				if alerts := attention(t, s, "42"); len(alerts) != wantAlerts {
					t.Errorf("attention = %+v", alerts)
				}
				// Rows of other customers are unchanged.
				wantError(t, "another customer's token", only(s.Connected(t.Context(), "43", "", life{"personio:1", ""}.token())), store.ErrOtherCustomer)
			})
		})
	}
}
