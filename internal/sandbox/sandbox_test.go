package sandbox

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kombo-go/kombo/kombotest"
)

// A page of another site cannot control the sandbox of its visitor or read its keys.
func TestForeignPagesAreRefused(t *testing.T) {
	t.Parallel()
	srv := newSandbox(t, kombotest.Config{})
	port := srv.BaseURL()[strings.LastIndex(srv.BaseURL(), ":"):]
	port = strings.TrimSuffix(port, "/v1")
	tests := []struct {
		name, method, path, body string
		header                   []string
		want                     int
	}{
		{"a script", "POST", "/_sandbox/webhooks/hold", "", nil, 200},
		{"the dashboard", "POST", "/_sandbox/webhooks/hold", "", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"another site", "POST", "/_sandbox/webhooks/hold", "", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"another site in an old browser", "DELETE", "/_sandbox/faults", "", []string{"Origin", "https://evil.example"}, 403},
		{"a form", "POST", "/_sandbox/webhooks/release", `{"order":"in_order"}`, []string{"Content-Type", "text/plain"}, 400},
		{"localhost", "GET", "/_sandbox/state", "", []string{"Host", "localhost" + port}, 200},
		{"IPv6", "GET", "/_sandbox/state", "", []string{"Host", "[::1]" + port}, 200},
		{"a name that now leads here", "GET", "/_sandbox/state", "", []string{"Host", "evil.example" + port}, 421},
		{"a health probe by IP address", "GET", "/healthz", "", []string{"Host", "10.1.2.3" + port}, 200},
		{"a health probe by name", "GET", "/healthz", "", []string{"Host", "sandbox.default.svc"}, 200},
		{"a name without a port", "GET", "/", "", []string{"Host", "evil.example"}, 421},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if status, response := do(t, srv, test.method, test.path, test.body, test.header...); status != test.want {
				t.Errorf("%d %s, want %d", status, response, test.want)
			}
		})
	}
}

// Between containers, the sandbox is reachable by its configured name.
func TestNamedSandbox(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	newSandbox(t, kombotest.Config{URL: "http://kombo:8900", Listener: listener})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/_sandbox/state", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "kombo:8900"
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("status = %s", response.Status)
	}
}

// The event stream reports each change.
func TestStream(t *testing.T) {
	t.Parallel()
	told := make(chan struct{}, 100)
	srv := newSandbox(t, kombotest.Config{OnChange: func() { told <- struct{}{} }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(srv.BaseURL(), "/v1")+"/_sandbox/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for i := range 3 {
		for lines.Scan() && lines.Text() != "event: change" {
			continue
		}
		if lines.Text() != "event: change" {
			t.Fatalf("no event %d: %v", i, lines.Err())
		}
		ask(t, srv, "POST", "/_sandbox/webhooks/hold", "", "")
		<-told
	}
}
