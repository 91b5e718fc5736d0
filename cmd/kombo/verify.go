package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/kombo-go/kombo"
)

var verifyCommand = command{
	name: "verify", arguments: "[SIGNATURE]", summary: "check the signature of a webhook, and why it is wrong",
	about: `Checks that SIGNATURE, the header X-Kombo-Signature, is the signature of the
body on standard input, made with KOMBO_WEBHOOK_SECRET. If it is not, it finds
out why: a body that was re-encoded, a signature or secret that was changed, or
the secret of another environment. It exits with 1 unless it is valid.

  kombo verify -header headers.txt < body.json`,
	setup: func(flags *flag.FlagSet) runner {
		headerFile := flags.String("header", "", "the `file` with the headers of the request")
		return func(ctx context.Context, e *env, args []string) error {
			var received webhookHeader
			switch {
			case (len(args) == 1) == (*headerFile != ""):
				return &usageError{errors.New("give SIGNATURE or -header")}
			case *headerFile != "":
				var err error
				if received, err = readHeader(*headerFile); err != nil {
					return err
				}
			default:
				received.signature = args[0]
			}
			return verify(ctx, e, received)
		}
	},
	// One signature in 64 begins with a hyphen.
	isArgument: func(arg string) bool {
		sum, err := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(arg, "="))
		return err == nil && len(sum) == signatureSize
	},
}

// webhookHeader is what verify reads in the header of a webhook.
type webhookHeader struct {
	signature string
	length    int // Content-Length; 0 if there is none
}

// readHeader reads a file with the header of a request, as a log or "curl -v" has it.
func readHeader(name string) (webhookHeader, error) {
	var header webhookHeader
	file, err := os.Open(name)
	if err != nil {
		return header, &usageError{err}
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		field, value, _ := strings.Cut(strings.TrimLeft(lines.Text(), "<> "), ":")
		switch value = strings.TrimSpace(value); {
		case strings.EqualFold(field, kombo.SignatureHeader):
			header.signature = value
		case strings.EqualFold(field, "Content-Length"):
			header.length, _ = strconv.Atoi(value)
		}
	}
	return header, lines.Err()
}

// verdict is the result of a verification.
type verdict struct {
	Valid   bool   `json:"valid"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail"`
	EventID string `json:"event_id,omitempty"`
	Type    string `json:"type,omitempty"`
}

func verify(ctx context.Context, e *env, received webhookHeader) error {
	secret, err := e.secret()
	if err != nil {
		return err
	}
	body, err := e.readStdin(ctx)
	if err != nil {
		return err
	}
	result := judge(body, received, secret, e.getenv(varAPIKey))
	if result.Valid {
		result.EventID, result.Type = describeBody(body)
	}
	switch {
	case e.json:
		err = e.printJSON(result)
	case result.Valid:
		fmt.Fprintf(e.stdout, "%s: %s %s%s\n", e.colored(green, "valid"), printable(result.Type), printable(result.EventID), result.Detail)
	default:
		fmt.Fprintf(e.stdout, "%s: %s\n", e.colored(red, "not valid"), result.Detail)
	}
	if err == nil && !result.Valid {
		return &reportedError{kombo.ErrInvalidSignature}
	}
	return err
}

// signatureSize is the size in bytes of a signature.
const signatureSize = 32

// The reasons of a verdict.
const (
	reasonValid     = "valid"
	reasonMissing   = "missing_signature"
	reasonMalformed = "malformed_signature"
	reasonEmpty     = "empty_body"
	reasonTooLarge  = "body_too_large"
	reasonLength    = "wrong_length"
	reasonBody      = "changed_body"
	reasonSecret    = "changed_secret"
	reasonWrongKey  = "other_secret"
)

// judge finds out whether a signature is valid, and why not.
func judge(body []byte, received webhookHeader, secret, apiKey string) verdict {
	no := func(reason, detail string) verdict { return verdict{Reason: reason, Detail: detail} }
	verifier, err := kombo.NewWebhookVerifier(secret)
	if err == nil && verifier.Verify(body, received.signature) == nil {
		detail := ""
		if _, err := kombo.ParseEvent(body); err != nil {
			detail = " (" + strings.TrimPrefix(err.Error(), "kombo: ") + ")"
		}
		return verdict{Valid: true, Reason: reasonValid, Detail: detail}
	}
	if strings.TrimSpace(received.signature) == "" {
		return no(reasonMissing, "there is no signature; did a proxy remove the header "+kombo.SignatureHeader+"?")
	}
	switch {
	case len(body) == 0:
		return no(reasonEmpty, "the body is empty; was it read before?")
	case len(body) > kombo.MaxWebhookBody:
		return no(reasonTooLarge, "the body is longer than 1 MiB")
	}
	sum, form := decodeSignature(received.signature)
	if sum == nil {
		return no(reasonMalformed, fmt.Sprintf("the signature is not 32 bytes in base64url, which has 43 characters; this one has %d", len(received.signature)))
	}
	for _, s := range secretVariants(secret, apiKey) {
		for _, b := range bodyVariants(body) {
			if mac, _ := decodeSignature(kombo.SignWebhook(s.value, b.body)); !hmac.Equal(mac, sum) {
				continue
			}
			switch {
			case s.problem != "":
				return no(reasonSecret, s.problem)
			case b.problem != "":
				return no(reasonBody, b.problem)
			}
			return no(reasonMalformed, "the signature is right, but "+form+"; pass the header on as it is")
		}
	}
	switch {
	case received.length > 0 && received.length != len(body):
		return no(reasonLength, fmt.Sprintf("the body has %d bytes, but Content-Length is %d: it was cut or re-encoded", len(body), received.length))
	case !hasKomboForm(body):
		return no(reasonBody, "the body does not have Kombo's form, JSON indented by two spaces: it was probably re-encoded. Verify the raw bytes, before a framework decodes them")
	}
	return no(reasonWrongKey, "the body looks unchanged, so the secret is probably that of another environment (each has its own), or the webhook is forged")
}

// decodeSignature returns the bytes of a signature, also of one that was changed on the way, and how it was
// changed. It returns nil if there are no such bytes.
func decodeSignature(signature string) (sum []byte, form string) {
	text := strings.Trim(signature, " \t\r\n\"'")
	if text != signature {
		form = "there is white space or a quote around it"
	}
	if rest, ok := strings.CutPrefix(text, "sha256="); ok {
		text, form = rest, "it begins with sha256="
	}
	unpadded := strings.TrimRight(text, "=")
	if len(text)-len(unpadded) > 1 {
		form = "it has too much padding"
	}
	if sum, err := base64.RawURLEncoding.DecodeString(unpadded); err == nil && len(sum) == signatureSize {
		if form == "" && base64.RawURLEncoding.EncodeToString(sum) != unpadded {
			form = "its last character was changed"
		}
		return sum, form
	}
	if sum, err := base64.RawStdEncoding.DecodeString(unpadded); err == nil && len(sum) == signatureSize {
		return sum, "it is in base64, not in base64url"
	}
	if sum, err := base64.RawStdEncoding.DecodeString(strings.ReplaceAll(unpadded, " ", "+")); err == nil && len(sum) == signatureSize {
		return sum, "it is in base64, and a plus sign became a space"
	}
	if sum, ok := decodeHex(text); ok {
		return sum, "it is in hexadecimal, not in base64url"
	}
	return nil, ""
}
