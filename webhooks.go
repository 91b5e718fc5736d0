package kombo

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/kombo-go/kombo/internal/boundedjson"
	"github.com/kombo-go/kombo/internal/transport"
)

const (
	// SignatureHeader is the header in which Kombo sends the signature of a webhook.
	SignatureHeader = "X-Kombo-Signature"

	// MaxWebhookBody is the size in bytes of the longest webhook that is accepted.
	MaxWebhookBody = 1 << 20
)

// The kinds of error of a webhook that is refused, for [errors.Is].
var (
	// ErrMissingSignature means that a webhook has no signature.
	ErrMissingSignature = errors.New("kombo: webhook signature missing")
	// ErrInvalidSignature means that the signature was made with none of the secrets: the webhook is
	// forged, its body was changed on the way, or the secret belongs to another environment.
	ErrInvalidSignature = errors.New("kombo: webhook signature invalid")
	// ErrInvalidPayload means that a webhook's body is not an event. The error names the event type
	// and the field if they are known.
	ErrInvalidPayload = errors.New("kombo: webhook payload invalid")
	// ErrPayloadTooLarge means that a webhook's body is longer than [MaxWebhookBody].
	ErrPayloadTooLarge = errors.New("kombo: webhook payload too large")
)

// WebhookVerifier checks that webhooks come from Kombo. It is immutable and safe for concurrent use.
type WebhookVerifier struct {
	keys []*webhookKey
}

// NewWebhookVerifier returns a verifier that accepts webhooks signed with any of the secrets: the
// current one of the environment and, while it is being replaced, the previous one. Secrets are on the
// secrets page of Kombo's dashboard; each environment has its own. An empty secret is an error, and with
// GODEBUG=fips140=only also one shorter than 14 bytes, because [crypto/hmac] does not accept it.
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
			return nil, fmt.Errorf("kombo: NewWebhookVerifier: secret %d starts or ends with white space, or contains characters that cannot be printed; was it read with a line break at its end?", i+1)
		}
		if len(secret) < minFIPSKey && fips140.Enforced() {
			return nil, fmt.Errorf("kombo: NewWebhookVerifier: secret %d is shorter than %d bytes, which GODEBUG=fips140=only does not allow", i+1, minFIPSKey)
		}
		v.keys[i] = newWebhookKey(secret)
	}
	return v, nil
}

// minFIPSKey is the size in bytes below which [hmac.New] panics for a key with GODEBUG=fips140=only.
const minFIPSKey = 112 / 8

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Verify checks that signature, the value of [SignatureHeader], is the signature of body. body must be the
// raw bytes received: a re-encoded body has another signature. Verify fails with [ErrMissingSignature],
// [ErrInvalidSignature] or [ErrPayloadTooLarge].
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
	// Try every secret, so that the time taken does not show which one matches.
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

// ParseRequest reads, verifies and decodes the webhook in r. Nothing may have read the body before.
// Besides the errors of [WebhookVerifier.Parse] it returns those of reading the body.
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
	if errors.Is(err, ErrInvalidSignature) {
		// net/http returns an error for a body that ends early, so a body of another length than announced
		// was read or replaced by someone else, such as a middleware.
		switch {
		case len(body) == 0:
			return nil, fmt.Errorf("%w: the body is empty; was it read before?", err)
		case r.ContentLength > 0 && r.ContentLength != int64(len(body)):
			return nil, fmt.Errorf("%w: the body has %d bytes, but Content-Length is %d; was it read before?", err, len(body), r.ContentLength)
		}
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
	body, err := transport.ReadAll(r.Body, r.ContentLength, MaxWebhookBody+1)
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge, len(body) > MaxWebhookBody:
		return nil, ErrPayloadTooLarge
	case err != nil:
		return nil, fmt.Errorf("kombo: reading the webhook: %w", err)
	}
	return body, nil
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
// without padding. With GODEBUG=fips140=only it panics for a secret shorter than 14 bytes, as [hmac.New]
// does.
func SignWebhook(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// signatureLength is the length of a signature without padding: 32 bytes in base64url.
const signatureLength = (sha256.Size*8 + 5) / 6

// webhookKey checks signatures with one secret. Hashing the secret is half of the work for a short
// body, so the keyed hashes are kept.
type webhookKey struct {
	pool sync.Pool // of *signatureCheck
}

// signatureCheck has the buffers for checking one signature, so that it allocates nothing.
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

// compare returns 1 if signature, which has the right length, is the signature of body, else 0. It compares
// the encoded forms, because decoding ignores line breaks and the last two bits.
func (k *webhookKey) compare(body []byte, signature string) int {
	check := k.pool.Get().(*signatureCheck)
	defer k.pool.Put(check)
	check.mac.Reset()
	check.mac.Write(body)
	base64.RawURLEncoding.Encode(check.expected[:], check.mac.Sum(check.sum[:0]))
	copy(check.given[:], signature)
	return subtle.ConstantTimeCompare(check.expected[:], check.given[:])
}

// ParseEvent decodes a webhook that was verified before, such as one from a queue. It returns a pointer to
// the struct of the event type, or an [*UnknownEvent]. Fields that this package does not know are ignored;
// they are in [Event.RawBody], which is body itself: do not change it afterwards.
//
// It fails with [ErrInvalidPayload] if body is not JSON, has no id, type or data, or if its data lacks a
// field that callers depend on (an id, the state, the time of a change).
func ParseEvent(body []byte) (Event, error) {
	// In nearly every body the type is found without a decoder, so that the data is decoded once, into the
	// right struct, and not copied. All others take the slow path, which also reports the errors.
	if id, eventType, data, ok := scanInOrder(body); ok {
		event, err := decodeEvent(id, eventType, data, body)
		if err == nil || json.Valid(data) { // else it is more than the data
			return event, err
		}
	}
	if id, eventType, data, ok := scanMembers(body); ok {
		if event, err := decodeEvent(id, eventType, data, body); err == nil {
			return event, nil
		}
	}
	var envelope struct {
		ID   string          `json:"id"`
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := boundedjson.Unmarshal(body, &envelope); err != nil {
		return nil, &payloadError{reason: describePayloadError("", body, &envelope, err)}
	}
	if field := required("type", envelope.Type, "id", envelope.ID); field != "" {
		return nil, &payloadError{eventType: envelope.Type, reason: field + " is missing"}
	}
	return decodeEvent([]byte(envelope.ID), []byte(envelope.Type), envelope.Data, body)
}

func decodeEvent(id, eventType, data, body []byte) (Event, error) {
	event := newEvent(eventType)
	reason := ""
	if len(data) == 0 || string(data) == "null" {
		reason = "data is missing"
	} else if err := boundedjson.Unmarshal(data, event.data()); err != nil {
		reason = describePayloadError("data", data, event.data(), err)
	} else if p, ok := event.data().(checker); ok && p.missing() != "" {
		reason = "data." + p.missing() + " is missing"
	}
	if reason != "" {
		return nil, &payloadError{eventType: string(eventType), reason: reason}
	}
	header := event.header()
	header.ID, header.raw = string(id), body
	return event, nil
}

// payloadError is a body that is not an event.
type payloadError struct {
	eventType string
	reason    string
}

func (e *payloadError) Error() string {
	text := ErrInvalidPayload.Error()
	if e.eventType != "" {
		text += ": " + singleLine(e.eventType)
	}
	return text + ": " + e.reason
}

func (e *payloadError) Is(target error) bool { return target == ErrInvalidPayload }

// describePayloadError describes what is wrong with a document that cannot be decoded into target, and in
// which field. It quotes no value, because an error must not contain personal data.
func describePayloadError(path string, document []byte, target any, err error) string {
	if errors.Is(err, boundedjson.ErrTooMuch) {
		return err.Error()
	}
	if !json.Valid(document) {
		return "it is not JSON"
	}
	switch wrong := findMisfit(document, target, path, err, func(string) bool { return true }); {
	case wrong == nil:
		return strings.TrimSpace(path + " cannot be decoded")
	case wrong.path == "":
		return "it is not a JSON object"
	case wrong.isTime:
		return wrong.path + " is not a time"
	default:
		return wrong.path + " has the wrong type"
	}
}
