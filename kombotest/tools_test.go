package kombotest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestTools(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{Tools: []kombotest.Tool{
		{ID: "brandnew", Categories: []kombo.Category{kombo.CategoryLMS}},
		{ID: "moodle", Label: "Our Moodle", Categories: []kombo.Category{kombo.CategoryLMS}},
	}})
	_, _, response := send(t, srv, "GET", "/tools/lms", "")
	labels := map[string]string{}
	for _, tool := range data(t, response)["tools"].([]any) {
		labels[tool.(map[string]any)["id"].(string)] = tool.(map[string]any)["label"].(string)
	}
	want := map[string]string{
		"brandnew": "brandnew", "moodle": "Our Moodle", "360learning": "360Learning",
		"linkedinlearning": "LinkedIn Learning", "talentlms": "TalentLMS", "udemy": "Udemy",
	}
	if diff := cmp.Diff(want, labels); diff != "" {
		t.Errorf("tools (-want +got):\n%s", diff)
	}
	for _, category := range []string{"hris", "ats", "assessment"} {
		if _, _, response := send(t, srv, "GET", "/tools/"+category, ""); len(data(t, response)["tools"].([]any)) == 0 {
			t.Errorf("no tools for %s", category)
		}
	}
	newer := request
	newer.IntegrationTool = "brandnew"
	if got := srv.Connect(t, newer); got.Tool != "brandnew" {
		t.Errorf("connected %+v", got)
	}
}

// Unknown slugs can be connected, unless the test refuses them.
func TestUnknownTools(t *testing.T) {
	t.Parallel()
	tests := []struct {
		slug            string
		known, accepted bool
	}{
		{"personio", true, true},
		{"trackerrms", true, true}, // added in August 2026
		{"brandnew2027", false, true},
		{"Personio", false, false},
		{"", false, false},
		{"brand-new", false, false},
		{"../personio", false, false},
		{strings.Repeat("x", 65), false, false},
	}
	for _, test := range tests {
		for strict, want := range map[bool]bool{false: test.accepted, true: test.known} {
			srv, client := kombotest.Start(t, kombotest.Config{StrictTools: strict})
			body := `{"end_user_email":"a@b.example","end_user_organization_name":"A","integration_tool":"` + test.slug + `"}`
			if status, _, response := send(t, srv, "POST", "/connect/create-link", body); (status == http.StatusOK) != want {
				t.Errorf("a link to %q, strict %t: %d %s", test.slug, strict, status, response)
			}
			if test.slug == "" {
				continue // then the first is chosen
			}
			_, err := srv.CompleteFlow(t.Context(), createLink(t, client, request), kombotest.Completion{Tool: test.slug})
			if (err == nil) != want {
				t.Errorf("choosing %q, strict %t: %v", test.slug, strict, err)
			}
		}
	}
}

func TestNewTools(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{StrictTools: true})
	for _, slug := range []string{
		"adpdecidium", "carerixgraphql", "compleetpersy", "coursera", "databites", "docebo", "emplypeople", "jobadder", "pageup", "talent360", "trackerrms",
	} {
		newer := request
		newer.IntegrationTool = slug
		if got := srv.Connect(t, newer); got.Tool != slug {
			t.Errorf("connected %+v", got)
		}
	}
}

// Some tools require a setup step that the link has not enabled. The step is open after the flow, and a setup link opens it.
func TestSetupStepOfATool(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"greenhouse", "teamtailor", "scim"} {
		for _, filtering := range []bool{false, true} {
			app := newService(t, "test-secret")
			srv, client := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
			withTool := request
			withTool.IntegrationTool, withTool.EnableFiltering = tool, filtering
			connected := srv.Connect(t, withTool)
			next[*kombo.IntegrationCreatedEvent](t, app)
			if connected.SetupStatus != kombo.SetupStatusIncomplete || len(app.events) != 0 {
				t.Errorf("%s: setup status %s, and %d more events", tool, connected.SetupStatus, len(app.events))
			}
			link, err := client.Integrations.SetupLink(t.Context(), connected.ID, kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
			if err != nil {
				t.Fatal(err)
			}
			_, _, page := open(t, link.URL, "")
			if got := flowOf(t, page).Setup; !slices.Contains(got, "tool") || slices.Contains(got, "filtering") != filtering {
				t.Errorf("%s: the page has the steps %q", tool, got)
			}
			if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil {
				t.Fatal(err)
			}
			if event := next[*kombo.IntegrationStateChangedEvent](t, app); event.Data.SetupStatus != kombo.SetupStatusCompleted {
				t.Errorf("%s: event = %+v", tool, event.Data)
			}
		}
	}
}

func TestToolWithoutIDPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	kombotest.NewServer(kombotest.Config{Tools: []kombotest.Tool{{Label: "nameless"}}}).Close()
}
