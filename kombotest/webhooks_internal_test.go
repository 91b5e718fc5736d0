package kombotest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWaits(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := []struct {
		name       string
		redelivery Redelivery
		want       []time.Duration
	}{
		{"default", Redelivery{}, []time.Duration{10 * ms, 20 * ms, 40 * ms, 80 * ms}},
		{"limited", Redelivery{BaseDelay: 3 * ms, MaxDelay: 10 * ms}, []time.Duration{3 * ms, 6 * ms, 10 * ms, 10 * ms}},
		{"limited at once", Redelivery{BaseDelay: time.Hour}, []time.Duration{time.Minute, time.Minute, time.Minute, time.Minute}},
		{"exact", Redelivery{BaseDelay: 5 * ms, MaxDelay: 10 * ms}, []time.Duration{5 * ms, 10 * ms, 10 * ms, 10 * ms}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []time.Duration
			for attempt := 1; attempt <= 4; attempt++ {
				got = append(got, test.redelivery.wait(attempt))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
		})
	}
	if got := (Redelivery{}).wait(1000); got != time.Minute {
		t.Errorf("the thousandth wait is %s", got)
	}
}
