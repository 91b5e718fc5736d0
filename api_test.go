package kombo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

const apiURL = "https://api.kombo.dev/v1"

type employee struct {
	ID        string    `json:"id"`
	WorkEmail string    `json:"work_email"`
	ChangedAt time.Time `json:"changed_at"`
}

func TestCallSends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		request kombo.Request
		method  string
		url     string
		body    string
	}{
		{"least", kombo.Request{Path: "/hris/employees"}, "GET", apiURL + "/hris/employees", ""},
		{
			"query",
			kombo.Request{Path: "/hris/employees", Query: url.Values{"ids": {"a,b"}, "x y": {"1", "ü&"}}},
			"GET", apiURL + "/hris/employees?ids=a%2Cb&x+y=1&x+y=%C3%BC%26", "",
		},
		{
			"values",
			kombo.Request{Method: "DELETE", Path: "/a/{b_id}/c/{d}", PathValues: []string{"x:1/ü", "{d}"}},
			"DELETE", apiURL + "/a/x%3A1%2F%C3%BC/c/%7Bd%7D", "",
		},
		{
			"body",
			kombo.Request{Method: "POST", Path: "/ats/jobs/{job_id}/applications", PathValues: []string{"j1"}, Body: map[string]any{"n": json.Number("9007199254740993")}},
			"POST", apiURL + "/ats/jobs/j1/applications", `{"n":9007199254740993}`,
		},
		{"raw body", kombo.Request{Method: "PUT", Path: "/x", Body: json.RawMessage(`{"a":1}`)}, "PUT", apiURL + "/x", `{"a":1}`},
		{"no body of a POST", kombo.Request{Method: "POST", Path: "/x"}, "POST", apiURL + "/x", `{}`},
		{"no body of a PATCH", kombo.Request{Method: "PATCH", Path: "/x"}, "PATCH", apiURL + "/x", `{}`},
		{"no body of a PUT", kombo.Request{Method: "PUT", Path: "/x"}, "PUT", apiURL + "/x", ""},
		{"empty body", kombo.Request{Method: "PATCH", Path: "/x", Body: struct{}{}}, "PATCH", apiURL + "/x", `{}`},
	}
	for _, test := range tests {
		for _, integrationID := range []string{"", testIntegrationID} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				client, got := mocked(t, "*", "", 200, `{"status":"success","data":{}}`)
				request := test.request
				request.IntegrationID = integrationID
				if _, err := kombo.Call[struct{}](t.Context(), client, request); err != nil {
					t.Fatal(err)
				}
				checkSent(t, got, test.method, test.url, test.body, integrationID)
			})
		}
	}
}

// A body that is not JSON is sent unchanged with each attempt.
func TestCallSendsOtherContentTypes(t *testing.T) {
	t.Parallel()
	const lines = "{\"url\":\"https://a.example/1\"}\n{\"url\":\"https://a.example/2?a=<&\"}\n"
	synctest.Test(t, func(t *testing.T) {
		var got []string
		client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			got = append(got, r.Header.Get("Content-Type")+" "+string(body))
			return &http.Response{StatusCode: 429, Body: http.NoBody, Header: http.Header{}}, err
		})}))
		_, _ = kombo.Call[struct{}](t.Context(), client, kombo.Request{
			Method: "POST", Path: "/ai-apply/job-feeds/{job_feed_id}/bulk-import", PathValues: []string{"f"},
			ContentType: "application/x-ndjson", Body: []byte(lines),
		})
		if diff := cmp.Diff(slices.Repeat([]string{"application/x-ndjson " + lines}, 4), got); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
}

// Invalid input is refused with an error that names the field and quotes nothing that could be an ID.
func TestCallRefuses(t *testing.T) {
	t.Parallel()
	call := func(request kombo.Request) func(context.Context, *kombo.Client) error {
		return func(ctx context.Context, client *kombo.Client) error {
			_, err := kombo.Call[employee](ctx, client, request)
			return err
		}
	}
	list := func(request kombo.ListRequest) func(context.Context, *kombo.Client) error {
		request.Path = "/hris/employees"
		return func(ctx context.Context, client *kombo.Client) error {
			_, pageErr := kombo.ListPage[employee](ctx, client, request)
			for _, err := range kombo.List[employee](ctx, client, request) {
				if err == nil || err.Error() != pageErr.Error() {
					return fmt.Errorf("List: %w, ListPage: %w", err, pageErr)
				}
			}
			return pageErr
		}
	}
	ok := kombo.Request{Path: "/hris/employees"}
	tests := []struct {
		name, want string
		call       func(context.Context, *kombo.Client) error
	}{
		{"no path", "Path is required", call(kombo.Request{})},
		{"no slash", "Path does not start with a slash", call(kombo.Request{Path: "hris/employees"})},
		{"URL", `Path is a URL; give the part after /v1, such as "/hris/employees"`, call(kombo.Request{Path: "https://secret.example/v1/hris/employees"})},
		{"version", "Path starts with /v1, which is in the base URL", call(kombo.Request{Path: "/v1/hris/employees"})},
		{"query in the path", "Path contains a query or a fragment; use Query", call(kombo.Request{Path: "/hris/employees?secret"})},
		{"fragment in the path", "Path contains a query or a fragment; use Query", call(kombo.Request{Path: "/hris/employees#secret"})},
		{"another host", "Path has an empty segment, or the segment . or ..", call(kombo.Request{Path: "//secret.example/x"})},
		{"trailing slash", "Path has an empty segment, or the segment . or ..", call(kombo.Request{Path: "/hris/employees/"})},
		{"root", "Path has an empty segment, or the segment . or ..", call(kombo.Request{Path: "/"})},
		{"up", "Path has an empty segment, or the segment . or ..", call(kombo.Request{Path: "/hris/../secret"})},
		{"here", "Path has an empty segment, or the segment . or ..", call(kombo.Request{Path: "/./secret"})},
		{"no placeholder", "Path has an empty segment, or the segment . or ..", call(kombo.Request{Path: "/x/{}", PathValues: []string{"secret"}})},
		{"ID in the path", "Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path", call(kombo.Request{Path: "/integrations/secret:1"})},
		{"token in the path", "Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path", call(kombo.Request{Path: "/connect/integration-by-token/eyJ.secret"})},
		{"ID without a colon in the path", "Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path", call(kombo.Request{Path: "/hris/employees/26vafvWSRmbhNcxJYqjCsecret"})},
		{"escape in the path", "Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path", call(kombo.Request{Path: "/x/%2e%2e/secret"})},
		{"backslash", "Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path", call(kombo.Request{Path: `/x/..\secret`})},
		{"line break", "Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path", call(kombo.Request{Path: "/x\r\nsecret"})},
		{"half a placeholder", "Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path", call(kombo.Request{Path: "/x/{id", PathValues: []string{"secret"}})},
		{"text around a placeholder", "Path contains characters that a route has not; put values into PathValues, and a {placeholder} into Path", call(kombo.Request{Path: "/x/a{id}", PathValues: []string{"secret"}})},
		{"too few values", "no value for b", call(kombo.Request{Path: "/x/{a}/{b}", PathValues: []string{"secret"}})},
		{"too many values", "1 path values too many", call(kombo.Request{Path: "/x/{a}", PathValues: []string{"secret", "secret"}})},
		{"empty value", "a is empty", call(kombo.Request{Path: "/x/{a}", PathValues: []string{""}})},
		{"value that goes up", "a must not contain the path step ..", call(kombo.Request{Path: "/x/{a}", PathValues: []string{".."}})},
		{"value that is not UTF-8", "a is not valid UTF-8", call(kombo.Request{Path: "/x/{a}", PathValues: []string{"\xffsecret"}})},
		{"method", "Method is not one of GET, POST, PUT, PATCH, DELETE", call(kombo.Request{Method: "secret", Path: "/x"})},
		{"method in lower case", "Method is not one of GET, POST, PUT, PATCH, DELETE", call(kombo.Request{Method: "get", Path: "/x"})},
		{"negative time limit", "Timeout is negative", call(kombo.Request{Path: "/x", Timeout: -1})},
		{"body of a GET", "Body: a GET has none; use Query", call(kombo.Request{Path: "/x", Body: 1})},
		{"bytes", "Body would not be sent as it is: for bytes or a reader, give a json.RawMessage", call(kombo.Request{Method: "POST", Path: "/x", Body: []byte(`{"secret":1}`)})},
		{"reader", "Body would not be sent as it is: for bytes or a reader, give a json.RawMessage", call(kombo.Request{Method: "POST", Path: "/x", Body: strings.NewReader(`{"secret":1}`)})},
		{"bytes that are not UTF-8", "Body is not valid UTF-8", call(kombo.Request{Method: "POST", Path: "/x", ContentType: "text/plain", Body: []byte("\xffsecret")})},
		{"no bytes", "ContentType is set, so Body must be a []byte that is not empty", call(kombo.Request{Method: "POST", Path: "/x", ContentType: "text/plain", Body: []byte{}})},
		{"content type without a body", "ContentType is set, so Body must be a []byte that is not empty", call(kombo.Request{Method: "POST", Path: "/x", ContentType: "text/plain"})},
		{"content type of a struct", "ContentType is set, so Body must be a []byte that is not empty", call(kombo.Request{Method: "POST", Path: "/x", ContentType: "text/plain", Body: struct{}{}})},
		{"content type of a GET", "Body: a GET has none; use Query", call(kombo.Request{Path: "/x", ContentType: "text/plain", Body: []byte("secret")})},
		{"content type that is no header", "ContentType contains characters that are not allowed in a header", call(kombo.Request{Method: "POST", Path: "/x", ContentType: "text/plain\r\nsecret: 1", Body: []byte("a")})},
		{"body that is no JSON", "the request cannot be encoded", call(kombo.Request{Method: "POST", Path: "/x", Body: json.RawMessage(`{"secret`)})},
		{"body that is not UTF-8", `the value of "name" is not valid UTF-8`, call(kombo.Request{Method: "POST", Path: "/x", Body: map[string]string{"name": "\xffsecret"}})},
		{"body that is a text and not UTF-8", "Body is not valid UTF-8", call(kombo.Request{Method: "POST", Path: "/x", Body: "\xffsecret"})},
		{"JSON that is not UTF-8", "Body is not valid UTF-8", call(kombo.Request{Method: "POST", Path: "/x", Body: json.RawMessage("\"\xffsecret\"")})},
		{"query that is not UTF-8", "ids is not valid UTF-8", call(kombo.Request{Path: "/x", Query: url.Values{"ids": {"\xffsecret"}}})},
		{"name that is not UTF-8", "the name of a parameter is not valid UTF-8", call(kombo.Request{Path: "/x", Query: url.Values{"\xffsecret": {"a"}}})},
		{"integration ID", "integration_id contains characters that are not allowed in a header", call(kombo.Request{Path: "/x", IntegrationID: "secret\n"})},
		{"pointer", "the type of the data is a pointer; use the type that it points to", func(ctx context.Context, c *kombo.Client) error {
			_, err := kombo.Call[*employee](ctx, c, ok)
			return err
		}},
		{"channel", "the type of the data cannot be decoded into", func(ctx context.Context, c *kombo.Client) error {
			_, err := kombo.Call[chan int](ctx, c, ok)
			return err
		}},
		{"interface", "the type of the data is an interface with methods, which cannot be decoded into", func(ctx context.Context, c *kombo.Client) error {
			_, err := kombo.Call[io.Reader](ctx, c, ok)
			return err
		}},
		{"list of channels", "the type of the data cannot be decoded into", refused[[]chan int](ok)},
		{"map of lists of functions", "the type of the data cannot be decoded into", refused[map[string][]func()](ok)},
		{"complex number", "the type of the data cannot be decoded into", refused[[1]complex128](ok)},
		{"list of errors", "the type of the data is an interface with methods, which cannot be decoded into", refused[[]error](ok)},
		{"map keys", "the type of the data is a map whose keys cannot be decoded into", refused[map[bool]string](ok)},
		{"no exported fields", "the type of the data has no exported fields, so nothing would be decoded", refused[struct{ id string }](ok)},
		{"list without exported fields", "the type of the data has no exported fields, so nothing would be decoded", refused[[]*struct{ id string }](ok)},
		{"list of pointers", "the type of the data is a pointer; use the type that it points to", func(ctx context.Context, c *kombo.Client) error {
			_, err := kombo.ListPage[*employee](ctx, c, kombo.ListRequest{Path: "/hris/employees"})
			return err
		}},
		{"page size", "PageSize is not between 1 and 250, or 0 for the default", list(kombo.ListRequest{ListOptions: kombo.ListOptions{PageSize: 251}})},
		{"negative page size", "PageSize is not between 1 and 250, or 0 for the default", list(kombo.ListRequest{ListOptions: kombo.ListOptions{PageSize: -1}})},
		{"empty ID", "IDs contains an empty value, or one with a comma", list(kombo.ListRequest{IDs: []string{"secret", ""}})},
		{"two IDs in one", "RemoteIDs contains an empty value, or one with a comma", list(kombo.ListRequest{RemoteIDs: []string{"secret,secret"}})},
		{"no IDs", "IDs is an empty list, which would select everything", list(kombo.ListRequest{IDs: []string{}})},
		{"no remote IDs", "RemoteIDs is an empty list, which would select everything", list(kombo.ListRequest{RemoteIDs: []string{}})},
		{"filter without a value", "Filters: job_ids is an empty list, which would select everything", list(kombo.ListRequest{Filters: url.Values{"job_ids": nil}})},
		{"blank filter", "Filters: job_ids contains an empty value, or one with a comma", list(kombo.ListRequest{Filters: url.Values{"job_ids": {""}}})},
		{"two values in one", "Filters: job_ids contains an empty value, or one with a comma", list(kombo.ListRequest{Filters: url.Values{"job_ids": {"secret,secret", "secret"}}})},
		{"milliseconds for seconds", "UpdatedAfter is after the year 9999; are its seconds milliseconds?", list(kombo.ListRequest{UpdatedAfter: time.Unix(1764118923000, 0)})},
		{"filter twice", "Filters contains ids, which another field sets", list(kombo.ListRequest{IDs: []string{"a"}, Filters: url.Values{"ids": {"secret"}}})},
		{"cursor as a filter", "Filters contains cursor; use ListOptions", list(kombo.ListRequest{Filters: url.Values{"cursor": {"secret"}}})},
		{"page size as a filter", "Filters contains page_size; use ListOptions", list(kombo.ListRequest{Filters: url.Values{"page_size": {"1"}}})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "*", "", 200, "")
			err := test.call(t.Context(), client)
			if !errors.Is(err, kombo.ErrInvalidInput) || !strings.HasSuffix(err.Error(), ": "+test.want+" (nothing was sent)") || strings.Contains(err.Error(), "secret") {
				t.Errorf("error = %v\nwant %s", err, test.want)
			}
			if got.Method != "" {
				t.Errorf("sent %+v", got)
			}
		})
	}
	if _, err := kombo.Call[employee](t.Context(), nil, ok); !errors.Is(err, kombo.ErrInvalidInput) {
		t.Errorf("nil client: %v", err)
	}
	if _, err := kombo.Call[employee](t.Context(), &kombo.Client{}, ok); !errors.Is(err, kombo.ErrInvalidInput) {
		t.Errorf("empty client: %v", err)
	}
}

// refused calls with a T.
func refused[T any](request kombo.Request) func(context.Context, *kombo.Client) error {
	return func(ctx context.Context, client *kombo.Client) error {
		_, err := kombo.Call[T](ctx, client, request)
		return err
	}
}

// checkCall calls with a T and compares the data.
func checkCall[T any](t *testing.T, data string, want T, wantErr string) {
	t.Helper()
	for _, method := range []string{"GET", "POST"} {
		client, _ := mocked(t, "*", "", 200, `{"status":"success",`+data+`"warnings":[{"message":"careful"}]}`)
		response, err := kombo.Call[T](t.Context(), client, kombo.Request{Method: method, Path: "/x"})
		if wantErr != "" {
			if response != nil || !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), wantErr) {
				t.Errorf("%s %s into %T: %+v, %v, want %s", method, data, want, response, err, wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s into %T: %v", method, data, want, err)
			continue
		}
		if diff := cmp.Diff(want, response.Data); diff != "" {
			t.Errorf("%s %s into %T (-want +got):\n%s", method, data, want, diff)
		}
		if diff := cmp.Diff([]kombo.Warning{{Message: "careful"}}, response.Warnings); diff != "" {
			t.Errorf("warnings (-want +got):\n%s", diff)
		}
		if response.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("header = %v", response.Header)
		}
	}
}

// tree is a type that contains itself. So is nested.
type tree struct {
	ID       string `json:"id"`
	Children []tree `json:"children"`
}

type empty struct{}

type nested map[string]nested

func TestCallDecodes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 1, 2, 3, 4e6, time.UTC)
	checkCall(t, `"data":{"id":"e1","work_email":null,"changed_at":"2026-11-26T01:02:03.004Z","new":[1]},`, employee{ID: "e1", ChangedAt: at}, "")
	checkCall(t, `"data":{"id":"e1"},`, map[string]any{"id": "e1"}, "")
	checkCall[any](t, `"data":[1,null],`, []any{1.0, nil}, "")
	checkCall[any](t, `"data":null,`, nil, "")
	checkCall(t, `"data":[{"id":"e1"},{}],`, []employee{{ID: "e1"}, {}}, "")
	checkCall(t, `"data":{"n":9007199254740993},`, json.RawMessage(`{"n":9007199254740993}`), "")
	checkCall(t, `"data":"text",`, "text", "")
	checkCall(t, `"data":{"id":"e1"},`, struct{}{}, "")
	checkCall(t, `"data":null,`, struct{}{}, "")
	checkCall(t, `"data":[],`, struct{}{}, "") // the caller does not read the data, so the action has not failed
	checkCall(t, `"data":"done",`, empty{}, "")
	checkCall(t, `"data":{"id":"t1","children":[{"id":"t2"}]},`, tree{ID: "t1", Children: []tree{{ID: "t2"}}}, "")
	checkCall(t, `"data":{"a":{"b":{}}},`, nested{"a": {"b": {}}}, "")
	checkCall(t, `"data":{"1":"a"},`, map[int]string{1: "a"}, "")
	checkCall(t, `"data":"2026-11-26T01:02:03.004Z",`, at, "")
	checkCall(t, `"data":["10.0.0.1"],`, []net.IP{net.ParseIP("10.0.0.1")}, "")
	client, _ := mocked(t, "*", "", 200, `{"status":"success","data":{"id":"e1"}}`)
	if response, err := kombo.Call[struct{ string2 }](t.Context(), client, kombo.Request{Path: "/x"}); err != nil || response.Data.ID != "e1" {
		t.Errorf("into an embedded field: %+v, %v", response, err)
	}
	checkCall(t, ``, struct{}{}, "")
	checkCall(t, `"data":null,`, []employee(nil), "")

	checkCall(t, `"data":null,`, employee{}, "it has no data")
	checkCall(t, ``, employee{}, "it has no data")
	checkCall(t, `"data":null,`, "", "it has no data")
	checkCall(t, `"data":[],`, employee{}, "the type of data is wrong")
	checkCall(t, `"data":{"id":1},`, employee{}, "the type of data.id is wrong")
	checkCall(t, `"data":{"changed_at":"soon"},`, employee{}, "data.changed_at is not a time")
	checkCall(t, `"data":["x"],`, []employee{}, "the type of data is wrong")
}

func TestCallFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		body   string
		kind   error
	}{
		{409, envelope(`"INTEGRATION.SETUP_SYNC_PENDING"`, "null", `"m"`, "null"), kombo.ErrIntegrationNotReady},
		{409, envelope(`"INTEGRATION.AUTHENTICATION_INVALID"`, "null", `"m"`, "null"), kombo.ErrReconnectRequired},
		{404, notFoundResponse, kombo.ErrIntegrationNotFound},
		{429, envelope(`"REMOTE.RATE_LIMIT_EXCEEDED"`, "null", `"m"`, "null"), kombo.ErrRateLimited},
		{400, envelope(`"PLATFORM.INPUT_INVALID"`, "null", `"m"`, "null"), kombo.ErrInvalidInput},
		{502, "<html>down</html>", kombo.ErrUnexpectedResponse},
		{200, "<html>Please log in</html>", kombo.ErrUnexpectedResponse},
		{200, `{"status":"error","error":{"code":"PLATFORM.INTEGRATION_NOT_FOUND","message":"m"}}`, kombo.ErrIntegrationNotFound},
	}
	for _, test := range tests {
		client, _ := mocked(t, "*", "", test.status, test.body)
		_, err := kombo.Call[employee](t.Context(), client, kombo.Request{Path: "/a/{b}", PathValues: []string{"secret"}})
		var kerr *kombo.Error
		if !errors.As(err, &kerr) || !errors.Is(err, test.kind) || kerr.Op != "GET /a/{b}" || kerr.StatusCode != test.status || kerr.Attempts != 1 {
			t.Errorf("%d %s: error = %v", test.status, test.body, err)
		}
		_, pageErr := kombo.ListPage[employee](t.Context(), client, kombo.ListRequest{Path: "/a/{b}", PathValues: []string{"secret"}})
		if pageErr == nil || pageErr.Error() != err.Error() {
			t.Errorf("ListPage: %v\nCall: %v", pageErr, err)
		}
	}
}

// A token is secret, no matter which function sends it.
func TestCallHidesTokens(t *testing.T) {
	t.Parallel()
	const token = "opaque-activation-token"
	client, _ := mocked(t, "*", "", 400, envelope(`"A"`, `"no `+token+`"`, `"no `+token+`"`, `"https://a/`+token+`"`))
	_, err := kombo.Call[struct{}](t.Context(), client, kombo.Request{Path: "/connect/integration-by-token/{token}", PathValues: []string{token}})
	var kerr *kombo.Error
	if !errors.As(err, &kerr) || strings.Contains(fmt.Sprintf("%v %s", err, kerr.Body), token) || !strings.Contains(err.Error(), "[redacted]") {
		t.Errorf("error = %v, body %s", err, kerr.Body)
	}
}

// Over HTTP/2, net/http resends a request without a body after errors that do not show whether it was executed.
func TestCallIsNotResent(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "PATCH"} {
		for _, body := range []any{nil, struct{}{}} {
			f := fault{frames: resetStream(protocolError, false), times: 1}
			got := f.meet(t, faultyCall{method, `{"status":"success","data":{}}`, func(ctx context.Context, client *kombo.Client) error {
				_, err := kombo.Call[struct{}](ctx, client, kombo.Request{Method: method, Path: "/x", Body: body})
				return err
			}})
			if got != "ErrNetwork, 1" {
				t.Errorf("%s with the body %v: %s, want one request", method, body, got)
			}
		}
	}
}

// Methods that are not idempotent are retried only if the request was not executed, unless the caller allows it.
func TestCallRetries(t *testing.T) {
	t.Parallel()
	for method, idempotent := range map[string]bool{"": true, "GET": true, "PUT": true, "DELETE": true, "POST": false, "PATCH": false} {
		for _, allowed := range []bool{false, true} {
			for status, executed := range map[int]bool{503: true, 429: false} {
				synctest.Test(t, func(t *testing.T) {
					attempts := 0
					client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
						attempts++
						return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}}, nil
					})}))
					_, err := kombo.Call[struct{}](t.Context(), client, kombo.Request{Method: method, Path: "/x", Idempotent: allowed})
					want := 4
					if !idempotent && !allowed && executed {
						want = 1
					}
					if err == nil || attempts != want {
						t.Errorf("%q, Idempotent: %v, %d: %d attempts (%v), want %d", method, allowed, status, attempts, err, want)
					}
				})
			}
		}
	}
}

// The time limit of one attempt is that of the request, else that of the client, else that of the method.
func TestCallTimeout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options []kombo.Option
		request kombo.Request
		want    time.Duration
	}{
		{"read", nil, kombo.Request{}, time.Minute},
		{"write", nil, kombo.Request{Method: "PUT"}, time.Minute},
		{"POST", nil, kombo.Request{Method: "POST"}, 5 * time.Minute},
		{"client", []kombo.Option{kombo.WithTimeout(7 * time.Second)}, kombo.Request{Method: "POST"}, 7 * time.Second},
		{"request", nil, kombo.Request{Method: "POST", Timeout: time.Second}, time.Second},
		{"request, longer than the client's", []kombo.Option{kombo.WithTimeout(7 * time.Second)}, kombo.Request{Timeout: time.Hour}, time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				options := append([]kombo.Option{
					kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 1}),
					kombo.WithHTTPClient(&http.Client{Transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
						<-r.Context().Done()
						return nil, r.Context().Err()
					})}),
				}, test.options...)
				client := newClient(t, options...)
				began := time.Now()
				test.request.Path = "/x"
				_, err := kombo.Call[struct{}](t.Context(), client, test.request)
				if took := time.Since(began); !errors.Is(err, kombo.ErrNetwork) || took != test.want {
					t.Errorf("%v after %v, want %v", err, took, test.want)
				}
			})
		})
	}
}

// string2 is comparable, unlike structs with times.
type string2 struct {
	ID string `json:"id"`
}
