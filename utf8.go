package kombo

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kombo-go/kombo/internal/transport"
)

// checkText returns an error that names the first string of body that is sent and is not valid UTF-8. encoded is
// body as encoding/json encodes it, which puts U+FFFD in place of everything that is not UTF-8: two different strings
// could arrive as the same one.
func checkText(body any, encoded []byte) error {
	if !maybeChanged(encoded) {
		return nil
	}
	search := textSearch{}
	if found := search.find(reflect.ValueOf(body), false); found != "" {
		return inputError(strings.TrimPrefix(found, ": "))
	}
	return nil
}

// maybeChanged reports whether a JSON document contains text that is not UTF-8, or U+FFFD, which may be in place of
// such text. Version 1 of encoding/json escapes the U+FFFD that it adds, version 2 does not.
func maybeChanged(encoded []byte) bool {
	return bytes.Contains(encoded, []byte(`\ufffd`)) || bytes.Contains(encoded, []byte("\ufffd")) || !utf8.Valid(encoded)
}

// textSearch has the references that were followed: the inside of a type with a MarshalJSON of its own may be
// circular.
type textSearch map[reference]bool

type reference struct {
	pointer uintptr
	length  int // two slices may begin with the same element
	kind    reflect.Type
	inside  bool
}

const notUTF8 = " is not valid UTF-8"

// find describes the first string in v that is not valid UTF-8. Inside of a type with a MarshalJSON of its own,
// every field may be one that is sent.
func (s textSearch) find(v reflect.Value, inside bool) string {
	kind := v.Kind()
	if kind == reflect.Interface {
		return s.find(v.Elem(), inside)
	}
	if kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Slice {
		this := reference{v.Pointer(), 0, v.Type(), inside}
		if kind == reflect.Slice {
			this.length = v.Len()
		}
		if v.IsNil() || s[this] {
			return ""
		}
		s[this] = true
	}
	if !inside {
		switch m := marshalerOf(v).(type) {
		case json.Marshaler:
			own, err := m.MarshalJSON()
			switch {
			case err != nil || !maybeChanged(own):
				return ""
			case !utf8.Valid(own):
				return notUTF8
			}
			inside = true
		case encoding.TextMarshaler:
			if own, err := m.MarshalText(); err == nil && !utf8.Valid(own) {
				return notUTF8
			}
			return ""
		}
	}
	switch {
	case kind == reflect.String && !utf8.ValidString(v.String()):
		return notUTF8
	case kind == reflect.Pointer:
		return s.find(v.Elem(), inside)
	case kind == reflect.Slice || kind == reflect.Array:
		return s.findInList(v, inside)
	case kind == reflect.Map:
		return s.findInMap(v, inside)
	case kind == reflect.Struct:
		return s.findInStruct(v, inside)
	}
	return ""
}

// marshalerOf returns v as the interface whose method encoding/json calls.
func marshalerOf(v reflect.Value) any {
	if v.Kind() != reflect.Pointer && v.CanAddr() {
		v = v.Addr()
	}
	if !v.IsValid() || !v.CanInterface() {
		return nil
	}
	return v.Interface()
}

func (s textSearch) findInList(v reflect.Value, inside bool) string {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return "" // sent as base64 or as numbers
	}
	for i := range v.Len() {
		if found := s.find(v.Index(i), inside); found != "" {
			return found
		}
	}
	return ""
}

func (s textSearch) findInMap(v reflect.Value, inside bool) string {
	for members := v.MapRange(); members.Next(); {
		key := members.Key()
		if found := s.find(key, inside); found != "" {
			return ": a key" + found
		}
		if found := s.find(members.Value(), inside); found != "" {
			if key.Kind() != reflect.String {
				return ": a value" + found
			}
			return ": the value of " + strconv.Quote(transport.Truncate(key.String(), 100)) + found
		}
	}
	return ""
}

func (s textSearch) findInStruct(v reflect.Value, inside bool) string {
	for field, value := range v.Fields() {
		isSent := (field.IsExported() || field.Anonymous) && field.Tag.Get("json") != "-"
		if !isSent && !inside {
			continue
		}
		if found := s.find(value, inside); found != "" {
			return ": " + field.Name + found
		}
	}
	return ""
}
