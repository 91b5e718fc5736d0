package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	if err := run(t.Context(), &output); err != nil {
		t.Fatal(err)
	}
	const want = `to begin with        old secret: accepted  new secret: rejected
while it changes     old secret: accepted  new secret: accepted
when it has changed  old secret: rejected  new secret: accepted
`
	if diff := cmp.Diff(want, output.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestAnEmptySecretChangesNothing(t *testing.T) {
	t.Parallel()
	handler := &rotating{}
	if err := handler.accept(kombo.EventHandlers{}, "secret"); err != nil {
		t.Fatal(err)
	}
	before := handler.current.Load()
	if err := handler.accept(kombo.EventHandlers{}, ""); err == nil || handler.current.Load() != before {
		t.Errorf("err = %v", err)
	}
}
