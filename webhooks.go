package kombo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// SignatureHeader is the header in which Kombo sends the signature of a webhook.
	SignatureHeader = "X-Kombo-Signature"

	// MaxWebhookBody is the size in bytes of the longest webhook that is accepted.
	MaxWebhookBody = 1 << 20
)

// The reasons for which a webhook is refused, for [errors.Is].
var (
	// ErrMissingSignature means that a webhook came without a signature.
	ErrMissingSignature = errors.New("kombo: webhook signature missing")
	// ErrInvalidSignature means that none of the secrets gives the signature: the webhook is forged,
	// its body was changed on the way, or the secret is that of another environment.
	ErrInvalidSignature = errors.New("kombo: webhook signature invalid")
	// ErrInvalidPayload means that a webhook's body is not an event. The error names the event type
	// and the field where they are known.
	ErrInvalidPayload = errors.New("kombo: webhook payload invalid")
	// ErrPayloadTooLarge means that a webhook's body is longer than [MaxWebhookBody].
	ErrPayloadTooLarge = errors.New("kombo: webhook payload too large")
)

// WebhookVerifier tells whether webhooks come from Kombo. It is immutable and safe for concurrent
// use.
type WebhookVerifier struct {
	keys []*webhookKey
}

// NewWebhookVerifier returns a verifier that accepts what is signed with any of the secrets: the
// current one of the environment and, while it is being replaced, the previous one. Secrets stand on
// the secrets page of Kombo's dashboard; each environment has its own. An empty secret is an error.
func NewWebhookVerifier(secrets ...string) (*WebhookVerifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("kombo: NewWebhookVerifier: no secret was given")
	}
	v := &WebhookVerifier{keys: make([]*webhookKey, len(secrets))}
	for i, secret := range secrets {
		if secret == "" {
			return nil, fmt.Errorf("kombo: NewWebhookVerifier: secret %d is empty", i+1)
		}
		if strings.TrimSpace(secret) != secret || !printable(secret) {
			return nil, fmt.Errorf("kombo: NewWebhookVerifier: secret %d starts or ends with white space, or holds what cannot be printed; was it read with a line break at its end?", i+1)
		}
		v.keys[i] = newWebhookKey(secret)
	}
	return v, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Verify checks that signature, the value of [SignatureHeader], is that of body: the raw bytes as
// they came, for a body that was decoded and encoded again does not verify. It fails with
// [ErrMissingSignature], [ErrInvalidSignature] or [ErrPayloadTooLarge].
func (v *WebhookVerifier) Verify(body []byte, signature string) error {
	switch {
	case signature == "":
		return ErrMissingSignature
	case len(body) > MaxWebhookBody:
		return ErrPayloadTooLarge
	}
	if len(signature) == signatureLength+1 {
		signature = strings.TrimSuffix(signature, "=")
	}
	if len(signature) != signatureLength || v == nil {
		return ErrInvalidSignature
	}
	// Every secret is tried whatever the others say, so that the time does not tell which one fits.
	valid := 0
	for _, key := range v.keys {
		valid |= key.compare(body, signature)
	}
	if valid != 1 {
		return ErrInvalidSignature
	}
	return nil
}

// Parse verifies a webhook, as [WebhookVerifier.Verify] does, and decodes it, as [ParseEvent] does.
// The event keeps body as its [Event.RawBody]: do not change it afterwards.
func (v *WebhookVerifier) Parse(body []byte, signature string) (Event, error) {
	if err := v.Verify(body, signature); err != nil {
		return nil, err
	}
	return ParseEvent(body)
}

// ParseRequest reads, verifies and decodes the webhook that r delivers. Nothing may have read the
// body before. Besides the errors of [WebhookVerifier.Parse] it returns those of reading the body.
func (v *WebhookVerifier) ParseRequest(r *http.Request) (Event, error) {
	signature := r.Header.Get(SignatureHeader)
	if signature == "" {
		return nil, ErrMissingSignature
	}
	body, err := readWebhookBody(r)
	if err != nil {
		return nil, err
	}
	event, err := v.Parse(body, signature)
	if errors.Is(err, ErrInvalidSignature) && len(body) == 0 {
		return nil, fmt.Errorf("%w: the body is empty; was it read before?", err)
	}
	return event, err
}

func readWebhookBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxWebhookBody {
		return nil, ErrPayloadTooLarge
	}
	if r.Body == nil {
		return nil, nil
	}
	var buffer bytes.Buffer
	if r.ContentLength > 0 {
		// The length is the sender's word only, so it reserves little.
		buffer.Grow(int(min(r.ContentLength, 16<<10)) + bytes.MinRead)
	}
	_, err := buffer.ReadFrom(io.LimitReader(r.Body, MaxWebhookBody+1))
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge, buffer.Len() > MaxWebhookBody:
		return nil, ErrPayloadTooLarge
	case err != nil:
		return nil, fmt.Errorf("kombo: reading the webhook: %w", err)
	}
	return buffer.Bytes(), nil
}

// String describes the verifier without its secrets.
func (v *WebhookVerifier) String() string {
	if v == nil {
		return "kombo.WebhookVerifier(nil)"
	}
	return fmt.Sprintf("kombo.WebhookVerifier(secrets: %d)", len(v.keys))
}

// GoString describes the verifier without its secrets.
func (v *WebhookVerifier) GoString() string { return v.String() }

// SignWebhook returns the signature that Kombo sends with body, for tests: HMAC-SHA256 in base64url
// without padding.
func SignWebhook(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// signatureLength is the length of a signature without padding: 32 bytes in base64url.
const signatureLength = (sha256.Size*8 + 5) / 6

// webhookKey checks signatures with one secret. Hashing the secret is half of the work for a short
// body, so hashes that have done it are kept.
type webhookKey struct {
	pool sync.Pool // of *signatureCheck
}

// signatureCheck is what checking one signature needs, so that it allocates nothing.
type signatureCheck struct {
	mac             hash.Hash
	sum             [sha256.Size]byte
	expected, given [signatureLength]byte
}

func newWebhookKey(secret string) *webhookKey {
	return &webhookKey{pool: sync.Pool{New: func() any {
		return &signatureCheck{mac: hmac.New(sha256.New, []byte(secret))}
	}}}
}

// compare returns 1 if signature, of the right length, is that of body, else 0. The encoded forms
// are compared, not the decoded ones: decoding ignores line breaks and the last two bits.
func (k *webhookKey) compare(body []byte, signature string) int {
	check := k.pool.Get().(*signatureCheck)
	defer k.pool.Put(check)
	check.mac.Reset()
	check.mac.Write(body)
	base64.RawURLEncoding.Encode(check.expected[:], check.mac.Sum(check.sum[:0]))
	copy(check.given[:], signature)
	return subtle.ConstantTimeCompare(check.expected[:], check.given[:])
}

// ParseEvent decodes a webhook that was verified before, such as one from a queue, into a pointer to
// the struct of its event type, or an [*UnknownEvent]. Fields that this package does not know are
// ignored; they stand in [Event.RawBody], which is body itself: do not change it afterwards.
//
// A body that is not JSON, or without id, type or data, or whose data lacks what the event is about
// (an id, the state, the time of a change), fails with [ErrInvalidPayload].
func ParseEvent(body []byte) (Event, error) {
	// Kombo sends id, type and data in this order. A body of exactly that form needs no decoder to
	// find the type, and only the data is decoded; every other goes the long way, errors included.
	if id, eventType, data, ok := scanEnvelope(body); ok && len(body) < deepest {
		if event, err := decodeEvent(id, eventType, data, body); err == nil {
			return event, nil
		}
	}
	var envelope struct {
		ID   string          `json:"id"`
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, &payloadError{problem: describePayloadError("", body, err)}
	}
	if field := required("type", envelope.Type, "id", envelope.ID); field != "" {
		return nil, &payloadError{eventType: envelope.Type, problem: field + " is missing"}
	}
	return decodeEvent([]byte(envelope.ID), []byte(envelope.Type), envelope.Data, body)
}

// deepest is the size in bytes from which a body can be nested as deeply as encoding/json decodes at
// all. The short way would allow one level more than the long one.
const deepest = 2 * 10_000

func decodeEvent(id, eventType, data, body []byte) (Event, error) {
	event := newEvent(eventType)
	problem := ""
	if len(data) == 0 || string(data) == "null" {
		problem = "data is missing"
	} else if err := json.Unmarshal(data, event.data()); err != nil {
		problem = describePayloadError("data", data, err)
	} else if p, ok := event.data().(promise); ok && p.missing() != "" {
		problem = "data." + p.missing() + " is missing"
	}
	if problem != "" {
		return nil, &payloadError{eventType: string(eventType), problem: problem}
	}
	header := event.header()
	header.ID, header.raw = string(id), body
	return event, nil
}

// scanEnvelope finds the parts of a body of the form {"id":"…","type":"…","data":…}, with any white
// space, where id and type are plain strings. What it takes for data reaches up to the last brace:
// it is the whole data if, and only if, it is one JSON value. Any other body is not ok.
func scanEnvelope(body []byte) (id, eventType, data []byte, ok bool) {
	// What is not found leaves nothing to find the rest in.
	rest, _ := scanByte(body, '{')
	id, rest = scanMember(rest, `"id"`)
	rest, _ = scanByte(rest, ',')
	eventType, rest = scanMember(rest, `"type"`)
	rest, _ = scanByte(rest, ',')
	rest, ok = scanKey(rest, `"data"`)
	if !ok || len(id) == 0 || len(eventType) == 0 {
		return nil, nil, nil, false
	}
	rest = bytes.TrimRight(rest, jsonSpace)
	data, ok = bytes.CutSuffix(rest, []byte("}"))
	return id, eventType, bytes.Trim(data, jsonSpace), ok
}

const jsonSpace = " \t\r\n"

func scanByte(b []byte, want byte) (rest []byte, ok bool) {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	if len(b) == 0 || b[0] != want {
		return nil, false
	}
	return b[1:], true
}

// scanKey reads a key, given with its quotes, and the colon after it.
func scanKey(b []byte, key string) (rest []byte, ok bool) {
	b, ok = scanByte(b, '"')
	if !ok || len(b) < len(key)-1 || string(b[:len(key)-1]) != key[1:] {
		return nil, false
	}
	return scanByte(b[len(key)-1:], ':')
}

// scanMember reads a key and its value, a string without escapes and without anything beyond ASCII.
func scanMember(b []byte, key string) (value, rest []byte) {
	b, _ = scanKey(b, key)
	b, _ = scanByte(b, '"')
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i], b[i+1:]
		case c < ' ' || c > '~' || c == '\\':
			return nil, nil
		}
	}
	return nil, nil
}

// payloadError is a body that is not an event.
type payloadError struct {
	eventType string
	problem   string
}

func (e *payloadError) Error() string {
	text := ErrInvalidPayload.Error()
	if e.eventType != "" {
		text += ": " + line(e.eventType)
	}
	return text + ": " + e.problem
}

func (e *payloadError) Is(target error) bool { return target == ErrInvalidPayload }

// describePayloadError says what is wrong with a document, and in which field, without quoting any
// value of it: personal data has no place in an error.
func describePayloadError(path string, document []byte, err error) string {
	at := func(field string) string {
		return strings.Trim(path+"."+field, ".")
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "it is not JSON"
	}
	if typeErr, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if field := at(typeErr.Field); field != "" {
			return field + " has the wrong type"
		}
		return "it is not a JSON object"
	}
	// What remains is a time, which encoding/json refuses without naming its field.
	var members map[string]json.RawMessage
	_ = json.Unmarshal(document, &members)
	for _, name := range [...]string{"updated_at", "deleted_at", "created_at", "archived_at", "sync_started_at", "sync_ended_at"} {
		if value, ok := members[name]; ok && json.Unmarshal(value, new(time.Time)) != nil {
			return at(name) + " is not a time"
		}
	}
	return path + " cannot be decoded"
}

// EventHandlers says which function gets which event. Events without a function of their own go to
// Fallback; those without either are accepted and dropped.
//
// A function returns nil once the event is safely handled or stored. Its context is that of the
// delivery and ends when Kombo hangs up; how long Kombo waits is not documented, so leave long work
// to a queue.
type EventHandlers struct {
	IntegrationCreated              func(context.Context, *IntegrationCreatedEvent) error
	IntegrationDeleted              func(context.Context, *IntegrationDeletedEvent) error
	IntegrationStateChanged         func(context.Context, *IntegrationStateChangedEvent) error
	ConnectionFlowFailed            func(context.Context, *ConnectionFlowFailedEvent) error
	IssueStatusChanged              func(context.Context, *IssueStatusChangedEvent) error
	DataChanged                     func(context.Context, *DataChangedEvent) error
	SyncFinished                    func(context.Context, *SyncFinishedEvent) error
	AssessmentOrderReceived         func(context.Context, *AssessmentOrderReceivedEvent) error
	InlineAssessmentOrderReceived   func(context.Context, *InlineAssessmentOrderReceivedEvent) error
	AIApplyApplicationStatusUpdated func(context.Context, *AIApplyApplicationStatusUpdatedEvent) error
	AIApplyJobPostingStatusUpdated  func(context.Context, *AIApplyJobPostingStatusUpdatedEvent) error

	// Fallback gets every other event, those of unknown types included.
	Fallback func(context.Context, Event) error

	// OnError is told of every POST that is not answered 204: refused ones, with one of the errors of
	// [WebhookVerifier.ParseRequest], and those whose function failed or panicked (then with the
	// stack). Where it is nil, failures and panics of functions are logged to [slog.Default], and
	// refusals nowhere. It must not panic.
	OnError func(context.Context, error)
}

// Handle gives event to the function that is for it, as the handler of [WebhookVerifier.Handler]
// does, but without its care for panics and without OnError. It returns what the function returns;
// nil where there is none; an error for a nil event, which is what a failed parser returns.
func (h EventHandlers) Handle(ctx context.Context, event Event) error {
	switch e := event.(type) {
	case nil:
		return errors.New("kombo: EventHandlers.Handle: the event is nil")
	case *IntegrationCreatedEvent:
		return handle(ctx, h.IntegrationCreated, h.Fallback, e)
	case *IntegrationDeletedEvent:
		return handle(ctx, h.IntegrationDeleted, h.Fallback, e)
	case *IntegrationStateChangedEvent:
		return handle(ctx, h.IntegrationStateChanged, h.Fallback, e)
	case *ConnectionFlowFailedEvent:
		return handle(ctx, h.ConnectionFlowFailed, h.Fallback, e)
	case *IssueStatusChangedEvent:
		return handle(ctx, h.IssueStatusChanged, h.Fallback, e)
	case *DataChangedEvent:
		return handle(ctx, h.DataChanged, h.Fallback, e)
	case *SyncFinishedEvent:
		return handle(ctx, h.SyncFinished, h.Fallback, e)
	case *AssessmentOrderReceivedEvent:
		return handle(ctx, h.AssessmentOrderReceived, h.Fallback, e)
	case *InlineAssessmentOrderReceivedEvent:
		return handle(ctx, h.InlineAssessmentOrderReceived, h.Fallback, e)
	case *AIApplyApplicationStatusUpdatedEvent:
		return handle(ctx, h.AIApplyApplicationStatusUpdated, h.Fallback, e)
	case *AIApplyJobPostingStatusUpdatedEvent:
		return handle(ctx, h.AIApplyJobPostingStatusUpdated, h.Fallback, e)
	}
	return handle(ctx, h.Fallback, nil, event)
}

func handle[E Event](ctx context.Context, own func(context.Context, E) error, fallback func(context.Context, Event) error, event E) error {
	switch {
	case own != nil:
		return own(ctx, event)
	case fallback != nil:
		return fallback(ctx, event)
	}
	return nil
}

// Handler returns an [http.Handler] that verifies, decodes and hands on the webhooks that are
// posted to it. It answers 204 once the function for the event has returned nil, also where there is
// none; 405 for a method other than POST; 401 for a missing or wrong signature; 413 for a body
// over [MaxWebhookBody]; 400 for one that is not an event or breaks off; and 500 where the function
// fails or panics. Its answers are fixed texts.
//
// Set ReadTimeout on the [http.Server]: the handler waits as long as the sender takes.
func (v *WebhookVerifier) Handler(handlers EventHandlers) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "use POST", http.StatusMethodNotAllowed)
			return
		}
		event, err := v.ParseRequest(r)
		if err != nil {
			if handlers.OnError != nil {
				handlers.OnError(r.Context(), err)
			}
			status, text := refusal(err)
			http.Error(w, text, status)
			return
		}
		if err := safely(func() error { return handlers.Handle(r.Context(), event) }); err != nil {
			err = fmt.Errorf("kombo: handling %s %s: %w", line(string(event.EventType())), line(event.EventID()), err)
			if handlers.OnError != nil {
				handlers.OnError(r.Context(), err)
			} else {
				slog.Default().ErrorContext(r.Context(), "kombo: webhook not handled", "error", err)
			}
			http.Error(w, "the webhook could not be handled", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// safely calls a function of the caller's, and returns its panic as an error.
func safely(function func() error) (err error) {
	defer func() {
		switch value := recover().(type) {
		case nil:
		case error:
			err = fmt.Errorf("panic: %w\n%s", value, debug.Stack())
		default:
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
	}()
	return function()
}

func refusal(err error) (status int, text string) {
	switch {
	case errors.Is(err, ErrMissingSignature), errors.Is(err, ErrInvalidSignature):
		return http.StatusUnauthorized, "the signature is missing or wrong"
	case errors.Is(err, ErrPayloadTooLarge):
		return http.StatusRequestEntityTooLarge, "the body is too large"
	}
	return http.StatusBadRequest, "the body is not a webhook"
}
