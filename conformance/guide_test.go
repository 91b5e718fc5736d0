package conformance_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/conformance/browser"
	"github.com/kombo-go/kombo/kombotest"
)

// guidePage is what Kombo's guide describes: a GET for the link, and the token as a string of JSON for which no
// Content-Type is given. %s is what precedes the paths of the back end.
const guidePage = `
const backEnd = %q;

async function getLink() {
	const response = await fetch(backEnd + "/integrations/kombo/init");
	const { link } = await response.json();
	return link;
}

async function activate(token) {
	const response = await fetch(backEnd + "/integrations/kombo/activate", { method: "POST", body: JSON.stringify({ token }) });
	return response.status;
}

async function connect() {
	const link = await getLink();
	const token = await KomboConnect.showKomboConnect(link);
	return activate(token);
}`

// otherOriginPage is a page of another origin, which sends cookies and JSON.
const otherOriginPage = `
const post = async (path, body) => {
	const response = await fetch(%q + path, {
		method: "POST", credentials: "include", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
	});
	return [response.status, await response.json()];
};

async function connect() {
	const [refused, { error }] = await post("/integrations/kombo/activate", {});
	const [, { link }] = await post("/integrations/kombo/init", {});
	const token = await KomboConnect.showKomboConnect(link);
	const [status] = await post("/integrations/kombo/activate", { token });
	return refused === 400 && error.includes("token") ? status : "unreadable error";
}`

// attackingPage is a page of another origin that wants no response, so its requests need no preflight.
const attackingPage = `
async function connect() {
	const backEnd = %q;
	const attack = { mode: "no-cors", credentials: "include" };
	await fetch(backEnd + "/integrations/kombo/init", attack);
	await fetch(backEnd + "/integrations/kombo/init", { ...attack, method: "POST" });
	await fetch(backEnd + "/integrations/kombo/activate", { ...attack, method: "POST", body: '{"token":"x"}' });
	await fetch(backEnd + "/integrations/kombo/activate", { ...attack, method: "POST", body: new URLSearchParams({ token: "x" }) });
	return "attacked";
}`

// flowProduct is a product with the handlers of the embedded flow, and pages that use them.
type flowProduct struct {
	*customer

	flow *kombo.EmbeddedFlow

	mutex     sync.Mutex
	connected []string
	refused   []string
}

func newFlowProduct(t *testing.T, chromium browser.Browser, trustedOrigins ...string) *flowProduct {
	t.Helper()
	p := &flowProduct{customer: newCustomer(t, chromium, browser.Desktop, kombotest.Config{})}
	var err error
	p.flow, err = kombo.NewEmbeddedFlow(p.client, kombo.EmbeddedFlowConfig{
		SignedIn: func(r *http.Request) (string, error) {
			session, err := r.Cookie("session")
			if err != nil {
				return "", kombo.ErrFlowNotSignedIn
			}
			return session.Value, nil
		},
		Link: func(*http.Request, string) (kombo.CreateLinkRequest, error) {
			return kombo.CreateLinkRequest{EndUserEmail: "ada@example.com", EndUserOrganizationName: "Example Ltd."}, nil
		},
		Connected: func(_ context.Context, i *kombo.ConnectedIntegration) error {
			p.mutex.Lock()
			defer p.mutex.Unlock()
			p.connected = append(p.connected, i.Tool+" of "+i.EndUserOriginID)
			return nil
		},
		OnError: func(_ context.Context, status int, err error) {
			p.mutex.Lock()
			defer p.mutex.Unlock()
			p.refused = append(p.refused, fmt.Sprint(status, strings.Contains(err.Error(), "TrustedOrigins")))
		},
		TrustedOrigins: trustedOrigins,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serves adds the handlers and a page with a script to the pages of a server.
func (p *flowProduct) serves(pages *http.ServeMux, script string) {
	pages.Handle("/integrations/kombo/init", p.flow.InitHandler())
	pages.Handle("/integrations/kombo/activate", p.flow.ActivateHandler())
	pages.HandleFunc("GET /guide", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "customer-7", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html>
<html lang="en"><title>Product</title><link rel="icon" href="data:,"><style>iframe { border: 0 }</style>
<body><script src="library.js"></script><script>%s</script>
<button onclick="connect().then((outcome) => { outcomes.append(outcome) })">Connect your HR system</button><p id="outcomes"></p>`, script)
	})
	pages.HandleFunc("GET /library.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, browserLibrary) })
}

// connects goes through the flow, and returns what the page makes of it.
func (p *flowProduct) connects(page string) string {
	p.Helper()
	p.Visits(page + "/guide")
	p.Clicks("button")
	p.Chooses("personio")
	p.Connects()
	p.Presses("done")
	return p.says()
}

func (p *flowProduct) says() string {
	p.Helper()
	return browser.Decoded[string](p.Tab, p.Await(p.Top, `document.querySelector("p").textContent || null`))
}

func (p *flowProduct) expects(connected, refused []string) {
	p.Helper()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if !slices.Equal(p.connected, connected) || !slices.Equal(p.refused, refused) {
		p.Errorf("connected %q, refused %q; want %q, %q", p.connected, p.refused, connected, refused)
	}
}

// The page of Kombo's guide works with the handlers of the embedded flow, as do pages of trusted origins. Those of
// others do not.
func TestGuide(t *testing.T) {
	t.Parallel()
	chromium := browser.Start(t, browserLibrary)
	stored := []string{"personio of customer-7"}

	t.Run("the page of the guide", func(t *testing.T) {
		t.Parallel()
		p := newFlowProduct(t, chromium)
		pages := http.NewServeMux()
		p.serves(pages, fmt.Sprintf(guidePage, ""))
		server := httptest.NewServer(pages)
		t.Cleanup(server.Close)
		if got := p.connects(server.URL); got != "200" {
			t.Errorf("the page says %s", got)
		}
		p.expects(stored, nil)
	})

	t.Run("a trusted origin", func(t *testing.T) {
		t.Parallel()
		pages, backEnd := http.NewServeMux(), http.NewServeMux()
		front, back := httptest.NewServer(pages), httptest.NewServer(backEnd)
		t.Cleanup(front.Close)
		t.Cleanup(back.Close)
		p := newFlowProduct(t, chromium, front.URL)
		p.Expects(back.URL, http.StatusBadRequest)
		p.serves(backEnd, "")
		p.serves(pages, fmt.Sprintf(otherOriginPage, back.URL))
		if got := p.connects(front.URL); got != "200" {
			t.Errorf("the page says %s", got)
		}
		p.expects(stored, []string{"400 false"})
	})

	t.Run("another origin", func(t *testing.T) {
		t.Parallel()
		pages, backEnd := http.NewServeMux(), http.NewServeMux()
		front, back := httptest.NewServer(pages), httptest.NewServer(backEnd)
		t.Cleanup(front.Close)
		t.Cleanup(back.Close)
		p := newFlowProduct(t, chromium, "https://www.example")
		p.Expects(back.URL, http.StatusForbidden)
		p.serves(backEnd, "")
		p.serves(pages, fmt.Sprintf(attackingPage, back.URL))
		p.Visits(front.URL + "/guide")
		p.Clicks("button")
		if got := p.says(); got != "attacked" {
			t.Errorf("the page says %s", got)
		}
		p.expects(nil, slices.Repeat([]string{"403 true"}, 4))
		if got := p.srv.OpenLinks(); len(got) > 0 {
			t.Errorf("%d links were made", len(got))
		}
	})
}
