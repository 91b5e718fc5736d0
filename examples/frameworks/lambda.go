// Package frameworks receives Kombo's webhooks behind API Gateway. Its tests mount the SDK's handlers on chi, gin, echo and fiber.
package frameworks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/kombo-go/kombo"
)

// HandleLambda handles an event of API Gateway (REST or HTTP), or of a load balancer, that contains a webhook. It returns
// the status of the response.
func HandleLambda(ctx context.Context, verifier *kombo.WebhookVerifier, handlers kombo.EventHandlers, event []byte) (status int) {
	var request struct {
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"` // a load balancer may send only these
		Body              string              `json:"body"`
		IsBase64Encoded   bool                `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(event, &request); err != nil {
		return http.StatusBadRequest
	}
	body := []byte(request.Body)
	if request.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(request.Body); err != nil {
			return http.StatusBadRequest
		}
	}
	header := http.Header{} // with names in one case
	for name, values := range request.MultiValueHeaders {
		header[http.CanonicalHeaderKey(name)] = values
	}
	for name, value := range request.Headers {
		header.Set(name, value)
	}
	webhook, err := verifier.Parse(body, header.Get(kombo.SignatureHeader))
	switch {
	case errors.Is(err, kombo.ErrMissingSignature), errors.Is(err, kombo.ErrInvalidSignature):
		return http.StatusUnauthorized
	case errors.Is(err, kombo.ErrPayloadTooLarge):
		return http.StatusRequestEntityTooLarge
	case err != nil:
		return http.StatusBadRequest
	}
	if err := handlers.Handle(ctx, webhook); err != nil {
		slog.ErrorContext(ctx, "webhook", "error", err)
		return http.StatusInternalServerError // Kombo delivers it again
	}
	return http.StatusNoContent
}
