package kombotest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestLinksWorkOnce(t *testing.T) {
	t.Parallel()
	srv, client := newServer(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{}); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ link, want string }{
		{link.URL, "kombotest: the link is used up"},
		{srv.BaseURL() + "/connect?token=x", "kombotest: the link is unknown"},
		{"https://elsewhere.example/?token=x", "kombotest: the link is not one of this server"},
		{"", "kombotest: the link is empty, or no URL"},
		{"https://%zz", "kombotest: the link is empty, or no URL"},
	}
	for _, test := range tests {
		if _, err := srv.CompleteFlow(t.Context(), test.link, kombotest.Completion{}); err == nil || err.Error() != test.want {
			t.Errorf("CompleteFlow(%q) = %v, want %s", test.link, err, test.want)
		}
		if err := srv.FailFlow(t.Context(), test.link); err == nil || err.Error() != test.want {
			t.Errorf("FailFlow(%q) = %v, want %s", test.link, err, test.want)
		}
	}
	if err := srv.SetState(t.Context(), "personio:unknown", kombo.StateInvalid); err == nil {
		t.Error("the state of an unknown integration was set")
	}
}

// A reconnection link stops working when its integration is deleted.
func TestLinkOfADeletedIntegration(t *testing.T) {
	t.Parallel()
	srv, client := newServer(t, kombotest.Config{})
	link, err := client.Connect.CreateLink(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	integration, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	relink, err := client.Integrations.Relink(t.Context(), integration.ID, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Integrations.Delete(t.Context(), integration.ID); err != nil {
		t.Fatal(err)
	}
	const want = "kombotest: the integration of the link is deleted"
	if err := srv.FailFlow(t.Context(), relink.URL); err == nil || err.Error() != want {
		t.Errorf("FailFlow = %v, want %s", err, want)
	}
	if token, err := srv.CompleteFlow(t.Context(), relink.URL, kombotest.Completion{}); token != "" || err == nil || err.Error() != want {
		t.Errorf("CompleteFlow = %q, %v, want %s", token, err, want)
	}
}

func TestLinksExpire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		linkType kombo.LinkType
		after    time.Duration
		wantErr  string
	}{
		{kombo.LinkTypeEmbedded, time.Hour - time.Second, ""},
		{kombo.LinkTypeEmbedded, time.Hour, "kombotest: the link has expired"},
		{kombo.LinkTypeMagicLink, 365*24*time.Hour - time.Second, ""},
		{kombo.LinkTypeMagicLink, 365 * 24 * time.Hour, "kombotest: the link has expired"},
	}
	for _, test := range tests {
		t.Run(string(test.linkType)+" "+test.after.String(), func(t *testing.T) {
			t.Parallel()
			clock := at("2026-01-01T00:00:00Z")
			passed := make(chan time.Duration, 1)
			passed <- 0
			srv, client := kombotest.Start(t, kombotest.Config{Now: func() time.Time {
				d := <-passed
				passed <- d
				return clock().Add(d)
			}})
			typed := request
			typed.LinkType = test.linkType
			link, err := client.Connect.CreateLink(t.Context(), typed)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(srv.OpenLinks()); got != 1 {
				t.Errorf("%d links are open", got)
			}
			<-passed
			passed <- test.after
			_, err = srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{})
			if got := errorText(err); got != test.wantErr {
				t.Errorf("CompleteFlow = %q, want %q", got, test.wantErr)
			}
			if got := len(srv.OpenLinks()); got != 0 {
				t.Errorf("%d links are open", got)
			}
		})
	}
}

func TestOpenLinks(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{Now: at("2026-05-04T03:02:01Z")})
	magic := request
	magic.LinkType, magic.IntegrationCategory = kombo.LinkTypeMagicLink, kombo.CategoryATS
	first, err := client.Connect.CreateLink(t.Context(), magic)
	if err != nil {
		t.Fatal(err)
	}
	id := srv.Connect(t, request).ID
	second, err := client.Integrations.Relink(t.Context(), id, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	endUser := kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"}
	want := []kombotest.OpenLink{
		{
			URL: first.URL, Kind: kombotest.LinkKindConnect, LinkType: kombo.LinkTypeMagicLink, EndUser: endUser,
			Category: kombo.CategoryATS, ExpiresAt: time.Date(2027, 5, 4, 3, 2, 1, 0, time.UTC),
		},
		{
			URL: second.URL, Kind: kombotest.LinkKindRelink, LinkType: kombo.LinkTypeEmbedded, EndUser: endUser,
			Category: kombo.CategoryHRIS, Tool: "personio", IntegrationID: id, ExpiresAt: time.Date(2026, 5, 4, 4, 2, 1, 0, time.UTC),
		},
	}
	if diff := cmp.Diff(want, srv.OpenLinks()); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if err := srv.DeleteIntegration(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[:1], srv.OpenLinks()); diff != "" {
		t.Errorf("links after the deletion (-want +got):\n%s", diff)
	}
}

func TestSetupLink(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, client := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret"})
	withSetup := request
	withSetup.EnableFiltering, withSetup.EnableFieldMapping = true, true
	link, err := client.Connect.CreateLink(t.Context(), withSetup)
	if err != nil {
		t.Fatal(err)
	}
	token, err := srv.CompleteFlow(t.Context(), link.URL, kombotest.Completion{LeaveSetup: true})
	if err != nil {
		t.Fatal(err)
	}
	connected, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil || connected.SetupStatus != kombo.SetupStatusIncomplete {
		t.Fatalf("%+v, %v, want an incomplete setup", connected, err)
	}
	next[*kombo.IntegrationCreatedEvent](t, app)

	_, _, response := send(t, srv, "POST", "/integrations/"+escaped(connected.ID)+"/setup-link", `{"link_type":"EMBEDDED","language":"fr"}`)
	setupLink := data(t, response)["link"].(string)
	if err := srv.FailFlow(t.Context(), setupLink); err == nil {
		t.Error("a setup link failed without credentials")
	}
	if _, err := srv.CompleteFlow(t.Context(), setupLink, kombotest.Completion{LeaveSetup: true}); err == nil {
		t.Error("a setup link was left")
	}
	token, err = srv.CompleteFlow(t.Context(), setupLink, kombotest.Completion{})
	if err != nil {
		t.Fatal(err)
	}
	if e := next[*kombo.IntegrationStateChangedEvent](t, app); e.Data.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("event = %+v", e.Data)
	}
	again, err := client.Connect.IntegrationByToken(t.Context(), token)
	if err != nil || again.ID != connected.ID || again.SetupStatus != kombo.SetupStatusCompleted {
		t.Errorf("%+v, %v, want the same integration, set up", again, err)
	}
	if _, err := srv.CompleteFlow(t.Context(), setupLink, kombotest.Completion{}); err == nil {
		t.Error("a setup link was used twice")
	}
}

// Only HRIS tools support filtering.
func TestFilteringIsForHRIS(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	for category, want := range map[kombo.Category]kombo.SetupStatus{
		kombo.CategoryHRIS: kombo.SetupStatusIncomplete, kombo.CategoryATS: kombo.SetupStatusCompleted,
	} {
		filtered := request
		filtered.IntegrationCategory, filtered.EnableFiltering = category, true
		token, err := srv.CompleteFlow(t.Context(), createLink(t, client, filtered), kombotest.Completion{LeaveSetup: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := client.Connect.IntegrationByToken(t.Context(), token); err != nil || got.SetupStatus != want {
			t.Errorf("%s: %+v, %v, want %s", category, got, err, want)
		}
	}
}

// Connect and AddIntegration do not use up faults and limits.
func TestConnectMakesNoRequest(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{Limits: kombotest.Limits{Rate: 1, Per: time.Hour}})
	srv.InjectFault(kombotest.Fault{Status: 503})
	srv.Connect(t, request)
	id := srv.Connect(t, request).ID
	link, err := srv.CreateLink(request)
	relink, relinkErr := srv.Relink(id, kombo.RelinkRequest{ScopeConfigID: "scope2", Language: kombo.LanguageDE})
	if err := errors.Join(err, relinkErr); err != nil {
		t.Fatal(err)
	}
	for _, linkURL := range []string{link, relink} {
		if _, err := srv.CompleteFlow(t.Context(), linkURL, kombotest.Completion{}); err != nil {
			t.Error(err)
		}
	}
	if got, _ := srv.Integration(id); got.ScopeConfigID != "scope2" {
		t.Errorf("reconnected %+v", got)
	}
	for want, err := range map[string]error{
		"kombotest: the request is not valid: end_user_email: not an e-mail address":   second(srv.CreateLink(kombo.CreateLinkRequest{})),
		`kombotest: no integration "personio:unknown"`:                                 second(srv.Relink("personio:unknown", kombo.RelinkRequest{})),
		"kombotest: the request is not valid: language: not one of en, de, fr, it, es": second(srv.Relink(id, kombo.RelinkRequest{Language: "nl"})),
	} {
		if errorText(err) != want {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
	if len(srv.Faults()) != 1 || len(srv.Requests()) != 0 {
		t.Errorf("%d faults are left, %d requests were made", len(srv.Faults()), len(srv.Requests()))
	}
}
