package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A failure before there is a connection proves that nothing was sent, so operations that are not idempotent are
// retried, too.
func TestFailuresBeforeTheConnection(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	mute, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	dial := func(dial func(context.Context) error) *http.Transport {
		return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, dial(ctx) }}
	}
	socks := func(address string) *http.Transport {
		return &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: address})}
	}
	tests := []struct {
		name    string
		baseURL string
		base    *http.Transport
		limit   time.Duration
		want    string
	}{
		{"refused", closed.URL, &http.Transport{}, 0, "refused"},
		{"refused by SOCKS", closed.URL, socks(closed.Listener.Addr().String()), 0, "refused"},
		{"error of a dialer", closed.URL, dial(func(context.Context) error { return errors.New("ssh: rejected") }), 0, "ssh: rejected"},
		{"dialer that hangs up", closed.URL, dial(func(context.Context) error { return io.EOF }), 0, "EOF"},
		// Long enough for net/http to ask for a connection on a busy machine.
		{"limit in the handshake", "https://" + mute.Addr().String(), &http.Transport{}, time.Second, "within 1s"},
		{"limit of the handshake", "https://" + mute.Addr().String(), &http.Transport{TLSHandshakeTimeout: 10 * time.Millisecond}, 0, "TLS handshake timeout"},
	}
	for _, test := range tests {
		for _, operation := range []Operation{read, once} {
			t.Run(test.name+"/"+operation.Method, func(t *testing.T) {
				t.Parallel()
				_, err := newTest(nil, func(c *Config) {
					c.BaseURL, c.HTTPClient, c.AttemptTimeout = test.baseURL, &http.Client{Transport: test.base}, limit(test.limit)
					c.Retry = RetryPolicy{MaxAttempts: 4, BaseDelay: 1, MaxDelay: 1}
				}).do(t.Context(), operation)
				failure, ok := errors.AsType[*CallError](err)
				if !ok || failure.Attempts != 4 || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error = %#v, want %q after 4 attempts", err, test.want)
				}
			})
		}
	}
}

// If the time limit of an attempt ends before there is a connection, nothing was sent either. The clock is that of synctest:
// a short limit in real time can end before net/http has asked for a connection, and then nothing is known.
func TestLimitBeforeTheConnection(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func() (net.Conn, error){
		"dialing": func() (net.Conn, error) {
			<-time.After(time.Minute)
			return nil, errors.New("too late")
		},
		"handshake": func() (net.Conn, error) {
			mute, _ := net.Pipe()
			return mute, nil
		},
	} {
		for _, operation := range []Operation{read, once} {
			t.Run(name+"/"+operation.Method, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					base := &http.Transport{
						TLSHandshakeTimeout: time.Minute,
						DialContext:         func(context.Context, string, string) (net.Conn, error) { return dial() },
					}
					defer func() { <-time.After(2 * time.Minute) }() // net/http goes on with the connections, for later requests
					_, err := newTest(base, func(c *Config) {
						c.AttemptTimeout, c.Retry = limit(10*time.Second), RetryPolicy{MaxAttempts: 4, BaseDelay: 1, MaxDelay: 1}
					}).do(t.Context(), operation)
					failure, ok := errors.AsType[*CallError](err)
					if !ok || failure.Attempts != 4 || !strings.Contains(err.Error(), "within 10s") {
						t.Errorf("error = %#v, want \"within 10s\" after 4 attempts", err)
					}
				})
			})
		}
	}
}

// The connection pool of this package knows the status with which a proxy refuses CONNECT, with any text.
func TestRefusedConnect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		line     string
		attempts int
		pool     string // the error with the pool of this package
		net      string // with another Transport
	}{
		{"407 Proxy Authentication Required", 1, "the proxy refused to connect: 407 Proxy Authentication Required", "Proxy Authentication Required"},
		{"407 proxy authorization needed", 1, "the proxy refused to connect: 407 Proxy Authentication Required", "proxy authorization needed"},
		{"403 Forbidden", 1, "the proxy refused to connect: 403 Forbidden", "Forbidden"},
		{"502 Bad Gateway", 4, "the proxy refused to connect: 502 Bad Gateway", "Bad Gateway"},
		{"503 Try willRetry later", 4, "the proxy refused to connect: 503 Service Unavailable", "Try willRetry later"},
		{"504 Gateway Timeout", 4, "the proxy refused to connect: 504 Gateway Timeout", "Gateway Timeout"},
		{"429 Too Many Requests", 4, "the proxy refused to connect: 429 Too Many Requests", "Too Many Requests"},
	}
	for _, test := range tests {
		for _, pooled := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/pool=%v", test.line, pooled), func(t *testing.T) {
				t.Parallel()
				proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					connection, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.WriteString(connection, "HTTP/1.1 "+test.line+"\r\nContent-Length: 0\r\n\r\n")
					_ = connection.Close()
				}))
				defer proxy.Close()
				address, err := url.Parse(proxy.URL)
				if err != nil {
					t.Fatal(err)
				}
				base, want := &http.Transport{}, test.net
				if pooled {
					base, want = newPool(), test.pool
				}
				base.Proxy = http.ProxyURL(address)
				for _, operation := range []Operation{read, once} {
					_, err := newTest(base, func(c *Config) {
						c.Retry = RetryPolicy{MaxAttempts: 4, BaseDelay: 1, MaxDelay: 1}
					}).do(t.Context(), operation)
					failure, ok := errors.AsType[*CallError](err)
					if !ok || failure.Attempts != test.attempts || err.Error() != want {
						t.Errorf("%s: error = %#v, want %q after %d attempts", operation.Method, err, want, test.attempts)
					}
				}
			})
		}
	}
}

// Each alert ends the handshake of a real connection.
func TestAlerts(t *testing.T) {
	t.Parallel()
	for alert := range tls.AlertError(128) {
		if alert == 0 {
			continue // close_notify is an orderly close
		}
		t.Run(alert.Error(), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = noLog
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				_, err := hello.Conn.Write([]byte{21, 3, 3, 0, 2, 2, byte(alert)})
				return nil, errors.Join(errors.New("the handshake is over"), err)
			}}
			server.StartTLS()
			defer server.Close()
			_, err := newTest(nil, func(c *Config) {
				c.BaseURL, c.HTTPClient = server.URL, server.Client()
				c.Retry = RetryPolicy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}
			}).do(t.Context(), once)
			want := 2
			if slices.Contains(permanentAlerts[:], alert) {
				want = 1
			}
			if failure, ok := errors.AsType[*CallError](err); !ok || failure.Attempts != want {
				t.Errorf("error = %#v, want %d attempts", err, want)
			}
		})
	}
}
