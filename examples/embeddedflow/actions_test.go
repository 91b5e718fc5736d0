package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/kombotest"
)

// actions are the requests of a page, with bodies that are valid for Acme, which has a connection and an alert.
func (p *service) actions() map[string]string {
	p.t.Helper()
	connection, alert := p.connect("acme"), p.failedFlow()
	link, err := p.app.Client.Connect.CreateLink(p.t.Context(), kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", EndUserOriginID: "acme", IntegrationCategory: kombo.CategoryHRIS,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.kombo.HoldWebhooks()
	token := p.finish(link.URL)
	return map[string]string{
		"/integrations/kombo/init":     body("category", "HRIS"),
		"/integrations/kombo/relink":   body("connection", connection.Key),
		"/integrations/kombo/activate": body("token", token),
		"/integrations/magic-link":     body("category", "ATS"),
		"/integrations/disconnect":     body("connection", connection.Key),
		"/attention/dismiss":           body("key", alert.Key),
	}
}

// A refused request has no effect.
func TestRefusedActions(t *testing.T) {
	t.Parallel()
	malformed := []string{"", "{", `[]`, `"text"`, `{"category":1,"connection":1,"token":1,"key":1}`}
	tests := []struct {
		name    string
		company string
		headers []string
		bodies  []string // replace the valid body
		want    int
		orElse  int
	}{
		{name: "not signed in", want: http.StatusUnauthorized},
		{name: "a page of another site", company: "acme", headers: []string{"Sec-Fetch-Site", "cross-site"}, want: http.StatusForbidden},
		{name: "a page of a neighbor", company: "acme", headers: []string{"Sec-Fetch-Site", "same-site"}, want: http.StatusForbidden},
		{name: "another origin", company: "acme", headers: []string{"Origin", "https://evil.example"}, want: http.StatusForbidden},
		{name: "a forged cookie", headers: []string{"Cookie", sessionCookie + "=acme.AAAA"}, want: http.StatusUnauthorized},
		{name: "malformed", company: "acme", bodies: malformed, want: http.StatusBadRequest},
		{name: "too long", company: "acme", bodies: []string{body("category", strings.Repeat("x", 70_000))}, want: http.StatusBadRequest, orElse: http.StatusRequestEntityTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			actions := p.actions()
			connections, alerts, asked := p.connections("acme"), p.attention(), p.requests()
			v := p.visitor(test.company)
			for path, right := range actions {
				bodies := test.bodies
				if bodies == nil {
					bodies = []string{right}
				}
				for _, body := range bodies {
					got := v.post(path, body, test.headers...)
					if got.status != test.want && got.status != test.orElse {
						t.Errorf("%s with %.100s = %d %s, want %d", path, body, got.status, got.body, test.want)
					}
				}
			}
			wantSame(t, "connections", connections, p.connections("acme"))
			wantSame(t, "alerts", alerts, p.attention())
			wantSame(t, "requests of Kombo", asked, p.requests())
		})
	}
	t.Run("signing in and out from another site", func(t *testing.T) {
		t.Parallel()
		v := startService(t, nil).visitor("acme")
		for path, body := range map[string]string{"/sign-in": "company=globex", "/sign-out": ""} {
			got := v.do(http.MethodPost, path, body, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
			wantStatus(t, path, got, http.StatusForbidden)
		}
		wantStatus(t, "/settings", v.get("/settings"), http.StatusOK)
	})
}

// A company cannot use the keys of another company.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path  string
		wants []int
	}{
		{"/integrations/kombo/relink", []int{http.StatusBadRequest, http.StatusNotFound}},
		{"/integrations/disconnect", []int{http.StatusNotFound}},
		{"/attention/dismiss", []int{http.StatusNotFound}},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			connection, alert := p.connect("acme"), p.failedFlow()
			asked := p.requests()
			for _, key := range []string{connection.Key, alert.Key, connection.IntegrationID, "", "none", "%", "' OR 1=1 --", "\x00"} {
				got := p.visitor("globex").post(test.path, body("connection", key, "key", key))
				if got.status != test.wants[0] && got.status != test.wants[len(test.wants)-1] {
					t.Errorf("with %q: %d %s, want one of %v", key, got.status, got.body, test.wants)
				}
			}
			wantSame(t, "requests of Kombo", asked, p.requests())
			wantSame(t, "the connection", connection, p.connection("acme"))
			wantSame(t, "alerts", []store.Alert{alert}, p.attention())
		})
	}
}

func TestUnknownChoices(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v, connection := p.visitor("acme"), p.connect("acme")
	for _, category := range []string{"", "hris", "PAYROLL", "ASSESSMENT"} {
		wantStatus(t, "init of "+category, v.post("/integrations/kombo/init", body("category", category)), http.StatusBadRequest)
		wantStatus(t, "magic link of "+category, v.post("/integrations/magic-link", body("category", category)), http.StatusBadRequest)
	}
	wantStatus(t, "another scope config", v.post("/integrations/kombo/relink", body("connection", connection.Key, "scope_config_id", "all")), http.StatusBadRequest)
	wantStatus(t, "an unknown token", v.post("/integrations/kombo/activate", body("token", "unknown")), http.StatusBadRequest)
	wantStatus(t, "a token as a form", v.do(http.MethodPost, "/integrations/kombo/activate", body("token", "x"), "Content-Type", "text/plain"), http.StatusUnsupportedMediaType)
	wantSame(t, "requests of Kombo", []string{"GET /connect/integration-by-token/{token}"}, p.requests())
}

// Kombo does not respond, or fails.
func TestKomboDown(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]kombotest.Fault{
		"503": {Status: http.StatusServiceUnavailable}, "cut": {Cut: true}, "a page of a proxy": {Body: "<html>"}, "the key is wrong": {Code: kombo.CodeAuthenticationInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			v, actions := p.visitor("acme"), p.actions()
			connections := p.connections("acme")
			fault.Times = -1
			p.kombo.InjectFault(fault)
			for path, body := range actions {
				want := http.StatusBadGateway
				if path == "/attention/dismiss" {
					want = http.StatusOK // does not call Kombo
				}
				got := v.post(path, body)
				wantStatus(t, path, got, want)
				if want == http.StatusBadGateway && !json.Valid([]byte(got.body)) {
					t.Errorf("%s: the body is %s", path, got.body)
				}
			}
			wantSame(t, "connections", connections, p.connections("acme"))
			if !strings.Contains(p.log.String(), "level=ERROR") && !strings.Contains(p.log.String(), "level=WARN") {
				t.Errorf("nothing is logged:\n%s", p.log)
			}
		})
	}
}

// A failed action has a JSON response that caches do not store and that reveals no internals.
func TestFailedActions(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v, actions := p.visitor("acme"), p.actions()
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	for path, body := range actions {
		got := v.post(path, body)
		var decoded map[string]any
		if err := json.Unmarshal([]byte(got.body), &decoded); err != nil || got.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %v\n%s", path, got.header, got.body)
		}
		wantStatus(t, path, got, http.StatusInternalServerError)
		wantSame(t, path, any(map[string]any{"error": "something went wrong"}), any(decoded))
	}
	wantStatus(t, "/settings", v.get("/settings"), http.StatusInternalServerError)
	// The log has the details.
	for _, part := range []string{"embedded flow", "path=/integrations/disconnect", "path=/attention/dismiss", "msg=page"} {
		if !strings.Contains(p.log.String(), part) {
			t.Errorf("%q is not in the log:\n%s", part, p.log)
		}
	}
}
