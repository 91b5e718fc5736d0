package kombo

import (
	"context"
	"iter"
	"net/http"

	"github.com/kombo-go/kombo/internal/transport"
)

// FieldType is the origin of a field. Keys are unique within one type only.
type FieldType string

// The field types that Kombo documents.
const (
	FieldTypeDefault FieldType = "DEFAULT"
	FieldTypeCustom  FieldType = "CUSTOM"
)

// IntegrationField is a field of the connected tool.
type IntegrationField struct {
	ID string `json:"id"`
	// Key is the field's name in the tool. A field of another Type or Model may have the same.
	Key string `json:"key"`
	// Model is the model that the field belongs to, such as "hris_employees".
	Model string    `json:"model"`
	Type  FieldType `json:"type"`
	// Label is "" if the tool has none.
	Label string `json:"label"`
	// IsPassthroughEnabled is true if the field is among the integration_fields of its model.
	IsPassthroughEnabled bool `json:"is_passthrough_enabled"`
	// IsWritable belongs to a deprecated feature; ignore it.
	IsWritable bool `json:"is_writable"`
}

func (f *IntegrationField) missing() string { return required("id", f.ID, "key", f.Key) }

// MarshalJSON writes null for what the tool does not have.
func (f IntegrationField) MarshalJSON() ([]byte, error) {
	type plain IntegrationField // without this method
	return marshalWithNulls(plain(f), "label")
}

var fieldsOperation = transport.Operation{Method: http.MethodGet, Path: "/integrations/{integration_id}/integration-fields"}

const (
	maxFieldsPage       = 2000
	maxCustomFieldsPage = 250
)

// Fields iterates over the fields of the connected tool. Pages are fetched as they are needed, with at most 2,000 fields
// each. An error ends the sequence. The options are optional; the last one counts.
//
//	for field, err := range client.Integrations.Fields(ctx, integrationID) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// It fails with [ErrIntegrationNotFound] if there is no such integration, and with [ErrUnexpectedResponse] if a page
// does not say whether it is the last (it has neither next nor next_cursor), or if the list would never end (a cursor
// is repeated, or 100 pages in a row are empty).
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-integrations-integration-id-integration-fields
func (s *IntegrationsService) Fields(ctx context.Context, integrationID string, options ...ListOptions) iter.Seq2[IntegrationField, error] {
	return fetchPages[IntegrationField](ctx, (*service)(s), fieldsOperation, options, maxFieldsPage, integrationID)
}

// FieldsPage returns one page of [IntegrationsService.Fields], for callers who store the cursor.
func (s *IntegrationsService) FieldsPage(ctx context.Context, integrationID string, options ListOptions) (*Page[IntegrationField], error) {
	return fetchPage[IntegrationField](ctx, (*service)(s), fieldsOperation, options, maxFieldsPage, integrationID)
}

type setFieldPassthroughRequest struct {
	EnablePassthrough bool `json:"enable_passthrough"`
}

var setFieldPassthroughOperation = transport.Operation{Method: http.MethodPatch, Path: "/integrations/{integration_id}/integration-fields/{integration_field_id}"}

// SetFieldPassthrough sets whether a field of the tool is among the integration_fields of its model, and
// returns the field as it is then.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration. Kombo does not document how it rejects an
// unknown field.
//
// Kombo's documentation: https://docs.kombo.dev/v1/patch-integrations-integration-id-integration-fields-integration-field-id
func (s *IntegrationsService) SetFieldPassthrough(ctx context.Context, integrationID, fieldID string, enabled bool) (*IntegrationField, error) {
	return call[IntegrationField](ctx, (*service)(s), setFieldPassthroughOperation, setFieldPassthroughRequest{enabled}, integrationID, fieldID)
}

// CustomField is a field that the caller has added to one of Kombo's models. It can be mapped to a field of the
// tool.
type CustomField struct {
	ID string `json:"id"`
	// Key is the field's name among the custom_fields of its model.
	Key string `json:"key"`
	// IntegrationField is the field of the tool that it is mapped to; nil if it is not mapped.
	IntegrationField *MappedField `json:"integration_field"`
	// Model is the model that the field belongs to, such as "hris_employees".
	Model string `json:"model"`
	// Label and Description are "" if it has none.
	Label       string `json:"label"`
	Description string `json:"description"`
}

func (f *CustomField) missing() string { return required("id", f.ID, "key", f.Key) }

// MarshalJSON writes null for what Kombo does not have.
func (f CustomField) MarshalJSON() ([]byte, error) {
	type plain CustomField // without this method
	return marshalWithNulls(plain(f), "label", "description")
}

// MappedField is the field of the tool that a [CustomField] is mapped to.
type MappedField struct {
	ID string `json:"id"`
	// Key is the field's name in the tool.
	Key  string    `json:"key"`
	Type FieldType `json:"type"`
	// Label is "" if the tool has none.
	Label string `json:"label"`
}

// MarshalJSON writes null for what the tool does not have.
func (f MappedField) MarshalJSON() ([]byte, error) {
	type plain MappedField // without this method
	return marshalWithNulls(plain(f), "label")
}

var customFieldsOperation = transport.Operation{Method: http.MethodGet, Path: "/integrations/{integration_id}/custom-fields"}

// CustomFields iterates over the custom fields of an integration, as [IntegrationsService.Fields] does over the
// fields of the tool. A page has at most 250.
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-integrations-integration-id-custom-fields
func (s *IntegrationsService) CustomFields(ctx context.Context, integrationID string, options ...ListOptions) iter.Seq2[CustomField, error] {
	return fetchPages[CustomField](ctx, (*service)(s), customFieldsOperation, options, maxCustomFieldsPage, integrationID)
}

// CustomFieldsPage returns one page of [IntegrationsService.CustomFields], for callers who store the cursor.
func (s *IntegrationsService) CustomFieldsPage(ctx context.Context, integrationID string, options ListOptions) (*Page[CustomField], error) {
	return fetchPage[CustomField](ctx, (*service)(s), customFieldsOperation, options, maxCustomFieldsPage, integrationID)
}

// mapCustomFieldRequest maps a custom field; null removes the mapping.
type mapCustomFieldRequest struct {
	IntegrationFieldID *string `json:"integration_field_id"`
}

var mapCustomFieldOperation = transport.Operation{Method: http.MethodPut, Path: "/integrations/{integration_id}/custom-fields/{custom_field_id}"}

// MapCustomField maps a custom field to a field of the tool, in place of the field that it was mapped to. It
// returns the custom field as it is then.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration. Kombo does not document how it rejects an
// unknown field.
//
// Kombo's documentation: https://docs.kombo.dev/v1/put-integrations-integration-id-custom-fields-custom-field-id
func (s *IntegrationsService) MapCustomField(ctx context.Context, integrationID, customFieldID, integrationFieldID string) (*CustomField, error) {
	in := input{body: mapCustomFieldRequest{&integrationFieldID}, pathValues: []string{integrationID, customFieldID}}
	if integrationFieldID == "" {
		in.err = inputError("integration_field_id is empty; use UnmapCustomField")
	}
	return callWith[CustomField](ctx, (*service)(s), mapCustomFieldOperation, in)
}

// UnmapCustomField removes the mapping of a custom field, and returns the custom field as it is then. It fails as
// [IntegrationsService.MapCustomField] does.
//
// Kombo's documentation: https://docs.kombo.dev/v1/put-integrations-integration-id-custom-fields-custom-field-id
func (s *IntegrationsService) UnmapCustomField(ctx context.Context, integrationID, customFieldID string) (*CustomField, error) {
	return call[CustomField](ctx, (*service)(s), mapCustomFieldOperation, mapCustomFieldRequest{}, integrationID, customFieldID)
}
