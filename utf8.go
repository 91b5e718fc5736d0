package kombo

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
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
	search := textSearch{seen: map[reference]bool{}}
	switch found := search.find(reflect.ValueOf(body), false); {
	case found == notUTF8:
		return inputError("Body" + found)
	case found != "":
		return inputError(strings.TrimPrefix(found, ": "))
	}
	return nil
}

// maybeChanged reports whether a JSON document contains text that is not UTF-8, or U+FFFD, which may be in place of
// such text. Version 1 of encoding/json escapes the U+FFFD that it adds, version 2 does not.
func maybeChanged(encoded []byte) bool {
	return bytes.Contains(encoded, []byte(`\ufffd`)) || bytes.Contains(encoded, []byte("\ufffd")) || !utf8.Valid(encoded)
}

// textSearch is a search through values that are sent.
type textSearch struct {
	// seen has the references that were followed: the inside of a type with a MarshalJSON of its own may be
	// circular.
	seen map[reference]bool
	// own has the text that the MarshalJSON sends, if the search is inside of such a type.
	own string
}

type reference struct {
	pointer uintptr
	length  int // two slices may begin with the same element
	kind    reflect.Type
	inside  bool
}

const notUTF8 = " is not valid UTF-8"

// find describes the first string in v that is not valid UTF-8. Inside of a type with a MarshalJSON of its own,
// every field may be one that is sent.
func (s *textSearch) find(v reflect.Value, inside bool) string {
	kind := v.Kind()
	if kind == reflect.Interface {
		return s.find(v.Elem(), inside)
	}
	if kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Slice {
		this := reference{v.Pointer(), 0, v.Type(), inside}
		if kind == reflect.Slice {
			this.length = v.Len()
		}
		if v.IsNil() || s.seen[this] {
			return ""
		}
		s.seen[this] = true
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
			var decoded any
			_ = json.Unmarshal(own, &decoded)
			s.own = fmt.Sprint(decoded) // all its texts and keys, without escapes
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
	if !v.IsValid() || !v.CanInterface() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	return v.Interface()
}

func (s *textSearch) findInList(v reflect.Value, inside bool) string {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		// It is sent as base64 or as numbers, unless a MarshalJSON makes it a text.
		if inside && v.Kind() == reflect.Slice && !utf8.Valid(v.Bytes()) && strings.Contains(s.own, string([]rune(string(v.Bytes())))) {
			return notUTF8
		}
		return ""
	}
	for i := range v.Len() {
		if found := s.find(v.Index(i), inside); found != "" {
			return found
		}
	}
	return ""
}

func (s *textSearch) findInMap(v reflect.Value, inside bool) string {
	for members := v.MapRange(); members.Next(); {
		key := members.Key()
		if found := s.findInKey(key, inside); found != "" {
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

// findInKey is find for the key of a map: encoding/json does not call a MarshalJSON there, nor the MarshalText of a
// string.
func (s *textSearch) findInKey(key reflect.Value, inside bool) string {
	if m, ok := marshalerOf(key).(encoding.TextMarshaler); ok && !inside && key.Kind() != reflect.String {
		if text, err := m.MarshalText(); err == nil && !utf8.Valid(text) {
			return notUTF8
		}
		return ""
	}
	return s.find(key, true) // without its methods
}

func (s *textSearch) findInStruct(v reflect.Value, inside bool) string {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
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
