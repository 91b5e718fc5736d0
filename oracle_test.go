package kombo_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

// For any body, ParseEvent returns the same as a second implementation, which has only the exported structs and the
// documented rule: an id, a type, data and the required fields. For duplicate keys, other capitals or invalid UTF-8,
// encoding/json decides in both.
func FuzzParseEventOracle(f *testing.F) {
	for _, body := range webhooks(f) {
		for _, seed := range mutations(f, body) {
			f.Add(seed)
		}
	}
	for _, body := range unusualBodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		got, gotErr := kombo.ParseEvent(body)
		want, wantErr := decodeTwice(body)
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
		if (gotErr == nil) != (wantErr == nil) || (got == nil) != (gotErr != nil) {
			t.Fatalf("ParseEvent = %v, %v; decoded twice: %v", got, gotErr, wantErr)
		}
		if gotErr != nil {
			if !errors.Is(gotErr, kombo.ErrInvalidPayload) || strings.ContainsAny(gotErr.Error(), "\r\n") {
				t.Errorf("error = %q, want ErrInvalidPayload in one line", gotErr)
			}
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("event (-decoded twice +got):\n%s", diff)
		}
		if !bytes.Equal(got.RawBody(), body) {
			t.Errorf("RawBody = %q", got.RawBody())
		}
		encoded, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("the event cannot be encoded again: %v", err)
		}
		if _, unknown := got.(*kombo.UnknownEvent); unknown {
			return // encoding removes white space from its data, so the data differs
		}
		again, err := kombo.ParseEvent(encoded)
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("encoded and parsed again: %v (-first +second):\n%s", err, diff)
		}
	})
}

// unusualBodies are valid or invalid in ways that a fast path could get wrong.
var unusualBodies = []string{
	`{"data":{"id":"a:1","tool":"a"},"more":[{"x":"]}"}],"type":"integration-created","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"more":[{],"type":"integration-created","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"more":1 2,"type":"integration-created","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"more":,"type":"integration-created","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"type":"integration-created" "x","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"type":"integration-created","id":"e"x}`,
	`{"data":{"id":"a:1","tool":"a"},"type":"integration-created","id":"e"],"id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"}],"type":"integration-created","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"type":"integration-created","id":"e",}`,
	`{"data":{"id":"a:1","tool":"a"},"type":"integration-created","id":"e"}}`,
	`{"data":{"id":"a:1","tool":"a"},"type":"integration-created","id":5,"id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"type":"integration-created","id":"","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"type":"integration-created","ID":"f","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"DATA":{"tool":"b"},"type":"integration-created","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"ty\u0070e":"integration-deleted","type":"integration-created","id":"e"}`,
	`{"data":{"id":"a:1","tool":"a"},"":null,"type":"integration-created","id":"e"} `,
	`{"id":"e","type":"integration-created","data":{"id":"a:1","tool":"a"},"more":{"x":1}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1","tool":"a"},"more":{"x":"{"}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1","tool":"}"},"data":{"id":"b:1"}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1","tool":"a"},{"x":1}}`,
	`{"data":{"id":"a:1"},"type":"integration-created","id":"e"}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1"},"data":{"tool":"b"}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1"},"type":"integration-deleted"}`,
	`{"id":"e","id":"f","type":"integration-created","data":{"id":"a:1"}}`,
	`{"id":"e","type":"integration\u002dcreated","data":{"id":"a:1"}}`,
	`{"ID":"e","Type":"integration-created","DATA":{"id":"a:1"}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1"}}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1"}`,
	`{"id":"e","type":"integration-created","data":}`,
	`{"id":"e","type":"integration-created","data":null}`,
	`{"id":"e","type":"integration-created","data":[]}`,
	`{"id":"e","type":"new-thing","data":[1]}`,
	`{"id":"e","type":"new-thing","data":{"type":"integration-created"}}`,
	`{"id":"","type":"new-thing","data":1}`,
	`{"id":"é","type":"new-thing","data":1}`,
	"{\"id\":\"\xff\",\"type\":\"new-thing\",\"data\":1}",
	`{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"id":"i"}}}`,
	`{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"id":"i"},"integration":{}}}`,
	`{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"id":"i"},"integration":{"id":"a:1"},"integration":null}}`,
	`{"id":"e","type":"issue-status-changed","data":{"change":"raised","issue":{"id":null,"resolved_at":"soon"}}}`,
	`[]`, `null`, ``, ` { } `,
}

// decodeTwice is a ParseEvent without a fast path.
func decodeTwice(body []byte) (kombo.Event, error) {
	var envelope struct {
		ID   string          `json:"id"`
		Type kombo.EventType `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, err
	}
	if envelope.ID == "" || envelope.Type == "" || envelope.Data == nil || string(envelope.Data) == "null" {
		return nil, errors.New("id, type or data is missing")
	}
	header := kombo.EventHeader{ID: envelope.ID, Type: envelope.Type}
	var event kombo.Event = &kombo.UnknownEvent{}
	for _, sample := range wantEvents() {
		if sample.EventType() == envelope.Type {
			event = reflect.New(reflect.TypeOf(sample).Elem()).Interface().(kombo.Event)
		}
	}
	fields := reflect.ValueOf(event).Elem()
	fields.FieldByName("EventHeader").Set(reflect.ValueOf(header))
	if err := json.Unmarshal(envelope.Data, fields.FieldByName("Data").Addr().Interface()); err != nil {
		return nil, err
	}
	for _, path := range requiredFields[envelope.Type] {
		if isMissing(fields.FieldByName("Data"), strings.Split(path, ".")) {
			return nil, errors.New(path + " is missing")
		}
	}
	return event, nil
}

// isMissing reports whether a field has its zero value. What is in a pointer that is nil is not missing.
func isMissing(value reflect.Value, path []string) bool {
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return false
		}
		value = value.Elem()
	}
	if len(path) > 0 {
		return isMissing(value.FieldByName(path[0]), path[1:])
	}
	if at, ok := reflect.TypeAssert[time.Time](value); ok {
		return at.IsZero()
	}
	return value.IsZero()
}

// mutations returns a webhook and variants: truncated, compact, with duplicate keys or other capitals, and with each
// field of the data missing, null or of another type.
func mutations(t testing.TB, body []byte) [][]byte {
	t.Helper()
	var envelope struct {
		ID   string                     `json:"id"`
		Type string                     `json:"type"`
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		t.Fatal(err)
	}
	all := [][]byte{
		body, compact.Bytes(), body[:len(body)/2], append(bytes.Clone(body), " \n}"...),
		bytes.ReplaceAll(body, []byte(`"id"`), []byte(`"ID"`)),
		bytes.ReplaceAll(body, []byte(`"id": "`), []byte("\"id\": \"\xff\\ud800")),
		bytes.Replace(body, []byte(`"data"`), []byte(`"data": {"id": "first", "updated_at": "2020-01-01T00:00:00Z"}, "data"`), 1),
		bytes.Replace(body, []byte(`"type"`), []byte(`"type": "data-changed", "type"`), 1),
		bytes.Replace(body, []byte(`"id"`), []byte("\"\\u0069d\": \"escaped\",\t\"more\": [{}],\r\n\"id\""), 1),
	}
	for name, value := range envelope.Data {
		for _, changed := range []string{"", "null", "[1]", `"0001-01-01T00:00:00Z"`} {
			if envelope.Data[name] = json.RawMessage(changed); changed == "" {
				delete(envelope.Data, name)
			}
			encoded, err := json.Marshal(envelope)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, encoded)
		}
		envelope.Data[name] = value
	}
	return all
}

// For any body and secret, the signature of another implementation verifies, padded or not, and no other string
// does.
func FuzzVerify(f *testing.F) {
	for _, body := range webhooks(f) {
		f.Add(body, testSecret, kombo.SignWebhook(testSecret, body))
	}
	f.Add([]byte{}, "k", "i7mQxAp9YcuXWXqUISUCW-UKyL63RDbjc1uYiTp_ZiA=")
	f.Add([]byte("\x00\xff"), "schlüssel", "\n")
	f.Add([]byte("{}"), strings.Repeat("long", 40), strings.Repeat("=", 44))
	f.Add([]byte("{}"), " secret", "")
	f.Fuzz(func(t *testing.T, body []byte, secret, signature string) {
		verifier, err := kombo.NewWebhookVerifier(secret)
		if err != nil || len(body) > kombo.MaxWebhookBody {
			return
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		padded := base64.URLEncoding.EncodeToString(mac.Sum(nil))
		good := strings.TrimRight(padded, "=")
		if made := kombo.SignWebhook(secret, body); made != good {
			t.Fatalf("SignWebhook = %s, want %s", made, good)
		}
		both := newVerifier(t, "previous-"+secret, secret)
		for _, right := range []string{good, padded} {
			if err := errors.Join(verifier.Verify(body, right), both.Verify(body, right)); err != nil {
				t.Errorf("Verify with the right signature %q: %v", right, err)
			}
		}
		if err := newVerifier(t, secret+"x").Verify(body, good); !errors.Is(err, kombo.ErrInvalidSignature) {
			t.Errorf("Verify with another secret = %v", err)
		}
		if err := verifier.Verify(append(bytes.Clone(body), 0), good); !errors.Is(err, kombo.ErrInvalidSignature) {
			t.Errorf("Verify of a longer body = %v", err)
		}
		wrong := []string{signature, signature + good, good + signature, padded + signature, good + "\n", strings.ToLower(good), good[1:]}
		// The other string replaces a few characters of the signature, at each position.
		for i := range good {
			wrong = append(wrong, good[:i]+signature+good[min(len(good), i+len(signature)):])
		}
		for _, other := range wrong {
			want := kombo.ErrInvalidSignature
			switch other {
			case good, padded:
				continue
			case "":
				want = kombo.ErrMissingSignature
			}
			if err := both.Verify(body, other); !errors.Is(err, want) {
				t.Errorf("Verify(%q) = %v, want %v; right is %q", other, err, want, good)
			}
			if event, err := verifier.Parse(body, other); event != nil || !errors.Is(err, want) {
				t.Errorf("Parse(%q) = %v, %v, want %v", other, event, err, want)
			}
		}
	})
}

// For any response without success, a call fails with an *Error that keeps the status, prints as one line, and
// contains no secret.
func FuzzErrorResponse(f *testing.F) {
	const code = `{"status":"error","error":{"code":"PLATFORM.INTEGRATION_NOT_FOUND","title":"T","message":"M","log_url":"https://app.kombo.dev/logs"}}`
	for i, body := range []string{
		code, "<html><h1>502 Bad Gateway</h1></html>", "", "null", "[]", "{", "\x00\xff\r\n", `{"error":{"code":7,"message":"m"}}`,
		`{"status":"success","data":{"link":"` + testLink + `"}}`, `{"error":{"message":"` + testAPIKey + testToken + `"}}`,
		`{"error":{"code":"` + testAPIKey + `","title":"\u0074est-api-key-0123456789","log_url":"` + testAPIKey + `"}}`,
		strings.Repeat("é", kombo.MaxErrorBody), strings.Repeat("x", kombo.MaxErrorBody-5) + testAPIKey, strings.Repeat("[", 20_000),
	} {
		for j, status := range []int{300, 304, 400, 401, 404, 429, 500, 503, 599, 999, math.MaxInt32} {
			f.Add(status, []byte(body), []string{"application/json", "text/html", "", "\x00"}[(i+j)%4], []string{"", "1", "-1", "x"}[i%4])
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, contentType, retryAfter string) {
		if status < 300 {
			return
		}
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(func(*http.Request) (*http.Response, error) {
			response := httpmock.NewBytesResponse(status, body)
			response.Header = http.Header{"Content-Type": {contentType}, "Retry-After": {retryAfter}}
			return response, nil
		})
		client := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock}),
			kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Nanosecond, MaxRetryAfter: time.Nanosecond}))
		_, checked := client.CheckAPIKey(t.Context())
		_, linked := client.Connect.CreateLink(t.Context(), linkRequest)
		_, exchanged := client.Connect.IntegrationByToken(t.Context(), testToken)
		switched := client.Integrations.SetEnabled(t.Context(), testIntegrationID, true)
		for name, err := range map[string]error{"CheckAPIKey": checked, "CreateLink": linked, "IntegrationByToken": exchanged, "SetEnabled": switched} {
			var kerr *kombo.Error
			if !errors.As(err, &kerr) || kerr.StatusCode != status || kerr.Attempts < 1 || kerr.Attempts > 2 {
				t.Errorf("%s = %#v, want an *Error with the status %d", name, err, status)
				continue
			}
			if errors.Is(err, kombo.ErrNetwork) || len(kerr.Body) > kombo.MaxErrorBody || kerr.RetryAfter < 0 {
				t.Errorf("%s: %v, %d bytes, retry after %v", name, err, len(kerr.Body), kerr.RetryAfter)
			}
			text := err.Error()
			if strings.ContainsAny(text, "\r\n\x00\u2028") {
				t.Errorf("%s: the error has several lines: %q", name, text)
			}
			said := fmt.Sprintf("%v %+v %#v %s %v %s", err, kerr, kerr, kerr.Body, errors.Unwrap(err), kerr.LogValue())
			if strings.Contains(said, testAPIKey) || name == "IntegrationByToken" && strings.Contains(said, testToken) {
				t.Errorf("%s: the error contains a secret: %s", name, said)
			}
		}
	})
}

// pathStep matches path segments that servers and proxies resolve.
var pathStep = regexp.MustCompile(`(^|[/\\])\.\.?([/\\]|$)`)

// An ID that is accepted arrives at the server unchanged, as one segment of the path. For any other ID nothing is sent.
func FuzzPathSegment(f *testing.F) {
	for _, id := range []string{
		testIntegrationID, "", ".", "..", "...", "a/..", "../a", `a\.\b`, "a//b", "/", `\`, "//", "a?b#c", "%2e%2e", "%", "%zz", "ä ö+ü", "a;b&c=d",
		"\r\nX: y", "\x00", "\xff", "*", "{id}", "{$}", "~", " ", "http://other.example/", strings.Repeat("é", 4<<10), strings.Repeat("x", 8<<10+1),
	} {
		f.Add(id)
	}
	var (
		mutex   sync.Mutex
		arrived []string // the paths as they were sent
	)
	// Not r.PathValue: http.ServeMux treats a segment that is only an escaped slash as the end of the path.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		arrived = append(arrived, r.RequestURI)
		mutex.Unlock()
		_, _ = io.WriteString(w, `{"status":"success","data":{}}`)
	}))
	f.Cleanup(server.Close)
	client := newClient(f, kombo.WithBaseURL(server.URL+"/v1"), quick)
	f.Fuzz(func(t *testing.T, id string) {
		mutex.Lock()
		arrived = nil
		mutex.Unlock()
		errs := []error{
			client.Integrations.Delete(t.Context(), id),
			client.Integrations.SetEnabled(t.Context(), id, true),
		}
		mutex.Lock()
		defer mutex.Unlock()
		if id == "" || len(id) > 8<<10 || !utf8.ValidString(id) || pathStep.MatchString(id) {
			for _, err := range errs {
				var kerr *kombo.Error
				if !errors.Is(err, kombo.ErrInvalidInput) || !errors.As(err, &kerr) || kerr.Attempts != 0 {
					t.Errorf("%q: %v, want ErrInvalidInput", id, err)
				}
			}
			if len(arrived) != 0 {
				t.Errorf("%q was sent: %q", id, arrived)
			}
			return
		}
		if err := errors.Join(errs...); err != nil || len(arrived) != 2 {
			t.Fatalf("%q was sent as %q: %v", id, arrived, err)
		}
		for i, end := range []string{"", "/enabled"} {
			segment, ok := strings.CutPrefix(arrived[i], "/v1/integrations/")
			segment, atEnd := strings.CutSuffix(segment, end)
			got, err := url.PathUnescape(segment)
			if !ok || !atEnd || err != nil || got != id || strings.ContainsAny(segment, `/\?#;: `) {
				t.Errorf("%q was sent as %q", id, arrived[i])
			}
		}
	})
}

// tokenLike matches possible tokens: no slashes, spaces, control characters or non-ASCII letters.
var tokenLike = regexp.MustCompile(`^[!-.0-\[\]-~]+$`)

// For any body that a browser posts, either its token is exchanged unchanged, once, or nothing is sent. The response
// contains no part of the body.
func FuzzActivate(f *testing.F) {
	for _, body := range []string{
		tokenBody, `{"token":""}`, `{"token":null}`, `{"token":1}`, `{"Token":"capital-token"}`, `{"token":"first-token","token":"second-token"}`,
		`{"token":" spaces "}`, `{"token":"a/../b"}`, `{"token":"/"}`, `{"token":"a\\b"}`, `{"token":"\u002e\u002e"}`, `{"token":"with space/and?more#"}`, `{"token":"\ud800\u0000"}`, `{"token":"x"}{}`, `[]`, `null`, ``, `token=x`,
		`{"token":"` + strings.Repeat("x", 8<<10+1) + `"}`, strings.Repeat(" ", 64<<10) + tokenBody,
	} {
		f.Add([]byte(body), "application/json")
	}
	for _, contentType := range []string{"", "text/plain", "application/json; charset=utf-8", "APPLICATION/JSON", "application/json;", "application/json; charset", "application/json ;;", "application/jsonp", "multipart/form-data; boundary=x"} {
		f.Add([]byte(tokenBody), contentType)
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		var exchanged []string
		mock := httpmock.NewMockTransport()
		mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
			token, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1/connect/integration-by-token/")
			if token, err := url.PathUnescape(token); ok && err == nil && !strings.Contains(r.URL.RawPath, "//") {
				exchanged = append(exchanged, token)
			}
			return httpmock.NewStringResponse(200, connectedResponse), nil
		})
		connected := 0
		flow, err := kombo.NewEmbeddedFlow(newClient(t, kombo.WithHTTPClient(&http.Client{Transport: mock})), kombo.EmbeddedFlowConfig{
			SignedIn: func(*http.Request) (string, error) { return "42", nil },
			Link:     func(*http.Request, string) (kombo.CreateLinkRequest, error) { return kombo.CreateLinkRequest{}, nil },
			Connected: func(context.Context, *kombo.ConnectedIntegration) error {
				connected++
				return nil
			},
			OnError: func(_ context.Context, _ int, err error) {
				if strings.ContainsAny(err.Error(), "\r\n") {
					t.Errorf("the error has several lines: %q", err)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/activate", bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		flow.ActivateHandler().ServeHTTP(w, r)

		var want []string
		status, response := http.StatusOK, `{"tool":"personio","setup_status":"INCOMPLETE"}`
		var sent struct{ Token string }
		mediaType, _, _ := strings.Cut(contentType, ";")
		switch {
		case len(body) > 64<<10:
			status, response = http.StatusRequestEntityTooLarge, `{"error":"the body is too large"}`
		case !strings.EqualFold(strings.TrimSpace(mediaType), "application/json"):
			status, response = http.StatusUnsupportedMediaType, `{"error":"use application/json"}`
		case json.Unmarshal(body, &sent) != nil || sent.Token == "":
			status, response = http.StatusBadRequest, `{"error":"the body is not {\"token\": \"…\"}"}`
		case len(sent.Token) > 8<<10 || sent.Token == "." || sent.Token == ".." || !tokenLike.MatchString(sent.Token):
			status, response = http.StatusBadRequest, `{"error":"the token is not valid"}`
		default:
			want = []string{sent.Token}
		}
		if got := strings.TrimSpace(w.Body.String()); w.Code != status || got != response {
			t.Errorf("response = %d %s, want %d %s", w.Code, got, status, response)
		}
		if diff := cmp.Diff(want, exchanged); diff != "" || connected != len(want) {
			t.Errorf("%d connected; exchanged (-want +got):\n%s", connected, diff)
		}
	})
}
