package kombotest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// The integrations of one server can be added to another.
func TestAddIntegration(t *testing.T) {
	t.Parallel()
	first, _ := kombotest.Start(t, kombotest.Config{})
	request := kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme", EndUserOriginID: "42"}
	invalid := first.Connect(t, request).ID
	if err := first.SetState(t.Context(), invalid, kombo.StateInvalid); err != nil {
		t.Fatal(err)
	}
	link, err := first.CreateLink(kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme", IntegrationCategory: kombo.CategoryATS, EnableFieldMapping: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.CompleteFlow(t.Context(), link, kombotest.Completion{LeaveSetup: true}); err != nil {
		t.Fatal(err)
	}

	second, client := kombotest.Start(t, kombotest.Config{})
	for _, integration := range first.Integrations() {
		if err := second.AddIntegration(integration); err != nil {
			t.Fatal(err)
		}
		if err := second.AddIntegration(integration); err == nil {
			t.Error("it was added twice")
		}
	}
	if err := second.AddIntegration(kombotest.Integration{}); err == nil {
		t.Error("one without ID was added")
	}
	if diff := cmp.Diff(first.Integrations(), second.Integrations()); diff != "" {
		t.Error(diff)
	}
	if deliveries := second.Deliveries(); len(deliveries) > 0 {
		t.Errorf("webhooks were sent: %v", deliveries)
	}

	integration, err := client.Integrations.Get(t.Context(), invalid)
	if err != nil || integration.Status != kombo.StateInvalid {
		t.Errorf("Get = %v, %v", integration, err)
	}
	relink, err := second.Relink(invalid, kombo.RelinkRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.CompleteFlow(t.Context(), relink, kombotest.Completion{}); err != nil {
		t.Fatal(err)
	}
	incomplete := second.Integrations()[1].ID
	setup, err := client.Integrations.SetupLink(t.Context(), incomplete, kombo.SetupLinkRequest{LinkType: kombo.LinkTypeEmbedded})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.CompleteFlow(t.Context(), setup.URL, kombotest.Completion{}); err != nil {
		t.Fatal(err)
	}
	for _, got := range second.Integrations() {
		if got.State != kombo.StateActive || got.SetupStatus != kombo.SetupStatusCompleted {
			t.Errorf("after its flow the integration is %+v", got)
		}
	}
}
