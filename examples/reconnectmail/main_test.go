package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

func TestRun(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	if err := run(t.Context(), &output); err != nil {
		t.Fatal(err)
	}
	const want = "mail to ada@acme.example: Please reconnect personio\nthe customer has opened the link: ACTIVE\n"
	if diff := cmp.Diff(want, output.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestRemind(t *testing.T) {
	t.Parallel()
	srv, client := kombotest.Start(t, kombotest.Config{})
	id := srv.Connect(t, kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme"}).ID
	errMail := errors.New("the mail server is down")
	tests := []struct {
		name      string
		id        string
		state     kombo.State
		email     string
		mail      error
		wantMails int
		wantErr   error
	}{
		{"credentials broke", id, kombo.StateInvalid, "ada@acme.example", nil, 1, nil},
		{"all is well", id, kombo.StateActive, "ada@acme.example", nil, 0, nil},
		{"switched off", id, kombo.StateInactive, "ada@acme.example", nil, 0, nil},
		{"nobody to write to", id, kombo.StateInvalid, "", nil, 0, nil},
		{"the mail is not sent", id, kombo.StateInvalid, "ada@acme.example", errMail, 1, errMail},
		{"gone", "personio:unknown", kombo.StateInvalid, "ada@acme.example", nil, 0, kombo.ErrIntegrationNotFound},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mails := 0
			handlers := remind(client, func(context.Context, string, string, string) error { mails++; return test.mail })
			err := handlers.Handle(t.Context(), &kombo.IntegrationStateChangedEvent{Data: kombo.IntegrationStateChangedData{
				IntegrationID: test.id, IntegrationTool: "personio", State: test.state, EndUser: kombo.EndUser{CreatorEmail: test.email},
			}})
			if mails != test.wantMails || !errors.Is(err, test.wantErr) {
				t.Errorf("%d mails, %v, want %d, %v", mails, err, test.wantMails, test.wantErr)
			}
		})
	}
}
