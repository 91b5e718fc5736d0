package kombotest

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/kombo-go/kombo"
)

func TestEncodeJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{"HTML", "<a href='x'>&</a>", `"<a href='x'>&</a>"`},
		{"HTML that was escaped", json.RawMessage(`"\u003c\u003E\u0026"`), `"<>&"`},
		{"line separators", "a\u2028b\u2029c", "\"a\u2028b\u2029c\""},
		{"line separators that were escaped", json.RawMessage(`"\u2028\u2029"`), "\"\u2028\u2029\""},
		{"a backslash before what looks like an escape", `\u2028`, `"\\u2028"`},
		{"quotes and backslashes", `"\/`, `"\"\\/"`},
		{"a slash that was escaped", json.RawMessage(`"\/"`), `"/"`},
		{"quotes and backslashes by number", json.RawMessage(`"\u0022\u005c\u005C"`), `"\"\\\\"`},
		{"control characters", "\x00\x1f\b\t\n\v\f\r\x7f", `"\u0000\u001f\b\t\n\u000b\f\r` + "\x7f\""},
		{"control characters by number", json.RawMessage(`"\u0000\u001F\u0008\u0009\u000a\u000B\u000c\u000d\u007f"`), `"\u0000\u001f\b\t\n\u000b\f\r` + "\x7f\""},
		{"beyond the basic plane", json.RawMessage(`"\ud83d\ude00😀"`), `"😀😀"`},
		{"lone surrogates", json.RawMessage(`"\uD83D \ude00\ud83d\u0041\ud83d\ud83d\ude00"`), `"\ud83d \ude00\ud83dA\ud83d😀"`},
		{"text that is not UTF-8", "a\xffb", "\"a\ufffdb\""},
		{"numbers", json.RawMessage(`[9007199254740993,1.0,1e400,-0,1E+2]`), `[9007199254740993,1.0,1e400,-0,1E+2]`},
		{"order and repeated names", json.RawMessage(`{"b":1,"a":2,"b":3}`), `{"b":1,"a":2,"b":3}`},
		{"an object", object{{"b", 1}, {"a", "<"}, {"o", object{}}, {"n", nil}, {"l", all([]int(nil), func(n int) int { return n })}}, `{"b":1,"a":"<","o":{},"n":null,"l":[]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := encodeJSON(test.value, "")
			if err != nil || string(got) != test.want {
				t.Errorf("%s, %v, want %s", got, err, test.want)
			}
		})
	}
	for _, value := range []any{math.NaN(), json.RawMessage("{"), object{{"a", math.Inf(1)}}} {
		if got, err := encodeJSON(value, ""); err == nil {
			t.Errorf("%v is encoded as %s", value, got)
		}
	}
}

// A truncated escape in a text that is not JSON is not read beyond the end of the text.
func TestUnit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", `\`, `\u`, `\u12`, `\u12g4`, `xx0041`} {
		if got := unit([]byte(text)); got != -1 {
			t.Errorf("%q is taken for %U", text, got)
		}
	}
}

// For any JSON, the meaning stays the same, and a second encoding changes nothing.
func FuzzEncodeJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1.0,-0,1e400,null,true],"b":"\u003c\u2028\ud83d\ude00\ud83d\/\\u0041"}`, `"\u0022\u005c\u0000\u001f\b"`, "\"\xff\u2029\"", `[]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		decode := func(text []byte) (value any, err error) {
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.UseNumber()
			err = decoder.Decode(&value)
			return value, err
		}
		if !json.Valid([]byte(text)) {
			return
		}
		encoded, err := encodeJSON(json.RawMessage(text), "")
		if err != nil {
			t.Fatal(err)
		}
		want, err := decode([]byte(text))
		got, gotErr := decode(encoded)
		if err != nil || gotErr != nil || !reflect.DeepEqual(want, got) {
			t.Fatalf("%q became %q: %v, %v", text, encoded, err, gotErr)
		}
		if again, err := encodeJSON(json.RawMessage(encoded), ""); err != nil || !bytes.Equal(again, encoded) {
			t.Errorf("%q became %q, %v", encoded, again, err)
		}
	})
}

// The fake does not encode structs of the SDK by their tags, so a wrong tag does not go unnoticed.
func TestEncodeJSONWithoutSDKStructs(t *testing.T) {
	t.Parallel()
	for _, value := range []any{
		kombo.EndUser{},
		&kombo.EndUser{},
		[]kombo.EndUser{{}},
		map[string]kombo.EndUser{},
		[]*kombo.EndUser{},
		object{{"a", object{{"b", kombo.EndUser{}}}}},
		map[string]any{"a": map[string]any{"b": &kombo.EndUser{}}},
		[]object{{{"a", kombo.EndUser{}}}},
	} {
		if text, err := encodeJSON(value, ""); err == nil {
			t.Errorf("%T: %s", value, text)
		}
	}
	for _, value := range []any{nil, kombo.StateActive, []kombo.HiringTeamRole{}, object{{"a", timeText(time.Time{})}}, json.RawMessage("1"), struct{}{}} {
		if _, err := encodeJSON(value, ""); err != nil {
			t.Errorf("%T: %v", value, err)
		}
	}
}
