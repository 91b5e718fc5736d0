package store_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
)

// An input is one event or result about an integration, generated from four bytes.
type input struct{ kind, minute, variant, copies byte }

func (x input) event(l life) kombo.Event {
	l.customer = []string{"", l.customer}[x.variant>>3&1]
	// Some IDs occur twice with the same content, and some contents with two IDs.
	id := fmt.Sprintf("%s-%d-%d-%d-%d", l.id, x.kind, x.minute, x.variant, x.copies)
	switch x.kind {
	case 0:
		e := l.created(id)
		e.Data.EndUser.CreatorEmail = []string{"", "ada@acme.example", "bob@acme.example"}[x.variant%3]
		e.Data.Category = []kombo.Category{"", "ATS", "HRIS"}[x.variant%3]
		return e
	case 1:
		return l.deleted(id, minutes(int(x.minute)))
	case 2, 3:
		return l.changed(id, []kombo.State{"ACTIVE", "INVALID", "INACTIVE", "NEW"}[x.variant%4], []kombo.SetupStatus{"", "INCOMPLETE", "COMPLETED"}[x.variant%3], minutes(int(x.minute)))
	}
	return nil
}

func (x input) token(l life) (kombo.Category, *kombo.ConnectedIntegration) {
	token := l.token()
	token.SetupStatus = []kombo.SetupStatus{"", "INCOMPLETE", "FINAL_SYNC_PENDING", "COMPLETED"}[x.variant%4]
	return []kombo.Category{"", "LMS", "ASSESSMENT"}[x.variant%3], token
}

func parse(data []byte) (all []input) {
	for ; len(data) >= 4 && len(all) < 24; data = data[4:] {
		all = append(all, input{data[0] % 5, data[1] % 6, data[2] % 16, data[3] % 2})
	}
	return all
}

// model computes the expected row of a set of events in the simplest way.
func model(l life, all []input) (want store.Connection, deleted *time.Time) {
	type dated struct {
		at    time.Time
		id    string
		value string
	}
	newest := func(known *dated, at time.Time, id, value string) {
		if known.id == "" || cmp.Or(at.Compare(known.at), cmp.Compare(id, known.id)) > 0 {
			*known = dated{at, id, value}
		}
	}
	least := func(known *string, value string) {
		if value != "" && (*known == "" || value < *known) {
			*known = value
		}
	}
	var state, setup dated
	var category, claimedCategory, claimedSetup string
	named := func(user kombo.EndUser, c kombo.Category) {
		want.CustomerID = cmp.Or(want.CustomerID, user.OriginID)
		least(&want.CreatedBy, user.CreatorEmail)
		least(&category, string(c))
	}
	for _, x := range all {
		switch e := x.event(l).(type) {
		case *kombo.IntegrationCreatedEvent:
			named(e.Data.EndUser, e.Data.Category)
		case *kombo.IntegrationDeletedEvent:
			named(e.Data.EndUser, e.Data.Category)
			if deleted == nil || e.Data.DeletedAt.Before(*deleted) {
				deleted = &e.Data.DeletedAt
			}
		case *kombo.IntegrationStateChangedEvent:
			named(e.Data.EndUser, e.Data.IntegrationCategory)
			newest(&state, e.Data.UpdatedAt, e.ID, string(e.Data.State))
			if e.Data.SetupStatus != "" {
				newest(&setup, e.Data.UpdatedAt, e.ID, string(e.Data.SetupStatus))
			}
		default:
			claimed, token := x.token(l)
			named(kombo.EndUser{OriginID: l.customer, CreatorEmail: token.EndUserEmail}, "")
			least(&claimedCategory, string(claimed))
			least(&claimedSetup, string(token.SetupStatus))
		}
	}
	want.IntegrationID, want.Tool, want.Organization = l.id, "personio", "Acme, Inc."
	want.Category = kombo.Category(cmp.Or(category, claimedCategory))
	want.State = kombo.State(state.value)
	want.SetupStatus = kombo.SetupStatus(cmp.Or(setup.value, claimedSetup))
	want.ConnectedAt, want.ChangedAt = start, start
	if state.id != "" {
		want.ChangedAt = state.at
	}
	return want, deleted
}

// check applies everything to a store in the given order, and compares the result with the model.
func check(t *testing.T, s *store.Store, l life, all []input) {
	t.Helper()
	before := version(t, s, l.customer)
	for _, x := range all {
		shown := connections(t, s, l.customer)
		if event := x.event(l); event != nil {
			apply(t, s, event)
		} else {
			category, token := x.token(l)
			if err := only(s.Connected(context.Background(), l.customer, category, token)); err != nil {
				t.Fatal(err)
			}
		}
		after := version(t, s, l.customer)
		if diff := gocmp.Diff(shown, connections(t, s, l.customer)); diff != "" && after <= before {
			t.Errorf("%v: version %d, then %d, for the change (-before +after):\n%s", x, before, after, diff)
		}
		before = after
	}
	if len(all) == 0 {
		return
	}
	connection, deleted := model(l, all)
	var want []store.Connection
	if deleted == nil && connection.CustomerID != "" {
		connection.Key = "random"
		want = append(want, connection)
	}
	compare(t, fmt.Sprintf("%v: connections", all), want, connections(t, s, l.customer))
	row := dump(t, s, l.id)
	var wantDeleted any
	if deleted != nil {
		wantDeleted = deleted.UnixMicro()
	}
	if row["deleted_at"] != wantDeleted || row["customer_id"] != connection.CustomerID || row["state"] != string(connection.State) {
		t.Errorf("%v: row = %v, want deleted at %v, and %+v", all, row, wantDeleted, connection)
	}
}

// Random histories in a random order and with duplicates.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db database) {
		s := db.open(t)
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 60 {
			data := make([]byte, 4*(1+random.IntN(8)))
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			all := parse(data)
			for variant := range 2 {
				check(t, s, life{fmt.Sprintf("personio:%d.%d", i, variant), fmt.Sprintf("customer%d.%d", i, variant)}, all)
				all = append(all, all[:random.IntN(len(all)+1)]...)
				random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			}
			if t.Failed() {
				return
			}
		}
	})
}

func FuzzHistories(f *testing.F) {
	s := sqliteDatabase(f).open(f)
	f.Add([]byte{0, 0, 8, 0, 4, 0, 0, 0, 2, 1, 9, 0, 3, 2, 8, 0, 1, 3, 8, 0})
	f.Add([]byte{1, 3, 8, 0, 0, 0, 0, 0, 2, 1, 1, 0, 2, 1, 1, 1, 2, 1, 1, 0, 4, 0, 1, 0})
	n := 0
	f.Fuzz(func(t *testing.T, data []byte) {
		n++
		check(t, s, life{fmt.Sprint("personio:", n), fmt.Sprint("customer", n)}, parse(data))
	})
}
