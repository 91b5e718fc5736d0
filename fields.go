package kombo

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/kombo-go/kombo/internal/transport"
)

// Paging selects the first page of a list, and the size of its pages. The zero value is fine.
type Paging struct {
	// Cursor is the Next of an earlier page; "" begins with the first.
	Cursor string
	// PageSize is how many results come at once; 0 means Kombo's default, 100. Kombo takes up to 2,000
	// fields, and up to 250 custom fields.
	PageSize int
}

func (p Paging) query(longest int) (url.Values, error) {
	if p.PageSize < 0 || p.PageSize > longest {
		return nil, inputError("PageSize is not between 1 and " + strconv.Itoa(longest) + ", or 0 for the default")
	}
	query := url.Values{}
	if p.Cursor != "" {
		query.Set("cursor", p.Cursor)
	}
	if p.PageSize > 0 {
		query.Set("page_size", strconv.Itoa(p.PageSize))
	}
	return query, nil
}

// Page is a part of a list.
type Page[T any] struct {
	Results []T `json:"results"`
	// Next is the cursor of the next page; "" on the last page.
	Next string `json:"next"`
}

// MarshalJSON writes a page as Kombo does: null for no next one, and next_cursor, the deprecated twin of next.
func (p Page[T]) MarshalJSON() ([]byte, error) {
	results := p.Results
	if results == nil {
		results = []T{}
	}
	return marshal(struct {
		Results    []T     `json:"results"`
		NextCursor *string `json:"next_cursor"`
		Next       *string `json:"next"`
	}{results, nullable(p.Next), nullable(p.Next)})
}

// pageAnswer distinguishes what is missing in a page from what is empty or null.
type pageAnswer[T any] struct {
	Results *[]T   `json:"results"`
	Next    cursor `json:"next"`
	// NextCursor is the deprecated twin of Next. It is read only if there is no Next: if they differ, Next counts.
	NextCursor json.RawMessage `json:"next_cursor"`
}

// missing also reports a page without a cursor: to take it for the last one could lose the rest of the list.
func (p *pageAnswer[T]) missing() string {
	if !p.Next.present {
		_ = json.Unmarshal(p.NextCursor, &p.Next)
	}
	switch {
	case p.Results == nil:
		return "results"
	case !p.Next.present:
		return "next"
	}
	return ""
}

// cursor is the cursor of the next page; it is present and "" on the last one.
type cursor struct {
	value   string
	present bool
}

func (c *cursor) UnmarshalJSON(document []byte) error {
	err := json.Unmarshal(document, &c.value)
	c.present = err == nil
	return err
}

// page fetches a part of a list.
func page[T any](ctx context.Context, s *service, operation transport.Operation, paging Paging, longest int, integrationID string) (*Page[T], error) {
	query, err := paging.query(longest)
	answer, err := callWith[pageAnswer[T]](ctx, s, operation, input{pathValues: []string{integrationID}, query: query, err: err})
	if err != nil {
		return nil, err
	}
	return &Page[T]{Results: *answer.Results, Next: answer.Next.value}, nil
}

// maxEmptyPages ends a list with so many empty pages in a row: during them, the caller cannot break out of the loop.
const maxEmptyPages = 100

// all goes through the pages of a list.
func all[T any](operation transport.Operation, paging Paging, fetch func(Paging) (*Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		endless := func(why string) {
			yield(none, &Error{Op: operation.String(), Message: why + ", so that the list would never end", err: ErrUnexpectedResponse})
		}
		paging := paging // a sequence can be gone through again
		seed := maphash.MakeSeed()
		seen := map[uint64]bool{maphash.String(seed, paging.Cursor): true}
		for empty := 0; ; {
			fetched, err := fetch(paging)
			if err != nil {
				yield(none, err)
				return
			}
			for _, result := range fetched.Results {
				if !yield(result, nil) {
					return
				}
			}
			if fetched.Next == "" {
				return
			}
			if len(fetched.Results) > 0 {
				empty = 0
			} else if empty++; empty == maxEmptyPages {
				endless(strconv.Itoa(maxEmptyPages) + " empty pages in a row came")
				return
			}
			// Store hashes, because cursors can be long.
			hash := maphash.String(seed, fetched.Next)
			if seen[hash] {
				endless("a cursor came again")
				return
			}
			seen[hash] = true
			paging.Cursor = fetched.Next
		}
	}
}

// one returns the last paging, if any.
func one(paging []Paging) Paging {
	if len(paging) == 0 {
		return Paging{}
	}
	return paging[len(paging)-1]
}

// FieldType tells where a field comes from: keys are unique among those of one type only.
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
	// IsWritable belongs to a feature that is deprecated, and means nothing.
	IsWritable bool `json:"is_writable"`
}

func (f *IntegrationField) missing() string { return required("id", f.ID, "key", f.Key) }

// MarshalJSON writes null for what the tool has not.
func (f IntegrationField) MarshalJSON() ([]byte, error) {
	type plain IntegrationField // without this method
	return marshalWithNulls(plain(f), "label")
}

var fieldsOperation = transport.Operation{
	Method: http.MethodGet, Path: "/integrations/{integration_id}/integration-fields", Timeout: DefaultTimeout,
}

const (
	maxFieldsPage       = 2000
	maxCustomFieldsPage = 250
)

// Fields goes through the fields of the connected tool, page by page as they are needed. An error ends the
// sequence; paging is optional, and the last one counts.
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
// comes again, or 100 pages in a row are empty).
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-integrations-integration-id-integration-fields
func (s *IntegrationsService) Fields(ctx context.Context, integrationID string, paging ...Paging) iter.Seq2[IntegrationField, error] {
	return all(fieldsOperation, one(paging), func(p Paging) (*Page[IntegrationField], error) {
		return s.FieldsPage(ctx, integrationID, p)
	})
}

// FieldsPage returns one page of [IntegrationsService.Fields], for those who store the cursor.
func (s *IntegrationsService) FieldsPage(ctx context.Context, integrationID string, paging Paging) (*Page[IntegrationField], error) {
	return page[IntegrationField](ctx, (*service)(s), fieldsOperation, paging, maxFieldsPage, integrationID)
}

type setFieldPassthroughRequest struct {
	EnablePassthrough bool `json:"enable_passthrough"`
}

var setFieldPassthroughOperation = transport.Operation{
	Method: http.MethodPatch, Path: "/integrations/{integration_id}/integration-fields/{integration_field_id}", Timeout: DefaultTimeout,
}

// SetFieldPassthrough says whether a field of the tool is among the integration_fields of its model, and
// returns the field as it is then.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration. Kombo does not document how it rejects an
// unknown field.
//
// Kombo's documentation: https://docs.kombo.dev/v1/patch-integrations-integration-id-integration-fields-integration-field-id
func (s *IntegrationsService) SetFieldPassthrough(ctx context.Context, integrationID, fieldID string, enabled bool) (*IntegrationField, error) {
	return call[IntegrationField](ctx, (*service)(s), setFieldPassthroughOperation, setFieldPassthroughRequest{enabled}, integrationID, fieldID)
}

// CustomField is a field that is not part of Kombo's model, but of the caller's: it can be mapped to a field of
// the tool.
type CustomField struct {
	ID string `json:"id"`
	// Key is the field's name among the custom_fields of its model.
	Key string `json:"key"`
	// IntegrationField is the field of the tool that it is mapped to; nil if it is mapped to none.
	IntegrationField *MappedField `json:"integration_field"`
	// Model is the model that the field belongs to, such as "hris_employees".
	Model string `json:"model"`
	// Label and Description are "" if it has none.
	Label       string `json:"label"`
	Description string `json:"description"`
}

func (f *CustomField) missing() string { return required("id", f.ID, "key", f.Key) }

// MarshalJSON writes null for what Kombo has not.
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

// MarshalJSON writes null for what the tool has not.
func (f MappedField) MarshalJSON() ([]byte, error) {
	type plain MappedField // without this method
	return marshalWithNulls(plain(f), "label")
}

var customFieldsOperation = transport.Operation{
	Method: http.MethodGet, Path: "/integrations/{integration_id}/custom-fields", Timeout: DefaultTimeout,
}

// CustomFields goes through the custom fields of an integration, as [IntegrationsService.Fields] does through
// the fields of the tool.
//
// Kombo's documentation: https://docs.kombo.dev/v1/get-integrations-integration-id-custom-fields
func (s *IntegrationsService) CustomFields(ctx context.Context, integrationID string, paging ...Paging) iter.Seq2[CustomField, error] {
	return all(customFieldsOperation, one(paging), func(p Paging) (*Page[CustomField], error) {
		return s.CustomFieldsPage(ctx, integrationID, p)
	})
}

// CustomFieldsPage returns one page of [IntegrationsService.CustomFields], for those who store the cursor.
func (s *IntegrationsService) CustomFieldsPage(ctx context.Context, integrationID string, paging Paging) (*Page[CustomField], error) {
	return page[CustomField](ctx, (*service)(s), customFieldsOperation, paging, maxCustomFieldsPage, integrationID)
}

type mapCustomFieldRequest struct {
	IntegrationFieldID *string `json:"integration_field_id"`
}

var mapCustomFieldOperation = transport.Operation{
	Method: http.MethodPut, Path: "/integrations/{integration_id}/custom-fields/{custom_field_id}", Timeout: DefaultTimeout,
}

// MapCustomField maps a custom field to a field of the tool; "" as integrationFieldID takes the mapping away. It
// returns the custom field as it is then.
//
// It fails with [ErrIntegrationNotFound] if there is no such integration. Kombo does not document how it rejects an
// unknown field.
//
// Kombo's documentation: https://docs.kombo.dev/v1/put-integrations-integration-id-custom-fields-custom-field-id
func (s *IntegrationsService) MapCustomField(ctx context.Context, integrationID, customFieldID, integrationFieldID string) (*CustomField, error) {
	return call[CustomField](ctx, (*service)(s), mapCustomFieldOperation, mapCustomFieldRequest{nullable(integrationFieldID)}, integrationID, customFieldID)
}
