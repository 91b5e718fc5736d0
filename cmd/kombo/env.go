package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/kombo-go/kombo"
)

// env is what a command has of the world around it.
type env struct {
	command        string // that runs, "" if none is known
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	// json is true if the caller wants JSON.
	json bool
	// outTerminal and errTerminal are true if people watch the output.
	outTerminal, errTerminal bool
	// transport sends requests in tests; nil means that of the SDK.
	transport http.RoundTripper
}

func newEnv() *env {
	return &env{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
		outTerminal: isTerminal(os.Stdout), errTerminal: isTerminal(os.Stderr),
	}
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// The environment variables.
const (
	varAPIKey        = "KOMBO_API_KEY" //nolint:gosec // it is the name, not the key
	varRegion        = "KOMBO_REGION"
	varBaseURL       = "KOMBO_BASE_URL"
	varWebhookSecret = "KOMBO_WEBHOOK_SECRET" //nolint:gosec // it is the name, not the secret
)

// client returns a client with the settings of the environment.
func (e *env) client(options ...kombo.Option) (*kombo.Client, error) {
	key, region, baseURL := e.getenv(varAPIKey), strings.ToLower(e.getenv(varRegion)), e.getenv(varBaseURL)
	options = append(options, kombo.WithUserAgent("kombo-cli"))
	switch {
	case key == "":
		return nil, &usageError{errors.New(varAPIKey + " is not set; keys are on the secrets page of Kombo's dashboard")}
	case region != "" && baseURL != "":
		return nil, &usageError{errors.New(varRegion + " and " + varBaseURL + " exclude each other; unset one of them")}
	case region != "" && region != string(kombo.RegionEU) && region != string(kombo.RegionUS):
		return nil, &usageError{errors.New(varRegion + " is neither eu nor us")}
	case region != "":
		options = append(options, kombo.WithRegion(kombo.Region(region)))
	case baseURL != "":
		options = append(options, kombo.WithBaseURL(baseURL))
	}
	if e.transport != nil {
		options = append(options, kombo.WithHTTPClient(&http.Client{Transport: e.transport}))
	}
	client, err := kombo.NewClient(key, options...)
	if err != nil {
		// The text names options of the SDK. It quotes none of the values.
		text := strings.TrimPrefix(err.Error(), "kombo: NewClient: ")
		text = strings.NewReplacer("the API key starts", varAPIKey+" starts", "the API key contains", varAPIKey+" contains", "WithBaseURL: ", varBaseURL+": ", ", or WithInsecureHTTP if you must", "").Replace(text)
		return nil, &usageError{errors.New(text)}
	}
	return client, nil
}

// printJSON prints a value in one line.
func (e *env) printJSON(value any) error {
	encoder := json.NewEncoder(e.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// printError prints an error on stderr, and what to do about it.
func (e *env) printError(err error) {
	if _, reported := errors.AsType[*reportedError](err); reported {
		return
	}
	hint := e.hint(err)
	if e.json {
		details := map[string]any{"message": err.Error(), "exit_code": exitCode(err)}
		if hint != "" {
			details["hint"] = hint
		}
		if kerr, ok := errors.AsType[*kombo.Error](err); ok {
			details["op"], details["status"], details["code"] = kerr.Op, kerr.StatusCode, kerr.Code
			details["attempts"], details["log_url"] = kerr.Attempts, kerr.LogURL
		}
		encoder := json.NewEncoder(e.stderr)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(map[string]any{"error": details})
		return
	}
	fmt.Fprintf(e.stderr, "kombo: %s\n", strings.TrimPrefix(err.Error(), "kombo: "))
	if hint != "" {
		fmt.Fprintln(e.stderr, hint)
	}
}

// hint returns what to do about an error, or "".
func (e *env) hint(err error) string {
	_, usage := errors.AsType[*usageError](err)
	switch {
	case usage && e.command == "":
		return `"kombo help" lists the commands.`
	case usage:
		return `"kombo help ` + e.command + `" says more.`
	case e.command == "check":
		return ""
	case errors.Is(err, kombo.ErrAuthentication):
		return `"kombo check" finds out whether the key or the region is wrong.`
	case errors.Is(err, kombo.ErrIntegrationNotFound):
		return "The environment of the API key has no integration with this ID."
	case errors.Is(err, kombo.ErrReconnectRequired):
		return `The customer must reconnect: "kombo relink ID" makes a link.`
	case errors.Is(err, kombo.ErrNetwork):
		return `"kombo check" shows which server does not respond.`
	}
	return ""
}

// Colors, as numbers of the terminal's escape sequences.
const (
	red    = 31
	green  = 32
	yellow = 33
)

// colored returns text for standard output in a color, if a terminal shows it.
func (e *env) colored(color int, text string) string {
	plain := e.getenv("NO_COLOR") != "" || e.getenv("TERM") == "dumb" || runtime.GOOS == "windows" && e.getenv("WT_SESSION") == ""
	if !e.outTerminal || plain {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", color, text)
}

// printable quotes what would not stay in its line, or would control the terminal.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// progress is a line on standard error that changes, for people who wait.
type progress struct {
	output io.Writer // nil shows nothing
	shown  time.Time
}

// progress returns a line that is shown only if the output does not go to the same terminal.
func (e *env) progress() *progress {
	if e.errTerminal && !e.outTerminal {
		return &progress{output: e.stderr}
	}
	return &progress{}
}

// show shows a text, unless the last one is younger than a tenth of a second.
func (p *progress) show(text func() string) {
	if p.output == nil || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.output, "\r\x1b[K%s", text())
}

// end removes the line.
func (p *progress) end() {
	if !p.shown.IsZero() {
		fmt.Fprint(p.output, "\r\x1b[K")
	}
}

// input returns standard input, from which a read returns as soon as ctx ends: one from a terminal cannot be
// interrupted.
func (e *env) input(ctx context.Context) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		_, err := io.Copy(writer, e.stdin)
		_ = writer.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { _ = reader.CloseWithError(ctx.Err()) })
	return reader
}
