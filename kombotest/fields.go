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

// fieldsOf returns the fields of an integration's tool, as they are now. The caller holds the mutex.
func (s *Server) fieldsOf(i *integration) []kombo.IntegrationField {
	fields := s.config.Fields
	if fields == nil {
		fields = sampleFields(i.Category)
	}
	fields = slices.Clone(fields)
	for n := range fields {
		if enabled, ok := i.passthrough[fields[n].ID]; ok {
			fields[n].IsPassthroughEnabled = enabled
		}
	}
	return fields
}

// customFieldsOf returns the custom fields of an integration, as they are mapped now. The caller holds the mutex.
func (s *Server) customFieldsOf(i *integration) []kombo.CustomField {
	fields := s.config.CustomFields
	if fields == nil {
		fields = sampleCustomFields(i.Category)
	}
	fields = slices.Clone(fields)
	for n := range fields {
		if mapped, ok := i.mappings[fields[n].ID]; ok {
			fields[n].IntegrationField = mapped
		}
	}
	return fields
}

// sampleFields are fields of the tools of a category, all of them the same.
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

// sampleCustomFields are custom fields of a category: one that is mapped, and one that is not.
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

// locked calls endpoint with the integration that the path names, and answers 404 where there is none. The endpoint
// holds the mutex.
func (s *Server) locked(integrationID string, endpoint func(*integration) answer) answer {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	existing, ok := s.integrations[integrationID]
	if !ok {
		return notFound()
	}
	return endpoint(existing)
}

func (s *Server) integrationFields(c call) answer {
	return s.locked(c.PathValue("integration_id"), func(i *integration) answer {
		return page(c, s.fieldsOf(i), maxFieldsPage, func(f kombo.IntegrationField) string { return f.ID }, integrationField)
	})
}

func (s *Server) customFields(c call) answer {
	return s.locked(c.PathValue("integration_id"), func(i *integration) answer {
		return page(c, s.customFieldsOf(i), maxCustomFieldsPage, func(f kombo.CustomField) string { return f.ID }, customField)
	})
}

// page answers with the part of a list that the query asks for. A cursor names the list and the entry that it begins
// with.
func page[T any](c call, list []T, longest int, id func(T) string, write func(T) object) answer {
	size, begin := defaultPage, 0
	query := c.URL.Query()
	if query.Has("page_size") {
		var err error
		size, err = strconv.Atoi(query.Get("page_size"))
		if err != nil || size < 1 || size > longest {
			return failed(kombo.CodeInputInvalid, fmt.Sprintf("page_size: not a number from 1 to %d", longest))
		}
	}
	cursor := func(entry T) string {
		return base64.RawURLEncoding.EncodeToString([]byte(c.op + "\n" + c.PathValue("integration_id") + "\n" + id(entry)))
	}
	if query.Has("cursor") {
		begin = slices.IndexFunc(list, func(entry T) bool { return cursor(entry) == query.Get("cursor") })
		if begin < 0 {
			return failed(kombo.CodeInputInvalid, "cursor: it is of no page of this list")
		}
	}
	end := min(begin+size, len(list))
	var next any
	if end < len(list) {
		next = cursor(list[end])
	}
	return succeeded(object{{"results", all(list[begin:end], write)}, {"next", next}, {"next_cursor", next}})
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

func (s *Server) setFieldPassthrough(c call) answer {
	return s.locked(c.PathValue("integration_id"), func(i *integration) answer {
		in := readInput(c.body)
		var enabled bool
		in.there("enable_passthrough")
		given := in.read("enable_passthrough", nullable, &enabled, "true, false or null")
		if in.problem != "" {
			return failed(kombo.CodeInputInvalid, in.problem)
		}
		fields := s.fieldsOf(i)
		at := slices.IndexFunc(fields, func(f kombo.IntegrationField) bool { return f.ID == c.PathValue("integration_field_id") })
		if at < 0 {
			return failed(kombo.CodeInputInvalid, "integration_field_id: the integration has no such field")
		}
		if given {
			if i.passthrough == nil {
				i.passthrough = map[string]bool{}
			}
			i.passthrough[fields[at].ID], fields[at].IsPassthroughEnabled = enabled, enabled
		}
		return succeeded(integrationField(fields[at]))
	})
}

func (s *Server) mapCustomField(c call) answer {
	return s.locked(c.PathValue("integration_id"), func(i *integration) answer {
		in := readInput(c.body)
		in.there("integration_field_id")
		var fieldID string
		given := in.read("integration_field_id", nullable, &fieldID, "a string or null")
		if in.problem != "" {
			return failed(kombo.CodeInputInvalid, in.problem)
		}
		customs, fields := s.customFieldsOf(i), s.fieldsOf(i)
		at := slices.IndexFunc(customs, func(f kombo.CustomField) bool { return f.ID == c.PathValue("custom_field_id") })
		to := slices.IndexFunc(fields, func(f kombo.IntegrationField) bool { return f.ID == fieldID })
		switch {
		case at < 0:
			return failed(kombo.CodeInputInvalid, "custom_field_id: there is no such custom field")
		case given && to < 0:
			return failed(kombo.CodeInputInvalid, "integration_field_id: the integration has no such field")
		}
		custom := customs[at]
		custom.IntegrationField = nil
		if given {
			custom.IntegrationField = mapped(fields[to])
		}
		if i.mappings == nil {
			i.mappings = map[string]*kombo.MappedField{}
		}
		i.mappings[custom.ID] = custom.IntegrationField
		return succeeded(customField(custom))
	})
}

// there refuses a body without a member that may be null.
func (in *input) there(field string) {
	if _, ok := in.members[field]; !ok {
		in.refuse(field, "is required")
	}
}
