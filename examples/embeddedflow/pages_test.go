package main

import (
	"bufio"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// A page shows only the company's data, and no IDs for the API.
func TestPages(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	acme, globex := p.connect("acme"), p.connect("globex")
	alert := p.failedFlow()
	for _, path := range []string{"/settings", "/settings/connections"} {
		got := p.visitor("acme").get(path)
		wantStatus(t, path, got, http.StatusOK)
		for text, want := range map[string]bool{
			acme.Key: true, "Personio": true, alert.Key: true, "Lever": true, globex.Key: false, acme.IntegrationID: false, globex.IntegrationID: false,
			// Only the vendor can open the log.
			alert.LogURL: false, "See the log": false,
		} {
			if strings.Contains(got.body, text) != want {
				t.Errorf("%s: %q is in the page: %t", path, text, !want)
			}
		}
	}
	if other := p.visitor("mueller").get("/settings").body; strings.Contains(other, acme.Key) || !strings.Contains(other, "Müller &amp; Söhne GmbH") {
		t.Errorf("the page of another company is\n%s", other)
	}
}

// No sentence ends with a name, because a name may end with punctuation.
func TestNames(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	p.connect("acme")
	p.failedFlow()
	tags, spaces := regexp.MustCompile(`<[^>]*>`), regexp.MustCompile(`\s+`)
	for _, name := range []string{"Acme, Inc.", "Yahoo!", "Who?", "Acme"} {
		page, err := p.app.page(t.Context(), company{ID: "acme", Name: name, Email: "ada@acme.example"})
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Attention {
			page.Attention[i].Tool = name
		}
		for i := range page.Categories {
			for j := range page.Categories[i].Connections {
				page.Categories[i].Connections[j].ToolLabel = name
			}
		}
		var html strings.Builder
		if err := p.app.templates.ExecuteTemplate(&html, "settings.html", page); err != nil {
			t.Fatal(err)
		}
		text := spaces.ReplaceAllString(tags.ReplaceAllString(html.String(), ""), " ")
		if !strings.Contains(text, name) {
			t.Fatalf("%q is not in the page", name)
		}
		for _, mark := range []string{".", "!", "?"} {
			if i := strings.Index(text, name+mark); i >= 0 {
				t.Errorf("the page contains %q", text[max(0, i-60):i+len(name)+1])
			}
		}
	}
}

// An invalid connection comes before a failed flow, even if the flow is newer.
func TestOrderOfAlerts(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	if err := p.kombo.SetState(t.Context(), p.connect("acme").IntegrationID, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	p.failedFlow()
	page := p.visitor("acme").get("/settings/connections").body
	if red, amber := strings.Index(page, `data-alert="invalid"`), strings.Index(page, `data-alert="flow-failed"`); red < 0 || amber < red {
		t.Errorf("the page is\n%s", page)
	}
}

// Issues are for the vendor.
func TestIssues(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	connection := p.connect("acme")
	before := p.visitor("acme").get("/settings/connections").body
	for id, data := range map[string]kombo.IssueStatusChangedData{
		"1": {Change: kombo.IssueChangeRaised, Issue: kombo.Issue{ID: "a", Title: "Action failing"}, Integration: &kombo.IssueIntegration{
			ID: connection.IntegrationID, EndUser: kombo.EndUser{OriginID: "acme"},
		}},
		"2": {Change: kombo.IssueChangeResolved, Issue: kombo.Issue{ID: "b", Title: "Webhooks failing"}},
	} {
		for range 2 { // a duplicate delivery changes nothing
			event := &kombo.IssueStatusChangedEvent{EventHeader: kombo.EventHeader{ID: id, Type: kombo.EventIssueStatusChanged}, Data: data}
			if err := p.kombo.Deliver(t.Context(), event); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, line := range []string{
		`level=WARN msg="Kombo reports an issue" change=raised type="" title="Action failing" customer=acme`,
		`level=INFO msg="Kombo reports an issue" change=resolved type="" title="Webhooks failing" customer=""`,
	} {
		if strings.Count(p.log.String(), line) != 1 {
			t.Errorf("%s is not in the log exactly once:\n%s", line, p.log)
		}
	}
	wantSame(t, "the page", before, p.visitor("acme").get("/settings/connections").body)
}

// The name of a tool comes from Kombo, so it is escaped everywhere.
func TestPageEscapes(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	const nasty = `"><script>alert(1)</script>`
	err := p.kombo.Deliver(t.Context(), &kombo.IntegrationCreatedEvent{
		EventHeader: kombo.EventHeader{ID: "1", Type: kombo.EventIntegrationCreated},
		Data:        kombo.IntegrationCreatedData{ID: "x", Tool: nasty, Category: nasty, EndUser: kombo.EndUser{OriginID: "acme", CreatorEmail: nasty}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.visitor("acme").get("/settings"); got.status != http.StatusOK || strings.Contains(got.body, nasty) || !strings.Contains(got.body, "&lt;script&gt;alert(1)") {
		t.Errorf("/settings = %d\n%s", got.status, got.body)
	}
}

// A stream reports changes, including those of other replicas.
func TestStream(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.server.URL+"/settings/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := p.visitor("acme").client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	wantSame(t, "Content-Type", "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewScanner(response.Body)
	await := func(what string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == "event: change" {
				return
			}
		}
		t.Fatalf("%s: the stream has ended: %v", what, lines.Err())
	}
	await("at first")
	p.connect("acme")
	await("a webhook")
	// A change that bypasses this app is like one by another replica.
	if err := p.store.Disconnected(t.Context(), "acme", p.connection("acme").Key, time.Now()); err != nil {
		t.Fatal(err)
	}
	await("another replica")
	p.app.endStreams()
	for lines.Scan() {
		if lines.Text() == "event: change" {
			t.Error("a change that nobody has made")
		}
	}
	if lines.Err() != nil {
		t.Error(lines.Err())
	}
}
