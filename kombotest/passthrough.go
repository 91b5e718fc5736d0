package kombotest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/kombo-go/kombo"
)

func (s *Server) passthrough(c *call) (any, error) {
	tool, api := c.PathValue("tool"), c.PathValue("api")
	var id string
	var request kombo.PassthroughRequest
	var err error
	s.withState(func(st *state) {
		var i *integration
		if i, err = st.integrationOf(c); err != nil {
			return
		}
		id = i.ID
		if request, err = readPassthrough(c.body); err == nil && i.Tool != tool {
			err = invalid("tool: the integration is of another one")
		}
	})
	if err != nil {
		return nil, err
	}
	response := echo(c.body, request.ResponseAsBase64)
	if s.config.Passthrough != nil {
		response = s.config.Passthrough(id, tool, api, request)
	}
	if response.Data != nil && !json.Valid(response.Data) {
		return nil, &apiError{code: kombo.CodeUnknownError, message: "Config.Passthrough: the data is not JSON"}
	}
	if response.URL == "" {
		response.URL = "https://" + tool + ".example/" + url.PathEscape(api) + "/" + withQuery(strings.TrimLeft(request.Path, "/"), request.Params)
	}
	headers := make(map[string]any, len(response.Header))
	for name, values := range response.Header {
		headers[name] = append([]string{}, values...)
		if len(values) == 1 {
			headers[name] = values[0]
		}
	}
	data := object{{"url", response.URL}, {"status", cmp.Or(response.StatusCode, http.StatusOK)}, {"headers", headers}}
	if response.Data != nil {
		data = append(data, member{"data", response.Data})
	}
	return envelope{members: object{{"status", "success"}, {"data", data}, {"warnings", warnings(response.Warnings)}}}, nil
}

func warnings(warnings []kombo.Warning) []object {
	return all(warnings, func(w kombo.Warning) object { return object{{"message", w.Message}} })
}

// withQuery adds the parameters of a request to the query of its path, if any. A name that is in both is sent twice. A
// fragment is not sent.
func withQuery(path string, params map[string]string) string {
	path, _, _ = strings.Cut(path, "#")
	path, query, _ := strings.Cut(path, "?")
	values := url.Values{}
	for name, value := range params {
		values.Set(name, value)
	}
	query = strings.Trim(query, "&")
	if len(values) > 0 {
		query = strings.TrimPrefix(query+"&"+values.Encode(), "&")
	}
	if query == "" {
		return path
	}
	return path + "?" + query
}

// echo returns the request as the response.
func echo(body []byte, asBase64 bool) kombo.PassthroughResponse {
	data := json.RawMessage(body)
	if asBase64 {
		data = json.RawMessage(strconv.Quote(base64.StdEncoding.EncodeToString(body)))
	}
	return kombo.PassthroughResponse{Header: http.Header{"Content-Type": {"application/json"}}, Data: data}
}

func readPassthrough(body []byte) (request kombo.PassthroughRequest, err error) {
	in := readInput(body)
	request.Method = in.oneOf("method", required, "",
		http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodPatch)
	in.read("path", required, &request.Path, "a string")
	in.read("headers", optional, &request.Headers, "an object of strings")
	in.read("params", optional, &request.Params, "an object of strings")
	in.read("response_as_base64", optional, &request.ResponseAsBase64, "true or false")
	in.read("api_options", optional, &request.APIOptions, "an object of strings")
	var data json.RawMessage // decoded, it would lose digits and order
	if in.read("data", nullable, &data, "JSON") {
		request.Data = data
	}
	var fields []formField
	in.read("multipart_form_data", optional, &fields, "a list of fields with a name and a value")
	for _, field := range fields {
		read, ok := field.read()
		if !ok {
			in.reject("multipart_form_data", "not a list of fields with a name and a value, which is a string or a file")
		}
		request.MultipartFormData = append(request.MultipartFormData, read)
	}
	return request, in.err
}

// formField is a field of a form, whose value is a string or a file.
type formField struct {
	Name  *string         `json:"name"`
	Value json.RawMessage `json:"value"`
}

func (f formField) read() (field kombo.PassthroughFormField, ok bool) {
	if f.Name == nil || f.Value == nil {
		return field, false
	}
	field.Name = *f.Name
	if json.Unmarshal(f.Value, &field.Value) == nil {
		return field, string(f.Value) != "null"
	}
	var file struct {
		Name        string `json:"name"`
		ContentType string `json:"content_type"`
		DataURL     string `json:"data_url"`
		Data        []byte `json:"data"`
	}
	err := json.Unmarshal(f.Value, &file)
	field.File = &kombo.PassthroughFile{Name: file.Name, ContentType: file.ContentType, DataURL: file.DataURL, Data: file.Data}
	hasData := file.Data != nil
	return field, err == nil && file.Name != "" && hasData == (file.DataURL == "") && (!hasData || file.ContentType != "")
}
