package kombo_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/kombotest"
)

// What a connection can read and write, and why not.
func ExampleIntegrationsService_Get_permissions() {
	client, integrationID, done := exampleIntegration(kombotest.Config{})
	defer done()
	integration, err := client.Integrations.Get(context.Background(), integrationID)
	if err != nil {
		log.Fatal(err)
	}
	// The reasons are the same for models, actions and their fields.
	reason := func(coverage kombo.CoverageStatus, setting kombo.ScopeConfigSetting, optedOut bool) string {
		switch {
		case coverage == kombo.CoverageStatusUnsupported:
			return "the tool does not have it"
		case coverage == kombo.CoverageStatusNotImplemented, coverage == kombo.CoverageStatusUnknown:
			return "Kombo does not offer it"
		case setting == kombo.ScopeConfigSettingDisabled:
			return "the scope config does not include it"
		case setting == kombo.ScopeConfigSettingOptional && optedOut:
			return "the customer has switched it off"
		case coverage == kombo.CoverageStatusSupported && setting == kombo.ScopeConfigSettingEnabled:
			return "available"
		default:
			return "available, as the customer has chosen"
		}
	}
	for _, model := range integration.ReadModels {
		fmt.Println(model.ID, reason(model.CoverageStatus, model.ScopeConfigSetting, model.OptedOutByCustomer))
		for _, field := range model.Fields {
			if !field.IsAvailable {
				fmt.Println("-", field.ID, reason(field.CoverageStatus, field.ScopeConfigSetting, field.OptedOutByCustomer))
			}
		}
	}
	for _, action := range integration.WriteActions {
		fmt.Println(action.ID, reason(action.CoverageStatus, action.ScopeConfigSetting, action.OptedOutByCustomer))
	}
	// Output:
	// hris_employees available
	// hris_teams available
	// hris_create_employee available
}

// The setup is incomplete: the customer gets a link back to its steps.
func ExampleIntegrationsService_SetupLink() {
	client, integrationID, done := exampleIntegration(kombotest.Config{})
	defer done()
	ctx := context.Background()
	integration, err := client.Integrations.Get(ctx, integrationID)
	if err != nil {
		log.Fatal(err)
	}
	switch integration.SetupStatus {
	case kombo.SetupStatusCompleted:
		fmt.Println("nothing to do")
		return
	case kombo.SetupStatusFinalSyncPending:
		fmt.Println("wait for the first sync")
		return
	case kombo.SetupStatusIncomplete:
	}
	link, err := client.Integrations.SetupLink(ctx, integrationID, kombo.SetupLinkRequest{
		LinkType: kombo.LinkTypeMagicLink, Language: kombo.LanguageFR,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("send", link.URL)
	// Output: nothing to do
}

// Map a custom field of yours to the tool's field of the same name.
func ExampleIntegrationsService_MapCustomField() {
	client, integrationID, done := exampleIntegration(kombotest.Config{
		Fields:       []kombo.IntegrationField{{ID: "f1", Key: "tshirt_size", Model: "hris_employees", Type: kombo.FieldTypeCustom}},
		CustomFields: []kombo.CustomField{{ID: "c1", Key: "tshirt_size", Model: "hris_employees"}},
	})
	defer done()
	ctx := context.Background()
	fields := map[string]kombo.IntegrationField{}
	for field, err := range client.Integrations.Fields(ctx, integrationID) {
		if err != nil {
			log.Fatal(err)
		}
		fields[field.Model+" "+field.Key] = field
	}
	for custom, err := range client.Integrations.CustomFields(ctx, integrationID) {
		if err != nil {
			log.Fatal(err)
		}
		field, found := fields[custom.Model+" "+custom.Key]
		if custom.IntegrationField != nil || !found || field.Type == kombo.FieldTypeDefault {
			continue // mapped already, without a field of this name, or with one that every customer has
		}
		mapped, err := client.Integrations.MapCustomField(ctx, integrationID, custom.ID, field.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(mapped.Key, "is the tool's", mapped.IntegrationField.Key)
	}
	// Output: tshirt_size is the tool's tshirt_size
}

// Of which tools Kombo can read the date of birth of employees.
func ExampleConnectService_Tools_coverage() {
	client, done := exampleClient()
	defer done()
	tools, err := client.Connect.Tools(context.Background(), kombo.CategoryHRIS)
	if err != nil {
		log.Fatal(err)
	}
	covers := func(models []kombo.CoveredModel, model, field string) bool {
		for _, m := range models {
			for _, f := range m.Fields {
				if m.ID == model && f.ID == field {
					return f.CoverageStatus == kombo.CoverageStatusSupported
				}
			}
		}
		return false
	}
	for _, tool := range tools[:2] {
		fmt.Println(tool.Label, tool.Assets.IconURL != "", covers(tool.Coverage.ReadModels, "hris_employees", "date_of_birth"))
	}
	// Output:
	// Personio true true
	// BambooHR true true
}

// Upload a file to the tool's own API.
func ExampleIntegrationsService_Passthrough_upload() {
	client, integrationID, done := exampleIntegration(kombotest.Config{
		Passthrough: func(_, _, _ string, r kombo.PassthroughRequest) kombo.PassthroughResponse {
			fmt.Println(r.Method, r.Path, len(r.MultipartFormData), "fields") // what the tool gets
			return kombo.PassthroughResponse{StatusCode: http.StatusCreated}
		},
	})
	defer done()
	response, err := client.Integrations.Passthrough(context.Background(), integrationID, "personio", "personnel", kombo.PassthroughRequest{
		Method:  http.MethodPost,
		Path:    "/company/document-management/upload",
		Headers: map[string]string{"Content-Type": "multipart/form-data"},
		MultipartFormData: []kombo.PassthroughFormField{
			{Name: "title", Value: "Contract"},
			{Name: "file", File: &kombo.PassthroughFile{Name: "Contract.pdf", ContentType: "application/pdf", Data: []byte("%PDF-1.7")}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.StatusCode)
	// Output:
	// POST /company/document-management/upload 2 fields
	// 201
}

// The language of the flow, from that of the browser. Kombo's flow has five.
func ExampleLanguage() {
	languages := map[string]kombo.Language{
		"de": kombo.LanguageDE, "en": kombo.LanguageEN, "es": kombo.LanguageES, "fr": kombo.LanguageFR, "it": kombo.LanguageIT,
	}
	fromBrowser := func(acceptLanguage string) kombo.Language {
		preferred, _, _ := strings.Cut(acceptLanguage, ",")
		primary, _, _ := strings.Cut(preferred, "-")
		return languages[strings.ToLower(primary)] // "" means English
	}
	request := kombo.CreateLinkRequest{
		EndUserEmail: "ada@acme.example", EndUserOrganizationName: "Acme, Inc.", Language: fromBrowser("fr-CH, fr;q=0.9, en;q=0.8"),
	}
	fmt.Println(request.Language)
	// Output: fr
}
