package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// regions is a transport to fakes of both regions.
type regions map[string]*kombotest.Server

func (r regions) RoundTrip(request *http.Request) (*http.Response, error) {
	server := r[request.URL.Host]
	if server == nil {
		return nil, io.ErrUnexpectedEOF
	}
	request.URL.Scheme, request.URL.Host = "http", strings.TrimSuffix(strings.TrimPrefix(server.BaseURL(), "http://"), "/v1")
	return http.DefaultTransport.RoundTrip(request)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	fakes := regions{}
	for host, key := range map[string]string{"api.kombo.dev": "key-of-eu", "api.us.kombo.dev": "key-of-us"} {
		server := kombotest.NewServer(kombotest.Config{APIKey: key})
		t.Cleanup(server.Close)
		fakes[host] = server
	}
	broken := kombotest.NewServer(kombotest.Config{})
	t.Cleanup(broken.Close)
	broken.InjectFault(kombotest.Fault{Times: -1, Status: 403, Code: kombo.CodeIPNotWhitelisted})
	for name, test := range map[string]struct {
		key, region string
		regions     regions
		code        int
		want        []string
	}{
		"right": {"key-of-eu", "", fakes, exitOK, []string{"network  ok ", "region   ok ", "key      ok ", "accepted, for the environment"}},
		"right, in capitals": {"key-of-us", "US", fakes, exitOK, []string{
			"network  ok ", "region   ok       Kombo's region us", "key      ok ",
		}},
		"other region": {"key-of-us", "", fakes, exitAuthentication, []string{
			"network  ok ", "region   failed   the key belongs to the region us: set KOMBO_REGION=us", "key      ok       accepted by the region us",
		}},
		"other region, from us": {"key-of-eu", "us", fakes, exitAuthentication, []string{"set KOMBO_REGION=eu"}},
		"no region": {"unknown-key", "", fakes, exitAuthentication, []string{
			"network  ok ", "the region us rejects the key, too", "key      failed   rejected: make a new one",
		}},
		"other region not reached": {"unknown-key", "", regions{"api.kombo.dev": fakes["api.kombo.dev"]}, exitAuthentication, []string{
			"the region us could not be tried", "key      failed   rejected by the region eu",
		}},
		"no network": {"key-of-eu", "", regions{}, exitNetwork, []string{
			"network  failed   Kombo's region eu does not respond: check the address", "key      unknown  not checked",
		}},
		"not from here": {"key-of-eu", "", regions{"api.kombo.dev": broken}, exitAuthentication, []string{"key      failed   not allowed from this address"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &program{T: t, environment: map[string]string{varAPIKey: test.key, varRegion: test.region}}
			p.adapt = func(e *env) { e.transport = test.regions }
			stdout, _ := p.run(test.code, "check")
			wantContains(t, stdout, test.want...)
			if lines := strings.Count(stdout, "\n"); lines != 3 {
				t.Errorf("%d lines: %s", lines, stdout)
			}
			stdout, _ = p.run(test.code, "check", "-json")
			var findings []finding
			p.decode(stdout, &findings)
			if len(findings) != 3 {
				t.Errorf("findings = %v", findings)
			}
		})
	}
}

func TestCheckAtBaseURL(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	stdout, _ := p.run(exitOK, "check")
	wantContains(t, stdout, "network  ok       "+p.server.BaseURL()+" responds in ")
	stdout, stderr := p.with(varAPIKey, "another").run(exitAuthentication, "check")
	wantContains(t, stdout, "key      failed   rejected: check KOMBO_API_KEY, and whether it belongs to this server")
	wantContains(t, stderr, "401 PLATFORM.AUTHENTICATION_INVALID")
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	defer page.Close()
	stdout, stderr = p.with(varBaseURL, page.URL).run(exitFailure, "check")
	wantContains(t, stdout, "key      unknown  not checked: the response is an error, see below")
	wantContains(t, stderr, "not what the API promises")
}

func TestLink(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	stdout, stderr := p.run(exitOK, "link", "-email", "ada@acme.example", "-org", "Acme, Inc.", "-origin", "42",
		"-magic", "-tool", "bamboohr", "-category", "hris", "-lang", "DE", "-filtering", "-mapping")
	links := p.server.OpenLinks()
	if len(links) != 1 || stdout != links[0].URL+"\n" || stderr != "" {
		t.Fatalf("it printed %q and %q; the links are %v", stdout, stderr, links)
	}
	if links[0].LinkType != kombo.LinkTypeMagicLink || links[0].Tool != "bamboohr" || links[0].EndUser.OriginID != "42" {
		t.Errorf("the link is %+v", links[0])
	}
	var sent map[string]any
	p.decode(string(p.server.Requests()[0].Body), &sent)
	want := map[string]any{
		"end_user_email": "ada@acme.example", "end_user_organization_name": "Acme, Inc.", "end_user_origin_id": "42",
		"integration_category": "HRIS", "integration_tool": "bamboohr", "language": "de", "link_type": "MAGIC_LINK",
		"enable_filtering": true, "enable_field_mapping": true,
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Error(diff)
	}

	stdout, _ = p.run(exitOK, "link", "-email", "ada@acme.example", "-org", "Acme, Inc.", "-static-ips", "-json")
	var link kombo.Link
	p.decode(stdout, &link)
	if link.URL == "" || len(link.StaticIPs) == 0 {
		t.Errorf("it printed %s", stdout)
	}
}

func TestRelink(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	id := p.connect().ID
	stdout, _ := p.run(exitOK, "relink", id, "-magic", "-lang", "fr", "-scope", "scope1")
	links := p.server.OpenLinks()
	if len(links) != 1 || stdout != links[0].URL+"\n" || links[0].IntegrationID != id || links[0].Kind != kombotest.LinkKindRelink {
		t.Errorf("it printed %q; the links are %v", stdout, links)
	}
}

func TestIntegration(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	id := p.connect().ID

	stdout, _ := p.run(exitOK, "get", id)
	wantContains(t, stdout, "ID             "+id+"\n", "Tool           Personio (personio)\n", "Status         ACTIVE\n", "Organization   Acme, Inc.\n", "Origin ID      42\n")
	stdout, _ = p.run(exitOK, "get", id, "-json")
	var integration kombo.Integration
	p.decode(stdout, &integration)
	if integration.ID != id || strings.Count(stdout, "\n") != 1 {
		t.Errorf("it printed %s", stdout)
	}

	stdout, _ = p.run(exitOK, "disable", id)
	wantContains(t, stdout, id+" is disabled")
	stdout, _ = p.run(exitOK, "get", id)
	wantContains(t, stdout, "Status         INACTIVE")
	stdout, _ = p.run(exitOK, "enable", id, "-json")
	if diff := cmp.Diff(`{"enabled":true,"id":"`+id+`"}`+"\n", stdout); diff != "" {
		t.Error(diff)
	}
	if err := p.server.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	_, stderr := p.run(exitOK, "get", id)
	wantContains(t, stderr, `"kombo relink ID"`)

	stdout, _ = p.run(exitOK, "sync", id)
	wantContains(t, stdout, " is queued (FULL)")
	stdout, _ = p.run(exitOK, "sync", id)
	wantContains(t, stdout, " was already queued (FULL)")
	stdout, _ = p.run(exitOK, "sync", id, "-delta", "-json")
	var run kombo.SyncRun
	p.decode(stdout, &run)
	if run.ID == "" || run.Type != kombo.SyncDelta {
		t.Errorf("it printed %s", stdout)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	id := p.connect().ID
	for _, typed := range []string{"", "yes\n", "personio\n"} {
		p.stdin = typed
		_, stderr := p.run(exitFailure, "delete", id)
		wantContains(t, stderr, "This deletes Personio of Acme, Inc. (ACTIVE) for good.", "Type the ID", "nothing was deleted")
	}
	if len(p.server.Integrations()) != 1 {
		t.Fatal("it was deleted")
	}
	p.stdin = id + "\n"
	stdout, _ := p.run(exitOK, "delete", id)
	wantContains(t, stdout, id+" is deleted")

	p.stdin = ""
	id = p.connect().ID
	stdout, stderr := p.run(exitOK, "delete", "-yes", id, "-json")
	if stdout != `{"deleted":true,"id":"`+id+`"}`+"\n" || stderr != "" || len(p.server.Integrations()) != 0 {
		t.Errorf("it printed %q and %q", stdout, stderr)
	}
}

// Ctrl-C ends a command that prompts for the ID.
func TestDeleteInterrupted(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	id := p.connect().ID
	never, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	p.adapt = func(e *env) { e.stdin = never }
	x := p.start("delete", id)
	x.stderr.await("Type the ID")
	x.interrupt()
	if code := <-x.code; code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	wantContains(t, x.stderr.String(), "kombo: interrupted\n")
	if len(p.server.Integrations()) != 1 {
		t.Error("it was deleted")
	}
}

// operations are calls of each command that sends requests to Kombo.
func operations() [][]string {
	return [][]string{
		{"check"},
		{"link", "-email", "ada@acme.example", "-org", "Acme"},
		{"relink", "personio:unknown"},
		{"get", "personio:unknown"},
		{"get", "personio:unknown", "-json"},
		{"enable", "personio:unknown"},
		{"disable", "personio:unknown"},
		{"sync", "personio:unknown"},
		{"delete", "personio:unknown"},
		{"delete", "personio:unknown", "-yes"},
		{"list", "/hris/employees", "-integration", "personio:unknown"},
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	for _, args := range operations() {
		_, stderr := p.with(varAPIKey, "not-the-key").run(exitAuthentication, args...)
		wantContains(t, stderr, "401 PLATFORM.AUTHENTICATION_INVALID")
		if asJSON := strings.HasSuffix(stderr, "}\n"); args[0] != "check" && !asJSON {
			wantContains(t, stderr, `"kombo check"`)
		}

		_, stderr = p.with(varAPIKey, "not-the-key").run(exitAuthentication, append(args, "-json")...)
		var failure struct{ Error map[string]any }
		_, failed, _ := strings.Cut("\n"+stderr, "\n{") // after the prompt of delete
		p.decode("{"+failed, &failure)
		if failure.Error["code"] != "PLATFORM.AUTHENTICATION_INVALID" || failure.Error["exit_code"] != 3. {
			t.Errorf("%q prints %s", args, stderr)
		}
		if args[0] != "check" && args[0] != "link" && args[0] != "list" {
			_, stderr = p.run(exitNotFound, args...)
			wantContains(t, stderr, "404 PLATFORM.INTEGRATION_NOT_FOUND", "has no integration with this ID")
		}
	}
}

func TestNoNetwork(t *testing.T) {
	t.Parallel()
	for _, args := range operations() {
		synctest.Test(t, func(t *testing.T) { // skips the waits between the attempts
			p := &program{T: t, environment: map[string]string{varAPIKey: testKey}}
			p.adapt = func(e *env) { e.transport = regions{} }
			_, stderr := p.run(exitNetwork, args...)
			wantContains(t, stderr, "unexpected EOF")
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, args := range operations() {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			reached := make(chan struct{})
			silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(reached)
				<-r.Context().Done()
			}))
			defer silent.Close()
			p := newProgram(t).with(varBaseURL, silent.URL)
			x := p.start(args...)
			<-reached
			x.interrupt()
			if code := <-x.code; code != exitInterrupted {
				t.Errorf("exit code %d", code)
			}
			wantContains(t, x.stderr.String(), "interrupted")
			if got := x.stdout.String(); got != "" {
				t.Errorf("it printed %q", got)
			}
		})
	}
}

// lists serves a list in pages of two items, as Kombo does: indented, with a cursor.
func lists(t *testing.T, items int) (server *httptest.Server, queries *[]string) {
	t.Helper()
	queries = new([]string)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*queries = append(*queries, r.URL.Path+"?"+r.URL.RawQuery+" "+r.Header.Get("X-Integration-Id"))
		first := len(r.URL.Query().Get("cursor"))
		var results []any
		for i := first; i < min(first+2, items); i++ {
			results = append(results, map[string]any{"id": i, "name": "<Ada>\n"})
		}
		var next any
		if first+2 < items {
			next = strings.Repeat("x", first+2)
		}
		body, _ := json.MarshalIndent(map[string]any{"status": "success", "data": map[string]any{"results": results, "next": next}}, "", "  ")
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	return server, queries
}

func TestList(t *testing.T) {
	t.Parallel()
	server, queries := lists(t, 5)
	p := newProgram(t).with(varBaseURL, server.URL)
	stdout, stderr := p.run(exitOK, "list", "/ats/jobs/{job_id}/applications", "-value", "j/1", "-integration", "personio:1", "-ids", "a,b",
		"-updated-after", "2026-05-04T03:02:01Z", "-deleted", "-filter", "stage=x", "-filter", "stage=y", "-page-size", "2")
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if len(lines) != 5 || lines[4] != `{"id":4,"name":"\u003cAda\u003e\n"}` || stderr != "" {
		t.Errorf("it printed %s and %s", stdout, stderr)
	}
	want := "/ats/jobs/j/1/applications?ids=a%2Cb&include_deleted=true&page_size=2&stage=x%2Cy&updated_after=2026-05-04T03%3A02%3A01.000Z personio:1"
	if len(*queries) != 3 || (*queries)[0] != want {
		t.Errorf("it requested %q, want %s", *queries, want)
	}
	*queries = nil
	stdout, _ = p.run(exitOK, "list", "-limit", "2", "/hris/employees")
	if strings.Count(stdout, "\n") != 2 || len(*queries) != 1 {
		t.Errorf("it requested %q and printed %s", *queries, stdout)
	}
}

// A list of the sandbox's records, and later of its changes.
func TestListSandbox(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	id := p.connect().ID
	for _, record := range kombotest.SampleRecords(id, "/hris/employees") {
		if err := p.server.PutRecord(id, "/hris/employees", record); err != nil {
			t.Fatal(err)
		}
	}
	stdout, _ := p.run(exitOK, "list", "/hris/employees", "-integration", id, "-page-size", "1", "-updated-after", "24h")
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	for _, line := range lines {
		var employee struct{ ID string }
		if p.decode(line, &employee); employee.ID == "" {
			t.Errorf("it printed %s", line)
		}
	}
	if want := len(kombotest.SampleRecords(id, "/hris/employees")); len(lines) != want {
		t.Errorf("it printed %d items, want %d", len(lines), want)
	}
	_, stderr := p.run(exitNotFound, "list", "/hris/employees", "-integration", "personio:unknown")
	wantContains(t, stderr, "404 PLATFORM.INTEGRATION_NOT_FOUND")
}

// Progress is shown if the output is not a terminal.
func TestListProgress(t *testing.T) {
	t.Parallel()
	server, _ := lists(t, 1)
	p := newProgram(t).with(varBaseURL, server.URL)
	p.adapt = func(e *env) { e.errTerminal = true }
	_, stderr := p.run(exitOK, "list", "/hris/employees")
	if want := "\r\x1b[K1 items in 0s\r\x1b[K"; stderr != want {
		t.Errorf("it printed %q, want %q", stderr, want)
	}
	p.adapt = func(e *env) { e.errTerminal, e.outTerminal = true, true }
	if _, stderr := p.run(exitOK, "list", "/hris/employees"); stderr != "" {
		t.Errorf("it printed %q between the items", stderr)
	}
}
