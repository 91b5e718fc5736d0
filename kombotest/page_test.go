package kombotest_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdksource"
	"github.com/kombo-go/kombo/kombotest"
)

// open opens a page as a browser does.
func open(t *testing.T, pageURL string, language string) (status int, header http.Header, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, pageURL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Language", language)
	return exchange(t, r)
}

// pageFlow is the data that the page passes to its script.
type pageFlow struct {
	Token, Kind, Problem, Language, Organization, Category, Tool string
	Embedded                                                     bool
	Tools                                                        []struct {
		ID, Label, Icon string
		Fields          []string
	}
	ScopeConfig string `json:"scope_config"`
	Setup       []string
	Texts       map[string]string
}

func flowOf(t *testing.T, page string) pageFlow {
	t.Helper()
	_, rest, _ := strings.Cut(page, `id="flow">`)
	text, _, found := strings.Cut(rest, "</script>")
	if !found {
		t.Fatalf("the page has no flow: %s", page)
	}
	var flow pageFlow
	if err := json.Unmarshal([]byte(text), &flow); err != nil {
		t.Fatal(err)
	}
	return flow
}

// post sends a request as the page's script does.
func post(t *testing.T, srv *kombotest.Server, path, body string) (status int, response string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.TrimSuffix(srv.BaseURL(), "/v1")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	status, _, response = exchange(t, r)
	return status, response
}

func tokenOf(t *testing.T, link string) string {
	t.Helper()
	parsed, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Query().Get("token")
}

func TestPageOfAConnectionLink(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	german := request
	german.Language, german.EnableFiltering, german.EnableFieldMapping = kombo.LanguageDE, true, true
	link := createLink(t, client, german)
	status, header, page := open(t, link+"&sdkv=1.3.0", "en")
	got := flowOf(t, page)
	var tools []string
	for _, tool := range got.Tools {
		tools = append(tools, tool.ID)
	}
	if !slices.Contains(tools, "personio") || slices.Contains(tools, "moodle") {
		t.Errorf("tools = %q", tools)
	}
	if first := got.Tools[0]; first.ID != "personio" || first.Label != "Personio" || !cmp.Equal(first.Fields, []string{"client_id", "client_secret"}) {
		t.Errorf("the first tool is %+v", first)
	}
	if !strings.Contains(page, "<title>"+html.EscapeString(got.Texts["page_title_connect"])+"</title>") || !strings.Contains(page, `<html lang="de"`) {
		t.Errorf("the page is not in German, or has no title: %s", page)
	}
	got.Tools, got.Texts = nil, nil
	want := pageFlow{
		Token: tokenOf(t, link), Kind: "connect", Embedded: true, Language: "de", Organization: "Müller & Söhne <HR>",
		Category: "HRIS", Setup: []string{"filtering", "field_mapping"},
	}
	if diff := cmp.Diff(want, got); diff != "" || status != http.StatusOK {
		t.Errorf("%d, flow (-want +got):\n%s", status, diff)
	}
	// The URL contains a token and any site may frame the page, so the policy allows only its own scripts.
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "",
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	// Everything that the page loads exists.
	base := strings.TrimSuffix(srv.BaseURL(), "/v1")
	for path, contentType := range map[string]string{
		"/connect/v1/flow.js": "text/javascript; charset=utf-8", "/connect/v1/flow.css": "text/css; charset=utf-8",
		"/connect/v1/log.css": "text/css; charset=utf-8", "/connect/v1/icons/360learning.svg": "image/svg+xml",
	} {
		if status, header, body := open(t, base+path, ""); status != http.StatusOK || header.Get("Content-Type") != contentType || body == "" {
			t.Errorf("%s: %d %s", path, status, header.Get("Content-Type"))
		}
	}
	if status, _, _ := open(t, base+"/connect/v1/icons/Unknown.svg", ""); status != http.StatusNotFound {
		t.Errorf("an unknown icon: %d", status)
	}
}

// Values that a service passes cannot inject HTML into the page.
func TestPageEscapes(t *testing.T) {
	t.Parallel()
	_, client := kombotest.Start(t, kombotest.Config{})
	evil := request
	evil.EndUserOrganizationName = `</script><script>alert("1")</script><!--`
	_, _, page := open(t, createLink(t, client, evil), "")
	if strings.Contains(page, "alert(\"1\")") || strings.Contains(page, "<!--<") || strings.Count(page, "<script") != 2 {
		t.Errorf("the page contains the unescaped name: %s", page)
	}
	if got := flowOf(t, page).Organization; got != evil.EndUserOrganizationName {
		t.Errorf("the script sees %q", got)
	}
	_, _, page = open(t, createLink(t, client, evil)+"%3Cscript%3E", "")
	if strings.Count(page, "<script") != 2 {
		t.Errorf("the page contains the unescaped token: %s", page)
	}
}

// The icon of a tool is drawn from its name, which a test can choose.
func TestIconEscapes(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{Tools: []kombotest.Tool{{ID: "odd", Label: "<svg"}}})
	_, _, icon := open(t, strings.TrimSuffix(srv.BaseURL(), "/v1")+"/connect/v1/icons/odd.svg", "")
	if !strings.Contains(icon, ">&lt;</text>") {
		t.Errorf("icon = %s", icon)
	}
}

func TestPageOfARelink(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	withTool := request
	withTool.IntegrationTool, withTool.ScopeConfigID = "factorial", "scope1"
	id := srv.Connect(t, withTool).ID
	tests := []struct {
		name      string
		request   kombo.RelinkRequest
		wantScope string
	}{
		{"as it was", kombo.RelinkRequest{}, ""},
		{"the same scope", kombo.RelinkRequest{ScopeConfigID: "scope1"}, ""},
		{"another scope", kombo.RelinkRequest{ScopeConfigID: "scope2", LinkType: kombo.LinkTypeMagicLink, Language: kombo.LanguageES}, "scope2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			link, err := client.Integrations.Relink(t.Context(), id, test.request)
			if err != nil {
				t.Fatal(err)
			}
			_, _, page := open(t, link.URL, "de")
			got := flowOf(t, page)
			if len(got.Tools) != 1 || got.Tools[0].ID != "factorial" || got.Texts["page_title_relink"] == "" {
				t.Errorf("tools = %+v", got.Tools)
			}
			got.Tools, got.Texts = nil, nil
			want := pageFlow{
				Token: tokenOf(t, link.URL), Kind: "relink", Embedded: test.request.LinkType != kombo.LinkTypeMagicLink,
				Language: string(firstOf(test.request.Language, kombo.LanguageEN)), Organization: "Müller & Söhne <HR>",
				Category: "HRIS", Tool: "factorial", ScopeConfig: test.wantScope, Setup: []string{},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("flow (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPagesOfLinksThatLeadNowhere(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	used := createLink(t, client, request)
	if _, err := srv.CompleteFlow(t.Context(), used, kombotest.Completion{}); err != nil {
		t.Fatal(err)
	}
	id := srv.Connect(t, request).ID
	gone, err := client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{Language: kombo.LanguageIT})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.DeleteIntegration(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	base := strings.TrimSuffix(srv.BaseURL(), "/v1")
	tests := []struct {
		name, link, accept, want, wantLanguage string
	}{
		{"used", used, "fr", "used", "en"}, // the language of the link
		{"gone", gone.URL, "fr", "gone", "it"},
		{"unknown", base + "/connect/v1?token=x", "nl, fr-CH;q=0.9, en;q=0.8", "unknown", "fr"},
		{"without a token", base + "/connect/v1", "", "unknown", "en"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, _, page := open(t, test.link, test.accept)
			got := flowOf(t, page)
			if status != http.StatusGone || got.Kind != "problem" || got.Problem != test.want || got.Language != test.wantLanguage ||
				got.Texts["problem_"+test.want] == "" || got.Organization != "" || got.Embedded != (test.want != "unknown") {
				t.Errorf("%d %+v, want problem %s in %s", status, got, test.want, test.wantLanguage)
			}
			body := `{"token":"` + tokenOf(t, test.link) + `","tool":"personio","credentials":{"client_id":"x"},"finish":true}`
			for _, path := range []string{"/connect/v1/connect", "/connect/v1/setup"} {
				if status, response := post(t, srv, path, body); status != http.StatusGone || !strings.Contains(response, `"problem":"`+test.want+`"`) {
					t.Errorf("%s: %d %s", path, status, response)
				}
			}
		})
	}
}

// The customer enters wrong credentials, then right ones, and finishes the setup.
func TestPageFlow(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	withSetup := request
	withSetup.EnableFieldMapping = true
	token := tokenOf(t, createLink(t, client, withSetup))
	credentials := func(secret string) string {
		return `{"token":"` + token + `","tool":"hibob","credentials":{"client_id":"id","client_secret":"` + secret + `"}}`
	}

	if status, response := post(t, srv, "/connect/v1/setup", `{"token":"`+token+`","finish":true}`); status != http.StatusBadRequest {
		t.Errorf("the setup before the credentials: %d %s", status, response)
	}
	if status, response := post(t, srv, "/connect/v1/connect", credentials("is WRONG")); status != http.StatusUnprocessableEntity || response != `{"problem":"refused"}` {
		t.Errorf("wrong credentials: %d %s", status, response)
	}
	failed := next[*kombo.ConnectionFlowFailedEvent](t, app)
	if failed.Data.IntegrationTool != "hibob" || len(srv.Integrations()) != 0 {
		t.Errorf("event = %+v", failed.Data)
	}
	if status, _, page := open(t, failed.Data.LogURL, ""); status != http.StatusOK || !strings.Contains(page, "Müller &amp; Söhne &lt;HR&gt;") || !strings.Contains(page, "HiBob") {
		t.Errorf("the log: %d %s", status, page)
	}
	if status, _, _ := open(t, failed.Data.LogURL+"x", ""); status != http.StatusNotFound {
		t.Errorf("another log: %d", status)
	}

	status, response := post(t, srv, "/connect/v1/connect", credentials("right"))
	var connected struct {
		ActivationToken string `json:"activation_token"`
		Setup           []string
	}
	if err := json.Unmarshal([]byte(response), &connected); err != nil || status != http.StatusOK || !cmp.Equal(connected.Setup, []string{"field_mapping"}) {
		t.Fatalf("%d %s", status, response)
	}
	created := next[*kombo.IntegrationCreatedEvent](t, app)
	if i, _ := srv.Integration(created.Data.ID); i.SetupStatus != kombo.SetupStatusIncomplete || i.Tool != "hibob" {
		t.Errorf("integration = %+v", i)
	}
	if status, response := post(t, srv, "/connect/v1/connect", credentials("again")); status != http.StatusGone {
		t.Errorf("connecting twice: %d %s", status, response)
	}
	status, response = post(t, srv, "/connect/v1/setup", `{"token":"`+token+`","finish":true}`)
	if status != http.StatusOK || response != `{"activation_token":"`+connected.ActivationToken+`"}` {
		t.Errorf("the setup: %d %s", status, response)
	}
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("event = %+v", e.Data)
	}
	integration, err := client.Connect.IntegrationByToken(t.Context(), connected.ActivationToken)
	if err != nil || integration.ID != created.Data.ID || integration.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("integration = %+v, %v", integration, err)
	}
	if status, response := post(t, srv, "/connect/v1/setup", `{"token":"`+token+`","finish":true}`); status != http.StatusGone {
		t.Errorf("the setup twice: %d %s", status, response)
	}
	for _, body := range []string{"", "[]", `{"token":7}`, `{"token":"` + tokenOf(t, createLink(t, client, request)) + `","tool":"<none>","credentials":{"x":"wrong"}}`} {
		if status, response := post(t, srv, "/connect/v1/connect", body); status != http.StatusBadRequest {
			t.Errorf("%q: %d %s", body, status, response)
		}
	}
}

// Postponed setup steps change nothing, and a setup link can be opened again.
func TestPageLeavesTheSetup(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	withSetup := request
	withSetup.EnableFiltering, withSetup.LinkType, withSetup.IntegrationTool = true, kombo.LinkTypeMagicLink, "factorial"
	token := tokenOf(t, createLink(t, client, withSetup))
	if status, response := post(t, srv, "/connect/v1/connect", `{"token":"`+token+`","credentials":{"api_key":"x"}}`); status != http.StatusOK || response != `{"activation_token":"","setup":["filtering"]}` {
		t.Errorf("%d %s", status, response)
	}
	if status, response := post(t, srv, "/connect/v1/setup", `{"token":"`+token+`","finish":false}`); status != http.StatusOK || response != `{"activation_token":""}` {
		t.Errorf("%d %s", status, response)
	}
	integration := srv.Integrations()[0]
	if integration.SetupStatus != kombo.SetupStatusIncomplete {
		t.Errorf("integration = %+v", integration)
	}
	_, _, response := send(t, srv, "POST", "/integrations/"+escaped(integration.ID)+"/setup-link", `{"link_type":"EMBEDDED"}`)
	setup := tokenOf(t, data(t, response)["link"].(string))
	for _, finish := range []string{"false", "false", "true"} {
		if status, response := post(t, srv, "/connect/v1/setup", `{"token":"`+setup+`","finish":`+finish+`}`); status != http.StatusOK {
			t.Errorf("%s: %d %s", finish, status, response)
		}
	}
	if status, response := post(t, srv, "/connect/v1/connect", `{"token":"`+setup+`","credentials":{}}`); status != http.StatusGone {
		t.Errorf("%d %s", status, response)
	}
	if got, _ := srv.Integration(integration.ID); got.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("integration = %+v", got)
	}
}

// Each language of the SDK has every text. Other languages are refused.
func TestPageTexts(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("page/texts.json")
	if err != nil {
		t.Fatal(err)
	}
	var translations []struct {
		Language string
		Texts    map[string]string
	}
	if err := json.Unmarshal(file, &translations); err != nil {
		t.Fatal(err)
	}
	english := translations[0].Texts
	var languages []string
	for _, translation := range translations {
		languages = append(languages, translation.Language)
		for key, inEnglish := range english {
			if text := translation.Texts[key]; text == "" || strings.Count(text, "{") != strings.Count(inEnglish, "{") {
				t.Errorf("%s: %s is %q, in English %q", translation.Language, key, text, inEnglish)
			}
		}
		if len(translation.Texts) != len(english) {
			t.Errorf("%s has %d texts, English %d", translation.Language, len(translation.Texts), len(english))
		}
	}
	if diff := cmp.Diff(sorted(sdksource.Values(t, "..", "Language")), sorted(languages)); diff != "" || languages[0] != "en" {
		t.Errorf("languages (-of the SDK +of the page):\n%s", diff)
	}
}
