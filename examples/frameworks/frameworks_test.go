package frameworks

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/labstack/echo/v4"

	"github.com/kombo-go/kombo"
)

const (
	secret = "test-secret"
	body   = `{"id":"e1","type":"integration-deleted","data":{"id":"personio:1","tool":"personio","category":"HRIS","deleted_at":"2026-11-01T12:00:00.000Z"}}`
)

func newVerifier(t *testing.T) *kombo.WebhookVerifier {
	t.Helper()
	verifier, err := kombo.NewWebhookVerifier(secret)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// Each router delivers the bytes and the headers to the handler as they were sent.
func TestRouters(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.ReleaseMode)
	for name, mount := range map[string]func(handler http.Handler) func(r *http.Request) (*http.Response, error){
		"chi": func(handler http.Handler) func(*http.Request) (*http.Response, error) {
			router := chi.NewRouter()
			router.Method(http.MethodPost, "/webhooks/kombo", handler)
			return serve(router)
		},
		"gin": func(handler http.Handler) func(*http.Request) (*http.Response, error) {
			router := gin.New()
			router.POST("/webhooks/kombo", gin.WrapH(handler))
			return serve(router)
		},
		"echo": func(handler http.Handler) func(*http.Request) (*http.Response, error) {
			router := echo.New()
			router.POST("/webhooks/kombo", echo.WrapHandler(handler))
			return serve(router)
		},
		"fiber": func(handler http.Handler) func(*http.Request) (*http.Response, error) {
			app := fiber.New()
			app.Post("/webhooks/kombo", adaptor.HTTPHandler(handler))
			return func(r *http.Request) (*http.Response, error) { return app.Test(r) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handled := ""
			send := mount(newVerifier(t).Handler(kombo.EventHandlers{
				IntegrationDeleted: func(_ context.Context, e *kombo.IntegrationDeletedEvent) error {
					handled += e.Data.ID
					return nil
				},
			}))
			for signature, want := range map[string]int{kombo.SignWebhook(secret, []byte(body)): 204, kombo.SignWebhook("other", []byte(body)): 401, "": 401} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/kombo", bytes.NewReader([]byte(body)))
				r.Header.Set(kombo.SignatureHeader, signature)
				response, err := send(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if response.StatusCode != want {
					t.Errorf("signature %q: %d, want %d", signature, response.StatusCode, want)
				}
			}
			if handled != "personio:1" {
				t.Errorf("handled %q", handled)
			}
		})
	}
}

// docs/frameworks.md says which routers fill r.PathValue.
func TestPathValue(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.ReleaseMode)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.PathValue("id")) })
	mux := http.NewServeMux()
	mux.Handle("/integrations/{id}", handler)
	chiRouter := chi.NewRouter()
	chiRouter.Handle("/integrations/{id}", handler)
	ginRouter := gin.New()
	ginRouter.GET("/integrations/:id", gin.WrapH(handler))
	echoRouter := echo.New()
	echoRouter.GET("/integrations/:id", echo.WrapHandler(handler))
	app := fiber.New()
	app.Get("/integrations/:id", adaptor.HTTPHandler(handler))
	for _, test := range []struct {
		router string
		send   func(r *http.Request) (*http.Response, error)
		want   string
	}{
		{"net/http", serve(mux), "7"},
		{"chi", serve(chiRouter), "7"},
		{"gin", serve(ginRouter), ""},
		{"echo", serve(echoRouter), ""},
		{"fiber", func(r *http.Request) (*http.Response, error) { return app.Test(r) }, ""},
	} {
		t.Run(test.router, func(t *testing.T) {
			t.Parallel()
			response, err := test.send(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/integrations/7", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			got, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != http.StatusOK || string(got) != test.want {
				t.Errorf("status %d, path value %q, %v, want %q", response.StatusCode, got, err, test.want)
			}
		})
	}
}

func serve(handler http.Handler) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Result(), nil
	}
}

func TestHandleLambda(t *testing.T) {
	t.Parallel()
	signature := kombo.SignWebhook(secret, []byte(body))
	encoded := base64.StdEncoding.EncodeToString([]byte(body))
	type request struct {
		Headers         map[string]string `json:"headers"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
	}
	huge := strings.Repeat(" ", kombo.MaxWebhookBody+1)
	for _, test := range []struct {
		name    string
		request any
		fails   error
		want    int
	}{
		{"text", request{map[string]string{"X-Kombo-Signature": signature}, body, false}, nil, 204},
		{"base64, header in lower case", request{map[string]string{"x-kombo-signature": signature}, encoded, true}, nil, 204},
		{"base64 that is not decoded", request{map[string]string{"x-kombo-signature": signature}, encoded, false}, nil, 401},
		{"invalid base64", request{map[string]string{"x-kombo-signature": signature}, "%", true}, nil, 400},
		{"load balancer with headers of several values", map[string]any{"multiValueHeaders": map[string][]string{"x-kombo-signature": {signature}}, "body": body}, nil, 204},
		{"headers twice", map[string]any{
			"headers": map[string]string{"X-Kombo-Signature": signature}, "multiValueHeaders": map[string][]string{"X-Kombo-Signature": {signature}}, "body": body,
		}, nil, 204},
		{"too large", request{map[string]string{"x-kombo-signature": kombo.SignWebhook(secret, []byte(huge))}, huge, false}, nil, 413},
		{"no signature", request{nil, body, false}, nil, 401},
		{"not a webhook", request{map[string]string{"x-kombo-signature": kombo.SignWebhook(secret, []byte("{}"))}, "{}", false}, nil, 400},
		{"not an event of API Gateway", "text", nil, 400},
		{"a function that fails", request{map[string]string{"x-kombo-signature": signature}, body, false}, errors.New("database is away"), 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event, err := json.Marshal(test.request)
			if err != nil {
				t.Fatal(err)
			}
			handlers := kombo.EventHandlers{IntegrationDeleted: func(context.Context, *kombo.IntegrationDeletedEvent) error { return test.fails }}
			if got := HandleLambda(t.Context(), newVerifier(t), handlers, event); got != test.want {
				t.Errorf("status = %d, want %d", got, test.want)
			}
		})
	}
}
