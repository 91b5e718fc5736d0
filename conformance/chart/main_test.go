package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

const output = `goos: linux
BenchmarkParse/by=kombo-2 	 100	 5000 ns/op	 480 B/op
BenchmarkParse/ratio-2 	 100	 0.5000 kombo/floor	 0.7000 kombo/floor-high	 0.4500 kombo/floor-low
BenchmarkParse/ratio-2 	 100	 0.7500 kombo/floor	 0.8000 kombo/floor-high	 0.7000 kombo/floor-low
BenchmarkHandler/ratio-2 	 100	 1.450 hand/floor	 1.375 kombo/floor	 1.500 kombo/floor-high	 1.250 kombo/floor-low
BenchmarkParseBySize/filling=text/size=1024/form=kombo/ratio-2 	 60	 0.9 kombo/floor	 1 kombo/floor-high	 0.8 kombo/floor-low
BenchmarkParseBySize/filling=text/size=4096/form=kombo/ratio-2 	 60	 1.0 kombo/floor	 1 kombo/floor-high	 0.8 kombo/floor-low
PASS
`

func TestChart(t *testing.T) {
	t.Parallel()
	results, err := read(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	svg := draw(results)
	for _, want := range []string{
		">Parse, 489 bytes</text>", "<title>0.75 (0.70 to 0.80)</title>", ">Handler, 64 connections</text>", "<title>1.38 (1.25 to 1.50)</title>",
		"prefers-color-scheme: dark", ">1 MB</text>", `<path class="a" d="M`,
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture lacks %s", want)
		}
	}
	if n := strings.Count(svg, "<circle"); n != 2 {
		t.Errorf("%d rows, want 2: the last result of a benchmark counts", n)
	}
	if strings.Index(svg, "Parse, 489") > strings.Index(svg, "Handler, 64") {
		t.Error("the rows are not in order")
	}
	for decoder := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if again := draw(results); again != svg {
		t.Error("the same results give two pictures")
	}
}

func TestOutputWithoutRatios(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"", "PASS\n", "BenchmarkParse/ratio-2 \t 100\t 3 ns/op\n", "BenchmarkParse/ratio-2 \t 100\t x kombo/floor\n"} {
		if results, err := read(strings.NewReader(output)); err == nil {
			t.Errorf("%q: %v, want an error", output, results)
		}
	}
}
