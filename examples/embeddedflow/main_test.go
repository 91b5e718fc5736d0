package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	folder := t.TempDir()
	database := filepath.Join(folder, "store.db")
	for name, test := range map[string]struct {
		args        []string
		environment func(string) string
		want        string
	}{
		"unknown flag":     {args: []string{"-nonsense"}, want: "nonsense"},
		"no such library":  {args: []string{"-library", filepath.Join(folder, "none.js"), "-database", database}, want: "-library: "},
		"no flag":          {args: []string{"nonsense"}, want: `unexpected argument "nonsense"`},
		"taken address":    {args: []string{"-listen", taken.Addr().String(), "-database", database}, want: "choose another address with -listen"},
		"bad address":      {args: []string{"-listen", "nonsense", "-database", database}, want: "nonsense"},
		"bad database":     {args: []string{"-listen", "127.0.0.1:0", "-database", "mysql://user:password@host"}, want: "store: "},
		"no such folder":   {args: []string{"-listen", "127.0.0.1:0", "-database", filepath.Join(folder, "none", "store.db")}, want: "store: "},
		"taken by another": {args: []string{"-listen", "127.0.0.1:0", "-database", database, "-sandbox", taken.Addr().String()}, want: "choose another address with -sandbox"},
		"no URL":           {args: []string{"-url", "app.example.com"}, want: "-url: "},
		"no http":          {args: []string{"-url", "ftp://app.example.com"}, want: "-url: "},
		"no host":          {args: []string{"-url", "https://:443"}, want: "-url: "},
		"bad region":       {args: []string{"-listen", "127.0.0.1:0", "-database", database}, environment: environment("KOMBO_API_KEY", "key", "KOMBO_REGION", "mars"), want: "mars"},
	} {
		getenv := test.environment
		if getenv == nil {
			getenv = environment()
		}
		err := run(t.Context(), test.args, getenv, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "password") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	help := new(safeBuffer)
	if err := run(t.Context(), []string{"-h"}, environment(), help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-url") {
		t.Errorf("-h: %v\n%s", err, help)
	}
}

// Without an account, the program starts a fake Kombo, and ends when its context ends.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-listen", "127.0.0.1:0", "-sandbox", "127.0.0.1:0", "-database", filepath.Join(t.TempDir(), "store.db")}, environment(), writer)
		_ = writer.CloseWithError(err)
		ended <- err
	}()
	output := bufio.NewScanner(reader)
	for _, pattern := range []string{`^The product +(http://127\.0\.0\.1:\d+/)$`, `^A fake Kombo +(http://127\.0\.0\.1:\d+/)$`} {
		if !output.Scan() {
			t.Fatalf("the output has ended: %v", output.Err())
		}
		found := regexp.MustCompile(pattern).FindStringSubmatch(output.Text())
		if found == nil {
			t.Fatalf("%q is not %s", output.Text(), pattern)
		}
		response, err := http.Get(found[1])
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		wantSame(t, found[1], http.StatusOK, response.StatusCode)
	}
	cancel()
	if _, err := io.Copy(io.Discard, reader); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A library that npm has installed nearby is found. A file that the user names is not searched for.
func TestFindLibrary(t *testing.T) {
	t.Chdir(t.TempDir())
	wantSame(t, "nothing is installed", "", findLibrary(""))
	wantSame(t, "named", "somewhere/index.js", findLibrary("somewhere/index.js"))
	for _, folder := range []string{"conformance/typescript", "examples/embeddedflow", "."} {
		file := folder + "/node_modules/@kombo-api/connect/dist/index.js"
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wantSame(t, "installed", file, findLibrary(""))
		wantSame(t, "named", "somewhere/index.js", findLibrary("somewhere/index.js"))
	}
}
