package kombotest

import (
	"context"
	crypto "crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kombo-go/kombo"
)

// state is what [gate], the lock of a [Server], protects: everything that changes, and the settings that its methods need. They
// have no access to the Server: they cannot wait, send requests or call the functions of [Config].
type state struct {
	// Settings, which never change.
	url          string
	tools        toolset
	fields       []kombo.IntegrationField // of each new integration; nil means samples
	customFields []kombo.CustomField
	afterSetup   kombo.SetupStatus

	clock   time.Time     // the time at which the function that has the state began
	entropy io.Reader     // for ids and tokens
	random  *rand.Rand    // for shuffling
	made    int           // links and integrations so far, to list them in order
	closed  bool          // by Close
	events  []kombo.Event // published by the function that has the state

	// The API.
	limiter  limiter
	faults   []*Fault
	requests record[Request]
	actions  map[string]action // by operation

	// Links, and what came of them.
	flows        map[string]*flow         // by the token of the link
	failedFlows  map[string]failedFlow    // by the id in log_url
	activations  map[string]string        // integration ids by activation token
	integrations map[string]*integration  // by id
	issues       map[issueKey]kombo.Issue // open ones

	// Webhooks.
	webhookURL       string
	webhookSecret    string
	webhookFaults    []*WebhookFault
	deliveries       record[Delivery]
	holding          bool
	held             []*delivery
	lastAttempted    <-chan struct{} // closed after the first attempt of the newest delivery in the background
	background       int             // deliveries in the background
	backgroundErrors []error         // of those, since the last Wait
}

func newState(config Config) *state {
	st := &state{
		url:          config.URL,
		tools:        toolset{config.Tools, config.StrictTools},
		fields:       config.Fields,
		customFields: config.CustomFields,
		afterSetup:   kombo.SetupStatusCompleted,
		actions:      map[string]action{},
		entropy:      crypto.Reader,
		limiter:      limiter{limits: config.Limits, inFlight: map[string]int{}},
		flows:        map[string]*flow{},
		failedFlows:  map[string]failedFlow{},
		activations:  map[string]string{},
		integrations: map[string]*integration{},
		issues:       map[issueKey]kombo.Issue{},
		webhookURL:   config.WebhookURL,
	}
	if config.FirstSyncPending {
		st.afterSetup = kombo.SetupStatusFinalSyncPending
	}
	var seed [32]byte
	_, _ = crypto.Read(seed[:])
	if config.Seed != 0 {
		seed = [32]byte{}
		binary.LittleEndian.PutUint64(seed[:], config.Seed)
		st.entropy = rand.NewChaCha8(seed)
	}
	st.random = rand.New(rand.NewChaCha8(seed)) //nolint:gosec // nothing secret is made of it
	return st
}

// gate is the lock of the state. It gives the state to one function at a time. Only its methods use its fields.
type gate struct {
	mutex   sync.Mutex
	changed sync.Cond // the state may have changed
	state   *state
	now     func() time.Time
}

func newGate(st *state, now func() time.Time) *gate {
	g := &gate{state: st, now: now}
	g.changed.L = &g.mutex
	return g
}

// run calls f with the state, and returns the events that f has published. f must not wait, send requests or call the
// functions of [Config], which may call the server.
func (g *gate) run(f func(*state)) []kombo.Event {
	now := g.now() // not under the lock: it is a function of Config
	g.mutex.Lock()
	defer g.mutex.Unlock()
	defer g.changed.Broadcast()
	g.state.clock, g.state.events = now, nil
	f(g.state)
	return g.state.events
}

// wait returns when condition returns true, or ctx ends.
func (g *gate) wait(ctx context.Context, condition func(*state) bool) error {
	defer context.AfterFunc(ctx, func() { g.run(func(*state) {}) })()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	for !condition(g.state) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		g.changed.Wait()
	}
	return nil
}

// withState calls f, which publishes no event, with the state.
func (s *Server) withState(f func(*state)) {
	if events := s.gate.run(f); len(events) > 0 {
		panic("kombotest: withState does not deliver events; use change")
	}
}

// set calls f, which publishes no event, with the state, and reports that it has changed.
func (s *Server) set(f func(*state)) {
	s.withState(f)
	s.onChange()
}

// change calls f with the state, reports that it has changed, and delivers the events that f has published. It returns the error of f,
// or those of the deliveries.
func (s *Server) change(ctx context.Context, f func(*state) error) error {
	var err error
	events := s.gate.run(func(st *state) { err = f(st) })
	if err != nil {
		return err
	}
	s.onChange()
	return s.enqueueAll(ctx, nil, events)
}

func (s *Server) onChange() {
	if s.config.OnChange != nil {
		s.config.OnChange()
	}
}

// now returns the time as Kombo writes it.
func (st *state) now() time.Time { return inMilliseconds(st.clock) }

func (s *Server) now() time.Time { return inMilliseconds(s.config.Now()) }

func inMilliseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// publish records that an event has happened. It is delivered when the function that has the state ends.
func (st *state) publish(event kombo.Event) { st.events = append(st.events, event) }

// newHeader returns the header of a new event.
func (st *state) newHeader(eventType kombo.EventType) kombo.EventHeader {
	return kombo.EventHeader{ID: st.newID(), Type: eventType}
}

// idAlphabet has the characters of Kombo's ids: digits and letters that are not easily confused.
const idAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// newID returns an id in the form of Kombo's.
func (st *state) newID() string {
	var id [24]byte
	// Neither source fails. The bias of the remainder does not matter here.
	_, _ = io.ReadFull(st.entropy, id[:])
	for i := range id {
		id[i] = idAlphabet[int(id[i])%len(idAlphabet)]
	}
	return string(id[:])
}

// newToken returns a token in the form of a JSON Web Token.
func (st *state) newToken() string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		encode([]byte(`{"jti":"`+st.newID()+`"}`)) + "." + encode([]byte(st.newID()))
}

// number returns the next number for the order of links and integrations.
func (st *state) number() int {
	st.made++
	return st.made
}
