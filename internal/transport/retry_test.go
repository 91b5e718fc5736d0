package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each attempt gets the same response. The table has the number of attempts.
func TestWhatIsRetried(t *testing.T) {
	t.Parallel()
	const all = 4
	tests := []struct {
		name        string
		step        step
		read, once  int
		wantMessage string
	}{
		{"200", step{status: 200}, 1, 1, ""},
		{"101", step{status: 101}, 1, 1, ""},
		{"204", step{status: 204}, 1, 1, ""},
		{"301", step{status: 301, header: http.Header{"Location": {"https://other.example/"}}}, 1, 1, ""},
		{"301 without Location", step{status: 301}, 1, 1, ""},
		{"302 with an impossible Location", step{status: 302, header: http.Header{"Location": {"https://%zz"}}}, 1, 1, ""},
		{"307", step{status: 307, header: http.Header{"Location": {"https://other.example/"}}}, 1, 1, ""},
		{"400", step{status: 400}, 1, 1, ""},
		{"401", step{status: 401}, 1, 1, ""},
		{"404", step{status: 404}, 1, 1, ""},
		{"409", step{status: 409}, 1, 1, ""},
		{"429", step{status: 429}, all, all, ""},
		{"500", step{status: 500}, all, 1, ""},
		{"501", step{status: 501}, 1, 1, ""},
		{"502", step{status: 502}, all, 1, ""},
		{"503", step{status: 503}, all, 1, ""},
		{"504", step{status: 504}, all, 1, ""},
		{"599", step{status: 599}, 1, 1, ""},
		{"connection refused", step{err: errRefused}, all, all, "connection refused"},
		{"no such host", step{err: &net.DNSError{Err: "no such host", Name: "api.example"}}, all, all, "no such host"},
		{"proxy refused", step{err: &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errRefused}}, all, all, "connection refused"},
		{"proxy hung up", step{err: &net.OpError{Op: "proxyconnect", Net: "tcp", Err: io.EOF}}, all, all, "proxyconnect tcp: EOF"},
		{"connection reset", step{err: errReset}, all, 1, "connection reset"},
		{"connection reset while reading", step{err: &net.OpError{Op: "read", Net: "tcp", Err: errReset}}, all, 1, "connection reset"},
		{"connection reset while writing", step{err: &net.OpError{Op: "write", Net: "tcp", Err: errReset}}, all, 1, "connection reset"},
		{"TLS alert", step{err: &net.OpError{Op: "remote error", Err: tls.AlertError(80)}}, all, 1, "internal error"},
		{"TLS alert that stays", step{err: &net.OpError{Op: "remote error", Err: tls.AlertError(116)}}, 1, 1, "certificate required"},
		{"TLS alert of our own that stays", step{err: &net.OpError{Op: "local error", Err: tls.AlertError(70)}}, 1, 1, "protocol version not supported"},
		{"TLS alert of the proxy", step{err: &net.OpError{Op: "proxyconnect", Err: &net.OpError{Op: "remote error", Err: tls.AlertError(42)}}}, 1, 1, "bad certificate"},
		{"TLS alert over QUIC", step{err: fmt.Errorf("QUIC: %w", tls.AlertError(120))}, 1, 1, "no application protocol"},
		{"TLS alert over QUIC that passes", step{err: fmt.Errorf("QUIC: %w", tls.AlertError(90))}, all, 1, "user canceled"},
		{"proxy wants a password", step{err: errors.New("Proxy Authentication Required")}, 1, 1, "Proxy Authentication"},
		{"error that is the text of a status", step{err: errors.New("Bad Gateway")}, all, 1, "Bad Gateway"},
		{"cut", step{err: io.ErrUnexpectedEOF}, all, 1, "unexpected EOF"},
		{"time limit", step{hang: true}, all, 1, "no complete response within 1m0s"},
		{"unknown authority", step{err: x509.UnknownAuthorityError{}}, 1, 1, "unknown authority"},
		{"unverified certificate", step{err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, 1, 1, "expired"},
		{"wrong host", step{err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}}, 1, 1, "not valid for"},
		{"invalid certificate", step{err: x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.NotAuthorizedToSign}}, 1, 1, "not authorized to sign"},
		{"no TLS", step{err: http.ErrSchemeMismatch}, 1, 1, "gave HTTP response to HTTPS"},
		{"unsupported scheme", step{err: errors.New("unsupported protocol scheme \"ftp\"")}, 1, 1, "unsupported protocol scheme"},
		{"invalid header", step{err: errors.New("net/http: invalid header field value")}, 1, 1, "invalid header field"},
	}
	for _, test := range tests {
		for _, operation := range []Operation{read, once} {
			t.Run(test.name+"/"+operation.Method, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := &script{steps: []step{test.step}}
					resp, err := newTest(s, nil).do(t.Context(), operation)
					want := test.read
					if operation.NonIdempotent {
						want = test.once
					}
					if s.attempts != want {
						t.Errorf("attempts = %d, want %d", s.attempts, want)
					}
					if s.openBodies != 0 || s.closedIdle {
						t.Errorf("%d bodies left open, idle connections closed: %v", s.openBodies, s.closedIdle)
					}
					if test.step.status != 0 {
						if err != nil || resp.StatusCode != test.step.status || resp.Attempts != want {
							t.Fatalf("response = %+v, %v, want status %d", resp, err, test.step.status)
						}
						// The response shows what the last attempt did.
						if want := want > 1 && test.step.status >= 500; resp.MayHaveExecuted != want {
							t.Errorf("MayHaveExecuted = %v, want %v", resp.MayHaveExecuted, want)
						}
						return
					}
					var failure *CallError
					if !errors.As(err, &failure) || failure.Canceled || failure.Attempts != want {
						t.Fatalf("error = %#v, want a CallError after %d attempts", err, want)
					}
					if !strings.Contains(err.Error(), test.wantMessage) {
						t.Errorf("error = %v, want one with %q", err, test.wantMessage)
					}
				})
			})
		}
	}
}

func TestRetriesEndWithTheResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []step{{status: 503, body: "down"}, {err: errReset}, {status: 200, body: "up"}}}
		resp, err := newTest(s, nil).do(t.Context(), read)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || string(resp.Body) != "up" || resp.Attempts != 3 || !resp.MayHaveExecuted {
			t.Errorf("response = %+v", resp)
		}
	})
}

func TestMayHaveExecuted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		first step
		want  bool
	}{
		{"response at once", step{status: 404}, false},
		{"rate limited", step{status: 429}, false},
		{"never sent", step{err: errRefused}, false},
		{"cut", step{err: errReset}, true},
		{"cut while reading", step{err: &net.OpError{Op: "read", Net: "tcp", Err: errReset}}, true},
		{"cut while writing", step{err: &net.OpError{Op: "write", Net: "tcp", Err: errReset}}, true},
		{"time limit", step{hang: true}, true},
		{"server failed", step{status: 500}, true},
		{"gateway failed", step{status: 502}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: []step{test.first, {status: 404}}}
				resp, err := newTest(s, nil).do(t.Context(), read)
				if err != nil || resp.MayHaveExecuted != test.want {
					t.Errorf("response = %+v, %v, want MayHaveExecuted %v", resp, err, test.want)
				}
			})
		})
	}
}

func TestBackoffGrowsWithFullJitter(t *testing.T) {
	t.Parallel()
	policy := RetryPolicy{BaseDelay: 500 * time.Millisecond, MaxDelay: 3 * time.Second}
	var bounds, zeros []time.Duration
	for attempts := 1; attempts <= 6; attempts++ {
		bounds = append(bounds, policy.backoff(attempts, func(n int64) int64 { return n }))
		zeros = append(zeros, policy.backoff(attempts, func(int64) int64 { return 0 }))
	}
	want := []time.Duration{
		500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second, 3 * time.Second,
	}
	if diff := cmp.Diff(want, bounds); diff != "" {
		t.Errorf("longest waits (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(make([]time.Duration, 6), zeros); diff != "" {
		t.Errorf("shortest waits (-want +got):\n%s", diff)
	}
	huge := RetryPolicy{BaseDelay: 1 << 62, MaxDelay: 1<<63 - 1}
	if got := huge.backoff(100, func(n int64) int64 { return n }); got != 1<<63-1 {
		t.Errorf("huge backoff = %v", got)
	}
	if got := (RetryPolicy{BaseDelay: time.Minute, MaxDelay: time.Second}).backoff(1, func(n int64) int64 { return n }); got != time.Second {
		t.Errorf("base over maximum = %v", got)
	}
}

func TestWaitsBetweenAttempts(t *testing.T) {
	t.Parallel()
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			s := &script{steps: []step{{status: 503}}}
			if _, err := newTest(s, nil).do(t.Context(), read); err != nil {
				t.Fatal(err)
			}
			for i, bound := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second} {
				if wait := s.times[i+1].Sub(s.times[i]); wait < 0 || wait >= bound {
					t.Errorf("wait %d = %v, want less than %v", i+1, wait, bound)
				}
			}
		})
	}
}

// If the deadline would pass during the wait, the call ends at once with the error of the attempt.
func TestWaitPastTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		s := &script{steps: []step{{status: 429, header: retryAfterHeader("10")}}}
		resp, err := newTest(s, nil).do(ctx, read)
		if err != nil || resp.StatusCode != 429 || resp.Attempts != 1 || time.Since(start) != 0 {
			t.Errorf("response = %+v, %v after %v, want the 429 at once", resp, err, time.Since(start))
		}
	})
}
