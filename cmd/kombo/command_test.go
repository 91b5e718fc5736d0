package main

import (
	"errors"
	"flag"
	"go/parser"
	"go/token"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// The help of each command fits on a screen of 80 columns and 24 lines.
func TestHelp(t *testing.T) {
	t.Parallel()
	p := &program{T: t}
	texts := map[string]string{}
	texts["kombo"], _ = p.run(exitOK, "help")
	for _, c := range commands() {
		texts[c.name], _ = p.run(exitOK, "help", c.name)
		withFlag, _ := p.run(exitOK, c.name, "-h")
		if diff := cmp.Diff(texts[c.name], withFlag); diff != "" {
			t.Errorf("help %s and %s -h differ: %s", c.name, c.name, diff)
		}
		wantContains(t, texts["kombo"], "  "+c.name+" ", c.summary)
		wantContains(t, texts[c.name], "Usage: kombo "+c.name, "-json")
	}
	wantContains(t, texts["sandbox"], "-listen ADDRESS         the address to listen on (default 127.0.0.1:8900)")
	wantContains(t, texts["listen"], "-store FILE             the file to append to (default kombo-webhooks.jsonl)")
	if strings.Contains(texts["list"], "(default 0)") || strings.Contains(texts["sandbox"], "(default false)") {
		t.Error("the help shows defaults that say nothing")
	}
	for name, text := range texts {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) > 23 { // and the prompt
			t.Errorf("the help of %s has %d lines", name, len(lines))
		}
		for _, line := range lines {
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("the help of %s has a line of %d columns: %s", name, utf8.RuneCountInString(line), line)
			}
		}
	}
}

// The doc comment and the help list the same commands.
func TestDocComment(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for _, c := range commands() {
		list.WriteString("\t" + c.name + strings.Repeat(" ", 11-len(c.name)) + c.summary + "\n")
	}
	wantContains(t, file.Doc.Text(), "\n\n"+list.String()+"\n")
}

// A port that is taken, often by another sandbox, is the user's to change.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, name := range []string{"sandbox", "listen"} {
		_, stderr := newProgram(t).run(exitFailure, name, "-listen", taken.Addr().String())
		wantContains(t, stderr, taken.Addr().String(), "choose another address with -listen")
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	tests := []struct {
		args []string
		want string
	}{
		{nil, "kombo: give a command\n\"kombo help\" lists the commands.\n"},
		{[]string{"connect"}, `there is no command "connect"`},
		{[]string{"help", "connect"}, `there is no command "connect"`},
		{[]string{"check", "-api-key", "x"}, "flag provided but not defined: -api-key\n\"kombo help check\" says more.\n"},
		{[]string{"check", "now"}, `"now" is one argument too many`},
		{[]string{"get"}, "give ID"},
		{[]string{"get", ""}, "an argument is empty"},
		{[]string{"get", "a", "b"}, `"b" is one argument too many`},
		{[]string{"get", ".."}, ".."},
		{[]string{"link", "-org", "Acme"}, "give the -email"},
		{[]string{"link", "-email", "ada@acme.example"}, "with -org"},
		{[]string{"link", "-email", "ada", "-org", "Acme"}, "EndUserEmail is not an e-mail address"},
		{[]string{"list"}, "give PATH"},
		{[]string{"list", "hris/employees"}, "Path does not start with a slash"},
		{[]string{"list", "/v1/hris/employees"}, "Path starts with /v1"},
		{[]string{"list", "/hris/employees", "-updated-after", "yesterday"}, "not a time"},
		{[]string{"list", "/hris/employees", "-ids", "a,,b"}, "a value is empty"},
		{[]string{"list", "/hris/employees", "-filter", "x"}, "not of the form name=value"},
		{[]string{"list", "/hris/employees", "-limit", "-1"}, "-limit is negative"},
		{[]string{"list", "/hris/employees", "-page-size", "251"}, "PageSize is not between"},
	}
	for _, test := range tests {
		_, stderr := p.run(exitUsage, test.args...)
		wantContains(t, stderr, test.want)
	}
	if requests := p.server.Requests(); len(requests) > 0 {
		t.Errorf("%d requests were sent", len(requests))
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	tests := []struct {
		variables []string
		want      string
	}{
		{[]string{varAPIKey, ""}, "KOMBO_API_KEY is not set"},
		{[]string{varAPIKey, "key\n"}, "KOMBO_API_KEY starts or ends with white space"},
		{[]string{varRegion, "eu"}, "KOMBO_REGION and KOMBO_BASE_URL exclude each other"},
		{[]string{varBaseURL, "", varRegion, "moon"}, "KOMBO_REGION is neither eu nor us"},
		{[]string{varBaseURL, "api.kombo.dev"}, "KOMBO_BASE_URL: the URL does not start with https:// or http://"},
		{[]string{varBaseURL, "http://kombo.example/v1"}, "KOMBO_BASE_URL: plain http would send the API key unencrypted; use https"},
		{[]string{varBaseURL, "https://user:password@kombo.example/v1"}, "KOMBO_BASE_URL: the URL contains a user name or password"},
	}
	for _, test := range tests {
		for _, command := range [][]string{{"check"}, {"get", "id"}, {"link", "-email", "a@b", "-org", "c"}} {
			_, stderr := p.with(test.variables...).run(exitUsage, command...)
			wantContains(t, stderr, test.want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args      []string
		arguments []string
		flag      string
		err       error
	}{
		{[]string{"a", "b"}, []string{"a", "b"}, "", nil},
		{[]string{"-f", "1", "a", "b"}, []string{"a", "b"}, "1", nil},
		{[]string{"a", "-f", "1", "b"}, []string{"a", "b"}, "1", nil},
		{[]string{"a", "b", "-f=1"}, []string{"a", "b"}, "1", nil},
		{[]string{"a", "--", "-f", "b"}, []string{"a", "-f", "b"}, "", nil},
		{[]string{"-magic-", "-f", "1"}, []string{"-magic-"}, "1", nil},
		{[]string{"a", "-h"}, nil, "", flag.ErrHelp},
	}
	for _, test := range tests {
		c := command{isArgument: func(arg string) bool { return arg == "-magic-" }}
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.SetOutput(newOutput())
		value := flags.String("f", "", "")
		arguments, err := c.parse(flags, test.args)
		if !errors.Is(err, test.err) || *value != test.flag && err == nil {
			t.Errorf("%q: flag %q, error %v", test.args, *value, err)
		}
		if diff := cmp.Diff(test.arguments, arguments); diff != "" {
			t.Errorf("%q: %s", test.args, diff)
		}
	}
}

func TestSetTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"24h":                       now.Add(-24 * time.Hour),
		"2026-05-01":                time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		"2026-05-01T12:00:00+02:00": time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC),
		"-24h":                      {},
		"tomorrow":                  {},
	} {
		var got time.Time
		err := setTime(&got, now)(text)
		if !got.Equal(want) || (err == nil) == want.IsZero() {
			t.Errorf("%s is %s (%v), want %s", text, got, err, want)
		}
	}
}

// Colors are used on terminals, and if the user asks for them.
func TestColors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		terminal  bool
		variables []string
		colored   bool
	}{
		"a terminal":    {true, nil, true},
		"a pipe":        {false, nil, false},
		"NO_COLOR":      {true, []string{"NO_COLOR", "1"}, false},
		"dumb terminal": {true, []string{"TERM", "dumb"}, false},
	} {
		p := newProgram(t).with(test.variables...)
		p.adapt = func(e *env) { e.outTerminal = test.terminal }
		stdout, _ := p.run(exitOK, "check")
		if got := strings.Contains(stdout, "\x1b["); got != test.colored {
			t.Errorf("%s: colored is %t", name, got)
		}
		stdout, _ = p.run(exitOK, "check", "-json")
		if strings.Contains(stdout, "\x1b[") {
			t.Errorf("%s: JSON is colored", name)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	stdout, _ := (&program{T: t}).run(exitOK, "version")
	wantContains(t, stdout, "kombo v")
}
