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
	"github.com/kombo-go/kombo/conformance/browser"
	"github.com/kombo-go/kombo/internal/sdksource"
	"github.com/kombo-go/kombo/kombotest"
)

const (
	errCancelled   = "KomboConnectCancelledError"
	errAlreadyOpen = "KomboConnectAlreadyOpenError"
)

// The browser library, in a browser, opens the pages of kombotest and understands what they post.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium := browser.Start(t, browserLibrary)

	t.Run("success", func(t *testing.T) {
		t.Parallel()
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{}))
		c.Sees("tools")
		c.Chooses("personio")
		c.Connects()
		c.Sees("success")
		c.Presses("done")
		got := c.integration()
		if got.Tool != "personio" || got.EndUserOriginID != "customer-7" || got.ID != c.srv.Integrations()[0].ID {
			t.Errorf("integration = %+v", got)
		}
	})

	closes := map[string]func(*customer){
		"×":      func(c *customer) { c.Presses("close") },
		"Escape": func(c *customer) { c.Keys(kb.Escape) },
	}
	for name, closeFlow := range closes {
		t.Run("closed with "+name, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
			link := c.link(kombo.CreateLinkRequest{})
			c.opens(link)
			c.Sees("tools")
			closeFlow(c)
			c.fails(errCancelled)
			c.isBack()
			if got := c.srv.Integrations(); len(got) != 0 {
				t.Errorf("integrations = %+v", got)
			}

			c.opens(link)
			c.Chooses("personio")
			c.Sees("credentials")
			closeFlow(c)
			c.fails(errCancelled)
		})
	}

	t.Run("opened twice", func(t *testing.T) {
		t.Parallel()
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{}))
		c.Sees("tools")
		c.Await(c.Top, `document.querySelector("button").click() ?? true`)
		c.fails(errAlreadyOpen)
		c.Presses("close")
		c.fails(errCancelled)
	})

	t.Run("wrong credentials", func(t *testing.T) {
		t.Parallel()
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio"}))
		c.Sees("credentials")
		c.Presses("connect")
		c.Finds("[data-error=required]")
		c.Fills("wrong")
		c.Presses("connect")
		c.Finds("[data-error=refused]")
		c.hears(kombo.EventConnectionFlowFailed)
		if got := c.srv.Integrations(); len(got) != 0 {
			t.Errorf("integrations = %+v", got)
		}

		c.Connects()
		c.Sees("success")
		c.Misses("[data-error]")
		c.Presses("done")
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
			c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
			id := c.srv.Connect(t, c.request(kombo.CreateLinkRequest{ScopeConfigID: "scope-1"})).ID
			if err := c.srv.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
				t.Fatal(err)
			}
			link, err := c.client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{ScopeConfigID: test.scope})
			if err != nil {
				t.Fatal(err)
			}

			c.opens(link.URL)
			c.Sees("credentials")
			c.Misses("[data-action=back]")
			if test.scope == "" {
				c.Misses("[data-notice=scope]")
			} else if notice := c.Text("[data-notice=scope]"); !strings.Contains(notice, test.scope) {
				t.Errorf("the notice says %q", notice)
			}
			if before, _ := c.srv.Integration(id); before.ScopeConfigID != "scope-1" || before.State != kombo.StateInvalid {
				t.Errorf("before: %+v", before)
			}

			c.Connects()
			c.Sees("success")
			c.Presses("done")
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
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio", EnableFiltering: true, EnableFieldMapping: true}))
		c.Connects()
		c.Sees("setup")
		c.Finds("[data-setup=filtering]")
		c.Finds("[data-setup=field_mapping]")
		c.Presses("finish-setup")
		c.Sees("success")
		c.Presses("done")
		if got := c.integration(); got.SetupStatus != kombo.SetupStatusCompleted {
			t.Errorf("integration = %+v", got)
		}
	})

	t.Run("setup left for later", func(t *testing.T) {
		t.Parallel()
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio", EnableFiltering: true}))
		c.Connects()
		c.Sees("setup")
		c.Misses("[data-setup=field_mapping]")
		c.Presses("later")
		c.Sees("success")
		c.Presses("done")
		first := c.integration()
		if first.SetupStatus != kombo.SetupStatusIncomplete {
			t.Errorf("integration = %+v", first)
		}

		c.opens(c.setupLink(first.ID))
		c.Sees("setup")
		c.Presses("finish-setup")
		c.Sees("success")
		c.Presses("done")
		if got := c.integration(); got.ID != first.ID || got.SetupStatus != kombo.SetupStatusCompleted {
			t.Errorf("integration = %+v", got)
		}
	})

	t.Run("closed during the setup", func(t *testing.T) {
		t.Parallel()
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio", EnableFieldMapping: true}))
		c.Connects()
		c.Sees("setup")
		c.Presses("close")
		first := c.integration()
		if first.SetupStatus != kombo.SetupStatusIncomplete {
			t.Errorf("integration = %+v", first)
		}

		c.opens(c.setupLink(first.ID))
		c.Sees("setup")
		c.Presses("close")
		c.fails(errCancelled)
	})

	t.Run("magic link", func(t *testing.T) {
		t.Parallel()
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		link := c.link(kombo.CreateLinkRequest{LinkType: kombo.LinkTypeMagicLink})
		c.Visits(link)
		c.Sees("tools")
		c.Misses("[data-action=close]")
		c.Chooses("successfactors")
		c.Connects()
		c.Sees("success")
		c.Misses("[data-action]")
		if got := c.srv.Integrations(); len(got) != 1 || got[0].Tool != "successfactors" || got[0].State != kombo.StateActive {
			t.Errorf("integrations = %+v", got)
		}
	})

	t.Run("links that lead nowhere", func(t *testing.T) {
		t.Parallel()
		var clock atomic.Pointer[time.Time]
		clock.Store(new(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)))
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{Now: func() time.Time { return *clock.Load() }})
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
			c.Visits(link)
			c.Sees("problem")
			c.Finds("main[data-problem=" + problem + "]")
			c.Misses("[data-action=close]")
		}

		// Within the product they are no dead end.
		for problem, link := range links {
			c.opens(link)
			c.Finds("main[data-problem=" + problem + "]")
			c.Presses("close")
			c.fails(errCancelled)
			c.isBack()
		}
	})

	titles := map[kombo.Language]string{
		kombo.LanguageEN: "Choose your HR system",
		kombo.LanguageDE: "Wählen Sie Ihr HR-System",
		kombo.LanguageFR: "Choisissez votre système RH",
		kombo.LanguageIT: "Scelga il Suo sistema HR",
		kombo.LanguageES: "Elija su sistema de RR. HH.",
	}
	for _, language := range sdksource.Values(t, "..", "Language") {
		t.Run("in the language "+language, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(t, chromium, browser.Phone, kombotest.Config{})
			c.opens(c.link(kombo.CreateLinkRequest{Language: kombo.Language(language)}))
			c.Sees("tools")
			c.Finds("html[lang=" + language + "]")
			if got, want := c.Text("h1"), titles[kombo.Language(language)]; got != want {
				t.Errorf("title: %q, want %q", got, want)
			}
		})
	}

	// Nothing is as long as what Germans say.
	for _, view := range []browser.Viewport{browser.Desktop, browser.Phone} {
		t.Run("all screens on a "+view.Name, func(t *testing.T) {
			t.Parallel()
			c := newCustomer(t, chromium, view, kombotest.Config{})
			request := kombo.CreateLinkRequest{
				EndUserOrganizationName: "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
				Language:                kombo.LanguageDE, EnableFiltering: true, EnableFieldMapping: true,
			}
			link := c.link(request)
			c.opens(link)
			c.Sees("tools")
			c.Chooses("personio")
			c.Sees("credentials")
			c.Presses("connect")
			c.Finds("[data-error=required]")
			c.Sees("credentials")
			c.Fills("wrong")
			c.Presses("connect")
			c.Finds("[data-error=refused]")
			c.Sees("credentials")
			c.Connects()
			c.Sees("setup")
			c.Presses("finish-setup")
			c.Sees("success")
			c.Presses("done")
			c.integration()
			c.opens(link)
			c.Sees("problem")

			c.Visits(c.link(request))
			c.Sees("tools")
			c.Presses("close")
			c.Sees("left")

			request.LinkType = kombo.LinkTypeMagicLink
			c.Visits(c.link(request))
			c.Sees("tools")
			c.Chooses("personio")
			c.Connects()
			c.Sees("setup")
			c.Presses("later")
			c.Sees("success")
		})
	}

	t.Run("with the keyboard only", func(t *testing.T) {
		t.Parallel()
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		c.usesProduct(c.link(kombo.CreateLinkRequest{EnableFiltering: true, EnableFieldMapping: true}))
		c.TabsTo("button")
		c.Keys(kb.Enter)
		c.Sees("tools")
		c.TabsTo("[data-tool=personio]")
		c.Keys(kb.Enter)
		c.Sees("credentials")
		c.TabsTo("[name=client_id]")
		c.Keys("right")
		c.TabsTo("[name=client_secret]")
		c.Keys("right")
		c.TabsTo("[data-action=connect]")
		c.Keys(kb.Enter)
		c.Sees("setup")
		c.TabsTo("[name=contract_external]")
		c.Keys(" ")
		c.Finds("[name=contract_external]:checked")
		c.TabsTo("[name=cost_center]")
		c.Keys(kb.ArrowDown)
		c.TabsTo("[data-action=finish-setup]")
		c.Keys(kb.Enter)
		c.Sees("success")
		c.TabsTo("[data-action=done]")
		c.Keys(kb.Enter)
		if got := c.integration(); got.SetupStatus != kombo.SetupStatusCompleted {
			t.Errorf("integration = %+v", got)
		}
	})

	t.Run("Tab stays within the flow", func(t *testing.T) {
		t.Parallel()
		c := newCustomer(t, chromium, browser.Desktop, kombotest.Config{})
		c.opens(c.link(kombo.CreateLinkRequest{IntegrationTool: "personio"}))
		c.Sees("credentials")
		for range 10 {
			c.Keys(kb.Tab)
			if got := string(c.Await(c.Top, `document.activeElement.tagName`)); got != `"IFRAME"` {
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
