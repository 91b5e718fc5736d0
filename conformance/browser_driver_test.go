package conformance_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/conformance/browser"
	"github.com/kombo-go/kombo/kombotest"
)

const browserLibrary = "typescript/node_modules/@kombo-api/connect/dist/index.js"

// customer sits in front of a product that embeds the flow of a fake Kombo.
type customer struct {
	*browser.Tab

	srv      *kombotest.Server
	client   *kombo.Client
	product  string
	outcomes int
}

func newCustomer(t *testing.T, chromium browser.Browser, view browser.Viewport, config kombotest.Config) *customer {
	t.Helper()
	c := &customer{}
	c.srv, c.client = kombotest.Start(t, config)
	product := httptest.NewServer(c.productPages())
	t.Cleanup(product.Close)
	c.product = product.URL
	c.Tab = chromium.Open(t, view)
	// That a link leads nowhere and credentials are refused is said with a status.
	c.Expects(c.kombo()+"/connect/v1", http.StatusGone, http.StatusUnprocessableEntity)
	return c
}

// kombo is the origin of the flow.
func (c *customer) kombo() string { return strings.TrimSuffix(c.srv.BaseURL(), "/v1") }

// productPages are a page that opens the flow of the link in its address, as a product would.
func (c *customer) productPages() http.Handler {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "frame-src "+c.kombo()+"; script-src 'self'")
		_, _ = fmt.Fprint(w, `<!DOCTYPE html>
<html lang="en"><title>Product</title><link rel="icon" href="data:,"><style>iframe { border: 0 }</style>
<body><script src="library.js"></script><script src="product.js"></script>`)
	})
	pages.HandleFunc("GET /product.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, `
const outcomes = document.createElement("ol");
const report = (outcome) => outcomes.appendChild(document.createElement("li")).append(outcome);
const button = document.createElement("button");
button.append("Connect your HR system");
button.addEventListener("click", () => KomboConnect.showKomboConnect(decodeURIComponent(location.hash.slice(1)))
	.then((token) => report("token " + token), (error) => report(error.name)));
document.body.append(button, outcomes);`)
	})
	pages.HandleFunc("GET /library.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, browserLibrary) })
	return pages
}

// link makes a link for the customer.
func (c *customer) link(request kombo.CreateLinkRequest) string {
	c.Helper()
	link, err := c.client.Connect.CreateLink(c.Context(), c.request(request))
	if err != nil {
		c.Fatal(err)
	}
	return link.URL
}

func (*customer) request(request kombo.CreateLinkRequest) kombo.CreateLinkRequest {
	request.EndUserEmail, request.EndUserOriginID = "ada@example.com", "customer-7"
	request.EndUserOrganizationName = cmp.Or(request.EndUserOrganizationName, "Example Ltd.")
	return request
}

// usesProduct opens the product, whose button opens the flow of a link.
func (c *customer) usesProduct(link string) {
	c.Helper()
	c.Visits("about:blank") // or else the next visit does not load the page, because only the fragment differs
	c.Visits(c.product + "/#" + link)
	c.outcomes = 0
}

// opens lets the flow of a link begin within the product.
func (c *customer) opens(link string) {
	c.Helper()
	c.usesProduct(link)
	c.Clicks("button")
}

// outcome waits for the next result of the browser library: an activation token, or the name of an error.
func (c *customer) outcome() string {
	c.Helper()
	c.outcomes++
	return browser.Decoded[string](c.Tab, c.Await(c.Top, browser.JS(`n => document.querySelectorAll("li")[n - 1]?.textContent`, c.outcomes)))
}

// integration exchanges the activation token of a flow that succeeded, and closed.
func (c *customer) integration() *kombo.ConnectedIntegration {
	c.Helper()
	token, ok := strings.CutPrefix(c.outcome(), "token ")
	if !ok {
		c.Fatal("there is no activation token")
	}
	c.isBack()
	integration, err := c.client.Connect.IntegrationByToken(c.Context(), token)
	if err != nil {
		c.Fatal(err)
	}
	return integration
}

// isBack checks that the product is as it was before.
func (c *customer) isBack() {
	c.Helper()
	c.Await(c.Top, `document.querySelector("button") !== null && document.querySelector("iframe") === null`)
}
