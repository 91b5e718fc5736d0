package kombo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

// Servers and proxies echo the request in their responses, escaped for the format of the response.
func TestErrorsHideEscapedSecrets(t *testing.T) {
	t.Parallel()
	const (
		key       = "kombo+live/8f3kQ2mZ=&7xW1pT5v"
		token     = "act:0123+45/6789&x=1"
		linkToken = "GinuMJCpUQ9xdpLmD2ocw8qdiK3qiPCizDCv754EXri2vAX4"
	)
	said := "Bearer " + key + " " + token + " https://connect.kombo.dev/v1?lang=de&token=" + linkToken
	quote := func(s string) string {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Error(err)
		}
		return string(quoted[1 : len(quoted)-1])
	}
	references := strings.NewReplacer("&", "&amp;", "+", "&#43;", "=", "&#x3D;", "/", "&sol;", ":", "&#58").Replace
	// decode undoes one layer of any of these encodings.
	decode := func(s string) string {
		return html.UnescapeString(strings.NewReplacer("%25", "%", "%2B", "+", "%3D", "=", "%26", "&", "%2F", "/", "%3A", ":",
			`\\`, `\`, `\u0026`, "&").Replace(s))
	}
	tests := []struct {
		name   string
		escape func(string) string
	}{
		{"as it is", func(s string) string { return s }},
		{"JSON", quote},
		{"JSON in JSON", func(s string) string { return quote(quote(s)) }},
		{"JSON in JSON in JSON", func(s string) string { return quote(quote(quote(s))) }},
		{"HTML", html.EscapeString},
		{"HTML, more", references},
		{"HTML in JSON", func(s string) string { return quote(references(s)) }},
		{"query", url.QueryEscape},
		{"query in query", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }},
		{"query in query in HTML", func(s string) string { return references(url.QueryEscape(url.QueryEscape(s))) }},
		{"path in JSON", func(s string) string { return quote(url.PathEscape(s)) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			escaped := test.escape(said)
			if !strings.Contains(decode(decode(decode(escaped))), key) {
				t.Fatalf("the test does not know how to decode %s", escaped)
			}
			text := `"` + quote(escaped) + `"`
			bodies := []string{envelope(text, text, text, text), "<html><h1>502 Bad Gateway</h1>" + escaped + " <p>Try again later.</p>"}
			for cut := 0; cut < len(escaped); cut += 7 {
				bodies = append(bodies, strings.Repeat(" ", kombo.MaxErrorBody-cut)+escaped)
			}
			for i, body := range bodies {
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(httpmock.NewStringResponder(400, body))
				client, err := kombo.NewClient(key, kombo.WithHTTPClient(&http.Client{Transport: mock}))
				if err != nil {
					t.Fatal(err)
				}
				_, err = client.Connect.IntegrationByToken(t.Context(), token)
				kerr, ok := errors.AsType[*kombo.Error](err)
				if !ok {
					t.Fatalf("error = %v", err)
				}
				got := fmt.Sprintln(strings.TrimSpace(string(kerr.Body)), kerr.Code, kerr.Title, kerr.Message, kerr.LogURL, err)
				for range 4 {
					for _, secret := range []string{key[:12], token[:12], linkToken[:12]} {
						if strings.Contains(got, secret) {
							t.Errorf("%q is in %.2000s", secret, got)
						}
					}
					got = decode(got)
				}
				if i == 1 && (!strings.HasPrefix(string(kerr.Body), "<html><h1>502 Bad Gateway</h1>") || !strings.HasSuffix(string(kerr.Body), " <p>Try again later.</p>")) {
					t.Errorf("the page reads %s", kerr.Body)
				}
			}
		})
	}
}

// Each fault could echo a secret, and a program could print everything it gets. No output contains a key, token, link
// or webhook secret.
func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	var said syncBuffer
	logger := slog.New(slog.NewJSONHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: false}))
	const opaqueToken = "opaque-activation-token/with slash"

	echo := func(status int, contentType, format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			all := fmt.Sprintf("%s %s %s %s", r.Header.Get("Authorization"), r.URL.Path, r.URL.EscapedPath(), testLink)
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, format, all)
		}
	}
	leaking := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("proxy said: %w", &url.Error{
			Op: "Get", URL: r.URL.String(), Err: fmt.Errorf("header %v of %s", r.Header, r.URL.Path),
		})
	})
	faults := map[string]struct {
		handler http.HandlerFunc
		options []kombo.Option
	}{
		"error that echoes":          {handler: echo(400, "application/json", `{"status":"error","error":{"code":"%[1]s","title":"%[1]s","message":"%[1]s","log_url":"%[1]s"}}`)},
		"HTML that echoes":           {handler: echo(502, "text/html", "<html>%s</html>")},
		"success without its fields": {handler: echo(200, "application/json", `{"status":"success","data":{"lnk":"%s"}}`)},
		"success that is no JSON":    {handler: echo(200, "text/plain", "%s")},
		"content type that echoes":   {handler: func(w http.ResponseWriter, r *http.Request) { echo(500, "text/x-"+testAPIKey+r.URL.Path, "%s")(w, r) }},
		"header that is none": {handler: func(w http.ResponseWriter, r *http.Request) {
			hijack(t, "HTTP/1.1 200 OK\r\nEcho "+r.Header.Get("Authorization")+r.URL.Path+r.URL.EscapedPath()+"\r\n\r\n")(w, r)
		}},
		"status line that echoes": {handler: func(w http.ResponseWriter, r *http.Request) {
			hijack(t, "HTTP/1.1 2OO "+r.Header.Get("Authorization")+r.URL.Path+r.URL.EscapedPath()+"\r\n\r\n")(w, r)
		}},
		"redirect that echoes": {handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://evil.example"+r.URL.Path+"?token="+testToken)
			w.WriteHeader(302)
		}},
		"a response that is not HTTP": {handler: hijack(t, "Bearer "+testAPIKey+" "+testToken+"\r\n\r\n")},
		"cut":                         {handler: hijack(t, "")},
		"transport that echoes":       {handler: respondWithLink, options: []kombo.Option{kombo.WithHTTPClient(&http.Client{Transport: leaking})}},
		"time limit":                  {handler: waitForHangUp, options: []kombo.Option{kombo.WithTimeout(20 * time.Millisecond)}},
		"everything goes well":        {handler: respondWithLink},
		"rate limit that echoes":      {handler: echo(429, "text/plain", "%s")},
	}
	for name, fault := range faults {
		client, server := serve(t, fault.handler, append([]kombo.Option{kombo.WithLogger(logger)}, fault.options...)...)
		server.Config.ErrorLog = log.New(&said, "", 0)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		because, cancelBecause := context.WithCancelCause(t.Context())
		cancelBecause(&url.Error{Op: "Get", URL: testLink, Err: errors.New("key " + testAPIKey)})
		for _, ctx := range []context.Context{t.Context(), cancelled, because} {
			for _, call := range allCalls {
				say(&said, logger, name, call(ctx, client))
			}
			_, err := client.Connect.IntegrationByToken(ctx, opaqueToken)
			say(&said, logger, name, err)
			_, err = kombo.Call[employee](ctx, client, kombo.Request{
				Path: "/connect/integration-by-token/{token}", PathValues: []string{opaqueToken},
			})
			say(&said, logger, name, err)
			link, _ := client.Connect.CreateLink(ctx, linkRequest)
			relink, _ := client.Integrations.Relink(ctx, testIntegrationID, kombo.RelinkRequest{})
			setup, _ := client.Integrations.SetupLink(ctx, testIntegrationID, kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
			for _, value := range []any{client, *client, link, relink, setup} {
				_, _ = fmt.Fprintf(&said, "%v %+v %#v\n", value, value, value)
				logger.Info(name, "value", value)
			}
		}
	}
	verifier := newVerifier(t, testSecret)
	body := webhook(t, "integration-created")
	for _, signature := range []string{"", "wrong", kombo.SignWebhook("other", body)} {
		_, err := verifier.Parse(body, signature)
		say(&said, logger, "webhook", err)
	}
	_, _ = fmt.Fprintf(&said, "%v %+v %#v", verifier, verifier, verifier)

	text := said.String()
	if !strings.Contains(text, "[redacted]") || strings.Count(text, `"msg":"kombo: attempt"`) < 50 {
		t.Fatalf("the run did not say what it should have:\n%s", text)
	}
	for _, secret := range []string{
		testAPIKey, testToken, opaqueToken, url.PathEscape(opaqueToken), url.QueryEscape(opaqueToken), "opaque-activation",
		testLink, "eyJ", testSecret, kombo.SignWebhook(testSecret, body),
	} {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%q was said: …%s…", secret, text[max(0, i-300):min(len(text), i+100)])
		}
	}
}

// go-retryablehttp logs URLs to stderr unless its logger is set to nil. The output of a process can only be read from
// outside, so the test above runs again in another process.
func TestNothingIsPrinted(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestNothingSecretIsPrinted$", "-test.v")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil || !strings.Contains(stdout.String(), "--- PASS: TestNothingSecretIsPrinted") {
		t.Fatalf("%v: %s", err, &stdout)
	}
	if stderr.Len() > 0 {
		t.Errorf("printed to stderr: %.1000s", &stderr)
	}
	for _, secret := range []string{testAPIKey, "eyJ", "opaque-activation", testSecret} {
		if strings.Contains(stdout.String(), secret) {
			t.Errorf("printed to stdout: %.1000s", &stdout)
		}
	}
}

// say prints err in every way that a program can.
func say(to io.Writer, logger *slog.Logger, name string, err error) {
	for ; err != nil; err = errors.Unwrap(err) {
		_, _ = fmt.Fprintf(to, "%v %+v %#v %s %q\n", err, err, err, err, err)
		logger.Error(name, "error", err)
		if kerr := (*kombo.Error)(nil); errors.As(err, &kerr) {
			_, _ = fmt.Fprintf(to, "%s %+v\n", kerr.Body, *kerr)
		}
		if urlErr := (*url.Error)(nil); errors.As(err, &urlErr) {
			_, _ = fmt.Fprintf(to, "%v\n", urlErr)
		}
		for _, found := range []any{
			new(net.Error), new(*net.OpError), new(textproto.ProtocolError), new(interface{ Unwrap() []error }), new(interface{ Timeout() bool }),
		} {
			if errors.As(err, found) {
				_, _ = fmt.Fprintf(to, "%v %+v\n", reflect.ValueOf(found).Elem(), reflect.ValueOf(found).Elem())
			}
		}
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("not me") }

func TestClientHidesItsKey(t *testing.T) {
	t.Parallel()
	client := newClient(t, kombo.WithLogger(slog.Default()), kombo.WithHTTPClient(&http.Client{}))
	wrapped := struct {
		Client *kombo.Client
		Value  kombo.Client
	}{client, *client}
	values := []any{client, *client, client.Connect, *client.Connect, client.Integrations, *client.Integrations, wrapped, &wrapped}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, value := range values {
			got := fmt.Sprintf(verb, value)
			for _, form := range []string{testAPIKey, fmt.Sprintf("%x", testAPIKey), fmt.Sprintf("%X", testAPIKey)} {
				if strings.Contains(got, form) {
					t.Errorf("%s of a %T prints the key: %s", verb, value, got)
				}
			}
		}
	}
	for _, verb := range []string{"%v", "%#v"} {
		if got := fmt.Sprintf(verb, client); got != "kombo.Client(https://api.kombo.dev/v1)" {
			t.Errorf("%s = %q", verb, got)
		}
	}
	if got := (*kombo.Client)(nil).String(); got != "kombo.Client(not made by NewClient)" {
		t.Errorf("String of nil = %q", got)
	}
}

func TestLinkHidesItsURL(t *testing.T) {
	t.Parallel()
	link := kombo.Link{URL: testLink}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "link", link, "pointer", &link)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("made", "link", link, "pointer", &link)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t", "%c"} {
		fmt.Fprintf(&log, verb+verb, link, &link)
		fmt.Fprintf(&log, verb+verb, []*kombo.Link{&link}, struct{ Link kombo.Link }{link})
	}
	if strings.Contains(log.String(), "eyJ") || strings.Contains(log.String(), fmt.Sprintf("%x", "eyJ")) {
		t.Errorf("the link is logged: %s", log.String())
	}
	if !strings.Contains(log.String(), "kombo.Link([redacted])") || kombo.Link.String(kombo.Link{}) != "kombo.Link(empty)" {
		t.Errorf("log = %s", log.String())
	}
}

func TestVerifierHidesItsSecrets(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, testSecret, "previous-secret")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{verifier, *verifier, struct{ V *kombo.WebhookVerifier }{verifier}} {
			got := fmt.Sprintf(verb, value)
			for _, secret := range []string{testSecret, "previous-secret", fmt.Sprintf("%x", testSecret)} {
				if strings.Contains(got, secret) {
					t.Errorf("%s of a %T prints a secret: %s", verb, value, got)
				}
			}
		}
	}
	if got := (*kombo.WebhookVerifier)(nil).String(); got != "kombo.WebhookVerifier(nil)" {
		t.Errorf("String of nil = %q", got)
	}
	for _, verb := range []string{"%v", "%#v"} {
		if got := fmt.Sprintf(verb, verifier); got != "kombo.WebhookVerifier(secrets: 2)" {
			t.Errorf("%s = %q", verb, got)
		}
	}
}

// A token that equals a word of an error code must not change the kind of the error.
func TestTokenDoesNotHideTheCode(t *testing.T) {
	t.Parallel()
	client, _ := mocked(t, "*", "", 429, envelope(`"PLATFORM.RATE_LIMIT_EXCEEDED"`, "null", `"PLATFORM is unknown"`, "null"))
	_, err := client.Connect.IntegrationByToken(t.Context(), "PLATFORM")
	const want = "kombo: GET /connect/integration-by-token/{token}: 429 PLATFORM.RATE_LIMIT_EXCEEDED: [redacted] is unknown (attempts: 1)"
	if !errors.Is(err, kombo.ErrRateLimited) || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

// A code that does not look like one is treated as text.
func TestCodeThatIsNone(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"opaquetoken":            "[redacted]",
		"[opaquetoken]":          "[[redacted]]",
		"the opaquetoken":        "the [redacted]",
		strings.Repeat("A", 100): strings.Repeat("A", 100),
		strings.Repeat("A", 600): strings.Repeat("A", 500),
		strings.Repeat("a", 600): strings.Repeat("a", 500),
	} {
		client, _ := mocked(t, "*", "", 400, envelope(`"`+code+`"`, "null", `"m"`, "null"))
		_, err := client.Connect.IntegrationByToken(t.Context(), "opaquetoken")
		if kerr, ok := errors.AsType[*kombo.Error](err); !ok || string(kerr.Code) != want {
			t.Errorf("%s: error = %v, want the code %s", code, err, want)
		}
	}
}

// The label of a metric must not contain IDs or tokens.
func TestObserverGetsRoutesOnly(t *testing.T) {
	t.Parallel()
	for op, call := range allCalls {
		client, _ := mocked(t, "*", "", 404, notFoundResponse)
		reported := ""
		_ = call(kombo.ContextWithObserver(t.Context(), func(_ context.Context, c kombo.CallInfo) { reported += c.Op }), client)
		if reported != op || strings.Contains(reported, "personio") {
			t.Errorf("reported %q, want %q", reported, op)
		}
	}
}
