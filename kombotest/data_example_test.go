package kombotest_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// start returns a server with an integration that is ready for reads.
func start(ctx context.Context) (srv *kombotest.Server, client *kombo.Client, integrationID string) {
	srv = kombotest.NewServer(kombotest.Config{})
	client, err := srv.Client()
	if err != nil {
		log.Fatal(err)
	}
	link, err := srv.CreateLink(kombo.CreateLinkRequest{EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc."})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := srv.CompleteFlow(ctx, link, kombotest.Completion{}); err != nil {
		log.Fatal(err)
	}
	return srv, client, srv.Integrations()[0].ID
}

// A test of a service that reads employees, and later only the changes.
func ExampleServer_PutRecord() {
	ctx := context.Background()
	srv, client, integrationID := start(ctx)
	defer srv.Close()
	for _, record := range kombotest.SampleRecords(integrationID, "/hris/employees") {
		if err := srv.PutRecord(integrationID, "/hris/employees", record); err != nil {
			log.Fatal(err)
		}
	}

	type Employee struct {
		WorkEmail       string     `json:"work_email"`
		RemoteDeletedAt *time.Time `json:"remote_deleted_at"`
	}
	read := func(since time.Time) {
		for employee, err := range kombo.List[Employee](ctx, client, kombo.ListRequest{
			Path: "/hris/employees", IntegrationID: integrationID, UpdatedAfter: since, IncludeDeleted: true,
		}) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(employee.WorkEmail, "deleted:", employee.RemoteDeletedAt != nil)
		}
	}
	fmt.Println(len(srv.Records(integrationID, "/hris/employees")), "records")
	began := time.Now()
	read(time.Time{})

	if err := srv.DeleteRecord(integrationID, "/hris/employees", "103"); err != nil { // its remote ID
		log.Fatal(err)
	}
	if err := srv.FinishSync(ctx, integrationID); err != nil { // delivers data-changed, if there is a webhook URL
		log.Fatal(err)
	}
	fmt.Println("changed:")
	read(began)
	// Output:
	// 3 records
	// hedda.lindqvist@acme.example deleted: false
	// jonas.woerner@acme.example deleted: false
	// mira.okafor@acme.example deleted: false
	// changed:
	// mira.okafor@acme.example deleted: true
}

// A test of a service that creates applications.
func ExampleServer_HandleFunc() {
	ctx := context.Background()
	srv, client, integrationID := start(ctx)
	defer srv.Close()
	srv.HandleFunc("POST /ats/jobs/{job_id}/applications", func(r *http.Request) (*kombo.Response[any], error) {
		if r.PathValue("job_id") == "closed" {
			return nil, &kombo.Error{Code: kombo.CodeATSJobClosed, Message: "The job is closed."}
		}
		return &kombo.Response[any]{Data: map[string]any{"id": "a1"}}, nil
	})

	type Application struct {
		ID string `json:"id"`
	}
	for _, job := range []string{"open", "closed"} {
		created, err := kombo.Call[Application](ctx, client, kombo.Request{
			Method: http.MethodPost, Path: "/ats/jobs/{job_id}/applications", PathValues: []string{job},
			IntegrationID: integrationID, Body: map[string]any{"candidate": map[string]any{"first_name": "Ada"}},
		})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(created.Data.ID)
	}
	for _, r := range srv.Requests() {
		fmt.Println(r.Op, r.StatusCode, string(r.Body))
	}
	// Output:
	// a1
	// kombo: POST /ats/jobs/{job_id}/applications: 400 ATS.JOB_CLOSED: The job is closed. (attempts: 1)
	// POST /ats/jobs/{job_id}/applications 200 {"candidate":{"first_name":"Ada"}}
	// POST /ats/jobs/{job_id}/applications 400 {"candidate":{"first_name":"Ada"}}
}
