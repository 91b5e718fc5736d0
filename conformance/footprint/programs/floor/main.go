// Floor is the service on its own.
package main

import (
	"context"
	"net/http"

	"github.com/kombo-go/kombo/conformance/footprint/internal/service"
)

func main() {
	service.Run(func(context.Context, *http.ServeMux) error { return nil })
}
