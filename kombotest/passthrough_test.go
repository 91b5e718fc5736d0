package kombotest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestPassthroughEchoes(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	sent := kombo.PassthroughRequest{
		Method: "POST", Path: "/company/employees", Headers: map[string]string{"X-A": "b"}, Params: map[string]string{"limit": "1"},
		MultipartFormData: []kombo.PassthroughFormField{
			{Name: "a", Value: "text"},
			{Name: "b", File: &kombo.PassthroughFile{Name: "b.pdf", ContentType: "application/pdf", Data: []byte{0, 1, 2}}},
			{Name: "c", File: &kombo.PassthroughFile{Name: "c.pdf", DataURL: "https://files.acme.example/c.pdf"}},
		},
	}
	for _, sent.ResponseAsBase64 = range []bool{false, true} {
		response, err := client.Integrations.Passthrough(t.Context(), id, "personio", "personnel", sent)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != 200 || response.URL != "https://personio.example/personnel/company/employees?limit=1" {
			t.Errorf("%d from %s", response.StatusCode, response.URL)
		}
		body := []byte(response.Data)
		if sent.ResponseAsBase64 {
			if body, err = response.Bytes(); err != nil {
				t.Fatal(err)
			}
		}
		var want, got any
		encoded, err := json.Marshal(sent)
		if err = errors.Join(err, json.Unmarshal(encoded, &want), json.Unmarshal(body, &got)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("echo (-want +got):\n%s", diff)
		}
	}
}

// The test's function gets the service's request, and the service gets the response of that function.
func TestPassthroughCarriesExactly(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`{"z":9007199254740993,"a":[1.0,1e400,-0,1E+2],"z":{"b":1,"a":2}}`, `[18446744073709551616]`, `-0`, `1.0`, `"text"`, `""`, `true`, `[]`,
		"{\"t\":\"<&>\u2028\u2029\x7f\"}",
	} {
		t.Run(data, func(t *testing.T) {
			t.Parallel()
			srv, _ := kombotest.Start(t, kombotest.Config{
				Passthrough: func(_, _, _ string, r kombo.PassthroughRequest) kombo.PassthroughResponse {
					sent, ok := r.Data.(json.RawMessage)
					if !ok || string(sent) != data {
						t.Errorf("the test sees %T %s", r.Data, r.Data)
					}
					return kombo.PassthroughResponse{URL: "https://tool.example/?a=1&b=<2>", Header: http.Header{"A": nil, "B": {"1"}, "C": {"1", "2"}}, Data: sent}
				},
			})
			body := passthrough(t, srv, `{"method":"POST","path":"/x","data":`+data+`}`)
			want := `{"status":"success","data":{"url":"https://tool.example/?a=1&b=<2>","status":200,"headers":{"A":[],"B":"1","C":["1","2"]},"data":` + data + `},"warnings":[]}`
			if body != want {
				t.Errorf("the service sees %s\nwant %s", body, want)
			}
		})
	}
	// Without a function, the response echoes the whole request.
	echoing, _ := kombotest.Start(t, kombotest.Config{})
	const sent = `{"params":{},"path":"/x","method":"POST","data":null,"new":[1.0,9007199254740993]}`
	if body := passthrough(t, echoing, sent); !strings.HasSuffix(body, `"data":`+sent+`},"warnings":[]}`) {
		t.Errorf("the echo is %s", body)
	}
}

// passthrough sends one request for a new integration, and returns the body of a success.
func passthrough(t *testing.T, srv *kombotest.Server, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.BaseURL()+"/passthrough/personio/api", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+srv.APIKey())
	r.Header.Set("X-Integration-Id", srv.Connect(t, request).ID)
	status, _, response := exchange(t, r)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, response)
	}
	return response
}

func TestPassthroughURL(t *testing.T) {
	t.Parallel()
	srv, _ := kombotest.Start(t, kombotest.Config{})
	for _, test := range []struct{ path, params, want string }{
		{"/a/b", `{}`, "a/b"},
		{"a", `null`, "a"},
		{"/a", `{"limit":"5"}`, "a?limit=5"},
		{"/a?limit=5", `{}`, "a?limit=5"},
		{"/a?limit=5", `{"offset":"1","name":"ä & b"}`, "a?limit=5&name=%C3%A4+%26+b&offset=1"},
		{"/a?x=1&x=2", `{"x":"3"}`, "a?x=1&x=2&x=3"},
		{"/a?", `{"x":"1"}`, "a?x=1"},
		{"/a?x=1&", `{"y":"2"}`, "a?x=1&y=2"},
		{"/a?", `{}`, "a"},
		{"/a#part", `{"x":"1"}`, "a?x=1"},
		{"/a?x=1#part?y=2", `{"z":"3"}`, "a?x=1&z=3"},
		{"/a?q=what%3F&r=a?b", `{"z":"3"}`, "a?q=what%3F&r=a?b&z=3"},
		{"?x=1", `{"":""}`, "?x=1&="},
		{"", `{}`, ""},
	} {
		params := `,"params":` + test.params
		if test.params == "null" {
			params = ""
		}
		body := passthrough(t, srv, `{"method":"GET","path":"`+test.path+`"`+params+`}`)
		if !strings.HasPrefix(body, `{"status":"success","data":{"url":"https://personio.example/api/`+test.want+`",`) {
			t.Errorf("%s with %s: %s, want %s", test.path, test.params, body, test.want)
		}
	}
}

func TestPassthroughOfTheTest(t *testing.T) {
	t.Parallel()
	want := kombo.PassthroughResponse{
		URL: "https://api.personio.example/x", StatusCode: 404, Header: http.Header{"Set-Cookie": {"a", "b"}},
		Data: json.RawMessage(`{"error":"none"}`), Warnings: []kombo.Warning{{Message: "odd"}},
	}
	var id string
	srv, client := kombotest.Start(t, kombotest.Config{
		Passthrough: func(integrationID, tool, api string, r kombo.PassthroughRequest) kombo.PassthroughResponse {
			if r.Path == "/invalid" {
				return kombo.PassthroughResponse{Data: json.RawMessage("<html>")}
			}
			if integrationID != id || tool != "personio" || api != "a/b" || r.Method != "DELETE" {
				t.Errorf("the function got %s, %s, %s, %+v", integrationID, tool, api, r)
			}
			return want
		},
	})
	id = srv.Connect(t, request).ID
	got, err := client.Integrations.Passthrough(t.Context(), id, "personio", "a/b", kombo.PassthroughRequest{Method: "DELETE", Path: "/x"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
	_, err = client.Integrations.Passthrough(t.Context(), id, "personio", "a/b", kombo.PassthroughRequest{Method: "GET", Path: "/invalid"})
	if err == nil || !strings.Contains(err.Error(), "Config.Passthrough: the data is not JSON") {
		t.Errorf("error = %v", err)
	}
}

func TestPassthroughInput(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, request).ID
	_, err := client.Integrations.Passthrough(t.Context(), id, "workday", "api", kombo.PassthroughRequest{Method: "GET", Path: "/"})
	if !errors.Is(err, kombo.ErrInvalidInput) {
		t.Errorf("another tool: error = %v", err)
	}
	for body, want := range map[string]string{
		`[]`:                           "The body is not a JSON object.",
		`{"path":"/"}`:                 "method: one of GET, POST, DELETE, PUT, PATCH is required",
		`{"method":"HEAD","path":"/"}`: "method: not one of GET",
		`{"method":"GET"}`:             "path: a string is required",
		`{"method":"GET","path":1}`:    "path: not a string",
		`{"method":"GET","path":"/","headers":{"a":1}}`:                                            "headers: not an object of strings",
		`{"method":"GET","path":"/","multipart_form_data":[{"name":"a"}]}`:                         "multipart_form_data: not a list",
		`{"method":"GET","path":"/","multipart_form_data":[{"name":"a","value":null}]}`:            "multipart_form_data: not a list",
		`{"method":"GET","path":"/","multipart_form_data":[{"name":"a","value":{"name":"f"}}]}`:    "multipart_form_data: not a list",
		`{"method":"GET","path":"/","multipart_form_data":[{"name":"a","value":{"data":"AA=="}}]}`: "multipart_form_data: not a list",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.BaseURL()+"/passthrough/personio/api", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+srv.APIKey())
		r.Header.Set("X-Integration-Id", id)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct {
			Error struct{ Code, Message string }
		}
		err = json.NewDecoder(response.Body).Decode(&envelope)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusBadRequest || !strings.HasPrefix(envelope.Error.Message, want) {
			t.Errorf("%s: %d %+v, %v, want %s", body, response.StatusCode, envelope, err, want)
		}
	}
}
