package kombotest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// The error that an SDK client gets for each fault, and the number of requests.
func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		fault        kombotest.Fault
		wantErr      error // nil if a retry succeeds
		wantText     string
		wantRequests int
	}{
		{"a proxy's page, twice", kombotest.Fault{Times: 2, Status: 503, Body: "<html>down</html>"}, nil, "", 3},
		{"a proxy's page, for ever", kombotest.Fault{Times: -1, Status: 502, Body: "<html>down</html>"}, nil, "502", 4},
		{"an error code", kombotest.Fault{Code: kombo.CodeIPNotWhitelisted}, kombo.ErrIPNotAllowed, "403 PLATFORM.IP_NOT_WHITELISTED: This is a fault that a test asked for.", 1},
		{"an error code with status and message", kombotest.Fault{Status: 422, Code: kombo.CodeInputInvalid, Message: "No."}, kombo.ErrInvalidInput, "422 PLATFORM.INPUT_INVALID: No.", 1},
		{"a limit that says when", kombotest.Fault{Code: kombo.CodeRateLimitExceeded, RetryAfter: 90 * time.Second}, kombo.ErrRateLimited, "429", 1},
		{"a cut connection", kombotest.Fault{Times: 3, Cut: true}, nil, "", 4},
		{"a cut connection, for ever", kombotest.Fault{Times: -1, Cut: true}, kombo.ErrNetwork, "", 4},
		{"half a response", kombotest.Fault{Truncate: true}, nil, "", 2},
		{"half of nothing", kombotest.Fault{Times: -1, Status: 500, Truncate: true}, nil, "", 4},
		{"a response of another form", kombotest.Fault{Body: `{"fine":true}`}, kombo.ErrUnexpectedResponse, "", 1},
		{"another header", kombotest.Fault{Status: 302, Header: http.Header{"location": {"https://elsewhere.example/"}}}, kombo.ErrUnexpectedResponse, "302", 1},
		{"late", kombotest.Fault{Delay: time.Millisecond}, nil, "", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, client := kombotest.Start(t, kombotest.Config{})
			test.fault.Op = "POST /connect/create-link"
			srv.InjectFault(test.fault)
			_, err := client.Connect.CreateLink(t.Context(), request)
			switch {
			case test.wantErr == nil && test.wantText == "" && test.fault.Times != -1:
				if err != nil {
					t.Errorf("err = %v", err)
				}
			case err == nil, test.wantErr != nil && !errors.Is(err, test.wantErr), !strings.Contains(err.Error(), test.wantText):
				t.Errorf("err = %v, want %v, %q", err, test.wantErr, test.wantText)
			}
			got := srv.Requests()
			if len(got) != test.wantRequests {
				t.Fatalf("%d requests, want %d", len(got), test.wantRequests)
			}
			if !got[0].Faulty || got[0].StatusCode != 0 == test.fault.Cut {
				t.Errorf("the first request is recorded as %+v", got[0])
			}
			if got := len(srv.Faults()) == 1; got != (test.fault.Times == -1) {
				t.Errorf("the fault is left: %t", got)
			}
			// Other operations are not affected.
			if _, err := client.CheckAPIKey(t.Context()); err != nil {
				t.Error(err)
			}
			srv.ClearFaults()
			if _, err := client.Connect.CreateLink(t.Context(), request); err != nil {
				t.Errorf("after ClearFaults: %v", err)
			}
		})
	}
}

// A request with a fault has no effect, unless only its response is lost.
func TestFaultsAndEffects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		fault     kombotest.Fault
		wantLinks int
	}{
		{"refused", kombotest.Fault{Status: 500}, 0},
		{"cut", kombotest.Fault{Cut: true}, 0},
		{"done, and a wrong response", kombotest.Fault{Status: 500, Executed: true}, 1},
		{"done, and no response", kombotest.Fault{Cut: true, Executed: true}, 1},
		{"done, and half a response", kombotest.Fault{Truncate: true}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, _ := kombotest.Start(t, kombotest.Config{})
			client, err := srv.Client(kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
			if err != nil {
				t.Fatal(err)
			}
			srv.InjectFault(test.fault)
			if _, err := client.Connect.CreateLink(t.Context(), request); err == nil {
				t.Error("no error")
			}
			if got := len(srv.OpenLinks()); got != test.wantLinks {
				t.Errorf("%d links, want %d", got, test.wantLinks)
			}
		})
	}
}

// A deletion whose response is lost has succeeded. The SDK's retry finds that out.
func TestLostResponseOfADeletion(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	srv.InjectFault(kombotest.Fault{Op: "DELETE /integrations/{integration_id}", Cut: true, Executed: true})
	if err := client.Integrations.Delete(t.Context(), id); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if _, ok := srv.Integration(id); ok {
		t.Error("the integration is still there")
	}
}

func TestFaultThatMakesNoSense(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault kombotest.Fault
		want  string
	}{
		{kombotest.Fault{}, "kombotest: the Fault does nothing"},
		{kombotest.Fault{Times: 3, Executed: true}, "kombotest: the Fault does nothing"},
		{kombotest.Fault{Op: "POST /v1/connect/create-link", Status: 500}, `kombotest: Fault.Op: there is no operation "POST /v1/connect/create-link"; it is one of GET /check-api-key, POST /connect/create-link, `},
		{kombotest.Fault{Status: 42}, "kombotest: Fault.Status: 42 is not the status of a response"},
		{kombotest.Fault{Status: 500, Times: -2}, "kombotest: Fault.Times is less than -1"},
		{kombotest.Fault{Delay: -1}, "kombotest: Fault.Delay or Fault.RetryAfter is negative"},
		{kombotest.Fault{Status: 429, RetryAfter: -1}, "kombotest: Fault.Delay or Fault.RetryAfter is negative"},
		{kombotest.Fault{Code: kombo.CodeUnknownError, Body: "x"}, "kombotest: Fault.Code makes the body: leave Fault.Body out, or put the code into it"},
		{kombotest.Fault{Status: 500, Message: "x"}, "kombotest: Fault.Message needs a Fault.Code"},
		{kombotest.Fault{Status: 204, Body: "x"}, "kombotest: Fault.Status: a response with status 204 has no body"},
		{kombotest.Fault{Status: 304, Code: kombo.CodeUnknownError}, "kombotest: Fault.Status: a response with status 304 has no body"},
		{kombotest.Fault{Cut: true, Truncate: true}, "kombotest: Fault.Cut leaves nothing for Fault.Truncate"},
	}
	srv, _ := kombotest.Start(t, kombotest.Config{})
	for _, test := range tests {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !strings.HasPrefix(err.Error(), test.want) {
					t.Errorf("InjectFault(%+v) panics with %v, want %s", test.fault, err, test.want)
				}
			}()
			srv.InjectFault(test.fault)
		}()
	}
	if got := srv.Faults(); len(got) != 0 {
		t.Errorf("faults = %+v", got)
	}
}

func TestFaultHeaderThatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"Content-Length", "content-length", "CONTENT-LENGTH", "transfer-encoding", "connection", "trailer", "upgrade", "te", "TE",
		"keep-alive", "proxy-connection", "Proxy-Connection",
	} {
		err := kombotest.Fault{Header: http.Header{header: {"5"}}}.Validate()
		if want := "kombotest: Fault.Header must not contain " + http.CanonicalHeaderKey(header) + ": it belongs to the connection"; errorText(err) != want {
			t.Errorf("%s: %v, want %s", header, err, want)
		}
	}
	for _, name := range []string{"", " ", "a b", "a:", "Trailer:X", "a\n", "ä", "a\x7f", "a/b", "a\"b"} {
		if err := (kombotest.Fault{Header: http.Header{name: {"1"}}}).Validate(); err == nil || !strings.Contains(err.Error(), "is not the name of a header") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, value := range []string{"a\nb", "a\r\nb: c", "a\rb", "\x00", "\x7f"} {
		if err := (kombotest.Fault{Header: http.Header{"X-A": {"fine", value}}}).Validate(); err == nil || !strings.Contains(err.Error(), "a value of X-A contains a line break") {
			t.Errorf("%q: %v", value, err)
		}
	}
	for _, value := range []string{" a", "a ", "\ta", " "} { // net/http would trim it
		if err := (kombotest.Fault{Header: http.Header{"X-A": {value}}}).Validate(); errorText(err) != "kombotest: Fault.Header: a value of X-A begins or ends with a space" {
			t.Errorf("%q: %v", value, err)
		}
	}
	if err := (kombotest.Fault{Header: http.Header{"x-a": {"1"}, "X-A": {"2"}}}).Validate(); errorText(err) != "kombotest: Fault.Header contains X-A twice" {
		t.Errorf("one header twice: %v", err)
	}
	for _, fine := range []http.Header{
		{"retry-after": {"soon"}}, {"Content-Encoding": {"gzip"}}, {"Date": {"yesterday"}}, {"X-A": {"a\tb", "é", ""}}, {"x!#$%&'*+-.^_`|~1": {""}},
	} {
		if err := (kombotest.Fault{Header: fine}).Validate(); err != nil {
			t.Errorf("%v: %v", fine, err)
		}
	}
}

// A closed connection is an error for the client, also if it was used before. net/http resends a GET that got no byte
// of a response.
func TestCutOfAConnectionInUse(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{}, kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	if _, err := client.CheckAPIKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.InjectFault(kombotest.Fault{Cut: true})
	if _, err := client.CheckAPIKey(t.Context()); !errors.Is(err, kombo.ErrNetwork) || len(srv.Requests()) != 2 {
		t.Errorf("CheckAPIKey = %v after %d requests", err, len(srv.Requests()))
	}
}

// An error code in a custom body is recorded, and a custom JSON body has the content type of JSON.
func TestFaultBody(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	srv.InjectFault(kombotest.Fault{Status: 400, Body: `{"status":"error","error":{"code":"NEW.CODE"}}`})
	_, header, _ := send(t, srv, "GET", "/check-api-key", "")
	if got := srv.Requests()[0]; got.ErrorCode != "NEW.CODE" || header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%+v, %v", got, header)
	}
}

// A header of a fault replaces that of the response.
func TestFaultHeader(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	srv.InjectFault(kombotest.Fault{Header: http.Header{"content-type": {"text/plain"}, "retry-after": {"soon"}}})
	_, header, _ := send(t, srv, "GET", "/check-api-key", "")
	if diff := cmp.Diff([]string{"text/plain"}, header.Values("Content-Type")); diff != "" || header.Get("Retry-After") != "soon" {
		t.Errorf("header = %v", header)
	}
}

// A slow response ends with its caller and with the server.
func TestSlowResponses(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	client, err := srv.Client(kombo.WithTimeout(20*time.Millisecond), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		t.Fatal(err)
	}
	srv.InjectFault(kombotest.Fault{Times: -1, Delay: time.Hour})
	if _, err := client.CheckAPIKey(t.Context()); !errors.Is(err, kombo.ErrNetwork) {
		t.Errorf("CheckAPIKey = %v", err)
	}
	patient, err := srv.Client(kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}))
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error)
	go func() {
		_, err := patient.CheckAPIKey(context.Background())
		result <- err
	}()
	srv.Close()
	if err := <-result; !errors.Is(err, kombo.ErrNetwork) {
		t.Errorf("CheckAPIKey while Close = %v", err)
	}
}

// Each code has the status that Kombo documents, or else a suitable one.
func TestStatusOfACode(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	for code, want := range map[kombo.ErrorCode]int{
		kombo.CodeIntegrationSetupIncomplete: 409, kombo.CodeIntegrationSetupSyncPending: 409, kombo.CodeIntegrationQAFailed: 409,
		kombo.CodeRateLimitExceeded: 429, kombo.CodeConcurrencyLimitExceeded: 429, kombo.CodeRemoteRateLimitExceeded: 429,
		kombo.CodeAuthenticationInvalid: 401, kombo.CodeIPNotWhitelisted: 403, kombo.CodeIntegrationPermissionMissing: 403,
		kombo.CodeIntegrationNotFound: 404, kombo.CodeUnknownError: 500, kombo.CodeRemoteServiceUnavailable: 503,
		kombo.CodeTaskTimedOut: 504, kombo.CodeInputInvalid: 400, kombo.CodeIntegrationAuthenticationInvalid: 400,
		"ATS.JOB_CLOSED": 400, "NEW.CODE": 400,
	} {
		srv.InjectFault(kombotest.Fault{Code: code})
		if status, _, response := send(t, srv, "GET", "/check-api-key", ""); status != want || !strings.Contains(response, `"code":"`+string(code)+`"`) {
			t.Errorf("%s: %d %s, want %d", code, status, response, want)
		}
	}
}
