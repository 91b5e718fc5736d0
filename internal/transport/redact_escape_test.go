package transport

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// An encoding is a reversible way to write a text.
type encoding struct {
	name   string
	encode func(string) string
}

// eachRune replaces the selected characters of a text.
func eachRune(chosen func(rune) bool, replacement func(rune) string) func(string) string {
	return func(s string) string {
		var out strings.Builder
		for _, r := range s {
			if chosen(r) {
				out.WriteString(replacement(r))
			} else {
				out.WriteRune(r)
			}
		}
		return out.String()
	}
}

func everyRune(rune) bool { return true }

func special(r rune) bool { return r < 0x80 && !isLetter(byte(r)) && !isDigit(byte(r)) }

// format returns a replacement for eachRune.
func format(layout string) func(rune) string {
	return func(r rune) string { return fmt.Sprintf(layout, r) }
}

func everyByte(layout string) func(string) string {
	return func(s string) string {
		var out strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&out, layout, s[i])
		}
		return out.String()
	}
}

func everyUnit(layout string) func(string) string {
	return func(s string) string {
		var out strings.Builder
		for _, unit := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&out, layout, unit)
		}
		return out.String()
	}
}

func asJSON(s string) string {
	encoded, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(encoded[1 : len(encoded)-1])
}

// asReference writes a character as an HTML reference, by name if there is one.
func asReference(r rune) string {
	for name, value := range map[rune]string{
		'&': "&amp;", '+': "&plus;", '=': "&equals;", '/': "&sol;", ':': "&colon;", '.': "&period;", '_': "&lowbar;", '%': "&percnt;",
		'#': "&num;", '?': "&quest;", '!': "&excl;", '@': "&commat;", ',': "&comma;", ';': "&semi;", '\\': "&bsol;", '*': "&ast;",
		'<': "&lt;", '>': "&gt;", '"': "&quot;", '\'': "&apos;", '$': "&dollar;", '(': "&lpar;", ')': "&rpar;",
	} {
		if name == r {
			return value
		}
	}
	return string(r)
}

// withoutSemicolons writes references as careless programs do. References before letters and digits need the semicolon.
func withoutSemicolons(s string) string {
	var out strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		switch {
		case !special(r):
			out.WriteRune(r)
		case i+1 == len(runes) || special(runes[i+1]):
			fmt.Fprintf(&out, "&#%d", r)
		default:
			fmt.Fprintf(&out, "&#x%X;", r)
		}
	}
	return out.String()
}

var encodings = []encoding{
	{"as it is", func(s string) string { return s }},
	{"path", url.PathEscape},
	{"query", url.QueryEscape},
	{"every byte in percent", everyByte("%%%02X")},
	{"every byte in percent, lower case", everyByte("%%%02x")},
	{"%u", everyUnit("%%u%04X")},
	{"JSON", asJSON},
	{"JSON with slashes escaped", func(s string) string { return strings.ReplaceAll(asJSON(s), "/", `\/`) }},
	{"JSON, every character", everyUnit(`\u%04x`)},
	{"JSON, special characters", eachRune(special, format(`\u%04X`))},
	{`\x`, everyByte(`\x%02x`)},
	{"Go", func(s string) string { return strings.Trim(strconv.Quote(s), `"`) }},
	{"HTML", html.EscapeString},
	{"HTML, names", eachRune(special, asReference)},
	{"HTML, decimal", eachRune(special, format("&#%d;"))},
	{"HTML, decimal with zeros", eachRune(special, format("&#%09d;"))},
	{"HTML, hexadecimal", eachRune(special, format("&#x%x;"))},
	{"HTML, hexadecimal in upper case", eachRune(special, format("&#X%04X;"))},
	{"HTML, every character", eachRune(everyRune, format("&#%d;"))},
	{"HTML, without semicolons", withoutSemicolons},
}

// keys are secrets of known kinds and of possible future kinds.
var keys = []string{
	"kombo_live_8f3kQ2mZ7xW1pT5vB9nC4rY6", "key-0123456789", "YWJj+ZGVm/Z2hp==",
	"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
	"act:0123+456/789=", "a&b=c+d/e:f;g", `quote"and'quote`, "two words, one plus", "<script>alert(1)</script>", "schlüssel-ö€", "clef-𝄞-clef",
	"https://connect.kombo.dev/v1?token=opaque&x=1", "00000000000000000000000000",
}

// strangeKeys contain text that looks like an escape. They are escaped once.
var strangeKeys = []string{
	"opaque%2Ftoken%", "%%%%%%%%%%", "%25%2525%25", `back\\slash\"quote`, `\\\\\\\\\\`, `\u0041\u00u0041`, "tab\tand\nbreak\n",
	"\x00zero\x00\x00\x00\x00", "<a&b>='c'/d", "a&amp;b&lt;c&#43;d",
}

func TestRedactEveryEscape(t *testing.T) {
	t.Parallel()
	check := func(name, secret, encoded string) {
		t.Helper()
		if got := redact("before "+encoded+" after", noLimit, []string{secret}); got != "before [redacted] after" {
			t.Errorf("%q as %s: redact(%q) = %q", secret, name, encoded, got)
		}
	}
	for _, outer := range encodings {
		for _, secret := range append(keys, strangeKeys...) {
			encoded := outer.encode(secret)
			check(outer.name, secret, encoded)
			for limit := range len("before ") + len(encoded) {
				if got := redact("before "+encoded+" after", limit, []string{secret}); got != Truncate("before [redacted]", limit) {
					t.Errorf("%q as %s, cut at %d: %q", secret, outer.name, limit, got)
				}
			}
		}
		for _, middle := range encodings {
			for _, secret := range keys {
				check(outer.name+" of "+middle.name, secret, outer.encode(middle.encode(secret)))
			}
			for _, inner := range encodings {
				for _, secret := range keys[2:4] {
					check(outer.name+" of "+middle.name+" of "+inner.name, secret, outer.encode(middle.encode(inner.encode(secret))))
				}
			}
		}
	}
}

// The text is encoded several times, up to a limit.
func TestRedactEveryLayer(t *testing.T) {
	t.Parallel()
	const secret = "key+0123/456"
	for _, e := range encodings {
		if strings.Contains(e.name, "every") || strings.HasPrefix(e.name, `\x`) || e.name == "%u" {
			continue // these make the text many times longer in each round
		}
		encoded := secret
		for n := 1; n <= maxLayers; n++ {
			encoded = e.encode(encoded)
			if got := redact(encoded+" after", noLimit, []string{secret}); got != "[redacted] after" {
				t.Errorf("%d times %s: redact(%q) = %q", n, e.name, encoded, got)
			}
		}
	}
}

// The token of a link is not known in advance. It is found by its name in any encoding of the whole text.
func TestRedactEscapedLinks(t *testing.T) {
	t.Parallel()
	const token = "GinuMJCpUQ9xdpLmD2ocw8qdiK3qiPCizDCv754EXri2vAX4"
	for _, text := range []string{
		"https://connect.kombo.dev/v1?token=" + token, "v1/setup?lang=de&token=" + token + "&x=1", "TOKEN=" + token,
		`{"token":"` + token + `"}`, `{"token": "` + token + `"}`, `{'token': '` + token + `'}`, "token: " + token, "token:" + token,
		`{"activation_token":"` + token + `"}`, "access_token=" + token, `"token"=>"` + token + `"`, "<token>" + token + "</token>",
		"eyJ" + token, "Bearer eyJ" + token + "." + token,
	} {
		for _, outer := range encodings {
			for _, inner := range encodings {
				encoded := outer.encode(inner.encode(text))
				if got := redact("before "+encoded+" after", noLimit, nil); reveals(got, token, 2) {
					t.Errorf("%s of %s: redact(%q) = %q", outer.name, inner.name, encoded, got)
				}
			}
		}
	}
}

// Text that only looks like a secret is not redacted.
func TestRedactLeavesTheRest(t *testing.T) {
	t.Parallel()
	secrets := []string{"kombo_live_8f3kQ2mZ7xW1pT5vB9nC4rY6", "eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJ0ZXN0In0.c2lnbmF0dXJl", "%20%20%20", "tok"}
	for _, text := range []string{
		`{"status":"error","error":{"code":"PLATFORM.INPUT_INVALID","title":"Invalid","message":"\"end_user_email\" must be an email address.","log_url":"https://app.kombo.dev/env/production/logs/7xYz?x=1&y=2"}}`,
		"The token is expired.", "Invalid token: expired", "token: must be a string", "token: authentication failed", "invalid_token", `{"error":"invalid_token"}`,
		`{"error":{"token":["The token field is required."]}}`, `{"token":"The token is invalid"}`, `{"token":null,"x":"y"}`, `{"token":"","x":"y"}`, `{"token":{"a":1}}`,
		`Unexpected token '<', "<html>..." is not valid JSON`, `Unexpected token 'o', "not json" is not valid JSON`, "Unexpected token } in JSON at position 12", "Unexpected token: 5 at position 3",
		`<span class="token">GET</span><span class="token">/employees</span>`, `{"token_type":"bearer","expires_in":3600}`, "tokens=12", "Authorization: Bearer", "broken=1 taken=2 KEN=3", "token = expired", "a   b", "ABCJKLMNOPQRSTUVWXYZ",
		`<html><body style="width:100%"><h1>502 Bad Gateway</h1>&nbsp;&copy; A&amp;B <a href="?a=1&amp;b=%20c">back\to\n</a>&#8230;</body></html>`,
		"100% \\ & %zz%4 \\uzzzz \\u00 &#; &#x; &; &unknown; %u12 \\", "", "%", `\`, "&", "&#", "%u", `\u`, "J", "eyJ", "ken", "token", "token=", `token="`, "token: ",
		"schlüssel-ö€ 𝄞 \xff\xfe",
	} {
		if got := redact(text, noLimit, secrets); got != text {
			t.Errorf("redact(%q) = %q", text, got)
		}
	}
}

var (
	percentEscape   = regexp.MustCompile(`(?s)%u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2}`)
	backslashEscape = regexp.MustCompile(`(?s)(\\u[0-9a-fA-F]{4}){1,2}|\\x[0-9a-fA-F]{2}|\\["'\\/bfnrt]`)
)

// Each decoder undoes one kind of encoding. The decoders share no code with redact.
var decoders = []func(string) string{
	html.UnescapeString,
	func(s string) string {
		return percentEscape.ReplaceAllStringFunc(s, func(escape string) string {
			if units := escape[1:]; units[0] == 'u' {
				n, _ := strconv.ParseUint(units[1:], 16, 16)
				return string(rune(n))
			}
			decoded, _ := url.PathUnescape(escape)
			return decoded
		})
	},
	func(s string) string {
		return backslashEscape.ReplaceAllStringFunc(s, func(escape string) string {
			if escape[1] == 'x' {
				n, _ := strconv.ParseUint(escape[2:], 16, 8)
				return string([]byte{byte(n)})
			}
			var decoded string
			if json.Unmarshal([]byte(`"`+escape+`"`), &decoded) != nil {
				return escape[1:]
			}
			return decoded
		})
	},
	func(s string) string { return strings.ReplaceAll(s, "+", " ") },
}

// reveals reports whether text contains secret, or would after at most the given number of decodings.
func reveals(text, secret string, times int) bool {
	if strings.Contains(text, secret) {
		return true
	}
	if times == 0 {
		return false
	}
	for _, decode := range decoders {
		if decoded := decode(text); decoded != text && reveals(decoded, secret, times-1) {
			return true
		}
	}
	return false
}

// The names are those of HTML, in any case; a no-break space counts as a space.
func TestReferencesAreThoseOfHTML(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"amp", "apos", "ast", "bsol", "colon", "comma", "commat", "dollar", "equals", "excl", "grave", "gt", "Hat", "lcub", "lowbar", "lpar", "lsqb", "lt",
		"nbsp", "NewLine", "num", "percnt", "period", "plus", "quest", "quot", "rcub", "rpar", "rsqb", "semi", "sol", "Tab", "verbar", "vert",
	} {
		want := strings.ReplaceAll(html.UnescapeString("&"+name+";"), "\u00a0", " ")
		if got := reference([]byte(strings.ToLower(name))); got != want {
			t.Errorf("&%s; = %q, want %q", name, got, want)
		}
	}
	secret := "{key-of-{braces}}"
	for _, text := range []string{"&lcub;key-of-&lcub;braces&rcub;&rcub;", "&LCUB;key-of-{braces&rcub;}"} {
		if got := redact(text, noLimit, []string{secret}); got != redacted {
			t.Errorf("%s = %q", text, got)
		}
	}
}
