package kombo

import (
	"bytes"
	"context"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/kombo-go/kombo/internal/transport"
)

// PassthroughRequest is a request to the own API of a tool, which Kombo sends with the integration's
// credentials.
type PassthroughRequest struct {
	// Method is GET, POST, PUT, PATCH or DELETE. Required.
	Method string `json:"method"`
	// Path is below the base URL of the API, such as "/company/employees". Required; nothing else about
	// it is checked before it is sent.
	Path string `json:"path"`
	// Headers are sent with the request; Kombo adds those for authentication.
	Headers map[string]string `json:"headers,omitempty"`
	// Params are sent in the query, together with those in Path.
	Params map[string]string `json:"params,omitempty"`
	// Data is the body. What encoding/json encodes as an object or array is sent as JSON, a string as it is.
	// nil means no body. A []byte, in any form, and an [io.Reader] are refused: use a [json.RawMessage] for
	// JSON and a string for other text. Inside of a struct, map or slice a []byte becomes base64, as always
	// in encoding/json.
	Data any `json:"data,omitempty"`
	// MultipartFormData is the body in place of Data if the Content-Type is multipart/form-data.
	MultipartFormData []PassthroughFormField `json:"multipart_form_data,omitempty"`
	// ResponseAsBase64 is for responses that are not text, such as PDFs; see [PassthroughResponse.Bytes].
	ResponseAsBase64 bool `json:"response_as_base64,omitempty"`
	// APIOptions are for very advanced uses. Kombo does not document them.
	APIOptions map[string]string `json:"api_options,omitempty"`
}

var passthroughMethods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (r PassthroughRequest) validate() error {
	switch {
	case r.Method == "":
		return inputError("Method is required")
	case !slices.Contains(passthroughMethods, r.Method):
		return inputError("Method is not one of " + strings.Join(passthroughMethods, ", "))
	case r.Path == "":
		return inputError("Path is required")
	case r.Data != nil && r.MultipartFormData != nil:
		return inputError("Data and MultipartFormData exclude each other")
	case becomesOther(reflect.ValueOf(r.Data)):
		return inputError("Data would not be sent as it is: for bytes or a reader, give a json.RawMessage (JSON) or a string (text)")
	}
	for _, field := range r.MultipartFormData {
		if err := field.validate(); err != nil {
			return inputError("MultipartFormData: " + err.Error())
		}
	}
	return nil
}

// becomesOther reports whether data is bytes, which encoding/json sends in base64, or as numbers if they are an array,
// or a reader or buffer, which it sends as {}.
func becomesOther(data reflect.Value) bool {
	for data.IsValid() {
		switch data.Interface().(type) {
		case json.Marshaler, encoding.TextMarshaler:
			return false
		case io.Reader, io.Writer:
			return true
		}
		kind := data.Kind()
		if kind != reflect.Pointer && kind != reflect.Interface {
			return (kind == reflect.Slice || kind == reflect.Array) && data.Type().Elem().Kind() == reflect.Uint8
		}
		data = data.Elem()
	}
	return false
}

// PassthroughFormField is a field of a form: text, or a file.
type PassthroughFormField struct {
	// Name is the key of the field. Required.
	Name string
	// Value is the text, unless there is a File.
	Value string
	File  *PassthroughFile
}

func (f PassthroughFormField) validate() error {
	switch {
	case f.Name == "":
		return inputError("Name is required")
	case f.File == nil:
		return nil
	case f.Value != "":
		return inputError("Value and File exclude each other")
	case f.File.Name == "":
		return inputError("File.Name is required")
	case (f.File.DataURL == "") == (f.File.Data == nil):
		return inputError("File needs either Data or DataURL")
	case f.File.Data != nil && f.File.ContentType == "":
		return inputError("File.ContentType is required with Data")
	}
	return nil
}

// MarshalJSON writes the value that there is.
func (f PassthroughFormField) MarshalJSON() ([]byte, error) {
	value := any(f.Value)
	if f.File != nil {
		value = f.File
	}
	return marshal(struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}{f.Name, value})
}

// PassthroughFile is a file of a form.
type PassthroughFile struct {
	// Name is for people, with an extension that fits, such as "Resume.pdf". Required.
	Name string `json:"name"`
	// ContentType is a media type such as "application/pdf". Required with Data.
	ContentType string `json:"content_type,omitempty"`
	// DataURL is where Kombo fetches the file, at once and without authentication. Kombo
	// recommends it over Data.
	DataURL string `json:"data_url,omitempty"`
	// Data is the file itself.
	Data []byte `json:"data,omitzero"`
}

// PassthroughResponse is the response of a tool.
type PassthroughResponse struct {
	// URL is where Kombo sent the request, to find mistakes in Path.
	URL string `json:"url"`
	// StatusCode is the tool's: a 404 or 500 is not an error of the call.
	StatusCode int `json:"status"`
	// Header is the tool's, with canonical names. Values that are not strings are in it as JSON. Of headers that
	// take more than 64 KiB, it has those at the beginning.
	Header http.Header `json:"headers"`
	// Data is the response body: the tool's JSON, or else a JSON string (base64 if ResponseAsBase64 was set).
	// It is nil if there is no body.
	Data json.RawMessage `json:"data,omitempty"`
	// Warnings are from Kombo to developers: log them. At most 100 are kept.
	Warnings []Warning `json:"-"`
}

// passthroughData is the data of the response to a passthrough. Only its status matters to every caller.
type passthroughData struct {
	URL    string            `json:"url"`
	Status int               `json:"status"`
	Header passthroughHeader `json:"headers"`
	Data   json.RawMessage   `json:"data"`
}

func (d *passthroughData) missing() string {
	if d.Status == 0 {
		return "status"
	}
	return ""
}

func (d *passthroughData) response() *PassthroughResponse {
	response := &PassthroughResponse{URL: d.URL, StatusCode: d.Status, Header: d.Header.header, Data: d.Data}
	if response.Header == nil {
		response.Header = http.Header{}
	}
	return response
}

// UnmarshalJSON reads headers of one value and of several.
func (r *PassthroughResponse) UnmarshalJSON(document []byte) error {
	var decoded passthroughData
	if err := json.Unmarshal(document, &decoded); err != nil {
		return err
	}
	*r = *decoded.response()
	return nil
}

// passthroughHeader decodes the headers of a tool, whatever their form, without failing: the request has been
// executed. A value that is no string becomes its JSON text, and null becomes no value. It has no exported
// fields, so boundedjson leaves it to maxHeaders to bound what it takes.
type passthroughHeader struct{ header http.Header }

// maxHeaders is how many bytes of the headers are decoded, which takes up to forty times as much memory. HTTP clients
// accept 16 KiB (Node.js, which Kombo uses) to 1 MiB.
const maxHeaders = 64 << 10

// UnmarshalJSON adds values in the order of the document: names may differ only in case, and the last of several
// cookies wins.
func (h *passthroughHeader) UnmarshalJSON(document []byte) error {
	header := http.Header{}
	h.header = header
	decoder := json.NewDecoder(io.LimitReader(bytes.NewReader(document), maxHeaders))
	if first, _ := decoder.Token(); first != json.Delim('{') {
		return nil
	}
	for decoder.More() {
		key, _ := decoder.Token()
		var value json.RawMessage
		_ = decoder.Decode(&value)
		if value == nil || decoder.InputOffset() == maxHeaders {
			break // at the limit, which may cut a number
		}
		name, _ := key.(string)
		values := []json.RawMessage{value}
		if value[0] == '[' {
			_ = json.Unmarshal(value, &values)
		}
		for _, value := range values {
			if string(value) != "null" {
				header.Add(name, textOf(value))
			}
		}
	}
	return nil
}

// MarshalJSON writes headers as Kombo does: one value as a string.
func (r PassthroughResponse) MarshalJSON() ([]byte, error) {
	type plain PassthroughResponse // without this method
	headers := make(map[string]any, len(r.Header))
	for name, values := range r.Header {
		headers[name] = values
		if len(values) == 1 {
			headers[name] = values[0]
		}
	}
	return marshal(struct {
		plain
		Headers map[string]any `json:"headers"`
	}{plain(r), headers})
}

// Bytes returns the body of a response to a request with ResponseAsBase64. For others, decode Data.
func (r *PassthroughResponse) Bytes() ([]byte, error) {
	var encoded string
	if err := json.Unmarshal(r.Data, &encoded); err != nil {
		return nil, errors.New("kombo: PassthroughResponse.Bytes: the data is not a string")
	}
	body, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("kombo: PassthroughResponse.Bytes: the data is not base64; was ResponseAsBase64 set?")
	}
	return body, nil
}

var passthroughOperation = transport.Operation{Method: http.MethodPost, Path: "/passthrough/{tool}/{api}", NonIdempotent: true}

// Passthrough sends a request to the own API of the tool behind an integration, for what Kombo's API does not
// cover. Kombo's documentation lists the APIs of each tool; many tools have one, named after the tool.
//
// It is retried only if it was not executed, such as after a 429, or after [CodeRemoteServiceUnavailable], also if
// Method is GET. It fails with [ErrIntegrationNotFound] if there is no such integration. An error response of the
// tool is not an error.
//
// Kombo's documentation: https://docs.kombo.dev/v1/post-passthrough-tool-api
func (s *IntegrationsService) Passthrough(ctx context.Context, integrationID, tool, api string, request PassthroughRequest) (*PassthroughResponse, error) {
	decoded, err := callForResponse[passthroughData](ctx, (*service)(s), passthroughOperation, input{
		body: request, pathValues: []string{tool, api}, integrationID: integrationID, err: checkHeaderID(integrationID),
	})
	if err != nil {
		return nil, err
	}
	response := decoded.Data.response()
	response.Warnings = decoded.warnings()
	return response, nil
}
