package kombo

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/kombo-go/kombo/internal/boundedjson"
)

// maxDepth is how deep the data may be nested: encoding/json decodes 10,000 levels, and the body is one.
const maxDepth = 9_999

// scanInOrder finds the parts of a body of the form {"id":"…","type":"…","data":{…}}, with any white space, whose id
// and type are plain strings. It returns as data everything up to the last brace, which is the data if, and only
// if, it is one JSON value. Any other body is not ok.
func scanInOrder(body []byte) (id, eventType, data []byte, ok bool) {
	// A failed scan returns nil, so the scans after it fail too.
	rest, _ := scanByte(body, '{')
	id, rest = scanMember(rest, `"id"`)
	rest, _ = scanByte(rest, ',')
	eventType, rest = scanMember(rest, `"type"`)
	rest, _ = scanByte(rest, ',')
	rest, ok = scanKey(rest, `"data"`)
	if !ok || len(id) == 0 || len(eventType) == 0 {
		return nil, nil, nil, false
	}
	rest = bytes.TrimRight(rest, jsonSpace)
	data, ok = bytes.CutSuffix(rest, []byte("}"))
	data = bytes.Trim(data, jsonSpace)
	return id, eventType, data, ok && isLikelyObject(data) && isShallow(data)
}

// isShallow returns true only for data that is not nested deeper than maxDepth: a value in that is deeper has as many
// brackets before it that open, and as many after it that close. Strings may contain more.
func isShallow(data []byte) bool {
	opened := 0
	for i := 0; i < len(data); i += 4 << 10 {
		block := data[i:min(len(data), i+4<<10)]
		if opened += bytes.Count(block, []byte("{")) + bytes.Count(block, []byte("[")); opened > maxDepth {
			return bytes.Count(data[i:], []byte("}"))+bytes.Count(data[i:], []byte("]")) <= maxDepth
		}
	}
	return true
}

// isLikelyObject guesses whether b is one object, and not an object and more members, one of which ends it. A
// wrong guess costs time only. If another member is an object, it is most likely a short one.
func isLikelyObject(b []byte) bool {
	depth := 0
	for i := len(b) - 1; i >= max(len(b)*7/8, len(b)-1<<10); i-- {
		switch b[i] {
		case '}':
			depth++
		case '{':
			depth--
		}
		if depth == 0 {
			return i == 0
		}
	}
	return true
}

// scanMembers finds the parts of a body that has its members in any order, and others among them. It returns ok
// only if the body is valid JSON if, and only if, the data is. A body is not ok if its id or type is not a plain
// string, a key is escaped, or one of the three is there twice or in other letters.
func scanMembers(body []byte) (id, eventType, data []byte, ok bool) {
	rest, ok := scanByte(body, '{')
	for ok {
		var key, value []byte
		key, rest = scanString(rest)
		rest, _ = scanByte(rest, ':')
		value, rest = scanValue(rest)
		switch name := string(key); {
		case value == nil:
			return nil, nil, nil, false
		case name == "id" && id == nil:
			id, ok = wholeString(value)
		case name == "type" && eventType == nil:
			eventType, ok = wholeString(value)
		case name == "data" && data == nil:
			data = value
		default:
			isPart := strings.EqualFold(name, "id") || strings.EqualFold(name, "type") || strings.EqualFold(name, "data")
			ok = !isPart && json.Valid(value)
		}
		if !ok {
			break
		}
		if end, last := scanByte(rest, '}'); last {
			ok = len(id) > 0 && len(eventType) > 0 && data != nil && len(bytes.Trim(end, jsonSpace)) == 0
			return id, eventType, data, ok
		}
		rest, ok = scanByte(rest, ',')
	}
	return nil, nil, nil, false
}

const jsonSpace = " \t\r\n"

func scanByte(b []byte, want byte) (rest []byte, ok bool) {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\n' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	if len(b) == 0 || b[0] != want {
		return nil, false
	}
	return b[1:], true
}

// scanKey scans a key, given with its quotes, and the colon after it.
func scanKey(b []byte, key string) (rest []byte, ok bool) {
	b, ok = scanByte(b, '"')
	if !ok || len(b) < len(key)-1 || string(b[:len(key)-1]) != key[1:] {
		return nil, false
	}
	return scanByte(b[len(key)-1:], ':')
}

// scanMember scans a key and its value, a string as scanString has it.
func scanMember(b []byte, key string) (value, rest []byte) {
	b, _ = scanKey(b, key)
	return scanString(b)
}

// scanString scans a string of printable ASCII without escapes.
func scanString(b []byte) (value, rest []byte) {
	b, _ = scanByte(b, '"')
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i], b[i+1:]
		case c < ' ' || c > '~' || c == '\\':
			return nil, nil
		}
	}
	return nil, nil
}

// wholeString returns a string as scanString has it, if nothing follows.
func wholeString(b []byte) (value []byte, ok bool) {
	value, rest := scanString(b)
	return value, value != nil && len(rest) == 0
}

// scanValue scans a value of any kind. It only counts brackets: what it returns is the value if, and only if, it
// is valid JSON. It returns nil if there is no value, or one that is nested deeper than maxDepth.
func scanValue(b []byte) (value, rest []byte) {
	depth := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch c {
		case '"':
			if i = boundedjson.EndOfString(b, i+1); i < 0 {
				return nil, nil
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth > maxDepth {
			return nil, nil
		}
		if depth < 0 || depth == 0 && c == ',' {
			if value = bytes.Trim(b[:i], jsonSpace); len(value) == 0 {
				return nil, nil
			}
			return value, b[i:]
		}
	}
	return nil, nil
}
