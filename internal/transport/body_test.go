package transport

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compressed.String()
}

// If a body arrives but cannot be decompressed, its status counts, also for retries. If a body is cut off, it has not
// arrived, compressed or not.
func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	const text = `{"status":"error","error":{"message":"The text is long enough to be compressed."}}`
	good := gzipped(t, text)
	damaged := func(from int) string { // flips a byte
		bytes := []byte(good)
		bytes[(from+len(bytes))%len(bytes)] ^= 0x55
		return string(bytes)
	}
	const undecodable, network = "undecodable", "network"
	tests := []struct {
		name, encoding, body string
		want                 string
	}{
		{"gzip", "gzip", good, text},
		{"x-gzip", "x-gzip", good, text},
		{"in capitals", "GZIP", good, text},
		{"with identity", "identity, gzip", good, text},
		{"two members", "gzip", good + good, text + text},
		{"identity", "identity", text, text},
		{"no name", " ", text, text},
		{"a character set", "UTF-8", text, text},
		{"a character set and gzip", "utf-8, gzip", good, text},
		{"none", "none", text, text},
		{"binary", "binary", text, text},
		{"no body", "gzip", "", ""},
		{"no body in an unknown encoding", "br", "", ""},
		{"plain text", "gzip", text, undecodable},
		{"text without compression that is short", "gzip", "{}", undecodable},
		{"truncated", "gzip", good[:len(good)-20], undecodable},
		{"truncated before the checksum", "gzip", good[:len(good)-8], undecodable},
		{"truncated in its header", "gzip", good[:5], undecodable},
		{"one byte", "gzip", good[:1], undecodable},
		{"bad checksum", "gzip", damaged(-8), undecodable},
		{"bad length", "gzip", damaged(-1), undecodable},
		{"bad data", "gzip", damaged(20), undecodable},
		{"bad magic", "gzip", damaged(0), undecodable},
		{"something behind it", "gzip", good + "\n", undecodable},
		{"compressed twice", "gzip, gzip", gzipped(t, good), undecodable},
		{"br", "br", "\x0b\x02\x80{}\x03", undecodable},
		{"zstd", "zstd", text, undecodable},
		{"deflate", "deflate", text, undecodable},
		{"unknown", "eyJhbGciOiJIUzI1NiJ9", text, undecodable},
		{"cut", "gzip", good + "cut", network},
		{"cut plain text", "gzip", "{" + "cut", network},
		{"cut before the body", "gzip", "cut", network},
		{"cut in an unknown encoding", "br", "{" + "cut", network},
	}
	for _, test := range tests {
		for _, status := range []int{200, 404, 503} {
			for _, http2 := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/http2=%v", test.name, status, http2), func(t *testing.T) {
					t.Parallel()
					var requests atomic.Int64
					server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						requests.Add(1)
						body, cut := strings.CutSuffix(test.body, "cut")
						w.Header().Set("Content-Encoding", test.encoding)
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(status)
						_, _ = io.WriteString(w, body)
						if cut {
							_ = http.NewResponseController(w).Flush()
							panic(http.ErrAbortHandler)
						}
					}))
					server.EnableHTTP2 = http2
					server.StartTLS()
					defer server.Close()
					for _, operation := range []Operation{read, once} {
						requests.Store(0)
						resp, err := newTest(nil, func(c *Config) {
							c.BaseURL, c.HTTPClient = server.URL, server.Client()
							c.Retry = RetryPolicy{MaxAttempts: 4, BaseDelay: 1, MaxDelay: 1}
						}).do(t.Context(), operation)
						wantRequests := int64(1)
						if !operation.NonIdempotent && (status == 503 || test.want == network) {
							wantRequests = 4
						}
						if requests.Load() != wantRequests {
							t.Errorf("%d requests, want %d", requests.Load(), wantRequests)
						}
						if test.want == network {
							if _, ok := errors.AsType[*CallError](err); !ok {
								t.Errorf("response = %+v, %v, want a CallError", resp, err)
							}
							continue
						}
						if err != nil || resp.StatusCode != status {
							t.Fatalf("response = %+v, %v", resp, err)
						}
						want := test.want
						if want == undecodable {
							want = ""
						}
						if resp.Undecodable != (test.want == undecodable) || string(resp.Body) != want || resp.TooLarge {
							t.Errorf("response = %+v, body %q, want %q", resp, resp.Body, test.want)
						}
					}
				})
			}
		}
	}
}

func TestDecompressedBodyOverTheLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		size int
		want bool
	}{{testMaxBody, false}, {testMaxBody + 1, true}, {20 * testMaxBody, true}} {
		s := &script{steps: []step{{status: 200, header: headers("Content-Encoding: gzip"), body: gzipped(t, strings.Repeat("x", test.size))}}}
		resp, err := newTest(s, nil).do(t.Context(), read)
		if err != nil || resp.TooLarge != test.want || len(resp.Body) != min(test.size, testMaxBody) || resp.Undecodable {
			t.Errorf("%d bytes: TooLarge = %v with %d bytes, %v", test.size, resp.TooLarge, len(resp.Body), err)
		}
	}
	s := &script{steps: []step{{status: 200, header: headers("Content-Encoding: gzip"), body: strings.Repeat("x", testMaxBody+1)}}}
	resp, err := newTest(s, nil).do(t.Context(), read)
	if err != nil || !resp.TooLarge || resp.Body != nil {
		t.Errorf("compressed body over the limit: TooLarge = %v with %d bytes, %v", resp.TooLarge, len(resp.Body), err)
	}
}

// If a transport disables compression, none is requested. A compressed response is decompressed all the same.
func TestDisableCompression(t *testing.T) {
	t.Parallel()
	compressed := gzipped(t, "{}")
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = strings.Join(r.Header["Accept-Encoding"], "|")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, compressed)
	}))
	defer server.Close()
	for _, disabled := range []bool{false, true} {
		base := &http.Transport{DisableCompression: disabled}
		defer base.CloseIdleConnections()
		resp, err := newTest(nil, func(c *Config) {
			c.BaseURL, c.HTTPClient = server.URL, &http.Client{Transport: base}
		}).do(t.Context(), read)
		if err != nil || string(resp.Body) != "{}" || (asked == "gzip") == disabled || (asked == "") != disabled {
			t.Errorf("disabled %v: response = %+v, %v, asked for %q", disabled, resp, err, asked)
		}
	}
}

// What a body announces changes what is reserved for it, never what is read. At most eight times what came is reserved
// and for a body as long as announced a fifth more than its length.
func TestReadAll(t *testing.T) { //nolint:paralleltest // counts what is allocated
	for _, size := range []int{0, 1, maxReserved - 1, maxReserved, maxReserved + 1, 100_000, 8 * maxReserved, 8*maxReserved + 1, 3_000_000} {
		content := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		for _, announced := range []int64{-1, 0, int64(size), int64(size) - 1, int64(size) + 1, 10, 1 << 40} {
			for _, limit := range []int64{1 << 30, int64(size), int64(size) / 2, 1 << 20} {
				var read []byte
				var err error
				took := allocated(func() { read, err = ReadAll(bytes.NewReader(content), announced, limit) })
				want := content[:min(int64(size), limit)]
				if err != nil || !bytes.Equal(read, want) {
					t.Errorf("%d bytes, announced %d, limit %d: %d bytes, %v", size, announced, limit, len(read), err)
				}
				most := 10*len(want) + 3*maxReserved
				if int(announced) == size && int(limit) >= size {
					most = size*6/5 + 2*maxReserved
				}
				if took > most {
					t.Errorf("%d bytes, announced %d, limit %d: %d bytes were allocated, want at most %d", size, announced, limit, took, most)
				}
			}
		}
	}
}

// allocated returns how many bytes f allocates, the least of three times: others may allocate at the same time.
func allocated(f func()) int {
	least := math.MaxInt
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, int(after.TotalAlloc-before.TotalAlloc))
	}
	return least
}
