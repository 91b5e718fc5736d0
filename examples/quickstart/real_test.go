package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// What the quickstart does with a real key, at a server in the place of the real Kombo.
func TestRealKombo(t *testing.T) {
	t.Parallel()
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := srv.Client()
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	if err := realKombo(t.Context(), client, "", &printer{output: &output}); err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(output.String(), "open it within the hour: ")
	link, last, _ := strings.Cut(rest, "\n")
	if !found || !strings.HasPrefix(last, "\nThe key works.") {
		t.Fatalf("output = %s", &output)
	}
	token, err := srv.CompleteFlow(t.Context(), link, kombotest.Completion{Tool: "workday"})
	if err != nil {
		t.Fatal(err)
	}
	output.Reset()
	if err := realKombo(t.Context(), client, token, &printer{output: &output}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(output.String(), "integration workday:") || !strings.Contains(output.String(), "is connected") || strings.Contains(output.String(), token) {
		t.Errorf("output = %s", &output)
	}
}

func TestRealKomboWithAWrongKey(t *testing.T) {
	t.Parallel()
	srv := kombotest.NewServer(kombotest.Config{})
	defer srv.Close()
	client, err := kombo.NewClient("wrong", kombo.WithBaseURL(srv.BaseURL()))
	if err != nil {
		t.Fatal(err)
	}
	err = realKombo(t.Context(), client, "", &printer{output: &bytes.Buffer{}})
	if err == nil || !strings.Contains(err.Error(), "401 PLATFORM.AUTHENTICATION_INVALID") {
		t.Errorf("error = %v", err)
	}
}
