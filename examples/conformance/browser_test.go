package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

const (
	errCancelled   = "KomboConnectCancelledError"
	errAlreadyOpen = "KomboConnectAlreadyOpenError"
)

// The browser library, in a browser, opens the pages of kombotest and understands what they post.
func TestBrowser(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)

	t.Run("success", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{}))
		c.sees("tools")
		c.chooses("personio")
		c.connects()
		c.sees("success")
		c.presses("done")
		got := c.integration()
		if got.Tool != "personio" || got.EndUserOriginID != "customer-7" || got.ID != c.srv.Integrations()[0].ID {
			t.Errorf("integration = %+v", got)
		}
	})

	closes := map[string]func(*customer){
		"×":      func(c *customer) { c.presses("close") },
		"Escape": func(c *customer) { c.keys(kb.Escape) },
	}
	for name, closeFlow := range closes {
		t.Run("closed with "+name, func(t *testing.T) {
			t.Parallel()
			c := browser.customer(t, desktop, kombotest.Config{})
			link := c.link(kombo.CreateLinkRequest{})
			c.opens(link)
			c.sees("tools")
			closeFlow(c)
			c.fails(errCancelled)
			c.isBack()
			if got := c.srv.Integrations(); len(got) != 0 {
				t.Errorf("integrations = %+v", got)
			}

			c.opens(link)
			c.chooses("personio")
			c.sees("credentials")
			closeFlow(c)
			c.fails(errCancelled)
		})
	}

	t.Run("opened twice", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{}))
		c.sees("tools")
		c.await(c.top, `document.querySelector("button").click() ?? true`)
		c.fails(errAlreadyOpen)
		c.presses("close")
		c.fails(errCancelled)
	})

	t.Run("wrong credentials", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio"}))
		c.sees("credentials")
		c.presses("connect")
		c.finds("[data-error=required]")
		c.fills("wrong")
		c.presses("connect")
		c.finds("[data-error=refused]")
		c.hears(kombo.EventConnectionFlowFailed)
		if got := c.srv.Integrations(); len(got) != 0 {
			t.Errorf("integrations = %+v", got)
		}

		c.connects()
		c.sees("success")
		c.misses("[data-error]")
		c.presses("done")
		c.integration()
		c.hears(kombo.EventConnectionFlowFailed, kombo.EventIntegrationCreated)
	})

	relinks := map[string]struct{ scope, wantScope string }{
		"reconnected":                    {"", "scope-1"},
		"reconnected with another scope": {"scope-2", "scope-2"},
	}
	for name, test := range relinks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := browser.customer(t, desktop, kombotest.Config{})
			id := c.srv.Connect(t, c.request(kombo.CreateLinkRequest{ScopeConfigID: "scope-1"})).ID
			if err := c.srv.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
				t.Fatal(err)
			}
			link, err := c.client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{ScopeConfigID: test.scope})
			if err != nil {
				t.Fatal(err)
			}

			c.opens(link.URL)
			c.sees("credentials")
			c.misses("[data-action=back]")
			if test.scope == "" {
				c.misses("[data-notice=scope]")
			} else if notice := c.text("[data-notice=scope]"); !strings.Contains(notice, test.scope) {
				t.Errorf("the notice says %q", notice)
			}
			if before, _ := c.srv.Integration(id); before.ScopeConfigID != "scope-1" || before.State != kombo.StateInvalid {
				t.Errorf("before: %+v", before)
			}

			c.connects()
			c.sees("success")
			c.presses("done")
			if got := c.integration(); got.ID != id {
				t.Errorf("the token is that of %s, want %s", got.ID, id)
			}
			if after, _ := c.srv.Integration(id); after.ScopeConfigID != test.wantScope || after.State != kombo.StateActive {
				t.Errorf("after: %+v", after)
			}
		})
	}

	t.Run("setup", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio", EnableFiltering: true, EnableFieldMapping: true}))
		c.connects()
		c.sees("setup")
		c.finds("[data-setup=filtering]")
		c.finds("[data-setup=field_mapping]")
		c.presses("finish-setup")
		c.sees("success")
		c.presses("done")
		if got := c.integration(); got.SetupStatus != kombo.SetupStatusCompleted {
			t.Errorf("integration = %+v", got)
		}
	})

	t.Run("setup left for later", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio", EnableFiltering: true}))
		c.connects()
		c.sees("setup")
		c.misses("[data-setup=field_mapping]")
		c.presses("later")
		c.sees("success")
		c.presses("done")
		first := c.integration()
		if first.SetupStatus != kombo.SetupStatusIncomplete {
			t.Errorf("integration = %+v", first)
		}

		c.opens(c.setupLink(first.ID))
		c.sees("setup")
		c.presses("finish-setup")
		c.sees("success")
		c.presses("done")
		if got := c.integration(); got.ID != first.ID || got.SetupStatus != kombo.SetupStatusCompleted {
			t.Errorf("integration = %+v", got)
		}
	})

	t.Run("closed during the setup", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio", EnableFieldMapping: true}))
		c.connects()
		c.sees("setup")
		c.presses("close")
		first := c.integration()
		if first.SetupStatus != kombo.SetupStatusIncomplete {
			t.Errorf("integration = %+v", first)
		}

		c.opens(c.setupLink(first.ID))
		c.sees("setup")
		c.presses("close")
		c.fails(errCancelled)
	})

	t.Run("magic link", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		link := c.link(kombo.CreateLinkRequest{LinkType: kombo.LinkTypeMagicLink})
		c.visits(link)
		c.sees("tools")
		c.misses("[data-action=close]")
		c.chooses("successfactors")
		c.connects()
		c.sees("success")
		c.misses("[data-action]")
		if got := c.srv.Integrations(); len(got) != 1 || got[0].Tool != "successfactors" || got[0].State != kombo.StateActive {
			t.Errorf("integrations = %+v", got)
		}
	})

	t.Run("links that lead nowhere", func(t *testing.T) {
		t.Parallel()
		var clock atomic.Pointer[time.Time]
		clock.Store(new(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)))
		c := browser.customer(t, desktop, kombotest.Config{Now: func() time.Time { return *clock.Load() }})
		used := c.link(kombo.CreateLinkRequest{LinkType: kombo.LinkTypeMagicLink})
		if _, err := c.srv.CompleteFlow(t.Context(), used, kombotest.Completion{}); err != nil {
			t.Fatal(err)
		}
		id := c.srv.Connect(t, c.request(kombo.CreateLinkRequest{})).ID
		gone, err := c.client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{LinkType: kombo.LinkTypeMagicLink})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.srv.DeleteIntegration(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		expired := c.link(kombo.CreateLinkRequest{LinkType: kombo.LinkTypeMagicLink})
		clock.Store(new(clock.Load().AddDate(1, 0, 1)))

		links := map[string]string{"used": used, "gone": gone.URL, "expired": expired, "unknown": c.kombo() + "/connect/v1?token=unknown"}
		for problem, link := range links {
			c.visits(link)
			c.sees("problem")
			c.finds("main[data-problem=" + problem + "]")
			c.misses("[data-action=close]")
		}

		// Within the product they are no dead end.
		for problem, link := range links {
			c.opens(link)
			c.finds("main[data-problem=" + problem + "]")
			c.presses("close")
			c.fails(errCancelled)
			c.isBack()
		}
	})

	languages := map[kombo.Language]string{
		kombo.LanguageEN: "Choose your HR system",
		kombo.LanguageDE: "Wählen Sie Ihr HR-System",
		kombo.LanguageFR: "Choisissez votre système RH",
		kombo.LanguageIT: "Scelga il Suo sistema HR",
		kombo.LanguageES: "Elija su sistema de RR. HH.",
	}
	for language, title := range languages {
		t.Run("in the language "+string(language), func(t *testing.T) {
			t.Parallel()
			c := browser.customer(t, phone, kombotest.Config{})
			c.opens(c.link(kombo.CreateLinkRequest{Language: language}))
			c.sees("tools")
			c.finds("html[lang=" + string(language) + "]")
			if got := c.text("h1"); got != title {
				t.Errorf("title: %q, want %q", got, title)
			}
		})
	}

	// Nothing is as long as what Germans say.
	for _, view := range []viewport{desktop, phone} {
		t.Run("all screens on a "+view.name, func(t *testing.T) {
			t.Parallel()
			c := browser.customer(t, view, kombotest.Config{})
			request := kombo.CreateLinkRequest{
				EndUserOrganizationName: "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
				Language:                kombo.LanguageDE, EnableFiltering: true, EnableFieldMapping: true,
			}
			link := c.link(request)
			c.opens(link)
			c.sees("tools")
			c.chooses("personio")
			c.sees("credentials")
			c.presses("connect")
			c.finds("[data-error=required]")
			c.sees("credentials")
			c.fills("wrong")
			c.presses("connect")
			c.finds("[data-error=refused]")
			c.sees("credentials")
			c.connects()
			c.sees("setup")
			c.presses("finish-setup")
			c.sees("success")
			c.presses("done")
			c.integration()
			c.opens(link)
			c.sees("problem")

			c.visits(c.link(request))
			c.sees("tools")
			c.presses("close")
			c.sees("left")

			request.LinkType = kombo.LinkTypeMagicLink
			c.visits(c.link(request))
			c.sees("tools")
			c.chooses("personio")
			c.connects()
			c.sees("setup")
			c.presses("later")
			c.sees("success")
		})
	}

	t.Run("with the keyboard only", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		c.usesProduct(c.link(kombo.CreateLinkRequest{EnableFiltering: true, EnableFieldMapping: true}))
		c.tabsTo("button")
		c.keys(kb.Enter)
		c.sees("tools")
		c.tabsTo("[data-tool=personio]")
		c.keys(kb.Enter)
		c.sees("credentials")
		c.tabsTo("[name=client_id]")
		c.keys("right")
		c.tabsTo("[name=client_secret]")
		c.keys("right")
		c.tabsTo("[data-action=connect]")
		c.keys(kb.Enter)
		c.sees("setup")
		c.tabsTo("[name=contract_external]")
		c.keys(" ")
		c.finds("[name=contract_external]:checked")
		c.tabsTo("[name=cost_center]")
		c.keys(kb.ArrowDown)
		c.tabsTo("[data-action=finish-setup]")
		c.keys(kb.Enter)
		c.sees("success")
		c.tabsTo("[data-action=done]")
		c.keys(kb.Enter)
		if got := c.integration(); got.SetupStatus != kombo.SetupStatusCompleted {
			t.Errorf("integration = %+v", got)
		}
	})

	t.Run("Tab stays within the flow", func(t *testing.T) {
		t.Parallel()
		c := browser.customer(t, desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio"}))
		c.sees("credentials")
		for range 10 {
			c.keys(kb.Tab)
			if got := string(c.await(c.top, `document.activeElement.tagName`)); got != `"IFRAME"` {
				t.Fatalf("Tab leads to %s", got)
			}
		}
	})
}

// fails waits for the error that the browser library ends with.
func (c *customer) fails(want string) {
	c.Helper()
	if got := c.outcome(); got != want {
		c.Fatalf("outcome: %s, want %s", got, want)
	}
}

// hears checks which webhooks were sent.
func (c *customer) hears(want ...kombo.EventType) {
	c.Helper()
	if err := c.srv.Wait(c.Context()); err != nil {
		c.Fatal(err)
	}
	var got []kombo.EventType
	for _, delivery := range c.srv.Deliveries() {
		got = append(got, delivery.EventType)
	}
	if !slices.Equal(got, want) {
		c.Errorf("webhooks: %v, want %v", got, want)
	}
}

// setupLink makes a setup link, for which the SDK has no method.
func (c *customer) setupLink(integrationID string) string {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), http.MethodPost,
		c.srv.BaseURL()+"/integrations/"+url.PathEscape(integrationID)+"/setup-link", strings.NewReader(`{"link_type":"EMBEDDED"}`))
	if err != nil {
		c.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.srv.APIKey())
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ Data kombo.Link }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Data.URL == "" {
		c.Fatalf("%d: %v", response.StatusCode, err)
	}
	return answer.Data.URL
}
