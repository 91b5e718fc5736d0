package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var jarring = Operation{Method: http.MethodPost, Path: "/connect/create-link"}

// greedy changes every part of the request that a transport can change.
type greedy struct {
	base http.RoundTripper
	seen []string
}

func (g *greedy) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	willRetry, _ := r.GetBody()
	twice, _ := io.ReadAll(willRetry)
	g.seen = append(g.seen, fmt.Sprintf("%s %s %s %v %v %v %s %s %d %v",
		r.Method, r.URL, r.Host, r.Header, r.Trailer, r.TransferEncoding, body, twice, r.ContentLength, r.Close))
	response, err := g.base.RoundTrip(r)
	r.Header.Add("Accept", "text/html")
	r.Header.Set("Traceparent", "00-1")
	r.Header["Authorization"][0] = "Basic other"
	r.Header.Del("User-Agent")
	r.URL.Path += "/more"
	r.URL.RawQuery = "a=b"
	r.URL.Host = "other.example"
	r.Host = "other.example"
	r.Method = http.MethodPut
	r.Trailer = http.Header{"X": {"y"}}
	r.TransferEncoding = []string{"chunked"}
	r.ContentLength = 1
	r.Body = io.NopCloser(strings.NewReader("x"))
	r.GetBody = nil
	r.Close = true
	return response, err
}

// A change to the request of one attempt does not affect the next attempt.
func TestEachAttemptSendsAFreshRequest(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]step{"answered": {status: 503}, "cut": {err: errReset}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &greedy{base: &script{steps: []step{failing}}}
			transport := newTest(g, func(c *Config) { c.Retry.BaseDelay, c.Retry.MaxDelay = 1, 1 })
			_, _ = transport.Do(t.Context(), Request{Operation: jarring, IntegrationID: "personio:1", Body: []byte("{}")})
			want := []string{g.seen[0], g.seen[0], g.seen[0], g.seen[0]}
			if diff := cmp.Diff(want, g.seen); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// The values of headers are adjacent in memory: appending to one must not overwrite the next.
func TestHeadersCanBeAddedTo(t *testing.T) {
	t.Parallel()
	seen := &recorder{}
	transport := newTest(seen, nil)
	if _, err := transport.Do(t.Context(), Request{Operation: jarring, IntegrationID: "personio:1", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	before := seen.last.Header.Clone()
	for name := range before {
		seen.last.Header.Add(name, "more")
	}
	for name, values := range seen.last.Header {
		if want := slices.Concat(before[name], []string{"more"}); !cmp.Equal(want, values) {
			t.Errorf("%s = %q, want %q", name, values, want)
		}
	}
}

// If a load balancer moves the session to another node, each attempt sends the newest cookie once, even if the response
// that set it was cut off.
func TestCookiesOfRetries(t *testing.T) {
	t.Parallel()
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, strings.Join(r.Header["Cookie"], " | "))
		switch len(got) {
		case 1, 2:
			w.Header().Set("Set-Cookie", fmt.Sprintf("lb=node%d; Path=/", len(got)+1))
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			w.Header().Set("Set-Cookie", "lb=node4; Path=/")
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		default:
			_, _ = w.Write([]byte("{}"))
		}
	}))
	defer server.Close()
	jar := newJar(t, server.URL, &http.Cookie{Name: "lb", Value: "node1"})
	transport := newTest(nil, func(c *Config) {
		c.BaseURL, c.HTTPClient = server.URL, &http.Client{Jar: jar}
		c.Retry.BaseDelay, c.Retry.MaxDelay = 1, 1
	})
	resp, err := transport.Do(t.Context(), Request{Operation: jarring, Body: []byte("{}")})
	if err != nil || resp.StatusCode != 200 || resp.Attempts != 4 {
		t.Fatalf("response = %+v, %v", resp, err)
	}
	if diff := cmp.Diff([]string{"lb=node1", "lb=node2", "lb=node3", "lb=node4"}, got); diff != "" {
		t.Errorf("cookies (-want +got):\n%s", diff)
	}
}

func newJar(t *testing.T, address string, cookies ...*http.Cookie) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	jar.SetCookies(u, cookies)
	return jar
}

// After the time limit of an attempt, net/http may still read its request while the next attempt begins. The race
// detector finds memory that both share.
func TestAttemptsShareNothing(t *testing.T) {
	t.Parallel()
	cookies := make([]*http.Cookie, 20)
	for i := range cookies {
		cookies[i] = &http.Cookie{Name: fmt.Sprintf("cookie%d", i), Value: strings.Repeat("x", 50)}
	}
	tests := []struct {
		name     string
		callers  int
		calls    int
		attempts int
		limit    func(call int) time.Duration
		slow     time.Duration // of the server
	}{
		{"16 callers, tiny limits", 16, 6, 6, func(call int) time.Duration { return time.Duration(50+300*call) * time.Microsecond }, 0},
		{"64 callers, 100 ms", 64, 2, 3, func(int) time.Duration { return 100 * time.Millisecond }, 150 * time.Millisecond},
	}
	for _, test := range tests {
		for _, http2 := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, http2=%v", test.name, http2), func(t *testing.T) {
				t.Parallel()
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if test.slow > 0 {
						timer := time.NewTimer(test.slow)
						defer timer.Stop()
						select {
						case <-timer.C:
						case <-r.Context().Done():
						}
					}
					w.Header().Set("Set-Cookie", "cookie0=y; Path=/")
					_, _ = w.Write([]byte("{}"))
				}))
				server.Config.ErrorLog = noLog
				server.EnableHTTP2 = http2
				server.StartTLS()
				defer server.Close()
				client := server.Client()
				client.Jar = newJar(t, server.URL, cookies...)
				body := bytes.Repeat([]byte(" "), 4<<10)
				var wait sync.WaitGroup
				for range test.callers {
					wait.Go(func() {
						for call := range test.calls {
							transport := newTest(nil, func(c *Config) {
								c.BaseURL, c.HTTPClient, c.AttemptTimeout = server.URL, client, limit(test.limit(call))
								c.Retry = RetryPolicy{MaxAttempts: test.attempts, BaseDelay: 1, MaxDelay: 1}
							})
							resp, err := transport.Do(t.Context(), Request{Operation: jarring, Body: body})
							if failure, ok := errors.AsType[*CallError](err); err != nil && (!ok || failure.Attempts != test.attempts) || err == nil && resp.StatusCode != 200 {
								t.Errorf("response = %+v, %v", resp, err)
							}
						}
					})
				}
				wait.Wait()
			})
		}
	}
}

var noLog = log.New(io.Discard, "", 0)

// httptrace hooks of the caller or of another RoundTripper are called in addition to those of this package.
func TestHooksOfCallers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(server.Close)
	hooks := func(by string, seen *[]string, lock *sync.Mutex) *httptrace.ClientTrace {
		add := func(what string) {
			lock.Lock()
			defer lock.Unlock()
			*seen = append(*seen, by+" "+what)
		}
		return &httptrace.ClientTrace{
			GetConn:      func(string) { add("GetConn") },
			ConnectDone:  func(string, string, error) { add("ConnectDone") },
			GotConn:      func(httptrace.GotConnInfo) { add("GotConn") },
			WroteRequest: func(httptrace.WroteRequestInfo) { add("WroteRequest") },
		}
	}
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused=%v", refused), func(t *testing.T) {
			t.Parallel()
			var lock sync.Mutex
			var seen []string
			pool := &http.Transport{}
			defer pool.CloseIdleConnections()
			want := []string{
				"caller ConnectDone", "caller GetConn", "caller GotConn", "caller WroteRequest",
				"other ConnectDone", "other GetConn", "other GotConn", "other WroteRequest",
			}
			if refused {
				pool.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errReset }
				want = []string{"caller GetConn", "caller GetConn", "other GetConn", "other GetConn"}
			}
			transport := newTest(nil, func(c *Config) {
				c.BaseURL, c.HTTPClient = server.URL, &http.Client{Transport: pool}
				c.Retry = RetryPolicy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}
				c.Wrap = append(c.Wrap, func(base http.RoundTripper) http.RoundTripper {
					return roundTripper(func(r *http.Request) (*http.Response, error) {
						return base.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), hooks("other", &seen, &lock))))
					})
				})
			})
			ctx := httptrace.WithClientTrace(t.Context(), hooks("caller", &seen, &lock))
			_, err := transport.Do(ctx, Request{Operation: Operation{Method: http.MethodPost, Path: "/x", NonIdempotent: true}, Body: []byte("{}")})
			if refused != (err != nil) {
				t.Fatal(err)
			}
			lock.Lock()
			defer lock.Unlock()
			slices.Sort(seen)
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("hooks (-want +got):\n%s", diff)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
