package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	// shortestSecret keeps a mistyped one-letter token from blanking every such letter in a message.
	shortestSecret = 8
	// shortestToken is shorter than any JSON Web Token, and longer than a word that starts like one.
	shortestToken = 16
	// maxSteps bounds the time that a hostile text can cost: the characters that are compared, many
	// times what any other text takes.
	maxSteps = 1 << 21
	// maxErrorText bounds what an error of the network says.
	maxErrorText = 2 << 10
)

// redact returns the beginning of text, at most limit bytes of it, without the secrets given, in
// any form in which JSON or a URL can hold them, and without whatever looks like a JSON Web Token or
// the token of a link.
func redact(text string, limit int, secrets []string) string {
	cutOff := len(text) > limit
	text = Cut(text, limit)
	// A secret may hold another: the longer one goes first, or what is left of it would stay.
	longestFirst := func(a, b string) int { return len(b) - len(a) }
	for _, secret := range slices.SortedFunc(slices.Values(secrets), longestFirst) {
		if len(secret) >= shortestSecret {
			text = redactSecret(text, secret, cutOff)
		}
	}
	text = redactRuns(text, "eyJ", true, isTokenByte)
	text = redactRuns(text, "token=", false, isQueryByte)
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

// redactSecret replaces each occurrence of secret, whichever of its characters are escaped. Where the
// text was cut off, it also drops what may be the beginning of one at the end.
func redactSecret(text, secret string, cutOff bool) string {
	var out strings.Builder
	kept, steps := 0, 0
	for i := 0; i < len(text); i++ {
		end, begun := matchEscaped(text, i, secret, &steps)
		switch {
		case steps > maxSteps:
			return out.String() + text[kept:i] + redacted
		case end > 0:
			out.WriteString(text[kept:i])
			out.WriteString(redacted)
			kept, i = end, end-1
		case begun && cutOff:
			return out.String() + text[kept:i]
		}
	}
	return out.String() + text[kept:]
}

// matchEscaped returns where the secret that starts at position i ends, or 0 where none does; begun
// means that the text may end in the midst of it. There can be several readings, for a secret may hold
// what looks like an escape, so it follows all of them. It adds to steps what it compares.
func matchEscaped(text string, i int, secret string, steps *int) (end int, begun bool) {
	var buffer [8]int
	positions, next := append(buffer[:0], i), []int(nil)
	for secret != "" {
		r, size := utf8.DecodeRuneInString(secret)
		plain := secret[:size]
		secret = secret[size:]
		next = next[:0]
		*steps += len(positions) * len(positions) // each is compared with those found before
		for _, at := range positions {
			if unfinished(text[at:]) {
				begun = true
			}
			for _, length := range escapedLengths(text[at:], r, plain) {
				if length > 0 && !slices.Contains(next, at+length) {
					next = append(next, at+length)
				}
			}
		}
		if len(next) == 0 || *steps > maxSteps {
			return 0, begun
		}
		positions, next = next, positions
	}
	return slices.Max(positions), false
}

// unfinished reports whether text ends before any character, or may end in the midst of an escaped
// one: that takes twelve bytes at the most, \ud834\udd1e or %F0%9D%84%9E.
func unfinished(text string) bool {
	return text == "" || len(text) < 12 && (text[0] == '%' || text[0] == '\\')
}

// escapedLengths returns how many bytes at the start of text are the character r, plain if not
// escaped, for each way of writing it; 0 for those that do not fit.
func escapedLengths(text string, r rune, plain string) (lengths [5]int) {
	if strings.HasPrefix(text, plain) || r == ' ' && strings.HasPrefix(text, "+") {
		lengths[0] = len(plain)
	}
	if len(text) > 1 && text[0] == '\\' {
		if text[1:2] == plain || shortEscapes[text[1]] == r && r != 0 {
			lengths[1] = 2
		}
	}
	if percent := len(plain) * len("%ff"); len(text) >= percent {
		lengths[2] = percent
		for j := range len(plain) {
			if text[3*j] != '%' || hex(text[3*j+1:3*j+3]) != int(plain[j]) {
				lengths[2] = 0
			}
		}
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		if unicodeEscape(text, high) && unicodeEscape(text[6:], low) {
			lengths[3] = 2 * len(`\uffff`)
		}
	} else if unicodeEscape(text, r) {
		lengths[4] = len(`\uffff`)
	}
	return lengths
}

// shortEscapes are those of JSON that have letters.
var shortEscapes = [256]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func unicodeEscape(text string, unit rune) bool {
	return len(text) >= len(`\uffff`) && text[0] == '\\' && text[1] == 'u' && hex(text[2:6]) == int(unit)
}

// hex returns the value of hexadecimal digits, or -1.
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
	case **net.OpError, **net.DNSError,
		**tls.CertificateVerificationError, *tls.RecordHeaderError, *tls.AlertError,
		*x509.UnknownAuthorityError, *x509.HostnameError, *x509.CertificateInvalidError:
		return errors.As(e.err, target)
	}
	return isErrno(target) && errors.As(e.err, target)
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
