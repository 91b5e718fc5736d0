package kombo_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"go/version"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

var updateFaults = flag.Bool("update-faults", false, "write docs/faults.md")

// A faultyCall is an operation that meets the faults.
type faultyCall struct {
	kind     string
	response string
	call     func(context.Context, *kombo.Client) error
}

var faultyCalls = [...]faultyCall{
	{
		"read",
		`{"status":"success","data":{"id":"` + testIntegrationID + `","tool":{"id":"personio"},"status":"ACTIVE","setup_status":"COMPLETED"}}`,
		func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.Get(ctx, testIntegrationID)
			return err
		},
	},
	{
		"link",
		`{"status":"success","data":{"link":"` + testLink + `"}}`,
		func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Connect.CreateLink(ctx, linkRequest)
			return err
		},
	},
	{
		"delete",
		`{"status":"success","data":{}}`,
		func(ctx context.Context, c *kombo.Client) error {
			return c.Integrations.Delete(ctx, testIntegrationID)
		},
	},
	{
		"sync",
		`{"status":"success","data":{"sync_id":"sync","already_queued":false,"type":"FULL"}}`,
		func(ctx context.Context, c *kombo.Client) error {
			_, err := c.Integrations.Sync(ctx, testIntegrationID, kombo.SyncFull)
			return err
		},
	},
	{
		"action",
		`{"status":"success","data":{"id":"application"},"warnings":[]}`,
		func(ctx context.Context, c *kombo.Client) error {
			_, err := kombo.Call[employee](ctx, c, kombo.Request{
				Method: http.MethodPost, Path: "/ats/jobs/{job_id}/applications", PathValues: []string{"job"},
				IntegrationID: testIntegrationID, Body: map[string]any{"candidate": map[string]string{"first_name": "Ada"}},
			})
			return err
		},
	},
}

// outcomes are the expected cells of a row: for read, link, delete, sync and action.
type outcomes [len(faultyCalls)]string

func everywhere(outcome string) outcomes {
	return outcomes{outcome, outcome, outcome, outcome, outcome}
}

// retried is the row of a fault after which only idempotent operations are retried.
func retried(outcome, actOnce string) outcomes {
	return outcomes{outcome, outcome, outcome, actOnce, actOnce}
}

// contextEnd is the moment at which the context of the call ends.
type contextEnd int

const (
	endsNever contextEnd = iota
	endsBefore
	endsInCall
	endsInBody
	endsInBackoff
	deadlineInCall
	deadlineInBackoff
)

type fault struct {
	name string
	// respond is what the server does, over HTTP/1.1 unless http2 is set.
	respond func(call faultyCall) http.HandlerFunc
	// frames replaces respond: it writes HTTP/2 frames itself.
	frames func(call faultyCall, c *frameConn, stream uint32)
	// times is the number of requests that meet the fault; zero means all.
	times int64

	http2, untrusted, refused bool
	// alert is a TLS alert that ends the handshake; clientCert is the TLS version in which the server requires a
	// certificate of the client.
	alert      byte
	clientCert uint16
	// proxied sends the request to the server as to a proxy. connect is the status line with which a proxy
	// refuses CONNECT.
	proxied bool
	connect string
	// kept makes the call reuse a connection.
	kept    bool
	timeout time.Duration
	context contextEnd
	// cause is the cause of the context.
	cause error
	// pause is the least time between the first two requests.
	pause time.Duration
	want  outcomes
	// newer has the cells that differ with Go 1.27.
	newer outcomes
}

func (f *fault) expected() outcomes {
	if f.newer != (outcomes{}) && version.Compare(runtime.Version(), "go1.27") >= 0 {
		return f.newer
	}
	return f.want
}

// attemptLimit is the time limit of an attempt if the fault is a slow server. A request arrives within it even on a
// busy machine, and it is less than the second that net/http waits before it resends a refused stream again.
const attemptLimit = 800 * time.Millisecond

var faults = []fault{
	{name: "none", respond: respondWell, want: everywhere("nil, 1")},
	{name: "none, HTTP/2", respond: respondWell, http2: true, want: everywhere("nil, 1")},

	{name: "refused connection", refused: true, want: everywhere("ErrNetwork, 4 (0 at the server)")},
	{name: "reset before the headers", respond: reset(""), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{name: "reset before the headers, once", respond: reset(""), times: 1, want: retried("nil, 2", "ErrNetwork, 1")},
	{
		name: "reset of a kept connection, once", respond: reset(""), times: 1, kept: true,
		// net/http resends a GET if a reused connection turns out to be closed.
		want: outcomes{"nil, 1 (2 at the server)", "nil, 2", "nil, 2", "ErrNetwork, 1", "ErrNetwork, 1"},
	},
	{name: "reset in the headers", respond: reset("HTTP/1.1 200 OK\r\nContent-Ty"), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{name: "reset after the headers", respond: reset("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{name: "cut body, by its length", respond: withLength(1), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{name: "cut body, chunked", respond: cutChunk, want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{name: "Content-Length too small", respond: withLength(-1), want: everywhere("200 ErrUnexpectedResponse, 1")},
	{name: "Content-Length no number", respond: raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{name: "two Content-Lengths", respond: raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{
		name: "slow headers", respond: slowHeaders, timeout: attemptLimit,
		want: retried("ErrNetwork os.ErrDeadlineExceeded, 4", "ErrNetwork os.ErrDeadlineExceeded, 1"),
	},
	{
		name: "slow body", respond: slowBody, timeout: attemptLimit,
		want: retried("ErrNetwork os.ErrDeadlineExceeded, 4", "ErrNetwork os.ErrDeadlineExceeded, 1"),
	},
	{name: "response over the cap", respond: overTheCap, want: everywhere("200 ErrUnexpectedResponse, 1")},
	{name: "success that is HTML", respond: withStatus(200, "text/html", "<html>hello</html>"), want: everywhere("200 ErrUnexpectedResponse, 1")},
	{name: "success that is empty", respond: withStatus(204, "", ""), want: everywhere("204 ErrUnexpectedResponse, 1")},

	{name: "500, plain text", respond: withStatus(500, "text/plain", "oops"), want: retried("500 ErrUnexpectedResponse, 4", "500 ErrUnexpectedResponse, 1")},
	{name: "502, HTML", respond: withStatus(502, "text/html", "<html>Bad Gateway</html>"), want: retried("502 ErrUnexpectedResponse, 4", "502 ErrUnexpectedResponse, 1")},
	{name: "503, empty", respond: withStatus(503, "", ""), want: retried("503 ErrUnexpectedResponse, 4", "503 ErrUnexpectedResponse, 1")},
	{name: "503, empty, once", respond: withStatus(503, "", ""), times: 1, want: retried("nil, 2", "503 ErrUnexpectedResponse, 1")},
	{name: "504, empty", respond: withStatus(504, "", ""), want: retried("504 ErrUnexpectedResponse, 4", "504 ErrUnexpectedResponse, 1")},
	{name: "501, empty", respond: withStatus(501, "", ""), want: everywhere("501 ErrUnexpectedResponse, 1")},
	{
		name: "502, then 404 by Kombo", respond: firstThen(withStatus(502, "", ""), withStatus(404, "application/json", komboError("PLATFORM.INTEGRATION_NOT_FOUND"))),
		want: outcomes{"404 ErrIntegrationNotFound, 2", "404 ErrIntegrationNotFound, 2", "nil, 2", "502 ErrUnexpectedResponse, 1", "502 ErrUnexpectedResponse, 1"},
	},
	{
		name: "404, cut, then 404 by Kombo", respond: firstThen(reset("HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n{"), withStatus(404, "application/json", komboError("PLATFORM.INTEGRATION_NOT_FOUND"))),
		want: retried("404 ErrIntegrationNotFound, 2", "ErrNetwork, 1"),
	},

	{name: "500, PLATFORM.UNKNOWN_ERROR", respond: failed(500, "PLATFORM.UNKNOWN_ERROR"), want: retried("500 *Error, 4", "500 *Error, 1")},
	{name: "503, REMOTE.SERVICE_UNAVAILABLE", respond: failed(503, "REMOTE.SERVICE_UNAVAILABLE"), want: everywhere("503 *Error, 4")},
	{name: "400, REMOTE.SERVICE_UNAVAILABLE, once", respond: failed(400, "REMOTE.SERVICE_UNAVAILABLE"), times: 1, want: everywhere("nil, 2")},
	{name: "500, PLATFORM.RATE_LIMIT_EXCEEDED", respond: failed(500, "PLATFORM.RATE_LIMIT_EXCEEDED"), want: everywhere("500 ErrRateLimited, 4")},
	{name: "409, PLATFORM.CONCURRENCY_LIMIT_EXCEEDED, once", respond: failed(409, "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"), times: 1, want: everywhere("nil, 2")},
	{name: "502, REMOTE.RATE_LIMIT_EXCEEDED", respond: failed(502, "REMOTE.RATE_LIMIT_EXCEEDED"), want: everywhere("502 ErrRateLimited, 4")},
	{name: "500, PLATFORM.INTEGRATION_NOT_FOUND", respond: failed(500, "PLATFORM.INTEGRATION_NOT_FOUND"), want: everywhere("500 ErrIntegrationNotFound, 1")},
	{name: "503, PLATFORM.INPUT_INVALID", respond: failed(503, "PLATFORM.INPUT_INVALID"), want: everywhere("503 ErrInvalidInput, 1")},
	{name: "503, INTEGRATION.SETUP_SYNC_PENDING", respond: failed(503, "INTEGRATION.SETUP_SYNC_PENDING"), want: everywhere("503 ErrIntegrationNotReady, 1")},
	{name: "429, PLATFORM.AUTHENTICATION_INVALID", respond: failed(429, "PLATFORM.AUTHENTICATION_INVALID"), want: everywhere("429 ErrAuthentication, 1")},
	{name: "500, ATS.JOB_CLOSED", respond: failed(500, "ATS.JOB_CLOSED"), want: everywhere("500 *Error, 1")},
	{
		name: "503, PLATFORM.RATE_LIMIT_EXCEEDED, then 404 by Kombo", respond: firstThen(failed(503, "PLATFORM.RATE_LIMIT_EXCEEDED"), failed(404, "PLATFORM.INTEGRATION_NOT_FOUND")),
		want: everywhere("404 ErrIntegrationNotFound, 2"),
	},

	{name: "429", respond: rateLimited(nil), want: everywhere("429 ErrRateLimited, 4")},
	{name: "429, Retry-After: 1, once", respond: rateLimited(fixedValue("1")), times: 1, pause: time.Second, want: everywhere("nil, 2")},
	{name: "429, Retry-After: a date, once", respond: rateLimited(dateIn(2 * time.Second)), times: 1, pause: time.Second, want: everywhere("nil, 2")},
	{name: "429, Retry-After: a past date", respond: rateLimited(dateIn(-time.Hour)), want: everywhere("429 ErrRateLimited, 4")},
	{name: "429, Retry-After: longer than MaxRetryAfter", respond: rateLimited(fixedValue("31")), want: everywhere("429 ErrRateLimited, 1")},
	{name: "429, Retry-After: a date after MaxRetryAfter", respond: rateLimited(dateIn(time.Hour)), want: everywhere("429 ErrRateLimited, 1")},
	{name: "429, Retry-After: huge", respond: rateLimited(fixedValue("99999999999999999999")), want: everywhere("429 ErrRateLimited, 1")},
	{name: "429, Retry-After: negative", respond: rateLimited(fixedValue("-5")), want: everywhere("429 ErrRateLimited, 4")},
	{name: "429, Retry-After: garbage", respond: rateLimited(fixedValue("soon")), want: everywhere("429 ErrRateLimited, 4")},

	{name: "429, Retry-After-Ms: 500, once", respond: limitedWith("Retry-After-Ms", "500"), times: 1, pause: 500 * time.Millisecond, want: everywhere("nil, 2")},
	{name: "429, Retry-After-Ms: longer than MaxRetryAfter", respond: limitedWith("Retry-After-Ms", "30001", "Retry-After", "1"), want: everywhere("429 ErrRateLimited, 1")},
	{name: "429, RateLimit-Reset: 1, once", respond: limitedWith("RateLimit-Reset", "1", "RateLimit-Remaining", "0"), times: 1, pause: time.Second, want: everywhere("nil, 2")},
	{name: "429, RateLimit-Reset: longer than MaxRetryAfter", respond: limitedWith("RateLimit-Reset", "57"), want: everywhere("429 ErrRateLimited, 1")},
	{name: "429, RateLimit-Reset of a limit that was not exceeded", respond: limitedWith("RateLimit-Reset", "57", "RateLimit-Remaining", "3"), want: everywhere("429 ErrRateLimited, 4")},
	{
		name:    "429, Retry-After: a date, and a clock that is wrong",
		respond: limitedWith("Retry-After", "Wed, 21 Oct 2015 07:28:01 GMT", "Date", "Wed, 21 Oct 2015 07:28:00 GMT"), times: 1, pause: time.Second, want: everywhere("nil, 2"),
	},

	{name: "gzip", respond: encoded("gzip", compress), want: everywhere("nil, 1")},
	{name: "Content-Encoding: gzip, not compressed", respond: encoded("gzip", uncompressed), want: everywhere("200 ErrUnexpectedResponse, 1")},
	{name: "Content-Encoding: gzip, not compressed, 404", respond: encodedError(404, "PLATFORM.INTEGRATION_NOT_FOUND"), want: everywhere("404 ErrUnexpectedResponse, 1")},
	{name: "Content-Encoding: gzip, not compressed, 503", respond: encodedError(503, "PLATFORM.UNKNOWN_ERROR"), want: retried("503 ErrUnexpectedResponse, 4", "503 ErrUnexpectedResponse, 1")},
	{name: "truncated gzip", respond: encoded("gzip", shortened), want: everywhere("200 ErrUnexpectedResponse, 1")},
	{name: "gzip with a bad checksum", respond: encoded("gzip", badChecksum), want: everywhere("200 ErrUnexpectedResponse, 1")},
	{name: "Content-Encoding: br", respond: encoded("br", uncompressed), want: everywhere("200 ErrUnexpectedResponse, 1")},
	{name: "Content-Encoding: utf-8", respond: encoded("utf-8", uncompressed), want: everywhere("nil, 1")},
	{name: "cut gzip", respond: cutGzip, want: retried("ErrNetwork, 4", "ErrNetwork, 1")},

	{name: "407 of a proxy", respond: withStatus(407, "text/html", "<html>password</html>"), proxied: true, want: everywhere("407 ErrUnexpectedResponse, 1")},
	{name: "CONNECT refused, 407", connect: "407 Proxy Authentication Required", respond: respondWell, want: everywhere("ErrNetwork, 1 (0 at the server)")},
	{name: "CONNECT refused, 403", connect: "403 Forbidden", respond: respondWell, want: everywhere("ErrNetwork, 1 (0 at the server)")},
	{name: "CONNECT refused, 502", connect: "502 Bad Gateway", respond: respondWell, want: everywhere("ErrNetwork, 4 (0 at the server)")},
	{name: "CONNECT refused, 503, in other words", connect: "503 Try again later", respond: respondWell, want: everywhere("ErrNetwork, 4 (0 at the server)")},

	{name: "redirect, 302", respond: redirect(302), want: everywhere("302 ErrUnexpectedResponse, 1")},
	{name: "redirect, 307", respond: redirect(307), want: everywhere("307 ErrUnexpectedResponse, 1")},
	{name: "untrusted certificate", respond: respondWell, http2: true, untrusted: true, want: everywhere("ErrNetwork x509.UnknownAuthorityError, 1 (0 at the server)")},
	{name: "TLS alert: handshake failure", alert: 40, respond: respondWell, want: everywhere("ErrNetwork, 1 (0 at the server)")},
	{name: "TLS alert: protocol version", alert: 70, respond: respondWell, want: everywhere("ErrNetwork, 1 (0 at the server)")},
	{name: "TLS alert: unrecognized name", alert: 112, respond: respondWell, want: everywhere("ErrNetwork, 1 (0 at the server)")},
	{name: "TLS alert: internal error", alert: 80, respond: respondWell, want: everywhere("ErrNetwork, 4 (0 at the server)")},
	{name: "client certificate required, TLS 1.2", clientCert: tls.VersionTLS12, respond: respondWell, want: everywhere("ErrNetwork, 1 (0 at the server)")},
	{name: "client certificate required, TLS 1.3", clientCert: tls.VersionTLS13, respond: respondWell, want: everywhere("ErrNetwork, 1 (0 at the server)")},

	{
		name: "HTTP/2 GOAWAY without the request, once", frames: goAway(false), times: 1,
		// The server reports that it did not process the request, so net/http resends it. The SDK prevents that if
		// the operation is not idempotent, because net/http also resends after errors that prove nothing.
		want: retried("nil, 1 (2 at the server)", "ErrNetwork, 1"),
	},
	// net/http opens a new connection each time, without a wait and without end. Only the time limit of the
	// attempt ends that.
	{name: "HTTP/2 GOAWAY without the request, 20 times", frames: goAway(false), times: 20, want: retried("nil, 1 (21 at the server)", "ErrNetwork, 1")},
	{name: "HTTP/2 GOAWAY with the request, then cut", frames: goAway(true), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{name: "HTTP/2 GOAWAY with the request, then a response", frames: goAwayAndRespond, want: everywhere("nil, 1")},
	{name: "HTTP/2 refused stream, once", frames: resetStream(refusedStream, false), times: 1, want: retried("nil, 1 (2 at the server)", "ErrNetwork, 1")},
	{
		name: "HTTP/2 refused stream", frames: resetStream(refusedStream, false), timeout: attemptLimit,
		want: retried("ErrNetwork os.ErrDeadlineExceeded, 4 (8 at the server)", "ErrNetwork, 1"),
	},
	{name: "HTTP/2 internal error", frames: resetStream(internalError, false), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{name: "HTTP/2 internal error in the body", frames: resetStream(internalError, true), want: retried("ErrNetwork, 4", "ErrNetwork, 1")},
	{
		name: "HTTP/2 protocol error, once", frames: resetStream(protocolError, false), times: 1,
		// Go 1.26 resends after this error, although it does not prove that the request was not executed.
		want: retried("nil, 1 (2 at the server)", "ErrNetwork, 1"), newer: retried("nil, 2", "ErrNetwork, 1"),
	},

	{name: "cancelled before the call", respond: respondWell, context: endsBefore, want: everywhere("context.Canceled, 0")},
	{name: "cancelled during the call", respond: slowHeaders, context: endsInCall, want: everywhere("context.Canceled, 1")},
	{name: "cancelled during the call, HTTP/2", respond: slowHeaders, context: endsInCall, http2: true, want: everywhere("context.Canceled, 1")},
	{
		name: "cancelled during the call, because another found no integration", respond: slowHeaders, context: endsInCall,
		cause: &kombo.Error{Code: kombo.CodeIntegrationNotFound}, want: everywhere("context.Canceled, 1"),
	},
	{name: "cancelled during the body", respond: slowBody, context: endsInBody, want: everywhere("context.Canceled, 1")},
	{name: "cancelled during the body, HTTP/2", respond: slowBody, context: endsInBody, http2: true, want: everywhere("context.Canceled, 1")},
	{name: "cancelled during the backoff", respond: rateLimited(fixedValue("20")), context: endsInBackoff, want: everywhere("context.Canceled, 1")},
	{name: "deadline of the context during the call", respond: slowHeaders, context: deadlineInCall, want: everywhere("context.DeadlineExceeded, 1")},
	{name: "deadline of the context before the end of the wait", respond: rateLimited(fixedValue("20")), context: deadlineInBackoff, want: everywhere("429 ErrRateLimited, 1")},
}

// Each operation meets each fault over real connections. docs/faults.md has the results. No goroutine, connection or
// body is left. The test counts goroutines, so it runs alone.
func TestFaultMatrix(t *testing.T) { //nolint:paralleltest // counts goroutines
	if testing.Short() {
		t.Skip("takes seconds")
	}
	before := runtime.NumGoroutine()
	measured := make([]outcomes, len(faults))
	// Rows run in parallel. Those with a time limit run after the others, which would slow them down.
	for _, group := range []string{"faults", "slow"} {
		t.Run(group, func(t *testing.T) {
			for i, f := range faults {
				if (f.timeout > 0) != (group == "slow") {
					continue
				}
				t.Run(f.name, func(t *testing.T) {
					t.Parallel()
					var wait sync.WaitGroup
					for j, call := range faultyCalls {
						wait.Go(func() {
							got := f.meet(t, call)
							if measured[i][j] = got; got != f.expected()[j] {
								t.Errorf("%s: %s, want %s", call.kind, got, f.expected()[j])
							}
						})
					}
					wait.Wait()
				})
			}
		})
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if got := runtime.NumGoroutine(); got > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", got, before, stacks[:runtime.Stack(stacks, true)])
	}
	if t.Failed() || slices.Contains(measured, outcomes{}) {
		return // a row failed, or -run has selected some rows only
	}
	path, page := filepath.Join("docs", "faults.md"), faultsPage()
	if *updateFaults {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(stored), "\r\n", "\n") != page {
		t.Errorf("%s is not what was measured; run go test -run TestFaultMatrix -update-faults .", path)
	}
}

func faultsPage() string {
	var page strings.Builder
	page.WriteString(`# What happens when something goes wrong

Each row is a fault that a server, the network or the caller can cause; each column is a kind of operation:

- read: ` + "`client.Integrations.Get`" + `
- link: ` + "`client.Connect.CreateLink`" + `
- delete: ` + "`client.Integrations.Delete`" + `
- sync: ` + "`client.Integrations.Sync`" + `, which is retried only if it was not executed or Kombo documents that a retry is safe
- action: ` + "`kombo.Call`" + ` with a POST, which creates an application; as above, unless ` + "`Idempotent`" + ` is set

A cell contains the error and the number of attempts (` + "`Error.Attempts`" + `). Every error is a
` + "`*kombo.Error`" + `. The number is its status, if a response came, and the names are those for which ` + "`errors.Is`" + `
or ` + "`errors.As`" + ` is true, or ` + "`*Error`" + ` if there are none. If the server saw another number of requests than
there were attempts, the cell shows both. Then no connection was made, or ` + "`net/http`" + ` resent the request itself:
a GET on a reused connection, or over HTTP/2 a request that the server had refused.

There are 4 attempts at most, as by default; waits are shorter than by default, and "slow" means slower than
` + "`WithTimeout`" + ` allows. "Once" means that only the first request meets the fault; otherwise all do. After each
call, no response body, connection or goroutine is left.

The table is what ` + "`TestFaultMatrix`" + ` measures on real connections, over loopback on Linux, with Go 1.26 and 1.27. The test
fails if the table differs. To write it again:

` + "```sh\ngo test -run TestFaultMatrix -update-faults .\n```" + `

| fault |`)
	for _, call := range faultyCalls {
		page.WriteString(" " + call.kind + " |")
	}
	page.WriteString("\n| --- |" + strings.Repeat(" --- |", len(faultyCalls)) + "\n")
	for _, f := range faults {
		page.WriteString("| " + f.name + " |")
		for i, cell := range f.want {
			if newer := f.newer[i]; newer != "" && newer != cell {
				cell += "; with Go 1.27: " + newer
			}
			page.WriteString(" " + cell + " |")
		}
		page.WriteString("\n")
	}
	return page.String()
}

// meet makes the call and describes the result.
func (f *fault) meet(t *testing.T, call faultyCall) string {
	ctx, end := context.WithCancelCause(t.Context())
	var cancel context.CancelFunc = func() { end(f.cause) }
	defer cancel()
	switch f.context {
	case endsBefore:
		cancel()
	case deadlineInCall:
		ctx, cancel = context.WithTimeout(ctx, attemptLimit)
		defer cancel()
	case deadlineInBackoff:
		ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
	case endsNever, endsInCall, endsInBody, endsInBackoff:
	}

	requests := &arrivals{}
	server := f.serve(call, requests, func() {
		if f.context == endsInCall {
			cancel()
		}
	})
	defer server.Close()
	if f.refused {
		server.Close()
	}

	connections := &connectionCounter{}
	base := &http.Transport{DialContext: connections.dial, ForceAttemptHTTP2: true}
	if trusted, ok := server.Client().Transport.(*http.Transport); ok && server.TLS != nil && !f.untrusted {
		base.TLSClientConfig = trusted.TLSClientConfig.Clone()
	}
	if f.proxied {
		base.Proxy = proxyAt(t, server.URL)
	}
	if f.connect != "" {
		proxy := httptest.NewServer(raw("HTTP/1.1 " + f.connect + "\r\nContent-Length: 0\r\n\r\n")(call))
		defer proxy.Close()
		base.Proxy = proxyAt(t, proxy.URL)
	}
	defer base.CloseIdleConnections()
	bodies := &bodyCounter{base: base}
	if f.context == endsInBody {
		bodies.begun = cancel
	}
	options := []kombo.Option{
		kombo.WithBaseURL(server.URL + "/v1"),
		kombo.WithHTTPClient(&http.Client{Transport: bodies}),
		kombo.WithRetry(kombo.RetryPolicy{BaseDelay: time.Millisecond, MaxDelay: 3 * time.Millisecond}),
	}
	if f.timeout > 0 {
		options = append(options, kombo.WithTimeout(f.timeout))
	}
	if f.context == endsInBackoff {
		options = append(options, kombo.WithLogger(slog.New(retryHandler{slog.DiscardHandler, cancel})))
	}
	client := newClient(t, options...)
	if f.kept {
		if _, err := client.CheckAPIKey(ctx); err != nil {
			t.Errorf("%s: CheckAPIKey: %v", call.kind, err)
		}
		bodies.attempts.Store(0)
	}

	err := call.call(ctx, client)

	if n := bodies.open.Load(); n != 0 {
		t.Errorf("%s: %d bodies are left open", call.kind, n)
	}
	if n := connections.closeAll(base); n != 0 {
		t.Errorf("%s: %d connections are left open", call.kind, n)
	}
	server.Close() // no handler runs any more
	attempts := int(bodies.attempts.Load())
	if kerr, ok := errors.AsType[*kombo.Error](err); err != nil && (!ok || kerr.Attempts != attempts) {
		t.Errorf("%s: error = %#v, want an *Error with %d attempts", call.kind, err, attempts)
	}
	got := fmt.Sprintf("%s, %d", describeError(err), attempts)
	times := requests.all()
	if len(times) != attempts {
		got += fmt.Sprintf(" (%d at the server)", len(times))
	}
	if f.pause > 0 && len(times) > 1 && times[1].Sub(times[0]) < f.pause {
		t.Errorf("%s: the second request came after %v, want %v at least", call.kind, times[1].Sub(times[0]), f.pause)
	}
	return got
}

func proxyAt(t *testing.T, address string) func(*http.Request) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		t.Error(err)
	}
	return http.ProxyURL(u)
}

// describeError names everything that errors.Is and errors.As match.
func describeError(err error) string {
	if err == nil {
		return "nil"
	}
	var names []string
	if kerr, ok := errors.AsType[*kombo.Error](err); ok && kerr.StatusCode != 0 {
		names = append(names, strconv.Itoa(kerr.StatusCode))
	}
	known := len(names)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if errors.Is(err, kinds[kind]) {
			names = append(names, kind)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		names = append(names, "os.ErrDeadlineExceeded")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		names = append(names, "x509.UnknownAuthorityError")
	}
	if len(names) == known {
		names = append(names, "*Error")
	}
	return strings.Join(names, " ")
}
