package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestLists(t *testing.T) {
	t.Parallel()
	srv := newSandbox(t, kombotest.Config{APIKey: "the-key", WebhookSecret: "the-secret"})
	for _, list := range []string{"links", "integrations", "requests", "deliveries", "faults"} {
		if _, response := do(t, srv, "GET", "/_sandbox/"+list, ""); response != "[]" {
			t.Errorf("%s = %s, want an empty list", list, response)
		}
	}
	srv.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "a@b.example", EndUserOrganizationName: "A"})
	ask(t, srv, "POST", "/_sandbox/links", linkBody, "link")
	client, err := srv.Client()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := client.CheckAPIKey(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, srv, "POST", "/_sandbox/wait", "", "")
	_, response := do(t, srv, "GET", "/_sandbox/state", "")
	var state map[string]any
	if err := json.Unmarshal([]byte(response), &state); err != nil {
		t.Fatal(err)
	}
	for list, members := range map[string][]string{
		"links":        {"category", "end_user", "expires_at", "integration_id", "kind", "link_type", "tool", "url"},
		"integrations": {"category", "created_at", "end_user", "id", "scope_config_id", "setup_status", "state", "tool", "updated_at"},
		"requests":     {"body", "duration_ms", "error_code", "fault", "number", "op", "status", "time"},
		"deliveries":   {"accepted", "attempt", "body", "duration_ms", "error", "event_id", "forged", "lost", "number", "signature", "status", "time", "type", "url"},
		"tools":        {"categories", "id", "label"},
	} {
		first, _ := state[list].([]any)[0].(map[string]any)
		var got []string
		for member := range first {
			got = append(got, member)
		}
		slices.Sort(got)
		if diff := cmp.Diff(members, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", list, diff)
		}
		if _, alone := do(t, srv, "GET", "/_sandbox/"+list, ""); list != "tools" && !strings.HasPrefix(alone, `[{`) {
			t.Errorf("%s = %s", list, alone)
		}
	}
	wantAPI := map[string]any{"base_url": srv.BaseURL(), "api_key": "the-key", "webhook_secret": "the-secret"}
	if diff := cmp.Diff(wantAPI, state["api"]); diff != "" {
		t.Errorf("api (-want +got):\n%s", diff)
	}
	if newest := state["requests"].([]any)[0].(map[string]any); newest["number"] != 2.0 {
		t.Errorf("the newest request does not come first: %v", newest)
	}
}
