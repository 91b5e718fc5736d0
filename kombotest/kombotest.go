package kombotest

import (
	"context"
	crypto "crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// Config says what a [Server] is to be like. The zero value is fine.
type Config struct {
	// APIKey is the only key that the API accepts; "" means one that is made up.
	APIKey string
	// WebhookURL is where webhooks are delivered; "" means nowhere, until [Server.SetWebhookURL].
	WebhookURL string
	// WebhookSecret signs the webhooks; "" means one that is made up.
	WebhookSecret string

	// Redelivery says how often a webhook is repeated that was not accepted.
	Redelivery Redelivery
	// DeliverInBackground lets [Server.CompleteFlow] and its siblings return before their webhooks are
	// delivered, as it is with the real Kombo; [Server.Wait] waits for them.
	DeliverInBackground bool
	// Limits are those of the API; see [Server.SetLimits].
	Limits Limits
	// Tools are added to those that the server knows. One that the server knows already takes its place.
	Tools []Tool
	// StrictTools refuses slugs of tools that the server does not know. Without it, every slug of lower-case letters and
	// digits can be connected: Kombo's list may be longer than the one of this package.
	StrictTools bool
	// Fields and CustomFields are those of every integration; nil means a few samples of its category. An id must
	// not occur twice.
	Fields       []kombo.IntegrationField
	CustomFields []kombo.CustomField
	// Passthrough answers for the tools behind the integrations; nil means that they answer with the request. The
	// Data of the request is a [json.RawMessage]: the JSON that the service has sent; nil if there is none. No
	// URL and no StatusCode mean those of a success. It may be called from several goroutines at once.
	Passthrough func(integrationID, tool, api string, request kombo.PassthroughRequest) kombo.PassthroughResponse

	// Now is the clock of links, integrations, webhooks, records and the rate limit; nil means
	// [time.Now]. Waits (of deliveries, delays) are real. It may be called from several goroutines, and
	// must not call the server.
	Now func() time.Time
	// Seed makes ids, tokens and made-up secrets the same in every run: they depend on the seed
	// and on how many were made before. 0 means random ones. A server with a seed is for tests
	// only: whoever knows the seed knows its tokens.
	Seed uint64

	// Listener is where the server listens; nil means a free port of 127.0.0.1. The server closes
	// it.
	Listener net.Listener
	// URL is the address at which others reach the server, and which links begin with; "" means
	// http:// and the listener's address.
	URL string

	// OnRequest is called for each request of the API, before it is answered, OnDelivery for each
	// attempt to deliver a webhook, and OnChange after each of both and whenever a link, an
	// integration or a fault has changed. They may be called from several goroutines at once, and
	// hold up what they are told of. They may look at the server, but must not close it, wait for it,
	// or change it.
	OnRequest  func(Request)
	OnDelivery func(Delivery)
	OnChange   func()
}

// Server is a fake Kombo. It is safe for concurrent use.
type Server struct {
	url     string
	config  Config
	mux     *http.ServeMux
	http    http.Server
	webhook http.Client

	// background is what Close waits for; stop ends it.
	background sync.WaitGroup
	context    context.Context //nolint:containedctx // it is the server's life, not a call's
	stop       context.CancelFunc

	mutex      sync.Mutex
	closed     bool
	entropy    io.Reader  // for ids and tokens
	random     *rand.Rand // for what is shuffled
	limits     Limits
	window     rateWindow
	inFlight   map[string]int // calls, by integration
	faults     []*Fault
	requests   record[Request]
	deliveries record[Delivery]

	flows        map[string]*flow
	activations  map[string]string // integration ids, by activation token
	integrations map[string]*integration
	issues       map[issueKey]kombo.Issue // that are open
	failures     map[string]failure       // of connection flows, for the page behind log_url
	made         int                      // flows and integrations, to list them in order

	webhookURL    string
	webhookSecret string
	webhookFaults []*WebhookFault
	holding       bool
	held          []*delivery
	announcing    int             // deliveries in the background
	lastFirst     <-chan struct{} // closed when the last of those was tried once
	failed        []error         // of those
	changed       *sync.Cond      // a delivery was recorded, or ended
}

// NewServer starts a server. Close it when it is no longer needed. It panics where no loopback
// address can be listened on, as [net/http/httptest.NewServer] does, and where the config has a tool
// without an ID. In tests, [Start] is shorter.
func NewServer(config Config) *Server {
	for _, tool := range config.Tools {
		if tool.ID == "" {
			panic("kombotest: Config.Tools: a tool has no ID")
		}
	}
	if config.Listener == nil {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			panic(fmt.Sprintf("kombotest: %v", err))
		}
		config.Listener = listener
	}
	if config.URL == "" {
		config.URL = "http://" + config.Listener.Addr().String()
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Server{
		url: strings.TrimRight(config.URL, "/"),
		webhook: http.Client{
			Timeout: 10 * time.Second, Transport: &http.Transport{},
			// A receiver that redirects, to its login page say, has not taken the webhook.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		limits:       config.Limits,
		inFlight:     map[string]int{},
		flows:        map[string]*flow{},
		activations:  map[string]string{},
		integrations: map[string]*integration{},
		issues:       map[issueKey]kombo.Issue{},
		failures:     map[string]failure{},
		webhookURL:   config.WebhookURL,
	}
	s.entropy = crypto.Reader
	seed := [32]byte{}
	_, _ = crypto.Read(seed[:])
	if config.Seed != 0 {
		seed = [32]byte{}
		binary.LittleEndian.PutUint64(seed[:], config.Seed)
		s.entropy = rand.NewChaCha8(seed)
	}
	s.random = rand.New(rand.NewChaCha8(seed)) //nolint:gosec // it is for what is no secret
	if config.APIKey == "" {
		config.APIKey = "kombotest-key-" + s.newID()
	}
	if config.WebhookSecret == "" {
		config.WebhookSecret = "kombotest-secret-" + s.newID()
	}
	s.config, s.webhookSecret = config, config.WebhookSecret
	s.changed = sync.NewCond(&s.mutex)
	s.context, s.stop = context.WithCancel(context.Background())
	s.mux = http.NewServeMux()
	s.serveAPI()
	s.servePages()
	s.http = http.Server{Handler: s.mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	s.background.Go(func() { _ = s.http.Serve(config.Listener) })
	return s
}

// Start starts a server that ends with the test, and a client that talks to it (see [Server.Client]). It ends
// the test where that fails.
func Start(tb testing.TB, config Config, options ...kombo.Option) (*Server, *kombo.Client) {
	tb.Helper()
	s := NewServer(config)
	tb.Cleanup(s.Close)
	client, err := s.Client(options...)
	if err != nil {
		tb.Fatal(err)
	}
	return s, client
}

// Close stops the server, deliveries under way included, and waits until nothing of it is left, but for
// handlers of [Server.Handle].
func (s *Server) Close() {
	s.mutex.Lock()
	s.closed = true
	s.mutex.Unlock()
	s.stop()
	_ = s.http.Close()
	s.background.Wait()
	s.webhook.CloseIdleConnections()
}

// begin counts something that Close has to wait for, which ends with a call of done. It is not ok
// once the server is closed.
func (s *Server) begin() (done func(), ok bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return nil, false
	}
	s.background.Add(1)
	return s.background.Done, true
}

// BaseURL returns the address of the API, for [kombo.WithBaseURL].
func (s *Server) BaseURL() string { return s.url + "/v1" }

// APIKey returns the key that the API accepts.
func (s *Server) APIKey() string { return s.config.APIKey }

// WebhookSecret returns the secret that signs the webhooks, for [kombo.NewWebhookVerifier].
func (s *Server) WebhookSecret() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.webhookSecret
}

// String describes the server without its secrets.
func (s *Server) String() string { return "kombotest.Server(" + s.url + ")" }

// GoString describes the server without its secrets.
func (s *Server) GoString() string { return s.String() }

// Client returns a client that talks to the server. It retries as every client does, but waits next
// to nothing in between, unless an answer asks for more by Retry-After. Options come on top: a
// [kombo.WithRetry] takes the place of those short waits.
func (s *Server) Client(options ...kombo.Option) (*kombo.Client, error) {
	return kombo.NewClient(s.config.APIKey, append([]kombo.Option{
		kombo.WithBaseURL(s.BaseURL()),
		kombo.WithRetry(kombo.RetryPolicy{BaseDelay: time.Millisecond}),
	}, options...)...)
}

// Handle lets the server answer requests that are none of Kombo's, for a program that shows or drives
// it. The pattern is one of [http.ServeMux]; it panics where the pattern is taken.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// change tells that the server's state has changed. The caller does not hold the mutex.
func (s *Server) change() {
	if s.config.OnChange != nil {
		s.config.OnChange()
	}
}
