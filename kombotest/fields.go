package kombotest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"github.com/kombo-go/kombo"
)

const (
	defaultPage         = 100
	maxFieldsPage       = 2000
	maxCustomFieldsPage = 250
)

// sampleFields returns the fields of the tools of a category, which are the same for each.
func sampleFields(category kombo.Category) []kombo.IntegrationField {
	model := samplesOf(category).mainModel()
	id := func(n int) string { return fmt.Sprintf("kombotestField%s%06d", category, n) }
	return []kombo.IntegrationField{
		{ID: id(1), Key: "tax_id", Model: model, Type: kombo.FieldTypeDefault, Label: "Tax ID", IsPassthroughEnabled: true},
		{ID: id(2), Key: "cost_center", Model: model, Type: kombo.FieldTypeDefault},
		{ID: id(3), Key: "custom.tshirt_size", Model: model, Type: kombo.FieldTypeCustom, Label: "T-Shirt Size"},
		{ID: id(4), Key: "tax_id", Model: model, Type: kombo.FieldTypeCustom, Label: "Tax ID (old)"},
	}
}

// sampleCustomFields returns the custom fields of a category: one that is mapped, and one that is not.
func sampleCustomFields(category kombo.Category) []kombo.CustomField {
	fields := sampleFields(category)
	id := func(n int) string { return fmt.Sprintf("kombotestCustom%s%06d", category, n) }
	return []kombo.CustomField{
		{ID: id(1), Key: "unified_tax_id", Model: fields[0].Model, IntegrationField: mapped(fields[0])},
		{ID: id(2), Key: "tshirt_size", Model: fields[0].Model, Label: "T-Shirt Size", Description: "Map this to the T-shirt size"},
	}
}

// mainModel is the model that the sample fields belong to.
func (s sample) mainModel() string {
	if len(s.models) > 0 {
		return s.models[0].id
	}
	return "ats_applications"
}

func mapped(field kombo.IntegrationField) *kombo.MappedField {
	return &kombo.MappedField{ID: field.ID, Key: field.Key, Type: field.Type, Label: field.Label}
}

func (st *state) listFields(c *call, i *integration) (any, error) {
	return page(c, i.fields, maxFieldsPage, func(f kombo.IntegrationField) string { return f.ID }, integrationField)
}

func (st *state) listCustomFields(c *call, i *integration) (any, error) {
	return page(c, i.customFields, maxCustomFieldsPage, func(f kombo.CustomField) string { return f.ID }, customField)
}

// page returns the part of a list that the query asks for. A cursor identifies the list and the first entry of the page.
func page[T any](c *call, list []T, longest int, id func(T) string, write func(T) object) (any, error) {
	size, begin := defaultPage, 0
	query := c.URL.Query()
	if query.Has("page_size") {
		var err error
		size, err = strconv.Atoi(query.Get("page_size"))
		if err != nil || size < 1 || size > longest {
			return nil, invalid(fmt.Sprintf("page_size: not a number from 1 to %d", longest))
		}
	}
	cursor := func(entry T) string {
		return base64.RawURLEncoding.EncodeToString([]byte(c.op + "\n" + c.PathValue("integration_id") + "\n" + id(entry)))
	}
	if query.Has("cursor") {
		begin = slices.IndexFunc(list, func(entry T) bool { return cursor(entry) == query.Get("cursor") })
		if begin < 0 {
			return nil, invalid("cursor: it is of no page of this list")
		}
	}
	end := min(begin+size, len(list))
	var next any
	if end < len(list) {
		next = cursor(list[end])
	}
	return object{{"results", all(list[begin:end], write)}, {"next", next}, {"next_cursor", next}}, nil
}

func integrationField(f kombo.IntegrationField) object {
	return object{
		{"id", f.ID},
		{"key", f.Key},
		{"model", f.Model},
		{"type", f.Type},
		{"label", orNull(f.Label)},
		{"is_passthrough_enabled", f.IsPassthroughEnabled},
		{"is_writable", f.IsWritable},
	}
}

func customField(f kombo.CustomField) object {
	var mapped any
	if m := f.IntegrationField; m != nil {
		mapped = object{{"id", m.ID}, {"key", m.Key}, {"type", m.Type}, {"label", orNull(m.Label)}}
	}
	return object{
		{"id", f.ID},
		{"key", f.Key},
		{"integration_field", mapped},
		{"model", f.Model},
		{"label", orNull(f.Label)},
		{"description", orNull(f.Description)},
	}
}

func (st *state) setFieldPassthrough(c *call, i *integration) (any, error) {
	in := readInput(c.body)
	in.require("enable_passthrough")
	var enabled bool
	given := in.read("enable_passthrough", nullable, &enabled, "true, false or null")
	at := slices.IndexFunc(i.fields, func(f kombo.IntegrationField) bool { return f.ID == c.PathValue("integration_field_id") })
	if at < 0 {
		in.reject("integration_field_id", "the integration has no such field")
	}
	if in.err != nil {
		return nil, in.err
	}
	if given {
		i.fields[at].IsPassthroughEnabled = enabled
	}
	return integrationField(i.fields[at]), nil
}

func (st *state) mapCustomField(c *call, i *integration) (any, error) {
	in := readInput(c.body)
	in.require("integration_field_id")
	var fieldID string
	given := in.read("integration_field_id", nullable, &fieldID, "a string or null")
	at := slices.IndexFunc(i.customFields, func(f kombo.CustomField) bool { return f.ID == c.PathValue("custom_field_id") })
	if at < 0 {
		in.reject("custom_field_id", "there is no such custom field")
	}
	to := slices.IndexFunc(i.fields, func(f kombo.IntegrationField) bool { return f.ID == fieldID })
	if given && to < 0 {
		in.reject("integration_field_id", "the integration has no such field")
	}
	if in.err != nil {
		return nil, in.err
	}
	custom := &i.customFields[at]
	custom.IntegrationField = nil
	if given {
		custom.IntegrationField = mapped(i.fields[to])
	}
	return customField(*custom), nil
}
