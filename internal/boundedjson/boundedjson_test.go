package boundedjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type record struct {
	ID string `json:"id"`
	N  int    `json:"n"`
}

type Base struct{ X, Y, Z string }

type large struct {
	ID, Label, C, D, E, F string
	Nested                struct{ List []record }
	Pointer               *record
	Time                  time.Time
	Map                   map[string]record
	*Base
}

type tree struct {
	Children []tree
	Next     *tree
	Named    map[string]tree
}

// own has an UnmarshalJSON method of the usual form.
type own struct {
	List []record
}

func (o *own) UnmarshalJSON(document []byte) error {
	type plain own
	return json.Unmarshal(document, (*plain)(o))
}

// every has a field of each kind.
type every struct {
	Structs   []large
	Pointers  []*large
	Twice     []**record
	Anys      []any
	Any       any
	AnyMap    map[string]any
	Map       map[string]string
	IntMap    map[int]record
	LargeMap  map[string]large
	Strings   []string
	Lists     [][]string
	Ints      []int
	Floats    []float64
	Bytes     []byte
	ByteLists [][]byte
	Raw       json.RawMessage
	Raws      []json.RawMessage
	Times     []time.Time
	Tree      tree
	Own       own
	Owns      []own
	Header    map[string][]string
	String    string
	Embedding []struct{ *Base }
	Arrays    [][4]record
	Bools     []bool
	Numbers   []json.Number
	Quoted    []struct {
		N int `json:"n,string"`
	}
}

// fill returns a list of about size bytes with many copies of an element.
func fill(element string, size int) string {
	return "[" + strings.Repeat(element+",", size/(len(element)+1)) + element + "]"
}

// keys returns an object of about size bytes with distinct keys.
func keys(value string, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		b.WriteString(`,"` + strconv.FormatInt(int64(i), 36) + `":` + value)
	}
	return "{" + b.String()[1:] + "}"
}

// allocated returns the number of bytes that f allocates. Tests that call it must not run in parallel.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

//nolint:paralleltest // it measures what is allocated
func TestUnmarshalAllocatesInProportion(t *testing.T) {
	size, perByte := 64<<10, 9
	if builtWith("-race", "true") {
		size, perByte = 16<<10, 12 // smaller objects take 16 bytes then
	}
	next := builtWith("GOEXPERIMENT", "jsonv2")
	if next {
		perByte = 12 // the next encoding/json produces more garbage for escapes
	}
	elements := []string{
		`{}`, `null`, `""`, `[]`, `0`, `-12345678901234567890123456789012345`, `true`, `[0]`, `[""]`, `[[]]`, `[{}]`, `{"":0}`, `"a"`, `"\n"`, `"\u0041\""`, `"\\"`,
		"\"\xff\xff\xff\xff\xff\xff\xff\"", `{"x":"1"}`, `{"n":"12"}`, `{"id":"abc","n":3}`, `{"ID":""}`, `{"list":[{},{},{}]}`,
		`{"Nested":{"List":[{},{}]}}`, `{"children":[{},{}]}`, `{"next":{"next":{}}}`, `{"Pointer":{}}`, `{"Pointer":{},"pointer":null,"pointer":{}}`,
		`"2024-01-02T15:04:05Z"`, `"YWJj"`,
	}
	contents := map[string]string{}
	for _, e := range elements {
		contents["list of "+e] = fill(e, size)
		contents["keys of "+e] = keys(e, size)
		contents["object with list of "+e] = `{"list":` + fill(e, size) + `,"children":` + fill(e, size) + `}`
	}
	contents["a string that is not UTF-8"] = `"` + strings.Repeat("\xff", size) + `"`
	contents["a string of escapes"] = `"` + strings.Repeat(`\n`, size/2) + `"`
	contents["a deep list"] = fill(strings.Repeat("[", 500)+strings.Repeat("]", 500), size)
	contents["a deep object"] = fill(strings.Repeat(`{"a":`, 500)+"0"+strings.Repeat("}", 500), size)
	refused := 0
	for content, document := range contents {
		for _, f := range reflect.VisibleFields(reflect.TypeFor[every]()) {
			document := []byte(`{"` + f.Name + `":` + document + `}`)
			var err error
			decode := func() { err = Unmarshal(document, new(every)) }
			took := allocated(decode)
			if errors.Is(err, ErrTooMuch) {
				refused++
			}
			if next && err != nil {
				continue // it also produces garbage for each error
			}
			most := perByte*len(document) + floor
			if f.Name == "Owns" { // the garbage of json.Unmarshal calls in methods is not charged
				most += 300 * len(document) / 3
			}
			if took > most { // the first document of a type includes encoding/json's cache for the type
				took = allocated(decode)
			}
			if took > most {
				t.Errorf("%s into %s took %.1f times its size (%v)", content, f.Name, float64(took)/float64(len(document)), err)
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func builtWith(key, value string) bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == key && strings.Contains(s.Value, value) })
}

//nolint:paralleltest // as above
func TestSuchDocumentsAreRefused(t *testing.T) {
	hidden := fill("{}", 1<<20)
	for name, document := range map[string]string{
		"as it is":           `{"structs":%s}`,
		"in another case":    `{"STRUCTS":%s}`,
		"in Kelvins":         `{"` + "\u017ftruct\u017f" + `":%s}`,
		"with escapes":       `{"\u0053truct\u0073":%s}`,
		"with white space":   " {\n\t\"Structs\" \r: %s }",
		"after null":         `{"Structs":null,"Structs":%s}`,
		"before null":        `{"Structs":%s,"Structs":null}`,
		"after a short list": `{"Structs":[],"Structs":%s}`,
		"in a list":          `{"Lists":[[],["a"]],"Tree":{"Children":[{}]},"Structs":%s}`,
		"by a pointer":       `{"Tree":{"Next":{"Next":{"Children":%s}}}}`,
		"in a map":           `{"Tree":{"Named":{"a":{"Named":{"b":{"Children":%s}}}}}}`,
		"in a type's own":    `{"Own":{"List":%s}}`,
		"in an embedded":     `{"Embedding":%s}`,
		"in an any":          `{"Any":{"a":{"b":%s}}}`,
		"as the last value":  `{"Structs":%s`,
	} {
		document := []byte(strings.Replace(document, "%s", hidden, 1))
		if took := allocated(func() {
			err := Unmarshal(document, new(every))
			if _, invalid := errors.AsType[*json.SyntaxError](err); !errors.Is(err, ErrTooMuch) && !invalid {
				t.Errorf("%s: error = %v", name, err)
			}
		}); took > 9*len(document) {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
}

// Unknown members are charged. Ordinary ones stay within the budget.
func TestUnknownMembersPass(t *testing.T) {
	t.Parallel()
	ordinary := fill(`{"a":["}]","`+strings.Repeat("x", 200)+`"],"b":"`+strings.Repeat("\\\"", 200)+`","c":null}`, 1<<20)
	for name, document := range map[string]string{
		"at the top":       `{"unknown":%s,"String":"read"}`,
		"in a list":        `{"Structs":[{"unknown":%s}],"String":"read"}`,
		"in a dropped one": `{"Arrays":[[{},{},{},{},{"x":%s}]],"String":"read"}`,
	} {
		document := []byte(strings.Replace(document, "%s", ordinary, 1))
		var v every
		if err := Unmarshal(document, &v); err != nil || v.String != "read" {
			t.Errorf("%s: error = %v", name, err)
		}
	}
	// If the type has no lists or maps, unknown members are free.
	var flat struct {
		String string
		Raw    json.RawMessage
	}
	if err := Unmarshal([]byte(`{"unknown":`+fill("{}", 1<<20)+`,"Raw":`+fill("0", 1<<20)+`,"String":"read"}`), &flat); err != nil || flat.String != "read" {
		t.Errorf("error = %v", err)
	}
}

// Long lists of short plain values are accepted.
func TestPlainValuesPass(t *testing.T) {
	t.Parallel()
	var texts []string
	if err := Unmarshal([]byte(fill(`"abcde"`, 1<<20)), &texts); err != nil || texts[0] != "abcde" {
		t.Errorf("error = %v", err)
	}
	var numbers struct{ Numbers []int }
	if err := Unmarshal([]byte(`{"Numbers":`+fill("1234", 1<<20)+`}`), &numbers); err != nil || numbers.Numbers[0] != 1234 {
		t.Errorf("error = %v", err)
	}
}

// A page of records is charged at most two thirds of the budget, for all types that callers may choose.
func TestOrdinaryPagesPass(t *testing.T) {
	t.Parallel()
	const employee = `{"id":"26vafvWSRmbhNcxJYqjCzuJg","remote_id":"32","first_name":"Ada","last_name":"Byron","job_title":null,"work_email":"ada@acme.example",
		"ssn":null,"weekly_hours":40,"avatar":null,"manager_id":"9pf2pxBB8VX8EQMC9aipW2Bo","home_address":{"city":"Berlin","country":"DE","street_1":"Sonnenallee 63"},
		"date_of_birth":"1986-01-01T00:00:00.000Z","changed_at":"2022-08-07T14:01:29.196Z","remote_deleted_at":null,"custom_fields":{},"integration_fields":[],
		"employments":[{"id":"12vpXR7BeqYNWDShXRgsonnm","remote_id":"859","pay_rate":85000,"changed_at":"2022-08-07T14:01:29.196Z"}],
		"groups":[{"id":"4B9bKBpX5tnwjiG93TAqF7ci","remote_id":"49","name":"Customer Success","type":"TEAM"}],"tags":["new","remote"]}`
	const group = `{"id":"4B9bKBpX5tnwjiG93TAqF7ci","remote_id":"49","name":"Customer Success","type":"TEAM"}`
	type address struct {
		City, Country *string
		Street1       *string `json:"street_1"`
	}
	type typed struct {
		ID, Name, Type string
		RemoteID       *string    `json:"remote_id"`
		ChangedAt      time.Time  `json:"changed_at"`
		Deleted        *time.Time `json:"remote_deleted_at"`
		HomeAddress    *address   `json:"home_address"`
		CustomFields   map[string]any
		Employments    []struct{ ID, Pay string }
		Groups         []*struct{ ID, Name string }
		Tags           []string
	}
	for _, record := range []string{employee, group} {
		document := []byte(`{"status":"success","data":{"results":` + fill(record, 250*len(record)) + `,"next":null}}`)
		for _, v := range []any{
			new(any), new(map[string]any), new(struct {
				Data struct{ Results []map[string]any }
			}), new(struct{ Data *struct{ Results *[]any } }),
			new(struct{ Data *struct{ Results []typed } }), new(struct{ Data struct{ Results []*typed } }),
		} {
			if charge := chargeFor(document, v); charge > (perByte*len(document)+floor)*2/3 {
				t.Errorf("%T: charged %.1f times the size", v, float64(charge)/float64(len(document)))
			}
		}
	}
}

func TestSmallDocumentsPass(t *testing.T) {
	t.Parallel()
	for _, element := range []string{`{}`, `null`, `{"id":""}`} {
		var v every
		if err := Unmarshal([]byte(`{"structs":`+fill(element, 500)+`}`), &v); err != nil {
			t.Errorf("%s: %v", element, err)
		}
	}
}

func TestWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	for _, document := range []string{``, ` `, `"`, `"\`, `"\"`, `[`, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":"`, `[,`, `n`, `t`, `-`, `}`, `]`, `:`, strings.Repeat("[", 20_000)} {
		for _, into := range []any{new(every), new(any), new(string), new(json.RawMessage), new(map[string]own), new([]time.Time), new([2]own), new(*own), new(json.Number)} {
			chargeFor([]byte(document), into) // does not panic
		}
		if err := Unmarshal([]byte(document), new(every)); err == nil {
			t.Errorf("%q was decoded", document)
		}
	}
	for _, v := range []any{nil, every{}, (*every)(nil)} {
		if _, ok := errors.AsType[*json.InvalidUnmarshalError](Unmarshal([]byte(`{}`), v)); !ok {
			t.Errorf("%T: no error", v)
		}
	}
}

func chargeFor(document []byte, v any) int {
	return chargeInvalid(document) + profileOf(reflect.TypeOf(v)).charge(document, 1<<50)
}

// retained returns a lower bound for the memory that a variable refers to.
func retained(v reflect.Value) int {
	total := 0
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Slice:
		total = v.Len() * int(v.Type().Elem().Size())
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			total += retained(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*time.Location]() {
			total = int(v.Type().Elem().Size()) + retained(v.Elem())
		}
	case reflect.Interface:
		if !v.IsNil() && v.Elem().Kind() != reflect.Bool {
			total = retained(v.Elem())
			if v.Elem().Kind() != reflect.Map {
				total += int(v.Elem().Type().Size())
			}
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			total += int(key.Type().Size()+value.Type().Size()) + retained(key) + retained(value)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			total += retained(field)
		}
	default: // refers to nothing
	}
	return total
}

// For any document, Unmarshal does not panic, decodes the same as json.Unmarshal, and charges for it.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{"structs":[{},null,{"id":"a","nested":{"list":[{"n":1}]},"Pointer":{},"X":"embedded"}],"STRUCTS":[{}],"\u0053tructs":[{}]}`,
		`{"anys":[{},[],"a",1,true,null,{"a":{"b":[1,2]}}],"any":{"":0},"anymap":{"a":[]},"map":{"k":"v"},"intmap":{"1":{}},"largemap":{"":{}}}`,
		`{"strings":["","\n","\u00e4"],"lists":[[],[""]],"bytes":"YWJj","bytelists":["YQ==",[1]],"raw":{"a": 1},"raws":[null,0],"times":["2024-01-02T15:04:05Z"]}`,
		`{"tree":{"children":[{"next":{}}],"named":{"a":{}}},"own":{"list":[{}]},"owns":[{"list":[]}],"header":{"a":["b"]},"arrays":[[{},{},{},{},{}]],"numbers":[1],"quoted":[{"n":"1"}]}`,
		"{\"string\":\"\xff\xfe\"}", "{\"\xff\":1}", `{"`, `{"a`, `{"a":`, `{"structs":[`, `[[[[`, `{"a":"\`, `{"a":"\"`, `nul`, `{"structs":nul`, `{,}`, `{"structs":[,]}`, ``, ` `, `"`, `}`,
		`{"structs":null,"structs":[{},{},{}]}`, `{"structs":[],"structs":[{},{}],"structs":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		for _, v := range []any{new([]record), new([]*large), new(map[string]record), new(map[string][]string), new(tree), new([]own), new([]struct{ *Base })} {
			_ = json.Unmarshal(document, v)
			least := retained(reflect.ValueOf(v).Elem())
			// Strings, numbers and values behind pointers are not charged, because they are not much longer than in the document.
			if charged := chargeFor(document, v); json.Valid(document) && least > charged+5*len(document) {
				t.Errorf("%T: charged %d for %d", v, charged, least)
			}
		}
		var want, got every
		wantErr := json.Unmarshal(document, &want)
		if least, charged := retained(reflect.ValueOf(want)), chargeFor(document, new(every)); json.Valid(document) && least > anyShare*charged+5*len(document) {
			t.Errorf("charged %d for %d", charged, least)
		}
		// The white space makes the document long enough to be checked.
		gotErr := Unmarshal(append([]byte(strings.Repeat(" ", 4096)), document...), &got)
		if errors.Is(gotErr, ErrTooMuch) {
			return
		}
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("error = %v, want %v", gotErr, wantErr)
		}
		if diff := cmp.Diff(want, got); wantErr == nil && diff != "" {
			t.Error(diff)
		}
	})
}
