package kombo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kombo-go/kombo"
)

func TestPassthrough(t *testing.T) {
	t.Parallel()
	document := fixture(t, "passthrough")
	client, got := mocked(t, "*", "", 200, document)
	response, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "datevhr", "hr:payroll/reports", kombo.PassthroughRequest{
		Method: "GET", Path: "/company/employees",
	})
	if err != nil {
		t.Fatal(err) // an error status of the tool is not an error of the call
	}
	var data any
	if err := json.Unmarshal(response.Data, &data); err != nil {
		t.Fatal(err)
	}
	wantData := map[string]any{"success": false, "errors": []any{map[string]any{"code": 17.0, "text": "<none>"}}}
	if diff := cmp.Diff(wantData, data); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	rest := *response
	rest.Data = nil
	want := kombo.PassthroughResponse{
		URL: "https://api.personio.example/v1/company/employees?limit=1", StatusCode: 404,
		Header:   http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"a=1", "b=2"}},
		Warnings: []kombo.Warning{{Message: "The path looks odd."}},
	}
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
	checkSent(t, got, "POST", "https://api.kombo.dev/v1/passthrough/datevhr/hr%3Apayroll%2Freports", `{"method":"GET","path":"/company/employees"}`, testIntegrationID)
	checkRoundTrip(t, document, response)
}

func TestPassthroughRequests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		request  kombo.PassthroughRequest
		wantBody string
	}{
		{
			"everything but a body",
			kombo.PassthroughRequest{
				Method: "DELETE", Path: "/a?b=c&d", Headers: map[string]string{"X-A": "1"}, Params: map[string]string{"p": "ü"},
				ResponseAsBase64: true, APIOptions: map[string]string{"o": "x"},
			},
			`{"method":"DELETE","path":"/a?b=c&d","headers":{"X-A":"1"},"params":{"p":"ü"},"response_as_base64":true,"api_options":{"o":"x"}}`,
		},
		{"object", kombo.PassthroughRequest{Method: "POST", Path: "/", Data: map[string]any{"a": nil}}, `{"method":"POST","path":"/","data":{"a":null}}`},
		{"array", kombo.PassthroughRequest{Method: "PUT", Path: "/", Data: []int{1, 2}}, `{"method":"PUT","path":"/","data":[1,2]}`},
		{"string", kombo.PassthroughRequest{Method: "PATCH", Path: "/", Data: "<a/>"}, `{"method":"PATCH","path":"/","data":"<a/>"}`},
		{"JSON", kombo.PassthroughRequest{Method: "POST", Path: "/", Data: json.RawMessage(`{"n":1.50}`)}, `{"method":"POST","path":"/","data":{"n":1.50}}`},
		{
			"form",
			kombo.PassthroughRequest{Method: "POST", Path: "/", MultipartFormData: []kombo.PassthroughFormField{
				{Name: "text", Value: "a"},
				{Name: "empty"},
				{Name: "data", File: &kombo.PassthroughFile{Name: "a.pdf", ContentType: "application/pdf", Data: []byte{0, 1, 0xfe}}},
				{Name: "nothing", File: &kombo.PassthroughFile{Name: "a.txt", ContentType: "text/plain", Data: []byte{}}},
				{Name: "url", File: &kombo.PassthroughFile{Name: "b.pdf", DataURL: "https://files.acme.example/b.pdf?a=1&b"}},
			}},
			`{"method":"POST","path":"/","multipart_form_data":[{"name":"text","value":"a"},{"name":"empty","value":""},` +
				`{"name":"data","value":{"name":"a.pdf","content_type":"application/pdf","data":"AAH+"}},` +
				`{"name":"nothing","value":{"name":"a.txt","content_type":"text/plain","data":""}},` +
				`{"name":"url","value":{"name":"b.pdf","data_url":"https://files.acme.example/b.pdf?a=1&b"}}]}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "*", "", 200, fixture(t, "passthrough"))
			if _, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "personio", "personnel", test.request); err != nil {
				t.Fatal(err)
			}
			// JSON may escape < and &.
			body := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(got.Body)
			if diff := cmp.Diff(test.wantBody, body); diff != "" {
				t.Errorf("body on the wire (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPassthroughRefusesBadInput(t *testing.T) {
	t.Parallel()
	form := func(field kombo.PassthroughFormField) kombo.PassthroughRequest {
		return kombo.PassthroughRequest{Method: "POST", Path: "/", MultipartFormData: []kombo.PassthroughFormField{{Name: "ok"}, field}}
	}
	tests := []struct {
		request kombo.PassthroughRequest
		want    string
	}{
		{kombo.PassthroughRequest{Path: "/"}, "Method is required"},
		{kombo.PassthroughRequest{Method: "GET"}, "Path is required"},
		{kombo.PassthroughRequest{Method: "get", Path: "/"}, "Method is not one of GET, POST, PUT, PATCH, DELETE"},
		{kombo.PassthroughRequest{Method: "GET", Path: "/", Data: "a", MultipartFormData: []kombo.PassthroughFormField{}}, "Data and MultipartFormData exclude each other"},
		{kombo.PassthroughRequest{Method: "GET", Path: "/", Data: math.NaN()}, "the request cannot be encoded"},
		{form(kombo.PassthroughFormField{}), "MultipartFormData: Name is required"},
		{form(kombo.PassthroughFormField{Name: "a", Value: "b", File: &kombo.PassthroughFile{}}), "MultipartFormData: Value and File exclude each other"},
		{form(kombo.PassthroughFormField{Name: "a", File: &kombo.PassthroughFile{DataURL: "u"}}), "MultipartFormData: File.Name is required"},
		{form(kombo.PassthroughFormField{Name: "a", File: &kombo.PassthroughFile{Name: "f"}}), "MultipartFormData: File needs either Data or DataURL"},
		{form(kombo.PassthroughFormField{Name: "a", File: &kombo.PassthroughFile{Name: "f", DataURL: "u", Data: []byte{1}}}), "MultipartFormData: File needs either Data or DataURL"},
		{form(kombo.PassthroughFormField{Name: "a", File: &kombo.PassthroughFile{Name: "f", Data: []byte{1}}}), "MultipartFormData: File.ContentType is required with Data"},
	}
	for _, test := range tests {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "*", "", 200, "{}")
			_, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "personio", "personnel", test.request)
			checkRefused(t, err, got, "kombo: POST /passthrough/{tool}/{api}: "+test.want+" (nothing was sent)")
		})
	}
	client, got := mocked(t, "*", "", 200, "{}")
	_, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "", "api", kombo.PassthroughRequest{Method: "GET", Path: "/"})
	checkRefused(t, err, got, "kombo: POST /passthrough/{tool}/{api}: tool is empty (nothing was sent)")
	_, err = client.Integrations.Passthrough(t.Context(), testIntegrationID, "personio", "..", kombo.PassthroughRequest{Method: "GET", Path: "/"})
	checkRefused(t, err, got, "kombo: POST /passthrough/{tool}/{api}: api must not contain the path step .. (nothing was sent)")
}

func TestPassthroughBytes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, data, want, wantErr string }{
		{"base64", `,"data":"JVBERi0xLjQ="`, "%PDF-1.4", ""},
		{"nothing", `,"data":""`, "", ""},
		{"absent", ``, "", "kombo: PassthroughResponse.Bytes: the data is not a string"},
		{"object", `,"data":{"a":1}`, "", "kombo: PassthroughResponse.Bytes: the data is not a string"},
		{"text", `,"data":"%PDF"`, "", "kombo: PassthroughResponse.Bytes: the data is not base64; was ResponseAsBase64 set?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, _ := mocked(t, "*", "", 200, `{"status":"success","data":{"url":"u","status":200,"headers":{}`+test.data+`},"warnings":[]}`)
			response, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "p", "a", kombo.PassthroughRequest{
				Method: "GET", Path: "/", ResponseAsBase64: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			content, err := response.Bytes()
			if string(content) != test.want || (err == nil) != (test.wantErr == "") || err != nil && err.Error() != test.wantErr {
				t.Errorf("%q, %v, want %q, %s", content, err, test.want, test.wantErr)
			}
		})
	}
}

// The tool's status is the required field of a passthrough response.
func TestPassthroughIncomplete(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{"status":"success","data":{"url":"u","headers":{}},"warnings":[]}`:                   "data.status is missing",
		`{"status":"success","data":{"url":5,"headers":7}}`:                                    "data.status is missing",
		`{"status":"success","data":null,"warnings":[]}`:                                       "it has no data",
		`{"status":"success","data":[]}`:                                                       "the type of data is wrong",
		`{"status":"success","data":"ok"}`:                                                     "the type of data is wrong",
		`{"status":"success","data":{"url":5,"status":"200","headers":{}}}`:                    "the type of data.status is wrong",
		`{"status":"success","data":{"url":"u","status":99999999999999999999,"headers":{}}}`:   "the type of data.status is wrong",
		`{"status":"success","data":{"url":"u","status":{"code":200},"headers":{"a":[null]}}}`: "the type of data.status is wrong",
		`{"data":{"url":"u","status":200}}`:                                                    "its status is not success",
		`{"status":true,"data":{"url":"u","status":200}}`:                                      "the type of status is wrong",
		`[{"status":"success"}]`:                                                               "it is not a JSON object",
	} {
		client, _ := mocked(t, "*", "", 200, document)
		response, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "p", "a", kombo.PassthroughRequest{Method: "GET", Path: "/"})
		if response != nil || !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), "promises: "+want+" (") {
			t.Errorf("%s: error = %v, want %s", document, err, want)
		}
	}
}

// A passthrough that was executed is not reported as failed because of malformed details.
func TestPassthroughWithDetailsOfAnotherForm(t *testing.T) {
	t.Parallel()
	const success = `{"url":"u","status":200,"headers":{}}`
	tests := []struct {
		name, data, more string
		wantURL          string
		wantHeader       http.Header
		wantWarnings     []string
	}{
		{"nothing", `{"status":200}`, ``, "", nil, nil},
		{"null", `{"url":null,"status":200,"headers":null}`, `,"warnings":null`, "", nil, nil},
		{"URL is a number", `{"url":7,"status":200,"headers":{"a":"b"}}`, `,"warnings":[{"message":"m"}]`, "", http.Header{"A": {"b"}}, []string{"m"}},
		{"URL is an object", `{"url":{"a":[]},"status":200}`, ``, "", nil, nil},
		{"headers are a list", `{"url":"u","status":200,"headers":["a"]}`, ``, "u", nil, nil},
		{"headers are a string", `{"url":"u","status":200,"headers":"a: b"}`, ``, "u", nil, nil},
		{"headers are a number", `{"url":"u","status":200,"headers":7}`, ``, "u", nil, nil},
		{
			"values of headers",
			`{"url":"u","status":200,"headers":{"n":7,"big":12345678901234567890,"f":1.50,"t":true,"null":null,"o":{"a": [1]},"l":["x",7,null,["y", "z"],{}],"s":"","e":[]}}`, ``,
			"u",
			http.Header{
				"N": {"7"}, "Big": {"12345678901234567890"}, "F": {"1.50"}, "T": {"true"}, "O": {`{"a":[1]}`},
				"L": {"x", "7", `["y","z"]`, "{}"}, "S": {""},
			},
			nil,
		},
		{
			"names that differ in case",
			`{"url":"u","status":200,"headers":{"set-cookie":["b","a"],"SET-COOKIE":"d","Set-Cookie":["c"],"set-Cookie":1,"set-cookie":"e"}}`, ``,
			"u",
			http.Header{"Set-Cookie": {"b", "a", "d", "c", "1", "e"}},
			nil,
		},
		{"long headers", `{"url":"u","status":200,"headers":{"a":["b","c"],"long":"` + strings.Repeat("x", 64<<10) + `","d":"e"}}`, ``, "u", http.Header{"A": {"b", "c"}}, nil},
		{"very many headers", `{"url":"u","status":200,"headers":{"a":"b","many":[` + strings.Repeat("{},", 64<<10) + `{}]}}`, ``, "u", http.Header{"A": {"b"}}, nil},
		{"a number at the limit", `{"url":"u","status":200,"headers":{"a":"` + strings.Repeat("x", 64<<10-20) + `","n":123456789}}`, ``, "u", http.Header{"A": {strings.Repeat("x", 64<<10-20)}}, nil},
		{"warnings are text", success, `,"warnings":["text",{"message":"m"}]`, "u", nil, []string{"text", "m"}},
		{"warning without a message", success, `,"warnings":[{"code": "X"},{"message":null,"a":1},{"message":{"a": 1}},7,true,null,["x"]]`, "u", nil, []string{`{"code":"X"}`, `{"message":null,"a":1}`, `{"a":1}`, "7", "true", `["x"]`}},
		{"one warning", success, `,"warnings":{"message":"m"}`, "u", nil, []string{"m"}},
		{"warnings are a string", success, `,"warnings":"text"`, "u", nil, []string{"text"}},
		{"warnings are a number", success, `,"warnings":7`, "u", nil, []string{"7"}},
		{"empty warnings", success, `,"warnings":[ ]`, "u", nil, nil},
		{"error next to success", success, `,"error":"none"`, "u", nil, nil},
		{"error is null", success, `,"error":null`, "u", nil, nil},
		{"very many warnings", success, `,"warnings":[` + strings.Repeat(`1,`, 1000) + `1]`, "u", nil, slices.Repeat([]string{"1"}, 100)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for range 20 { // the order of a map would change
				client, _ := mocked(t, "*", "", 200, `{"status":"success","data":`+test.data+test.more+`}`)
				response, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "p", "a", kombo.PassthroughRequest{Method: "POST", Path: "/"})
				if err != nil {
					t.Fatal(err)
				}
				want := &kombo.PassthroughResponse{URL: test.wantURL, StatusCode: 200, Header: test.wantHeader}
				for _, message := range test.wantWarnings {
					want.Warnings = append(want.Warnings, kombo.Warning{Message: message})
				}
				if diff := cmp.Diff(want, response, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("response (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// encoding/json would silently send bytes as base64 or numbers, and readers as {}.
func TestPassthroughDataThatWouldBecomeOther(t *testing.T) {
	t.Parallel()
	type document []byte
	content := []byte(`{"a":1}`)
	pointer := &content
	for name, data := range map[string]any{
		"bytes": content, "empty bytes": []byte{}, "nil bytes": []byte(nil), "named bytes": document(content), "pointer": &content,
		"pointer to a pointer": &pointer, "pointer to named bytes": new(document), "array": [3]byte{1, 2, 3}, "pointer to an array": &[1]byte{},
		"bytes in an interface": new(any(content)), "buffer": bytes.NewBuffer(content), "reader": strings.NewReader("a"), "builder": &strings.Builder{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, got := mocked(t, "*", "", 200, "{}")
			_, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "p", "a", kombo.PassthroughRequest{Method: "POST", Path: "/", Data: data})
			checkRefused(t, err, got, "kombo: POST /passthrough/{tool}/{api}: Data would not be sent as it is: for bytes or a reader, "+
				"give a json.RawMessage (JSON) or a string (text) (nothing was sent)")
		})
	}
	raw := json.RawMessage(content)
	for want, data := range map[string]any{
		`{"a":1}`: raw, `{"a":1} `: &raw, `null`: json.RawMessage(nil), `null `: (*[]byte)(nil), `"10.0.0.1"`: net.IPv4(10, 0, 0, 1),
		`{"file":"eyJhIjoxfQ=="}`: map[string]any{"file": content}, `["eyJhIjoxfQ=="]`: [][]byte{content}, `[1,2]`: []int8{1, 2},
	} {
		client, got := mocked(t, "*", "", 200, fixture(t, "passthrough"))
		_, err := client.Integrations.Passthrough(t.Context(), testIntegrationID, "p", "a", kombo.PassthroughRequest{Method: "POST", Path: "/", Data: data})
		if want := `{"method":"POST","path":"/","data":` + strings.TrimSpace(want) + `}`; err != nil || got.Body != want {
			t.Errorf("%T was sent as %s, want %s; %v", data, got.Body, want, err)
		}
	}
}

// A response that was stored, by Kombo's form or by encoding/json, is decoded as Passthrough does it.
func TestPassthroughResponseIsDecoded(t *testing.T) {
	t.Parallel()
	want := kombo.PassthroughResponse{
		URL: "https://api.example/1", StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain"}, "Set-Cookie": {"a=1", "b=2"}},
		Data: json.RawMessage(`{"a":1}`),
	}
	own, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range []string{
		string(own), `{"url":"https://api.example/1","status":200,"headers":{"content-type":"text/plain","set-cookie":["a=1","b=2"]},"data":{"a":1}}`,
	} {
		var got kombo.PassthroughResponse
		if err := json.Unmarshal([]byte(document), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", document, diff)
		}
	}
	if err := json.Unmarshal([]byte(`{"status":"200"}`), new(kombo.PassthroughResponse)); err == nil {
		t.Error("a status that is no number is decoded")
	}
}
