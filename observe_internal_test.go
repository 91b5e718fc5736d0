package kombo

import (
	"context"
	"testing"
)

func TestNoObserverCostsNothing(t *testing.T) { //nolint:paralleltest // counts allocations
	ctx := t.Context()
	if allocations := testing.AllocsPerRun(100, func() {
		if observerOf((&service{}).callContext(ctx, checkAPIKeyOperation)) != nil {
			t.Error("there is an observer")
		}
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
	var none context.Context
	if observerOf(none) != nil {
		t.Error("no context has an observer")
	}
}
