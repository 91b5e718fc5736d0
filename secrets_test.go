package kombo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jarcoal/httpmock"

	"github.com/kombo-go/kombo"
)

// Servers and proxies repeat what they were sent, escaped in the way of their own format.
func TestErrorsHideEscapedSecrets(t *testing.T) {
	t.Parallel()
	const (
		key       = "kombo+live/8f3kQ2mZ=&7xW1pT5v"
		token     = "act:0123+45/6789&x=1"
		linkToken = "GinuMJCpUQ9xdpLmD2ocw8qdiK3qiPCizDCv754EXri2vAX4"
	)
	said := "Bearer " + key + " " + token + " https://connect.kombo.dev/v1?lang=de&token=" + linkToken
	quote := func(s string) string {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Error(err)
		}
		return string(quoted[1 : len(quoted)-1])
	}
	references := strings.NewReplacer("&", "&amp;", "+", "&#43;", "=", "&#x3D;", "/", "&sol;", ":", "&#58").Replace
	// decode undoes a layer of any of them.
	decode := func(s string) string {
		return html.UnescapeString(strings.NewReplacer("%25", "%", "%2B", "+", "%3D", "=", "%26", "&", "%2F", "/", "%3A", ":",
			`\\`, `\`, `\u0026`, "&").Replace(s))
	}
	tests := []struct {
		name   string
		escape func(string) string
	}{
		{"as it is", func(s string) string { return s }},
		{"JSON", quote},
		{"JSON in JSON", func(s string) string { return quote(quote(s)) }},
		{"JSON in JSON in JSON", func(s string) string { return quote(quote(quote(s))) }},
		{"HTML", html.EscapeString},
		{"HTML, more", references},
		{"HTML in JSON", func(s string) string { return quote(references(s)) }},
		{"query", url.QueryEscape},
		{"query in query", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }},
		{"query in query in HTML", func(s string) string { return references(url.QueryEscape(url.QueryEscape(s))) }},
		{"path in JSON", func(s string) string { return quote(url.PathEscape(s)) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			escaped := test.escape(said)
			if !strings.Contains(decode(decode(decode(escaped))), key) {
				t.Fatalf("the test does not know how to decode %s", escaped)
			}
			text := `"` + quote(escaped) + `"`
			bodies := []string{envelope(text, text, text, text), "<html><h1>502 Bad Gateway</h1>" + escaped + " <p>Try again later.</p>"}
			for cut := 0; cut < len(escaped); cut += 7 {
				bodies = append(bodies, strings.Repeat(" ", kombo.MaxErrorBody-cut)+escaped)
			}
			for i, body := range bodies {
				mock := httpmock.NewMockTransport()
				mock.RegisterNoResponder(httpmock.NewStringResponder(400, body))
				client, err := kombo.NewClient(key, kombo.WithHTTPClient(&http.Client{Transport: mock}))
				if err != nil {
					t.Fatal(err)
				}
				_, err = client.Connect.IntegrationByToken(t.Context(), token)
				kerr, ok := errors.AsType[*kombo.Error](err)
				if !ok {
					t.Fatalf("error = %v", err)
				}
				got := fmt.Sprintln(strings.TrimSpace(string(kerr.Body)), kerr.Code, kerr.Title, kerr.Message, kerr.LogURL, err)
				for range 4 {
					for _, secret := range []string{key[:12], token[:12], linkToken[:12]} {
						if strings.Contains(got, secret) {
							t.Errorf("%q is in %.2000s", secret, got)
						}
					}
					got = decode(got)
				}
				if i == 1 && (!strings.HasPrefix(string(kerr.Body), "<html><h1>502 Bad Gateway</h1>") || !strings.HasSuffix(string(kerr.Body), " <p>Try again later.</p>")) {
					t.Errorf("the page reads %s", kerr.Body)
				}
			}
		})
	}
}
