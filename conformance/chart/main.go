// Command chart draws the ratios that the benchmarks report, from their output, as an SVG picture for
// docs/performance.md:
//
//	go test -run - -bench '/ratio' -benchtime 200x . | go run ./conformance/chart > docs/images/performance.svg
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kombo-go/kombo/internal/usage"
)

func main() {
	about := "Draws the ratios in the output of go test -bench, which it reads from standard input, as an SVG picture."
	usage.Main("chart", about, func(_ context.Context, output io.Writer) error {
		results, err := read(os.Stdin)
		if err == nil {
			_, err = io.WriteString(output, draw(results))
		}
		return err
	})
}

// result is the ratio of one benchmark: the median, and the range of eight rounds of ten.
type result struct {
	name           string
	median, lo, hi float64
}

// read returns the results in the output of go test -bench. The last result of a benchmark counts.
func read(output io.Reader) ([]result, error) {
	var results []result
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name, _, isRatio := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "/ratio")
		if !isRatio {
			continue
		}
		r := result{name: name}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			switch fields[i+1] {
			case "kombo/floor":
				r.median = value
			case "kombo/floor-low":
				r.lo = value
			case "kombo/floor-high":
				r.hi = value
			}
		}
		if r.median == 0 || r.lo == 0 || r.hi == 0 {
			return nil, fmt.Errorf("%s has no ratio", name)
		}
		results = slices.DeleteFunc(results, func(other result) bool { return other.name == name })
		results = append(results, r)
	}
	if len(results) == 0 && lines.Err() == nil {
		return nil, errors.New("the output has no benchmark named /ratio")
	}
	return results, lines.Err()
}

// labels are the benchmarks of the second panel, in order.
var labels = []struct{ name, label string }{
	{"Verify", "Verify, 489 bytes"},
	{"ParseEvent", "ParseEvent, 489 bytes"},
	{"Parse", "Parse, 489 bytes"},
	{"Handler", "Handler, 64 connections"},
	{"CreateLinkLayer", "CreateLink without a network"},
	{"CreateLink/protocol=http1/callers=1", "CreateLink, HTTP/1.1, 1 caller"},
	{"CreateLink/protocol=http1/callers=64", "CreateLink, HTTP/1.1, 64 callers"},
	{"CreateLinkApart/callers=64", "the same, another process serves"},
	{"CreateLink/protocol=http2/callers=1", "CreateLink, HTTP/2, 1 caller"},
	{"CreateLink/protocol=http2/callers=64", "CreateLink, HTTP/2, 64 callers"},
	{"List", "List, 10 pages of 100"},
	{"Passthrough/size=102400", "Passthrough, 100 KB"},
	{"Passthrough/size=9437184", "Passthrough, 9 MB"},
	{"ErrorBody/body=html", "error of 64 KB of HTML"},
}

const (
	width  = 760
	left   = 250
	right  = 30
	row    = 22
	curves = 260 // the height of the first panel
)

// fillings are what the data of webhooks is filled with.
var fillings = []struct{ name, label, class string }{
	{"text", "one string", "a"}, {"objects", "objects", "b"}, {"braces", "brackets", "c"},
}

func draw(results []result) string {
	var rows []result
	for _, l := range labels {
		for _, r := range results {
			if r.name == l.name {
				r.name = l.label
				rows = append(rows, r)
			}
		}
	}
	var svg strings.Builder
	height := curves + 90 + row*len(rows) + 40
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Time to the floor, by benchmark">
<style>
svg { background: #fff; font: 13px system-ui, sans-serif; fill: #222; }
.grid { stroke: #ddd; } .floor { stroke: #666; stroke-dasharray: 4 3; }
.a { stroke: #0b62b8; fill: #0b62b8; } .b { stroke: #b5470b; fill: #b5470b; } .c { stroke: #2f7a2f; fill: #2f7a2f; }
path.a, path.b, path.c { fill: none; stroke-width: 2; } .title { font-weight: 600; } .other { stroke-dasharray: 2 4; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; fill: #e6edf3; } .grid { stroke: #30363d; } .floor { stroke: #9aa4ae; }
.a { stroke: #6cb6ff; fill: #6cb6ff; } .b { stroke: #f0a36b; fill: #f0a36b; } .c { stroke: #7ee08a; fill: #7ee08a; }
}
svg text { stroke: none; }
</style>
`, width, height)
	drawSizes(&svg, results)
	drawRows(&svg, rows, curves+70)
	svg.WriteString("</svg>\n")
	return svg.String()
}

func text(svg *strings.Builder, x, y float64, anchor, class, content string) {
	fmt.Fprintf(svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">%s</text>\n", x, y, anchor, class, html.EscapeString(content))
}

func line(svg *strings.Builder, class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(svg, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2)
}

// drawSizes draws Parse by the size of the body: a curve for each filling, solid in Kombo's order of members and dotted
// with the data first.
func drawSizes(svg *strings.Builder, results []result) {
	const from, to = 256, 1 << 20
	x := func(size float64) float64 { return 50 + (width-50-170)*math.Log(size/from)/math.Log(to/from) }
	y := func(ratio float64) float64 { return 40 + (curves-40)*(1.4-ratio)/(1.4-0.5) }
	text(svg, 10, 20, "start", "title", "WebhookVerifier.Parse, time to the floor, by size of the body")
	for _, ratio := range []float64{0.6, 0.8, 1, 1.2, 1.4} {
		class := "grid"
		if ratio == 1 {
			class = "floor"
		}
		line(svg, class, 50, y(ratio), x(to), y(ratio))
		text(svg, 44, y(ratio)+4, "end", "", fmt.Sprintf("%.1f", ratio))
	}
	for _, size := range []int{300, 1 << 10, 4 << 10, 16 << 10, 128 << 10, 1 << 20} {
		text(svg, x(float64(size)), curves+20, "middle", "", sizeLabel(size))
	}
	for i, filling := range fillings {
		for _, form := range []string{"kombo", "data-first"} {
			class, label, at := filling.class, filling.label, float64(60+50*i)
			if form != "kombo" {
				class, label, at = class+" other", "data first", at+18
			}
			var path []string
			for _, r := range results {
				var size float64
				var ofForm string
				if n, _ := fmt.Sscanf(r.name, "ParseBySize/filling="+filling.name+"/size=%g/form=%s", &size, &ofForm); n == 2 && ofForm == form {
					path = append(path, fmt.Sprintf("%.1f %.1f", x(size), y(min(max(r.median, 0.5), 1.4))))
				}
			}
			if len(path) > 0 {
				fmt.Fprintf(svg, "<path class=%q d=\"M%s\"/>\n", class, strings.Join(path, " L"))
			}
			line(svg, class, x(to)+16, at, x(to)+44, at)
			text(svg, x(to)+50, at+4, "start", "", label)
		}
	}
}

func sizeLabel(size int) string {
	switch {
	case size >= 1<<20:
		return strconv.Itoa(size>>20) + " MB"
	case size >= 1<<10:
		return strconv.Itoa(size>>10) + " KB"
	}
	return strconv.Itoa(size) + " B"
}

// drawRows draws a dot for the median of each benchmark, and a line for its range.
func drawRows(svg *strings.Builder, rows []result, top float64) {
	least, most := 0.4, 12.0
	x := func(ratio float64) float64 {
		return left + (width-left-right)*math.Log(min(max(ratio, least), most)/least)/math.Log(most/least)
	}
	bottom := top + 20 + float64(row*len(rows))
	text(svg, 10, top-16, "start", "title", "Time to the floor: the median, and eight rounds of ten")
	for _, ratio := range []float64{0.5, 0.7, 1, 1.5, 2, 3, 5, 10} {
		class := "grid"
		if ratio == 1 {
			class = "floor"
		}
		line(svg, class, x(ratio), top, x(ratio), bottom)
		text(svg, x(ratio), bottom+16, "middle", "", strconv.FormatFloat(ratio, 'g', -1, 64))
	}
	for i, r := range rows {
		y := top + 20 + float64(row*i)
		text(svg, left-12, y+4, "end", "", r.name)
		line(svg, "a", x(r.lo), y, x(r.hi), y)
		fmt.Fprintf(svg, "<circle class=\"a\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%.2f (%.2f to %.2f)</title></circle>\n", x(r.median), y, r.median, r.lo, r.hi)
	}
}
