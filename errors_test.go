package kombo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdksource"
)

func TestKindsAreComplete(t *testing.T) {
	t.Parallel()
	for _, name := range declaredErrors(t, "errors.go") {
		if _, ok := kinds[name]; !ok {
			t.Errorf("kinds lacks %s", name)
		}
	}
}

// The cause of a context is often the error of another call, for example with errgroup. It must not decide the kind of
// this call's error: callers delete integrations on ErrIntegrationNotFound.
func TestKindOfTheCauseIsNotTheKindOfTheCall(t *testing.T) {
	t.Parallel()
	client, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	causes := []error{
		&kombo.Error{StatusCode: 404, Code: kombo.CodeIntegrationNotFound}, &kombo.Error{StatusCode: 401}, &kombo.Error{StatusCode: 400},
		fmt.Errorf("worker 3: %w", &kombo.Error{Code: kombo.CodeRateLimitExceeded}),
	}
	for _, kind := range kinds {
		if !errors.Is(kind, context.Canceled) && !errors.Is(kind, context.DeadlineExceeded) {
			causes = append(causes, kind, fmt.Errorf("worker 3: %w", kind))
		}
	}
	for _, cause := range causes {
		before, end := context.WithCancelCause(t.Context())
		end(cause)
		during, stop := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, cause)
		t.Cleanup(stop)
		for _, ctx := range []context.Context{before, during} {
			want := "context.Canceled"
			if ctx == during {
				want = "context.DeadlineExceeded"
			}
			_, getErr := client.Integrations.Get(ctx, testIntegrationID)
			_, waitErr := client.Integrations.WaitUntilReady(ctx, testIntegrationID, nil)
			_, callErr := kombo.Call[struct{}](ctx, client, kombo.Request{Path: "/x"})
			_, pageErr := kombo.ListPage[struct{}](ctx, client, kombo.ListRequest{Path: "/x"})
			for _, err := range []error{getErr, waitErr, callErr, pageErr, client.Integrations.Delete(ctx, testIntegrationID)} {
				if got := kindsOf(err); got != want {
					t.Errorf("cause %v: error = %v, of kind %s, want %s", cause, err, got, want)
				}
				if kerr, ok := errors.AsType[*kombo.Error](cause); ok && !errors.Is(err, kerr) {
					t.Errorf("cause %v is not found in %v", cause, err)
				}
			}
		}
	}
}

func TestErrorResponses(t *testing.T) {
	t.Parallel()
	const op = "POST /integrations/{integration_id}/relink"
	tests := []struct {
		name     string
		status   int
		body     string
		want     kombo.Error
		wantKind string
		wantText string
	}{
		{
			"all fields", 404,
			envelope(`"PLATFORM.INTEGRATION_NOT_FOUND"`, `"Unknown integration"`, `"No integration X."`, `"https://app.kombo.dev/logs?id=1"`),
			kombo.Error{
				Code: kombo.CodeIntegrationNotFound, Title: "Unknown integration", Message: "No integration X.",
				LogURL: "https://app.kombo.dev/logs?id=1",
			},
			"ErrIntegrationNotFound",
			"kombo: " + op + ": 404 PLATFORM.INTEGRATION_NOT_FOUND: Unknown integration: No integration X. (attempts: 1, log: https://app.kombo.dev/logs?id=1)",
		},
		{
			"message only", 400, envelope("null", "null", `"Something is wrong."`, "null"),
			kombo.Error{Message: "Something is wrong."},
			"ErrInvalidInput",
			"kombo: " + op + ": 400 Bad Request: Something is wrong. (attempts: 1)",
		},
		{
			"authentication", 401, envelope(`"PLATFORM.AUTHENTICATION_INVALID"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeAuthenticationInvalid, Message: "m"},
			"ErrAuthentication",
			"kombo: " + op + ": 401 PLATFORM.AUTHENTICATION_INVALID: m (attempts: 1)",
		},
		{
			"address", 403, envelope(`"PLATFORM.IP_NOT_WHITELISTED"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeIPNotWhitelisted, Message: "m"},
			"ErrIPNotAllowed",
			"kombo: " + op + ": 403 PLATFORM.IP_NOT_WHITELISTED: m (attempts: 1)",
		},
		{
			"input", 400, envelope(`"PLATFORM.INPUT_INVALID"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeInputInvalid, Message: "m"},
			"ErrInvalidInput",
			"kombo: " + op + ": 400 PLATFORM.INPUT_INVALID: m (attempts: 1)",
		},
		{
			"rate limit", 429, envelope(`"PLATFORM.RATE_LIMIT_EXCEEDED"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeRateLimitExceeded, Message: "m"},
			"ErrRateLimited",
			"kombo: " + op + ": 429 PLATFORM.RATE_LIMIT_EXCEEDED: m (attempts: 1)",
		},
		{
			"concurrency limit", 429, envelope(`"PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeConcurrencyLimitExceeded, Message: "m"},
			"ErrRateLimited",
			"kombo: " + op + ": 429 PLATFORM.CONCURRENCY_LIMIT_EXCEEDED: m (attempts: 1)",
		},
		{
			"task timed out", 504, envelope(`"PLATFORM.TASK_TIMED_OUT"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeTaskTimedOut, Message: "m"},
			"ErrTaskTimedOut",
			"kombo: " + op + ": 504 PLATFORM.TASK_TIMED_OUT: m (attempts: 1)",
		},
		{
			"unknown error", 500, envelope(`"PLATFORM.UNKNOWN_ERROR"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeUnknownError, Message: "m"},
			"",
			"kombo: " + op + ": 500 PLATFORM.UNKNOWN_ERROR: m (attempts: 1)",
		},
		{
			"the code counts, not the status", 401, envelope(`"INTEGRATION.AUTHENTICATION_INVALID"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeIntegrationAuthenticationInvalid, Message: "m"},
			"ErrReconnectRequired",
			"kombo: " + op + ": 401 INTEGRATION.AUTHENTICATION_INVALID: m (attempts: 1)",
		},
		{
			"code that is new", 418, envelope(`"PLATFORM.TEAPOT"`, "null", `"m"`, "null"),
			kombo.Error{Code: "PLATFORM.TEAPOT", Message: "m"},
			"",
			"kombo: " + op + ": 418 PLATFORM.TEAPOT: m (attempts: 1)",
		},
		{
			"error in a response that is 200", 200, envelope(`"PLATFORM.INPUT_INVALID"`, "null", `"m"`, "null"),
			kombo.Error{Code: kombo.CodeInputInvalid, Message: "m"},
			"ErrInvalidInput",
			"kombo: " + op + ": 200 PLATFORM.INPUT_INVALID: m (attempts: 1)",
		},
		{
			"not found without a code", 404, envelope("null", "null", `"There is no such endpoint."`, "null"),
			kombo.Error{Message: "There is no such endpoint."},
			"",
			"kombo: " + op + ": 404 Not Found: There is no such endpoint. (attempts: 1)",
		},
		{
			"not found by a gateway that has a message", 404, `{"error":{"message":"no Route matched"}}`,
			kombo.Error{Message: "no Route matched"},
			"",
			"kombo: " + op + ": 404 Not Found: no Route matched (attempts: 1)",
		},
		{
			"not found from a proxy", 404, "<html>404</html>",
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 404 Not Found: not a Kombo error response (JSON, 16 bytes) (attempts: 1)",
		},
		{
			"not found in foreign JSON", 404, `{"message":"no Route matched with those values"}`,
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 404 Not Found: not a Kombo error response (JSON, 48 bytes) (attempts: 1)",
		},
		{
			"HTML", 502, "<html>\r\n<h1>502 Bad Gateway</h1></html>",
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 502 Bad Gateway: not a Kombo error response (JSON, 39 bytes) (attempts: 1)",
		},
		{
			"plain text", 500, "Internal Server Error",
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 500 Internal Server Error: not a Kombo error response (JSON, 21 bytes) (attempts: 1)",
		},
		{
			"empty", 503, "",
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 503 Service Unavailable: not a Kombo error response (JSON, 0 bytes) (attempts: 1)",
		},
		{
			"cut JSON", 500, `{"status":"error","error":{"code":"PLATFORM.UNK`,
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 500 Internal Server Error: not a Kombo error response (JSON, 47 bytes) (attempts: 1)",
		},
		{
			"JSON of another form", 500, `{"status":"error","error":"boom"}`,
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 500 Internal Server Error: not a Kombo error response (JSON, 33 bytes) (attempts: 1)",
		},
		{
			"a field of another type", 500, `{"status":"error","error":{"code":7,"message":"m"}}`,
			kombo.Error{Message: "m"},
			"",
			"kombo: " + op + ": 500 Internal Server Error: m (attempts: 1)",
		},
		{
			"bad request of a proxy", 400, "<html>400</html>",
			kombo.Error{},
			"ErrInvalidInput",
			"kombo: " + op + ": 400 Bad Request: not a Kombo error response (JSON, 16 bytes) (attempts: 1)",
		},
		{
			"unauthorized without a body", 401, "",
			kombo.Error{},
			"ErrAuthentication",
			"kombo: " + op + ": 401 Unauthorized: not a Kombo error response (JSON, 0 bytes) (attempts: 1)",
		},
		{
			"rate limit of a load balancer", 429, "slow down",
			kombo.Error{},
			"ErrRateLimited",
			"kombo: " + op + ": 429 Too Many Requests: not a Kombo error response (JSON, 9 bytes) (attempts: 1)",
		},
		{
			"redirect", 302, "",
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 302 Found: a redirect, which is not followed (attempts: 1)",
		},
		{
			"status that is no status", 799, "",
			kombo.Error{},
			"ErrUnexpectedResponse",
			"kombo: " + op + ": 799: not a Kombo error response (JSON, 0 bytes) (attempts: 1)",
		},
		{
			"text that would break a log", 400, envelope("null", "null", `"one\ntwo\u2028three\u2029four\u0085five\u001b[1m\u007f\u0000"`, "null"),
			kombo.Error{Message: "one\ntwo\u2028three\u2029four\u0085five\x1b[1m\x7f\x00"},
			"ErrInvalidInput",
			"kombo: " + op + ": 400 Bad Request: one two three four five [1m   (attempts: 1)",
		},
		{
			"other fields that would break a log", 418, envelope(`"A\nB"`, `"C\nD"`, `"m"`, `"https://app.kombo.dev/\nlogs"`),
			kombo.Error{Code: "A\nB", Title: "C\nD", Message: "m", LogURL: "https://app.kombo.dev/\nlogs"},
			"",
			"kombo: " + op + ": 418 A B: C D: m (attempts: 1, log: https://app.kombo.dev/ logs)",
		},
		{
			"text without end", 400, envelope("null", "null", `"`+strings.Repeat("é", 400)+`"`, "null"),
			kombo.Error{Message: strings.Repeat("é", 400)},
			"ErrInvalidInput",
			"kombo: " + op + ": 400 Bad Request: " + strings.Repeat("é", 250) + "… (attempts: 1)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, _ := mocked(t, "POST", integrationURL+"/relink", test.status, test.body)
			_, err := client.Integrations.Relink(t.Context(), testIntegrationID, kombo.RelinkRequest{})
			var got *kombo.Error
			if !errors.As(err, &got) {
				t.Fatalf("error = %v, want a *kombo.Error", err)
			}
			want := test.want
			want.Op, want.StatusCode, want.Attempts, want.Body = op, test.status, 1, []byte(test.body)
			if diff := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(kombo.Error{})); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got := kindsOf(err); got != test.wantKind {
				t.Errorf("kinds = %q, want %q", got, test.wantKind)
			}
			if err.Error() != test.wantText {
				t.Errorf("text:\n got %s\nwant %s", err, test.wantText)
			}
			if got := fmt.Sprintf("%#v", err); got != test.wantText {
				t.Errorf("%%#v:\n got %s\nwant %s", got, test.wantText)
			}
		})
	}
}

// A response without a 2xx status is an error, even if its body reports success. Redirects are not followed.
func TestStatusesThatAreNoSuccess(t *testing.T) {
	t.Parallel()
	const good = `{"status":"success","data":{"environment_id":"env1"}}`
	for _, status := range []int{100, 101, 199, 300, 301, 304, 308, 399, 400, 600} {
		for _, body := range []string{good, envelope(`"PLATFORM.UNKNOWN_ERROR"`, "null", `"m"`, "null")} {
			client, _ := mocked(t, "*", "", status, body)
			info, err := client.CheckAPIKey(t.Context())
			kerr, ok := errors.AsType[*kombo.Error](err)
			if info != nil || !ok || kerr.StatusCode != status {
				t.Errorf("%d %s: %v, %v", status, body, info, err)
			}
			want := ""
			switch {
			case status == 304:
				want = ": the request was not conditional"
			case status >= 300 && status <= 399:
				want = "a redirect, which is not followed"
			}
			if want != "" && (!errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%d %s: %v, want %s", status, body, err, want)
			}
		}
	}
}

func TestErrorBodyIsCut(t *testing.T) {
	t.Parallel()
	message := strings.Repeat("é", kombo.MaxErrorBody)
	client, _ := mocked(t, "*", "", 500, `{"status":"error","error":{"code":"PLATFORM.UNKNOWN_ERROR","message":"`+message+`","title":"`+message+`","log_url":"`+message+`"}}`)
	_, err := client.CheckAPIKey(t.Context())
	var kerr *kombo.Error
	if !errors.As(err, &kerr) || kerr.Code != kombo.CodeUnknownError {
		t.Fatalf("error = %v, want its code", err)
	}
	if len(kerr.Body) > kombo.MaxErrorBody || len(kerr.Body) < kombo.MaxErrorBody-4 || !strings.HasSuffix(string(kerr.Body), "é") {
		t.Errorf("body has %d bytes", len(kerr.Body))
	}
	if len(kerr.Message) > 8<<10 || !strings.HasPrefix(message, kerr.Message) {
		t.Errorf("message has %d bytes", len(kerr.Message))
	}
	if len(kerr.Title) > 500 || len(kerr.LogURL) > 500 {
		t.Errorf("title has %d bytes, log URL %d", len(kerr.Title), len(kerr.LogURL))
	}
	if len(err.Error()) > 1700 {
		t.Errorf("text has %d bytes", len(err.Error()))
	}
}

// errors.Is distinguishes each kind of failure, and the error has the number of attempts.
func TestHowCallsFail(t *testing.T) {
	t.Parallel()
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	tests := []struct {
		name     string
		response httpmock.Responder
		cancel   time.Duration
		deadline time.Duration
		wantKind string
		attempts int
		wantText string
	}{
		{
			"network", httpmock.NewErrorResponder(errors.New("connection reset by peer")), 0, 0,
			"ErrNetwork", 4,
			"kombo: GET /check-api-key: connection reset by peer (attempts: 4)",
		},
		{
			"network, in several lines", httpmock.NewErrorResponder(errors.New("connection reset\r\nlevel=INFO msg=\x1b[2K")), 0, 0,
			"ErrNetwork", 4,
			"kombo: GET /check-api-key: connection reset  level=INFO msg= [2K (attempts: 4)",
		},
		{
			"time limit of each attempt", hang, 0, 0,
			"ErrNetwork", 4,
			"kombo: GET /check-api-key: no complete response within 1m0s (attempts: 4)",
		},
		{
			"time limit of the dialer", httpmock.NewErrorResponder(&net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}), 0, 0,
			"ErrNetwork", 4,
			"kombo: GET /check-api-key: dial tcp: i/o timeout (attempts: 4)",
		},
		{
			"time limit of another's context", httpmock.NewErrorResponder(context.DeadlineExceeded), 0, 0,
			"ErrNetwork", 4,
			"kombo: GET /check-api-key: context deadline exceeded (attempts: 4)",
		},
		{
			"end of another's context", httpmock.NewErrorResponder(context.Canceled), 0, 0,
			"ErrNetwork", 4,
			"kombo: GET /check-api-key: context canceled (attempts: 4)",
		},
		{
			"cancelled during the call", hang, time.Second, 0,
			"context.Canceled", 1,
			"kombo: GET /check-api-key: context canceled (attempts: 1)",
		},
		{
			"deadline during the call", hang, 0, time.Second,
			"context.DeadlineExceeded", 1,
			"kombo: GET /check-api-key: context deadline exceeded (attempts: 1)",
		},
		{
			"cancelled between attempts", httpmock.NewStringResponder(503, "").HeaderSet(http.Header{"Retry-After": {"20"}}), 10 * time.Second, 0,
			"context.Canceled", 1,
			"kombo: GET /check-api-key: context canceled (before that: the response was 503 Service Unavailable) (attempts: 1)",
		},
		{
			"deadline between attempts", httpmock.NewStringResponder(429, "").HeaderSet(http.Header{"Retry-After": {"20"}}), 0, 10 * time.Second,
			"ErrRateLimited", 1,
			"kombo: GET /check-api-key: 429 Too Many Requests: not a Kombo error response (no content type, 0 bytes) (attempts: 1)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(test.response)
				client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.cancel > 0 {
					time.AfterFunc(test.cancel, cancel)
				}
				if test.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
					defer cancel()
				}
				_, err := client.CheckAPIKey(ctx)
				var kerr *kombo.Error
				if !errors.As(err, &kerr) || kerr.Attempts != test.attempts || mock.GetTotalCallCount() != test.attempts {
					t.Fatalf("error = %v after %d attempts, want %d", err, mock.GetTotalCallCount(), test.attempts)
				}
				if got := kindsOf(err); got != test.wantKind {
					t.Errorf("kinds = %q, want %q", got, test.wantKind)
				}
				if err.Error() != test.wantText {
					t.Errorf("text:\n got %s\nwant %s", err, test.wantText)
				}
			})
		})
	}
}

// Each code that the package declares has a kind, which does not depend on the status.
func TestKindOfEachCode(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"PLATFORM.AUTHENTICATION_INVALID":     "ErrAuthentication",
		"PLATFORM.IP_NOT_WHITELISTED":         "ErrIPNotAllowed",
		"PLATFORM.INPUT_INVALID":              "ErrInvalidInput",
		"PLATFORM.INTEGRATION_NOT_FOUND":      "ErrIntegrationNotFound",
		"PLATFORM.RATE_LIMIT_EXCEEDED":        "ErrRateLimited",
		"PLATFORM.CONCURRENCY_LIMIT_EXCEEDED": "ErrRateLimited",
		"REMOTE.RATE_LIMIT_EXCEEDED":          "ErrRateLimited",
		"PLATFORM.TASK_TIMED_OUT":             "ErrTaskTimedOut",
		"INTEGRATION.SETUP_INCOMPLETE":        "ErrIntegrationNotReady",
		"INTEGRATION.SETUP_SYNC_PENDING":      "ErrIntegrationNotReady",
		"INTEGRATION.QA_FAILED":               "ErrIntegrationNotReady",
		"INTEGRATION.AUTHENTICATION_INVALID":  "ErrReconnectRequired",
		"integration.qa_failed":               "",
	}
	codes := sdksource.Values(t, ".", "ErrorCode")
	codes = append(codes, "integration.qa_failed")
	for code := range want {
		if !slices.Contains(codes, code) {
			t.Errorf("there is no code %s", code)
		}
	}
	for _, code := range codes {
		for _, status := range []int{400, 401, 403, 404, 409, 429, 500, 503} {
			client, _ := mocked(t, "*", "", status, envelope(`"`+code+`"`, "null", `"m"`, "null"))
			err := client.Integrations.SetEnabled(t.Context(), testIntegrationID, true)
			kerr, ok := errors.AsType[*kombo.Error](err)
			if got := kindsOf(err); !ok || string(kerr.Code) != code || got != want[code] {
				t.Errorf("%d %s: kinds = %q, want %q: %v", status, code, got, want[code], err)
			}
		}
	}
}

// The kinds depend on the exported fields only, so a user's test can construct an error.
func TestErrorMadeByHand(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("reconnecting: %w", &kombo.Error{Code: kombo.CodeIntegrationNotFound})
	if got := kindsOf(err); got != "ErrIntegrationNotFound" {
		t.Errorf("kinds = %q", got)
	}
}

func TestErrorInLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	logger.Error("no link", "error", &kombo.Error{
		Op: "POST /connect/create-link", StatusCode: 400, Code: kombo.CodeInputInvalid, Message: "m",
		LogURL: "https://app.kombo.dev/logs", Attempts: 2,
	})
	want := `level=ERROR msg="no link" error.message="kombo: POST /connect/create-link: 400 PLATFORM.INPUT_INVALID: m (attempts: 2, log: https://app.kombo.dev/logs)" ` +
		`error.op="POST /connect/create-link" error.attempts=2 error.status=400 error.code=PLATFORM.INPUT_INVALID error.log_url=https://app.kombo.dev/logs` + "\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
