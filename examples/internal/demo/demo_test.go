package demo_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/internal/demo"
	"github.com/kombo-go/kombo/kombotest"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestConnectKombo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		environment func(string) string
		pages       string
		wantErr     string
	}{
		{name: "the real one", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret"), pages: "https://connect.kombo.dev"},
		{name: "region", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret", "KOMBO_REGION", "US"), pages: "https://connect.kombo.dev"},
		{name: "a sandbox elsewhere", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret", "KOMBO_BASE_URL", "http://127.0.0.1:1/v1"), pages: "http://127.0.0.1:1"},
		{name: "two secrets", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "new", "KOMBO_WEBHOOK_SECRET_PREVIOUS", "secret"), pages: "https://connect.kombo.dev"},
		{name: "bad region", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret", "KOMBO_REGION", "mars"), wantErr: "mars"},
		{name: "no secret", environment: environment("KOMBO_API_KEY", "key"), wantErr: "secret 1 is empty"},
		{name: "bad secret", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret\n"), wantErr: "white space"},
		{name: "bad key", environment: environment("KOMBO_API_KEY", "ke\ny", "KOMBO_WEBHOOK_SECRET", "secret"), wantErr: "kombo: "},
		{name: "bad address", environment: environment("KOMBO_API_KEY", "key", "KOMBO_WEBHOOK_SECRET", "secret", "KOMBO_BASE_URL", "nonsense"), wantErr: "kombo: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			k, err := demo.ConnectKombo(t.Context(), test.environment, "not used", "not used", kombotest.Config{})
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) || strings.Contains(err.Error(), "secret\n") {
					t.Errorf("error = %v, want %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			if k.Pages != test.pages || k.Dashboard != "" {
				t.Errorf("pages at %s, dashboard at %s", k.Pages, k.Dashboard)
			}
			if err := k.Verifier.Verify([]byte("{}"), kombo.SignWebhook("secret", []byte("{}"))); err != nil || k.Client == nil {
				t.Errorf("Verify = %v, client = %v", err, k.Client)
			}
		})
	}
}

// Requests in progress are completed before the program ends.
func TestServe(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	shuttingDown, served := make(chan struct{}), make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		interrupt()
		<-shuttingDown
		_, _ = io.WriteString(w, "done")
	})
	go func() {
		served <- demo.Serve(ctx, listener, handler, slog.New(slog.DiscardHandler), func() { close(shuttingDown) })
	}()
	response, err := http.Get("http://" + demo.Reachable(listener).String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "done" {
		t.Errorf("%s, %v", body, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
