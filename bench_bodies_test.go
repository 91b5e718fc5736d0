package kombo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
)

// staticTransport responds to each request with the same body, without a network.
func staticTransport(status int, body []byte) http.RoundTripper {
	return roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return &http.Response{
			StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
			ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
		}, nil
	})
}

// readByHand makes a request and reads the response.
func readByHand(client *http.Client, method string) ([]byte, error) {
	request, err := http.NewRequest(method, "https://api.kombo.dev/v1/x", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}

// errorBodies are bodies of error responses.
func errorBodies() map[string][]byte {
	return map[string][]byte{
		"html":    htmlPage(64 << 10),
		"hostile": nearlySecret(64 << 10),
		"large":   []byte(`{"status":"error","error":{"code":"PLATFORM.INPUT_INVALID","message":"` + strings.Repeat("x", 10<<20-100) + `"}}`),
	}
}

// htmlPage is the error page of a gateway with so many bytes.
func htmlPage(size int) []byte {
	page := []byte("<!DOCTYPE html>\n<html>\n<body>\n<h1>502 Bad Gateway</h1>\n<table>\n")
	for i := 0; len(page) < size; i++ {
		page = fmt.Appendf(page, "\t<tr class=\"row\" style=\"width:100%%\">\n\t\t<td>&nbsp;Node %d</td>\n\t\t<td><a href=\"/status?id=%d&amp;sort=name\">The upstream server did not respond in time.</a></td>\n\t</tr>\n", i, i)
	}
	return page[:size]
}

// longToken is a token of 8 KB, longer than any that Kombo documents.
var longToken = strings.Repeat("eyJzdWIiOiIxMjM0NTY3ODkwIiwi", (8<<10)/28) + "!"

// nearlySecret repeats longToken, without its last character.
func nearlySecret(size int) []byte {
	return []byte(strings.Repeat(longToken[:len(longToken)-1], size/len(longToken)))
}

// An error whose body has 64 KB of HTML, one that nearly repeats the token of the request, and one of 10 MB. The floor
// reads the body.
func BenchmarkErrorBody(b *testing.B) {
	for name, body := range errorBodies() {
		b.Run("body="+name, func(b *testing.B) {
			transport := staticTransport(http.StatusForbidden, body)
			client := newClient(b, kombo.WithHTTPClient(&http.Client{Transport: transport}), kombo.WithMaxResponseSize(20<<20))
			byHand := &http.Client{Transport: transport}
			token := testToken
			if name == "hostile" {
				token = longToken
			}
			compare(b, 1, 20,
				contestant{by: "floor", begin: always(func() error {
					_, err := readByHand(byHand, http.MethodGet)
					return err
				})},
				contestant{by: "kombo", begin: always(func() error {
					_, err := client.Connect.IntegrationByToken(b.Context(), token)
					if e, ok := errors.AsType[*kombo.Error](err); !ok || e.StatusCode != http.StatusForbidden {
						return fmt.Errorf("error = %w", err)
					}
					return nil
				})},
			)
		})
	}
}

// passthroughBody is a response of so many bytes, nearly all in one string.
func passthroughBody(size int) []byte {
	const around = `{"status":"success","data":{"url":"https://tool.example/files/1","status":200,"headers":{"content-type":"application/pdf"},"data":"%s"},"warnings":[]}`
	return fmt.Appendf(nil, around, strings.Repeat("JVBERi0x", (size-len(around))/8))
}

// A file of a tool in one string. The floor reads and decodes it.
func BenchmarkPassthrough(b *testing.B) {
	for _, size := range []int{100 << 10, 9 << 20} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			body := passthroughBody(size)
			transport := staticTransport(http.StatusOK, body)
			client := newClient(b, kombo.WithHTTPClient(&http.Client{Transport: transport}))
			byHand := &http.Client{Transport: transport}
			compare(b, 1, 1+(1<<20)/size,
				contestant{by: "floor", begin: always(func() error {
					content, err := readByHand(byHand, http.MethodPost)
					if err != nil {
						return err
					}
					var decoded struct {
						Status string `json:"status"`
						Data   struct {
							URL     string            `json:"url"`
							Status  int               `json:"status"`
							Headers map[string]string `json:"headers"`
							Data    json.RawMessage   `json:"data"`
						} `json:"data"`
					}
					if err := json.Unmarshal(content, &decoded); err != nil || len(decoded.Data.Data) < size/2 {
						return fmt.Errorf("decoded %d bytes: %w", len(decoded.Data.Data), err)
					}
					return nil
				})},
				contestant{by: "kombo", begin: always(func() error {
					response, err := client.Integrations.Passthrough(b.Context(), testIntegrationID, "tool", "api", kombo.PassthroughRequest{Method: http.MethodGet, Path: "/files/1"})
					if err == nil && len(response.Data) < size/2 {
						err = errors.New("the data is missing")
					}
					return err
				})},
			)
		})
	}
}
