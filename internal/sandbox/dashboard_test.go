package sandbox

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kombo-go/kombo/internal/sdksource"
	"github.com/kombo-go/kombo/kombotest"
)

// The content security policy of the dashboard forbids everything external, so the dashboard must not load anything.
func TestDashboard(t *testing.T) {
	t.Parallel()
	srv := newSandbox(t, kombotest.Config{})
	for path, contentType := range map[string]string{
		"/": "text/html; charset=utf-8", "/_sandbox/dashboard.css": "text/css; charset=utf-8", "/_sandbox/dashboard.js": "text/javascript; charset=utf-8",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(srv.BaseURL(), "/v1")+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != contentType {
			t.Errorf("%s: %s %s, %v", path, response.Status, response.Header.Get("Content-Type"), err)
		}
		if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %s", path, policy)
		}
		if found := regexp.MustCompile(`innerHTML|\son\w+="|style="|https?://[a-z]+\.(com|net|org|io|dev)`).Find(body); found != nil {
			t.Errorf("%s contains %s", path, found)
		}
	}
	if status, _ := do(t, srv, "GET", "/elsewhere", ""); status != http.StatusNotFound {
		t.Errorf("elsewhere: %d", status)
	}
}

// The lists in the dashboard and the control API that are maintained by hand are complete.
func TestDashboardLists(t *testing.T) {
	t.Parallel()
	page, err := dashboardFiles.ReadFile("dashboard/index.html")
	if err != nil {
		t.Fatal(err)
	}
	script, err := dashboardFiles.ReadFile("dashboard/dashboard.js")
	if err != nil {
		t.Fatal(err)
	}
	// list returns the values in the part of a text that begins with begin and ends with end.
	list := func(text []byte, begin, end, value string) []string {
		t.Helper()
		_, rest, found := strings.Cut(string(text), begin)
		part, _, foundEnd := strings.Cut(rest, end)
		if !found || !foundEnd {
			t.Fatalf("no %s … %s", begin, end)
		}
		var values []string
		for _, match := range regexp.MustCompile(value).FindAllStringSubmatch(part, -1) {
			values = append(values, match[1])
		}
		return values
	}
	const sdk, fake, option, key = "../..", "../../kombotest", `<option value="([^"]+)"`, `(\w+): \[`
	for _, test := range []struct {
		directory, typeName string
		got                 []string
	}{
		{sdk, "Language", list(page, `name="language"`, "</select>", option)},
		{sdk, "LinkType", list(page, `name="link_type"`, "</select>", option)},
		{sdk, "ErrorCode", list(page, `<datalist id="codes"`, "</datalist>", option)},
		{sdk, "State", list(script, "const states = {", "};", key)},
		{sdk, "State", asStrings(states)},
		{sdk, "SetupStatus", list(script, "const setups = {", "};", key)},
		{sdk, "SetupStatus", asStrings(setupStatuses)},
		{fake, "Order", list(page, `name="order"`, "</select>", option)},
		{fake, "Order", asStrings(orders)},
	} {
		if diff := cmp.Diff(sdksource.Values(t, test.directory, test.typeName), test.got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Errorf("%s (-of the SDK +of the sandbox):\n%s", test.typeName, diff)
		}
	}
}

func asStrings[S ~string](values []S) []string {
	return describeAll(values, func(s S) string { return string(s) })
}
