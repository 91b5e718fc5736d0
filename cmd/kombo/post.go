package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kombo-go/kombo"
)

// errNoResponse means that a receiver of webhooks did not respond.
var errNoResponse = errors.New("no response")

// poster posts webhooks. It posts each one once: net/http repeats a POST only if nothing of it was sent.
type poster struct{ client http.Client }

func newPoster() *poster {
	return &poster{http.Client{
		Timeout: 30 * time.Second, Transport: http.DefaultTransport.(*http.Transport).Clone(),
		// A receiver that redirects, for example to its login page, has not accepted the webhook.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// response is the response to a webhook.
type response struct {
	status   int
	duration time.Duration
	body     string // the beginning of it
}

func (r response) accepted() bool { return r.status >= 200 && r.status <= 299 }

// String describes the response in a few words.
func (r response) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.status, http.StatusText(r.status))) +
		fmt.Sprintf(" in %s", r.duration.Round(10*time.Microsecond))
}

// maxResponseShown is the size in bytes of what is kept of a response.
const maxResponseShown = 4 << 10

// post posts the bytes of a webhook as they are.
func (p *poster) post(ctx context.Context, receiver, contentType, signature string, body []byte) (response, error) {
	begin := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, receiver, bytes.NewReader(body))
	if err != nil {
		return response{}, err
	}
	request.Header.Set("Content-Type", cmp.Or(contentType, "application/json"))
	request.Header.Set("User-Agent", "kombo-cli/"+kombo.Version)
	if signature != "" {
		request.Header.Set(kombo.SignatureHeader, signature)
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return response{}, fmt.Errorf("%w: %s", errNoResponse, reason(err))
	}
	defer func() { _ = answer.Body.Close() }()
	shown, _ := io.ReadAll(io.LimitReader(answer.Body, maxResponseShown)) // the status is what counts
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))        // so that the connection can be used again
	return response{answer.StatusCode, time.Since(begin), string(shown)}, nil
}

// reason leaves out the URL of a failed request, which may contain a password or a token.
func reason(err error) string {
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err
	}
	return err.Error()
}

// secret returns the webhook secret.
func (e *env) secret() (string, error) {
	secret := e.getenv(varWebhookSecret)
	if secret == "" {
		return "", &usageError{errors.New(varWebhookSecret + " is not set; secrets are on the secrets page of Kombo's dashboard")}
	}
	return secret, nil
}

// verifier returns a verifier for the webhook secret.
func (e *env) verifier() (*kombo.WebhookVerifier, error) {
	secret, err := e.secret()
	if err != nil {
		return nil, err
	}
	verifier, err := kombo.NewWebhookVerifier(secret)
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "kombo: NewWebhookVerifier: secret 1")
		return nil, &usageError{errors.New(varWebhookSecret + text)}
	}
	return verifier, nil
}

// redact removes the secrets of the environment from a text that others wrote.
func (e *env) redact(text string) string {
	for _, name := range []string{varAPIKey, varWebhookSecret} {
		if secret := e.getenv(name); secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return text
}
