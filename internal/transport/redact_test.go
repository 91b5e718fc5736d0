package transport

import (
	"crypto/tls"
	"crypto/x509"
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
	secrets := []string{"key-0123456789", "to/ken 0123+456=", "short", "plus+0123+4567", "once%2Fdecoded%252F0123", "a&b=c+d/e:f;g", "abcdefghijklmnopqrstuvwxyz+12345", "act-0123456789abcdefghijklmnopqrstuvwxyz0123456789"}
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
		{"decoded as a form", `cannot find "plus 0123 4567"`, `cannot find "[redacted]"`},
		{"decoded once", "cannot find once/decoded/0123", "cannot find [redacted]"},
		{"decoded partly", "cannot find once/decoded%2F0123", "cannot find [redacted]"},
		{"as JSON that escapes slashes", `{"t":"to\/ken 0123+456="}`, `{"t":"[redacted]"}`},
		{"as JSON that escapes more", `{"t":"to\u002fken 0123\u002B456\u003d"}`, `{"t":"[redacted]"}`},
		{"everything escaped", "%6b%65%79%2D\\u0030123456789", "[redacted]"},
		{"layers of which one completes the other", `key-\%750030123456789 key-\&#117;0030123456789 key&#&#52;5;0123456789`, "[redacted] [redacted] [redacted]"},
		{"names in upper case", "key&AMP;#45;0123456789", "[redacted]"},
		{"name without its end", "a&ampb=c+d/e:f;g", "[redacted]"},
		{"after a stray escape", "100%abcdefghijklmnopqrstuvwxyz&#43;12345", "100%abcde[redacted]"},
		{"after half a pair", `\ud834\u006bey-0123456789`, `\ud834[redacted]`},
		{"number that is no character", "key&#4294967341;0123456789", "key&#4294967341;0123456789"},
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
		{"link in a query", "?to=https%3A%2F%2Fconnect.kombo.dev%2Fv1%3Ftoken%3Dopaque%26x", "?to=https%3A%2F%2Fconnect.kombo.dev%2Fv1%3Ftoken%3D[redacted]%26x"},
		{"link in a query in a query", "?to=v1%253Ftoken%253Dopaque", "?to=v1%253Ftoken%253D[redacted]"},
		{"link in JSON", `{"link":"v1?token\u003dopaque\u0026x"}`, `{"link":"v1?token\u003d[redacted]\u0026x"}`},
		{"link in HTML", `<a href="v1?token&#61;opaque&amp;x">`, `<a href="v1?token&#61;[redacted]&amp;x">`},
		{"upper case", "v1?TOKEN=opaque", "v1?TOKEN=[redacted]"},
		{"title case", "v1?Token=opaque", "v1?Token=[redacted]"},
		{"escaped token with escapes", "token&#61;opa&#43;que", "token&#61;[redacted]"},
		{"longer name", "activation_token=a access-token=b linkToken=c", "activation_token=[redacted] access-token=[redacted] linkToken=[redacted]"},
		{"index", "form[token]=opaque", "form[token]=[redacted]"},
		{"arrow", `"token"=>"opaque"`, `"token"=>"[redacted]"`},
		{"XML", `<token>opaque</token>`, `<token>[redacted]</token>`},
		{"JSON member", `{"token":"opaque","x":"y"}`, `{"token":"[redacted]","x":"y"}`},
		{"JSON member with spaces", `{"token" : "opaque" , "x" : "y"}`, `{"token" : "[redacted]" , "x" : "y"}`},
		{"single quotes", `{'token': 'opaque', 'x': 'y'}`, `{'token': '[redacted]', 'x': 'y'}`},
		{"JSON in JSON", `"{\"token\":\"opaque\"}"`, `"{\"token\":\"[redacted]\"}"`},
		{"JSON in JSON in JSON", `"\"{\\\"token\\\":\\\"opaque\\\"}\""`, `"\"{\\\"token\\\":\\\"[redacted]\\\"}\""`},
		{"JSON in HTML", `{&quot;token&quot;:&quot;opaque&quot;}`, `{&quot;token&quot;:&quot;[redacted]&quot;}`},
		{"JSON in a query", `?q=%7B%22token%22%3A%22opaque%22%7D`, `?q=%7B%22token%22%3A%22[redacted]%22%7D`},
		{"quoted in a log", `Get \"v1?token=opaque\": EOF`, `Get \"v1?token=[redacted]\": EOF`},
		{"before a fragment", "v1?token=opaque#top", "v1?token=[redacted]#top"},
		{"unquoted in HTML", "<a href=v1?token=opaque>", "<a href=v1?token=[redacted]>"},
		{"backticks", "token: `opaque`", "token: `[redacted]`"},
		{"short, with a digit", "token: opaque12", "token: [redacted]"},
		{"in a sentence", "Token GinuMJCpUQ9xdpLm is expired", "Token [redacted] is expired"},
		{"line of a log", "token: GinuMJCpUQ9xdpLm, next", "token: [redacted] next"},
		{"header", "X-Token: a-token-without-digits", "X-Token: [redacted]"},
		{"JSON Web Token, escaped", `eyJhbGciOiJI\u002eeyJq%2EeyJx&#46;y`, "[redacted]"},
		{"long secret, cut by the server", "act-0123456789abcdefghijklmnopqrstuvwxyz…", "[redacted]…"},
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

// Each secret is found in each form in which a URL or JSON can contain it.
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
			for limit := range len("before ") + len(form(secret)) {
				if got := redact(text, limit, []string{secret}); got != Truncate("before [redacted]", limit) {
					t.Errorf("%q as %s, cut at %d: %q", secret, name, limit, got)
				}
			}
		}
	}
}

// A token that is not text is redacted all the same.
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
		{"in the secret", "see key-0123456789", 17, "see [redacted]"},
		{"in the secret, near its beginning", "see key-0123456789", 6, "see [r"},
		{"in the secret, escaped", "see k%2565y%252D0123456789", 15, "see [redacted]"},
		{"behind the mark", "see key-0123456789 for more", 20, "see [redacted] f"},
		{"harmless text before many secrets", strings.Repeat("x", 50) + strings.Repeat(secret, 50), 100, strings.Repeat("x", 50) + "[redacted][redacted][redacted][redacted]"},
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

// withoutMarks replaces each mark by a byte that is not in the secret, also the beginning of a mark at the end: after
// harmless text, a mark can look like the end of a secret.
func withoutMarks(text, secret string) string {
	gap := 0
	for strings.IndexByte(secret, byte(gap)) >= 0 {
		gap++ // at most once for each byte of the secret
	}
	text = strings.ReplaceAll(text, redacted, string([]byte{byte(gap)}))
	for n := len(redacted) - 1; n > 0; n-- {
		if rest, ok := strings.CutSuffix(text, redacted[:n]); ok {
			return rest
		}
	}
	return text
}

// For any text and any encodings of the secret, decoding the redacted text does not reveal the secret.
func FuzzRedact(f *testing.F) {
	f.Add("a ", " b", "0123456789abcdef", 100, []byte{})
	f.Add("token=", "&", "%25%25%2", 3, []byte{})
	f.Add("eyJ", ".x", `\\\\\\\\`, 1000, []byte{})
	f.Add(`\u00`, "%2", "\xffabcdefgh", 20, []byte{})
	f.Add("0123456", "!", "0123456[", 100, []byte{})
	f.Add("0123456", "!", "0123456[", 16, []byte{})
	f.Add("0", "0", "0000000000!", 30, []byte("C8")) // the limit cuts &#330, another character, to &#33
	for i := range encodings {
		f.Add("a", "%b", "key+0123/456=", noLimit, []byte{byte(i), byte(i), byte(200 + i)})
		f.Add("a%", "%b", "kombo_live+8f3kQ2mZ7xW1pT5vB9nC4rY6/", noLimit, []byte{byte(i), byte(i), byte(200 + i)})
		f.Add(`a\`, `\b`, "kombo_live+8f3kQ2mZ7xW1pT5vB9nC4rY6/", 30, []byte{byte(i), byte(3 * i), byte(7 * i)})
	}
	f.Fuzz(func(t *testing.T, before, after, secret string, limit int, layers []byte) {
		// A secret that is part of the mark itself is too short to be a secret.
		marks := "eyJ" + redacted + "token=" + redacted
		if len(secret) > 100 || len(secret) < shortestSecret || strings.Contains(marks, secret) || strings.Contains(secret, redacted) {
			return
		}
		limit = min(max(limit, 0), noLimit)
		encoded := secret
		layers = layers[:min(len(layers), 3)]
		// After a stray %, part of a short secret looks like an escape. So does the end of a secret that ends like the beginning
		// of an escape.
		if len(secret) < enoughOfSecret && strings.ContainsAny(before, `%\&`) || strings.ContainsAny(secret, `%\&`) {
			layers = nil
		}
		// The part of a text that the limit leaves, a part of the escaped secret, can contain ;0000000 by chance.
		if len(layers) > 0 && strings.Trim(secret, "0123456789abcdefABCDEFuxX#; +") == "" {
			limit = noLimit
		}
		for i, layer := range layers {
			if 0 < i && i < len(layers)-1 {
				// In the middle, no mixture: a layer around it that leaves the escapes of one kind as they are would
				// bring them together with those that it adds. No program writes that either.
				layer %= byte(len(encodings))
			}
			encoded = encodeAs(layer, encoded)
		}
		got := redact(before+encoded+after, limit, []string{secret})
		if reveals(withoutMarks(got, secret), secret, len(layers)) || len(got) > limit {
			t.Errorf("redact(%q) to %d bytes = %q", before+encoded+after, limit, got)
		}
		if limit == noLimit && len(layers) == 0 && !strings.Contains(got, redacted) {
			t.Errorf("%q does not show that something is missing", got)
		}
	})
}

// encodeAs encodes a whole text in one way, or each character in a different way. All spaces are encoded alike. The
// result can be decoded in one way only: a character that begins an escape is always escaped, and a reference ends before
// a digit. No program writes texts that are ambiguous, such as &#37 before 30.
func encodeAs(layer byte, text string) string {
	if int(layer) < len(encodings) {
		return encodings[layer].encode(text)
	}
	n := int(layer)
	var out strings.Builder
	open := false // the text so far ends with a reference without its semicolon
	for _, r := range text {
		encoded := string(r)
		if r != ' ' {
			n = (n*7 + 3) % 1000
			encoded = encodings[n%len(encodings)].encode(string(r))
		}
		for i := 0; encoded == "%" || encoded == `\` || encoded == "&"; i++ {
			encoded = encodings[i].encode(string(r))
		}
		if open && (isDigit(encoded[0]) || encoded[0] == ';') {
			out.WriteByte(';')
		}
		out.WriteString(encoded)
		open = encoded[0] == '&' && encoded[len(encoded)-1] != ';'
	}
	return out.String()
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

// ownAsError is an error whose As method returns the error inside.
type ownAsError struct{ plainError }

func (ownAsError) As(target any) bool {
	switch target := target.(type) {
	case *plainError:
		*target = plainError{Where: "a secret"}
		return true
	case **net.DNSError:
		*target = &net.DNSError{Name: "own.example"}
		return true
	}
	return false
}

// errors.As finds errors in a redactedError, if their type may be revealed.
func TestRedactedErrorAs(t *testing.T) {
	t.Parallel()
	inside := []error{
		&net.OpError{Op: "dial", Err: io.EOF},
		&net.DNSError{Name: "api.example"},
		&tls.CertificateVerificationError{Err: io.EOF},
		tls.RecordHeaderError{Msg: "no TLS"},
		tls.AlertError(40),
		x509.UnknownAuthorityError{},
		x509.HostnameError{Certificate: &x509.Certificate{}, Host: "api.example"},
		x509.CertificateInvalidError{Cert: &x509.Certificate{}, Detail: "expired"},
		syscall.EACCES,
		ownAsError{},
		plainError{},
	}
	targets := func() []any {
		return []any{
			new(*net.OpError), new(*net.DNSError), new(*tls.CertificateVerificationError), new(tls.RecordHeaderError),
			new(tls.AlertError), new(x509.UnknownAuthorityError), new(x509.HostnameError), new(x509.CertificateInvalidError),
			new(systemError),
		}
	}
	for _, err := range inside {
		for _, wrapped := range []error{
			err,
			fmt.Errorf("wrapped: %w", err),
			&url.Error{Op: "Get", Err: err},
			errors.Join(io.EOF, fmt.Errorf("%w and %w", io.ErrNoProgress, err)),
			redactError(fmt.Errorf("twice: %w", err), nil),
		} {
			want, got := targets(), targets()
			for i := range want {
				wantOK, gotOK := errors.As(wrapped, want[i]), errors.As(redactError(wrapped, nil), got[i])
				if wantOK != gotOK || !reflect.DeepEqual(want[i], got[i]) {
					t.Errorf("%T in %T: errors.As finds %v, %v, want %v, %v", want[i], wrapped, gotOK, got[i], wantOK, want[i])
				}
			}
			if errors.As(redactError(wrapped, nil), new(plainError)) {
				t.Errorf("errors.As finds a plainError in %T", wrapped)
			}
		}
	}
}

// Truncation keeps valid UTF-8 valid.
func FuzzTruncate(f *testing.F) {
	f.Add("é€𝄞", 4)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 0 {
			return
		}
		got := Truncate(text, size)
		if bytes := truncate([]byte(text), size); string(bytes) != got {
			t.Errorf("truncate(%q, %d) = %q", text, size, bytes)
		}
		if len(got) > size || !strings.HasPrefix(text, got) {
			t.Errorf("Truncate(%q, %d) = %q", text, size, got)
		}
		if utf8.ValidString(text) && (!utf8.ValidString(got) || len(text) > size && len(got) < size-3) {
			t.Errorf("Truncate(%q, %d) = %q", text, size, got)
		}
	})
}
