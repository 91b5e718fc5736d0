package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	if err := run(t.Context(), &output); err != nil {
		t.Fatal(err)
	}
	const want = `POST /v1/connect/create-link Error 503 Service Unavailable
POST /v1/connect/create-link Unset
GET /v1/connect/integration-by-token/{token} Unset
connect a customer Unset
`
	if diff := cmp.Diff(want, output.String()); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

func TestRoute(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/v1/check-api-key":                        "/v1/check-api-key",
		"/v1/connect/integration-by-token/eyJ.a.b": "/v1/connect/integration-by-token/{token}",
		"/v1/integrations/personio%3A1":            "/v1/integrations/{integration_id}",
		"/v1/integrations/personio%3A1/relink":     "/v1/integrations/{integration_id}/relink",
		"/v1/integrations/integrations/relink":     "/v1/integrations/{integration_id}/relink",
	} {
		if got := route(path); got != want {
			t.Errorf("route(%s) = %s, want %s", path, got, want)
		}
	}
}
