package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/conformance/browser"
	"github.com/kombo-go/kombo/kombotest"
)

const browserLibrary = "../../conformance/typescript/node_modules/@kombo-api/connect/dist/index.js"

// Customers use the product in a browser, with Kombo's browser library and the pages of kombotest.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium := browser.Start(t, browserLibrary)

	for _, view := range []browser.Viewport{browser.Desktop, browser.Phone} {
		t.Run("connect, reconnect, disconnect on a "+view.Name, func(t *testing.T) {
			t.Parallel()
			p := startProduct(t)
			c := p.open(chromium, view)
			c.Visits(p.url)
			c.Finds("[data-company=globex]")
			c.shows("sign-in")
			c.signsIn("acme")
			c.shows("nothing connected")

			c.Clicks(connectHRIS)
			c.Sees("tools")
			c.Chooses("personio")
			c.Connects()
			c.Sees("success")
			c.Presses("done")
			row := c.row("HRIS", "personio")
			c.says(row+" .badge", "Connected")
			c.says("[data-toast=ok] p", "Personio is connected.")
			c.says("[data-count=HRIS] [aria-hidden]", "1")
			c.isBack()
			c.shows("connected")
			c.hears("Personio is connected.")
			first := p.integration()
			if first.State != kombo.StateActive || first.EndUser.OriginID != "acme" || first.Tool != "personio" {
				t.Errorf("integration = %+v", first)
			}

			p.breaks(first.ID)
			c.Finds(row + "[data-state=INVALID]")
			c.says("[data-alert=invalid] h3", "Personio no longer accepts the credentials")
			c.shows("invalid")

			// Reconnect from the list of alerts, with the same scope.
			c.Clicks("[data-alert=invalid] [data-action=reconnect]")
			c.Finds("#dialog-scopes[open]")
			c.shows("dialog reconnect")
			c.Clicks("#dialog-scopes [data-action=confirm]")
			c.Sees("credentials")
			c.Misses("[data-notice=scope]")
			c.Connects()
			c.Sees("success")
			c.Presses("done")
			c.Finds(row + "[data-state=ACTIVE]")
			c.Misses("[data-alert]")
			c.hears("Personio is connected again.")
			c.isBack()
			if again := p.integration(); again.ID != first.ID || again.State != kombo.StateActive || again.ScopeConfigID != first.ScopeConfigID {
				t.Errorf("integration = %+v", again)
			}

			// Reconnect from the row, with another scope.
			p.breaks(first.ID)
			c.Finds(row + "[data-state=INVALID]")
			c.Clicks(row + " .row-actions > [data-action=reconnect]")
			c.Clicks("label:has([name=scope][value=rosterly-basic])")
			c.Clicks("#dialog-scopes [data-action=confirm]")
			c.Sees("credentials")
			if notice := c.Text("[data-notice=scope]"); !strings.Contains(notice, "rosterly-basic") {
				t.Errorf("the notice is %q", notice)
			}
			c.Connects()
			c.Presses("done")
			c.Finds(row + "[data-state=ACTIVE]")
			c.Misses("[data-alert]")
			c.hears("Personio is connected again.")
			c.isBack()
			if again := p.integration(); again.ID != first.ID || again.State != kombo.StateActive || again.ScopeConfigID != "rosterly-basic" {
				t.Errorf("integration = %+v", again)
			}

			c.Clicks(row + " [data-action=menu]")
			c.Finds(row + " .menu[open]")
			c.shows("menu")
			c.Clicks(row + " [data-action=disconnect]")
			c.says("#disconnect-title", "Disconnect Personio?")
			c.shows("dialog disconnect")
			c.closes("#dialog-disconnect", func() { c.Clicks("#dialog-disconnect [data-action=cancel]") })
			c.Finds(row + "[data-state=ACTIVE]")
			p.integration()

			c.Clicks(row + " [data-action=menu]")
			c.Clicks(row + " [data-action=disconnect]")
			c.Clicks("#dialog-disconnect [data-action=confirm]")
			c.Misses("[data-connection]")
			c.Misses("dialog[open]")
			c.shows("disconnected")
			c.hears("Personio is disconnected.")
			if got := p.integrations(); len(got) != 0 {
				t.Errorf("integrations = %+v", got)
			}
			c.Misses("[data-toast=bad]")
			c.hasNotReloaded()
		})

		t.Run("everything at once on a "+view.Name, func(t *testing.T) {
			t.Parallel()
			p := startProduct(t)
			p.connect("mueller", kombo.CategoryHRIS, "personio")
			p.breaks(p.integration().ID)
			for tool, category := range map[string]kombo.Category{
				"successfactors": kombo.CategoryHRIS, "greenhouse": kombo.CategoryATS, "360learning": kombo.CategoryLMS,
			} {
				p.connect("mueller", category, tool)
			}
			p.connect("mueller", kombo.CategoryHRIS, "personio")
			for _, integration := range p.integrations() {
				switch integration.Tool {
				case "greenhouse":
					p.control(http.MethodPost, "integrations/"+integration.ID+"/state", map[string]any{"setup_status": kombo.SetupStatusIncomplete}, nil)
				case "360learning":
					p.control(http.MethodPost, "integrations/"+integration.ID+"/state", map[string]any{"state": kombo.StateInactive}, nil)
				case "successfactors":
					p.control(http.MethodPost, "integrations/"+integration.ID+"/state", map[string]any{"setup_status": kombo.SetupStatusFinalSyncPending}, nil)
				}
			}
			p.control(http.MethodPost, "flows/fail", map[string]any{"link": p.link("mueller", kombo.CategoryATS)}, nil)

			c := p.open(chromium, view)
			c.Visits(p.url)
			c.signsIn("mueller")
			c.Finds("[data-connection][data-tool=personio][data-state=INVALID]")
			c.Finds("[data-connection][data-tool=personio][data-state=ACTIVE]")
			c.Finds("[data-connection][data-tool=successfactors][data-setup=FINAL_SYNC_PENDING]")
			c.Finds("[data-category=ATS] [data-connection][data-tool=greenhouse][data-setup=INCOMPLETE]")
			c.Finds("[data-category=LMS] [data-connection][data-state=INACTIVE]")
			c.Finds("[data-alert=invalid]")
			c.Finds("[data-alert=flow-failed]")
			c.shows("everything")
			c.Await(c.Top, `document.querySelector("[data-category=HRIS]").scrollIntoView() ?? true`)
			c.shows("everything, the rows")
			c.Await(c.Top, `document.querySelector("[data-category=LMS]").scrollIntoView() ?? true`)
			c.shows("everything, the end")

			c.Clicks(connectHRIS)
			c.Finds("#dialog-connect[open]")
			c.shows("dialog connect")
			c.Clicks("#dialog-connect [data-action=cancel]")
		})
	}

	closes := map[string]func(*customer){
		"×":      func(c *customer) { c.Presses("close") },
		"Escape": func(c *customer) { c.Keys(kb.Escape) },
	}
	for name, closeFlow := range closes {
		t.Run("closed with "+name, func(t *testing.T) {
			t.Parallel()
			p := startProduct(t)
			c := p.open(chromium, browser.Desktop)
			c.Visits(p.url)
			c.signsIn("acme")
			for _, screen := range []string{"tools", "credentials"} {
				c.Clicks(connectHRIS)
				c.Sees("tools")
				if screen == "credentials" {
					c.Chooses("personio")
					c.Sees(screen)
				}
				closeFlow(c)
				c.isBack()
				c.Finds(connectHRIS + ":focus")
			}
			p.settles()
			c.Misses("[data-toast]")
			c.Misses("[data-connection]")
			c.Misses("[data-alert]")
			c.hasNotReloaded()
			if got := p.integrations(); len(got) != 0 {
				t.Errorf("integrations = %+v", got)
			}
		})
	}

	t.Run("a failed attempt", func(t *testing.T) {
		t.Parallel()
		p := startProduct(t)
		c := p.open(chromium, browser.Desktop)
		c.Visits(p.url)
		c.signsIn("acme")
		c.Clicks(connectHRIS)
		c.Chooses("personio")
		c.Sees("credentials")
		c.Fills("wrong")
		c.Presses("connect")
		c.Finds("[data-error=refused]")
		c.Presses("close")
		c.isBack()
		c.says("[data-alert=flow-failed] h3", "Connecting Personio did not work")
		c.Misses("[data-connection]")
		c.Misses("[data-toast]")
		c.shows("failed")
		c.hasNotReloaded()

		c.Misses("[data-alert] a") // the log is for the vendor
		c.Clicks("[data-alert=flow-failed] [data-action=dismiss]")
		c.Misses("[data-alert]")
		c.Misses("[data-toast]")
		c.hasNotReloaded()
		c.Visits(p.url + "settings")
		c.settled()
		c.Misses("[data-alert]")
	})

	t.Run("a second system", func(t *testing.T) {
		t.Parallel()
		p := startProduct(t)
		p.connect("acme", kombo.CategoryHRIS, "personio")
		c := p.open(chromium, browser.Desktop)
		c.Visits(p.url)
		c.signsIn("acme")
		c.row("HRIS", "personio")

		c.Clicks(connectHRIS)
		c.says("#connect-title", "Personio is already connected")
		c.says("#connect-choices strong", "Reconnect Personio")
		c.closes("#dialog-connect", func() { c.Clicks("#dialog-connect [data-action=cancel]") })

		c.Clicks(connectHRIS)
		c.Clicks("#dialog-connect [data-action=reconnect]")
		c.says("#scopes-title", "Reconnect Personio")
		c.closes("#dialog-scopes", func() { c.Keys(kb.Escape) })

		c.Clicks(connectHRIS)
		c.Clicks("#dialog-connect [data-action=connect-another]")
		c.Sees("tools")
		c.Chooses("bamboohr")
		c.Connects()
		c.Presses("done")
		c.row("HRIS", "bamboohr")
		c.row("HRIS", "personio")
		c.hears("BambooHR is connected.")

		// Another category has no connection yet, so there is no question.
		c.Clicks("[data-category=ATS] [data-action=connect]")
		c.Sees("tools")
		c.Presses("close")
		c.isBack()
		c.Misses("[data-toast=bad]")
		c.hasNotReloaded()
		if got := p.integrations(); len(got) != 2 {
			t.Errorf("integrations = %+v", got)
		}
	})

	t.Run("magic link", func(t *testing.T) {
		t.Parallel()
		p := startProduct(t)
		c := p.open(chromium, browser.Phone)
		c.Visits(p.url)
		c.signsIn("acme")
		c.Clicks("[data-category=ATS] [data-action=magic-link]")
		c.says("#link-title", "A link for a colleague: Applicant tracking")
		link := browser.Decoded[string](c.Tab, c.Await(c.Flow, `document.querySelector("#link-field").value`))
		if !strings.HasPrefix(link, p.sandbox+"connect/") {
			t.Errorf("link = %s", link)
		}
		c.Clicks("#dialog-link [data-action=copy]")
		c.says("#copy-text", "Copied")
		c.shows("dialog link")
		c.Clicks("#dialog-link [data-action=cancel]")
		c.Misses("dialog[open]")

		p.control(http.MethodPost, "flows/complete", map[string]any{"link": link, "tool": "greenhouse"}, nil)
		c.row("ATS", "greenhouse")
		c.hasNotReloaded()
	})

	t.Run("the token of another company", func(t *testing.T) {
		t.Parallel()
		p := startProduct(t)
		acme, globex := p.open(chromium, browser.Desktop), p.open(chromium, browser.Desktop)
		acme.Visits(p.url)
		acme.signsIn("acme")
		globex.Visits(p.url)
		globex.signsIn("globex")

		token := p.connect("acme", kombo.CategoryHRIS, "personio")
		acme.row("HRIS", "personio")
		globex.Expects(p.url+"integrations/kombo/activate", http.StatusForbidden)
		globex.Await(globex.Top, browser.JS(`token => fetch("/integrations/kombo/activate", {
			method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }),
		}).then(({ status }) => { window.responded = status; }) && true`, token))
		if got := string(globex.Await(globex.Top, `window.responded`)); got != "403" {
			t.Errorf("status = %s", got)
		}
		globex.Visits(p.url + "settings")
		globex.settled()
		globex.Misses("[data-connection]")
		globex.Misses("[data-alert]")
		acme.row("HRIS", "personio")
	})

	t.Run("two pages", func(t *testing.T) {
		t.Parallel()
		p := startProduct(t)
		here, there := p.open(chromium, browser.Desktop), p.open(chromium, browser.Phone)
		for _, c := range []*customer{here, there} {
			c.Visits(p.url)
			c.signsIn("acme")
		}
		here.Clicks(connectHRIS)
		here.Chooses("personio")
		here.Connects()
		here.Presses("done")
		here.hears("Personio is connected.")
		var row string
		for _, c := range []*customer{here, there} {
			row = c.row("HRIS", "personio")
		}
		p.breaks(p.integration().ID)
		for _, c := range []*customer{here, there} {
			c.Finds(row + "[data-state=INVALID]")
			c.Finds("[data-alert=invalid]")
		}
		here.Clicks(row + " [data-action=menu]")
		here.Clicks(row + " [data-action=disconnect]")
		here.Clicks("#dialog-disconnect [data-action=confirm]")
		for _, c := range []*customer{here, there} {
			c.Misses("[data-connection]")
			c.Misses("[data-alert]")
			c.hasNotReloaded()
		}
		there.Misses("[data-toast]")
	})

	t.Run("sign out", func(t *testing.T) {
		t.Parallel()
		p := startProduct(t)
		c := p.open(chromium, browser.Phone)
		c.Visits(p.url)
		c.signsIn("globex")
		c.says(".who strong", "Globex Corporation")
		// Responses that arrive after the page is left are ignored.
		c.Expects(p.url+"settings/", http.StatusUnauthorized)
		c.Presses("sign-out")
		c.Finds("[data-company=acme]")
		c.Visits(p.url + "settings")
		c.Finds("[data-company=acme]")
		c.signsIn("acme")
		c.says(".who strong", "Acme, Inc.")
	})
}

const connectHRIS = "[data-category=HRIS] [data-action=connect]"

// product is the whole example with its fake Kombo.
type product struct {
	*testing.T

	url, sandbox string // with a slash at the end
}

// startProduct runs the example as users do, until the test ends.
func startProduct(t *testing.T) *product {
	t.Helper()
	reader, writer := io.Pipe()
	addresses := make(chan string, 2)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			line := lines.Text()
			t.Log(line)
			for _, what := range []string{"The product ", "A fake Kombo "} {
				if address, ok := strings.CutPrefix(line, what); ok {
					addresses <- strings.TrimSpace(address)
				}
			}
			// The browser cancels the requests of a page that is left.
			if strings.Contains(line, "level=ERROR") && !strings.Contains(line, "context canceled") {
				t.Error("the product logs an error")
			}
		}
	}()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{
			"-listen", "127.0.0.1:0", "-sandbox", "127.0.0.1:0", "-library", browserLibrary,
			"-database", filepath.Join(t.TempDir(), "embeddedflow.db"),
		}, func(string) string { return "" }, writer)
		_ = writer.Close()
	}()
	t.Cleanup(func() {
		stop()
		<-read
		if err := <-ended; err != nil {
			t.Errorf("the product ends with %v", err)
		}
	})
	p := &product{T: t}
	for _, address := range []*string{&p.url, &p.sandbox} {
		select {
		case *address = <-addresses:
		case <-read:
			t.Fatal("the product does not start")
		}
	}
	return p
}

// control calls the control API of the fake Kombo.
func (p *product) control(method, path string, in, out any) {
	p.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		p.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.Context(), method, p.sandbox+"_sandbox/"+path, bytes.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		p.Fatalf("%s %s: %d %s (%v)", method, path, response.StatusCode, got, err)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(got, out); err != nil {
		p.Fatal(err)
	}
}

func (p *product) integrations() []kombotest.Integration {
	p.Helper()
	var all []kombotest.Integration
	p.control(http.MethodGet, "integrations", nil, &all)
	return all
}

// integration returns the only integration.
func (p *product) integration() kombotest.Integration {
	p.Helper()
	all := p.integrations()
	if len(all) != 1 {
		p.Fatalf("integrations = %+v, want one", all)
	}
	return all[0]
}

// breaks makes the credentials of an integration invalid.
func (p *product) breaks(integrationID string) {
	p.Helper()
	p.control(http.MethodPost, "integrations/"+integrationID+"/state", map[string]any{"state": kombo.StateInvalid}, nil)
}

// settles waits until all webhooks are delivered.
func (p *product) settles() {
	p.Helper()
	var got struct{ Warning string }
	if p.control(http.MethodPost, "wait", struct{}{}, &got); got.Warning != "" {
		p.Error(got.Warning)
	}
}

// link creates a link for a company.
func (p *product) link(companyID string, category kombo.Category) string {
	p.Helper()
	var got struct{ Link string }
	p.control(http.MethodPost, "links", kombo.CreateLinkRequest{
		EndUserEmail: "someone@" + companyID + ".example", EndUserOrganizationName: companyID, EndUserOriginID: companyID,
		IntegrationCategory: category,
	}, &got)
	return got.Link
}

// connect connects a tool outside of the page, and returns the activation token.
func (p *product) connect(companyID string, category kombo.Category, tool string) string {
	p.Helper()
	var got struct {
		Token string `json:"activation_token"`
	}
	p.control(http.MethodPost, "flows/complete", map[string]any{"link": p.link(companyID, category), "tool": tool}, &got)
	return got.Token
}

// customer is a person who uses the product in a browser.
type customer struct {
	*browser.Tab
}

func (p *product) open(chromium browser.Browser, view browser.Viewport) *customer {
	p.Helper()
	c := &customer{chromium.Open(p.T, view)}
	// The status shows that the credentials were refused.
	c.Expects(p.sandbox+"connect/v1", http.StatusUnprocessableEntity)
	return c
}

func (c *customer) signsIn(companyID string) {
	c.Helper()
	c.Clicks("[data-company=" + companyID + "]")
	c.settled()
}

// settled waits for the settings page, which must not be reloaded afterwards.
func (c *customer) settled() {
	c.Helper()
	c.Await(c.Top, `document.readyState === "complete" && document.getElementById("live") !== null && (window.mark = "there")`)
}

func (c *customer) hasNotReloaded() {
	c.Helper()
	if got := string(c.Await(c.Top, `[window.mark ?? "gone"]`)); got != `["there"]` {
		c.Errorf("the page was loaded again")
	}
}

// row waits for a working connection, and returns the selector of its row.
func (c *customer) row(category, tool string) string {
	c.Helper()
	c.Finds("[data-category=" + category + "] [data-tool='" + tool + "'][data-state=ACTIVE]")
	key := c.Await(c.Flow, browser.JS(`tool => document.querySelector("[data-tool='" + tool + "'][data-connection]").dataset.connection`, tool))
	return "[data-connection=" + string(key) + "]"
}

// says waits until an element contains a text.
func (c *customer) says(selector, text string) {
	c.Helper()
	c.Await(c.Flow, browser.JS(`(s, text) => document.querySelector(s)?.innerText.trim() === text`, selector, text))
}

// hears waits for the message at the end of an action, which must be the only one, and closes it.
func (c *customer) hears(text string) {
	c.Helper()
	c.says(".toast:only-child p", text)
	c.Presses("close-toast")
	c.Misses("[data-toast]")
}

// closes waits until the page has handled the close of a dialog, which is after the dialog disappears.
func (c *customer) closes(dialog string, do func()) {
	c.Helper()
	c.Await(c.Top, browser.JS(`s => document.querySelector(s).addEventListener("close", () => { window.shut = s; }, { once: true }) ?? true`, dialog))
	do()
	c.Await(c.Top, browser.JS(`s => window.shut === s`, dialog))
	c.Await(c.Top, `(window.shut = undefined) ?? true`)
	c.Misses("dialog[open]")
}

// isBack waits until the flow is closed and the page can be used again.
func (c *customer) isBack() {
	c.Helper()
	c.Await(c.Top, `document.querySelector("iframe") === null && !document.getElementById("app").inert && document.querySelector("[aria-busy=true]") === null`)
}

// shows checks that the page fits the width of the window.
func (c *customer) shows(screen string) {
	c.Helper()
	c.Photographs(strings.ReplaceAll(screen, " ", "-"))
	for _, misfit := range browser.Decoded[[]string](c.Tab, c.Await(c.Flow, `(() => {
		if (document.documentElement.scrollWidth <= innerWidth && !document.querySelector("dialog[open]")) return [];
		const within = document.querySelector("dialog[open]") ?? document.body;
		const misfits = [...within.querySelectorAll("*")].filter((element) => element.getBoundingClientRect().right > innerWidth + .5);
		if (document.documentElement.scrollWidth > innerWidth) misfits.push(document.documentElement);
		return misfits.map(({ outerHTML }) => outerHTML.slice(0, 200));
	})()`)) {
		c.Errorf("%s is too wide: %s", screen, misfit)
	}
}
