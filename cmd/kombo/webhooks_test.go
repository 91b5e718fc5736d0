package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// receiver is a service that receives webhooks with the SDK.
type receiver struct {
	*httptest.Server
	mutex  sync.Mutex
	events []kombo.Event
	refuse atomic.Bool
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	verifier, err := kombo.NewWebhookVerifier(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		event, err := verifier.ParseRequest(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		r.mutex.Lock()
		r.events = append(r.events, event)
		r.mutex.Unlock()
		if r.refuse.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// take returns the events that have arrived since the last call.
func (r *receiver) take() (events []kombo.Event) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	events, r.events = r.events, nil
	return events
}

func ids(events []kombo.Event) (ids []string) {
	for _, event := range events {
		ids = append(ids, event.EventID())
	}
	return ids
}

// webhooks returns a program that knows the webhook secret only.
func webhooks(t *testing.T) *program {
	t.Helper()
	return &program{T: t, environment: map[string]string{varWebhookSecret: testSecret}}
}

func writeFile(t *testing.T, content string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSend(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	p := webhooks(t)
	types, _ := p.run(exitOK, "send", "types")
	for _, eventType := range kombotest.EventTypes() {
		stdout, _ := p.run(exitOK, "send", string(eventType), r.URL)
		events := r.take()
		if len(events) != 1 || events[0].EventType() != eventType {
			t.Fatalf("%s: there arrived %v", eventType, events)
		}
		wantContains(t, stdout, string(eventType)+" "+events[0].EventID()+": 200 OK in ")
		wantContains(t, types, string(eventType)+"\n")
	}
}

func TestSendChanged(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	p := webhooks(t)
	data := writeFile(t, `{"integration_id": "workday:1", "n": 12345678901234567890}`)
	tests := map[string]struct {
		stdin string
		args  []string
		want  string // a part of the body
	}{
		"a string stays a string": {"", []string{"data-changed", "-set", "data.integration_id=42"}, `"integration_id": "42"`},
		"a new field":             {"", []string{"data-changed", "-set", "data.more.n=42"}, `"n": 42`},
		"an item of a list":       {"", []string{"data-changed", "-set", "data.changed_models.0.name=<x>"}, `"name": "<x>"`},
		"another item":            {"", []string{"data-changed", "-set", "data.changed_models.1.name=x"}, `"name": "x"`},
		"null":                    {"", []string{"ai-apply-job-posting-status-updated", "-set", "data.archived_at=null"}, `"archived_at": null`},
		"the ID":                  {"", []string{"data-changed", "-set", "id=1"}, `"id": "1"`},
		"an integration":          {"", []string{"integration-created", "-integration", "workday:1"}, `"tool": "workday"`},
		"data of a file":          {"", []string{"new-type", "-data", data}, `"n": 12345678901234567890`},
		"data of stdin":           {`{"x":"é"}`, []string{"-data", "-", "new-type"}, `"x": "é"`},
		"a body":                  {`{"type":"a","id":"b", "data":{} }`, []string{"-body", "-"}, `{"type":"a","id":"b", "data":{} }`},
		"a body and its type":     {`{"type":"a","id":"b","data":{}}`, []string{"a", "-body", "-"}, `{"type":"a","id":"b","data":{}}`},
	}
	for name, test := range tests {
		p.stdin = test.stdin
		p.run(exitOK, append([]string{"send", "-json"}, append(test.args, r.URL)...)...)
		events := r.take()
		if len(events) != 1 || !strings.Contains(string(events[0].RawBody()), test.want) {
			t.Errorf("%s: there arrived %s", name, events)
		}
	}
	p.stdin = `{"type":"a","id":"b","data":{}}`
	for want, args := range map[string][]string{
		"KOMBO_WEBHOOK_SECRET is not set":              nil,
		`"nowhere" is not an http or https URL`:        {"data-changed", "nowhere"},
		`there is no sample of the type "data-change"`: {"data-change", r.URL},
		"give TYPE URL, or -body":                      {r.URL},
		"-body is sent as it is":                       {"-body", "-", "-set", "id=1", r.URL},
		`the type in - is "a", not "b"`:                {"b", "-body", "-", r.URL},
		"no such file":                                 {"-body", "/nonexistent/file", r.URL},
		"not of the form path=value":                   {"data-changed", "-set", "x", r.URL},
		"not id, type, or a path":                      {"data-changed", "-set", "x=1", r.URL},
		`"x" has no fields`:                            {"data-changed", "-set", "data.integration_id.x=1", r.URL},
		`"5" is not a position in a list of 1`:         {"data-changed", "-set", "data.changed_models.5=1", r.URL},
	} {
		sender := p
		if args == nil {
			sender, args = p.with(varWebhookSecret, ""), []string{"data-changed", r.URL}
		}
		_, stderr := sender.run(exitUsage, append([]string{"send"}, args...)...)
		if runtime.GOOS != "windows" || want != "no such file" {
			wantContains(t, stderr, want)
		}
	}
	if events := r.take(); len(events) > 0 {
		t.Errorf("there arrived %s", events)
	}
}

// The response is shown without what would harm the terminal, and without the secret.
func TestSendResponse(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/login")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, "no\x1b[31m "+testSecret)
	}))
	defer service.Close()
	p := webhooks(t)
	stdout, stderr := p.run(exitFailure, "send", "data-changed", service.URL)
	wantContains(t, stdout, ": 302 Found in ", "\nno?[31m [redacted]\n")
	wantContains(t, stderr, "the receiver did not accept the webhook")
	stdout, _ = p.run(exitFailure, "send", "data-changed", service.URL, "-json")
	var result map[string]any
	p.decode(stdout, &result)
	if result["status"] != 302. || result["type"] != "data-changed" {
		t.Errorf("it printed %s", stdout)
	}
	service.Close()
	_, stderr = p.run(exitNetwork, "send", "data-changed", strings.Replace(service.URL, "http://", "http://user:password@", 1))
	wantContains(t, stderr, "no response: dial tcp")
	if strings.Contains(stderr, "password") {
		t.Errorf("it prints a password: %s", stderr)
	}
}

// Every way in which a webhook is changed on its way has its reason.
func TestVerify(t *testing.T) {
	t.Parallel()
	var body, signature string
	for !strings.ContainsAny(signature, "-_") { // which base64 has not
		body = string(kombotest.Sample(kombo.EventIntegrationCreated, kombotest.Integration{
			ID: "personio:1", Tool: "personio", Category: kombo.CategoryHRIS, EndUser: kombo.EndUser{OrganizationName: "Söhne & Co. <x>"},
		}).RawBody())
		signature = kombo.SignWebhook(testSecret, []byte(body))
	}
	sum, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(body)); err != nil {
		t.Fatal(err)
	}
	python := strings.NewReplacer(`":`, `": `, `,"`, `, "`, "ö", `\u00f6`).Replace(compact.String())
	html := strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(compact.String())
	sorted := `{"data":{"category":"HRIS","id":"personio:1"},"id":"1","type":"integration-created"}`
	tests := map[string]struct {
		body, signature string
		secret, apiKey  string
		reason, detail  string
	}{
		"valid":                    {body: body, signature: signature, reason: reasonValid},
		"padded":                   {body: body, signature: signature + "=", reason: reasonValid},
		"not an event":             {body: "{}", signature: kombo.SignWebhook(testSecret, []byte("{}")), reason: reasonValid, detail: "type is missing"},
		"missing":                  {body: body, signature: " ", reason: reasonMissing, detail: "did a proxy remove"},
		"empty body":               {body: "", signature: signature, reason: reasonEmpty, detail: "was it read before?"},
		"long body":                {body: strings.Repeat("x", kombo.MaxWebhookBody+1), signature: signature, reason: reasonTooLarge},
		"cut signature":            {body: body, signature: signature[:40], reason: reasonMalformed, detail: "this one has 40"},
		"padded too much":          {body: body, signature: signature + "==", reason: reasonMalformed, detail: "too much padding"},
		"quoted signature":         {body: body, signature: `"` + signature + `"`, reason: reasonMalformed, detail: "a quote around it"},
		"signature with a prefix":  {body: body, signature: "sha256=" + signature, reason: reasonMalformed, detail: "begins with sha256="},
		"signature in base64":      {body: body, signature: base64.StdEncoding.EncodeToString(sum), reason: reasonMalformed, detail: "not in base64url"},
		"signature in hexadecimal": {body: body, signature: hex.EncodeToString(sum), reason: reasonMalformed, detail: "in hexadecimal"},
		"compact":                  {body: compact.String(), signature: signature, reason: reasonBody, detail: "decoded and encoded again"},
		"encoded by Python":        {body: python, signature: signature, reason: reasonBody, detail: "decoded and encoded again"},
		"encoded by Go":            {body: html, signature: signature, reason: reasonBody, detail: "decoded and encoded again"},
		"sorted":                   {body: sorted, signature: signature, reason: reasonBody, detail: "probably re-encoded"},
		"form":                     {body: "payload=%7B%7D", signature: signature, reason: reasonBody, detail: "does not have Kombo's form"},
		"line break":               {body: body + "\n", signature: signature, reason: reasonBody, detail: "a line break was added"},
		"no line break":            {body: body, signature: kombo.SignWebhook(testSecret, []byte(body+"\n")), reason: reasonBody, detail: "was removed"},
		"CR LF":                    {body: strings.ReplaceAll(body, "\n", "\r\n"), signature: signature, reason: reasonBody, detail: "CR LF"},
		"byte order mark":          {body: "\ufeff" + body, signature: signature, reason: reasonBody, detail: "byte order mark"},
		"padded secret":            {body: body, signature: signature, secret: testSecret + "\n", reason: reasonSecret, detail: "KOMBO_WEBHOOK_SECRET has white space around it"},
		"quoted secret":            {body: body, signature: signature, secret: `"` + testSecret + `"`, reason: reasonSecret, detail: "quotes around it"},
		"API key":                  {body: body, signature: kombo.SignWebhook(testKey, []byte(body)), apiKey: testKey, reason: reasonSecret, detail: "the value of KOMBO_API_KEY"},
		"sender with a line break": {body: body, signature: kombo.SignWebhook(testSecret+"\n", []byte(body)), reason: reasonSecret, detail: "the sender's secret"},
		"another environment":      {body: body, signature: kombo.SignWebhook("another", []byte(body)), reason: reasonWrongKey, detail: "another environment"},
		"re-encoded, and padded":   {body: compact.String(), signature: signature, secret: testSecret + " ", reason: reasonSecret, detail: "white space"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := webhooks(t).with(varAPIKey, test.apiKey)
			if test.secret != "" {
				p = p.with(varWebhookSecret, test.secret)
			}
			p.stdin = test.body
			code := exitFailure
			if test.reason == reasonValid {
				code = exitOK
			}
			stdout, stderr := p.run(code, "verify", "-json", "--", test.signature)
			var got verdict
			p.decode(stdout, &got)
			if got.Reason != test.reason || got.Valid != (code == exitOK) || stderr != "" {
				t.Errorf("verdict = %+v, want %s; %s", got, test.reason, stderr)
			}
			wantContains(t, got.Detail, test.detail)
			stdout, _ = p.run(code, "verify", "--", test.signature)
			wantContains(t, stdout, map[int]string{exitOK: "valid: ", exitFailure: "not valid: "}[code], test.detail)
		})
	}
}

func TestVerifyHeader(t *testing.T) {
	t.Parallel()
	body := kombotest.Sample(kombo.EventDataChanged, kombotest.Integration{}).RawBody()
	signature := kombo.SignWebhook(testSecret, body)
	p := webhooks(t)
	p.stdin = string(body)
	for _, format := range []string{"X-Kombo-Signature: %s", "POST / HTTP/1.1\r\nHost: x\r\nx-kombo-signature:%s\r\n\r\n", "> X-Kombo-Signature: %s\n"} {
		stdout, _ := p.run(exitOK, "verify", "-header", writeFile(t, fmt.Sprintf(format, signature)))
		wantContains(t, stdout, "valid: data-changed ")
	}
	stdout, _ := p.run(exitFailure, "verify", "-header", writeFile(t, "Host: x\n"))
	wantContains(t, stdout, "there is no signature")
	cut := writeFile(t, "X-Kombo-Signature: "+kombo.SignWebhook("x", nil)+"\nContent-Length: 1000\n")
	stdout, _ = p.run(exitFailure, "verify", "-header", cut)
	wantContains(t, stdout, "but Content-Length is 1000: it was cut or re-encoded")
	for want, args := range map[string][]string{
		"give SIGNATURE or -header": {},
		"one argument too many":     {"a", "b"},
		"file":                      {"-header", "/nonexistent/file"},
	} {
		_, stderr := p.run(exitUsage, append([]string{"verify"}, args...)...)
		wantContains(t, stderr, want)
	}
	p.with(varWebhookSecret, "").run(exitUsage, "verify", "x")
}

// One signature in 64 begins with a hyphen, and is no flag.
func TestVerifyHyphen(t *testing.T) {
	t.Parallel()
	p := webhooks(t)
	for i := 0; ; i++ {
		body := fmt.Sprintf(`{"id":"%d","type":"x","data":{}}`, i)
		signature := kombo.SignWebhook(testSecret, []byte(body))
		if signature[0] == '-' {
			p.stdin = body
			p.run(exitOK, "verify", signature)
			p.run(exitOK, "verify", signature, "-json")
			return
		}
	}
}

var listeningAt = regexp.MustCompile(`Receives webhooks at (http://\S+/),`)

// listen starts a listen command, and returns where it listens.
func (p *program) listen(args ...string) (x *execution, address string) {
	p.Helper()
	x = p.start(append([]string{"listen", "-listen", "127.0.0.1:0"}, args...)...)
	return x, listeningAt.FindStringSubmatch(x.stderr.await("Ctrl-C"))[1]
}

// What is sent to listen is stored, forwarded and shown, and replay sends it again.
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

// The sender gets the status of the receiver, so that it delivers again what was not accepted.
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

// A receiver that fails gets each webhook once, and once more on request.
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

// Half a line, which a program that was killed has left, costs only itself.
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

// Ten thousand deliveries arrive in order, and the memory does not grow with their number.
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

// Whoever waits for input can leave with Ctrl-C.
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
