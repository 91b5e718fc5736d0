package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

var (
	sandboxBaseURL = regexp.MustCompile(`KOMBO_BASE_URL=(http://127\.0\.0\.1:\d+/v1)\n`)
	sandboxSecrets = regexp.MustCompile(`KOMBO_API_KEY=(\S+)\n +KOMBO_WEBHOOK_SECRET=(\S+)\n`)
)

// postControl posts JSON to the control API of the sandbox at a base URL.
func postControl(t *testing.T, baseURL, path, body string) {
	t.Helper()
	response, err := http.Post(strings.TrimSuffix(baseURL, "v1")+"_sandbox/"+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if content, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s (%v)", path, response.Status, content, err)
	}
}

func TestSandbox(t *testing.T) {
	t.Parallel()
	app := newReceiver(t)
	p := &program{T: t, environment: map[string]string{varAPIKey: testKey, varWebhookSecret: testSecret}}
	x := p.start("sandbox", "-listen", "127.0.0.1:0", "-webhook-url", app.URL)
	banner := x.stdout.await("KOMBO_WEBHOOK_SECRET=(the one of the environment)\n\n")
	wantContains(t, banner, "webhooks go to  "+app.URL+"\n", "KOMBO_API_KEY=(the one of the environment)\n")
	baseURL := sandboxBaseURL.FindStringSubmatch(banner)[1]

	// The other commands work with it.
	other := p.with(varBaseURL, baseURL)
	other.run(exitOK, "check")
	link, _ := other.run(exitOK, "link", "-email", "ada@acme.example", "-org", "Acme")
	postControl(t, baseURL, "flows/complete", `{"link":"`+strings.TrimSpace(link)+`"}`)
	postControl(t, baseURL, "wait", "")
	if events := app.take(); len(events) != 1 || events[0].EventType() != kombo.EventIntegrationCreated {
		t.Errorf("there arrived %s", events)
	}
	other.run(exitNotFound, "get", "personio:unknown")
	x.interrupt()
	if code := <-x.code; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		`(?m)^\d\d:\d\d:\d\d  request   POST /connect/create-link: 200 in \S+s$`,
		`(?m)^\d\d:\d\d:\d\d  request   GET /integrations/\{integration_id\}: 404 PLATFORM\.INTEGRATION_NOT_FOUND in \S+s$`,
		`(?m)^\d\d:\d\d:\d\d  delivery  integration-created \w{24}: 200 in \S+s$`,
	} {
		if !regexp.MustCompile(want).MatchString(x.stdout.String()) {
			t.Errorf("it did not print %s, but %s", want, x.stdout)
		}
	}
	if printed := x.stdout.String() + x.stderr.String(); strings.Contains(printed, testKey) || strings.Contains(printed, testSecret) || strings.Contains(printed, "token=") {
		t.Errorf("it printed a secret: %s", printed)
	}
}

// Generated secrets are printed, because the user needs them.
func TestSandboxMakesSecrets(t *testing.T) {
	t.Parallel()
	x := (&program{T: t}).start("sandbox", "-listen", "127.0.0.1:0")
	banner := x.stdout.await("KOMBO_WEBHOOK_SECRET=")
	secrets := sandboxSecrets.FindStringSubmatch(banner)
	if secrets == nil {
		t.Fatalf("it printed %s", banner)
	}
	p := &program{T: t, environment: map[string]string{
		varBaseURL: sandboxBaseURL.FindStringSubmatch(banner)[1], varAPIKey: secrets[1], varWebhookSecret: secrets[2],
	}}
	p.run(exitOK, "check")
	x.interrupt()
	<-x.code
}

func TestSandboxJSON(t *testing.T) {
	t.Parallel()
	app := newReceiver(t)
	p := &program{T: t, environment: map[string]string{varAPIKey: testKey, varWebhookSecret: testSecret}}
	x := p.start("sandbox", "-json", "-listen", "127.0.0.1:0", "-webhook-url", app.URL)
	var start struct {
		Kind        string
		Environment map[string]string
	}
	p.decode(x.stdout.await("}\n"), &start)
	baseURL := start.Environment[varBaseURL]
	if start.Kind != "start" || start.Environment[varAPIKey] != "(the one of the environment)" {
		t.Errorf("it printed %s", x.stdout)
	}
	p.with(varBaseURL, baseURL).run(exitOK, "check")
	postControl(t, baseURL, "events", `{"type":"data-changed"}`)
	x.stdout.await(`"kind":"delivery"`)
	x.interrupt()
	<-x.code
	lines := strings.Split(strings.TrimSpace(x.stdout.String()), "\n")
	var request, delivery map[string]any
	p.decode(lines[1], &request)
	p.decode(lines[2], &delivery)
	if len(lines) != 3 || request["op"] != "GET /check-api-key" || request["status"] != 200. || delivery["type"] != "data-changed" || delivery["accepted"] != true {
		t.Errorf("it printed %s", x.stdout)
	}
}

func TestSandboxFlags(t *testing.T) {
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
		{[]string{"-listen", "0.0.0.0:0", "-allow-remote"}, `-listen: links cannot point to "0.0.0.0:0"; give the address for others with -url`},
		{[]string{"-listen", ":0", "-allow-remote"}, `-listen: links cannot point to ":0"; give the address for others with -url`},
		{[]string{"start"}, `"start" is one argument too many`},
		{[]string{"-api-key", "x"}, "flag provided but not defined: -api-key"},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			_, stderr := (&program{T: t}).run(exitUsage, append([]string{"sandbox"}, test.args...)...)
			wantContains(t, stderr, "kombo: "+test.want+"\n")
		})
	}
}

// The integrations of a service survive a restart of the sandbox.
func TestSandboxState(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	p := &program{T: t, environment: map[string]string{varAPIKey: testKey, varWebhookSecret: testSecret}}
	run := func(work func(running *program)) {
		t.Helper()
		x := p.start("sandbox", "-listen", "127.0.0.1:0", "-state", file)
		work(p.with(varBaseURL, sandboxBaseURL.FindStringSubmatch(x.stdout.await("KOMBO_WEBHOOK_SECRET="))[1]))
		x.interrupt()
		if code := <-x.code; code != exitOK {
			t.Errorf("exit code %d: %s", code, x.stderr)
		}
	}
	kept := func() []kombotest.Integration {
		t.Helper()
		loaded, err := newStateFile(file).load()
		if err != nil {
			t.Fatal(err)
		}
		return loaded.Integrations
	}
	run(func(running *program) {
		for range 2 {
			link, _ := running.run(exitOK, "link", "-email", "ada@acme.example", "-org", "Acme", "-origin", "42")
			postControl(t, running.environment[varBaseURL], "flows/complete", `{"link":"`+strings.TrimSpace(link)+`"}`)
		}
	})
	integrations := kept()
	if len(integrations) != 2 || integrations[0].EndUser.OriginID != "42" {
		t.Fatalf("it kept %v", integrations)
	}
	run(func(running *program) {
		running.run(exitOK, "get", integrations[0].ID)
		running.run(exitOK, "disable", integrations[0].ID)
		running.run(exitOK, "delete", "-yes", integrations[1].ID)
	})
	if got := kept(); len(got) != 1 || got[0].ID != integrations[0].ID || got[0].State != kombo.StateInactive {
		t.Errorf("it kept %v", got)
	}
	content, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(content), testKey) || strings.Contains(string(content), testSecret) {
		t.Errorf("the file contains a secret (%v)", err)
	}

	for content, want := range map[string]string{
		"{":                       "unexpected end of JSON input",
		`{"integrations":[{}]}`:   "the integration has no ID",
		`{"integrations":"none"}`: "cannot unmarshal",
	} {
		x := p.start("sandbox", "-listen", "127.0.0.1:0", "-state", writeFile(t, content))
		if code := <-x.code; code == exitOK {
			t.Errorf("%s was loaded", content)
		}
		wantContains(t, x.stderr.String(), want)
	}
}

// A sandbox that cannot write its state reports that at the first change.
func TestSandboxStateNotWritten(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(t.TempDir(), "missing")
	p := &program{T: t, environment: map[string]string{varAPIKey: testKey}}
	x := p.start("sandbox", "-listen", "127.0.0.1:0", "-state", filepath.Join(directory, "state.json"))
	baseURL := sandboxBaseURL.FindStringSubmatch(x.stdout.await("KOMBO_WEBHOOK_SECRET="))[1]
	p.with(varBaseURL, baseURL).start("check")
	if code := <-x.code; code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	wantContains(t, x.stderr.String(), "missing")
}

func TestSandboxFails(t *testing.T) {
	t.Parallel()
	p := &program{T: t}
	_, stderr := p.run(exitFailure, "sandbox", "-listen", "127.0.0.1:99999")
	wantContains(t, stderr, "listen tcp: address 99999: invalid port")
	p.environment = map[string]string{varAPIKey: "ks_dev_x"}
	_, stderr = p.run(exitUsage, "sandbox")
	wantContains(t, stderr, "KOMBO_API_KEY looks like a key of the real Kombo")
}

// Each delivery is reported in one line, without the password that a URL may contain.
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
		(&logger{env: &env{stdout: &out}}).delivery(test.delivery)
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
		(&logger{env: &env{stdout: &out}}).request(test.request)
		if want := "03:02:01  request   " + test.want + "\n"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}

// Values from a script cannot add lines to the output.
func TestLinesStayLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	(&logger{env: &env{stdout: &out}}).delivery(kombotest.Delivery{EventType: "x\n12:00:00  request", EventID: "\x1b[31m", Lost: true})
	if want := `delivery  "x\n12:00:00  request" "\x1b[31m": lost on purpose` + "\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("%q, want %q at the end", out.String(), want)
	}
}

// Other machines have access only if the caller allows the host name that they use.
func TestAllowRemote(t *testing.T) {
	t.Parallel()
	x := (&program{T: t}).start("sandbox", "-listen", "0.0.0.0:0", "-allow-remote", "-url", "http://kombo:8900")
	banner := x.stdout.await("KOMBO_WEBHOOK_SECRET")
	wantContains(t, banner, "http://kombo:8900/v1\n", "nowhere yet")
	x.interrupt()
	if code := <-x.code; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
