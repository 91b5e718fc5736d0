package conformance_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

const (
	browserLibrary = "typescript/node_modules/@kombo-api/connect/dist/index.js"
	// patience is how long a step may take on a busy machine.
	patience = 30 * time.Second
)

// A browser opens tabs that share nothing but the process.
type browser func() (tab context.Context, closeTab context.CancelFunc)

// startBrowser starts the browser of all customers, and ends it with the test.
func startBrowser(t *testing.T) browser {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	if _, err := os.Stat(browserLibrary); err != nil {
		t.Skip("the browser library is not installed: run npm ci --prefix examples/conformance/typescript")
	}
	path := os.Getenv("CHROME")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		t.Skip("there is no Chromium: install one, or set CHROME to its path")
	}
	options := append(
		chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.DisableGPU,
		chromedp.Flag("no-sandbox", os.Geteuid() == 0),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		// The flow is another origin than the page around it. In the same process both are in reach.
		chromedp.Flag("disable-site-isolation-trials", true),
		chromedp.Flag("disable-features", "IsolateOrigins,site-per-process,Translate"),
		// Nothing moves while it is to be clicked.
		chromedp.Flag("force-prefers-reduced-motion", true),
	)
	// The context of the test ends before its cleanup, and would kill a browser that is to tidy up.
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(stop)
	process, _ := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(process); err != nil {
			t.Errorf("the browser does not end: %v", err)
		}
	})
	if err := chromedp.Do(process); err != nil {
		t.Fatalf("the browser does not start: %v", err)
	}
	return func() (context.Context, context.CancelFunc) {
		return chromedp.NewContext(process, chromedp.WithNewBrowserContext())
	}
}

type viewport struct {
	name          string
	width, height int64
}

var (
	desktop = viewport{"desktop", 1280, 800}
	phone   = viewport{"phone", 390, 844}
)

// customer sits in front of a product that embeds the flow of a fake Kombo.
type customer struct {
	*testing.T
	srv     *kombotest.Server
	client  *kombo.Client
	product string
	tab     *chromedp.Target
	view    viewport

	outcomes, pictures int
	mutex              sync.Mutex
	mishaps            []string
}

func (open browser) customer(t *testing.T, view viewport, config kombotest.Config) *customer {
	t.Helper()
	c := &customer{T: t, view: view}
	c.srv, c.client = kombotest.Start(t, config)
	product := httptest.NewServer(c.productPages())
	t.Cleanup(product.Close)
	c.product = product.URL

	tab, closeTab := open()
	t.Cleanup(closeTab)
	if err := chromedp.Listen(tab, c.overhear); err != nil {
		t.Fatal(err)
	}
	c.tab = chromedp.FromContext(tab).Target
	// The customers' tabs are open at once, and each is to behave as if it were in front.
	command(c, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	command(c, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: view.width, Height: view.height, DeviceScaleFactor: 1})
	// The flow posts messages to who embeds it, and to nobody else.
	command(c, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `if (location.pathname === "/connect/v1") addEventListener("message", ({ data }) => console.error("posted to itself", data))`,
	})
	t.Cleanup(c.complain)
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

// visits opens an address, magic links for instance.
func (c *customer) visits(address string) {
	c.Helper()
	if result := command(c, page.Navigate, page.NavigateParams{URL: address}); result.ErrorText != "" {
		c.Fatalf("%s: %s", address, result.ErrorText)
	}
	c.await(c.top, `document.readyState === "complete"`)
}

// usesProduct opens the product, whose button opens the flow of a link.
func (c *customer) usesProduct(link string) {
	c.Helper()
	c.visits("about:blank") // or else the next visit is none, where only the fragment differs
	c.visits(c.product + "/#" + link)
	c.outcomes = 0
}

// opens lets the flow of a link begin within the product.
func (c *customer) opens(link string) {
	c.Helper()
	c.usesProduct(link)
	c.clicks("button")
}

// sees waits for a screen of the flow, which is to fit into the window.
func (c *customer) sees(screen string) {
	c.Helper()
	c.finds("main[data-screen=" + screen + "]")
	c.photographs(screen)
	for _, misfit := range decoded[[]string](c, c.await(c.flow, `(() => {
		const card = document.getElementById("card");
		const edge = Math.min(card.getBoundingClientRect().right, innerWidth) + .5;
		const scrolls = (element) => getComputedStyle(element).overflowX === "auto" && element.scrollWidth > element.clientWidth;
		const misfits = [...card.querySelectorAll("*")].filter((element) => scrolls(element) || element.getBoundingClientRect().right > edge);
		if (document.documentElement.scrollWidth > innerWidth) misfits.push(document.documentElement);
		return misfits.map(({ outerHTML }) => outerHTML.slice(0, 200));
	})()`)) {
		c.Errorf("%s is wider than the %s: %s", screen, c.view.name, misfit)
	}
}

func (c *customer) chooses(tool string)   { c.Helper(); c.clicks("[data-tool=" + tool + "]") }
func (c *customer) presses(action string) { c.Helper(); c.clicks("[data-action=" + action + "]") }
func (c *customer) finds(selector string) {
	c.Helper()
	c.await(c.flow, js(`s => document.querySelector(s) !== null`, selector))
}

func (c *customer) misses(selector string) {
	c.Helper()
	c.await(c.flow, js(`s => document.querySelector(s) === null`, selector))
}

// fills types the same into all fields.
func (c *customer) fills(text string) {
	c.Helper()
	fields := decoded[[]string](c, c.await(c.flow, `[...document.querySelectorAll("form input")].map((input) => input.name)`))
	for _, field := range fields {
		c.clicks("input[name=" + field + "]")
		c.await(c.flow, `document.activeElement.select() ?? true`)
		c.keys(text)
	}
}

// connects goes through the screen of the credentials.
func (c *customer) connects() {
	c.Helper()
	c.sees("credentials")
	c.fills("right")
	c.presses("connect")
}

// text returns what an element of the flow says.
func (c *customer) text(selector string) string {
	c.Helper()
	return decoded[string](c, c.await(c.flow, js(`s => document.querySelector(s)?.innerText`, selector)))
}

// clicks hits an element once it can be hit.
func (c *customer) clicks(selector string) {
	c.Helper()
	at := decoded[[2]float64](c, c.await(c.flow, js(`s => {
		const found = document.querySelector(s);
		if (!found) return null;
		found.scrollIntoView({ block: "nearest" });
		const { x, y, width, height } = found.getBoundingClientRect();
		const center = [x + width / 2, y + height / 2];
		return found.contains(document.elementFromPoint(...center)) ? center : null;
	}`, selector)))
	c.acts(chromedp.MouseClickXY(at[0], at[1]))
}

func (c *customer) keys(keys string) { c.Helper(); c.acts(chromedp.KeyEvent(keys)) }

// tabsTo moves the focus to an element of the flow, or of the product before it is open.
func (c *customer) tabsTo(selector string) {
	c.Helper()
	for range 50 {
		c.keys(kb.Tab)
		if bytes.Equal(c.await(c.flow, js(`s => [document.activeElement.matches(s + ":focus-visible")]`, selector)), []byte("[true]")) {
			return
		}
	}
	c.Fatalf("Tab does not lead to %s", selector)
}

// outcome waits for the next result of the browser library: an activation token, or the name of an error.
func (c *customer) outcome() string {
	c.Helper()
	c.outcomes++
	return decoded[string](c, c.await(c.top, js(`n => document.querySelectorAll("li")[n - 1]?.textContent`, c.outcomes)))
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
	c.await(c.top, `document.querySelector("button") !== null && document.querySelector("iframe") === null`)
}

// photographs keeps pictures of the screens for those who want to see them.
func (c *customer) photographs(screen string) {
	c.Helper()
	folder := os.Getenv("KOMBO_SCREENSHOTS")
	if folder == "" {
		return
	}
	picture := command(c, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data
	c.pictures++
	name := fmt.Sprintf("%s-%02d-%s.png", strings.ReplaceAll(c.Name(), "/", "-"), c.pictures, screen)
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, name), picture, 0o644)); err != nil {
		c.Error(err)
	}
}

// overhear notes what the browser complains of.
func (c *customer) overhear(event any) {
	var mishap string
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		mishap = event.ExceptionDetails.Text
		if exception := event.ExceptionDetails.Exception; exception != nil {
			mishap += ": " + exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		mishap = "console." + string(event.Type)
		for _, arg := range event.Args {
			mishap += " " + cmp.Or(string(arg.Value), arg.Description)
		}
	case *log.EventEntryAdded:
		entry := event.Entry
		// That a link leads nowhere and credentials are refused is said with a status.
		expected := entry.Source == log.EntrySourceNetwork && strings.HasPrefix(entry.URL, c.kombo()+"/connect/v1") &&
			(strings.Contains(entry.Text, "status of 410 ") || strings.Contains(entry.Text, "status of 422 "))
		if !expected {
			mishap = fmt.Sprintf("%s %s: %s (%s)", entry.Source, entry.Level, entry.Text, entry.URL)
		}
	}
	if mishap != "" {
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.mishaps = append(c.mishaps, mishap)
	}
}

func (c *customer) complain() {
	// What comes before an answer is overheard before it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), patience)
	defer cancel()
	if _, err := cdp.Call(ctx, c.tab, page.GetFrameTree, cdp.Empty{}); err != nil {
		c.Error(err)
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, mishap := range c.mishaps {
		c.Errorf("the browser complains: %s", mishap)
	}
}

func (c *customer) acts(action chromedp.Action[chromedp.Void]) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	if _, err := action(ctx, c.tab); err != nil {
		c.Fatal(err)
	}
}

// command sends a command to the tab.
func command[P, R any](c *customer, method cdp.Command[P, R], params P) R {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	result, err := cdp.Call(ctx, c.tab, method, params)
	if err != nil {
		c.Fatal(err)
	}
	return result
}

// A place is where scripts run.
type place func(context.Context) (runtime.ExecutionContextID, error)

// top is the document of the tab. 0 is the script's own world.
func (*customer) top(context.Context) (runtime.ExecutionContextID, error) { return 0, nil }

// flow is the document that the customer looks at: in the frame where there is one. It is a world apart,
// so that the page's scripts cannot tell that they are watched.
func (c *customer) flow(ctx context.Context) (runtime.ExecutionContextID, error) {
	tree, err := cdp.Call(ctx, c.tab, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return 0, err
	}
	frame := tree.FrameTree
	for len(frame.ChildFrames) > 0 {
		frame = frame.ChildFrames[0]
	}
	world, err := cdp.Call(ctx, c.tab, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame.Frame.ID, WorldName: "test"})
	return world.ExecutionContextID, err
}

// await evaluates an expression until it has a value other than null and false. Documents come and go
// meanwhile, so that errors count as no value.
func (c *customer) await(where place, expression string) []byte {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		value, err := c.evaluate(ctx, where, expression)
		if err == nil && value != nil {
			return value
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.photographs("failed")
			c.Fatalf("waited in vain for %s (%v)", expression, err)
		}
	}
}

func (c *customer) evaluate(ctx context.Context, where place, expression string) ([]byte, error) {
	world, err := where(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := cdp.Call(ctx, c.tab, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, ContextID: world, ReturnByValue: new(true)})
	switch {
	case err != nil:
		return nil, err
	case answer.ExceptionDetails != nil:
		return nil, errors.New(answer.ExceptionDetails.Text)
	}
	switch value := string(answer.Result.Value); value {
	case "", "null", "false":
		return nil, nil
	default:
		return []byte(value), nil
	}
}

// js calls a function of JavaScript.
func js(function string, arguments ...any) string {
	encoded, err := json.Marshal(arguments)
	if err != nil {
		panic(err)
	}
	return "(" + function + ")(..." + string(encoded) + ")"
}

func decoded[T any](c *customer, text []byte) T {
	c.Helper()
	var value T
	if err := json.Unmarshal(text, &value); err != nil {
		c.Fatal(err)
	}
	return value
}
