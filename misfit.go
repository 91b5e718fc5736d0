package kombo

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"time"
)

// misfit is a value of a JSON document that does not fit the Go type that it is decoded into.
type misfit struct {
	// path has the names of the members that lead to the value, such as "data.tools.id"; it is "" for the
	// document itself. Lists and the keys of maps add nothing to it, so it quotes nothing of the document.
	path   string
	isTime bool // the value should have been a time
}

// findMisfit returns the first value in document that cannot be decoded as its part of target, a pointer, and
// whose path the caller wants; nil if there is none. encoding/json gives no path for times and for types with
// an UnmarshalJSON of their own, and its versions differ in the paths that they give. This is for the text of
// an error only, so that it may decode the document once more.
//
// Of a long document the path in err, the error of encoding/json, must do if it has one: the search takes up to
// forty times the document's size, and a multiple of it without long lists.
func findMisfit(document []byte, target any, path string, err error, want func(path string) bool) *misfit {
	if typeErr, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && len(document) > maxSearchedList {
		if path = strings.Trim(path+"."+typeErr.Field, "."); !want(path) {
			return nil
		}
		return &misfit{path, isTime(typeErr.Type)}
	}
	if len(document) > maxSearched {
		return nil
	}
	return misfitOf(document, reflect.TypeOf(target).Elem(), path, want)
}

// describe returns what is wrong, without quoting the value.
func (m *misfit) describe() string {
	switch {
	case m == nil:
		return "it cannot be decoded"
	case m.path == "":
		return "it is not a JSON object"
	case m.isTime:
		return m.path + " is not a time"
	}
	return "the type of " + m.path + " is wrong"
}

// maxSearched is the size in bytes of the longest document that findMisfit looks through, apart from lists in it that are
// longer than maxSearchedList. An integration with all its models takes some 100 KB.
const (
	maxSearched     = 256 << 10
	maxSearchedList = 64 << 10
)

func misfitOf(document []byte, t reflect.Type, path string, want func(path string) bool) *misfit {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	first, _ := decoder.Token()
	isObject, isList := first == json.Delim('{'), first == json.Delim('[')
	var value json.RawMessage
	switch kind := t.Kind(); {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
	case kind == reflect.Struct && isObject:
		for decoder.More() {
			key, _ := decoder.Token()
			if decoder.Decode(&value) != nil {
				return nil
			}
			name, _ := key.(string)
			if name, field, ok := fieldByName(t, name); ok {
				if found := misfitOf(value, field, strings.TrimPrefix(path+"."+name, "."), want); found != nil {
					return found
				}
			}
		}
		return nil
	case kind == reflect.Map && isObject, (kind == reflect.Slice || kind == reflect.Array) && isList:
		if len(document) > maxSearchedList {
			return nil
		}
		for decoder.More() {
			if isObject {
				_, _ = decoder.Token() // the key
			}
			if decoder.Decode(&value) != nil {
				return nil
			}
			if json.Unmarshal(value, reflect.New(t.Elem()).Interface()) == nil {
				continue // nearly all can be decoded, so look closely at the others only
			}
			if found := misfitOf(value, t.Elem(), path, want); found != nil {
				return found
			}
		}
		return nil
	}
	if !want(path) || json.Unmarshal(document, reflect.New(t).Interface()) == nil {
		return nil
	}
	return &misfit{path, isTime(t)}
}

func isTime(t reflect.Type) bool {
	return t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[*time.Time]()
}

// fieldByName returns the field of a struct that encoding/json decodes the member called name into, and how
// that member is really called.
func fieldByName(t reflect.Type, name string) (tag string, field reflect.Type, ok bool) {
	for _, f := range reflect.VisibleFields(t) {
		own, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		isEmbedded := f.Anonymous && own == "" // its fields are in the list themselves
		if own == "" {
			own = f.Name
		}
		switch {
		case !f.IsExported(), isEmbedded, own == "-", strings.Contains(options, "string"), !strings.EqualFold(own, name):
		case own == name:
			return own, f.Type, true
		case !ok:
			tag, field, ok = own, f.Type, true
		}
	}
	return tag, field, ok
}
