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
	const want = `connect a customer
  kombo POST /connect/create-link http.response.status_code=200
    POST /connect/create-link http.response.status_code=503 error.type=503
    POST /connect/create-link http.request.resend_count=1 http.response.status_code=200
  kombo GET /connect/integration-by-token/{token} http.response.status_code=200
    GET /connect/integration-by-token/{token} http.response.status_code=200
  kombo GET /integrations/{integration_id} http.response.status_code=404 error.type=404: kombo: GET /integrations/{integration_id}: 404 PLATFORM.INTEGRATION_NOT_FOUND: There is no integration with this id in this environment. (attempts: 1)
    GET /integrations/{integration_id} http.response.status_code=404 error.type=404
POST /webhooks/kombo kombo.event.type=integration-created http.response.status_code=204
  kombo GET /integrations/{integration_id} http.response.status_code=200
    GET /integrations/{integration_id} http.response.status_code=200
`
	if diff := cmp.Diff(want, output.String()); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}
