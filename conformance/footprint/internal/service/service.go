// Package service is what the programs of conformance/footprint have in common: a small service that
// uses net/http, on both sides, and encoding/json, as nearly every service does.
package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Greeting is what the service exchanges.
type Greeting struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// Run serves until it fails. The programs are run only to see what happens before main.
func Run(register func(context.Context, *http.ServeMux) error) {
	ctx := context.Background()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /greetings", func(w http.ResponseWriter, r *http.Request) {
		var greeting Greeting
		if err := json.NewDecoder(r.Body).Decode(&greeting); err != nil || !acceptable(greeting) {
			http.Error(w, "no greeting", http.StatusBadRequest)
			return
		}
		if err := forward(r.Context(), greeting); err != nil {
			complain(ctx, err)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if err := register(ctx, mux); err != nil {
		complain(ctx, err)
		os.Exit(1)
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: mux, ReadTimeout: time.Minute}
	complain(ctx, server.ListenAndServe())
}

func forward(ctx context.Context, greeting Greeting) error {
	body, err := json.Marshal(greeting)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:8081/greetings", bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}
