// Package boundedjson decodes JSON documents of other parties in memory that is in proportion to their size.
// Without a bound a list of three-byte elements, [{},{},…], takes hundreds of times its size: each {}
// becomes a whole struct.
//
// The size of the result is estimated before decoding, from the brackets and commas of the document and from the
// Go type. Keys are not read: each value is charged as the largest thing that any value at its depth can
// become. A document is therefore also charged for members that the type does not have. That matters only for
// documents that are mostly lists of such members with tiny elements, at the depth of a list of the type.
package boundedjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"unicode/utf8"
)

// ErrTooMuch means that a document was not decoded, because the result would be out of proportion.
var ErrTooMuch = errors.New("it would take too much memory for its size")

const (
	// perByte is the limit of the charge for each byte of a document. Ordinary ones are charged 0.2 to 1.2. The peak is
	// higher than the charge: a list that grows takes about three times as much for a while, garbage
	// included, and the document and its strings are not charged. All of it is at most about ten times the document.
	perByte = 2
	// floor is what any document may be charged, so that small sparse ones pass.
	floor = 64 << 10
	// harmless is the product of a document's size and of the largest charge up to which it is not looked at:
	// the result is no larger.
	harmless = 1 << 20
	// invalid is charged for each byte that is not UTF-8. encoding/json replaces it by three, in a buffer
	// that it doubles.
	invalid = 4
	// deepest is how deep encoding/json decodes.
	deepest = 10_000
)

// Unmarshal is [json.Unmarshal], but fails with [ErrTooMuch] if decoding would take far more memory than
// the document is long. It assumes that an UnmarshalJSON method decodes into the exported fields of its type, or
// its elements; one that does more should bound that itself.
func Unmarshal(document []byte, v any) error {
	if t := reflect.TypeOf(v); t != nil {
		p := profileOf(t)
		budget := perByte*len(document) + floor
		if p.largest*len(document) > harmless && chargeInvalid(document)+p.charge(document, budget) > budget {
			return ErrTooMuch
		}
	}
	return json.Unmarshal(document, v)
}

// chargeInvalid returns the charge for the bytes that are not UTF-8.
func chargeInvalid(document []byte) int {
	if utf8.Valid(document) {
		return 0
	}
	total := 0
	for len(document) > 0 {
		r, size := utf8.DecodeRune(document)
		if r == utf8.RuneError && size == 1 {
			total += invalid
		}
		document = document[size:]
	}
	return total
}

// charge returns the charge for a document, or more than the budget. It stops early at what is not JSON, of which
// encoding/json decodes nothing.
func (p *profile) charge(document []byte, budget int) int {
	if p.free {
		return 0
	}
	var open []byte // the brackets around the place
	each := 0       // the charge for each element or member there
	total := 0
	for i := 0; i < len(document) && total <= budget; i++ {
		switch c := document[i]; c {
		case '"':
			if i = EndOfString(document, i+1); i < 0 {
				return 0
			}
		case '{', '[':
			charges := p.at(len(open))
			if c == '{' {
				total += charges.object
			}
			if each > 0 && !charges.opens {
				total += misplaced
			}
			if open = append(open, c); len(open) > deepest {
				return 0
			}
			each = p.each(open)
			if i+1 < len(document) && document[i+1] != c+2 { // the closing bracket
				total += each
			}
		case '}', ']':
			if len(open) == 0 {
				return 0
			}
			open = open[:len(open)-1]
			each = p.each(open)
		case ',':
			total += each
		}
	}
	return total
}

// each returns the charge for each element or member behind some brackets.
func (p *profile) each(open []byte) int {
	switch charges := p.at(len(open)); {
	case len(open) == 0:
		return 0
	case open[len(open)-1] == '[':
		return charges.element
	default:
		return charges.member
	}
}

// EndOfString returns the place of the quote that ends a string, or -1.
func EndOfString(document []byte, start int) int {
	for i := start; ; i++ {
		n := bytes.IndexByte(document[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		escapes := 0
		for document[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}
