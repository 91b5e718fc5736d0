package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

var listeningAt = regexp.MustCompile(`Receives webhooks at (http://\S+/),`)

// listen starts a listen command and returns its address.
func (p *program) listen(args ...string) (x *execution, address string) {
	p.Helper()
	x = p.start(append([]string{"listen", "-listen", "127.0.0.1:0"}, args...)...)
	return x, listeningAt.FindStringSubmatch(x.stderr.await("Ctrl-C"))[1]
}

// listen stores, forwards and shows each webhook, and replay sends it again.
func TestSendListenReplay(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	p := webhooks(t)
	file := filepath.Join(t.TempDir(), "deliveries")
	x, address := p.listen("-forward", r.URL+"/path", "-store", file)
	for _, eventType := range kombotest.EventTypes() {
		p.run(exitOK, "send", string(eventType), address, "-integration", "personio:1")
	}
	first := r.take()
	x.interrupt()
	if code := <-x.code; code != exitOK {
		t.Errorf("exit code %d: %s", code, x.stderr)
	}
	wantContains(t, x.stderr.String(), fmt.Sprintf("Stored %d webhooks in %s.", len(first), file))
	for _, event := range first {
		want := fmt.Sprintf(`(?m)^\d\d:\d\d:\d\d  %s  %s  (personio:1  )?200 OK in \S+s$`, event.EventType(), event.EventID())
		if !regexp.MustCompile(want).MatchString(x.stdout.String()) {
			t.Errorf("it did not print %s, but %s", want, x.stdout)
		}
	}

	verifyStored(t, file, len(first))

	stdout, _ := p.run(exitOK, "replay", file, r.URL)
	wantContains(t, stdout, fmt.Sprintf("%d sent, %d accepted\n", len(first), len(first)))
	again := r.take()
	if diff := cmp.Diff(ids(first), ids(again)); diff != "" {
		t.Error(diff)
	}
	for i := range again {
		if !bytes.Equal(first[i].RawBody(), again[i].RawBody()) {
			t.Errorf("the body has changed: %s", again[i].RawBody())
		}
	}

	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"-type", "data-changed,sync-finished"}, 2},
		{[]string{"-event", first[3].EventID()}, 1},
		{[]string{"-integration", "personio:1"}, 8},
		{[]string{"-integration", "personio:2"}, 0},
		{[]string{"-after", "1h"}, len(first)},
		{[]string{"-before", "1h"}, 0},
		{[]string{"-type", "data-changed", "-integration", "personio:1", "-after", "2026-01-01"}, 1},
	} {
		p.run(exitOK, append([]string{"replay", file, r.URL}, test.args...)...)
		if got := len(r.take()); got != test.want {
			t.Errorf("%q: there arrived %d, want %d", test.args, got, test.want)
		}
	}
}

// verifyStored checks that every stored delivery verifies.
func verifyStored(t *testing.T, file string, want int) {
	t.Helper()
	verifier, err := kombo.NewWebhookVerifier(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	got := 0
	for line, err := range storedLines(opened) {
		if err == nil {
			err = verifier.Verify(line.raw(), line.Signature)
		}
		if err != nil {
			t.Errorf("line %d: %v", line.number, err)
		}
		got++
	}
	if got != want {
		t.Errorf("%d are stored, want %d", got, want)
	}
	if info, err := opened.Stat(); runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != 0o600) {
		t.Errorf("the mode of the file is %v (%v)", info.Mode(), err)
	}
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	p := webhooks(t)
	file := filepath.Join(t.TempDir(), "deliveries")
	x, address := p.listen("-store", file)
	body := kombotest.Sample(kombo.EventDataChanged, kombotest.Integration{}).RawBody()
	post := func(method, signature, body string) int {
		t.Helper()
		request, err := http.NewRequest(method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if signature != "" {
			request.Header.Set(kombo.SignatureHeader, signature)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	long := strings.Repeat("x", kombo.MaxWebhookBody+1)
	binary := `{"id":"1","type":"x` + "\xff" + `","data":{}}`
	for name, test := range map[string]struct {
		method, signature, body string
		want                    int
	}{
		"accepted":     {"POST", kombo.SignWebhook(testSecret, body), string(body), 204},
		"not UTF-8":    {"POST", kombo.SignWebhook(testSecret, []byte(binary)), binary, 204},
		"forged":       {"POST", kombo.SignWebhook("another", body), string(body), 401},
		"no signature": {"POST", "", string(body), 401},
		"too large":    {"POST", kombo.SignWebhook(testSecret, []byte(long)), long, 413},
		"a browser":    {"GET", "", "", 405},
	} {
		if got := post(test.method, test.signature, test.body); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
	x.interrupt()
	<-x.code
	verifyStored(t, file, 2)
	wantContains(t, x.stdout.String(), "  accepted\n", "401: webhook signature invalid", "401: webhook signature missing", "413: webhook payload too large")
}

// The sender gets the status of the receiver, so Kombo retries a webhook that was not accepted.
func TestListenForwards(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	p := webhooks(t)
	x, address := p.listen("-forward", r.URL, "-store", "", "-json")
	r.refuse.Store(true)
	stdout, _ := p.run(exitFailure, "send", "data-changed", address)
	wantContains(t, stdout, "503 Service Unavailable")
	r.Close()
	stdout, _ = p.run(exitFailure, "send", "data-changed", address)
	wantContains(t, stdout, "502 Bad Gateway")
	x.interrupt()
	<-x.code
	lines := strings.Split(strings.TrimSpace(x.stdout.String()), "\n")
	var line map[string]any
	p.decode(lines[1], &line)
	if len(lines) != 2 || line["status"] != 502. || line["type"] != "data-changed" || !strings.Contains(line["result"].(string), "not forwarded: no response") {
		t.Errorf("it printed %s", x.stdout)
	}
}

func TestListenFails(t *testing.T) {
	t.Parallel()
	p := webhooks(t)
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	_, stderr := p.run(exitFailure, "listen", "-store", "", "-listen", strings.TrimPrefix(taken.URL, "http://"))
	wantContains(t, stderr, "listen tcp")
	p.run(exitFailure, "listen", "-listen", "127.0.0.1:0", "-store", t.TempDir())
	_, stderr = p.run(exitUsage, "listen", "-forward", "localhost:80")
	wantContains(t, stderr, "-forward: ")
	_, stderr = p.with(varWebhookSecret, "").run(exitUsage, "listen")
	wantContains(t, stderr, "KOMBO_WEBHOOK_SECRET is not set")
	_, stderr = p.with(varWebhookSecret, "x\n").run(exitUsage, "listen")
	wantContains(t, stderr, "KOMBO_WEBHOOK_SECRET starts or ends with white space")
}

// A receiver that fails gets each webhook once, and a second time on request.
func TestReplayFailed(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	p := webhooks(t)
	file, _ := storedSamples(t, 5)
	failed := filepath.Join(t.TempDir(), "failed")
	r.refuse.Store(true)
	stdout, stderr := p.run(exitFailure, "replay", file, r.URL, "-failed", failed)
	wantContains(t, stdout, "line 1  data-changed  ", "503 Service Unavailable", "5 sent, 0 accepted")
	wantContains(t, stderr, "the receiver did not accept 5 of 5 webhooks")
	first := ids(r.take())
	if len(first) != 5 {
		t.Errorf("there arrived %q", first)
	}
	r.refuse.Store(false)
	p.run(exitOK, "replay", failed, r.URL)
	if diff := cmp.Diff(first, ids(r.take())); diff != "" {
		t.Error(diff)
	}
	_, stderr = p.run(exitUsage, "replay", file, r.URL, "-failed", file)
	wantContains(t, stderr, "-failed is the file that is replayed")

	r.Close()
	stdout, _ = p.run(exitFailure, "replay", file, r.URL, "-json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 6 || !strings.Contains(lines[0], `"accepted":false`) || lines[5] != `{"accepted":0,"sent":5,"unreadable":0}` {
		t.Errorf("it printed %s", stdout)
	}
}

// storedSamples writes a file of stored deliveries, and returns the IDs of the events.
func storedSamples(t *testing.T, count int) (file string, events []string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "deliveries")
	stored, err := openStore(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		body := fmt.Appendf(nil, `{"id":"event%d","type":"data-changed","data":{"integration_id":"x","text":"%s"}}`, i, strings.Repeat("é", 1000))
		if err := stored.add(newStoredDelivery(time.Now(), "", kombo.SignWebhook(testSecret, body), body)); err != nil {
			t.Fatal(err)
		}
		events = append(events, fmt.Sprintf("event%d", i))
	}
	if err := stored.close(); err != nil {
		t.Fatal(err)
	}
	return file, events
}

// Only the last line is lost if a killed program has written half of it.
func TestReplayUnreadable(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	p := webhooks(t)
	file, events := storedSamples(t, 2)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(content, []byte("\n"))
	broken := writeFile(t, "{}\n\n"+string(lines[0][:100]))
	stored, err := openStore(broken)
	if err != nil {
		t.Fatal(err)
	}
	if err := stored.addLine(bytes.TrimSpace(lines[1])); err != nil {
		t.Fatal(err)
	}
	_ = stored.close()
	_, stderr := p.run(exitFailure, "replay", broken, r.URL)
	wantContains(t, stderr, "line 1 is not a stored delivery: it has no body", "line 3 is not a stored delivery", "2 lines could not be read")
	if diff := cmp.Diff(events[1:], ids(r.take())); diff != "" {
		t.Error(diff)
	}
	p.stdin = string(content)
	p.run(exitOK, "replay", "-", r.URL)
	if diff := cmp.Diff(events, ids(r.take())); diff != "" {
		t.Error(diff)
	}
	p.run(exitUsage, "replay", "/nonexistent/file", r.URL)
	p.run(exitUsage, "replay", file, "nowhere")
}

// Ten thousand deliveries arrive in order, and memory does not grow with their number.
func TestReplayMany(t *testing.T) {
	t.Parallel()
	count := 10_000
	if testing.Short() {
		count = 1_000
	}
	file, want := storedSamples(t, count)
	var got []string
	var early, late uint64
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		id, _ := describeBody(body)
		got = append(got, id)
		switch len(got) {
		case count / 10:
			early = heap()
		case count:
			late = heap()
		}
	}))
	defer service.Close()
	stdout, _ := webhooks(t).run(exitOK, "replay", file, service.URL)
	wantContains(t, stdout, fmt.Sprintf("%d sent, %d accepted", count, count))
	if !slices.Equal(got, want) {
		t.Errorf("%d of %d arrived, or not in order", len(got), len(want))
	}
	// The bodies are 20 MB together. Other tests run at the same time.
	if late > early+8<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", early, late)
	}
}

func TestReplayInterrupted(t *testing.T) {
	t.Parallel()
	file, _ := storedSamples(t, 100)
	reached := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		reached <- struct{}{}
		if len(reached) == 3 {
			_, _ = io.Copy(io.Discard, request.Body)
			select {
			case <-request.Context().Done():
			case <-ctx.Done():
			}
		}
	}))
	defer service.Close()
	x := webhooks(t).start("replay", file, service.URL)
	for len(reached) < 3 {
		runtime.Gosched()
	}
	x.interrupt()
	if code := <-x.code; code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	wantContains(t, x.stdout.String(), "2 sent, 2 accepted\n")
	wantContains(t, x.stderr.String(), "interrupted")
}

// Ctrl-C ends a command that waits for input.
func TestWebhookCommandsInterrupted(t *testing.T) {
	t.Parallel()
	never, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	for _, args := range [][]string{
		{"verify", "x"},
		{"send", "data-changed", silent.URL},
		{"send", silent.URL, "-body", "-"},
		{"replay", "-", silent.URL},
	} {
		p := webhooks(t)
		p.adapt = func(e *env) { e.stdin = never }
		x := p.start(args...)
		time.AfterFunc(50*time.Millisecond, x.interrupt)
		if code := <-x.code; code != exitInterrupted {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}
