package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"reflect"
	"slices"
	"sort"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	redacted = "[redacted]"
	// shortestSecret keeps a mistyped one-letter token from blanking every such letter in a message.
	shortestSecret = 8
	// enoughOfSecret is how much of a long secret is searched for: a part is worth hiding, too.
	enoughOfSecret = 32
	// maxSkip: a long secret is also found without its first bytes, at most this many, because a stray % or \ before it
	// can make them look like an escape.
	maxSkip = len("u002b")
	// shortestToken is shorter than any token of a link, and longer than most words.
	shortestToken = 16
	// maxLayers bounds how often escapes are undone: JSON can contain a URL that contains JSON.
	maxLayers = 8
	// maxExpansion is how many times longer than a secret its escaped form can be.
	maxExpansion = 16
	// maxErrorText bounds the text of a network error.
	maxErrorText = 2 << 10
)

// redact returns the beginning of text, at most limit bytes of it, without the secrets, whichever of
// their characters are escaped, and without what looks like a JSON Web Token or the token of a link.
//
// It searches the text as it is, then with its escapes undone, then with the escapes undone that this
// reveals, and so on. What it finds in any of them it blanks in the original.
func redact(text string, limit int, secrets []string) string {
	return string(redactBytes([]byte(text), limit, secrets))
}

// redactBytes is redact for bytes. If there is no secret, it returns a part of text itself.
func redactBytes(text []byte, limit int, secrets []string) []byte {
	var needles [][]byte
	longest := shortestToken
	for _, secret := range secrets {
		if len(secret) >= shortestSecret {
			needles = append(needles, forms(secret)...)
			longest = max(longest, len(secret))
		}
	}
	end := len(truncate(text, limit))
	var found []span
	// First beyond the limit: a secret that the limit cuts in half is found only as a whole. Then up to the limit, because
	// the cut can turn an escape into that of another character.
	for searched := min(len(text), end+maxExpansion*longest); ; searched = end {
		l := layer{text: text[:searched]}
		found = l.find(found, needles)
		for len(l.jumps) < maxLayers && l.undo() {
			found = l.find(found, needles)
		}
		if searched == end {
			break
		}
	}
	if len(found) == 0 {
		return text[:end:end]
	}
	ends := make([]int, end) // of what was found, by where it starts
	for _, s := range found {
		if s.start < end {
			ends[s.start] = max(ends[s.start], s.end)
		}
	}
	out := make([]byte, 0, end)
	kept := 0
	for start, stop := range ends {
		if stop == 0 {
			continue
		}
		if start >= kept {
			out = append(append(out, text[kept:start]...), redacted...)
		}
		kept = max(kept, stop)
	}
	return truncate(append(out, text[min(kept, end):end]...), limit)
}

// Truncate returns at most size bytes of text, without splitting a character.
func Truncate(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}

// truncate is Truncate for bytes.
func truncate(text []byte, size int) []byte {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}

// forms returns the spellings of secret to search for in unescaped text.
func forms(secret string) [][]byte {
	undone := layer{text: []byte(secret)} // a secret can contain what looks like an escape
	for len(undone.jumps) < maxLayers && undone.undo() {
	}
	valid := secret
	if !utf8.ValidString(secret) { // JSON replaces each byte that is wrong
		valid = string([]rune(secret))
	}
	all := []string{
		secret, valid, string(undone.text),
		strings.ReplaceAll(secret, " ", "+"), // as in a form
		strings.ReplaceAll(secret, "+", " "), // as read from a form
	}
	var needles [][]byte
	for i, form := range all {
		if len(form) >= shortestSecret/2 && slices.Index(all, form) == i {
			needles = append(needles, []byte(form))
		}
	}
	return needles
}

// span is a part of the original text.
type span struct{ start, end int }

// layer is a text, some of whose escapes may be undone.
type layer struct {
	text []byte
	// jumps has a list for each time that escapes were undone.
	jumps [][]jump
}

// jump records how far an unescaped text is shifted: a byte at position at, or later, was at its position plus by before the
// escape was undone.
type jump struct{ at, by int }

// origin returns the position in the original of what is at position i.
func (l *layer) origin(i int) int {
	for _, jumps := range slices.Backward(l.jumps) {
		n := sort.Search(len(jumps), func(n int) bool { return jumps[n].at > i })
		if n > 0 {
			i += jumps[n-1].by
		}
	}
	return i
}

// undo undoes the escapes of URLs, JSON and HTML once, and reports whether there were any.
func (l *layer) undo() bool {
	var jumps []jump
	var undone []byte
	if len(l.jumps) > 0 {
		undone = l.text[:0] // in place, unless it is the original
	}
	read := 0 // text before it is undone
	percent, backslash, ampersand := -1, -1, -1
	for i := 0; i < len(l.text); i++ {
		if c := l.text[i]; c != '%' && c != '\\' && c != '&' {
			i = min(l.next('%', i, &percent), l.next('\\', i, &backslash), l.next('&', i, &ampersand))
		}
		value, size := unescape(l.text[i:])
		if size == 0 {
			continue
		}
		if undone == nil {
			undone = make([]byte, 0, len(l.text))
		}
		if jumps == nil {
			jumps = make([]jump, 0, 1+len(l.text)/64)
		}
		undone = append(append(undone, l.text[read:i]...), value...)
		read = i + size
		i = read - 1
		jumps = append(jumps, jump{len(undone), read - len(undone)})
	}
	if jumps == nil {
		return false
	}
	l.text = append(undone, l.text[read:]...)
	l.jumps = append(l.jumps, jumps)
	return true
}

// next returns the first position of c from i on, which last remembers.
func (l *layer) next(c byte, i int, last *int) int {
	if *last < i {
		*last = len(l.text)
		if n := bytes.IndexByte(l.text[i:], c); n >= 0 {
			*last = i + n
		}
	}
	return *last
}

// find appends the parts of the original that must be blanked.
func (l *layer) find(found []span, needles [][]byte) []span {
	add := func(start, end int) { found = append(found, span{l.origin(start), l.origin(end)}) }
	for _, needle := range needles {
		skip := 0
		if len(needle) >= enoughOfSecret {
			skip = maxSkip
		}
		before, piece := needle[:skip], needle[skip:min(len(needle), skip+enoughOfSecret)]
		each(l.text, piece, func(i int) (end int) {
			end = i + max(common(l.text[i:], needle[skip:]), common(l.text[i:], needle))
			if bytes.HasSuffix(l.text[:i], before) {
				i -= skip
			}
			add(i, end)
			return end
		})
	}
	// Search for rare letters first, which is quick: the end of eyJ, and that of token, Token and TOKEN.
	each(l.text, []byte("J"), func(i int) (end int) {
		end = i + run(l.text[i:], isTokenByte)
		if start := i - len("ey"); end-start >= shortestToken && bytes.HasSuffix(l.text[:i], []byte("ey")) {
			add(start, end)
		}
		return end
	})
	for _, ken := range [...]string{"ken", "KEN"} {
		each(l.text, []byte(ken), func(i int) (next int) {
			next = i + len(ken)
			if i < 2 || l.text[i-2]|0x20 != 't' || l.text[i-1]|0x20 != 'o' {
				return next
			}
			start, end := tokenValue(l.text, next)
			if start < end {
				add(start, end)
			}
			return max(next, end)
		})
	}
	return found
}

// each calls f with each place of needle in text. f returns the position from which to continue.
func each(text, needle []byte, f func(int) int) {
	for i := 0; ; {
		n := bytes.Index(text[i:], needle)
		if n < 0 {
			return
		}
		i = f(i + n)
	}
}

// common returns the length of the beginning that both have.
func common(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// tokenValue returns the place of the value whose name ends at i.
func tokenValue(text []byte, i int) (start, end int) {
	separator := i + run(text[i:], isNameEnd)
	start = separator + run(text[separator:], isSeparator)
	if start == separator {
		return i, i
	}
	quoted := start < len(text) && isQuote(text[start])
	if quoted {
		start++
	}
	end = start + run(text[start:], isQueryByte)
	switch value := text[start:end]; {
	case bytes.IndexByte(text[separator:start], '=') >= 0 && !bytes.ContainsAny(text[i:start], " \t\r\n+"): // as in a URL
	case text[i] == '>': // as in XML
	case quoted && end < len(text) && isQuote(text[end]) && bytes.ContainsAny(text[separator:start], ":="): // as in JSON
	case len(value) >= shortestToken, len(value) >= shortestSecret && bytes.ContainsAny(value, "0123456789"):
	default: // a word, as in "token: expired"
		start = end
	}
	return start, end
}

// run returns how many bytes at the start of text are of a kind.
func run(text []byte, kind func(byte) bool) int {
	n := 0
	for n < len(text) && kind(text[n]) {
		n++
	}
	return n
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isTokenByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '-' || c == '_' || c == '.' }

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

func isSpace(c byte) bool { return c <= ' ' || c == '+' }

func isNameEnd(c byte) bool { return isQuote(c) || c == ']' }

func isSeparator(c byte) bool { return isSpace(c) || c == ':' || c == '=' || c == '>' }

func isQueryByte(c byte) bool {
	return c > ' ' && !isQuote(c) && c != '&' && c != '#' && c != '<' && c != '>' && c != '\\'
}

// unescape returns the character of the escape at the start of text, and the length of the escape: 0 if
// there is none.
func unescape(text []byte) (value string, size int) {
	if len(text) < 2 {
		return "", 0
	}
	switch c := text[1]; {
	case text[0] == '&':
		return unescapeHTML(text)
	case c == 'u': // \u002b, or %u002b
		r, n := number(text[2:], 16, 4)
		if n < 4 {
			return "", 0
		}
		if utf16.IsSurrogate(r) && bytes.HasPrefix(text[6:], text[:2]) {
			low, _ := number(text[8:], 16, 4)
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return string(pair), 12
			}
		}
		return string(r), 6
	case text[0] == '%', c == 'x': // %2b, or \x2b
		digits := text[1:]
		if text[0] == '\\' {
			digits = text[2:]
		}
		if b, n := number(digits, 16, 2); n == 2 {
			return string([]byte{byte(b)}), len(text) - len(digits) + n //nolint:gosec // two digits
		}
	case isLetter(c):
		if i := strings.IndexByte("bfnrt", c); i >= 0 {
			return "\b\f\n\r\t"[i : i+1], 2
		}
	case c > ' ' && c != '%' && c != '&':
		return string(text[1:2]), 2
	}
	return "", 0
}

// reference returns the character of an HTML reference by its name in lower case, if a secret may contain it, or "".
func reference(name []byte) string {
	switch string(name) {
	case "amp":
		return "&"
	case "apos":
		return "'"
	case "ast":
		return "*"
	case "bsol":
		return `\`
	case "colon":
		return ":"
	case "comma":
		return ","
	case "commat":
		return "@"
	case "dollar":
		return "$"
	case "equals":
		return "="
	case "excl":
		return "!"
	case "grave":
		return "`"
	case "gt":
		return ">"
	case "hat":
		return "^"
	case "lcub":
		return "{"
	case "lowbar":
		return "_"
	case "lpar":
		return "("
	case "lsqb":
		return "["
	case "lt":
		return "<"
	case "nbsp":
		return " "
	case "newline":
		return "\n"
	case "num":
		return "#"
	case "percnt":
		return "%"
	case "period":
		return "."
	case "plus":
		return "+"
	case "quest":
		return "?"
	case "quot":
		return `"`
	case "rcub":
		return "}"
	case "rpar":
		return ")"
	case "rsqb":
		return "]"
	case "semi":
		return ";"
	case "sol":
		return "/"
	case "tab":
		return "\t"
	case "verbar", "vert":
		return "|"
	}
	return ""
}

func unescapeHTML(text []byte) (value string, size int) {
	if text[1] == '#' {
		digits, base := 2, rune(10)
		if len(text) > 2 && text[2]|0x20 == 'x' {
			digits, base = 3, 16
		}
		r, n := number(text[digits:], base, len(text))
		if n == 0 {
			return "", 0
		}
		value, size = string(r), digits+n
	} else {
		var name [len("newline")]byte
		n := 0
		for n < len(name) && 1+n < len(text) && isLetter(text[1+n]) {
			name[n] = text[1+n] | 0x20
			n++
		}
		for ; value == ""; n-- {
			if n == 0 {
				return "", 0
			}
			value, size = reference(name[:n]), 1+n
		}
	}
	switch rest := text[size:]; {
	case len(rest) > 0 && rest[0] == ';':
		size++
	case len(rest) > 0 && rest[0] == '%':
		if _, n := unescape(rest); n > 0 { // it may be the semicolon
			return "", 0
		}
	}
	return value, size
}

// number reads a number of at most size digits, and returns how many it has.
func number(text []byte, base rune, size int) (value rune, n int) {
	for ; n < min(len(text), size); n++ {
		digit := base
		switch c := rune(text[n]); {
		case '0' <= c && c <= '9':
			digit = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			digit = c | 0x20 - 'a' + 10
		}
		if digit >= base {
			break
		}
		value = min(value*base+digit, utf8.MaxRune+1)
	}
	return value, n
}

// redactedError has the text of err without the secrets. errors.Is finds what err wraps. errors.As finds
// only types of the standard library that contain no more than addresses and certificates: any other, above
// all *url.Error, may contain a secret.
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

// Is never matches context errors: dialers return them for their own limits, but callers read them as the
// end of their context.
func (e *redactedError) Is(target error) bool {
	return target != context.Canceled && target != context.DeadlineExceeded && errors.Is(e.err, target)
}

func (e *redactedError) As(target any) bool {
	switch target.(type) {
	case **net.OpError, **net.DNSError, *systemError,
		**tls.CertificateVerificationError, *tls.RecordHeaderError, *tls.AlertError,
		*x509.UnknownAuthorityError, *x509.HostnameError, *x509.CertificateInvalidError:
		return As(e.err, target)
	}
	return false
}

// As is errors.As for a target that errors.As accepts. It uses reflect, as encoding/json does: errors.As has a
// reflection of its own, for which the linker would add 20 KB to a program. errors.AsType would add code for every type
// that is no pointer.
func As(err error, target any) bool {
	into := reflect.ValueOf(target).Elem()
	for err != nil {
		if reflect.TypeOf(err).AssignableTo(into.Type()) {
			into.Set(reflect.ValueOf(err))
			return true
		}
		if other, ok := err.(interface{ As(target any) bool }); ok && other.As(target) {
			return true
		}
		switch wrapper := err.(type) { //nolint:errorlint // this is errors.As
		case interface{ Unwrap() error }:
			err = wrapper.Unwrap()
		case interface{ Unwrap() []error }:
			return slices.ContainsFunc(wrapper.Unwrap(), func(err error) bool { return As(err, target) })
		default:
			return false
		}
	}
	return false
}

// Timeout and Temporary make redactedError a net.Error, so errors.As returns it and not the unredacted one that it wraps.
func (e *redactedError) Timeout() bool {
	var inner interface{ Timeout() bool }
	return As(e.err, &inner) && inner.Timeout()
}

// Temporary is the part of net.Error that is deprecated.
func (e *redactedError) Temporary() bool { return e.Timeout() }

var _ net.Error = (*redactedError)(nil)
