package main

import (
	"go/scanner"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A finding is a word that the style avoids.
type finding struct {
	line    int
	found   string
	instead string
}

// A rule is a word that the style avoids.
type rule struct {
	word    *regexp.Regexp // in lower case
	instead string
	unless  *regexp.Regexp // a use of the word that is right, matched against the whole line
	often   bool           // often right, and therefore only listed
}

// An exception is a use that is right although a rule matches it.
type exception struct {
	file, text, reason string
}

// A passage is prose on one line of a file.
type passage struct {
	line int
	text string
}

// check returns what is to be reworded in a file, in the order of its lines. An exception for this file whose text
// the file no longer contains is a finding, too.
func check(file, source string, rules []rule, exceptions []exception, list bool) []finding {
	var passages []passage
	switch filepath.Ext(file) {
	case ".go":
		passages = goProse(source)
	case ".md":
		passages = markdownProse(source)
	}
	var findings []finding
	used := make(map[exception]bool)
	for _, p := range passages {
		text := p.text
		for _, e := range exceptions {
			if e.file == file && strings.Contains(text, e.text) {
				used[e] = true
				text = strings.ReplaceAll(text, e.text, "")
			}
		}
		text = noProse.ReplaceAllString(text, "")
		for _, r := range rules {
			if r.often && !list {
				continue
			}
			prose := text
			if r.unless != nil {
				prose = r.unless.ReplaceAllString(prose, "")
			}
			for _, word := range r.word.FindAllString(prose, -1) {
				findings = append(findings, finding{p.line, word, r.instead})
			}
		}
	}
	for _, e := range exceptions {
		if e.file == file && !used[e] {
			findings = append(findings, finding{1, e.text, "nothing: the file no longer has this text, so its exception can go"})
		}
	}
	slices.SortStableFunc(findings, func(a, b finding) int { return a.line - b.line })
	return findings
}

// noProse matches words in capitals, which are keywords of SQL or HTTP, and paths.
var noProse = regexp.MustCompile(`\b[A-Z]{2,}\b|\S*/\S+`)

// goProse returns the comments of a Go file, and its strings of more than one word.
func goProse(source string) []passage {
	var passages []passage
	var s scanner.Scanner
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	s.Init(file, []byte(source), nil, scanner.ScanComments)
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return passages
		}
		if tok != token.COMMENT && tok != token.STRING {
			continue
		}
		if tok == token.STRING {
			// "a\nb" is two words. A literal that does not compile stays as it is.
			if value, err := strconv.Unquote(literal); err == nil && literal[0] == '"' {
				literal = strings.ReplaceAll(value, "\n", " ")
			}
		}
		// A string of one word is a key, a name or a path.
		if tok == token.STRING && !strings.ContainsAny(strings.TrimSpace(literal), " \n") {
			continue
		}
		for i, text := range strings.Split(literal, "\n") {
			passages = append(passages, passage{file.Line(pos) + i, text})
		}
	}
}

var (
	inlineCode = regexp.MustCompile("`[^`]*`")
	comment    = regexp.MustCompile(`(^|\s)(//|#|--)\s.*`)
)

// markdownProse returns the text of a Markdown file without its code, of which it returns the comments.
func markdownProse(source string) []passage {
	var passages []passage
	fence := false
	for i, line := range strings.Split(source, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fence = !fence
			continue
		}
		if fence {
			line = comment.FindString(line)
		} else {
			line = inlineCode.ReplaceAllString(line, "``")
		}
		if line != "" {
			passages = append(passages, passage{i + 1, line})
		}
	}
	return passages
}
