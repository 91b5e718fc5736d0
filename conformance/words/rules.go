package main

import "regexp"

func word(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:` + pattern + `)\b`)
}

var rules = []rule{
	{word: word(`where`), instead: "if or when, unless it is a place", unless: word(`(?:is|are|and|by|changes|returns|reads|knows|of|from) where|where (?:to|from)|places? where|where \w+ (?:is|are) sent`)},
	{word: word(`wherever`), instead: "if or when"},
	{word: word(`tells?|told|telling`), instead: "returns, reports or describes", unless: word(`(?:can|cannot|could|to) tell|(?:tells?|told) (?:\w+ ){0,4}apart`)},
	{word: word(`says? of|said of`), instead: "reports or describes"},
	{word: word(`holds?|held|holding`), instead: "contains or has", unless: word(`(?:held|hold) (?:back|webhooks?)|another hold|are held|(?:holds?|held|holding) (?:a|the|its|this|that|no) (?:\w+ )?(?:lock|mutex)|lock is held`)},
	{word: word(`stands? (?:in|beside)|stood (?:in|beside)`), instead: "is in or is next to"},
	{word: word(`answers?|answered|answering`), instead: "a response; responds or returns"},
	{word: word(`repetitions?`), instead: "a retry"},
	{word: word(`heeds?|heeded`), instead: "honors"},
	{word: word(`acts? once|acts? each time`), instead: "is not idempotent"},
	{word: word(`surely`), instead: "was not executed, or leave it out"},
	{word: word(`siblings?`), instead: "their names"},
	{word: word(`and the like`), instead: "their names"},
	{word: word(`(?:is|are|was|were|be|been) asked`), instead: "is called or is requested"},
	{word: word(`(?:gives?|gave) an error`), instead: "fails with or returns an error"},
	{word: word(`(?:none|nothing|no \w+) but`), instead: "only"},
	{word: word(`as every call does`), instead: "nothing, or a link to the section on errors"},
	{word: word(`lest`), instead: "so that it does not"},

	{word: word(`repeat|repeats|repeated|repeating`), instead: "a retry; retries", often: true},
	{word: word(`each time`), instead: "not idempotent", often: true},
	{word: word(`whoever|whatever|whichever`), instead: "a noun", often: true},
	{word: word(`lacks?|lacked`), instead: "has no, is without", often: true},
	{word: word(`asks?|asked`), instead: "calls or requests", often: true},
}
