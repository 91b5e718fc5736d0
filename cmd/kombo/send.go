package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sandbox"
	"github.com/kombo-go/kombo/kombotest"
)

var sendCommand = command{
	name: "send", arguments: "[TYPE] URL", summary: "post a signed event to a receiver of webhooks",
	about: `Posts a sample event of a type, signed with KOMBO_WEBHOOK_SECRET, and shows the
response. "kombo send types" lists the types. TYPE is optional with -body.

  kombo send data-changed http://127.0.0.1:8080/webhooks/kombo
  kombo send integration-created URL -set data.end_user.origin_id=42`,
	setup: func(flags *flag.FlagSet) runner {
		var s sending
		flags.StringVar(&s.integration, "integration", "", "the `id` of the integration that the event is about")
		flags.Func("set", "changes a field, `path=value` (repeatable); see above", func(text string) error {
			if path, _, ok := strings.Cut(text, "="); !ok || path == "" {
				return errors.New("not of the form path=value")
			}
			s.fields = append(s.fields, text)
			return nil
		})
		flags.StringVar(&s.dataFile, "data", "", "the `file` with the data (- is standard input)")
		flags.StringVar(&s.bodyFile, "body", "", "the `file` with the whole body, sent as it is")
		return func(ctx context.Context, e *env, args []string) error {
			if len(args) == 1 && args[0] == "types" {
				for _, eventType := range kombotest.EventTypes() {
					fmt.Fprintln(e.stdout, eventType)
				}
				return nil
			}
			s.receiver = args[len(args)-1]
			if len(args) == 2 {
				s.eventType = kombo.EventType(args[0])
			}
			return s.run(ctx, e)
		}
	},
}

// sending is what a send command sends, and where.
type sending struct {
	eventType          kombo.EventType
	receiver           string
	integration        string
	fields             []string
	dataFile, bodyFile string
}

// envelope is the body of a webhook.
type envelope struct {
	ID   string          `json:"id"`
	Type kombo.EventType `json:"type"`
	Data any             `json:"data"`
}

func (s sending) run(ctx context.Context, e *env) error {
	secret, err := e.secret()
	if err != nil {
		return err
	}
	if _, err := e.verifier(); err != nil { // it rejects a secret that no receiver accepts
		return err
	}
	if err := sandbox.CheckWebhookURL(s.receiver); err != nil {
		return &usageError{err}
	}
	body, err := s.body(ctx, e)
	if err != nil {
		return err
	}
	result, err := newPoster().post(ctx, s.receiver, "", kombo.SignWebhook(secret, body), body)
	if err != nil {
		return err
	}
	id, eventType := describeBody(body)
	text := e.redact(result.body)
	if e.json {
		err = e.printJSON(map[string]any{
			"event_id": id, "type": eventType, "status": result.status,
			"duration_ms": float64(result.duration.Microseconds()) / 1000, "response": text,
		})
	} else {
		fmt.Fprintf(e.stdout, "%s %s: %s\n", printable(cmp.Or(eventType, "event")), printable(id), e.coloredStatus(result))
		if text = strings.TrimSpace(harmless(text)); text != "" {
			fmt.Fprintln(e.stdout, text)
		}
	}
	if err == nil && !result.accepted() {
		return errors.New("the receiver did not accept the webhook")
	}
	return err
}

// body returns the body to send.
func (s sending) body(ctx context.Context, e *env) ([]byte, error) {
	switch {
	case s.bodyFile != "" && (s.dataFile != "" || len(s.fields) > 0 || s.integration != ""):
		return nil, &usageError{errors.New("-body is sent as it is: it excludes -data, -set and -integration")}
	case s.bodyFile != "":
		body, err := e.readFile(ctx, s.bodyFile)
		if _, eventType := describeBody(body); err == nil && s.eventType != "" && eventType != "" && string(s.eventType) != eventType {
			err = &usageError{fmt.Errorf("the type in %s is %q, not %q", s.bodyFile, eventType, string(s.eventType))}
		}
		return body, err
	case s.eventType == "":
		return nil, &usageError{errors.New("give TYPE URL, or -body")}
	case s.dataFile == "" && !slices.Contains(kombotest.EventTypes(), s.eventType):
		return nil, &usageError{fmt.Errorf(`there is no sample of the type %q: see "kombo send types", or give -data`, string(s.eventType))}
	}
	sample := kombotest.Sample(s.eventType, s.about())
	if s.dataFile == "" && len(s.fields) == 0 {
		return sample.RawBody(), nil
	}
	var event envelope
	if err := decodeNumbers(sample.RawBody(), &event); err != nil {
		return nil, err
	}
	if s.dataFile != "" {
		data, err := e.readFile(ctx, s.dataFile)
		if err != nil {
			return nil, err
		}
		if err := decodeNumbers(data, &event.Data); err != nil {
			return nil, &usageError{fmt.Errorf("%s is not JSON: %w", s.dataFile, err)}
		}
	}
	for _, field := range s.fields {
		path, value, _ := strings.Cut(field, "=")
		if err := event.set(path, value); err != nil {
			return nil, &usageError{fmt.Errorf("-set %s: %w", path, err)}
		}
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(event)
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), err
}

// about returns the integration that a sample is about; the zero value means one of the sample's own.
func (s sending) about() kombotest.Integration {
	if s.integration == "" {
		return kombotest.Integration{}
	}
	tool, _, _ := strings.Cut(s.integration, ":")
	return kombotest.Integration{
		ID: s.integration, Tool: tool, Category: kombo.CategoryHRIS,
		EndUser: kombo.EndUser{OrganizationName: "Acme, Inc.", CreatorEmail: "ada@acme.example", OriginID: "42"},
	}
}

// set changes the field at a path such as "data.end_user.origin_id" or "data.changed_models.0.name".
func (v *envelope) set(path, text string) error {
	switch path {
	case "id":
		v.ID = text
		return nil
	case "type":
		v.Type = kombo.EventType(text)
		return nil
	}
	keys, ok := strings.CutPrefix(path, "data.")
	if !ok {
		return errors.New("not id, type, or a path that starts with data")
	}
	data, err := setField(v.Data, strings.Split(keys, "."), text)
	v.Data = data
	return err
}

// setField returns target with another value at a path.
func setField(target any, path []string, text string) (any, error) {
	if len(path) == 0 {
		if _, isText := target.(string); isText {
			return text, nil
		}
		var value any
		if decodeNumbers([]byte(text), &value) != nil {
			value = text
		}
		return value, nil
	}
	key, rest := path[0], path[1:]
	var err error
	switch t := target.(type) {
	case nil:
		value, err := setField(nil, rest, text)
		return map[string]any{key: value}, err
	case map[string]any:
		t[key], err = setField(t[key], rest, text)
		return t, err
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i > len(t) {
			return nil, fmt.Errorf("%q is not a position in a list of %d", key, len(t))
		}
		if i == len(t) {
			t = append(t, nil)
		}
		t[i], err = setField(t[i], rest, text)
		return t, err
	}
	return nil, fmt.Errorf("%q has no fields", key)
}

// decodeNumbers decodes one JSON document, and keeps its numbers as they are written.
func decodeNumbers(document []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if err := decoder.Decode(target); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after it")
	}
	return nil
}

// describeBody returns the ID and the type of a webhook, as far as its body has them.
func describeBody(body []byte) (id, eventType string) {
	var event struct {
		ID   any `json:"id"`
		Type any `json:"type"`
	}
	_ = json.Unmarshal(body, &event)
	id, _ = event.ID.(string)
	eventType, _ = event.Type.(string)
	return id, eventType
}

// readFile reads a file, or standard input if its name is "-". It reads one byte more than a webhook can have.
func (e *env) readFile(ctx context.Context, name string) ([]byte, error) {
	if name == "-" {
		return e.readStdin(ctx)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, &usageError{err}
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, kombo.MaxWebhookBody+1))
}

func (e *env) readStdin(ctx context.Context) ([]byte, error) {
	return io.ReadAll(io.LimitReader(e.input(ctx), kombo.MaxWebhookBody+1))
}

func (e *env) coloredStatus(r response) string {
	if r.accepted() {
		return e.colored(green, r.String())
	}
	return e.colored(red, r.String())
}

// harmless replaces what would control the terminal.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
