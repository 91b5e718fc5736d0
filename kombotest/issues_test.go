package kombotest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestIssues(t *testing.T) {
	t.Parallel()
	app := newService(t, "test-secret")
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL, WebhookSecret: "test-secret", Now: at("2026-05-04T03:02:01Z")})
	id := srv.Connect(t, request).ID
	next[*kombo.IntegrationCreatedEvent](t, app)
	const issueType = kombo.IssueTypeAuthenticationFailed
	about := &kombo.IssueIntegration{
		ID: id, Tool: "personio", Category: kombo.CategoryHRIS,
		EndUser: kombo.EndUser{OrganizationName: "Müller & Söhne <HR>", CreatorEmail: "ada@acme.example", OriginID: "42"},
	}
	when := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for integrationID, wantAbout := range map[string]*kombo.IssueIntegration{id: about, "": nil} {
		if err := srv.RaiseIssue(t.Context(), integrationID, issueType); err != nil {
			t.Fatal(err)
		}
		raised := next[*kombo.IssueStatusChangedEvent](t, app).Data
		if raised.Issue.ID == "" || raised.Issue.Title == "" || raised.Issue.MarkdownMessage == "" {
			t.Errorf("raised %+v", raised)
		}
		want := kombo.IssueStatusChangedData{
			Change: kombo.IssueChangeRaised, Integration: wantAbout,
			Issue: kombo.Issue{
				ID: raised.Issue.ID, Type: issueType, Title: raised.Issue.Title, Status: kombo.IssueStatusOpen,
				MarkdownMessage: raised.Issue.MarkdownMessage, FirstObservedAt: when,
			},
		}
		if diff := cmp.Diff(want, raised); diff != "" {
			t.Errorf("raised (-want +got):\n%s", diff)
		}
		if err := srv.RaiseIssue(t.Context(), integrationID, issueType); errorText(err) != "kombotest: an issue integration.authentication_failed is open already" {
			t.Errorf("RaiseIssue again = %v", err)
		}
		if err := srv.ResolveIssue(t.Context(), integrationID, issueType); err != nil {
			t.Fatal(err)
		}
		want.Change, want.Issue.Status, want.Issue.ResolvedAt = kombo.IssueChangeResolved, kombo.IssueStatusResolved, &when
		if diff := cmp.Diff(want, next[*kombo.IssueStatusChangedEvent](t, app).Data); diff != "" {
			t.Errorf("resolved (-want +got):\n%s", diff)
		}
		if err := srv.ResolveIssue(t.Context(), integrationID, issueType); errorText(err) != "kombotest: no issue integration.authentication_failed is open" {
			t.Errorf("ResolveIssue again = %v", err)
		}
	}
	if err := srv.RaiseIssue(t.Context(), "personio:unknown", issueType); errorText(err) != `kombotest: no integration "personio:unknown"` {
		t.Errorf("RaiseIssue of an unknown integration = %v", err)
	}
	if err := srv.RaiseIssue(t.Context(), id, ""); err == nil {
		t.Error("an issue without a type was raised")
	}
}
