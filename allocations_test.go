package kombo_test

import (
	"encoding/json"
	"math"
	"net/http"
	"runtime"
	"testing"

	"github.com/kombo-go/kombo"
)

// A call allocates little more than net/http, go-retryablehttp and encoding/json do. The transport makes 4 of the allocations.
func TestCallAllocates(t *testing.T) {
	if raceDetector() {
		t.Skip("the race detector makes pools forget")
	}
	link := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: staticTransport(http.StatusOK, []byte(`{"status":"success","data":{"link":"`+testLink+`"}}`))}))
	read := newClient(t, kombo.WithHTTPClient(&http.Client{Transport: staticTransport(http.StatusOK, []byte(`{"status":"success","data":{}}`))}))
	for name, test := range map[string]struct {
		call func() error
		most float64
	}{
		"CreateLink": {func() error {
			_, err := link.Connect.CreateLink(t.Context(), linkRequest)
			return err
		}, 44},
		"Delete": {func() error { return read.Integrations.Delete(t.Context(), testIntegrationID) }, 46},
	} {
		if got := testing.AllocsPerRun(200, func() {
			if err := test.call(); err != nil {
				t.Fatal(err)
			}
		}); got > test.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", name, got, test.most)
		} else {
			t.Logf("%s: %.0f allocations", name, got)
		}
	}
}

// Parsing a body in Kombo's form allocates what decoding its data into a struct does, plus the event's ID.
func TestKombosFormIsDecodedOnce(t *testing.T) {
	body := webhook(t, "integration-state-changed")
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal(body, &envelope); err != nil {
		t.Fatal(err)
	}
	count := func(decode func() error) float64 {
		return testing.AllocsPerRun(100, func() {
			if err := decode(); err != nil {
				t.Fatal(err)
			}
		})
	}
	data := count(func() error { return json.Unmarshal(envelope.Data, new(kombo.IntegrationStateChangedData)) })
	event := count(func() error {
		_, err := kombo.ParseEvent(body)
		return err
	})
	// With the race detector, sync.Pool drops some objects, and newer decoders use pools.
	if event > data+1 && !raceDetector() {
		t.Errorf("%v allocations, and %v for the data alone", event, data)
	}
}

// The data is decoded directly into the event, without a copy, for any size and any order of the members.
func TestDataIsNotCopied(t *testing.T) {
	for _, filling := range []string{"text", "objects", "braces"} {
		for name, form := range webhookForms {
			for _, size := range []int{16 << 10, 21 << 10, kombo.MaxWebhookBody} {
				body := filledWebhook(form, filling, size)
				verifier := newVerifier(t, testSecret)
				signature := kombo.SignWebhook(testSecret, body)
				took := allocated(func() {
					if err := checkEvent(verifier.Parse(body, signature)); err != nil {
						t.Errorf("%s, %s, %d bytes: %v", name, filling, size, err)
					}
				})
				if took > 8<<10 {
					t.Errorf("%s, %s, %d bytes: %d bytes were allocated", name, filling, size, took)
				}
			}
		}
	}
}

// allocated returns how many bytes f allocates, the least of three times: others may allocate at the same time.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
