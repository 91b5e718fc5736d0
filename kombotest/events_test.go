package kombotest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdksource"
	"github.com/kombo-go/kombo/kombotest"
)

func TestEventTypes(t *testing.T) {
	t.Parallel()
	var got []string
	for _, eventType := range kombotest.EventTypes() {
		got = append(got, string(eventType))
	}
	if diff := cmp.Diff(sorted(sdksource.Values(t, "..", "EventType")), sorted(got)); diff != "" {
		t.Errorf("event types (-of the SDK +of the samples):\n%s", diff)
	}
}

var someone = kombotest.Integration{
	ID: "lucca:1", Tool: "lucca", Category: kombo.CategoryHRIS, EndUser: kombo.EndUser{OrganizationName: "Other <&>", OriginID: "7"},
	State: kombo.StateInvalid, SetupStatus: kombo.SetupStatusIncomplete,
}

// Every type has a sample in Kombo's form, about the given integration, that the SDK can parse.
func TestSample(t *testing.T) {
	t.Parallel()
	for _, eventType := range kombotest.EventTypes() {
		t.Run(string(eventType), func(t *testing.T) {
			t.Parallel()
			event := kombotest.Sample(eventType, someone)
			if _, unknown := event.(*kombo.UnknownEvent); unknown || event.EventType() != eventType || event.EventID() == "" {
				t.Fatalf("%T %s %q", event, event.EventType(), event.EventID())
			}
			body := string(event.RawBody())
			about := strings.Contains(body, `"integration_id"`) || strings.HasPrefix(string(eventType), "integration-") || eventType == kombo.EventIssueStatusChanged
			if about && !strings.Contains(body, `"lucca:1"`) || strings.Contains(body, `"end_user"`) && !strings.Contains(body, `"Other <&>"`) {
				t.Errorf("it is not about the integration: %s", body)
			}
			for _, at := range regexp.MustCompile(`_at": "[^"]*"`).FindAllString(body, -1) {
				if !regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"$`).MatchString(at) {
					t.Errorf("%s is not one of Kombo's times", at)
				}
			}
			if again := kombotest.Sample(eventType, kombotest.Integration{}); again.EventID() == event.EventID() || strings.Contains(string(again.RawBody()), "lucca") {
				t.Errorf("another sample is %s", again.RawBody())
			}
		})
	}
	unknown, ok := kombotest.Sample("brand-new", someone).(*kombo.UnknownEvent)
	if !ok || unknown.Type != "brand-new" || string(unknown.Data) != "{}" {
		t.Errorf("the sample of an unknown type is %+v", unknown)
	}
	if state := kombotest.Sample(kombo.EventIntegrationStateChanged, someone).(*kombo.IntegrationStateChangedEvent); state.Data.State != kombo.StateInvalid {
		t.Errorf("the state is %s", state.Data.State)
	}
}

// Deliver writes every member of a sample in the order of the payloads that Kombo documents.
func TestDeliveredSamples(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, 204)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	for _, eventType := range kombotest.EventTypes() {
		event := kombotest.Sample(eventType, someone)
		if err := srv.Deliver(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		bodies, _ := app.seen()
		if diff := cmp.Diff(string(event.RawBody()), bodies[len(bodies)-1]); diff != "" {
			t.Errorf("%s (-sample +delivered):\n%s", eventType, diff)
		}
	}
}

// The documented payloads survive a round trip: every member, null and list, though not the order.
func TestDeliveredPayloads(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, 204)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	payloads, err := fs.Glob(os.DirFS("../testdata"), "webhooks/*.json")
	if err != nil || len(payloads) < len(kombotest.EventTypes())-1 {
		t.Fatalf("%d payloads, %v", len(payloads), err)
	}
	for _, name := range payloads {
		body, err := os.ReadFile("../testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		event, err := kombo.ParseEvent(body)
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Deliver(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		var want, got any
		bodies, _ := app.seen()
		if err := errors.Join(json.Unmarshal(body, &want), json.Unmarshal([]byte(bodies[len(bodies)-1]), &got)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-payload +delivered):\n%s", name, diff)
		}
	}
}

// Lists that Kombo always sends are [] and not null if they are empty, at any depth.
func TestEmptyLists(t *testing.T) {
	t.Parallel()
	order := kombo.AssessmentOrderData{ID: "order1", IntegrationID: "personio:1"}
	withTeam := order
	withTeam.Job.HiringTeam = []kombo.AssessmentHiringTeamUser{{RemoteID: "u1"}}
	header := kombo.EventHeader{ID: "event1", Type: "type"}
	app := newReceiver(t, 204)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	for _, event := range []kombo.Event{
		&kombo.DataChangedEvent{EventHeader: header},
		&kombo.AssessmentOrderReceivedEvent{EventHeader: header, Data: order},
		&kombo.InlineAssessmentOrderReceivedEvent{EventHeader: header, Data: withTeam},
	} {
		if err := srv.Deliver(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		bodies, _ := app.seen()
		if found := regexp.MustCompile(`"(changed_models|hiring_team|hiring_team_roles)": null`).FindString(bodies[len(bodies)-1]); found != "" {
			t.Errorf("%T has %s", event, found)
		}
	}
}

// If a test embeds an event in its own struct, the members that it adds to the data are delivered.
func TestWrappedEvent(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, 204)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	type wrapped struct {
		*kombo.UnknownEvent
		Data map[string]int `json:"data"`
	}
	event := wrapped{&kombo.UnknownEvent{EventHeader: kombo.EventHeader{ID: "event1", Type: "type"}}, map[string]int{"n": 1}}
	if err := srv.Deliver(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	const want = "{\n  \"id\": \"event1\",\n  \"type\": \"type\",\n  \"data\": {\n    \"n\": 1\n  }\n}"
	if bodies, _ := app.seen(); bodies[0] != want {
		t.Errorf("body = %s", bodies[0])
	}
	for _, event := range []kombo.Event{nil, (*kombo.DataChangedEvent)(nil), (*kombo.UnknownEvent)(nil)} {
		if err := srv.Deliver(t.Context(), event); errorText(err) != "kombotest: the event is nil" {
			t.Errorf("Deliver(%T(nil)) = %v", event, err)
		}
	}
}

// A raw body is delivered unchanged: numbers, order, and characters that encoders escape.
func TestCustomEventIsCarriedExactly(t *testing.T) {
	t.Parallel()
	app := newReceiver(t, 204)
	srv, _ := kombotest.Start(t, kombotest.Config{WebhookURL: app.URL})
	const data = "{\"z\":9007199254740993,\"a\":[1.0,1e400,-0],\"t\":\"<&>\u2028\u2029\x7f\",\"at\":\"2026-01-01T00:00:00+02:00\"}"
	event := &kombo.UnknownEvent{EventHeader: kombo.EventHeader{ID: "event1", Type: "brand-new"}, Data: json.RawMessage(data)}
	if err := srv.Deliver(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	bodies, _ := app.seen()
	want := "{\"id\":\"event1\",\"type\":\"brand-new\",\"data\":" + data + "}"
	if got := regexp.MustCompile(`\n *|(": )`).ReplaceAllStringFunc(bodies[0], strings.TrimSpace); got != want {
		t.Errorf("body = %s\nwant %s", got, want)
	}
}
