package kombo_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
)

func TestNewWebhookVerifierRefusesBadSecrets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		secrets []string
		want    string
	}{
		{nil, "no secret was given"},
		{[]string{""}, "secret 1 is empty"},
		{[]string{"current-secret", ""}, "secret 2 is empty"},
		{[]string{"current-secret\n"}, "secret 1 starts or ends with white space, or contains characters that cannot be printed; was it read with a line break at its end?"},
		{[]string{"\x00"}, "secret 1 starts or ends with white space, or contains characters that cannot be printed; was it read with a line break at its end?"},
		{[]string{"secret\u200b"}, "secret 1 starts or ends with white space, or contains characters that cannot be printed; was it read with a line break at its end?"},
		{[]string{"secret\xff"}, "secret 1 starts or ends with white space, or contains characters that cannot be printed; was it read with a line break at its end?"},
		{[]string{"current-secret", " old"}, "secret 2 starts or ends with white space, or contains characters that cannot be printed; was it read with a line break at its end?"},
	}
	for _, test := range tests {
		verifier, err := kombo.NewWebhookVerifier(test.secrets...)
		if verifier != nil || err == nil || err.Error() != "kombo: NewWebhookVerifier: "+test.want {
			t.Errorf("NewWebhookVerifier(%q) = %v, %v", test.secrets, verifier, err)
		}
	}
}

// The expected signatures are from another implementation:
//
//	printf '%s' BODY | openssl dgst -sha256 -hmac SECRET -binary | basenc --base64url
func TestSignWebhook(t *testing.T) {
	t.Parallel()
	tests := []struct{ secret, body, want string }{
		{"whsec", `{"id":"1"}`, "pY-ejUZC2R7orIFxMEGKeqMyEjbmxIuDmQLfonBLIKE"},
		{"schlüssel", "{\n  \"id\": \"ü\"\n}", "9W8_bQod9WNUEkrjVtORMQ_y6A7asjiPj4syWUWK3yc"},
		{"Whsec_A+/=9", "{}", "dUBqRqnJ3rl5Y9UDR1MBdOoA4aOlUJa8WB5ywEQgqZw"},
		{"k", "", "i7mQxAp9YcuXWXqUISUCW-UKyL63RDbjc1uYiTp_ZiA"},
	}
	for _, test := range tests {
		if got := kombo.SignWebhook(test.secret, []byte(test.body)); got != test.want {
			t.Errorf("SignWebhook(%q, %q) = %s, want %s", test.secret, test.body, got, test.want)
		}
		if err := newVerifier(t, test.secret).Verify([]byte(test.body), test.want); err != nil {
			t.Errorf("Verify(%q): %v", test.body, err)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	body := webhook(t, "integration-created")
	good := kombo.SignWebhook("current-2", body)
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(good)
	if standard == good {
		t.Fatal("the signature does not show the alphabet; choose another secret")
	}
	tests := []struct {
		name, signature string
		want            error
	}{
		{"current secret", good, nil},
		{"current secret, padded", good + "=", nil},
		{"previous secret", kombo.SignWebhook("previous", body), nil},
		{"previous secret, padded", kombo.SignWebhook("previous", body) + "=", nil},
		{"missing", "", kombo.ErrMissingSignature},
		{"another secret", kombo.SignWebhook("other", body), kombo.ErrInvalidSignature},
		{"of another body", kombo.SignWebhook("current-2", body[1:]), kombo.ErrInvalidSignature},
		{"padded twice", good + "==", kombo.ErrInvalidSignature},
		{"padding in place of the last character", good[:42] + "=", kombo.ErrInvalidSignature},
		{"too short", good[:42], kombo.ErrInvalidSignature},
		{"too long", good + "A", kombo.ErrInvalidSignature},
		{"line break at the end", good + "\n", kombo.ErrInvalidSignature},
		{"prefix", "sha256=" + good, kombo.ErrInvalidSignature},
		{"standard alphabet", standard, kombo.ErrInvalidSignature},
		{"beyond ASCII", strings.Repeat("é", 21) + "x", kombo.ErrInvalidSignature},
		{"very long", strings.Repeat("A", 1<<20), kombo.ErrInvalidSignature},
	}
	verifier := newVerifier(t, "current-2", "previous")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := verifier.Verify(body, test.signature)
			if !errors.Is(err, test.want) {
				t.Errorf("Verify = %v, want %v", err, test.want)
			}
			event, err := verifier.Parse(body, test.signature)
			if !errors.Is(err, test.want) || (event == nil) != (test.want != nil) {
				t.Errorf("Parse = %v, %v, want %v", event, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), good) {
				t.Errorf("the error contains the expected signature: %v", err)
			}
		})
	}
}

func TestEveryChangedBitIsRefused(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, testSecret)
	for name, body := range webhooks(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signature := kombo.SignWebhook(testSecret, body)
			if err := verifier.Verify(body, signature); err != nil {
				t.Fatal(err)
			}
			changed := bytes.Clone(body)
			for bit := range len(body) * 8 {
				changed[bit/8] ^= 1 << (bit % 8)
				if err := verifier.Verify(changed, signature); !errors.Is(err, kombo.ErrInvalidSignature) {
					t.Errorf("bit %d of the body: %v", bit, err)
				}
				changed[bit/8] ^= 1 << (bit % 8)
			}
			for _, form := range []string{signature, signature + "="} {
				for bit := range len(form) * 8 {
					changed := []byte(form)
					changed[bit/8] ^= 1 << (bit % 8)
					if err := verifier.Verify(body, string(changed)); !errors.Is(err, kombo.ErrInvalidSignature) {
						t.Errorf("bit %d of the signature %s: %v", bit, form, err)
					}
				}
			}
		})
	}
}

func TestVerifierWithoutSecretsRefusesEverything(t *testing.T) {
	t.Parallel()
	body := []byte("{}")
	var none *kombo.WebhookVerifier
	for _, verifier := range []*kombo.WebhookVerifier{none, {}} {
		if err := verifier.Verify(body, kombo.SignWebhook("", body)); !errors.Is(err, kombo.ErrInvalidSignature) {
			t.Errorf("%v: Verify = %v", verifier, err)
		}
	}
}

func TestVerifierWithOneSecretTwice(t *testing.T) {
	t.Parallel()
	body := []byte("{}")
	if err := newVerifier(t, testSecret, testSecret).Verify(body, kombo.SignWebhook(testSecret, body)); err != nil {
		t.Error(err)
	}
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, "current", "previous")
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			body := fmt.Appendf(nil, `{"worker":%d}`, worker)
			for range 200 {
				if err := verifier.Verify(body, kombo.SignWebhook("previous", body)); err != nil {
					t.Error(err)
				}
				if err := verifier.Verify(body, kombo.SignWebhook("other", body)); !errors.Is(err, kombo.ErrInvalidSignature) {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

func TestLargestWebhook(t *testing.T) {
	t.Parallel()
	verifier := newVerifier(t, testSecret)
	for _, test := range []struct {
		size int
		want error
	}{{kombo.MaxWebhookBody, nil}, {kombo.MaxWebhookBody + 1, kombo.ErrPayloadTooLarge}} {
		body := bytes.Repeat([]byte(" "), test.size)
		copy(body, `{"id":"e","type":"new-thing","data":{}}`)
		signature := kombo.SignWebhook(testSecret, body)
		if _, err := verifier.Parse(body, signature); !errors.Is(err, test.want) {
			t.Errorf("Parse of %d bytes = %v, want %v", test.size, err, test.want)
		}
		for name, reader := range map[string]io.Reader{
			"announced": bytes.NewReader(body), "not announced": iotest.OneByteReader(bytes.NewReader(body)),
			"limited before": http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(bytes.NewReader(body)), kombo.MaxWebhookBody),
		} {
			r := httptest.NewRequest(http.MethodPost, "/", reader)
			r.Header.Set(kombo.SignatureHeader, signature)
			if _, err := verifier.ParseRequest(r); !errors.Is(err, test.want) {
				t.Errorf("ParseRequest of %d bytes, %s = %v, want %v", test.size, name, err, test.want)
			}
		}
	}
}

// If Content-Length is above the limit, the body is not read.
func TestAnnouncedLengthIsChecked(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("must not be read")))
	r.ContentLength = kombo.MaxWebhookBody + 1
	r.Header.Set(kombo.SignatureHeader, "any")
	if _, err := newVerifier(t, testSecret).ParseRequest(r); !errors.Is(err, kombo.ErrPayloadTooLarge) {
		t.Errorf("error = %v, want ErrPayloadTooLarge", err)
	}
}

// endless is a body without an end. It fails the test if much more than the limit is read.
type endless struct {
	t    *testing.T
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read += len(p); e.read > 2*kombo.MaxWebhookBody {
		e.t.Error("the body is read on")
		return 0, io.EOF
	}
	return len(p), nil
}

func TestEndlessWebhookIsNotReadOn(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", &endless{t: t})
	r.Header.Set(kombo.SignatureHeader, "any")
	if _, err := newVerifier(t, testSecret).ParseRequest(r); !errors.Is(err, kombo.ErrPayloadTooLarge) {
		t.Errorf("error = %v, want ErrPayloadTooLarge", err)
	}
}

func TestParseRequest(t *testing.T) {
	t.Parallel()
	body := webhook(t, "integration-deleted")
	verifier := newVerifier(t, testSecret)
	cut := errors.New("connection cut")
	tests := []struct {
		name      string
		body      io.Reader
		signature string
		want      error
		wantText  string
	}{
		{"good", bytes.NewReader(body), kombo.SignWebhook(testSecret, body), nil, ""},
		{"no signature", iotest.ErrReader(errors.New("must not be read")), "", kombo.ErrMissingSignature, "kombo: webhook signature missing"},
		{"wrong signature", bytes.NewReader(body), kombo.SignWebhook("other", body), kombo.ErrInvalidSignature, "kombo: webhook signature invalid"},
		{"read before", http.NoBody, kombo.SignWebhook(testSecret, body), kombo.ErrInvalidSignature, "kombo: webhook signature invalid: the body is empty; was it read before?"},
		{"nil body", nil, kombo.SignWebhook(testSecret, body), kombo.ErrInvalidSignature, "kombo: webhook signature invalid: the body is empty; was it read before?"},
		{"cut", io.MultiReader(bytes.NewReader(body[:100]), iotest.ErrReader(cut)), kombo.SignWebhook(testSecret, body), cut, "kombo: reading the webhook: connection cut"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/", test.body)
			if test.body == nil {
				r.Body = nil
			}
			r.Header.Set(kombo.SignatureHeader, test.signature)
			event, err := verifier.ParseRequest(r)
			if !errors.Is(err, test.want) || (err != nil && err.Error() != test.wantText) {
				t.Fatalf("ParseRequest = %v, want %v", err, test.wantText)
			}
			if err == nil {
				if diff := cmp.Diff(wantEvents()["integration-deleted.json"], event); diff != "" {
					t.Errorf("event (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// The usual cause of a wrong signature is a middleware that has read or replaced the body. The error says so if
// Content-Length proves it.
func TestBodyThatWasReadBefore(t *testing.T) {
	t.Parallel()
	body := webhook(t, "integration-created")
	signature := kombo.SignWebhook(testSecret, body)
	read := func(n int64) func(*http.Request) {
		return func(r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, n) }
	}
	replace := func(with []byte) func(*http.Request) {
		return func(r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body = io.NopCloser(bytes.NewReader(with))
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		t.Fatal(err)
	}
	same := bytes.Replace(body, []byte("personio"), []byte("PERSONIO"), 1)
	longer := append(bytes.Clone(body), '\n')
	const invalid = "kombo: webhook signature invalid"
	length := func(n int) string {
		return fmt.Sprintf("%s: the body has %d bytes, but Content-Length is %d; was it read before?", invalid, n, len(body))
	}
	tests := []struct {
		name    string
		before  func(*http.Request)
		want    string // "" for no error
		chunked string
	}{
		{"not read", func(*http.Request) {}, "", ""},
		{"no byte read", read(0), "", ""},
		{"one byte read", read(1), length(len(body) - 1), invalid},
		{"half of it read", read(100), length(len(body) - 100), invalid},
		{"all but one byte read", read(int64(len(body)) - 1), length(1), invalid},
		{"all read", read(int64(len(body))), invalid + ": the body is empty; was it read before?", invalid + ": the body is empty; was it read before?"},
		{"read and put back", replace(body), "", ""},
		{"encoded again, shorter", replace(compact.Bytes()), length(compact.Len()), invalid},
		{"encoded again, longer", replace(longer), length(len(longer)), invalid},
		{"changed, of the same length", replace(same), invalid, invalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for kind, want := range map[string]string{"with its length": test.want, "chunked": test.chunked} {
				got := make(chan error, 1)
				verifier := newVerifier(t, testSecret)
				address, _ := receive(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					test.before(r)
					_, err := verifier.ParseRequest(r)
					got <- err
				}))
				var reader io.Reader = bytes.NewReader(body)
				if kind == "chunked" {
					reader = struct{ io.Reader }{reader}
				}
				if _, err := postWebhook(t, address, reader, signature); err != nil {
					t.Fatal(err)
				}
				err := <-got
				if want == "" && err != nil || want != "" && (err == nil || err.Error() != want || !errors.Is(err, kombo.ErrInvalidSignature)) {
					t.Errorf("%s:\n got %v\nwant %s", kind, err, want)
				}
			}
		})
	}
}

// With GODEBUG=fips140=only, crypto/hmac panics for short keys. The setting applies to a process, so the test runs
// itself again in another one.
func TestShortSecretsInFIPSMode(t *testing.T) {
	t.Parallel()
	if fips140.Enforced() {
		for secret, fits := range map[string]bool{"k": false, "thirteen-byte": false, "fourteen-bytes": true, "sieben-Füße!": true, testSecret: true} {
			const want = "kombo: NewWebhookVerifier: secret 2 is shorter than 14 bytes, which GODEBUG=fips140=only does not allow"
			verifier, err := kombo.NewWebhookVerifier(testSecret, secret)
			if fits != (err == nil) || !fits && err.Error() != want {
				t.Errorf("NewWebhookVerifier(%q) = %v", secret, err)
			}
			if fits {
				if err := verifier.Verify([]byte("{}"), kombo.SignWebhook(secret, []byte("{}"))); err != nil {
					t.Errorf("Verify with %q: %v", secret, err)
				}
			}
		}
		return
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestShortSecretsInFIPSMode$", "-test.v")
	command.Env = append(os.Environ(), "GODEBUG=fips140=only")
	output, err := command.CombinedOutput()
	switch text := string(output); {
	case strings.Contains(text, "fips140:") && !strings.Contains(text, "=== RUN"):
		t.Skipf("this platform has no FIPS 140 mode: %s", text)
	case err != nil || !strings.Contains(text, "--- PASS: TestShortSecretsInFIPSMode"):
		t.Errorf("%v:\n%s", err, text)
	}
}

// The fixtures keep the form of Kombo's documentation: JSON with two spaces and without a final line break.
func TestWebhooksInTestdataAreWrittenAsKomboWritesThem(t *testing.T) {
	t.Parallel()
	for name, body := range webhooks(t) {
		if !bytes.HasPrefix(body, []byte("{\n  \"id\": ")) || !bytes.HasSuffix(body, []byte("\n  }\n}")) {
			t.Errorf("%s is not", name)
		}
	}
}
