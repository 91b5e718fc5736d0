// Command words finds words that this project's prose avoids, in the comments and strings of Go files and in the
// text of Markdown files. script/words runs it.
//
//	words [-list] FILE...
//
// It prints each finding with the words to use instead, and exits with 1 if there is one. -list adds words that are
// often right, and which somebody has to read. An exception, with its reason, is in exceptions.go.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kombo-go/kombo/internal/usage"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

const about = `Finds words that this project's prose avoids in Go and Markdown files: words [-list] FILE...`

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("words", flag.ContinueOnError)
	list := flags.Bool("list", false, "also list words that are often right")
	return usage.Run("words", stderr, func(context.Context) error {
		if err := usage.Parse(flags, about, args, usage.Any, stdout); err != nil {
			return err
		}
		found := 0
		for _, file := range flags.Args() {
			source, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			findings := check(filepath.ToSlash(file), string(source), rules, exceptions, *list)
			for _, f := range findings {
				fmt.Fprintf(stdout, "%s:%d: %q: use %s\n", file, f.line, f.found, f.instead)
			}
			found += len(findings)
		}
		if found > 0 {
			return fmt.Errorf("%d to reword: see \"Style\" in CONTRIBUTING.md, and exceptions.go for a use that is right", found)
		}
		return nil
	})
}
