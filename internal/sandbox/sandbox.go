// Package sandbox is a fake Kombo that a browser can watch and a script can drive: a
// [kombotest.Server], a dashboard at /, and a control API under /_sandbox/.
package sandbox

import (
	"embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

//go:embed dashboard
var dashboardFiles embed.FS

// sandbox is the state of the dashboard and the control API.
type sandbox struct {
	server  *kombotest.Server
	hosts   []string
	changes changes
	// patience is how long a call waits for its webhook, whose delivery then continues in the background.
	patience time.Duration

	mutex sync.Mutex
	late  []*lateCall
}

// Start starts a fake Kombo with a dashboard and a control API. Webhooks are delivered in the
// background, as the real Kombo does. Close the server when it is no longer needed.
func Start(config kombotest.Config) (*kombotest.Server, error) {
	return start(config, 2*time.Second)
}

func start(config kombotest.Config, patience time.Duration) (*kombotest.Server, error) {
	if config.WebhookSecret != "" {
		if _, err := kombo.NewWebhookVerifier(config.WebhookSecret); err != nil {
			return nil, err
		}
	}
	s := &sandbox{patience: patience}
	config.DeliverInBackground = true
	onChange := config.OnChange
	config.OnChange = func() {
		if onChange != nil {
			onChange()
		}
		s.changes.notify()
	}
	// The server accepts requests as soon as it is made: the handlers wait until s is complete.
	var ready sync.WaitGroup
	ready.Add(1)
	defer ready.Done()
	server := kombotest.NewServer(config)
	s.server = server
	s.hosts = []string{"localhost", "127.0.0.1", "::1"}
	if base, err := url.Parse(server.BaseURL()); err == nil {
		s.hosts = append(s.hosts, base.Hostname())
	}
	// A health probe names the sandbox by its IP address or not at all, and learns only that it runs.
	server.Handle("GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok\n")
	}))
	s.mount(func(pattern string, handler http.Handler) {
		server.Handle(pattern, s.guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ready.Wait()
			handler.ServeHTTP(w, r)
		})))
	})
	return server, nil
}

func (s *sandbox) mount(handle func(pattern string, handler http.Handler)) {
	for path, file := range map[string]string{
		"/{$}": "index.html", "/_sandbox/dashboard.css": "dashboard.css", "/_sandbox/dashboard.js": "dashboard.js",
	} {
		handle("GET "+path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "+
				"img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			http.ServeFileFS(w, r, dashboardFiles, "dashboard/"+file)
		}))
	}
	handle("GET /_sandbox/stream", http.HandlerFunc(s.stream))
	s.control(handle)
}

// guarded rejects requests of other web pages: those from another origin, and
// those for another host name (DNS rebinding). The control API returns the keys.
func (s *sandbox) guarded(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !slices.Contains(s.hosts, strings.Trim(host, "[]")) {
			http.Error(w, "the sandbox is not known under this name; start it with -url", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// stream reports to a browser that something has changed. The browser then gets the state.
func (s *sandbox) stream(w http.ResponseWriter, r *http.Request) {
	changed, stop := s.changes.listen()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	controller := http.NewResponseController(w)
	// Comments keep the connection open: proxies may close a silent one.
	ticker := time.NewTicker(20 * time.Second)
	defer ticker.Stop()
	for line := "event: change\ndata: {}\n\n"; ; {
		if _, err := fmt.Fprint(w, line); err != nil || controller.Flush() != nil {
			return
		}
		select {
		case <-changed:
			line = "event: change\ndata: {}\n\n"
		case <-ticker.C:
			line = ": still here\n\n"
		case <-r.Context().Done():
			return
		}
	}
}

// changes notifies listeners. A slow listener is notified once of several changes.
type changes struct {
	mutex     sync.Mutex
	listeners map[chan struct{}]bool
}

func (c *changes) listen() (changed <-chan struct{}, stop func()) {
	listener := make(chan struct{}, 1)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.listeners == nil {
		c.listeners = map[chan struct{}]bool{}
	}
	c.listeners[listener] = true
	return listener, func() {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		delete(c.listeners, listener)
	}
}

func (c *changes) notify() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for listener := range c.listeners {
		select {
		case listener <- struct{}{}:
		default:
		}
	}
}
