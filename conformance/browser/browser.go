// Package browser plays the customers of tests: it opens pages in a headless Chromium, clicks and types, goes
// through the connection flow of kombotest, and listens to what the browser complains of.
package browser

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
)

// patience is how long a step may take on a busy machine.
const patience = 30 * time.Second

// A Browser opens tabs that share only the process.
type Browser func() (tab context.Context, closeTab context.CancelFunc)

// Start starts the browser of all customers, and ends it with the test. Without it, and without the file of
// the browser library, the test is skipped.
func Start(t *testing.T, library string) Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	if _, err := os.Stat(library); err != nil {
		t.Skip("the browser library is not installed: run npm ci --prefix conformance/typescript")
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

// A Viewport is the size of a window.
type Viewport struct {
	Name          string
	Width, Height int64
}

// The windows of customers.
var (
	Desktop = Viewport{"desktop", 1280, 800}
	Phone   = Viewport{"phone", 390, 844}
)

// A Tab is what a customer sits in front of. Its methods end the test if the page is not as they expect.
type Tab struct {
	*testing.T

	tab  *chromedp.Target
	view Viewport

	pictures int
	mutex    sync.Mutex
	expected []expectation
	mishaps  []string
}

type expectation struct {
	prefix   string
	statuses []int
}

// Open opens a tab, and closes it with the test, which fails if the browser has complained of anything.
func (open Browser) Open(test *testing.T, view Viewport) *Tab {
	test.Helper()
	t := &Tab{T: test, view: view}
	tab, closeTab := open()
	t.Cleanup(closeTab)
	if err := chromedp.Listen(tab, t.overhear); err != nil {
		t.Fatal(err)
	}
	t.tab = chromedp.FromContext(tab).Target
	// The customers' tabs are open at once, and each is to behave as if it were in front.
	command(t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	command(t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: view.Width, Height: view.Height, DeviceScaleFactor: 1})
	// The flow posts messages to who embeds it, and to nobody else.
	command(t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `if (location.pathname === "/connect/v1") addEventListener("message", ({ data }) => console.error("posted to itself", data))`,
	})
	t.Cleanup(t.complain)
	return t
}

// Expects allows responses with statuses of which the browser complains, for addresses with a prefix.
func (t *Tab) Expects(prefix string, statuses ...int) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.expected = append(t.expected, expectation{prefix, statuses})
}

// Visits opens an address, magic links for instance.
func (t *Tab) Visits(address string) {
	t.Helper()
	if result := command(t, page.Navigate, page.NavigateParams{URL: address}); result.ErrorText != "" {
		t.Fatalf("%s: %s", address, result.ErrorText)
	}
	t.Await(t.Top, `document.readyState === "complete"`)
}

// Sees waits for a screen of the flow, which is to fit into the window.
func (t *Tab) Sees(screen string) {
	t.Helper()
	t.Finds("main[data-screen=" + screen + "]")
	t.Photographs(screen)
	for _, misfit := range Decoded[[]string](t, t.Await(t.Flow, `(() => {
		const card = document.getElementById("card");
		const edge = Math.min(card.getBoundingClientRect().right, innerWidth) + .5;
		const scrolls = (element) => getComputedStyle(element).overflowX === "auto" && element.scrollWidth > element.clientWidth;
		const misfits = [...card.querySelectorAll("*")].filter((element) => scrolls(element) || element.getBoundingClientRect().right > edge);
		if (document.documentElement.scrollWidth > innerWidth) misfits.push(document.documentElement);
		return misfits.map(({ outerHTML }) => outerHTML.slice(0, 200));
	})()`)) {
		t.Errorf("%s is wider than the %s: %s", screen, t.view.Name, misfit)
	}
}

// Chooses clicks a tool.
func (t *Tab) Chooses(tool string) { t.Helper(); t.Clicks("[data-tool=" + tool + "]") }

// Presses clicks what does an action.
func (t *Tab) Presses(action string) { t.Helper(); t.Clicks("[data-action=" + action + "]") }

// Finds waits for an element.
func (t *Tab) Finds(selector string) {
	t.Helper()
	t.Await(t.Flow, JS(`s => document.querySelector(s) !== null`, selector))
}

// Misses waits until there is no such element.
func (t *Tab) Misses(selector string) {
	t.Helper()
	t.Await(t.Flow, JS(`s => document.querySelector(s) === null`, selector))
}

// Fills types the same into all fields.
func (t *Tab) Fills(text string) {
	t.Helper()
	fields := Decoded[[]string](t, t.Await(t.Flow, `[...document.querySelectorAll("form input")].map((input) => input.name)`))
	for _, field := range fields {
		t.Clicks("input[name=" + field + "]")
		t.Await(t.Flow, `document.activeElement.select() ?? true`)
		t.Keys(text)
	}
}

// Connects goes through the screen of the credentials.
func (t *Tab) Connects() {
	t.Helper()
	t.Sees("credentials")
	t.Fills("right")
	t.Presses("connect")
}

// Text returns what an element of the flow says.
func (t *Tab) Text(selector string) string {
	t.Helper()
	return Decoded[string](t, t.Await(t.Flow, JS(`s => document.querySelector(s)?.innerText`, selector)))
}

// Clicks hits an element once it can be hit.
func (t *Tab) Clicks(selector string) {
	t.Helper()
	at := Decoded[[2]float64](t, t.Await(t.Flow, JS(`s => {
		const found = document.querySelector(s);
		if (!found) return null;
		found.scrollIntoView({ block: "nearest" });
		const { x, y, width, height } = found.getBoundingClientRect();
		const center = [x + width / 2, y + height / 2];
		return found.contains(document.elementFromPoint(...center)) ? center : null;
	}`, selector)))
	t.acts(chromedp.MouseClickXY(at[0], at[1]))
}

// Keys types.
func (t *Tab) Keys(keys string) { t.Helper(); t.acts(chromedp.KeyEvent(keys)) }

// TabsTo moves the focus to an element of the flow, or of the product before it is open.
func (t *Tab) TabsTo(selector string) {
	t.Helper()
	for range 50 {
		t.Keys(kb.Tab)
		if bytes.Equal(t.Await(t.Flow, JS(`s => [document.activeElement.matches(s + ":focus-visible")]`, selector)), []byte("[true]")) {
			return
		}
	}
	t.Fatalf("Tab does not lead to %s", selector)
}

// Photographs keeps pictures of the screens for those who want to see them.
func (t *Tab) Photographs(screen string) {
	t.Helper()
	folder := os.Getenv("KOMBO_SCREENSHOTS")
	if folder == "" {
		return
	}
	picture := command(t, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data
	t.pictures++
	name := fmt.Sprintf("%s-%02d-%s.png", strings.ReplaceAll(t.Name(), "/", "-"), t.pictures, screen)
	if err := errors.Join(os.MkdirAll(folder, 0o750), os.WriteFile(filepath.Join(folder, name), picture, 0o600)); err != nil {
		t.Error(err)
	}
}

// overhear notes what the browser complains of.
func (t *Tab) overhear(event any) {
	var mishap string
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		mishap = event.ExceptionDetails.Text
		if exception := event.ExceptionDetails.Exception; exception != nil {
			mishap += ": " + exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		said := []string{"console." + string(event.Type)}
		for _, arg := range event.Args {
			said = append(said, cmp.Or(string(arg.Value), arg.Description))
		}
		mishap = strings.Join(said, " ")
	case *log.EventEntryAdded:
		if entry := event.Entry; !t.expects(entry) {
			mishap = fmt.Sprintf("%s %s: %s (%s)", entry.Source, entry.Level, entry.Text, entry.URL)
		}
	}
	if mishap != "" {
		t.mutex.Lock()
		defer t.mutex.Unlock()
		t.mishaps = append(t.mishaps, mishap)
	}
}

func (t *Tab) expects(entry *log.Entry) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return entry.Source == log.EntrySourceNetwork && slices.ContainsFunc(t.expected, func(e expectation) bool {
		return strings.HasPrefix(entry.URL, e.prefix) && slices.ContainsFunc(e.statuses, func(status int) bool {
			return strings.Contains(entry.Text, fmt.Sprintf("status of %d ", status))
		})
	})
}

func (t *Tab) complain() {
	// What comes before a response is heard before it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if _, err := cdp.Call(ctx, t.tab, page.GetFrameTree, cdp.Empty{}); err != nil {
		t.Error(err)
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, mishap := range t.mishaps {
		t.Errorf("the browser complains: %s", mishap)
	}
}

func (t *Tab) acts(action chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := action(ctx, t.tab); err != nil {
		t.Fatal(err)
	}
}

// command sends a command to the tab.
func command[P, R any](t *Tab, method cdp.Command[P, R], params P) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := cdp.Call(ctx, t.tab, method, params)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// A Place is where scripts run.
type Place func(context.Context) (runtime.ExecutionContextID, error)

// Top is the document of the tab. 0 is the script's own world.
func (*Tab) Top(context.Context) (runtime.ExecutionContextID, error) { return 0, nil }

// Flow is the document that the customer looks at: in the frame if there is one. It is a world apart,
// so that the page's scripts cannot tell that they are watched.
func (t *Tab) Flow(ctx context.Context) (runtime.ExecutionContextID, error) {
	tree, err := cdp.Call(ctx, t.tab, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return 0, err
	}
	frame := tree.FrameTree
	for len(frame.ChildFrames) > 0 {
		frame = frame.ChildFrames[0]
	}
	world, err := cdp.Call(ctx, t.tab, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame.Frame.ID, WorldName: "test"})
	return world.ExecutionContextID, err
}

// Await evaluates an expression until it has a value other than null and false. Documents come and go
// meanwhile, so that errors count as no value.
func (t *Tab) Await(where Place, expression string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		value, err := t.evaluate(ctx, where, expression)
		if err == nil && value != nil {
			return value
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Photographs("failed")
			t.Fatalf("waited in vain for %s (%v)", expression, err)
		}
	}
}

func (t *Tab) evaluate(ctx context.Context, where Place, expression string) ([]byte, error) {
	world, err := where(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := cdp.Call(ctx, t.tab, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, ContextID: world, ReturnByValue: new(true)})
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

// JS calls a function of JavaScript.
func JS(function string, arguments ...any) string {
	encoded, err := json.Marshal(arguments)
	if err != nil {
		panic(err)
	}
	return "(" + function + ")(..." + string(encoded) + ")"
}

// Decoded returns what [Tab.Await] has found as a value.
func Decoded[T any](t *Tab, text []byte) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
