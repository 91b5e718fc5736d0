package transport

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	relink := Operation{Method: "POST", Path: "/integrations/{integration_id}/relink"}
	field := Operation{Method: "PUT", Path: "/integrations/{integration_id}/custom-fields/{custom_field_id}"}
	tests := []struct {
		name      string
		operation Operation
		values    []string
		want      string
		wantError string
	}{
		{"no placeholder", Operation{Path: "/check-api-key"}, nil, "/check-api-key", ""},
		{"colon", relink, []string{"personio:CBNMt7dS"}, "/integrations/personio%3ACBNMt7dS/relink", ""},
		{"slash", relink, []string{"a/b"}, "/integrations/a%2Fb/relink", ""},
		{"dots that are no step", relink, []string{"a..b/.c/..."}, "/integrations/a..b%2F.c%2F.../relink", ""},
		{"longest", relink, []string{strings.Repeat("a", 8<<10)}, "/integrations/" + strings.Repeat("a", 8<<10) + "/relink", ""},
		{"query and fragment", relink, []string{"a?b#c"}, "/integrations/a%3Fb%23c/relink", ""},
		{"space and plus", relink, []string{"a b+c"}, "/integrations/a%20b%2Bc/relink", ""},
		{"percent", relink, []string{"%2e%2e"}, "/integrations/%252e%252e/relink", ""},
		{"line break", relink, []string{"a\r\nb"}, "/integrations/a%0D%0Ab/relink", ""},
		{"beyond ASCII", relink, []string{"ä"}, "/integrations/%C3%A4/relink", ""},
		{"two values", field, []string{"a:b", "c"}, "/integrations/a%3Ab/custom-fields/c", ""},
		{"braces in a value", field, []string{"{custom_field_id}", "c"}, "/integrations/%7Bcustom_field_id%7D/custom-fields/c", ""},
		{"empty", relink, []string{""}, "", "integration_id is empty"},
		{"dot", relink, []string{"."}, "", "integration_id must not contain the path step ."},
		{"dots", relink, []string{".."}, "", "integration_id must not contain the path step .."},
		{"step inside", relink, []string{"a/../b"}, "", "integration_id must not contain the path step .."},
		{"step at the start", relink, []string{"./b"}, "", "integration_id must not contain the path step ."},
		{"step between backslashes", relink, []string{`a\..\b`}, "", "integration_id must not contain the path step .."},
		{"too long", relink, []string{strings.Repeat("a", 8<<10+1)}, "", "integration_id is longer than 8192 bytes"},
		{"second empty", field, []string{"a", ""}, "", "custom_field_id is empty"},
		{"value missing", relink, nil, "", "no value for integration_id"},
		{"value too many", relink, []string{"a", "b"}, "", "1 path values too many"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := test.operation.expand(test.values)
			if test.wantError != "" {
				if err == nil || err.Error() != test.wantError {
					t.Fatalf("error = %v, want %q", err, test.wantError)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("expand = %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// For any value, the server sees one path segment that decodes to the value.
func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"personio:CBNMt7dS", "a/../b", "..", "%2F", "a b+c", "ä\x00\xff", "?x#y", ""} {
		f.Add(seed)
	}
	operation := Operation{Method: "DELETE", Path: "/integrations/{integration_id}"}
	f.Fuzz(func(t *testing.T, value string) {
		path, err := operation.expand([]string{value})
		if err != nil {
			if value != "" && len(value) <= MaxValue && utf8.ValidString(value) && !strings.Contains(value, ".") {
				t.Fatalf("%q was refused: %v", value, err)
			}
			return
		}
		if value == "" || value == "." || value == ".." || !utf8.ValidString(value) {
			t.Fatalf("%q was not refused", value)
		}
		u, err := url.Parse("https://api.example/v1" + path)
		if err != nil {
			t.Fatal(err)
		}
		if u.RawQuery != "" || u.Fragment != "" || u.Host != "api.example" {
			t.Errorf("%q left the path: %v", value, u)
		}
		segments := strings.Split(u.EscapedPath(), "/")
		if len(segments) != 4 || segments[2] != "integrations" {
			t.Fatalf("%q is not one segment: %v", value, u)
		}
		if decoded, err := url.PathUnescape(segments[3]); err != nil || decoded != value {
			t.Errorf("%q decodes to %q, %v", value, decoded, err)
		}
	})
}
