// Package boundedjson decodes JSON documents of other parties in memory that is in proportion to their size.
// Without a bound a list of three-byte elements, [{},{},…], takes hundreds of times its size: each {}
// becomes a whole struct.
package boundedjson

import (
	"encoding/json"
	"errors"
	"reflect"
)

// ErrTooMuch means that a document was not decoded, because the result would be out of proportion.
var ErrTooMuch = errors.New("it would take too much memory for its size")

const (
	// perByte is how many bytes decoding may allocate for each byte of a document. Lists of records that
	// have all their fields take one to four. Reading a document takes another two to three (the document
	// included), so that the sum is below ten.
	perByte = 6
	// floor is what any document may take, so that small sparse ones pass.
	floor = 64 << 10
	// harmless is the product of a document's size and of the largest thing that two bytes of it can become
	// up to which there is no need to look: the result is no larger.
	harmless = 1 << 20
)

// Unmarshal is [json.Unmarshal], but fails with [ErrTooMuch] if decoding would allocate far more than
// the document is long. It assumes that an UnmarshalJSON method decodes into the fields of its type; one
// that does more should call Unmarshal itself.
func Unmarshal(document []byte, v any) error {
	pointer := reflect.ValueOf(v)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return json.Unmarshal(document, v) // which refuses it
	}
	if planOf(pointer.Type().Elem()).largest*len(document) <= harmless {
		return json.Unmarshal(document, v)
	}
	w := walk(document, pointer.Elem(), perByte*len(document)+floor)
	if w.total > w.budget {
		return ErrTooMuch
	}
	// The outermost lists can be long. Their lengths are known now, so they need not grow.
	for _, list := range w.lists {
		list.slice.Set(reflect.MakeSlice(list.slice.Type(), 0, list.length))
	}
	return json.Unmarshal(document, v)
}
