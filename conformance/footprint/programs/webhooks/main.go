// Webhooks is the service with the SDK's webhook handler.
package main

import (
	"context"
	"net/http"

	"github.com/kombo-go/kombo/conformance/footprint/internal/service"
	"github.com/kombo-go/kombo/conformance/footprint/internal/use"
)

func main() {
	service.Run(func(_ context.Context, mux *http.ServeMux) error {
		return use.Webhooks(mux)
	})
}
