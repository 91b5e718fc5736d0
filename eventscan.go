package kombo

import "bytes"

// scanEnvelope finds the parts of a body of the form {"id":"…","type":"…","data":…}, with any white space,
// whose id and type are plain strings. It returns as data everything up to the last brace, which is the
// data if, and only if, it is one JSON value. Any other body is not ok.
func scanEnvelope(body []byte) (id, eventType, data []byte, ok bool) {
	// A failed scan returns nil, so the scans after it fail, too.
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
	return id, eventType, bytes.Trim(data, jsonSpace), ok
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

// scanMember scans a key and its value, a string of printable ASCII without escapes.
func scanMember(b []byte, key string) (value, rest []byte) {
	b, _ = scanKey(b, key)
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
