package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	if err := run(t.Context(), &output); err != nil || output.String() != "customer 42 has connected personio\n" {
		t.Errorf("%v, %s", err, &output)
	}
}

func TestReceive(t *testing.T) {
	t.Parallel()
	verifier, err := kombo.NewWebhookVerifier("secret")
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"id":"1","type":"data-changed","data":{"integration_id":"personio:1"}}`
	tests := []struct {
		name, body, signature string
		full                  bool
		wantStatus            int
	}{
		{"right", body, kombo.SignWebhook("secret", []byte(body)), false, http.StatusNoContent},
		{"not signed", body, "", false, http.StatusUnauthorized},
		{"wrongly signed", body, kombo.SignWebhook("guess", []byte(body)), false, http.StatusUnauthorized},
		{"no event", "{}", kombo.SignWebhook("secret", []byte("{}")), false, http.StatusBadRequest},
		{"too large", strings.Repeat(" ", kombo.MaxWebhookBody+1), "x", false, http.StatusRequestEntityTooLarge},
		{"the queue is full", body, kombo.SignWebhook("secret", []byte(body)), true, http.StatusServiceUnavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bodies := make(queue, 1)
			if test.full {
				bodies <- nil
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(test.body))
			r.Header.Set(kombo.SignatureHeader, test.signature)
			w := httptest.NewRecorder()
			receive(verifier, bodies)(w, r)
			if w.Code != test.wantStatus {
				t.Errorf("status = %d, want %d", w.Code, test.wantStatus)
			}
			if w.Code == http.StatusNoContent && string(<-bodies) != test.body {
				t.Error("the body in the queue is another")
			}
		})
	}
}
