package kombo

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kombo-go/kombo/internal/transport"
)

// For any answer at all: no panic, the status is kept, the text is one line, and what Kombo wrote in
// the documented form is told.
func FuzzErrorFromAnswer(f *testing.F) {
	for _, body := range []string{
		`{"status":"error","error":{"code":"PLATFORM.RATE_LIMIT_EXCEEDED","title":"Too many","message":"Slow down.","log_url":"https://app.kombo.dev/logs"}}`,
		`{"status":"error","error":{"code":null,"title":null,"message":"Only a message.","log_url":null}}`,
		`{"status":"error","error":null}`, `{"status":"error","error":"boom"}`, `{"error":{"code":7}}`,
		"<html><h1>502 Bad Gateway</h1></html>", "upstream connect error", "", "null", "[]", `"`, "{", "\x00\xff",
	} {
		f.Add(502, "text/html", []byte(body))
	}
	operation := transport.Operation{Method: http.MethodPost, Path: "/integrations/{integration_id}/relink"}
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		answer := &transport.Answer{
			StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: body, Attempts: 3,
		}
		err := errorFromAnswer(operation, answer)
		if err.StatusCode != status || err.Attempts != 3 || err.Op != operation.String() {
			t.Errorf("error = %#v", err)
		}
		if len(err.Body) > MaxErrorBody {
			t.Errorf("the body has %d bytes", len(err.Body))
		}
		if text := err.Error(); strings.ContainsAny(text, "\r\n\x00") || len(text) > 5000 {
			t.Errorf("text = %q", text)
		}
		var want struct{ Error errorInfo }
		if json.Unmarshal(body, &want) == nil && err.Message != answer.Redact(want.Error.Message, maxErrorMessage) {
			t.Errorf("message = %q, want %q", err.Message, want.Error.Message)
		}
	})
}

// For any body at all, the short way through the parser and a plain decoding in two steps agree: on
// the event, or that there is none.
func FuzzParseEvent(f *testing.F) {
	paths, err := filepath.Glob("testdata/webhooks/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no webhooks in testdata: %v", err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, body := range unusualBodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, gotErr := ParseEvent(body)
		want, wantErr := parseInTwoSteps(body)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("ParseEvent: %v, two steps: %v", gotErr, wantErr)
		}
		if gotErr != nil {
			if !errors.Is(gotErr, ErrInvalidPayload) || strings.ContainsAny(gotErr.Error(), "\r\n") {
				t.Errorf("error = %q", gotErr)
			}
			return
		}
		if got.EventID() != want.EventID() || got.EventType() != want.EventType() {
			t.Errorf("ParseEvent: %s %s, two steps: %s %s", got.EventType(), got.EventID(), want.EventType(), want.EventID())
		}
		gotJSON, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		wantJSON, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if string(gotJSON) != string(wantJSON) {
			t.Errorf("ParseEvent: %s\ntwo steps:  %s", gotJSON, wantJSON)
		}
	})
}

// unusualBodies are valid or invalid in ways that a short cut could get wrong.
var unusualBodies = []string{
	`{"data":{"id":"a:1"},"type":"integration-created","id":"e"}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1"},"data":{"tool":"b"}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1"},"type":"integration-deleted"}`,
	`{"id":"e","id":"f","type":"integration-created","data":{"id":"a:1"}}`,
	`{"id":"e","type":"integration\u002dcreated","data":{"id":"a:1"}}`,
	`{"ID":"e","Type":"integration-created","DATA":{"id":"a:1"}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1"}}}`,
	`{"id":"e","type":"integration-created","data":{"id":"a:1"}`,
	`{"id":"e","type":"integration-created","data":}`,
	`{"id":"e","type":"integration-created","data":null}`,
	`{"id":"e","type":"integration-created","data":[]}`,
	`{"id":"e","type":"new-thing","data":[1]}`,
	`{"id":"e","type":"new-thing","data":{"type":"integration-created"}}`,
	`{"id":"","type":"new-thing","data":1}`,
	`{"id":"é","type":"new-thing","data":1}`,
	"{\"id\":\"\xff\",\"type\":\"new-thing\",\"data\":1}",
	`[]`, `null`, ``, ` { } `,
}

func parseInTwoSteps(body []byte) (Event, error) {
	var envelope struct {
		ID   string          `json:"id"`
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, err
	}
	if envelope.ID == "" || envelope.Type == "" || len(envelope.Data) == 0 || string(envelope.Data) == "null" {
		return nil, errors.New("incomplete")
	}
	event := newEvent([]byte(envelope.Type))
	if err := json.Unmarshal(envelope.Data, event.data()); err != nil {
		return nil, err
	}
	if p, ok := event.data().(promise); ok && p.missing() != "" {
		return nil, errors.New("incomplete")
	}
	event.header().ID = envelope.ID
	return event, nil
}
