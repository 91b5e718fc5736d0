package boundedjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// kind is what decoding into a type does.
type kind uint8

const (
	closed   kind = iota // nothing
	boolean              // store in place
	number               // store in place
	text                 // copy
	opaque               // copy, whatever it is
	pointer              // make a new value
	list                 // grow a slice
	array                // store in place
	dict                 // grow a map
	object               // store in place, in fields
	anything             // as an any
)

// plan is what the walker has to know about a type.
type plan struct {
	kind kind
	// size is the size of a value.
	size int
	// elem is the plan of what a pointer, list, array or dict contains.
	elem *plan
	// length is the length of an array.
	length int
	// slot is the size of an entry in the table of a dict, and entry what else is allocated for one.
	slot, entry int
	// ownMethod is set if the type has the method UnmarshalJSON.
	ownMethod bool
	// takesText is set if the type copies a string, too: as base64, or by the method UnmarshalText.
	takesText bool
	// fields are the fields of an object; byName and byFold are their places.
	fields         []field
	byName, byFold map[string]int
	longestName    int
	// embedded is the size of what the embedded pointers of an object point to.
	embedded int
	// largest is the size of the largest thing that is allocated at once anywhere in the type. Only the plan of
	// a whole document has it.
	largest int
}

type field struct {
	name string
	// key is how a document writes the name.
	key   string
	index []int
	plan  *plan
}

const (
	// emptyMap is the size of a map without entries, and firstSlots the length of its first table.
	emptyMap   = 48
	firstSlots = 8
	// leastLargest counts for types without lists, too: a string that is not UTF-8 takes ten times its size.
	leastLargest = 16
)

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonNumber      = reflect.TypeFor[json.Number]()

	anyValue = &plan{kind: anything, size: 16}
	anyList  = &plan{kind: list, elem: anyValue}
	anyDict  = &plan{kind: dict, elem: anyValue, slot: 16 + 16}
	opaqueOf = &plan{kind: opaque}

	plans sync.Map // of reflect.Type to *plan
)

// planOf returns the plan of a whole document.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	known := map[reflect.Type]*plan{}
	root := compile(t, known)
	root.largest = leastLargest
	for _, p := range known {
		switch p.kind { //nolint:exhaustive // the others allocate text only
		case list, pointer:
			root.largest = max(root.largest, p.elem.size)
		case dict:
			root.largest = max(root.largest, emptyMap+firstSlots*p.slot+p.entry)
		case anything:
			root.largest = max(root.largest, emptyMap+firstSlots*anyDict.slot)
		case object:
			root.largest = max(root.largest, p.embedded)
		}
	}
	actual, _ := plans.LoadOrStore(t, root)
	return actual.(*plan)
}

// compile returns the plan of a type. A type that contains itself finds its plan in known.
func compile(t reflect.Type, known map[reflect.Type]*plan) *plan {
	if p := known[t]; p != nil {
		return p
	}
	p := &plan{size: int(t.Size())}
	known[t] = p
	if t.Kind() == reflect.Pointer {
		p.kind, p.elem = pointer, compile(t.Elem(), known)
		return p
	}
	if t.Kind() == reflect.Interface {
		if t.NumMethod() == 0 {
			p.kind = anything
		}
		return p
	}
	p.ownMethod = reflect.PointerTo(t).Implements(unmarshaler)
	if !p.ownMethod && reflect.PointerTo(t).Implements(textUnmarshaler) {
		p.takesText = true
		return p
	}
	switch kind := t.Kind(); {
	case kind == reflect.Bool:
		p.kind = boolean
	case kind >= reflect.Int && kind <= reflect.Float64:
		p.kind = number
	case kind == reflect.String && t == jsonNumber:
		p.kind = opaque
	case kind == reflect.String:
		p.kind = text
	case kind == reflect.Slice:
		p.kind, p.elem = list, compile(t.Elem(), known)
		p.takesText = t.Elem().Kind() == reflect.Uint8
	case kind == reflect.Array:
		p.kind, p.elem, p.length = array, compile(t.Elem(), known), t.Len()
	case kind == reflect.Map && (t.Key().Kind() == reflect.String || t.Key().Kind() >= reflect.Int && t.Key().Kind() <= reflect.Uintptr ||
		reflect.PointerTo(t.Key()).Implements(textUnmarshaler)):
		p.kind, p.elem = dict, compile(t.Elem(), known)
		p.entry = int(t.Key().Size()) // each key is made on the heap first
		for _, inSlot := range [...]reflect.Type{t.Key(), t.Elem()} {
			size := int(inSlot.Size())
			if size > 128 { // then the table has a pointer
				p.entry += size
				size = 8
			}
			p.slot += size
		}
	case kind == reflect.Struct:
		p.kind = object
		p.compileFields(t, known)
	}
	if p.ownMethod && (p.kind <= text || p.takesText || p.kind == object && len(p.fields) == 0) {
		p.kind = opaque
	}
	return p
}

// compileFields finds the fields of a struct by the rules of encoding/json: of several with one name the least
// deeply embedded counts; of those the one with a tag; and none if there are still several.
func (p *plan) compileFields(t reflect.Type, known map[reflect.Type]*plan) {
	type embedding struct {
		t     reflect.Type
		index []int
	}
	taken, seen := map[string]bool{}, map[reflect.Type]bool{}
	for level := []embedding{{t: t}}; len(level) > 0; {
		var next []embedding
		tagged, untagged := map[string][]field{}, map[string][]field{}
		for _, e := range level {
			seen[e.t] = true
			for i := range e.t.NumField() {
				f := e.t.Field(i)
				name, options, ok := parseTag(f)
				if !ok {
					continue
				}
				index := append(slices.Clone(e.index), i)
				target := f.Type
				if target.Kind() == reflect.Pointer {
					target = target.Elem()
				}
				if f.Anonymous && name == "" && target.Kind() == reflect.Struct {
					if f.Type.Kind() == reflect.Pointer {
						p.embedded += int(target.Size())
					}
					next = append(next, embedding{target, index})
					continue
				}
				found := field{name: name, index: index, plan: compile(f.Type, known)}
				if strings.Contains(","+options+",", ",string,") && found.plan.kind <= text {
					found.plan = opaqueOf
				}
				if name != "" {
					tagged[name] = append(tagged[name], found)
				} else {
					found.name = f.Name
					untagged[f.Name] = append(untagged[f.Name], found)
				}
			}
		}
		for _, byName := range [...]map[string][]field{tagged, untagged} {
			for name, found := range byName {
				if !taken[name] && len(found) == 1 {
					p.fields = append(p.fields, found[0])
				}
				taken[name] = true
			}
		}
		level = slices.DeleteFunc(next, func(e embedding) bool { return seen[e.t] })
	}
	slices.SortFunc(p.fields, func(a, b field) int { return slices.Compare(a.index, b.index) })
	p.byName, p.byFold = map[string]int{}, map[string]int{}
	for i, f := range p.fields {
		p.fields[i].key = `"` + f.name + `":`
		p.byName[f.name] = i
		p.longestName = max(p.longestName, len(f.name))
		if folded := string(appendFolded(nil, []byte(f.name))); !has(p.byFold, folded) {
			p.byFold[folded] = i
		}
	}
}

func has(m map[string]int, key string) bool {
	_, ok := m[key]
	return ok
}

// parseTag returns the name that the tag of a field gives, or "", and its options. It is not ok if encoding/json
// ignores the field.
func parseTag(f reflect.StructField) (name, options string, ok bool) {
	t := f.Type
	if f.Anonymous && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	tag := f.Tag.Get("json")
	if tag == "-" || !f.IsExported() && (!f.Anonymous || t.Kind() != reflect.Struct) {
		return "", "", false
	}
	name, options, _ = strings.Cut(tag, ",")
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) {
			name = "" // as if there were none
		}
	}
	return name, options, true
}

// appendFolded appends a name in the form that it shares with all that differ from it in case only.
func appendFolded(to, name []byte) []byte {
	for len(name) > 0 {
		r, size := utf8.DecodeRune(name)
		name = name[size:]
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		to = utf8.AppendRune(to, least)
	}
	return to
}
