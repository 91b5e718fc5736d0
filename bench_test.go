package kombo_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

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

// BenchmarkParse compares verifying and decoding a webhook with the least that a service could do: a
// fresh HMAC and one decoding into the struct of a type that is known beforehand.
//
//	go test -run - -bench Parse -count 10
func BenchmarkParse(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	signature := kombo.SignWebhook(testSecret, body)

	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			mac := hmac.New(sha256.New, []byte(testSecret))
			mac.Write(body)
			given, err := base64.RawURLEncoding.DecodeString(signature)
			if err != nil || !hmac.Equal(mac.Sum(nil), given) {
				b.Fatal("wrong signature")
			}
			var event stateChanged
			if err := json.Unmarshal(body, &event); err != nil || event.Type != "integration-state-changed" || event.Data.IntegrationID == "" {
				b.Fatal(err)
			}
		}
	})
	b.Run("kombo", func(b *testing.B) {
		verifier := newVerifier(b, testSecret)
		b.ReportAllocs()
		for b.Loop() {
			event, err := verifier.Parse(body, signature)
			if err != nil {
				b.Fatal(err)
			}
			if e, ok := event.(*kombo.IntegrationStateChangedEvent); !ok || e.Data.IntegrationID == "" {
				b.Fatal("wrong event")
			}
		}
	})
}

// BenchmarkVerify shows what the signature alone costs.
func BenchmarkVerify(b *testing.B) {
	body := webhook(b, "integration-state-changed")
	signature := kombo.SignWebhook(testSecret, body)
	verifier := newVerifier(b, testSecret)
	b.ReportAllocs()
	for b.Loop() {
		if err := verifier.Verify(body, signature); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreateLink compares one call over loopback with the same by net/http and encoding/json
// alone, on the same kind of connection.
//
//	go test -run - -bench CreateLink -count 10
func BenchmarkCreateLink(b *testing.B) {
	answer := []byte(`{"status":"success","data":{"link":"` + testLink + `"}}`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	defer server.Close()

	b.Run("floor", func(b *testing.B) {
		transport := &http.Transport{MaxIdleConnsPerHost: 256}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		b.ReportAllocs()
		for b.Loop() {
			link, err := createLinkByHand(b.Context(), client, server.URL+"/v1/connect/create-link")
			if err != nil || link != testLink {
				b.Fatal(err)
			}
		}
	})
	b.Run("kombo", func(b *testing.B) {
		client := newClient(b, kombo.WithBaseURL(server.URL+"/v1"))
		b.ReportAllocs()
		for b.Loop() {
			link, err := client.Connect.CreateLink(b.Context(), linkRequest)
			if err != nil || link.URL != testLink {
				b.Fatal(err)
			}
		}
	})
}

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
