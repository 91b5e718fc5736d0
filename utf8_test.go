package kombo_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

const invalid = "M\xfcller"

// Types whose own methods produce what encoding/json sends.
type (
	ownJSON       struct{ text string }
	ownText       struct{ text string }
	asBase64      string                  // sent as base64
	selfEncoded   struct{ name string }   // encodes its own field with encoding/json
	escaping      struct{ binary []byte } // sends an escape of U+FFFD
	byPointer     struct{ Name string }   // has its method on the pointer
	circular      struct{ next, other *circular }
	bytesAsText   []byte                  // sent as text, by encoding/json
	textOfBytes   struct{ text []byte }   // sent as text, by its MarshalText
	aroundText    struct{ T textOfBytes } // encodes itself without this method
	stringKey     string                  // as a key, its MarshalText is not called
	keyWithJSON   struct{ text string }   // as a key, its MarshalJSON is not called
	hiddenInvalid struct {
		Name   string
		Hidden string `json:"-"`
		hidden string
	}
)

func (o ownJSON) MarshalJSON() ([]byte, error)  { return []byte(`"` + o.text + `"`), nil }
func (o ownText) MarshalText() ([]byte, error)  { return []byte(o.text), nil }
func (b asBase64) MarshalJSON() ([]byte, error) { return json.Marshal([]byte(b)) }
func (s selfEncoded) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"name": s.name})
}
func (b bytesAsText) MarshalJSON() ([]byte, error) { return json.Marshal(string(b)) }
func (t textOfBytes) MarshalText() ([]byte, error) { return t.text, nil }
func (a aroundText) MarshalJSON() ([]byte, error) {
	type plain aroundText
	return json.Marshal(plain(a))
}
func (stringKey) MarshalText() ([]byte, error)     { return []byte("\ufffd"), nil }
func (k keyWithJSON) MarshalText() ([]byte, error) { return []byte(k.text), nil }
func (keyWithJSON) MarshalJSON() ([]byte, error)   { return []byte(`"ok"`), nil }
func (escaping) MarshalJSON() ([]byte, error)      { return []byte(`"\ufffd"`), nil }
func (p *byPointer) MarshalJSON() ([]byte, error)  { return json.Marshal(p.Name) }
func (*circular) MarshalJSON() ([]byte, error)     { return []byte("\"\ufffd\""), nil }

// encoding/json replaces invalid UTF-8, so two customers could become one.
func TestTextThatIsNoUTF8IsRefused(t *testing.T) {
	t.Parallel()
	link := func(change func(*kombo.CreateLinkRequest)) func(*kombo.Client) error {
		return func(c *kombo.Client) error {
			request := linkRequest
			change(&request)
			_, err := c.Connect.CreateLink(t.Context(), request)
			return err
		}
	}
	passthrough := func(request kombo.PassthroughRequest) func(*kombo.Client) error {
		if request.Method == "" {
			request.Method = "POST"
		}
		if request.Path == "" {
			request.Path = "/"
		}
		return func(c *kombo.Client) error {
			_, err := c.Integrations.Passthrough(t.Context(), testIntegrationID, "personio", "personnel", request)
			return err
		}
	}
	data := func(data any) func(*kombo.Client) error { return passthrough(kombo.PassthroughRequest{Data: data}) }
	form := func(field kombo.PassthroughFormField) func(*kombo.Client) error {
		return passthrough(kombo.PassthroughRequest{MultipartFormData: []kombo.PassthroughFormField{{Name: "ok"}, field}})
	}
	type person struct {
		Name  string
		Email *string
	}
	bad := invalid
	names := []string{"ok", invalid}
	tests := []struct {
		name string
		call func(*kombo.Client) error
		want string
	}{
		{"email", link(func(r *kombo.CreateLinkRequest) { r.EndUserEmail = "\xff@acme.example" }), "EndUserEmail is not valid UTF-8"},
		{"organization", link(func(r *kombo.CreateLinkRequest) { r.EndUserOrganizationName = invalid }), "EndUserOrganizationName is not valid UTF-8"},
		{"origin ID", link(func(r *kombo.CreateLinkRequest) { r.EndUserOriginID = "a\xc3" }), "EndUserOriginID is not valid UTF-8"},
		{"surrogate", link(func(r *kombo.CreateLinkRequest) { r.EndUserOriginID = "\xed\xa0\x80" }), "EndUserOriginID is not valid UTF-8"},
		{"overlong", link(func(r *kombo.CreateLinkRequest) { r.EndUserOriginID = "\xc0\x80" }), "EndUserOriginID is not valid UTF-8"},
		{"next to U+FFFD", link(func(r *kombo.CreateLinkRequest) {
			r.EndUserOrganizationName, r.EndUserOriginID = "\ufffd", "\ufffd\xff"
		}), "EndUserOriginID is not valid UTF-8"},
		{"enumeration", link(func(r *kombo.CreateLinkRequest) { r.Language = "\xff" }), "Language is not valid UTF-8"},
		{"scope config", func(c *kombo.Client) error {
			_, err := c.Integrations.Relink(t.Context(), testIntegrationID, kombo.RelinkRequest{ScopeConfigID: "\xff"})
			return err
		}, "ScopeConfigID is not valid UTF-8"},
		{"setup link", func(c *kombo.Client) error {
			_, err := c.Integrations.SetupLink(t.Context(), testIntegrationID, kombo.SetupLinkRequest{LinkType: "\xff"})
			return err
		}, "LinkType is not valid UTF-8"},
		{"sync type", func(c *kombo.Client) error {
			_, err := c.Integrations.Sync(t.Context(), testIntegrationID, "FULL\xff")
			return err
		}, "Type is not valid UTF-8"},
		{"mapped field", func(c *kombo.Client) error {
			_, err := c.Integrations.MapCustomField(t.Context(), testIntegrationID, "c", "f\xff")
			return err
		}, "IntegrationFieldID is not valid UTF-8"},

		{"path value", func(c *kombo.Client) error { return c.Integrations.Delete(t.Context(), "personio:\xff") }, "integration_id is not valid UTF-8"},
		{"second path value", func(c *kombo.Client) error {
			_, err := c.Integrations.SetFieldPassthrough(t.Context(), testIntegrationID, "f\xff", true)
			return err
		}, "integration_field_id is not valid UTF-8"},
		{"token", func(c *kombo.Client) error {
			_, err := c.Connect.IntegrationByToken(t.Context(), "eyJ\xff")
			return err
		}, "token is not valid UTF-8"},
		{"category", func(c *kombo.Client) error { _, err := c.Connect.Tools(t.Context(), "HRIS\xff"); return err }, "category is not valid UTF-8"},
		{"header", func(c *kombo.Client) error {
			_, err := c.Integrations.Sync(t.Context(), "personio:\xff", "")
			return err
		}, "integration_id contains characters that are not allowed in a header"},
		{"tool", func(c *kombo.Client) error {
			_, err := c.Integrations.Passthrough(t.Context(), testIntegrationID, "p\xff", "a", kombo.PassthroughRequest{Method: "GET", Path: "/"})
			return err
		}, "tool is not valid UTF-8"},
		{"API", func(c *kombo.Client) error {
			_, err := c.Integrations.Passthrough(t.Context(), testIntegrationID, "p", "a\xff", kombo.PassthroughRequest{Method: "GET", Path: "/"})
			return err
		}, "api is not valid UTF-8"},
		{"cursor", func(c *kombo.Client) error {
			_, err := c.Integrations.FieldsPage(t.Context(), testIntegrationID, kombo.ListOptions{Cursor: "a\xff"})
			return err
		}, "cursor is not valid UTF-8"},

		{"Path", passthrough(kombo.PassthroughRequest{Path: "/\xff"}), "Path is not valid UTF-8"},
		{"Headers", passthrough(kombo.PassthroughRequest{Headers: map[string]string{"a": "b", "X-Name": invalid}}), `Headers: the value of "X-Name" is not valid UTF-8`},
		{"key of Headers", passthrough(kombo.PassthroughRequest{Headers: map[string]string{invalid: "b"}}), `Headers: a key is not valid UTF-8`},
		{"Params", passthrough(kombo.PassthroughRequest{Params: map[string]string{"x": invalid}}), `Params: the value of "x" is not valid UTF-8`},
		{"key of Params", passthrough(kombo.PassthroughRequest{Params: map[string]string{"\xff": ""}}), `Params: a key is not valid UTF-8`},
		{"APIOptions", passthrough(kombo.PassthroughRequest{APIOptions: map[string]string{"o": invalid}}), `APIOptions: the value of "o" is not valid UTF-8`},
		{"name in a form", form(kombo.PassthroughFormField{Name: invalid}), "MultipartFormData: Name is not valid UTF-8"},
		{"value in a form", form(kombo.PassthroughFormField{Name: "a", Value: invalid}), "MultipartFormData: Value is not valid UTF-8"},
		{"file", form(kombo.PassthroughFormField{Name: "a", File: &kombo.PassthroughFile{Name: invalid, DataURL: "https://f.example"}}), "MultipartFormData: File: Name is not valid UTF-8"},
		{"file type", form(kombo.PassthroughFormField{Name: "a", File: &kombo.PassthroughFile{Name: "a", ContentType: "a/\xff", Data: []byte{1}}}), "MultipartFormData: File: ContentType is not valid UTF-8"},
		{"file URL", form(kombo.PassthroughFormField{Name: "a", File: &kombo.PassthroughFile{Name: "a", DataURL: "https://f.example/\xff"}}), "MultipartFormData: File: DataURL is not valid UTF-8"},

		{"text", data(invalid), "Data is not valid UTF-8"},
		{"pointer to text", data(&bad), "Data is not valid UTF-8"},
		{"map", data(map[string]any{"a": 1, "b": map[string]any{"c": []any{"ok", map[string]string{"d": invalid}}}}), `Data: the value of "b": the value of "c": the value of "d" is not valid UTF-8`},
		{"key of a map", data(map[string]any{"a": []map[string]int{{"\xff": 1}}}), `Data: the value of "a": a key is not valid UTF-8`},
		{"map with numbers as keys", data(map[int]string{1: invalid}), "Data: a value is not valid UTF-8"},
		{"map with keys of their own", data(map[ownText]int{{invalid}: 1}), "Data: a key is not valid UTF-8"},
		{"map with valid keys of their own", data(map[ownText]string{{"ok"}: invalid}), "Data: a value is not valid UTF-8"},
		{"map with keys that have a MarshalJSON", data(map[keyWithJSON]int{{invalid}: 1}), "Data: a key is not valid UTF-8"},
		{"map with texts as keys that have a MarshalText", data(map[stringKey]int{invalid: 1}), "Data: a key is not valid UTF-8"},
		{"struct", data(&person{Name: "ok", Email: &bad}), "Data: Email is not valid UTF-8"},
		{"structs", data([]person{{Name: "ok"}, {Name: invalid}}), "Data: Name is not valid UTF-8"},
		{"embedded", data(struct{ person }{person{Name: invalid}}), "Data: person: Name is not valid UTF-8"},
		{"array", data([2]string{"", invalid}), "Data is not valid UTF-8"},
		{"lists that begin with the same element", data([]any{names[:1], names}), "Data is not valid UTF-8"},
		{"JSON", data(json.RawMessage("{\"a\":\"" + invalid + "\"}")), "Data is not valid UTF-8"},
		{"JSON inside", data(map[string]any{"raw": json.RawMessage("\"\xff\"")}), `Data: the value of "raw" is not valid UTF-8`},
		{"own JSON", data(ownJSON{invalid}), "Data is not valid UTF-8"},
		{"own JSON inside", data(struct{ Own any }{&ownJSON{invalid}}), "Data: Own is not valid UTF-8"},
		{"own JSON by encoding/json", data(map[string]any{"a": selfEncoded{invalid}}), `Data: the value of "a": name is not valid UTF-8`},
		{"own JSON by a method of the pointer", data([]byPointer{{invalid}}), "Data: Name is not valid UTF-8"},
		{"own JSON that makes bytes a text", data(bytesAsText(invalid)), "Data is not valid UTF-8"},
		{"own JSON that makes bytes a text, inside", data([]any{"\ufffd", map[string]any{"a": bytesAsText(invalid)}}), `Data: the value of "a" is not valid UTF-8`},
		{"own text in own JSON", data(aroundText{textOfBytes{[]byte(invalid)}}), "Data: T: text is not valid UTF-8"},
		{"own text", data(ownText{invalid}), "Data is not valid UTF-8"},
		{"text in JSON in text", data(struct {
			Quoted string `json:",string"`
		}{invalid}), "Data: Quoted is not valid UTF-8"},
		{"very long key", data(map[string]string{strings.Repeat("k", 1000): invalid}), `Data: the value of "` + strings.Repeat("k", 100) + `" is not valid UTF-8`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "*", "", 200, "{}")
			err := test.call(client)
			op, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "kombo: "), ": ")
			checkRefused(t, err, got, "kombo: "+op+": "+test.want+" (nothing was sent)")
			if strings.Contains(err.Error(), "M\xfc") || strings.Contains(err.Error(), "ller") {
				t.Errorf("error quotes the value: %v", err)
			}
		})
	}
}

// Valid UTF-8 arrives unchanged, including U+FFFD.
func TestTextArrivesAsItWasGiven(t *testing.T) {
	t.Parallel()
	loop := &circular{}
	loop.next, loop.other = loop, &circular{next: loop}
	binary := base64.StdEncoding.EncodeToString([]byte("\xff\xfe"))
	tests := []struct {
		name string
		data any
		want string // as a JSON document
	}{
		{"text", "Müller \ufffd 東京 \U0001f600 \x00\u2028<&>", `"Müller \ufffd 東京 😀 \u0000\u2028<&>"`},
		{"text of an escape", `\ufffd`, `"\\ufffd"`},
		{"keys", map[string]string{"\ufffd": "\ufffd"}, `{"\ufffd":"\ufffd"}`},
		{"JSON", json.RawMessage("[\"\ufffd\",\"\\ufffd\",\"\\uFFFD\"]"), `["\ufffd","\ufffd","\ufffd"]`},
		{"own JSON", []any{ownJSON{"\ufffd"}, &ownJSON{`\ufffd`}, ownText{"\ufffd"}}, `["\ufffd","\ufffd","\ufffd"]`},
		{"own JSON that is an escape", escaping{binary: []byte(invalid)}, `"\ufffd"`},
		{"own JSON that goes in circles", loop, `"\ufffd"`},
		{"binary, next to U+FFFD", []any{"\ufffd", asBase64("\xff\xfe"), map[string]any{"b": []byte("\xff\xfe")}}, `["\ufffd","` + binary + `",{"b":"` + binary + `"}]`},
		{"nil", []any{"\ufffd", nil, (*ownJSON)(nil), map[string]any(nil), []string(nil)}, `["\ufffd",null,null,null,null]`},
		{"what is not sent", hiddenInvalid{"\ufffd", invalid, invalid}, `{"Name":"\ufffd"}`},
		{"time", map[string]any{"\ufffd": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, `{"\ufffd":"2026-01-02T03:04:05Z"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "*", "", 200, fixture(t, "passthrough"))
			_, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "p", "a", kombo.PassthroughRequest{Method: "POST", Path: "/", Data: test.data})
			if err != nil {
				t.Fatal(err)
			}
			var sent struct{ Data any }
			var want any
			if err := json.Unmarshal([]byte(got.Body), &sent); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, sent.Data); diff != "" {
				t.Errorf("data on the wire (-want +got):\n%s", diff)
			}
		})
	}
}

// In the embedded flow, an origin ID that is not UTF-8 is an error of the service at the start of a flow. If it were
// replaced, the exchange of the token would always refuse the customer.
func TestEmbeddedFlowRefusesAnOriginIDThatIsNoUTF8(t *testing.T) {
	t.Parallel()
	client, got := mocked(t, "*", "", 200, "{}")
	var reported error
	flow, err := kombo.NewEmbeddedFlow(client, kombo.EmbeddedFlowConfig{
		SignedIn:  func(*http.Request) (string, error) { return invalid, nil },
		Link:      func(*http.Request, string) (kombo.CreateLinkRequest, error) { return linkRequest, nil },
		Connected: func(context.Context, *kombo.ConnectedIntegration) error { return nil },
		OnError:   func(_ context.Context, _ int, err error) { reported = err },
	})
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	flow.InitHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/init", nil))
	if recorder.Code != http.StatusInternalServerError {
		t.Errorf("status = %d, want 500", recorder.Code)
	}
	if reported == nil || !strings.Contains(reported.Error(), "EndUserOriginID is not valid UTF-8") || got.Method != "" {
		t.Errorf("OnError got %v; sent: %v", reported, got)
	}
}
