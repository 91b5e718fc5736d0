package kombotest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/kombo-go/kombo"
)

func (s *Server) sendPassthrough(c call) answer {
	tool, api := c.PathValue("tool"), c.PathValue("api")
	id, problem := "", ""
	var request kombo.PassthroughRequest
	refused := s.named(c, func(i *integration) answer {
		id = i.ID
		request, problem = readPassthrough(c.body)
		switch {
		case problem != "":
		case i.Tool != tool:
			problem = "tool: the integration is of another one"
		}
		return answer{}
	})
	switch {
	case id == "":
		return refused
	case problem != "":
		return failed(kombo.CodeInputInvalid, problem)
	}
	respond := s.config.Passthrough
	if respond == nil {
		respond = echo
	}
	response := respond(id, tool, api, request)
	if response.Data != nil && !json.Valid(response.Data) {
		return failed(kombo.CodeUnknownError, "Config.Passthrough: the data is not JSON")
	}
	response.StatusCode = cmp.Or(response.StatusCode, http.StatusOK)
	if response.URL == "" {
		params := url.Values{}
		for name, value := range request.Params {
			params.Set(name, value)
		}
		response.URL = "https://" + tool + ".example/" + url.PathEscape(api) + "/" + strings.TrimLeft(request.Path, "/")
		if len(params) > 0 {
			response.URL += "?" + params.Encode()
		}
	}
	warnings := append([]kombo.PassthroughWarning{}, response.Warnings...)
	return encoded(http.StatusOK, map[string]any{"status": "success", "data": response, "warnings": warnings})
}

// echo answers with the request.
func echo(_, _, _ string, request kombo.PassthroughRequest) kombo.PassthroughResponse {
	data, err := json.Marshal(request)
	if err == nil && request.ResponseAsBase64 {
		data, err = json.Marshal(base64.StdEncoding.EncodeToString(data))
	}
	if err != nil {
		panic(err) // it was JSON before
	}
	return kombo.PassthroughResponse{Header: http.Header{"Content-Type": {"application/json"}}, Data: data}
}

func readPassthrough(body []byte) (request kombo.PassthroughRequest, problem string) {
	in := readInput(body)
	request.Method = in.oneOf("method", required, "",
		http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodPut, http.MethodPatch)
	in.read("path", required, &request.Path, "a string")
	in.read("headers", optional, &request.Headers, "an object of strings")
	in.read("params", optional, &request.Params, "an object of strings")
	in.read("response_as_base64", optional, &request.ResponseAsBase64, "true or false")
	in.read("api_options", optional, &request.APIOptions, "an object of strings")
	in.read("data", nullable, &request.Data, "JSON")
	var fields []formField
	in.read("multipart_form_data", optional, &fields, "a list of fields with a name and a value")
	for _, field := range fields {
		read, ok := field.read()
		if !ok {
			in.refuse("multipart_form_data", "not a list of fields with a name and a value, which is a string or a file")
		}
		request.MultipartFormData = append(request.MultipartFormData, read)
	}
	return request, in.problem
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
	field.File = &kombo.PassthroughFile{}
	err := json.Unmarshal(f.Value, field.File)
	hasData := field.File.Data != nil
	return field, err == nil && field.File.Name != "" && hasData == (field.File.DataURL == "") &&
		(!hasData || field.File.ContentType != "")
}
