package kombo

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/kombo-go/kombo/internal/transport"
)

// For any response, the error keeps the status, its text is one line, and nothing panics. An error in the
// documented form is reported as Kombo wrote it.
func FuzzErrorFromResponse(f *testing.F) {
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
		resp := &transport.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: body, Attempts: 3,
		}
		err := errorFromResponse(operation, resp)
		if err.StatusCode != status || err.Attempts != 3 || err.Op != operation.String() {
			t.Errorf("error = %#v", err)
		}
		if len(err.Body) > MaxErrorBody {
			t.Errorf("the body has %d bytes", len(err.Body))
		}
		if text := err.Error(); strings.ContainsAny(text, "\r\n\x00") || len(text) > 5000 {
			t.Errorf("text = %q", text)
		}
		var want struct {
			Error struct {
				Code, Title, Message string
				LogURL               string `json:"log_url"`
			}
		}
		if json.Unmarshal(body, &want) == nil && err.Message != resp.Redact(want.Error.Message, maxErrorMessage) {
			t.Errorf("message = %q, want %q", err.Message, want.Error.Message)
		}
	})
}
