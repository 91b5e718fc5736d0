package kombotest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestCustomersChoice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name               string
		inLink, completion string
		wantTool           string
	}{
		{"the link names the tool", "factorial", "workday", "factorial"},
		{"the customer chooses", "", "workday", "workday"},
		{"no choice", "", "", "personio"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv, client := newServer(t, kombotest.Config{})
			withTool := request
			withTool.IntegrationTool = test.inLink
			withTool.EndUserOriginID = ""
			withTool.EnableStaticIPs = true
			link, err := client.Connect.CreateLink(t.Context(), withTool)
			if err != nil {
				t.Fatal(err)
			}
			if len(link.StaticIPs) == 0 {
				t.Error("no static addresses")
			}
			token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{Tool: test.completion})
			if err != nil {
				t.Fatal(err)
			}
			integration, err := client.Connect.IntegrationByToken(t.Context(), token)
			if err != nil || integration.Tool != test.wantTool || integration.EndUserOriginID != "" {
				t.Errorf("integration = %+v, %v, want tool %s", integration, err, test.wantTool)
			}
		})
	}
}

// Without a choice, the flow connects a tool of the category.
func TestFirstToolOfTheCategory(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	for category, want := range map[kombo.Category]string{
		kombo.CategoryHRIS: "personio", kombo.CategoryATS: "personio", kombo.CategoryAssessment: "workday", kombo.CategoryLMS: "360learning",
	} {
		inCategory := request
		inCategory.IntegrationCategory = category
		if got := srv.Connect(t, inCategory).Tool; got != want {
			t.Errorf("%s: %s, want %s", category, got, want)
		}
	}
}

func TestUnknownToolIsNoChoice(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	const want = `kombotest: the tool "Workday" is unknown; see Config.Tools`
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{Tool: "Workday"}); err == nil || err.Error() != want {
		t.Errorf("CompleteFlow = %v, want %s", err, want)
	}
}

func TestFailFlow(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := newServer(t, kombotest.Config{WebhookSecret: "test-secret"})
	srv.SetWebhookURL(app.URL)
	withTool := request
	withTool.IntegrationTool, withTool.IntegrationCategory = "workday", kombo.CategoryATS
	link, err := client.Connect.CreateLink(t.Context(), withTool)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.FailFlow(t.Context(), link.URL); err != nil {
		t.Fatal(err)
	}
	endUser := kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"}
	failed := next[*kombo.ConnectionFlowFailedEvent](t, app)
	want := kombo.ConnectionFlowFailedData{
		IntegrationTool: "workday", IntegrationCategory: kombo.CategoryATS, EndUser: endUser, LogURL: failed.Data.LogURL,
	}
	if diff := cmp.Diff(want, failed.Data); diff != "" || failed.Data.LogURL == "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}

	// The customer tries again, and later fails to reconnect.
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	created := next[*kombo.IntegrationCreatedEvent](t, app)
	if token == "" {
		t.Error("no token")
	}
	relink, err := client.Integrations.Relink(t.Context(), created.Data.ID, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.FailFlow(t.Context(), relink.URL); err != nil {
		t.Fatal(err)
	}
	failed = next[*kombo.ConnectionFlowFailedEvent](t, app)
	want.LogURL = failed.Data.LogURL
	if diff := cmp.Diff(want, failed.Data); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
}

// The flow of a magic link ends on Kombo's page. The caller gets no token.
func TestMagicLinksGiveNoToken(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := newServer(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	magic := request
	magic.LinkType = kombo.LinkTypeMagicLink
	link, err := client.Connect.CreateLink(t.Context(), magic)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil || token != "" {
		t.Errorf("CompleteFlow = %q, %v", token, err)
	}
	created := next[*kombo.IntegrationCreatedEvent](t, app)
	link, err = client.Integrations.Relink(t.Context(), created.Data.ID, kombo.RelinkRequest{LinkType: kombo.LinkTypeMagicLink})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil || token != "" {
		t.Errorf("CompleteFlow of a reconnection = %q, %v", token, err)
	}
}

// Connect connects an integration in one step, for every link type.
func TestConnectOfAMagicLink(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	magic := request
	magic.LinkType = kombo.LinkTypeMagicLink
	if got := srv.Connect(t, magic); got.EndUserOriginID != "42" {
		t.Errorf("connected %+v", got)
	}
}

// A flow without setup steps delivers two webhooks: the integration was created, and its setup is complete.
func TestSetupInTheFlow(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	withSetup := request
	withSetup.EnableFieldMapping = true
	connected := srv.Connect(t, withSetup)
	if connected.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("setup status = %s", connected.SetupStatus)
	}
	next[*kombo.IntegrationCreatedEvent](t, app)
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("event = %+v", e.Data)
	}
	if err := srv.SetSetupStatus(t.Context(), connected.ID, kombo.SetupStatusFinalSyncPending); err != nil {
		t.Fatal(err)
	}
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusFinalSyncPending {
		t.Errorf("event = %+v", e.Data)
	}
	if err := srv.SetSetupStatus(t.Context(), "personio:unknown", kombo.SetupStatusCompleted); err == nil {
		t.Error("the setup of an unknown integration was changed")
	}
}

// A reconnection with another scope config changes the integration when the flow is finished, and not before.
func TestRelinkChangesTheScope(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	if err := srv.SetState(t.Context(), id, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	before, _ := srv.Integration(id)
	link, err := client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{ScopeConfigID: "scope2"})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := srv.Integration(id); got != before {
		t.Errorf("the link alone changed %+v to %+v", before, got)
	}
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil {
		t.Fatal(err)
	}
	want := before
	want.State, want.ScopeConfigID = kombo.StateActive, "scope2"
	got, ok := srv.Integration(id)
	if !ok || !got.UpdatedAt.After(before.UpdatedAt) {
		t.Errorf("updated at %s, was %s", got.UpdatedAt, before.UpdatedAt)
	}
	want.UpdatedAt = got.UpdatedAt
	if diff := cmp.Diff([]kombotest.Integration{want}, srv.Integrations()); diff != "" {
		t.Errorf("integrations (-want +got):\n%s", diff)
	}
}
