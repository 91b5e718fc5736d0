package boundedjson

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"unicode/utf8"
)

// walker goes through a document once and adds up what decoding it allocates. It stops early at what is not
// JSON, which encoding/json refuses before it allocates anything, and when the budget is exceeded.
type walker struct {
	document []byte
	at       int
	depth    int
	total    int
	budget   int
	// invalid is set if the document is not valid UTF-8.
	invalid bool
	folded  []byte
	// lists are those that can be allocated at once, before decoding.
	lists []sizedList
	// sawNull is set if a null may have discarded one of them.
	sawNull bool
}

// sizedList is a slice and the number of its elements.
type sizedList struct {
	slice  reflect.Value
	length int
}

const (
	// deepest is how deep encoding/json decodes.
	deepest = 10_000
	// mismatch is the size of the error for a value of the wrong type.
	mismatch = 112
	// box is the size of the header of a string in an any; boxedList that of a slice; boxedNumber that of a number.
	box, boxedList, boxedNumber = 16, 24, 8
	// invalidFactor is what a string that is not valid UTF-8 can take for each byte: three for the string, and
	// seven for the buffers in which encoding/json replaces what is invalid.
	invalidFactor = 10
	// unquoting is what it takes to see which field a key with escapes names.
	unquoting = 512
	// foldedOnStack is the length up to which encoding/json folds a key without allocating.
	foldedOnStack = 32
)

// walk returns a walker that has gone through the document.
func walk(document []byte, into reflect.Value, budget int) *walker {
	w := &walker{document: document, budget: budget, invalid: !utf8.Valid(document)}
	w.value(planOf(into.Type()), &into)
	return w
}

func (w *walker) charge(n int) { w.total += n }

func (w *walker) stop() { w.at = len(w.document) }

// next returns the next byte that is not white space, without consuming it; 0 at the end.
func (w *walker) next() byte {
	for ; w.at < len(w.document); w.at++ {
		if c := w.document[w.at]; c > ' ' {
			return c
		}
	}
	return 0
}

// value charges for the value that comes next. into is the variable that it is decoded into, if there is one already.
func (w *walker) value(p *plan, into *reflect.Value) {
	c := w.next()
	if c == '"' && p.kind == text {
		w.chargeText(w.text())
		return
	}
	if c == 'n' { // null allocates nothing, apart from the copy that a method may make
		n := w.literal()
		if p.ownMethod {
			w.charge(n)
		}
		w.sawNull = w.sawNull || into != nil
		return
	}
	for p.kind == pointer && w.total <= w.budget {
		w.charge(p.elem.size)
		p, into = p.elem, target(into)
	}
	switch c {
	case '{', '[':
		w.container(p, into, c)
	case '"':
		s := w.text()
		switch {
		case p.ownMethod:
			w.chargeText(s)
			w.charge(len(`""`))
		case p.kind == text, p.kind == opaque, p.takesText:
			w.chargeText(s)
		case p.kind == anything:
			w.chargeText(s)
			w.charge(box)
		default:
			w.charge(mismatch)
		}
	default:
		n := w.literal()
		isNumber := c == '-' || c >= '0' && c <= '9'
		switch {
		case p.kind == boolean && !isNumber, p.kind == number && isNumber && n <= 32:
			// Longer numbers are copied.
		case p.kind == opaque && isNumber, p.ownMethod, p.kind == number && isNumber:
			w.charge(n)
		case p.kind == anything && isNumber:
			w.charge(boxedNumber + n)
		case p.kind == anything:
		default:
			w.charge(mismatch + n)
		}
	}
}

// target returns what a pointer points to, which is made if need be.
func target(pointer *reflect.Value) *reflect.Value {
	if pointer == nil {
		return nil
	}
	if pointer.IsNil() {
		pointer.Set(reflect.New(pointer.Type().Elem()))
	}
	pointed := pointer.Elem()
	return &pointed
}

func (w *walker) container(p *plan, into *reflect.Value, c byte) {
	if w.depth++; w.depth > deepest {
		w.stop()
		return
	}
	start, before := w.at, w.total
	if p.ownMethod {
		into = nil
	}
	switch {
	case p.kind == opaque && p.ownMethod:
		w.skip()
	case c == '{' && p.kind == object:
		w.object(p, into)
	case c == '{' && p.kind == dict:
		w.dict(p)
	case c == '{' && p.kind == anything:
		w.dict(anyDict)
	case c == '[' && p.kind == list:
		w.list(p, into)
	case c == '[' && p.kind == array:
		w.array(p)
	case c == '[' && p.kind == anything:
		w.charge(boxedList)
		w.list(anyList, nil)
	default:
		w.charge(mismatch)
		w.skip()
	}
	if p.ownMethod { // it may well decode into something else first
		w.charge(w.total - before + w.at - start)
	}
	w.depth--
}

func (w *walker) object(p *plan, into *reflect.Value) {
	w.charge(p.embedded)
	likely := 0
	for first := true; w.more(first, '}'); first = false {
		i := likely
		if !w.keyOf(p, likely) {
			if i = w.find(p, w.key()); i < 0 {
				w.skip()
				continue
			}
		}
		f := &p.fields[i]
		var inner *reflect.Value
		if into != nil && f.plan.kind >= pointer && len(f.index) == 1 {
			member := into.Field(f.index[0])
			inner = &member
		}
		w.value(f.plan, inner)
		likely = i + 1
	}
}

func (w *walker) dict(p *plan) {
	w.charge(emptyMap + p.elem.size)
	slots, room := 0, 0
	for first := true; w.more(first, '}'); first = false {
		if room == 0 {
			// A table of eight is filled up, a larger one to seven eighths.
			before := slots * 7 / 8
			slots = max(2*slots, firstSlots)
			room = slots*7/8 - before
			if slots == firstSlots {
				room = firstSlots
			}
			w.charge(slots * (p.slot + 1))
		}
		room--
		w.chargeText(w.key())
		w.charge(p.entry)
		w.value(p.elem, nil)
	}
}

func (w *walker) list(p *plan, into *reflect.Value) {
	once := into != nil && w.canSize(*into)
	length, capacity := 0, 0
	for first := true; w.more(first, ']'); first = false {
		switch {
		case once:
			w.charge(p.elem.size)
		case length == capacity:
			// The slice grows as append lets it grow.
			if capacity < 256 {
				capacity = max(1, 2*capacity)
			} else {
				capacity += (capacity + 3*256) / 4
			}
			w.charge(capacity * p.elem.size)
		}
		length++
		w.value(p.elem, nil)
	}
	if length == 0 {
		w.charge(boxedList)
	}
	if once {
		w.lists = append(w.lists, sizedList{*into, length})
	}
}

// canSize reports whether a slice can be allocated at once. After a null it might be discarded, and a second
// list for it might not fit: both happen only in documents that nobody sends in good faith.
func (w *walker) canSize(slice reflect.Value) bool {
	return !w.sawNull && slice.IsNil() && !slices.ContainsFunc(w.lists, func(l sizedList) bool {
		return l.slice.Addr().UnsafePointer() == slice.Addr().UnsafePointer()
	})
}

func (w *walker) array(p *plan) {
	length := 0
	for first := true; w.more(first, ']'); first = false {
		if length++; length <= p.length {
			w.value(p.elem, nil)
		} else {
			w.skip()
		}
	}
}

// chargeText charges for a copy of a string, whose size is rounded up.
func (w *walker) chargeText(s []byte) {
	n := len(s)
	if w.invalid && !utf8.Valid(s) {
		n *= invalidFactor
	}
	if n > 8 {
		n = (n + 15) &^ 15
	}
	w.charge(n)
}

// keyOf goes behind the key that comes next if it is that of the field at a place: most keys come in the order of
// the fields, and without white space.
func (w *walker) keyOf(p *plan, place int) bool {
	if place >= len(p.fields) {
		return false
	}
	key := p.fields[place].key
	if w.at > len(w.document)-len(key) || string(w.document[w.at:w.at+len(key)]) != key {
		return false
	}
	w.at += len(key)
	return true
}

// find returns the place of the field that a key names, or -1.
func (w *walker) find(p *plan, key []byte) int {
	if i, ok := p.byName[string(key)]; ok {
		return i
	}
	if bytes.IndexByte(key, '\\') >= 0 {
		var unquoted string
		if json.Unmarshal(slices.Concat([]byte{'"'}, key, []byte{'"'}), &unquoted) != nil {
			w.stop()
			return -1
		}
		w.charge(unquoting + 10*len(key))
		key = []byte(unquoted)
	}
	if w.invalid && !utf8.Valid(key) {
		w.charge(invalidFactor * len(key))
	}
	if len(key) > foldedOnStack {
		w.charge(5 * len(key)) // encoding/json folds it into a slice that grows
	}
	if len(key) > utf8.UTFMax*p.longestName {
		return -1
	}
	w.folded = appendFolded(w.folded[:0], key)
	if i, ok := p.byFold[string(w.folded)]; ok {
		return i
	}
	return -1
}

// more moves to the next element of a list, or member of an object: behind the opening bracket if it is the first, else
// behind a comma. It returns false at the end, behind the closing bracket.
func (w *walker) more(first bool, closing byte) bool {
	if first {
		w.at++
	}
	switch c := w.next(); {
	case w.total > w.budget:
	case c == closing:
		w.at++
		return false
	case first && c != 0:
		return true
	case c == ',':
		w.at++
		return true
	}
	w.stop()
	return false
}

// key returns the key that comes next, without quotes and with its escapes, and goes behind the colon.
func (w *walker) key() []byte {
	if w.next() != '"' {
		w.stop()
		return nil
	}
	key := w.text()
	if w.next() != ':' {
		w.stop()
		return nil
	}
	w.at++
	return key
}

// text returns the string that comes next, without quotes and with its escapes.
func (w *walker) text() []byte {
	start := w.at + 1
	if n := bytes.IndexByte(w.document[start:], '"'); n > 0 && w.document[start+n-1] != '\\' {
		w.at = start + n + 1
		return w.document[start : start+n]
	}
	for end := start; ; end++ {
		n := bytes.IndexByte(w.document[min(end, len(w.document)):], '"')
		if n < 0 {
			w.stop()
			return nil
		}
		end += n
		escapes := 0
		for end-escapes > start && w.document[end-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			w.at = end + 1
			return w.document[start:end]
		}
	}
}

// literal goes behind the number, true, false or null that comes next, and returns its length.
func (w *walker) literal() int {
	start := w.at
	if w.at < len(w.document)-5 {
		switch w.document[w.at] {
		case 't', 'n':
			w.at += len("true")
		case 'f':
			w.at += len("false")
		}
	}
	for w.at < len(w.document) {
		if c := w.document[w.at]; c <= ' ' || c == ',' || c == ']' || c == '}' {
			break
		}
		w.at++
	}
	length := w.at - start
	if length == 0 {
		w.stop()
	}
	return length
}

// skip goes behind the value that comes next.
func (w *walker) skip() {
	switch w.next() {
	case '{', '[':
	case '"':
		w.text()
		return
	default:
		w.literal()
		return
	}
	for depth := 0; w.at < len(w.document); {
		switch w.document[w.at] {
		case '"':
			w.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		w.at++
		if depth == 0 {
			return
		}
	}
}
