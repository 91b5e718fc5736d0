package kombo_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// exampleData is a fake Kombo with an integration that has three employees.
func exampleData() (srv *kombotest.Server, client *kombo.Client, integrationID string) {
	srv = kombotest.NewServer(kombotest.Config{})
	client, err := srv.Client()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	link, err := client.Connect.CreateLink(ctx, kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.",
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"}); err != nil {
		log.Fatal(err)
	}
	integrationID = srv.Integrations()[0].ID
	for _, name := range []string{"ada", "grace", "edsger"} {
		employee := map[string]string{"id": name, "work_email": name + "@acme.example"}
		if err := srv.PutRecord(integrationID, "/hris/employees", employee); err != nil {
			log.Fatal(err)
		}
	}
	return srv, client, integrationID
}

func ExampleList() {
	srv, client, integrationID := exampleData()
	defer srv.Close()

	type Employee struct { // only the fields that you read
		ID        string `json:"id"`
		WorkEmail string `json:"work_email"`
	}
	for employee, err := range kombo.List[Employee](context.Background(), client, kombo.ListRequest{
		Path: "/hris/employees", IntegrationID: integrationID,
	}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(employee.WorkEmail)
	}
	// Output:
	// ada@acme.example
	// grace@acme.example
	// edsger@acme.example
}

// After the first read of everything, read what has changed. What you store is the time at which the read began, and
// only once the read is complete.
func ExampleList_incremental() {
	srv, client, integrationID := exampleData()
	defer srv.Close()
	ctx := context.Background()

	type Employee struct {
		ID              string     `json:"id"`
		RemoteDeletedAt *time.Time `json:"remote_deleted_at"`
	}
	employees := map[string]Employee{} // your database
	var lastBegan time.Time            // in it, too

	read := func() error {
		began := time.Now().Add(-5 * time.Minute) // in case that this clock is ahead of Kombo's
		for employee, err := range kombo.List[Employee](ctx, client, kombo.ListRequest{
			Path: "/hris/employees", IntegrationID: integrationID, UpdatedAfter: lastBegan, IncludeDeleted: true,
		}) {
			switch {
			case err != nil:
				return err // lastBegan stays, so that the next read begins there again
			case employee.RemoteDeletedAt != nil:
				delete(employees, employee.ID)
			default:
				employees[employee.ID] = employee
			}
		}
		lastBegan = began
		return nil
	}
	if err := read(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(employees))

	if err := srv.DeleteRecord(integrationID, "/hris/employees", "ada"); err != nil {
		log.Fatal(err)
	}
	if err := read(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(employees))
	// Output:
	// 3
	// 2
}

func ExampleListPage() {
	srv, client, integrationID := exampleData()
	defer srv.Close()

	type Employee struct {
		ID string `json:"id"`
	}
	request := kombo.ListRequest{Path: "/hris/employees", IntegrationID: integrationID, ListOptions: kombo.ListOptions{PageSize: 2}}
	for {
		page, err := kombo.ListPage[Employee](context.Background(), client, request)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(page.Results)
		if page.Next == "" {
			break
		}
		request.Cursor = page.Next
	}
	// Output:
	// [{ada} {grace}]
	// [{edsger}]
}

func ExampleCall() {
	srv, client, integrationID := exampleData()
	defer srv.Close()
	srv.HandleFunc("POST /ats/jobs/{job_id}/applications", func(*http.Request) (*kombo.Response[any], error) {
		return &kombo.Response[any]{Data: map[string]string{"id": "a1"}}, nil
	})

	type Candidate struct {
		FirstName    string `json:"first_name"`
		LastName     string `json:"last_name"`
		EmailAddress string `json:"email_address"`
	}
	type NewApplication struct {
		Candidate Candidate `json:"candidate"`
	}
	type Application struct {
		ID string `json:"id"`
	}
	created, err := kombo.Call[Application](context.Background(), client, kombo.Request{
		Method: http.MethodPost, Path: "/ats/jobs/{job_id}/applications", PathValues: []string{"j1"}, IntegrationID: integrationID,
		Body: NewApplication{Candidate: Candidate{"Grace", "Hopper", "grace@example.com"}},
	})
	switch {
	case errors.Is(err, kombo.ErrReconnectRequired):
		fmt.Println("send a relink link")
	case errors.Is(err, kombo.ErrIntegrationNotReady):
		fmt.Println("come back in hours")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println(created.Data.ID, created.Warnings)
	}
	// Output: a1 []
}
