package kombotest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// Config configures a [Server]. The zero value is fine.
type Config struct {
	// APIKey is the only key that the API accepts; "" means a random one.
	APIKey string
	// WebhookURL is where webhooks are delivered; "" means nowhere, until [Server.SetWebhookURL].
	WebhookURL string
	// WebhookSecret signs the webhooks; "" means a random one.
	WebhookSecret string

	// Redelivery configures the retries of webhooks that were not accepted.
	Redelivery Redelivery
	// DeliverInBackground lets [Server.CompleteFlow] and the other methods that cause events return before the webhooks
	// are delivered, as with the real Kombo; [Server.Wait] waits for them.
	DeliverInBackground bool
	// Limits are those of the API; see [Server.SetLimits].
	Limits Limits
	// Tools are added to those that the server knows, and replace those with the same ID.
	Tools []Tool
	// StrictTools rejects slugs of tools that the server does not know. Without it, every slug of lower-case letters and
	// digits can be connected, because Kombo's list may be longer than the one of this package.
	StrictTools bool
	// Fields and CustomFields are those of every integration; nil means a few samples of its category. Each ID must
	// be unique.
	Fields       []kombo.IntegrationField
	CustomFields []kombo.CustomField
	// FirstSyncPending leaves new integrations in [kombo.SetupStatusFinalSyncPending] when their setup is done, until
	// [Server.FinishSync]. Until then their data cannot be read: INTEGRATION.SETUP_SYNC_PENDING. Without it, data can be read as
	// soon as it is put.
	FirstSyncPending bool
	// Passthrough responds for the tools behind the integrations; nil means that they echo the request. The
	// Data of the request is a [json.RawMessage], the JSON that the service has sent, or nil. An empty
	// URL and StatusCode mean those of a success. It may be called concurrently.
	Passthrough func(integrationID, tool, api string, request kombo.PassthroughRequest) kombo.PassthroughResponse

	// Now is the clock of links, integrations, webhooks, records and the rate limit; nil means
	// [time.Now]. Delays and the waits between deliveries are real. A rate limit does not end while the clock stands
	// still. It may be called concurrently, and must not call the server.
	Now func() time.Time
	// Seed makes ids, tokens and random secrets the same in every run: they depend on the seed
	// and on how many were made before. 0 means random ones. Use a seed in tests
	// only: whoever knows it knows all tokens.
	Seed uint64

	// Listener is where the server listens; nil means a free port of 127.0.0.1. The server closes
	// it.
	Listener net.Listener
	// URL is the address at which others reach the server, and the beginning of its links; "" means
	// http:// and the listener's address.
	URL string

	// OnRequest is called for each request of the API before its response is sent, OnDelivery for each
	// attempt to deliver a webhook, and OnChange after both and whenever a link, an
	// integration or a fault has changed. They may be called concurrently, and the request or delivery waits until they return.
	// They may read the server's state, but must not close it, wait for it
	// or change it.
	OnRequest  func(Request)
	OnDelivery func(Delivery)
	OnChange   func()
}

// Server is a fake Kombo. It is safe for concurrent use.
type Server struct {
	url     string
	config  Config
	tools   toolset
	mux     *http.ServeMux
	http    http.Server
	webhook http.Client

	// Close cancels context and waits for background.
	background sync.WaitGroup
	context    context.Context //nolint:containedctx // it is the server's life, not a call's
	stop       context.CancelFunc

	// gate has everything that changes; see withState and change.
	gate *gate
}

// NewServer starts a server. Close it when it is no longer needed. It panics if it cannot listen on
// a loopback address, as [net/http/httptest.NewServer] does, if a tool of the config
// has no ID, and if [kombo.NewWebhookVerifier] rejects the webhook secret. In tests, [Start] is shorter.
func NewServer(config Config) *Server {
	if slices.ContainsFunc(config.Tools, func(t Tool) bool { return t.ID == "" }) {
		panic("kombotest: Config.Tools: a tool has no ID")
	}
	if config.WebhookSecret != "" {
		checkWebhookSecret(config.WebhookSecret)
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
	config.URL = strings.TrimRight(config.URL, "/")
	if config.Now == nil {
		config.Now = time.Now
	}
	st := newState(config)
	if config.APIKey == "" {
		config.APIKey = "kombotest-key-" + st.newID()
	}
	if config.WebhookSecret == "" {
		config.WebhookSecret = "kombotest-secret-" + st.newID()
	}
	st.webhookSecret = config.WebhookSecret
	s := &Server{
		url: config.URL, config: config, tools: st.tools, mux: http.NewServeMux(), gate: newGate(st, config.Now),
		webhook: http.Client{
			Timeout: 10 * time.Second, Transport: &http.Transport{},
			// A receiver that redirects, for example to its login page, has not accepted the webhook.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	s.context, s.stop = context.WithCancel(context.Background())
	s.serveAPI()
	s.servePages()
	s.http = http.Server{Handler: s.mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	s.background.Go(func() { _ = s.http.Serve(config.Listener) })
	return s
}

// Start starts a server that is closed at the end of the test, and a client for it (see [Server.Client]). If that
// fails, it ends the test.
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

// Close stops the server and the deliveries under way, and waits until all its goroutines have ended, except
// handlers of [Server.Handle].
func (s *Server) Close() {
	s.withState(func(st *state) { st.closed = true })
	s.stop()
	_ = s.http.Close()
	s.background.Wait()
	s.webhook.CloseIdleConnections()
}

// begin registers work that Close has to wait for, until done is called. It is not ok
// once the server is closed.
func (s *Server) begin() (done func(), ok bool) {
	s.withState(func(st *state) {
		if ok = !st.closed; ok {
			s.background.Add(1)
		}
	})
	return s.background.Done, ok
}

// BaseURL returns the address of the API, for [kombo.WithBaseURL].
func (s *Server) BaseURL() string { return s.url + "/v1" }

// APIKey returns the key that the API accepts.
func (s *Server) APIKey() string { return s.config.APIKey }

// String describes the server without its secrets.
func (s *Server) String() string { return "kombotest.Server(" + s.url + ")" }

// GoString describes the server without its secrets.
func (s *Server) GoString() string { return s.String() }

// Client returns a client for the server. It retries as every client does, but with waits of about a millisecond
// unless a response has a Retry-After. Options are applied after these: [kombo.WithRetry]
// replaces the short waits.
func (s *Server) Client(options ...kombo.Option) (*kombo.Client, error) {
	return kombo.NewClient(s.config.APIKey, append([]kombo.Option{
		kombo.WithBaseURL(s.BaseURL()),
		kombo.WithRetry(kombo.RetryPolicy{BaseDelay: time.Millisecond}),
	}, options...)...)
}

// Handle adds a handler for requests that are not Kombo's, for a program that shows or drives
// the server. The pattern is one of [http.ServeMux]; Handle panics if it is taken.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }
