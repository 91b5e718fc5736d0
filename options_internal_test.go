package kombo

import (
	"testing"
	"time"

	"github.com/kombo-go/kombo/internal/transport"
)

// The documented sizes.
func TestLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		got, want int
	}{
		{"MaxWebhookBody", MaxWebhookBody, 1_048_576},
		{"MaxErrorBody", MaxErrorBody, 65_536},
		{"DefaultMaxResponseSize", DefaultMaxResponseSize, 10_485_760},
		{"maxFlowBody", maxFlowBody, 65_536},
		{"maxErrorLine", maxErrorLine, 500},
		{"maxErrorMessage", maxErrorMessage, 8_192},
		{"maxEmptyPages", maxEmptyPages, 100},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("%s = %d, want %d", test.name, test.got, test.want)
		}
	}
}

// Kombo's SDKs allow 300 seconds for every POST.
func TestTimeoutsOfOperations(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		operation transport.Operation
		want      time.Duration
	}{
		{createLinkOperation, 300 * time.Second},
		{relinkOperation, 300 * time.Second},
		{setupLinkOperation, 300 * time.Second},
		{syncOperation, 300 * time.Second},
		{passthroughOperation, 300 * time.Second},
		{checkAPIKeyOperation, 60 * time.Second},
		{getIntegrationOperation, 60 * time.Second},
	} {
		if got := (&config{}).attemptTimeout()(test.operation); got != test.want {
			t.Errorf("%s: %v, want %v", test.operation, got, test.want)
		}
	}
}
