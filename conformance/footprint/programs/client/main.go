// Client is the service with the SDK's client.
package main

import (
	"context"
	"net/http"

	"github.com/kombo-go/kombo/conformance/footprint/internal/service"
	"github.com/kombo-go/kombo/conformance/footprint/internal/use"
)

func main() {
	service.Run(func(ctx context.Context, _ *http.ServeMux) error {
		return use.Client(ctx)
	})
}
