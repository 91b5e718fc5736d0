package transport

import (
	"errors"
	"net/url"
	"strings"
)

const (
	redacted = "[redacted]"
	// shortestSecret keeps a mistyped one-letter token from blanking every such letter in a message.
	shortestSecret = 8
	// shortestToken is shorter than any JSON Web Token, and longer than a word that starts like one.
	shortestToken = 16
)

// redact removes from text the secrets given, in each form in which a URL can hold them, and
// whatever looks like a JSON Web Token or the token of a link.
func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) < shortestSecret {
			continue
		}
		for _, form := range [...]string{
			secret, url.PathEscape(secret), url.QueryEscape(secret),
			strings.ReplaceAll(url.QueryEscape(secret), "+", "%20"),
		} {
			text = strings.ReplaceAll(text, form, redacted)
		}
	}
	return redactRuns(redactRuns(text, "eyJ", true, isTokenByte), "token=", false, isQueryByte)
}

// redactRuns replaces each run of bytes that starts with (or, if not included, follows) start.
func redactRuns(text, start string, included bool, inRun func(byte) bool) string {
	if !strings.Contains(text, start) {
		return text
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, start)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		end := 0
		for end < len(after) && inRun(after[end]) {
			end++
		}
		switch {
		case !included:
			out.WriteString(start)
			if end > 0 {
				out.WriteString(redacted)
			}
		case len(start)+end >= shortestToken:
			out.WriteString(redacted)
		default:
			out.WriteString(start)
			out.WriteString(after[:end])
		}
		text = after[end:]
	}
}

func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

func isQueryByte(c byte) bool {
	return c > ' ' && !strings.ContainsRune(`&#"'<>`+"`", rune(c))
}

// redactedError says what err says without the secrets. It stands in for err in errors.Is and
// errors.As, apart from any *url.Error in its chain: that one carries the whole URL.
type redactedError struct {
	text string
	all  error
	safe error
}

func redactError(err error, secrets []string) error {
	safe := err
	for {
		urlErr, ok := errors.AsType[*url.Error](safe)
		if !ok {
			break
		}
		safe = urlErr.Err
	}
	return &redactedError{text: redact(err.Error(), secrets), all: err, safe: safe}
}

func (e *redactedError) Error() string { return e.text }

// GoString keeps %#v from printing the fields.
func (e *redactedError) GoString() string { return e.text }

func (e *redactedError) Is(target error) bool { return errors.Is(e.all, target) }

func (e *redactedError) As(target any) bool { return errors.As(e.safe, target) }
