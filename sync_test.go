package kombo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

func TestSync(t *testing.T) {
	t.Parallel()
	for syncType, wantBody := range map[kombo.SyncType]string{
		"": `{}`, kombo.SyncDelta: `{"type":"DELTA"}`, kombo.SyncFull: `{"type":"FULL"}`, "NEW": `{"type":"NEW"}`,
	} {
		response := fixture(t, "sync")
		client, got := mocked(t, "*", "", 200, response)
		sync, err := client.Integrations.Sync(t.Context(), testIntegrationID, syncType)
		if err != nil {
			t.Fatal(err)
		}
		want := &kombo.SyncRun{ID: "119ihtp91nA3dqRFiV67nX1s", AlreadyQueued: true, Type: kombo.SyncDelta}
		if diff := cmp.Diff(want, sync); diff != "" {
			t.Errorf("sync (-want +got):\n%s", diff)
		}
		checkSent(t, got, "POST", "https://api.kombo.dev/v1/force-sync", wantBody, testIntegrationID)
		checkRoundTrip(t, response, sync)
	}
}

func TestSyncIncomplete(t *testing.T) {
	t.Parallel()
	for response, want := range map[string]string{
		`{"status":"success","data":{"already_queued":true,"type":"FULL"}}`: "data.sync_id is missing",
		`{"status":"success","data":{"sync_id":null}}`:                      "data.sync_id is missing",
		`{"status":"success","data":null}`:                                  "it has no data",
	} {
		client, _ := mocked(t, "*", "", 200, response)
		_, err := client.Integrations.Sync(t.Context(), testIntegrationID, "")
		if !errors.Is(err, kombo.ErrUnexpectedResponse) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %s", response, err, want)
		}
	}
}

func TestIntegrationInTheHeaderIsChecked(t *testing.T) {
	t.Parallel()
	for id, problem := range map[string]string{
		"":                        "integration_id is empty",
		"personio:1\r\nX-A: b":    "integration_id contains characters that are not allowed in a header",
		"personio 1":              "integration_id contains characters that are not allowed in a header",
		"personió:1":              "integration_id contains characters that are not allowed in a header",
		strings.Repeat("x", 8193): "integration_id is longer than 8192 bytes",
	} {
		client, got := mocked(t, "*", "", 200, "{}")
		_, err := client.Integrations.Sync(t.Context(), id, "")
		checkRefused(t, err, got, "kombo: POST /force-sync: "+problem+" (nothing was sent)")
		_, err = client.Integrations.Passthrough(t.Context(), id, "personio", "api", kombo.PassthroughRequest{Method: "GET", Path: "/"})
		checkRefused(t, err, got, "kombo: POST /passthrough/{tool}/{api}: "+problem+" (nothing was sent)")
	}
}
