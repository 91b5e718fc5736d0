package kombotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kombo-go/kombo"
)

// object is a JSON object with its members in order. The server encodes objects of its own, never
// structs of the SDK: a wrong tag of a struct would be on both sides, and no test would fail.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members.
func (o object) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	text.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			text.WriteByte(',')
		}
		value, err := encodeJSON(m.value, "")
		if err != nil {
			return nil, err
		}
		text.WriteString(strconv.Quote(m.name))
		text.WriteByte(':')
		text.Write(value)
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

// encodeJSON encodes a value as JSON.stringify of JavaScript does, which Kombo uses. A json.RawMessage in it keeps its numbers
// and the order of its members.
func encodeJSON(value any, indent string) ([]byte, error) {
	if hasSDKStruct(value) {
		return nil, fmt.Errorf("%T is encoded by its own tags; write an object", value)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return asStringify(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}

// hasSDKStruct reports whether a value is, or contains, a struct of the SDK.
func hasSDKStruct(value any) bool {
	if values, ok := value.(map[string]any); ok {
		return slices.ContainsFunc(slices.Collect(maps.Values(values)), hasSDKStruct)
	}
	t := reflect.TypeOf(value)
	for t != nil && slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map}, t.Kind()) {
		t = t.Elem()
	}
	return t != nil && t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[kombo.EndUser]().PkgPath()
}

// asStringify escapes the strings of a JSON text as JSON.stringify does: quotes, backslashes, control characters and
// lone surrogates only. Package encoding/json also escapes U+2028 and U+2029.
func asStringify(text []byte) []byte {
	result := make([]byte, 0, len(text))
	for {
		at := bytes.IndexByte(text, '\\') // which is in strings only
		if at < 0 {
			return append(result, text...)
		}
		result = append(result, text[:at]...)
		text = text[at:]
		size := 2
		switch text[1] {
		case '/':
			result = append(result, '/')
		case 'u':
			r := unit(text)
			size = 6
			if pair := utf16.DecodeRune(r, unit(text[6:])); pair != utf8.RuneError {
				r, size = pair, 12
			}
			result = appendCharacter(result, r)
		default:
			result = append(result, text[:2]...)
		}
		text = text[size:]
	}
}

// unit returns the UTF-16 code unit of the escape at the beginning of a text, or -1.
func unit(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// appendCharacter appends a character of a string.
func appendCharacter(text []byte, r rune) []byte {
	const short = "\b\t\n\f\r"
	switch {
	case r == '"' || r == '\\':
		return append(text, '\\', byte(r))
	case r < ' ' && bytes.ContainsRune([]byte(short), r):
		return append(text, '\\', "btn_fr"[r-'\b'])
	case r < ' ' || utf16.IsSurrogate(r):
		return fmt.Appendf(text, `\u%04x`, r)
	}
	return utf8.AppendRune(text, r)
}

// orNull returns null for the zero value.
func orNull[T comparable](value T) any {
	var null T
	if value == null {
		return nil
	}
	return value
}

// all returns a list that is never null, with each entry as write returns it.
func all[From, To any](entries []From, write func(From) To) []To {
	written := make([]To, len(entries))
	for i, entry := range entries {
		written[i] = write(entry)
	}
	return written
}

// timeFormat is the format of Kombo's times, which are in UTC.
const timeFormat = "2006-01-02T15:04:05.000Z"

func timeText(t time.Time) string { return t.UTC().Format(timeFormat) }

func timeOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return timeText(*t)
}
