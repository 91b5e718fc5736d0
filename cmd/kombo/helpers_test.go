package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sandbox"
	"github.com/kombo-go/kombo/kombotest"
)

// TestMain runs the program if a test starts the test binary as a process; see process_test.go.
func TestMain(m *testing.M) {
	if os.Getenv("KOMBO_TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

const (
	testKey    = "the-key-of-the-test"
	testSecret = "the-secret-of-the-test"
)

// output is what a command prints. A test may read it while the command runs.
type output struct {
	mutex   sync.Mutex
	changed sync.Cond
	buffer  bytes.Buffer
}

func newOutput() *output {
	o := &output{}
	o.changed.L = &o.mutex
	return o
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.changed.Broadcast()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.buffer.String()
}

// await returns the output once it contains text.
func (o *output) await(text string) string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for !strings.Contains(o.buffer.String(), text) {
		o.changed.Wait()
	}
	return o.buffer.String()
}

// program runs commands in a test, against a sandbox.
type program struct {
	*testing.T
	server      *kombotest.Server
	environment map[string]string
	stdin       string
	adapt       func(*env) // changes the env of a run, unless nil
}

func newProgram(t *testing.T) *program {
	t.Helper()
	server, err := sandbox.Start(kombotest.Config{APIKey: testKey, WebhookSecret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return &program{T: t, server: server, environment: map[string]string{
		varAPIKey: testKey, varBaseURL: server.BaseURL(), varWebhookSecret: testSecret,
	}}
}

// run is a command that is running or has ended.
type execution struct {
	stdout, stderr *output
	code           <-chan int
	interrupt      context.CancelFunc
}

func (p *program) start(args ...string) *execution {
	ctx, cancel := context.WithCancel(p.Context())
	x := &execution{stdout: newOutput(), stderr: newOutput(), interrupt: cancel}
	e := &env{
		stdin: strings.NewReader(p.stdin), stdout: x.stdout, stderr: x.stderr,
		getenv: func(name string) string { return p.environment[name] },
	}
	if p.adapt != nil {
		p.adapt(e)
	}
	code := make(chan int, 1)
	x.code = code
	go func() {
		code <- run(ctx, e, args)
		cancel()
	}()
	return x
}

// run runs a command, and checks its exit code and that it has printed no secret.
func (p *program) run(wantCode int, args ...string) (stdout, stderr string) {
	p.Helper()
	x := p.start(args...)
	code := <-x.code
	stdout, stderr = x.stdout.String(), x.stderr.String()
	if code != wantCode {
		p.Errorf("kombo %q: exit code %d, want %d\n%s%s", args, code, wantCode, stdout, stderr)
	}
	printed := stdout + stderr
	for _, secret := range []string{p.environment[varAPIKey], p.environment[varWebhookSecret]} {
		if secret != "" && strings.Contains(printed, secret) {
			p.Errorf("kombo %q prints a secret: %s", args, printed)
		}
	}
	if strings.Contains(stderr, "/connect/v1?token=") {
		p.Errorf("kombo %q prints a link on stderr", args)
	}
	return stdout, stderr
}

// with returns a program with other environment variables, given as pairs.
func (p *program) with(pairs ...string) *program {
	other := *p
	other.environment = map[string]string{}
	maps.Copy(other.environment, p.environment)
	for i := 0; i < len(pairs); i += 2 {
		other.environment[pairs[i]] = pairs[i+1]
	}
	return &other
}

// connect creates an integration.
func (p *program) connect() *kombo.ConnectedIntegration {
	p.Helper()
	return p.server.Connect(p.T, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "42",
	})
}

func (p *program) decode(document string, target any) {
	p.Helper()
	if err := json.Unmarshal([]byte(document), target); err != nil {
		p.Fatalf("%v: %s", err, document)
	}
}

func wantContains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not contain %q", text, part)
		}
	}
}
