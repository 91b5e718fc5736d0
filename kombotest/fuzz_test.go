package kombotest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/kombo-go/kombo/kombotest"
)

// live is a placeholder for the ID of an existing integration.
const live = "live"

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// For any request, the response has the form of Kombo's responses, and an error is the client's and not the server's.
func FuzzAPI(f *testing.F) {
	srv := kombotest.NewServer(kombotest.Config{})
	f.Cleanup(srv.Close)
	operations := kombotest.Operations()
	for _, path := range kombotest.Lists() {
		operations = append(operations, "GET "+path)
	}
	for i := range kombotest.Operations() {
		for _, body := range []string{
			"", "{}", "null", "[]", `{"enabled":false}`, `{"enable_passthrough":true}`, `{"integration_field_id":null}`, `{"type":"DELTA"}`,
			`{"language":"de","link_type":"EMBEDDED"}`, `{"method":"GET","path":"/"}`, `{"end_user_email":"a@b.example","end_user_organization_name":"A"}`,
		} {
			f.Add(uint8(i), live, "personio", "page_size=1", body)
		}
	}
	for i := range operations {
		f.Add(uint8(i), live, "", "updated_after=2026-05-04&ids=e1,2&include_deleted=true&custom_fields={\"a\":1}&name_contains=x&cursor=MS4y", "")
		f.Add(uint8(i), "", "..", "page_size=-1&cursor=%zz", "{")
		f.Add(uint8(i), "personio:nobody", "hris", "cursor=x", `{"end_user_email":7}`)
	}
	f.Fuzz(func(t *testing.T, operation uint8, id, second, query, body string) {
		unprintable := func(s string) bool { return strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) }
		if unprintable(query) || len(id)+len(second)+len(query) > 8<<10 {
			return // net/http refuses it
		}
		method, path, _ := strings.Cut(operations[int(operation)%len(operations)], " ")
		if id == live {
			id = liveID(t, srv)
		}
		values := []string{id, second}
		path = placeholder.ReplaceAllStringFunc(path, func(string) string {
			value := values[0]
			values = append(values[1:], "")
			return url.PathEscape(value)
		})
		r, err := http.NewRequestWithContext(t.Context(), method, srv.BaseURL()+path+"?"+query, strings.NewReader(body))
		if err != nil {
			return // the query cannot be sent
		}
		r.Header.Set("Authorization", "Bearer "+srv.APIKey())
		if !unprintable(id) {
			r.Header.Set("X-Integration-Id", id)
		}
		noRedirects := &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		response, err := noRedirects.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode == http.StatusTemporaryRedirect {
			return // http.ServeMux redirects paths with . or .. segments, which the SDK does not send
		}
		var envelope struct {
			Status string          `json:"status"`
			Data   json.RawMessage `json:"data"`
			Error  *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal(content, &envelope); err != nil {
			t.Fatalf("%s %s: %d %s: %v", method, path, response.StatusCode, content, err)
		}
		succeeded := envelope.Status == "success" && envelope.Data != nil && envelope.Error == nil && response.StatusCode == http.StatusOK
		failed := envelope.Status == "error" && envelope.Data == nil && envelope.Error != nil && envelope.Error.Message != "" &&
			response.StatusCode >= 400 && response.StatusCode < 500
		if succeeded == failed {
			t.Errorf("%s %s: %d %s", method, path, response.StatusCode, content)
		}
	})
}

// liveID connects a new integration if the last one was deleted.
func liveID(t *testing.T, srv *kombotest.Server) string {
	t.Helper()
	for _, integration := range srv.Integrations() {
		return integration.ID
	}
	id := srv.Connect(t, request).ID
	for _, path := range kombotest.Lists() {
		put(t, srv, id, path, `{"id":"e1","remote_id":"1","name":null,"custom_fields":{"a":1}}`, `{"id":"e2","name":7,"groups":{},"type":["x"]}`)
	}
	return id
}
