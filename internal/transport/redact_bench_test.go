package transport

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// benchmarkTexts are ordinary and hostile texts, with the secrets to redact.
func benchmarkTexts() (texts map[string]string, secrets []string) {
	key := "kombo_live_8f3kQ2mZ7xW1pT5vB9nC4rY6"
	token := "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + strings.Repeat("eyJzdWIiOiIxMjM0NTY3ODkwIiwi", 8) + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	const size = 64 << 10
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	rows := strings.Builder{}
	for i := range 2000 {
		fmt.Fprintf(&rows, "\t<tr class=\"row\" style=\"width:100%%\">\n\t\t<td>&nbsp;Node %d</td>\n\t\t<td><a href=\"/status?id=%d&amp;sort=name\">The upstream server did not respond in time.</a></td>\n\t</tr>\n", i, i)
	}
	page := "<!DOCTYPE html>\n<html>\n<body>\n<h1>502 Bad Gateway</h1>\n<table>\n" + rows.String()
	object := `{"status":"error","error":{"code":"PLATFORM.INPUT_INVALID","title":"The input is invalid","message":"The field \"end_user_email\" must be an email address.","log_url":"https://app.kombo.dev/env/production/logs/7xYz"}}`
	return map[string]string{
		"JSON error":             object,
		"JSON of 64 KB":          "[" + fill(strings.ReplaceAll(object, `\"`, "'")+",\n"),
		"JSON with escapes":      "[" + fill(object+",\n"),
		"HTML page":              page[:size],
		"text":                   fill("upstream connect error or disconnect/reset before headers. reset reason: overflow\n"),
		"percent signs":          fill("%"),
		"percent signs escaped":  fill("%25"),
		"backslashes":            fill(`\`),
		"ampersands":             fill("&"),
		"ampersands escaped":     fill("&amp;amp;"),
		"unfinished references":  fill("&#4"),
		"layers":                 fill("%2526%252343%253B"),
		"beginning of the key":   fill(key[:len(key)-1]),
		"beginning of the token": fill(token[:len(token)-1]),
		"beginning, escaped":     fill(strings.ReplaceAll(key[:len(key)-1], "_", "%5F")),
		"token":                  fill("token"),
		"token: a":               fill("token: a "),
		"token=":                 fill("token="),
		"eyJ":                    fill("eyJ"),
		"secrets":                fill(key + " "),
	}, []string{key, token}
}

var sink int

// turns measures both alternately and returns the fastest time of each, so other load on the machine affects both. The
// floor reads each byte once.
func turns(text string, secrets []string, more func() bool) (floor, took time.Duration) {
	content := []byte(text)
	floor, took = math.MaxInt64, math.MaxInt64
	for more() {
		begun := time.Now()
		for i := range len(content) {
			sink += int(content[i])
		}
		middle := time.Now()
		sink += len(redactBytes(content, noLimit, secrets))
		floor, took = min(floor, middle.Sub(begun)), min(took, time.Since(middle))
	}
	return floor, took
}

func BenchmarkRedact(b *testing.B) {
	texts, secrets := benchmarkTexts()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		b.Run(name, func(b *testing.B) {
			floor, took := turns(texts[name], secrets, b.Loop)
			b.ReportMetric(float64(took)/float64(len(texts[name])), "ns/B")
			b.ReportMetric(float64(took)/float64(floor), "redact/floor")
			b.ReportMetric(0, "ns/op") // the time of both together is meaningless
		})
	}
}

// Redacting takes at most some hundred times as long as reading the text. If the time grew with the square of the length
// of the text or the secret, it would be some ten thousand times.
func TestRedactTakesLinearTime(t *testing.T) { //nolint:paralleltest // measures time
	texts, secrets := benchmarkTexts()
	for _, c := range []string{"a", "%", `\`, "%25", "&#", "&amp;", "token", "eyJ"} {
		texts["secret of "+c] = strings.Repeat(c, (64<<10)/len(c))
		secrets = append(secrets, strings.Repeat(c, MaxValue/len(c)-1)+"!")
	}
	for name, text := range texts {
		times := 0
		floor, took := turns(text, secrets, func() bool { times++; return times <= 5 })
		if took > 1000*floor && len(text) > 1000 {
			t.Errorf("%s: %v, %v to look at each byte", name, took, floor)
		}
	}
}

// Each layer of a text compares a byte at most once with each form of each secret, and once with each form of a token,
// whatever the text contains.
func TestRedactVisitsEachByteABoundedNumberOfTimes(t *testing.T) {
	t.Parallel()
	texts, secrets := benchmarkTexts()
	for _, c := range []string{"a", "%", `\`, "%25", "&#", "&amp;", "token", "eyJ"} {
		texts["secret of "+c] = strings.Repeat(c, (64<<10)/len(c))
		secrets = append(secrets, strings.Repeat(c, MaxValue/len(c)-1)+"!")
	}
	var needles [][]byte
	for _, secret := range secrets {
		needles = append(needles, forms(secret)...)
	}
	for name, text := range texts {
		l := layer{text: []byte(text)}
		for more := true; more && len(l.jumps) < maxLayers; more = l.undo() {
			if n := len(l.jumps); n > 0 && !slices.IsSortedFunc(l.jumps[n-1], func(a, b jump) int { return a.at - b.at }) {
				t.Errorf("%s: escapes are undone out of order", name)
			}
			here := layer{text: l.text} // the places in this layer
			compared := 0
			for _, s := range here.find(nil, needles) {
				compared += s.end - s.start
			}
			if most := (len(needles) + 3) * (len(l.text) + MaxValue); compared > most {
				t.Errorf("%s: %d bytes were compared in layer %d of %d bytes, want at most %d", name, compared, len(l.jumps), len(l.text), most)
			}
		}
	}
}
