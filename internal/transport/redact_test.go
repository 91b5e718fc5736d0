package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

const noLimit = 1 << 30

func TestRedact(t *testing.T) {
	t.Parallel()
	secrets := []string{"key-0123456789", "to/ken 0123+456=", "short"}
	tests := []struct{ name, text, want string }{
		{"nothing", "connection refused", "connection refused"},
		{"key", "bad key-0123456789!", "bad [redacted]!"},
		{"twice", "key-0123456789key-0123456789", "[redacted][redacted]"},
		{"cut off", "key-012345678", "key-012345678"},
		{"after a false start", "key-key-0123456789", "key-[redacted]"},
		{"as a path segment", `GET "/x/to%2Fken%200123%2B456%3D"`, `GET "/x/[redacted]"`},
		{"as a path segment in lower case", "to%2fken%200123%2b456%3d", "[redacted]"},
		{"as url.PathEscape has it", "to%2Fken%200123+456=", "[redacted]"},
		{"as a query", "q=to%2Fken+0123%2B456%3D", "q=[redacted]"},
		{"as JSON that escapes slashes", `{"t":"to\/ken 0123+456="}`, `{"t":"[redacted]"}`},
		{"as JSON that escapes more", `{"t":"to\u002fken 0123\u002B456\u003d"}`, `{"t":"[redacted]"}`},
		{"everything escaped", "%6b%65%79%2D\\u0030123456789", "[redacted]"},
		{"no escape", "%zz%4 \\u00zz \\u00 % \\", "%zz%4 \\u00zz \\u00 % \\"},
		{"too short to be a secret", "a short text", "a short text"},
		{"JSON Web Token", "token eyJhbGciOiJI.eyJqdGki.c2ln is expired", "token [redacted] is expired"},
		{"JSON Web Token with all its characters", "token eyJhbGciOiJI-UzI1_NiJ9.eyJqdGki_Q-0.c2ln_-c is expired", "token [redacted] is expired"},
		{"JSON Web Token cut off", "token eyJhbGciOiJIUzI1", "token [redacted]"},
		{"no JSON Web Token", "the eyJack file", "the eyJack file"},
		{"link", `<a href="https://connect.kombo.dev/v1?token=opaque&x=1">`, `<a href="https://connect.kombo.dev/v1?token=[redacted]&x=1">`},
		{"link with every character of a query", "?token=a-b.c_d~e%2Ff+g/h:i=j&x", "?token=[redacted]&x"},
		{"empty token", "?token=&x", "?token=&x"},
		{"two links", "token=a and token=b", "token=[redacted] and token=[redacted]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := redact(test.text, noLimit, secrets); got != test.want {
				t.Errorf("redact(%q) = %q, want %q", test.text, got, test.want)
			}
		})
	}
}

// Each secret is found in each form in which a URL or JSON can hold it.
func TestRedactEveryForm(t *testing.T) {
	t.Parallel()
	secrets := []string{
		"key-0123456789", "opaque%2Ftoken%", "%%%%%%%%%%", "%25%2525%25", `back\\slash\"quote`, `\\\\\\\\\\`, `\u0041\u00u0041`,
		"tab\tand\nbreak\n", "space and+plus", "schlüssel-ö€", "clef-𝄞-clef", "\x00zero\x00\x00\x00\x00", "<a&b>='c'/d",
	}
	everyByte := func(format string) func(string) string {
		return func(s string) string {
			var out strings.Builder
			for i := range len(s) {
				fmt.Fprintf(&out, format, s[i])
			}
			return out.String()
		}
	}
	asJSON := func(s string) string {
		encoded, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Trim(string(encoded), `"`)
	}
	everyUnit := func(s string) string {
		var out strings.Builder
		for _, unit := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
		return out.String()
	}
	forms := map[string]func(string) string{
		"plain": func(s string) string { return s }, "path": url.PathEscape, "query": url.QueryEscape,
		"every byte": everyByte("%%%02X"), "every byte in lower case": everyByte("%%%02x"),
		"JSON": asJSON, "every character in JSON": everyUnit,
		"JSON of a path":  func(s string) string { return asJSON(url.PathEscape(s)) },
		"JSON of a query": func(s string) string { return asJSON(url.QueryEscape(s)) },
		"slashes escaped": func(s string) string { return strings.ReplaceAll(asJSON(s), "/", `\/`) },
	}
	for _, secret := range secrets {
		for name, form := range forms {
			if got := redact("before "+form(secret)+" after", noLimit, []string{secret}); got != "before [redacted] after" {
				t.Errorf("%q as %s: redact(%q) = %q", secret, name, form(secret), got)
			}
			text := "before " + form(secret) + " after"
			for limit := len("before "); limit < len("before ")+len(form(secret)); limit++ {
				// A secret that ends in % or \ can be complete before the last of its escape.
				got := redact(text, limit, []string{secret})
				rest, complete := strings.CutPrefix(got, "before [redacted]")
				if got != "before " && (!complete || len(rest) >= len(`\u0025`)) {
					t.Errorf("%q as %s, cut at %d: %q", secret, name, limit, got)
				}
			}
		}
	}
}

// A token that is no text at all is a token nevertheless.
func TestRedactInvalidUTF8(t *testing.T) {
	t.Parallel()
	const secret = "token\xff\xfe\xc3-token"
	for _, form := range []string{secret, url.PathEscape(secret), url.QueryEscape(secret), `token\ufffd\ufffd\ufffd-token`} {
		if got := redact("before "+form+" after", noLimit, []string{secret}); got != "before [redacted] after" {
			t.Errorf("redact(%q) = %q", form, got)
		}
	}
}

func TestRedactCuts(t *testing.T) {
	t.Parallel()
	const secret = "key-0123456789"
	tests := []struct {
		name, text string
		limit      int
		want       string
	}{
		{"not at all", "key-012345678", 13, "key-012345678"},
		{"harmless text", strings.Repeat("x", 1000), 100, strings.Repeat("x", 100)},
		{"between characters", "é€é€é€", 6, "é€"},
		{"in the mark", "see key-0123456789", 17, "see "},
		{"behind the mark", "see key-0123456789 for more", 20, "see [redacted] f"},
		{"harmless text before many secrets", strings.Repeat("x", 50) + strings.Repeat(secret, 50), 100, strings.Repeat("x", 50) + "[redacted][redacted][redacted]"},
		{"marks that are longer than what they hide", "token=a token=b", 15, "token=[redacted"},
		{"a long token", "eyJ" + strings.Repeat("x", 5000) + " " + secret, 100, "[redacted]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := redact(test.text, test.limit, []string{secret}); got != test.want {
				t.Errorf("redact = %q, want %q", got, test.want)
			}
		})
	}
}

func TestRedactSecretInASecret(t *testing.T) {
	t.Parallel()
	const inner, outer = "key-0123456789", "token-key-0123456789-token"
	for _, secrets := range [][]string{{inner, outer}, {outer, inner}} {
		if got := redact("see "+outer+" and "+inner, noLimit, secrets); got != "see [redacted] and [redacted]" {
			t.Errorf("%q: %s", secrets, got)
		}
	}
}

// A text that almost holds a secret, at every byte, costs no more time than another.
func TestRedactHostileText(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"a", "%", `\`, "%25"} {
		secret := strings.Repeat(c, maxValue/len(c)-1) + "!"
		text := strings.Repeat(c, (64<<10)/len(c))
		got := redact(text, noLimit, []string{secret})
		if !strings.HasSuffix(got, redacted) || len(got) > len(text)/10 {
			t.Errorf("%q: %d bytes are left of %d", c, len(got), len(text))
		}
	}
}

// Nor does a single place in it.
func TestRedactHostilePlace(t *testing.T) {
	t.Parallel()
	secret, text := strings.Repeat(`\`, 1000)+"!", strings.Repeat(`\`, 4000)
	steps := 0
	if end, _ := matchEscaped(text, 0, secret, &steps); end != 0 || steps > 2*maxSteps {
		t.Errorf("%d steps up to %d", steps, end)
	}
}

// withoutMarks puts a byte that the secret does not have in the place of each mark, the beginning of one at
// the end included: with harmless text before it, a mark can look like the end of a secret.
func withoutMarks(text, secret string) string {
	gap := 0
	for strings.IndexByte(secret, byte(gap)) >= 0 {
		gap++ // at most as often as the secret has bytes
	}
	text = strings.ReplaceAll(text, redacted, string([]byte{byte(gap)}))
	for n := len(redacted) - 1; n > 0; n-- {
		if rest, ok := strings.CutSuffix(text, redacted[:n]); ok {
			return rest
		}
	}
	return text
}

func FuzzRedact(f *testing.F) {
	f.Add("a ", " b", "0123456789abcdef", 100)
	f.Add("token=", "&", "%25%25%2", 3)
	f.Add("eyJ", ".x", `\\\\\\\\`, 1000)
	f.Add(`\u00`, "%2", "\xffabcdefgh", 20)
	f.Add("0123456", "!", "0123456[", 100)
	f.Add("0123456", "!", "0123456[", 16)
	f.Fuzz(func(t *testing.T, before, after, secret string, limit int) {
		// What redacting writes itself holds no secret worth the name.
		marks := "eyJ" + redacted + "token=" + redacted
		if len(secret) > 100 || len(secret) < shortestSecret || strings.Contains(marks, secret) || strings.Contains(secret, redacted) {
			return
		}
		limit = min(max(limit, 0), noLimit)
		got := redact(before+secret+after, limit, []string{secret})
		if strings.Contains(withoutMarks(got, secret), secret) || len(got) > limit {
			t.Errorf("redact to %d bytes = %q", limit, got)
		}
		if limit == noLimit && !strings.Contains(got, redacted) {
			t.Errorf("%q does not show that something is missing", got)
		}
	})
}

// plainError is an error whose fields %#v would print.
type plainError struct{ Where string }

func (e plainError) Error() string { return "cannot reach " + e.Where }

func TestRedactedError(t *testing.T) {
	t.Parallel()
	const secret = "activation-token-1"
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	urlError := &url.Error{Op: "Get", URL: "https://api.example/" + secret, Err: refused}
	tests := []struct {
		name string
		err  error
		is   error
	}{
		{"url.Error", urlError, refused},
		{"wrapped url.Error", fmt.Errorf("proxy: %w", urlError), refused},
		{"url.Error in url.Error", &url.Error{Op: "Get", URL: secret, Err: urlError}, refused},
		{"joined", errors.Join(io.EOF, urlError), io.EOF},
		{"another transport's error", plainError{Where: secret}, plainError{Where: secret}},
		{"what a server wrote", textproto.ProtocolError("malformed " + secret), textproto.ProtocolError("malformed " + secret)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := redactError(test.err, []string{secret})
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
				if got := fmt.Sprintf(verb, err); strings.Contains(got, secret) || strings.Contains(got, fmt.Sprintf("%x", secret)) {
					t.Errorf("%s prints the secret: %s", verb, got)
				}
			}
			if !errors.Is(err, test.is) {
				t.Errorf("errors.Is(%v, %v) = false", err, test.is)
			}
			if leak, ok := errors.AsType[*url.Error](err); ok {
				t.Errorf("errors.As finds the URL: %v", leak)
			}
			for _, found := range []any{new(net.Error), new(interface{ Unwrap() error }), new(interface{ Unwrap() []error }), new(plainError), new(textproto.ProtocolError)} {
				if errors.As(err, found) && strings.Contains(fmt.Sprint(reflect.ValueOf(found).Elem()), secret) {
					t.Errorf("errors.As finds the secret in a %T", found)
				}
			}
		})
	}
}

func TestRedactedErrorIsStillUseful(t *testing.T) {
	t.Parallel()
	denied := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EACCES)}
	err := redactError(&url.Error{Op: "Get", URL: "https://api.example", Err: denied}, nil)
	if opErr, ok := errors.AsType[*net.OpError](err); !ok || opErr != denied {
		t.Errorf("errors.As finds %v", opErr)
	}
	if !errors.Is(err, syscall.EACCES) {
		t.Error("errors.Is does not find the system's error")
	}
	for _, want := range []bool{true, false} {
		err := error(plainError{})
		if want {
			err = &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
		}
		if netErr, ok := errors.AsType[net.Error](redactError(err, nil)); !ok || netErr.Timeout() != want {
			t.Errorf("%v: Timeout = %v", err, !want)
		}
	}
	if text := redactError(errors.New(strings.Repeat("x", 1<<20)), nil).Error(); len(text) > 2<<10 {
		t.Errorf("the text has %d bytes", len(text))
	}
}

// Cutting never makes invalid what was valid.
func FuzzCut(f *testing.F) {
	f.Add("é€𝄞", 4)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 0 {
			return
		}
		got := Cut(text, size)
		if len(got) > size || !strings.HasPrefix(text, got) {
			t.Errorf("Cut(%q, %d) = %q", text, size, got)
		}
		if utf8.ValidString(text) && (!utf8.ValidString(got) || len(text) > size && len(got) < size-3) {
			t.Errorf("Cut(%q, %d) = %q", text, size, got)
		}
	})
}
