package kombo_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

// The benchmarks compare this package ("by=kombo") with the least that a program could do ("by=floor"),
// and where it helps with what a program does that is written by hand ("by=hand"). What they gave stands in
// docs/performance.md, with the command.

// benchCallers is how many call at once where several do.
const benchCallers = 64

// inParallel has 64 goroutines work; each makes its own work function, and calls it again and again.
func inParallel(b *testing.B, start func() (work func() error, stop func(), err error)) {
	b.SetParallelism((benchCallers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		work, stop, err := start()
		if err != nil {
			b.Error(err)
			return
		}
		defer stop()
		for pb.Next() {
			if err := work(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// stateChanged is what a good engineer would write by hand for one known event.
type stateChanged struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		IntegrationID       string        `json:"integration_id"`
		IntegrationTool     string        `json:"integration_tool"`
		IntegrationCategory string        `json:"integration_category"`
		EndUser             kombo.EndUser `json:"end_user"`
		State               string        `json:"state"`
		QAStatus            string        `json:"qa_status"`
		SetupStatus         string        `json:"setup_status"`
		UpdatedAt           time.Time     `json:"updated_at"`
	} `json:"data"`
}

func parseByHand(body []byte) error {
	var event stateChanged
	if err := json.Unmarshal(body, &event); err != nil {
		return err
	}
	if event.Type != "integration-state-changed" || event.Data.IntegrationID == "" {
		return errors.New("wrong event")
	}
	return nil
}

func verifyByHand(body []byte, signature string) error {
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write(body)
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(mac.Sum(nil), given) {
		return errors.New("wrong signature")
	}
	return nil
}

func checkEvent(event kombo.Event, err error) error {
	if err != nil {
		return err
	}
	if e, ok := event.(*kombo.IntegrationStateChangedEvent); !ok || e.Data.IntegrationID == "" {
		return errors.New("wrong event")
	}
	return nil
}

func benchmark(b *testing.B, work func() error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := work(); err != nil {
			b.Fatal(err)
		}
	}
}

// The floor is one decoding into the struct of a type that is known beforehand.
func BenchmarkParseEvent(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	b.Run("by=floor", func(b *testing.B) {
		benchmark(b, func() error { return parseByHand(body) })
	})
	b.Run("by=kombo", func(b *testing.B) {
		benchmark(b, func() error { return checkEvent(kombo.ParseEvent(body)) })
	})
}

// The floor is a fresh HMAC, and the same decoding.
func BenchmarkParse(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	signature := kombo.SignWebhook(testSecret, body)
	b.Run("by=floor", func(b *testing.B) {
		benchmark(b, func() error {
			if err := verifyByHand(body, signature); err != nil {
				return err
			}
			return parseByHand(body)
		})
	})
	b.Run("by=kombo", func(b *testing.B) {
		verifier := newVerifier(b, testSecret)
		benchmark(b, func() error { return checkEvent(verifier.Parse(body, signature)) })
	})
}

// The floor is a fresh HMAC.
func BenchmarkVerify(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	signature := kombo.SignWebhook(testSecret, body)
	b.Run("by=floor", func(b *testing.B) {
		benchmark(b, func() error { return verifyByHand(body, signature) })
	})
	b.Run("by=kombo", func(b *testing.B) {
		verifier := newVerifier(b, testSecret)
		benchmark(b, func() error { return verifier.Verify(body, signature) })
	})
}

// 64 connections over loopback, each with one webhook after the other. The floor only reads the body.
// The senders do as little as they can, for they take their time from the same processors.
func BenchmarkHandler(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	signature := kombo.SignWebhook(testSecret, body)
	handlers := []struct {
		by      string
		handler http.Handler
	}{
		{"floor", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n, err := io.Copy(io.Discard, r.Body); err != nil || n != int64(len(body)) {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})},
		{"hand", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, kombo.MaxWebhookBody))
			if err != nil || verifyByHand(content, r.Header.Get(kombo.SignatureHeader)) != nil || parseByHand(content) != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})},
		{"kombo", newVerifier(b, testSecret).Handler(kombo.EventHandlers{
			IntegrationStateChanged: func(_ context.Context, event *kombo.IntegrationStateChangedEvent) error {
				return checkEvent(event, nil)
			},
		})},
	}
	for _, test := range handlers {
		b.Run("by="+test.by, func(b *testing.B) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			request := fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: kombo\r\nUser-Agent: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s: %s\r\n\r\n%s",
				len(body), kombo.SignatureHeader, signature, body)
			b.ReportAllocs()
			inParallel(b, func() (func() error, func(), error) {
				connection, err := net.Dial("tcp", server.Listener.Addr().String())
				if err != nil {
					return nil, nil, err
				}
				answer := bufio.NewReader(connection)
				return func() error {
					if _, err := connection.Write(request); err != nil {
						return err
					}
					return readNoContent(answer)
				}, func() { _ = connection.Close() }, nil
			})
		})
	}
}

// readNoContent reads the head of an answer with the status 204, which has no body.
func readNoContent(answer *bufio.Reader) error {
	for first := true; ; first = false {
		line, err := answer.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 204 ")):
			return fmt.Errorf("answer = %s", line)
		case len(line) == len("\r\n"):
			return nil
		}
	}
}

// One call over loopback. The floor is the same by net/http and encoding/json alone, on a transport with
// the same settings. "conns" is how many connections were opened.
func BenchmarkCreateLink(b *testing.B) {
	for _, protocol := range []string{"http1", "http2"} {
		for _, callers := range []int{1, benchCallers} {
			for _, by := range []string{"floor", "kombo"} {
				b.Run(fmt.Sprintf("protocol=%s/callers=%d/by=%s", protocol, callers, by), func(b *testing.B) {
					benchmarkCreateLink(b, protocol == "http2", callers, by == "kombo")
				})
			}
		}
	}
}

func benchmarkCreateLink(b *testing.B, http2 bool, callers int, byKombo bool) {
	answer := []byte(`{"status":"success","data":{"link":"` + testLink + `"}}`)
	version := "HTTP/1.1"
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Proto != version {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	var connections atomic.Int64
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	transport := poolLike()
	defer transport.CloseIdleConnections()
	options := []kombo.Option{kombo.WithHTTPClient(&http.Client{Transport: transport})}
	if http2 {
		version = "HTTP/2.0"
		server.EnableHTTP2 = true
		server.StartTLS()
		transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	} else {
		server.Start()
		options = nil // the pool that a client has by default
	}
	defer server.Close()
	client := newClient(b, append(options, kombo.WithBaseURL(server.URL+"/v1"))...)
	bare := &http.Client{Transport: transport}

	call := func() error {
		if !byKombo {
			link, err := createLinkByHand(b.Context(), bare, server.URL+"/v1/connect/create-link")
			if err == nil && link != testLink {
				err = errors.New("wrong link")
			}
			return err
		}
		link, err := client.Connect.CreateLink(b.Context(), linkRequest)
		if err == nil && link.URL != testLink {
			err = errors.New("wrong link")
		}
		return err
	}
	if callers == 1 {
		benchmark(b, call)
	} else {
		b.ReportAllocs()
		inParallel(b, func() (func() error, func(), error) { return call, func() {}, nil })
	}
	b.ReportMetric(float64(connections.Load()), "conns")
}

// poolLike has the settings of the pool that clients have by default.
func poolLike() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// createLinkByHand does what one attempt takes: a time limit, the headers, and an answer that is read
// to its end, but not without end.
func createLinkByHand(ctx context.Context, client *http.Client, url string) (string, error) {
	body, err := json.Marshal(linkRequest)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+testAPIKey)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, 10<<20))
	if err != nil {
		return "", err
	}
	var decoded struct {
		Status string
		Data   struct{ Link string }
	}
	err = json.Unmarshal(content, &decoded)
	return decoded.Data.Link, err
}
