package otelkombo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdkcalls"
	"github.com/kombo-go/kombo/otelkombo"
)

const opaqueToken = "opaque-activation-token/with slash"

// allCalls has a call of every operation, and some with other secrets.
func allCalls() map[string]func(context.Context, *kombo.Client) error {
	all := sdkcalls.All()
	all["with an opaque token"] = func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Connect.IntegrationByToken(ctx, opaqueToken)
		return err
	}
	all["with a secret path"] = func(ctx context.Context, c *kombo.Client) error {
		_, err := c.Integrations.Passthrough(ctx, testIntegrationID, "personio", "api", kombo.PassthroughRequest{Method: "GET", Path: "/secret-path"})
		return err
	}
	all["with a secret query"] = func(ctx context.Context, c *kombo.Client) error {
		_, err := kombo.Call[struct{}](ctx, c, kombo.Request{
			Path: "/ats/jobs/{job_id}", PathValues: []string{"secret-job"}, Query: url.Values{"q": {"secret-query"}}, IntegrationID: testIntegrationID,
		})
		return err
	}
	return all
}

// Nothing that is exported contains a key, a token, a link, a webhook secret, or anything else of a URL, a query, a
// header or a body, whatever servers, proxies, transports, contexts and functions say.
func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	m := newTelemetry()
	echo := func(status int, contentType, format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			all := r.Header.Get("Authorization") + " " + testLink
			if strings.Contains(r.URL.Path, "by-token") {
				all += " " + r.URL.Path + " " + r.URL.EscapedPath()
			}
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("X-Echo", all)
			w.Header().Set("Ratelimit-Remaining", testToken)
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, format, all)
		}
	}
	leaking := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("proxy said: %w", &url.Error{Op: "Get", URL: r.URL.String(), Err: fmt.Errorf("header %v of %s", r.Header, r.URL.Path)})
	})
	breaking := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: failingBody{fmt.Errorf("reading %s: %v", r.URL, r.Header)}}, nil
	})
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	ok := echo(200, "application/json", `{"status":"success","data":{"link":"`+testLink+`"},"warnings":["%s"]}`)
	for name, fault := range map[string]struct {
		handler http.HandlerFunc
		options []kombo.Option
	}{
		"error":        {handler: echo(400, "application/json", `{"status":"error","error":{"code":"%[1]s","title":"%[1]s","message":"%[1]s","log_url":"%[1]s"}}`)},
		"log":          {handler: echo(404, "application/json", `{"status":"error","error":{"code":"A","title":"b","message":"c","log_url":"https://app.kombo.dev/secret-log"}}`)},
		"HTML":         {handler: echo(502, "text/html", "<html>%s</html>")},
		"no fields":    {handler: echo(200, "application/json", `{"status":"success","data":{"lnk":"%s"}}`)},
		"no JSON":      {handler: echo(200, "text/plain", "%s")},
		"rate limit":   {handler: echo(429, "text/plain", "%s")},
		"success":      {handler: ok},
		"redirect":     {handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, testLink, http.StatusFound) }},
		"transport":    {handler: ok, options: []kombo.Option{transport(leaking)}},
		"body":         {handler: ok, options: []kombo.Option{transport(breaking)}},
		"time limit":   {handler: hang, options: []kombo.Option{kombo.WithTimeout(5 * time.Millisecond)}},
		"no server":    {handler: ok, options: []kombo.Option{kombo.WithBaseURL("http://127.0.0.1:1/secret-path/v1")}},
		"wrong scheme": {handler: ok, options: []kombo.Option{kombo.WithBaseURL("https://127.0.0.1:1/v1")}},
	} {
		server := httptest.NewServer(fault.handler)
		client := newClient(t, append([]kombo.Option{
			kombo.WithBaseURL(server.URL + "/v1"), kombo.WithRetry(kombo.RetryPolicy{MaxAttempts: 2, BaseDelay: time.Nanosecond}),
			otelkombo.Instrument(m.options()...), kombo.WithObserver(otelkombo.NewObserver(m.options()...)),
		}, fault.options...)...)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		because, cancelBecause := context.WithCancelCause(t.Context())
		cancelBecause(&url.Error{Op: "Get", URL: testLink, Err: errors.New("key " + testAPIKey)})
		for op, call := range allCalls() {
			for _, ctx := range []context.Context{t.Context(), canceled, because} {
				if err := call(ctx, client); err == nil && name != "success" && name != "no fields" && name != "no JSON" {
					t.Errorf("%s of %s succeeds", op, name)
				}
			}
		}
		server.Close()
	}
	body := createdEvent
	for _, signature := range []string{"", testToken, kombo.SignWebhook(testSecret, []byte(body))} {
		for _, err := range []error{nil, errors.New(testLink + testAPIKey)} {
			handler := otelkombo.NewHandler(newVerifier(t), kombo.EventHandlers{
				Fallback: func(context.Context, kombo.Event) error { return err },
				OnError:  func(context.Context, error) {},
			}, m.options()...)
			deliver(t.Context(), handler, strings.NewReader(body), signature, http.Header{"Authorization": {testAPIKey}})
		}
	}

	var said strings.Builder
	encoder := json.NewEncoder(&said)
	encoder.SetEscapeHTML(false)
	for _, span := range m.exporter.GetSpans() {
		span.Resource = nil // of this process
		if err := encoder.Encode(span); err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(&said, "%+v\n", span)
	}
	for _, metric := range m.collect(t) {
		if err := encoder.Encode(metric); err != nil {
			t.Fatal(err)
		}
	}
	text := said.String()
	if strings.Count(text, `"http.request.resend_count"`) < 50 || strings.Count(text, "[redacted]") < 50 || !strings.Contains(text, "kombo.webhook.duration") {
		t.Fatalf("what was recorded is not what it should be: %.3000s", text)
	}
	for _, secret := range []string{
		testAPIKey, testToken, opaqueToken, url.PathEscape(opaqueToken), url.QueryEscape(opaqueToken), "opaque-activation", testLink, "eyJhbGci",
		testSecret, kombo.SignWebhook(testSecret, []byte(body)), testIntegrationID, "personio", "ada@acme.example", "secret-", "Authorization", "proxy said",
	} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%q was said: …%s…", secret, text[max(0, i-500):min(len(text), i+100)])
		}
	}
}
