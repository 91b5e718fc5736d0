// Retryablehttp is the service with go-retryablehttp, which the SDK is built on.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/kombo-go/kombo/conformance/footprint/internal/service"
)

func main() {
	service.Run(func(ctx context.Context, _ *http.ServeMux) error {
		client := retryablehttp.NewClient()
		client.Logger = nil
		request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("NEXT"), []byte("{}"))
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		fmt.Println(response.Status)
		return response.Body.Close()
	})
}
