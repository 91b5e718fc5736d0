package kombo_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

// Valid bodies in forms that Kombo is not known to send.
func TestParseEventInOtherForms(t *testing.T) {
	t.Parallel()
	created := &kombo.IntegrationCreatedEvent{
		EventHeader: header("e", kombo.EventIntegrationCreated),
		Data:        kombo.IntegrationCreatedData{ID: "a:1", Tool: "a"},
	}
	tests := []struct {
		name, body string
		want       kombo.Event
	}{
		{"no white space", `{"id":"e","type":"integration-created","data":{"id":"a:1","tool":"a"}}`, created},
		{"much white space", " \t\r\n{ \"id\" : \"e\" , \"type\" : \"integration-created\" , \"data\" : { \"id\":\"a:1\",\"tool\":\"a\" } } \n", created},
		{"type after data", `{"id":"e","data":{"id":"a:1","tool":"a"},"type":"integration-created"}`, created},
		{"type first", `{"type":"integration-created","id":"e","data":{"id":"a:1","tool":"a"}}`, created},
		{"type escaped", `{"id":"e","type":"integration\u002dcreated","data":{"id":"a:1","tool":"a"}}`, created},
		{"key escaped", `{"id":"e","t\u0079pe":"integration-created","data":{"id":"a:1","tool":"a"}}`, created},
		{"type inside the data", `{"id":"e","data":{"type":"integration-deleted","id":"a:1","tool":"a"},"type":"integration-created"}`, created},
		{"type inside the data, after the type", `{"id":"e","type":"integration-created","data":{"type":"integration-deleted","id":"a:1","tool":"a"}}`, created},
		{"type twice", `{"id":"e","type":"integration-deleted","data":{"id":"a:1","tool":"a"},"type":"integration-created"}`, created},
		{"data twice", `{"id":"e","type":"integration-created","data":{"category":"LMS"},"data":{"id":"a:1","tool":"a"}}`, created},
		{"new fields", `{"id":"e","version":2,"type":"integration-created","data":{"id":"a:1","tool":"a","tags":[{}]},"sent_at":"now"}`, created},
		{"id with escapes", `{"id":"\u0065","type":"integration-created","data":{"id":"a:1","tool":"a"}}`, created},
		{
			"unknown type that looks like a known one", `{"id":"e","type":"integration-created ","data":{"id":"a:1"}}`,
			&kombo.UnknownEvent{EventHeader: header("e", "integration-created "), Data: json.RawMessage(`{"id":"a:1"}`)},
		},
		{
			"unknown type with data of another kind", `{"id":"e","type":"new-thing","data":[1,null]}`,
			&kombo.UnknownEvent{EventHeader: header("e", "new-thing"), Data: json.RawMessage(`[1,null]`)},
		},
		{
			"enumerations that are new", `{"id":"e","type":"integration-state-changed","data":{"integration_id":"a:1","state":"SLEEPING","qa_status":"MAYBE","setup_status":"LATER","updated_at":"2026-03-04T05:06:07.089Z"}}`,
			&kombo.IntegrationStateChangedEvent{
				EventHeader: header("e", kombo.EventIntegrationStateChanged),
				Data:        kombo.IntegrationStateChangedData{IntegrationID: "a:1", State: "SLEEPING", QAStatus: "MAYBE", SetupStatus: "LATER", UpdatedAt: updated},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event, err := kombo.ParseEvent([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, event); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

// The limit on nesting does not depend on the order of the members.
func TestDeepestBody(t *testing.T) {
	t.Parallel()
	lists := strings.TrimSuffix(strings.Repeat("[],", 15_000), ",")
	for _, test := range []struct {
		depth int
		valid bool
	}{{9_999, true}, {10_000, false}} {
		for _, data := range []string{
			`%s`,
			`[%s,` + lists + `]`,
			`[` + lists + `,%s]`,
			`[` + lists + `,%s,` + lists + `]`,
			`["` + strings.Repeat("}", 15_000) + `",%s,"` + strings.Repeat("{", 15_000) + `"]`,
			`{"a\\":"\"]",` + `"b":%s,"c":"]"}`,
		} {
			depth := test.depth
			if data != "%s" {
				depth--
			}
			data = strings.Replace(data, "%s", strings.Repeat("[", depth)+strings.Repeat("]", depth), 1)
			for _, body := range []string{
				`{"id":"e","type":"new-thing","data":` + data + `}`,
				`{"type":"new-thing","id":"e","data":` + data + `}`,
			} {
				if _, err := kombo.ParseEvent([]byte(body)); (err == nil) != test.valid {
					t.Errorf("depth %d, %.60s…: %v", test.depth, body, err)
				}
			}
		}
	}
}
