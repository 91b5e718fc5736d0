package kombotest

import (
	"testing"
)

// A server that runs for a long time does not keep all records.
func TestRecordForgets(t *testing.T) {
	t.Parallel()
	var r record[int]
	for range 3*recordLimit + 1 {
		if got := r.next(); got != r.total+1 {
			t.Fatalf("next = %d", got)
		}
		r.add(r.next())
		if len(r.entries) > recordLimit || len(r.entries) < min(r.total, recordLimit/2) {
			t.Fatalf("%d of %d entries", len(r.entries), r.total)
		}
	}
	if newest := r.entries[len(r.entries)-1]; newest != 3*recordLimit+1 {
		t.Errorf("the newest is %d", newest)
	}
}
