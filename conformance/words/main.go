// Command words finds words that this project's prose avoids, in the comments and strings of Go files and in the
// text of Markdown files. script/words runs it.
//
//	words [-list] FILE...
//
// It prints each finding with the words to use instead, and exits with 1 if there is one. -list adds words that are
// often right, and which somebody has to read. An exception, with its reason, is in exceptions.go.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("words", flag.ContinueOnError)
	flags.SetOutput(stderr)
	list := flags.Bool("list", false, "also list words that are often right")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	found := 0
	for _, file := range flags.Args() {
		source, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(stderr, "words:", err)
			return 2
		}
		findings := check(filepath.ToSlash(file), string(source), rules, exceptions, *list)
		for _, f := range findings {
			fmt.Fprintf(stdout, "%s:%d: %q: use %s\n", file, f.line, f.found, f.instead)
		}
		found += len(findings)
	}
	if found > 0 {
		fmt.Fprintf(stderr, "%d to reword: see \"Style\" in CONTRIBUTING.md, and exceptions.go for a use that is right\n", found)
		return 1
	}
	return 0
}
