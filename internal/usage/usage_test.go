package usage

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseAndRun(t *testing.T) {
	t.Parallel()
	const help = "Does something.\n\nUsage: program [-FLAG...]\n  -size int\n    \tthe size (default 7)\n"
	tests := []struct {
		name           string
		arguments      []string
		others         int
		err            error
		code           int
		stdout, stderr string
	}{
		{name: "none"},
		{name: "a flag", arguments: []string{"-size", "8"}},
		{name: "an argument", arguments: []string{"file"}, others: 1},
		{name: "any", arguments: []string{"a", "b"}, others: Any},
		{name: "help", arguments: []string{"-h"}, stdout: help},
		{name: "help in full", arguments: []string{"--help"}, stdout: help},
		{name: "unknown flag", arguments: []string{"-sise", "8"}, code: 2, stderr: "program: flag provided but not defined: -sise (-h prints the help)\n"},
		{name: "wrong value", arguments: []string{"-size", "x"}, code: 2, stderr: "program: invalid value \"x\" for flag -size: parse error (-h prints the help)\n"},
		{name: "too many", arguments: []string{"a", "b"}, others: 1, code: 2, stderr: "program: unexpected argument \"b\" (-h prints the help)\n"},
		{name: "too few", others: 1, code: 2, stderr: "program: an argument is missing (-h prints the help)\n"},
		{name: "a failure", err: errors.New("it failed"), code: 1, stderr: "program: it failed\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := Run("program", &stderr, func(context.Context) error {
				flags := flag.NewFlagSet("program", flag.ContinueOnError)
				flags.Int("size", 7, "the size")
				return errors.Join(Parse(flags, "Does something.", test.arguments, test.others, &stdout), test.err)
			})
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if diff := cmp.Diff(test.stdout, stdout.String()); diff != "" {
				t.Error("stdout:", diff)
			}
			if diff := cmp.Diff(test.stderr, stderr.String()); diff != "" {
				t.Error("stderr:", diff)
			}
		})
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	first, err := Listen(t.Context(), "listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	_, err = Listen(t.Context(), "listen", first.Addr().String())
	if _, ok := errors.AsType[*net.OpError](err); !ok || !strings.Contains(err.Error(), "choose another address with -listen") {
		t.Errorf("error = %v", err)
	}
}
