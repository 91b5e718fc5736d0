package main

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/examples/internal/postgres"
	"github.com/kombo-go/kombo/examples/internal/replicas"
	"github.com/kombo-go/kombo/kombotest"
)

// The product as deployed: several processes share a database, and each may end at any time.
func TestReplicas(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	if runtime.GOOS == "windows" {
		t.Skip("sends signals")
	}
	binary := filepath.Join(t.TempDir(), "embeddedflow")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}
	t.Run("three on Postgres", func(t *testing.T) {
		t.Parallel()
		storm{binary: binary, driver: "pgx", dsn: postgres.Schema(t), replicas: 3, events: 1000, integrations: 150, kills: 12}.run(t)
	})
	t.Run("one on SQLite", func(t *testing.T) {
		t.Parallel()
		dsn := filepath.Join(t.TempDir(), "store.db")
		storm{binary: binary, driver: "sqlite", dsn: dsn, replicas: 1, events: 150, integrations: 25, kills: 3}.run(t)
	})
	t.Run("SIGTERM", func(t *testing.T) {
		t.Parallel()
		endsGracefully(t, binary)
	})
}

// storm delivers events to replicas while they are killed.
type storm struct {
	binary, driver, dsn                   string
	replicas, events, integrations, kills int
}

func (s storm) run(t *testing.T) {
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the seed was %d", seed)
		}
	})
	random := rand.New(rand.NewPCG(seed, 0))
	past := newHistory(random, s.events, s.integrations)
	srv, _ := kombotest.Start(t, kombotest.Config{Redelivery: kombotest.Redelivery{
		MaxAttempts: 1000, BaseDelay: 2 * time.Millisecond, MaxDelay: 50 * time.Millisecond,
	}})
	all := make([]*replicas.Replica, s.replicas)
	for i := range all {
		all[i] = replicas.New(t, s.binary, srv, s.dsn)
	}
	begun := time.Now()
	var starting sync.WaitGroup
	for _, r := range all { // all at once, so that they migrate concurrently
		starting.Go(r.Start)
	}
	starting.Wait()
	srv.SetWebhookURL(replicas.Balance(t, all) + "/webhooks/kombo")

	var sendings []kombo.Event
	for _, event := range past.events {
		for range 1 + random.IntN(4) {
			sendings = append(sendings, event)
		}
	}
	random.Shuffle(len(sendings), func(i, j int) { sendings[i], sendings[j] = sendings[j], sendings[i] })
	next, kill := make(chan kombo.Event), make(chan *replicas.Replica)
	var senders, killer sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			for event := range next {
				if err := srv.Deliver(t.Context(), event); err != nil {
					t.Error(err)
				}
			}
		})
	}
	killer.Go(func() {
		for victim := range kill {
			victim.Kill()
			victim.Start()
		}
	})
	kills := 0
	for i, event := range sendings {
		if t.Failed() {
			break
		}
		// Kills are spread evenly over the deliveries. One replica is killed at a time, after the previous one is back.
		if kills < s.kills && i >= (kills+1)*len(sendings)/(s.kills+1) {
			kill <- all[random.IntN(len(all))]
			kills++
		}
		next <- event
	}
	close(next)
	close(kill)
	senders.Wait()
	killer.Wait()
	delivered := time.Since(begun)

	past.compare(t, s.dsn)
	if s.count(t, "events") != len(past.events) || s.count(t, "integrations") != len(past.lives) || s.count(t, "alerts") != past.failures {
		t.Errorf("%d events, %d integrations, %d alerts are stored; want %d, %d, %d", s.count(t, "events"), s.count(t, "integrations"),
			s.count(t, "alerts"), len(past.events), len(past.lives), past.failures)
	}
	refused := 0
	for _, d := range srv.Deliveries() {
		if !d.Accepted() {
			refused++
		}
	}
	if refused == 0 || kills != s.kills {
		t.Errorf("%d deliveries failed, and %d replicas were killed: the test proves nothing", refused, kills)
	}
	t.Logf("%d events, %d sendings, %d failed attempts, %d kills, %.1f s", len(past.events), len(sendings), refused, kills, delivered.Seconds())
}

func (s storm) count(t *testing.T, table string) (n int) {
	t.Helper()
	db, err := sql.Open(s.driver, s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// On SIGTERM, a delivery in progress is completed, and open streams do not delay the exit.
func endsGracefully(t *testing.T, binary string) {
	srv, _ := kombotest.Start(t, kombotest.Config{})
	r := replicas.New(t, binary, srv, filepath.Join(t.TempDir(), "store.db"))
	r.Start()

	page, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/settings/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), r.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	session, err := s.StartSession(t.Context(), "acme", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	page.AddCookie(&http.Cookie{Name: sessionCookie, Value: session})
	stream, err := new(http.Transport).RoundTrip(page)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || line != "event: change\n" {
		t.Fatalf("the stream begins with %q, %v", line, err)
	}

	event := &kombo.IntegrationCreatedEvent{
		EventHeader: kombo.EventHeader{ID: "event1", Type: kombo.EventIntegrationCreated},
		Data:        kombo.IntegrationCreatedData{ID: "personio:1", Tool: "personio", Category: kombo.CategoryHRIS, EndUser: kombo.EndUser{OriginID: "acme"}},
	}
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", r.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(replicas.Patience)); err != nil {
		t.Fatal(err)
	}
	// "Continue" means that the handler has begun to read the body.
	fmt.Fprintf(conn, "POST /webhooks/kombo HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s: %s\r\nExpect: 100-continue\r\n\r\n",
		r.Address, len(body), kombo.SignatureHeader, kombo.SignWebhook(srv.WebhookSecret(), body))
	responses := bufio.NewReader(conn)
	if line, err := responses.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("the response is %q, %v", line, err)
	}
	if _, err := responses.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r.Terminate()
	replicas.WaitUntil(t, "the process takes no more", func() bool {
		another, err := net.Dial("tcp", r.Address)
		if err == nil {
			_ = another.Close()
		}
		return err != nil
	})
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
	if _, err := conn.Write(body); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(responses, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("the response is %s", response.Status)
	}
	r.AwaitEnd()
	if got, err := s.Connections(t.Context(), "acme"); err != nil || len(got) != 1 || got[0].IntegrationID != "personio:1" {
		t.Errorf("connections = %+v, %v", got, err)
	}
}

// life is the expected connection of one integration, or nil if there must be none.
type life struct {
	id, tool, customer string
	category           kombo.Category
	deleted            bool
	shown              *store.Connection
}

// history generates events in order, so the expected result needs no rules about time.
type history struct {
	events    []kombo.Event
	lives     []*life
	customers []string
	// failed are the alerts of failed flows.
	failed   map[string][]store.Alert
	failures int
}

func newHistory(random *rand.Rand, events, integrations int) *history {
	h := &history{failed: map[string][]store.Alert{}}
	for i := range 7 {
		h.customers = append(h.customers, fmt.Sprintf("customer%d", i))
	}
	for i := range integrations {
		l := &life{id: fmt.Sprintf("tool:%d", i), customer: h.customers[random.IntN(len(h.customers))], tool: "personio", category: kombo.CategoryHRIS}
		if random.IntN(2) == 0 {
			l.tool, l.category = "greenhouse", kombo.CategoryATS
		}
		h.lives = append(h.lives, l)
		h.created(l)
	}
	states := []kombo.State{kombo.StateActive, kombo.StateInvalid, kombo.StateInactive}
	setups := []kombo.SetupStatus{"", kombo.SetupStatusIncomplete, kombo.SetupStatusFinalSyncPending, kombo.SetupStatusCompleted}
	for len(h.events) < events {
		l := h.lives[random.IntN(len(h.lives))]
		switch chance := random.IntN(100); {
		case chance < 10:
			h.flowFailed(h.customers[random.IntN(len(h.customers))])
		case chance < 15:
			h.again(h.events[random.IntN(len(h.events))])
		case l.deleted:
		case chance < 20:
			h.deleted(l)
		default:
			h.changed(l, states[random.IntN(len(states))], setups[random.IntN(len(setups))])
		}
	}
	return h
}

func (h *history) header(eventType kombo.EventType) kombo.EventHeader {
	return kombo.EventHeader{ID: fmt.Sprintf("event%d", len(h.events)), Type: eventType}
}

// now returns the time of the next event in milliseconds, as Kombo writes it.
func (h *history) now() time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(len(h.events)) * time.Millisecond)
}

func endUser(customer string) kombo.EndUser {
	return kombo.EndUser{OriginID: customer, CreatorEmail: "ada@" + customer + ".example", OrganizationName: "The " + customer}
}

func (h *history) created(l *life) {
	h.events = append(h.events, &kombo.IntegrationCreatedEvent{EventHeader: h.header(kombo.EventIntegrationCreated), Data: kombo.IntegrationCreatedData{
		ID: l.id, Tool: l.tool, Category: l.category, EndUser: endUser(l.customer),
	}})
	l.shown = &store.Connection{
		IntegrationID: l.id, CustomerID: l.customer, Tool: l.tool, Category: l.category,
		CreatedBy: endUser(l.customer).CreatorEmail, Organization: endUser(l.customer).OrganizationName,
	}
}

func (h *history) changed(l *life, state kombo.State, setup kombo.SetupStatus) {
	l.shown.State, l.shown.ChangedAt = state, h.now()
	if setup != "" {
		l.shown.SetupStatus = setup
	}
	h.events = append(h.events, &kombo.IntegrationStateChangedEvent{EventHeader: h.header(kombo.EventIntegrationStateChanged), Data: kombo.IntegrationStateChangedData{
		IntegrationID: l.id, IntegrationTool: l.tool, IntegrationCategory: l.category, EndUser: endUser(l.customer),
		State: state, QAStatus: kombo.QAStatusPassed, SetupStatus: setup, UpdatedAt: h.now(),
	}})
}

func (h *history) deleted(l *life) {
	l.deleted, l.shown = true, nil
	h.events = append(h.events, &kombo.IntegrationDeletedEvent{EventHeader: h.header(kombo.EventIntegrationDeleted), Data: kombo.IntegrationDeletedData{
		ID: l.id, Tool: l.tool, Category: l.category, EndUser: endUser(l.customer), DeletedAt: h.now(),
	}})
}

// flowFailed uses a category without connections, because a connection would remove the alert.
func (h *history) flowFailed(customer string) {
	event := &kombo.ConnectionFlowFailedEvent{EventHeader: h.header(kombo.EventConnectionFlowFailed), Data: kombo.ConnectionFlowFailedData{
		IntegrationTool: "moodle", IntegrationCategory: kombo.CategoryLMS, EndUser: endUser(customer),
		LogURL: fmt.Sprintf("https://log.example/%d", len(h.events)),
	}}
	h.events = append(h.events, event)
	h.failures++
	h.failed[customer] = append(h.failed[customer], store.Alert{Kind: store.KindFlowFailed, Tool: "moodle", Category: kombo.CategoryLMS, LogURL: event.Data.LogURL})
}

// again returns an earlier event with another ID, which changes nothing.
func (h *history) again(event kombo.Event) {
	header := h.header(event.EventType())
	switch event := event.(type) {
	case *kombo.IntegrationCreatedEvent:
		h.events = append(h.events, &kombo.IntegrationCreatedEvent{EventHeader: header, Data: event.Data})
	case *kombo.IntegrationStateChangedEvent:
		h.events = append(h.events, &kombo.IntegrationStateChangedEvent{EventHeader: header, Data: event.Data})
	case *kombo.IntegrationDeletedEvent:
		h.events = append(h.events, &kombo.IntegrationDeletedEvent{EventHeader: header, Data: event.Data})
	case *kombo.ConnectionFlowFailedEvent:
		h.events = append(h.events, &kombo.ConnectionFlowFailedEvent{EventHeader: header, Data: event.Data})
	}
}

// expected returns the connections and alerts of a customer, in the order of IDs and logs.
func (h *history) expected(customer string) (connections []store.Connection, alerts []store.Alert) {
	alerts = slices.Clone(h.failed[customer])
	for _, l := range h.lives {
		if l.customer != customer || l.shown == nil {
			continue
		}
		connections = append(connections, *l.shown)
		if l.shown.State == kombo.StateInvalid {
			// The key of a connection is random, so its ID replaces it.
			alerts = append(alerts, store.Alert{Kind: store.KindInvalid, Tool: l.tool, Category: l.category, At: l.shown.ChangedAt, ConnectionKey: l.id})
		}
	}
	return connections, alerts
}

// compare compares the store with the expected state.
func (h *history) compare(t *testing.T, dsn string) {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, customer := range h.customers {
		connections, err := s.Connections(t.Context(), customer)
		if err != nil {
			t.Fatal(err)
		}
		alerts, err := s.Attention(t.Context(), customer)
		if err != nil {
			t.Fatal(err)
		}
		// Keys and arrival times are not known in advance.
		ids := map[string]string{}
		for i, c := range connections {
			if c.Key == "" || ids[c.Key] != "" || time.Since(c.ConnectedAt) > time.Hour {
				t.Errorf("%s: the key is %q, and the connection was made %v", c.IntegrationID, c.Key, c.ConnectedAt)
			}
			ids[c.Key] = c.IntegrationID
			if c.ChangedAt.Equal(c.ConnectedAt) {
				connections[i].ChangedAt = time.Time{}
			}
			connections[i].Key, connections[i].ConnectedAt = "", time.Time{}
		}
		for i, a := range alerts {
			if a.Key == "" || a.Kind == store.KindInvalid && a.Key != a.ConnectionKey {
				t.Errorf("%s of %s: the key is %q", a.Kind, a.ConnectionKey, a.Key)
			}
			if a.Kind == store.KindFlowFailed {
				alerts[i].At = time.Time{}
			}
			alerts[i].Key, alerts[i].ConnectionKey = "", ids[a.ConnectionKey]
		}
		wantConnections, wantAlerts := h.expected(customer)
		anyOrder := []cmp.Option{
			cmpopts.EquateEmpty(),
			cmpopts.SortSlices(func(a, b store.Connection) bool { return a.IntegrationID < b.IntegrationID }),
			cmpopts.SortSlices(func(a, b store.Alert) bool {
				return a.LogURL+a.ConnectionKey < b.LogURL+b.ConnectionKey
			}),
		}
		if diff := cmp.Diff(wantConnections, connections, anyOrder...); diff != "" {
			t.Errorf("connections of %s (-want +got):\n%s", customer, diff)
		}
		if diff := cmp.Diff(wantAlerts, alerts, anyOrder...); diff != "" {
			t.Errorf("alerts of %s (-want +got):\n%s", customer, diff)
		}
	}
}
