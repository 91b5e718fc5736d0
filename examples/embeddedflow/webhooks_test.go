package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
)

func TestForgedWebhook(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	event := &kombo.IntegrationCreatedEvent{
		EventHeader: kombo.EventHeader{ID: "1", Type: kombo.EventIntegrationCreated},
		Data:        kombo.IntegrationCreatedData{ID: "personio:1", Tool: "personio", Category: kombo.CategoryHRIS, EndUser: kombo.EndUser{OriginID: "acme"}},
	}
	if err := p.kombo.DeliverForged(t.Context(), event); err != nil {
		t.Error(err)
	}
	wantSame(t, "connections", 0, len(p.connections("acme")))
	wantStatus(t, "no signature", p.visitor("acme").post("/webhooks/kombo", `{"id":"1","type":"integration-created","data":{}}`), http.StatusUnauthorized)
	// The forged webhook has not used up the ID.
	if err := p.kombo.Deliver(t.Context(), event); err != nil {
		t.Error(err)
	}
	p.connection("acme")
}

func TestWebhooksThatAreNotStored(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	if err := p.store.Close(); err != nil {
		t.Fatal(err)
	}
	err := p.kombo.Deliver(t.Context(), &kombo.DataChangedEvent{
		EventHeader: kombo.EventHeader{ID: "1", Type: kombo.EventDataChanged}, Data: kombo.DataChangedData{IntegrationID: "personio:1"},
	})
	if err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("Deliver = %v", err)
	}
	if !strings.Contains(p.log.String(), "msg=webhook") {
		t.Errorf("the log is\n%s", p.log)
	}
}
