package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	// shortestSecret keeps a mistyped one-letter token from blanking every such letter in a message.
	shortestSecret = 8
	// shortestToken is shorter than any JSON Web Token, and longer than a word that starts like one.
	shortestToken = 16
	// longestEscape is how many bytes a byte of a secret becomes at the most: \u002f.
	longestEscape = 6
	// maxErrorText bounds what an error of the network says.
	maxErrorText = 2 << 10
)

// redact returns the beginning of text, at most limit bytes of it, without the secrets given, in
// any form in which JSON or a URL can hold them, and without whatever looks like a JSON Web Token or
// the token of a link.
func redact(text string, limit int, secrets []string) string {
	margin := 0
	for _, secret := range secrets {
		margin = max(margin, len(secret)*longestEscape)
	}
	// What is cut off may end in half a secret, which nobody recognizes. The end of what is kept
	// goes too, for redacting makes a text shorter and moves its end forward.
	cutOff := len(text) > limit+margin
	if cutOff {
		text = text[:limit+margin]
	}
	for _, secret := range secrets {
		if len(secret) >= shortestSecret {
			text = redactSecret(text, secret)
		}
	}
	text = redactRuns(text, "eyJ", true, isTokenByte)
	text = redactRuns(text, "token=", false, isQueryByte)
	if cutOff {
		text = text[:max(len(text)-margin, 0)]
	}
	return Cut(text, limit)
}

// Cut returns at most size bytes of text, without splitting a character.
func Cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}

// redactSecret replaces each occurrence of secret, whichever of its bytes are escaped.
func redactSecret(text, secret string) string {
	var out strings.Builder
	kept := 0
	for i := 0; i < len(text); i++ {
		if end := matchEscaped(text, i, secret); end > 0 {
			out.WriteString(text[kept:i])
			out.WriteString(redacted)
			kept, i = end, end-1
		}
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

// matchEscaped returns where the secret that starts at i ends, or 0 where none does.
func matchEscaped(text string, i int, secret string) (end int) {
	for j := range len(secret) {
		if i >= len(text) {
			return 0
		}
		want := secret[j]
		switch rest := text[i:]; {
		case rest[0] == want:
			i++
		case rest[0] == '+' && want == ' ':
			i++
		case rest[0] == '\\' && len(rest) > 1 && rest[1] == want:
			i += 2
		case rest[0] == '%' && len(rest) > 2 && hex(rest[1:3]) == int(want):
			i += 3
		case strings.HasPrefix(rest, `\u00`) && len(rest) > 5 && hex(rest[4:6]) == int(want):
			i += 6
		default:
			return 0
		}
	}
	return i
}

// hex returns the value of two hexadecimal digits, or -1.
func hex(digits string) int {
	value := 0
	for i := range len(digits) {
		c := digits[i] | 0x20 // lower case
		switch {
		case '0' <= digits[i] && digits[i] <= '9':
			value = value<<4 | int(digits[i]-'0')
		case 'a' <= c && c <= 'f':
			value = value<<4 | int(c-'a'+10)
		default:
			return -1
		}
	}
	return value
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

// redactedError says what err says without the secrets. It stands in for err: errors.Is sees
// through it; errors.As finds in it those types of the standard library that hold addresses and
// certificates only. Any other type, *url.Error first of all, may hold what must not be said.
type redactedError struct {
	text string
	err  error
}

func redactError(err error, secrets []string) error {
	return &redactedError{text: redact(err.Error(), maxErrorText, secrets), err: err}
}

func (e *redactedError) Error() string { return e.text }

// GoString keeps %#v from printing the fields.
func (e *redactedError) GoString() string { return e.text }

// Is does not find the errors of contexts: dialers and connections use them for limits of their own,
// and here they are for the end of the caller's context alone.
func (e *redactedError) Is(target error) bool {
	return target != context.Canceled && target != context.DeadlineExceeded && errors.Is(e.err, target)
}

func (e *redactedError) As(target any) bool {
	switch target.(type) {
	case **net.OpError, **net.DNSError, *syscall.Errno,
		**tls.CertificateVerificationError, *tls.RecordHeaderError, *tls.AlertError,
		*x509.UnknownAuthorityError, *x509.HostnameError, *x509.CertificateInvalidError:
		return errors.As(e.err, target)
	}
	return false
}

// Timeout makes it a net.Error, which errors.As finds in place of the one inside.
func (e *redactedError) Timeout() bool {
	inner, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](e.err)
	return ok && inner.Timeout()
}

// Temporary is the part of net.Error that is deprecated.
func (e *redactedError) Temporary() bool { return e.Timeout() }

var _ net.Error = (*redactedError)(nil)
