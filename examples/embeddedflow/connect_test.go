package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/kombotest"
)

// A complete flow. The webhook may arrive before the token, after it, or at the same time.
func TestConnecting(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                  string
		before, after, beside bool
	}{
		{name: "webhook before the token", before: true}, {name: "webhook after it", after: true}, {name: "both at once", beside: true}, {name: "no webhook"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			v := p.visitor("acme")
			link := v.link("/integrations/kombo/init", body("category", "HRIS"))
			if !test.before {
				p.kombo.HoldWebhooks()
			}
			token := p.finish(link)
			var release sync.WaitGroup
			send := func() {
				if err := p.kombo.ReleaseWebhooks(t.Context(), kombotest.AtOnce); err != nil {
					t.Error(err)
				}
			}
			if test.beside {
				release.Go(send)
			}
			for range 2 { // a page may post a token again
				got := v.post("/integrations/kombo/activate", body("token", token))
				wantStatus(t, "activating", got, http.StatusOK)
				if strings.Contains(got.body, p.kombo.Integrations()[0].ID) {
					t.Errorf("the integration's id is in %s", got.body)
				}
			}
			release.Wait()
			if test.after {
				send()
			}
			got, want := p.connection("acme"), p.kombo.Integrations()[0]
			if got.IntegrationID != want.ID || got.Tool != "personio" || got.CustomerID != "acme" || got.CreatedBy != "ada@acme.example" {
				t.Errorf("connection = %+v", got)
			}
			if told := test.before || test.after || test.beside; told && got.Category != kombo.CategoryHRIS {
				t.Errorf("category = %q", got.Category)
			}
			wantSame(t, "the other's", 0, len(p.connections("globex")))
		})
	}
}

func TestForeignToken(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	link := p.visitor("acme").link("/integrations/kombo/init", body("category", "HRIS"))
	p.kombo.HoldWebhooks()
	token := p.finish(link)
	wantStatus(t, "activating", p.visitor("globex").post("/integrations/kombo/activate", body("token", token)), http.StatusForbidden)
	wantSame(t, "rows", 0, len(p.connections("acme"))+len(p.connections("globex")))
	// It still belongs to its owner.
	wantStatus(t, "activating", p.visitor("acme").post("/integrations/kombo/activate", body("token", token)), http.StatusOK)
	p.connection("acme")
}

func TestMagicLink(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	link := p.visitor("globex").link("/integrations/magic-link", body("category", "ATS"))
	open := p.kombo.OpenLinks()
	if len(open) != 1 || open[0].LinkType != kombo.LinkTypeMagicLink || open[0].EndUser.OriginID != "globex" || open[0].Category != kombo.CategoryATS {
		t.Fatalf("links = %+v", open)
	}
	if token := p.finish(link); token != "" {
		t.Errorf("a token: %q", token)
	}
	if got := p.connection("globex"); got.Category != kombo.CategoryATS {
		t.Errorf("connection = %+v", got)
	}
}

func TestReconnecting(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v, before := p.visitor("acme"), p.connect("acme")
	if err := p.kombo.SetState(t.Context(), before.IntegrationID, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	if got := p.attention(); len(got) != 1 || got[0].Kind != store.KindInvalid {
		t.Errorf("attention = %+v", got)
	}
	if !strings.Contains(p.log.String(), `msg="a customer has to reconnect" customer=acme tool=personio`) {
		t.Errorf("the log is\n%s", p.log)
	}
	link := v.link("/integrations/kombo/relink", body("connection", before.Key, "scope_config_id", "rosterly-full"))
	p.kombo.HoldWebhooks()
	token := p.finish(link)
	// If Get fails, the webhook brings the state.
	p.kombo.InjectFault(kombotest.Fault{Op: "GET /integrations/{integration_id}", Code: kombo.CodeInputInvalid})
	wantStatus(t, "activating", v.post("/integrations/kombo/activate", body("token", token)), http.StatusOK)
	wantSame(t, "the state without Get", kombo.StateInvalid, p.connection("acme").State)
	// If Get succeeds, the row is right before the webhook arrives.
	wantStatus(t, "activating", v.post("/integrations/kombo/activate", body("token", token)), http.StatusOK)
	if got := p.connection("acme"); got.State != kombo.StateActive || len(p.attention()) != 0 {
		t.Errorf("connection = %+v, attention = %+v", got, p.attention())
	}
	if err := p.kombo.ReleaseWebhooks(t.Context(), kombotest.AtOnce); err != nil {
		t.Error(err)
	}
	after := p.connection("acme")
	if after.State != kombo.StateActive || after.Key != before.Key || len(p.attention()) != 0 {
		t.Errorf("connection = %+v, attention = %+v", after, p.attention())
	}
	if got, _ := p.kombo.Integration(after.IntegrationID); got.ScopeConfigID != "rosterly-full" {
		t.Errorf("integration = %+v", got)
	}
}

func TestDisconnecting(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(p *service, c store.Connection)
	}{
		{"as it should be", func(*service, store.Connection) {}},
		{"the integration is gone already", func(p *service, c store.Connection) {
			p.kombo.InjectWebhookFault(kombotest.WebhookFault{Lost: true})
			if err := p.kombo.DeleteIntegration(p.t.Context(), c.IntegrationID); err != nil {
				p.t.Fatal(err)
			}
		}},
		{"the response is lost", func(p *service, _ store.Connection) {
			p.kombo.InjectFault(kombotest.Fault{Op: "DELETE /integrations/{integration_id}", Cut: true, Executed: true})
		}},
		{"the webhook gets lost", func(p *service, _ store.Connection) {
			p.kombo.InjectWebhookFault(kombotest.WebhookFault{Lost: true})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startService(t, nil)
			v, connection := p.visitor("acme"), p.connect("acme")
			test.prepare(p, connection)
			wantStatus(t, "disconnecting", v.post("/integrations/disconnect", body("connection", connection.Key)), http.StatusOK)
			wantSame(t, "connections", 0, len(p.connections("acme")))
			wantSame(t, "integrations", 0, len(p.kombo.Integrations()))
			wantStatus(t, "disconnecting again", v.post("/integrations/disconnect", body("connection", connection.Key)), http.StatusNotFound)
			if err := p.kombo.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			wantSame(t, "connections after the webhook", 0, len(p.connections("acme")))
		})
	}
	t.Run("Kombo does not delete it", func(t *testing.T) {
		t.Parallel()
		p := startService(t, nil)
		v, connection := p.visitor("acme"), p.connect("acme")
		p.kombo.InjectFault(kombotest.Fault{Op: "DELETE /integrations/{integration_id}", Code: kombo.CodeInputInvalid})
		wantStatus(t, "disconnecting", v.post("/integrations/disconnect", body("connection", connection.Key)), http.StatusBadGateway)
		wantSame(t, "the connection", connection, p.connection("acme"))
		wantStatus(t, "disconnecting again", v.post("/integrations/disconnect", body("connection", connection.Key)), http.StatusOK)
		wantSame(t, "connections", 0, len(p.connections("acme")))
	})
	t.Run("reconnecting what is gone", func(t *testing.T) {
		t.Parallel()
		p := startService(t, nil)
		v, connection := p.visitor("acme"), p.connect("acme")
		p.kombo.InjectWebhookFault(kombotest.WebhookFault{Lost: true})
		if err := p.kombo.DeleteIntegration(t.Context(), connection.IntegrationID); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, "relink", v.post("/integrations/kombo/relink", body("connection", connection.Key)), http.StatusNotFound)
	})
}

// If the browser disconnects during a call to Kombo, the operation is still completed.
func TestBrowserLeaves(t *testing.T) {
	t.Parallel()
	type action struct {
		path string
		body func(p *service) string
		done func(p *service) bool
	}
	actions := []action{
		{"/integrations/disconnect", func(p *service) string { return body("connection", p.connect("acme").Key) }, func(p *service) bool {
			return len(p.connections("acme")) == 0 && len(p.kombo.Integrations()) == 0
		}},
		{"/integrations/kombo/activate", func(p *service) string {
			link := p.visitor("acme").link("/integrations/kombo/init", body("category", "ATS"))
			p.kombo.HoldWebhooks()
			return body("token", p.finish(link))
		}, func(p *service) bool {
			c := p.connection("acme")
			return c.State == kombo.StateActive && c.Category == kombo.CategoryATS
		}},
		{"/integrations/kombo/activate", func(p *service) string { // after a reconnection
			c := p.connect("acme")
			if err := p.kombo.SetState(p.t.Context(), c.IntegrationID, kombo.StateInvalid); err != nil {
				p.t.Fatal(err)
			}
			link := p.visitor("acme").link("/integrations/kombo/relink", body("connection", c.Key))
			p.kombo.HoldWebhooks()
			return body("token", p.finish(link))
		}, func(p *service) bool {
			return p.connection("acme").State == kombo.StateActive && len(p.attention()) == 0
		}},
	}
	for i, action := range actions {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d %s, before Kombo is called: %t", i, action.path, before), func(t *testing.T) {
				t.Parallel()
				p := startService(t, nil)
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				config := p.app.appConfig
				// The browser disconnects when the request is sent, or when the response has arrived.
				client, err := p.kombo.Client(kombo.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if before {
						leave()
					}
					response, err := http.DefaultTransport.RoundTrip(r)
					leave()
					return response, err
				})}))
				if err != nil {
					t.Fatal(err)
				}
				config.Client = client
				app, err := newApp(config)
				if err != nil {
					t.Fatal(err)
				}
				request := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+action.path, strings.NewReader(action.body(p)))
				request.Header.Set("Content-Type", "application/json")
				request.AddCookie(p.visitor("acme").session())
				app.ServeHTTP(httptest.NewRecorder(), request)
				if ctx.Err() == nil || !action.done(p) {
					t.Errorf("connections = %+v, integrations = %+v", p.connections("acme"), p.kombo.Integrations())
				}
				if strings.Contains(p.log.String(), "level=ERROR") {
					t.Errorf("the log is\n%s", p.log)
				}
			})
		}
	}
	t.Run("before anything has begun", func(t *testing.T) {
		t.Parallel()
		p := startService(t, nil)
		actions, cookie := p.actions(), p.visitor("acme").session()
		ctx, leave := context.WithCancel(t.Context())
		leave()
		for path, body := range actions {
			request := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+path, strings.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			request.AddCookie(cookie)
			p.app.ServeHTTP(httptest.NewRecorder(), request)
		}
		if strings.Contains(p.log.String(), "level=ERROR") {
			t.Errorf("the log is\n%s", p.log)
		}
	})
	t.Run("signing out", func(t *testing.T) {
		t.Parallel()
		p := startService(t, nil)
		v := p.visitor("acme")
		ctx, leave := context.WithCancel(t.Context())
		leave()
		request := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/sign-out", nil)
		request.AddCookie(v.session())
		p.app.ServeHTTP(httptest.NewRecorder(), request)
		wantStatus(t, "the session afterwards", v.get("/settings/connections"), http.StatusUnauthorized)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDismissing(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v, alert := p.visitor("acme"), p.failedFlow()
	for range 2 {
		wantStatus(t, "dismissing", v.post("/attention/dismiss", body("key", alert.Key)), http.StatusOK)
	}
	wantSame(t, "alerts", 0, len(p.attention()))
	if strings.Contains(v.get("/settings/connections").body, alert.Key) {
		t.Error("the page shows it still")
	}
}
