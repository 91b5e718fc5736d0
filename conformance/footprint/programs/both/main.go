// Both is the service with the SDK's client and its webhook handler.
package main

import (
	"context"
	"net/http"

	"github.com/kombo-go/kombo/conformance/footprint/internal/service"
	"github.com/kombo-go/kombo/conformance/footprint/internal/use"
)

func main() {
	service.Run(func(ctx context.Context, mux *http.ServeMux) error {
		if err := use.Client(ctx); err != nil {
			return err
		}
		return use.Webhooks(mux)
	})
}
