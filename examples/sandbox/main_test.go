package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// output is what the program prints, which a test may read while it runs.
type output struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
	lines  chan string
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.buffer.Write(p)
	o.lines <- string(p)
	return len(p), nil
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.buffer.String()
}

func TestSandbox(t *testing.T) {
	t.Parallel()
	verifier, err := kombo.NewWebhookVerifier("the-secret")
	if err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(verifier.Handler(kombo.EventHandlers{}))
	defer app.Close()
	ctx, stop := context.WithCancel(t.Context())
	out := &output{lines: make(chan string, 100)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-listen", "127.0.0.1:0", "-api-key", "the-key", "-webhook-url", app.URL, "-webhook-secret", "the-secret"}, out)
	}()
	banner := <-out.lines
	found := regexp.MustCompile(`API base URL +(http://127\.0\.0\.1:\d+/v1)\n +API key +the-key\n +webhook secret +the-secret\n +webhooks go to +` + app.URL).FindStringSubmatch(banner)
	if found == nil {
		t.Fatalf("it says %s", banner)
	}
	client, err := kombo.NewClient("the-key", kombo.WithBaseURL(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(strings.TrimSuffix(found[1], "v1")+"_sandbox/flows/complete", "application/json", strings.NewReader(`{"link":"`+link.URL+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if _, err := client.Connect.IntegrationByToken(ctx, "wrong"); err == nil {
		t.Error("a wrong token was exchanged")
	}
	for !strings.Contains(out.String(), "delivery") {
		<-out.lines
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		`(?m)^\d\d:\d\d:\d\d  request   POST /connect/create-link: 200 in \S+s$`,
		`(?m)^\d\d:\d\d:\d\d  request   GET /connect/integration-by-token/\{token\}: 400 PLATFORM\.INPUT_INVALID in \S+s$`,
		`(?m)^\d\d:\d\d:\d\d  delivery  integration-created \w{24}: 204 in \S+s$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("it did not say %s, but %s", want, out)
		}
	}
	if log := strings.TrimPrefix(out.String(), banner); strings.Contains(log, "the-key") || strings.Contains(log, "eyJ") || len(token) == 0 {
		t.Errorf("the log holds a secret: %s", log)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"-listen", "0.0.0.0:0"}, `-listen: other machines can reach "0.0.0.0:0"; use a loopback address, or add -allow-remote`},
		{[]string{"-listen", ":0"}, `-listen: other machines can reach ":0"; use a loopback address, or add -allow-remote`},
		{[]string{"-listen", "nonsense"}, "-listen: address nonsense: missing port in address"},
		{[]string{"-webhook-url", "localhost:3000"}, `-webhook-url: "localhost:3000" is not an http or https URL`},
		{[]string{"-url", "kombo:8900"}, `-url: "kombo:8900" is not of the form http://host:port`},
		{[]string{"-url", "http://kombo:8900/path"}, `-url: "http://kombo:8900/path" is not of the form http://host:port`},
		{[]string{"-listen", "0.0.0.0:0", "-allow-remote"}, `-listen: nobody can open links to "0.0.0.0:0"; say with -url what others call the sandbox`},
		{[]string{"-listen", ":0", "-allow-remote"}, `-listen: nobody can open links to ":0"; say with -url what others call the sandbox`},
		{[]string{"start"}, `"start" is no flag`},
		{[]string{"-listen", "127.0.0.1:99999"}, "listen tcp: address 99999: invalid port"},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			if err := run(t.Context(), test.args, io.Discard); err == nil || err.Error() != test.want {
				t.Errorf("run = %v, want %s", err, test.want)
			}
		})
	}
}

// What becomes of each delivery is said in a line, without the password that an address may hold.
func TestDeliveryLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	tests := []struct {
		delivery kombotest.Delivery
		want     string
	}{
		{kombotest.Delivery{StatusCode: 204, Attempt: 1, URL: "http://x", Duration: 1234 * time.Microsecond}, "204 in 1.23ms"},
		{kombotest.Delivery{StatusCode: 500, Attempt: 2, URL: "http://x", Duration: time.Millisecond}, "500 in 1ms (attempt 2)"},
		{kombotest.Delivery{StatusCode: 401, Attempt: 1, URL: "http://x", Forged: true}, "401 in 0s (forged)"},
		{kombotest.Delivery{Lost: true}, "lost on purpose"},
		{kombotest.Delivery{Attempt: 1}, "nowhere to deliver to"},
		{
			kombotest.Delivery{Attempt: 1, URL: "http://x", Err: &url.Error{Op: "Post", URL: "http://user:password@x", Err: errors.New("refused")}},
			"failed: refused",
		},
	}
	for _, test := range tests {
		var out bytes.Buffer
		test.delivery.Time, test.delivery.EventType, test.delivery.EventID = at, "data-changed", "event1"
		(&logger{output: &out}).delivery(test.delivery)
		if want := "03:02:01  delivery  data-changed event1: " + test.want + "\n"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}

func TestRequestLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	tests := []struct {
		request kombotest.Request
		want    string
	}{
		{kombotest.Request{Op: "GET /check-api-key", StatusCode: 200, Duration: time.Millisecond}, "GET /check-api-key: 200 in 1ms"},
		{kombotest.Request{Op: "GET /check-api-key", StatusCode: 429, ErrorCode: "X", Faulty: true}, "GET /check-api-key: 429 X (fault) in 0s"},
		{kombotest.Request{Op: "GET /check-api-key", Faulty: true}, "GET /check-api-key: connection cut (fault) in 0s"},
		{kombotest.Request{Method: "GET", Path: "/secret", StatusCode: 404}, "GET (no such endpoint): 404 in 0s"},
	}
	for _, test := range tests {
		var out bytes.Buffer
		test.request.Time = at
		(&logger{output: &out}).request(test.request)
		if want := "03:02:01  request   " + test.want + "\n"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}

// What a script sends cannot look like a line of its own.
func TestLinesStayLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	(&logger{output: &out}).delivery(kombotest.Delivery{EventType: "x\n12:00:00  request", EventID: "\x1b[31m", Lost: true})
	if want := `delivery  "x\n12:00:00  request" "\x1b[31m": lost on purpose` + "\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("%q, want %q at the end", out.String(), want)
	}
}

// Other machines are let in where that is asked for, under the name that they use.
func TestAllowRemote(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	out := &output{lines: make(chan string, 100)}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-listen", "0.0.0.0:0", "-allow-remote", "-url", "http://kombo:8900"}, out)
	}()
	if banner := <-out.lines; !strings.Contains(banner, "http://kombo:8900/v1\n") || !strings.Contains(banner, "nowhere yet") {
		t.Errorf("it says %s", banner)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
