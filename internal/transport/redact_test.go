package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	secrets := []string{"key-0123456789", "to/ken 0123+456", "short"}
	tests := []struct{ name, text, want string }{
		{"nothing", "connection refused", "connection refused"},
		{"key", "bad key-0123456789!", "bad [redacted]!"},
		{"twice", "key-0123456789key-0123456789", "[redacted][redacted]"},
		{"token as path segment", `GET "/x/to%2Fken%200123%2B456"`, `GET "/x/[redacted]"`},
		{"token as url.PathEscape has it", "to%2Fken%200123+456", "[redacted]"},
		{"token in a query", "q=to%2Fken+0123%2B456", "q=[redacted]"},
		{"too short to be a secret", "a short text", "a short text"},
		{"JSON Web Token", "token eyJhbGciOiJI.eyJqdGki.c2ln is expired", "token [redacted] is expired"},
		{"JSON Web Token cut off", "token eyJhbGciOiJIUzI1", "token [redacted]"},
		{"no JSON Web Token", "the eyJack file", "the eyJack file"},
		{"link", `<a href="https://connect.kombo.dev/v1?token=opaque&x=1">`, `<a href="https://connect.kombo.dev/v1?token=[redacted]&x=1">`},
		{"empty token", "?token=&x", "?token=&x"},
		{"two links", "token=a and token=b", "token=[redacted] and token=[redacted]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := redact(test.text, secrets); got != test.want {
				t.Errorf("redact(%q) = %q, want %q", test.text, got, test.want)
			}
		})
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("a ", " b")
	f.Add("token=", "&")
	f.Add("eyJ", ".x")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "0123456789abcdef"
		got := redact(before+secret+after, []string{secret})
		if strings.Contains(got, secret) {
			t.Errorf("%q still holds the secret", got)
		}
		if !strings.Contains(got, redacted) {
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
		{"joined", errors.Join(context.Canceled, urlError), context.Canceled},
		{"another transport's error", plainError{Where: secret}, plainError{Where: secret}},
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
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && strings.Contains(fmt.Sprint(timeout), secret) {
				t.Errorf("errors.As finds the URL by its method: %v", timeout)
			}
		})
	}
}
