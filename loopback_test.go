package kombo_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// 64 callers need 64 connections, not one for each call. They call in rounds, all at once: the server sends no response
// before it has all requests of a round.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	const callers, rounds = 64, 50
	var connections atomic.Int64
	everybody := newMeeting(callers)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		everybody.wait()
		respondWithLink(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := newClient(t, kombo.WithBaseURL(server.URL+"/v1"))
	for range rounds {
		var wait sync.WaitGroup
		for range callers {
			wait.Go(func() {
				if _, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
	}
	t.Logf("%d calls by %d callers opened %d connections", callers*rounds, callers, connections.Load())
	if got := connections.Load(); got > callers+callers/8 {
		t.Errorf("%d calls by %d callers opened %d connections", callers*rounds, callers, got)
	}
}

// meeting blocks its callers until all of them have arrived, in each round.
type meeting struct {
	mutex    sync.Mutex
	size     int
	missing  int
	complete chan struct{}
}

func newMeeting(size int) *meeting {
	return &meeting{size: size, missing: size, complete: make(chan struct{})}
}

func (m *meeting) wait() {
	m.mutex.Lock()
	complete := m.complete
	if m.missing--; m.missing == 0 {
		close(complete)
		m.missing, m.complete = m.size, make(chan struct{})
	}
	m.mutex.Unlock()
	<-complete
}

// A failed response or call does not affect other connections or the caller's pool.
func TestFailuresKeepIdleConnections(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(bytes.Repeat([]byte("x"), 100<<10))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := newClient(t, kombo.WithBaseURL(server.URL), quick, kombo.WithHTTPClient(&http.Client{Transport: transport}))
	for range 5 {
		if _, err := client.CheckAPIKey(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("20 attempts opened %d connections, want 1", got)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{"", "/elsewhere", "https://other.example/?token=eyJhbGciOiJIUzI1NiJ9", "http://%zz"} {
			var elsewhere atomic.Int64
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/v1/") {
					elsewhere.Add(1)
				}
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(status)
			}, kombo.WithHTTPClient(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}))
			err := client.Integrations.Delete(t.Context(), testIntegrationID)
			var kerr *kombo.Error
			if !errors.Is(err, kombo.ErrUnexpectedResponse) || !errors.As(err, &kerr) || kerr.StatusCode != status || kerr.Attempts != 1 {
				t.Errorf("%d to %q: %v", status, location, err)
			}
			if elsewhere.Load() != 0 {
				t.Errorf("%d to %q was followed", status, location)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "other.example") {
				t.Errorf("%d: the error contains the Location: %v", status, err)
			}
		}
	}
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	good := `{"status":"success","data":{"link":"` + testLink + `"}}`
	tests := []struct{ name, raw string }{
		{"cut before the headers", ""},
		{"cut in the headers", head},
		{"cut before the body", head + "Content-Length: 100\r\n\r\n"},
		{"cut in the body", head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(good)+1, good)},
		{"cut in a chunk", head + "Transfer-Encoding: chunked\r\n\r\n20\r\n{\"status\""},
		{"cut after a chunk", head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(good), good)},
		{"no HTTP", "220 mail.example ESMTP\r\n"},
		{"two lengths", head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			broken := hijack(t, test.raw)
			client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) < 4 {
					broken(w, r)
					return
				}
				respondWithLink(w, r)
			})
			link, err := client.Connect.CreateLink(t.Context(), linkRequest)
			if err != nil || link.URL != testLink || requests.Load() != 4 {
				t.Errorf("CreateLink = %v, %v after %d requests, want success with the fourth", link, err, requests.Load())
			}

			requests.Store(-1000)
			_, err = client.Connect.CreateLink(t.Context(), linkRequest)
			var kerr *kombo.Error
			if !errors.Is(err, kombo.ErrNetwork) || !errors.As(err, &kerr) || kerr.Attempts != 4 || kerr.StatusCode != 0 {
				t.Errorf("error = %v, want ErrNetwork after 4 attempts", err)
			}
		})
	}
}

func TestSlowBodyEndsWithTheTimeLimit(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":`)
		_ = http.NewResponseController(w).Flush()
		<-done
	}, kombo.WithTimeout(50*time.Millisecond), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	defer close(done)
	_, err := client.CheckAPIKey(t.Context())
	if !errors.Is(err, kombo.ErrNetwork) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error = %v, want ErrNetwork and os.ErrDeadlineExceeded", err)
	}
}

// After a 101, the connection belongs to another protocol, and net/http does not end it.
func TestSwitchingProtocolsIsNotAResponse(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	client, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
		<-done
		_ = connection.Close()
	})
	defer close(done)
	_, err := client.CheckAPIKey(t.Context())
	if !errors.Is(err, kombo.ErrUnexpectedResponse) {
		t.Errorf("error = %v, want ErrUnexpectedResponse", err)
	}
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	client, server := serve(t, respondWithLink)
	server.Close()
	_, err := client.Connect.CreateLink(t.Context(), linkRequest)
	var kerr *kombo.Error
	var netErr *net.OpError
	if !errors.Is(err, kombo.ErrNetwork) || !errors.As(err, &kerr) || kerr.Attempts != 4 || !errors.As(err, &netErr) {
		t.Errorf("error = %v, want ErrNetwork after 4 attempts", err)
	}
}

func TestUntrustedCertificateIsNotRetried(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(respondWithLink))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	_, err := newClient(t, kombo.WithBaseURL(server.URL), quick).CheckAPIKey(t.Context())
	var kerr *kombo.Error
	var unknown x509.UnknownAuthorityError
	if !errors.Is(err, kombo.ErrNetwork) || !errors.As(err, &kerr) || kerr.Attempts != 1 || !errors.As(err, &unknown) {
		t.Errorf("error = %v, want one attempt and x509.UnknownAuthorityError", err)
	}
}

func TestPlainHTTPOnATLSPortIsNotRetried(t *testing.T) {
	t.Parallel()
	_, server := serve(t, respondWithLink)
	client := newClient(t, quick, kombo.WithBaseURL(strings.Replace(server.URL, "http:", "https:", 1)))
	_, err := client.CheckAPIKey(t.Context())
	var kerr *kombo.Error
	if !errors.Is(err, kombo.ErrNetwork) || !errors.As(err, &kerr) || kerr.Attempts != 1 {
		t.Errorf("error = %v, want one attempt", err)
	}
}

func TestTLSAndHTTP2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("protocol = %s", r.Proto)
		}
		respondWithLink(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12},
	}
	defer transport.CloseIdleConnections()
	client := newClient(t, kombo.WithBaseURL(server.URL), kombo.WithHTTPClient(&http.Client{Transport: transport}))
	if _, err := client.Connect.CreateLink(t.Context(), linkRequest); err != nil {
		t.Error(err)
	}
}

func TestPathValuesArriveAsOneSegment(t *testing.T) {
	t.Parallel()
	for _, id := range []string{testIntegrationID, "a/b", "..a/b..", "a?b#c", "%2e%2e", "ä ö+ü", "\r\nX: y"} {
		mux := http.NewServeMux()
		got := ""
		mux.HandleFunc("DELETE /v1/integrations/{id}", func(w http.ResponseWriter, r *http.Request) {
			got = r.PathValue("id")
			_, _ = io.WriteString(w, `{"status":"success","data":{}}`)
		})
		client, _ := serve(t, mux.ServeHTTP)
		if err := client.Integrations.Delete(t.Context(), id); err != nil || got != id {
			t.Errorf("%q arrived as %q, %v", id, got, err)
		}
	}
}
