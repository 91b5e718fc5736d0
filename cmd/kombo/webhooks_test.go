package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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

// webhooks returns a program that has only the webhook secret.
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

// The response is shown without control characters and without the secret.
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

// Each way to change a webhook in transit is reported with its reason.
func TestVerify(t *testing.T) {
	t.Parallel()
	var body, signature string
	for !strings.ContainsAny(signature, "-_") { // which standard base64 does not use
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

// One signature in 64 begins with a hyphen. It is not a flag.
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
