package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	// What the programs are made of, or else the go command would take a result from its cache after a change.
	_ "github.com/kombo-go/kombo/conformance/footprint/internal/service"
	_ "github.com/kombo-go/kombo/conformance/footprint/internal/use"
)

// What the SDK itself adds to a program, beyond what go-retryablehttp and log/slog do, and before main.
func TestFootprint(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds programs")
	}
	const most = 300_000 // bytes; 295,000 with Go 1.26 on amd64, if log/slog is used anyway
	directory := t.TempDir()
	var sizes [2]int64
	for i, program := range [...]string{"retryablehttp", "both"} {
		path, err := build(t.Context(), directory, program, withSlog)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes[i] = info.Size()
	}
	added := sizes[1] - sizes[0]
	t.Logf("the SDK adds %d bytes", added)
	if added > most {
		t.Errorf("the SDK adds %d bytes, want at most %d", added, most)
	}
	if _, modules, err := dependencies(t.Context(), "both"); err != nil || modules != 3 {
		t.Errorf("%d modules, %v, want the SDK, go-retryablehttp and go-cleanhttp", modules, err)
	}

	lines, err := initializations(t.Context(), directory, "both")
	if err != nil {
		t.Fatal(err)
	}
	isOurs := func(line string) bool { return strings.HasPrefix(line, "init github.com/kombo-go/") }
	if i := slices.IndexFunc(lines, isOurs); i >= 0 {
		t.Errorf("the SDK does something before main: %s", lines[i])
	}
}
