package boundedjson

import (
	"reflect"
	"strings"
	"sync"
)

// profile is what the values of a document can become, by their level: the number of brackets around them. All deeper
// values count as of the last level, so that a type that contains itself is added a limited number of times.
type profile struct {
	levels levels
	// largest is the largest charge of all.
	largest int
	// free is set if nothing is charged, whatever the document.
	free bool
	// seen has the types that were added, each once for a level.
	seen map[place]bool
}

type levels [16]charges

type place struct {
	t     reflect.Type
	level int
}

// charges are what values at one level can become.
type charges struct {
	// element is the size of the largest element of a list.
	element int
	// member is the size of the largest entry of a map.
	member int
	// object is what an object takes in addition: the first table of a map, or a struct that a field points to.
	object int
	// opens is set if a value can be an object or a list.
	opens bool
}

const (
	// emptyMap is the size of a map without entries, and firstSlots the length of its first table.
	emptyMap   = 48
	firstSlots = 8
	// misplaced is charged for each element that is a struct, list or map, and for an object or a list among plain
	// values: encoding/json allocates an error for each that does not fit. It is garbage at once, so it is not
	// charged in full.
	misplaced = 16
	// leastLargest is the largest charge of types without lists, because bytes that are not UTF-8 are charged, too.
	leastLargest = 16
	// small is the size up to which the target of a field that is a pointer is free, as those of strings and
	// times: the member is about as long. The target of any other is charged for each object, because members
	// are not told apart. A document with numbers in place of such objects takes more than it is charged.
	small = 32
	// Ordinary objects take three to six times their size as any, so an any is charged a sixth of what it takes. A
	// document that is decoded into any can therefore take up to some forty times its size.
	anyShare = 6
)

var profiles sync.Map // of reflect.Type to *profile

func profileOf(t reflect.Type) *profile {
	if p, ok := profiles.Load(t); ok {
		return p.(*profile)
	}
	p := &profile{largest: leastLargest, seen: map[place]bool{}}
	p.add(t, 0)
	p.seen = nil
	p.free = true
	for _, c := range p.levels {
		p.largest = max(p.largest, c.element, c.member, c.object)
		p.free = p.free && c.element == 0 && c.member == 0 && c.object == 0
	}
	actual, _ := profiles.LoadOrStore(t, p)
	return actual.(*profile)
}

func (p *profile) at(level int) *charges { return &p.levels[min(level, len(p.levels)-1)] }

// add adds what a value of a type at a level can become. What contains the value charges for it.
func (p *profile) add(t reflect.Type, level int) {
	level = min(level, len(p.levels)-1)
	if p.seen[place{t, level}] {
		return
	}
	p.seen[place{t, level}] = true
	outer, inner := p.at(level), p.at(level+1)
	kind := t.Kind()
	if (kind == reflect.Slice || kind == reflect.Map) && t.Elem().Kind() == reflect.Interface {
		kind = reflect.Interface
	}
	if kind == reflect.Interface || kind == reflect.Array || kind == reflect.Slice || kind == reflect.Map || kind == reflect.Struct {
		outer.opens = true
	}
	switch kind {
	case reflect.Interface:
		slot := 16 + 16 + 1
		box := 24 // of a list; those of strings and numbers are smaller
		outer.object = max(outer.object, (emptyMap+firstSlots*slot)/anyShare)
		inner.member = max(inner.member, (slot+box)/anyShare)
		inner.element = max(inner.element, (16+box)/anyShare)
		p.add(reflect.TypeFor[any](), level+1)
	case reflect.Pointer:
		p.add(t.Elem(), level)
	case reflect.Array:
		p.add(t.Elem(), level+1)
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 { // bytes, as of a json.RawMessage, are not longer than in the document
			size := sizeOf(t.Elem())
			if kind := t.Elem().Kind(); kind == reflect.Struct || kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map {
				size += misplaced
			}
			inner.element = max(inner.element, size)
			p.add(t.Elem(), level+1)
		}
	case reflect.Map:
		slot := int(t.Key().Size()) + 1
		if size := int(t.Elem().Size()); size <= 128 {
			slot += size
		} else {
			slot += 8 // a pointer
		}
		outer.object = max(outer.object, emptyMap+firstSlots*slot)
		inner.member = max(inner.member, slot+sizeOf(t.Elem()))
		p.add(t.Elem(), level+1)
	case reflect.Struct:
		p.addFields(t, level)
	default: // contains nothing
	}
}

// addFields adds the fields of a struct. Those of an embedded struct are at the same level.
func (p *profile) addFields(t reflect.Type, level int) {
	embedded := 0
	for i := range t.NumField() { //nolint:modernize // t.Fields() is 2 KB larger in a program
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		pointed := sizeOf(f.Type) - int(f.Type.Size())
		switch {
		case !f.IsExported() && !f.Anonymous:
		case f.Anonymous && name == "":
			embedded += pointed
			p.add(f.Type, level)
		default:
			if pointed > small {
				p.at(level + 1).object = max(p.at(level+1).object, pointed)
			}
			p.add(f.Type, level+1)
		}
	}
	p.at(level).object = max(p.at(level).object, embedded)
}

// sizeOf returns the size of a value, including what it points to.
func sizeOf(t reflect.Type) int {
	size := int(t.Size())
	for range 8 { // a pointer can point to its own type
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
		size += int(t.Size())
	}
	return size
}
