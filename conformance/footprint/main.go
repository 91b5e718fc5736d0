// Footprint measures what the SDK adds to a service that already uses net/http and encoding/json: the
// size of the program, the packages and modules in it, what is done before main, and the time to build.
//
// It builds the programs below programs/, which differ in one thing each, and prints tables for
// docs/performance.md:
//
//	go run ./conformance/footprint
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kombo-go/kombo/internal/usage"
)

const programs = "github.com/kombo-go/kombo/conformance/footprint/programs/"

// The build tags with which the service uses more of the standard library.
const (
	withSlog   = "withslog"
	withRegexp = "withslog,withregexp"
)

func main() {
	usage.Main("footprint", "Measures what the SDK adds to a service: size, packages, and the time to build.", run)
}

func run(ctx context.Context, out io.Writer) error {
	directory, err := os.MkdirTemp("", "footprint")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	fmt.Fprintf(out, "Built by %s for %s/%s with `-trimpath -ldflags=\"-s -w\"`:\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, part := range []func(context.Context, string, io.Writer) error{sizes, origins, beforeMain, buildTime} {
		if err := part(ctx, directory, out); err != nil {
			return err
		}
	}
	return nil
}

// sizes compares each program with the service on its own.
func sizes(ctx context.Context, directory string, out io.Writer) error {
	fmt.Fprint(out, "| the service with | modules | packages | bytes | with log/slog | and regexp |\n| --- | --- | --- | --- | --- | --- |\n")
	rows := []struct{ program, description string }{
		{"floor", "nothing else"},
		{"retryablehttp", "go-retryablehttp alone"},
		{"client", "the client: link, exchange, relink, delete"},
		{"webhooks", "the webhook handler"},
		{"both", "both"},
	}
	var least [3]int64
	for i, row := range rows {
		var bytes [3]int64
		for j, tags := range [...]string{"", withSlog, withRegexp} {
			path, err := build(ctx, directory, row.program, tags)
			if err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			bytes[j] = info.Size()
		}
		packages, modules, err := dependencies(ctx, row.program)
		if err != nil {
			return err
		}
		if i == 0 {
			least = bytes
			fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %d |\n", row.description, modules, packages, bytes[0], bytes[1], bytes[2])
			continue
		}
		fmt.Fprintf(out, "| %s | %d | %d | +%d KB | +%d KB | +%d KB |\n", row.description, modules, packages,
			(bytes[0]-least[0])/1000, (bytes[1]-least[1])/1000, (bytes[2]-least[2])/1000)
	}
	return nil
}

// build returns the path of the program.
func build(ctx context.Context, directory, program, tags string, environment ...string) (path string, err error) {
	path = filepath.Join(directory, program+"-"+tags)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	return path, compile(ctx, path, program, []string{"-ldflags=-s -w", "-tags=" + tags}, environment)
}

// compile leaves the commit out of the program: it is no part of what is measured, and git may be missing.
func compile(ctx context.Context, path, program string, flags, environment []string) error {
	arguments := slices.Concat([]string{"build", "-trimpath", "-buildvcs=false"}, flags, []string{"-o", path, programs + program})
	_, err := goCommand(ctx, environment, arguments...)
	return err
}

// origins prints the packages of the symbols that the service has more with both than alone.
func origins(ctx context.Context, directory string, out io.Writer) error {
	// The first that fits counts.
	packages := []string{
		"github.com/kombo-go/kombo/internal/transport.", "github.com/kombo-go/kombo.", "github.com/hashicorp/", "regexp", "log/slog", "",
	}
	added := make([]int64, len(packages))
	for _, side := range []struct {
		program string
		sign    int64
	}{{"floor", -1}, {"both", 1}} {
		path := filepath.Join(directory, side.program+"-symbols")
		if err := compile(ctx, path, side.program, nil, nil); err != nil {
			return err
		}
		symbols, err := goCommand(ctx, nil, "tool", "nm", "-size", path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(symbols) {
			var address, kind, name string
			var size int64
			if _, err := fmt.Sscan(line, &address, &size, &kind, &name); err != nil || strings.ContainsAny(kind, "bBU") {
				continue // not in the file
			}
			name = strings.TrimPrefix(name, "type:.eq.")
			i := slices.IndexFunc(packages, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
			added[i] += side.sign * size
		}
	}
	fmt.Fprint(out, "\nOf what both add, code and data by package (`go tool nm -size`); the rest is line tables and descriptions of types:\n\n| package | KB |\n| --- | --- |\n")
	for i, prefix := range packages {
		fmt.Fprintf(out, "| %s | %d |\n", cmp.Or(strings.Trim(prefix, "./"), "others"), added[i]/1000)
	}
	return nil
}

// dependencies counts the packages in a program that are not the program's own, and their modules.
func dependencies(ctx context.Context, program string) (packages, modules int, err error) {
	list, err := goCommand(ctx, nil, "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", programs+program)
	if err != nil {
		return 0, 0, err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(list) {
		path, module, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if strings.HasPrefix(path, "github.com/kombo-go/kombo/conformance/") {
			continue
		}
		packages++
		if module != "" {
			seen[module] = true
		}
	}
	return packages, len(seen), nil
}

// initializations returns what the runtime reports about each package that does something before main.
func initializations(ctx context.Context, directory, program string) ([]string, error) {
	path, err := build(ctx, directory, program, "")
	if err != nil {
		return nil, err
	}
	started := exec.CommandContext(ctx, path)
	started.Env = append(os.Environ(), "GODEBUG=inittrace=1", "KOMBO_API_KEY=", "KOMBO_WEBHOOK_SECRET=")
	var said bytes.Buffer
	started.Stderr = &said
	// Without a key and a secret, it ends by itself, and not well.
	if _, ok := errors.AsType[*exec.ExitError](started.Run()); !ok {
		return nil, fmt.Errorf("%s should have failed", program)
	}
	lines := slices.DeleteFunc(strings.Split(said.String(), "\n"), func(line string) bool { return !strings.HasPrefix(line, "init ") })
	if len(lines) == 0 {
		return nil, fmt.Errorf("%s said nothing of what it initialized: %s", program, said.String())
	}
	return lines, nil
}

func beforeMain(ctx context.Context, directory string, out io.Writer) error {
	lines, err := initializations(ctx, directory, "both")
	if err != nil {
		return err
	}
	fmt.Fprint(out, "\nBefore main, beyond the standard library (`GODEBUG=inittrace=1`):\n\n```\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "init github.com/") {
			fmt.Fprintln(out, line)
		}
	}
	_, err = fmt.Fprint(out, "```\n")
	return err
}

// buildTime builds the service with an empty cache, then with the SDK, and then links it alone once more.
func buildTime(ctx context.Context, directory string, out io.Writer) error {
	cache := "GOCACHE=" + filepath.Join(directory, "cache")
	var took [3]time.Duration
	for i, program := range [...]string{"floor", "both", "floor"} {
		begun := time.Now()
		path, err := build(ctx, directory, program, "", cache)
		if err != nil {
			return err
		}
		took[i] = time.Since(begun)
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "\nTo build the service with an empty cache took %.1f s on %d processors, to build it with both after that %.1f s, and to link it alone once more %.1f s.\n",
		took[0].Seconds(), runtime.NumCPU(), took[1].Seconds(), took[2].Seconds())
	return err
}

func goCommand(ctx context.Context, environment []string, arguments ...string) (string, error) {
	started := exec.CommandContext(ctx, "go", arguments...)
	started.Env = append(os.Environ(), environment...)
	var said bytes.Buffer
	started.Stderr = &said
	output, err := started.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(started.Args, " "), err, said.String())
	}
	return string(output), nil
}
