package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, source string
		list         bool
		want         []string // the words found, each with its line
	}{
		"comment": {file: "a.go", source: "package a\n\n// A tells what B holds.\ntype A int\n", want: []string{"3 tells", "3 holds"}},
		"comment of several lines": {
			file: "a.go", source: "package a\n\n/*\nfine\n\nwherever it is\n*/\n", want: []string{"6 wherever"},
		},
		"string":                   {file: "a.go", source: "package a\n\nvar s = \"it was told\"\n", want: []string{"3 told"}},
		"string of several lines":  {file: "a.go", source: "package a\n\nvar s = `one\nan answer`\n", want: []string{"4 answer"}},
		"words apart by a newline": {file: "a.go", source: `package a; var s = "one\nsurely"`, want: []string{"1 surely"}},
		"identifiers":              {file: "a.go", source: "package a\n\nvar answer, holds = tells()\n"},
		"a key, a path, SQL":       {file: "a.go", source: "package a\n\nvar s = f(\"answer\", \"POST /hold\", `SELECT a WHERE b`)\n"},
		"capital letter":           {file: "a.go", source: "package a\n\n// Where it is silent.\n", want: []string{"3 Where"}},
		"a place":                  {file: "a.go", source: "package a\n\n// URL is where Kombo sent it.\n"},
		"an end of a word":         {file: "a.go", source: "package a\n\n// The threshold and the retold story.\n"},
		"only listed":              {file: "a.go", source: "package a\n\n// Whatever.\n", list: true, want: []string{"3 Whatever"}},
		"not listed":               {file: "a.go", source: "package a\n\n// Whatever.\n"},
		"Markdown":                 {file: "a.md", source: "# A\n\nIt answers `told`.\n", want: []string{"3 answers"}},
		"code in Markdown": {
			file: "a.md", source: "```go\nvar told int // a fence that tells\n```\n\nThe text heeds.\n", want: []string{"2 tells", "5 heeds"},
		},
		"exception":           {file: "kept.md", source: "As siblings.\nOther siblings.\n", want: []string{"2 siblings"}},
		"exception unused":    {file: "kept.md", source: "Nothing.\n", want: []string{"1 As siblings"}},
		"exception elsewhere": {file: "a.md", source: "As siblings.\n", want: []string{"1 siblings"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range check(c.file, c.source, rules, []exception{{"kept.md", "As siblings", "a term"}}, c.list) {
				got = append(got, fmt.Sprint(f.line, " ", f.found))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clean, unclean := filepath.Join(dir, "clean.md"), filepath.Join(dir, "unclean.md")
	for file, text := range map[string]string{clean: "Fine.\n", unclean: "\nIt heeds whatever.\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
	}{
		"clean":     {[]string{clean}, 0, ""},
		"unclean":   {[]string{clean, unclean}, 1, unclean + `:2: "heeds": use honors` + "\n"},
		"list":      {[]string{"-list", unclean}, 1, unclean + `:2: "heeds": use honors` + "\n" + unclean + `:2: "whatever": use a noun` + "\n"},
		"no file":   {[]string{filepath.Join(dir, "none.md")}, 1, ""},
		"bad flags": {[]string{"-nonsense"}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := run(c.args, &stdout, &stderr); code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, &stderr)
			}
			if diff := cmp.Diff(c.out, stdout.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExceptionsHaveReasons(t *testing.T) {
	t.Parallel()
	for _, e := range exceptions {
		if _, err := os.Stat(filepath.Join("..", "..", e.file)); err != nil || e.reason == "" {
			t.Errorf("%+v: %v", e, err)
		}
	}
}
