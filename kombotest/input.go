package kombotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kombo-go/kombo"
)

// input reads the members of a body, and keeps the first error.
type input struct {
	members map[string]json.RawMessage
	err     error
}

// presence is whether a member may be omitted, and whether it may be null.
type presence int

const (
	required presence = iota // present, and not null
	optional                 // may be omitted, but not null
	nullable                 // may be omitted, or null
)

func readInput(body []byte) *input {
	in := &input{}
	if err := json.Unmarshal(body, &in.members); err != nil || in.members == nil {
		in.err = invalid("The body is not a JSON object.")
	}
	return in
}

// readOptionalInput reads an empty body as an empty object.
func readOptionalInput(body []byte) *input {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	return readInput(body)
}

// reject keeps an error about a field, unless there is one already.
func (in *input) reject(field, reason string) {
	if in.err == nil {
		in.err = invalid(field + ": " + reason)
	}
}

// require rejects a body without a member that may be null.
func (in *input) require(field string) {
	if _, ok := in.members[field]; !ok {
		in.reject(field, "is required")
	}
}

// read decodes a member into value. It is not ok if the member is absent, null or of another type.
func (in *input) read(field string, needed presence, value any, kind string) (ok bool) {
	member, there := in.members[field]
	isNull := bytes.Equal(member, []byte("null"))
	switch {
	case !there && needed == required:
		in.reject(field, kind+" is required")
	case !there, isNull && needed == nullable:
	case isNull, json.Unmarshal(member, value) != nil:
		in.reject(field, "not "+kind)
	default:
		return true
	}
	return false
}

func (in *input) email(field string) string {
	var address string
	if in.read(field, required, &address, "an e-mail address") && (!emailAddress.MatchString(address) || strings.Contains(address, "..")) {
		in.reject(field, "not an e-mail address")
	}
	return address
}

func (in *input) name(field string) string {
	var name string
	if in.read(field, required, &name, "a name") && name == "" {
		in.reject(field, "a name is required")
	}
	return name
}

// optional reads a string that may be omitted or null. It may be empty if notEmpty is "", which is the error otherwise.
func (in *input) optional(field, notEmpty string) string {
	var text string
	if in.read(field, nullable, &text, "a string or null") && text == "" && notEmpty != "" {
		in.reject(field, notEmpty)
	}
	return text
}

func (in *input) oneOf(field string, needed presence, fallback string, values ...string) string {
	var text string
	if !in.read(field, needed, &text, "one of "+strings.Join(values, ", ")) {
		return fallback
	}
	if !slices.Contains(values, text) {
		in.reject(field, "not one of "+strings.Join(values, ", "))
	}
	return text
}

func (in *input) language() kombo.Language {
	return kombo.Language(in.oneOf("language", nullable, string(kombo.LanguageEN), languages()...))
}

func (in *input) linkType(needed presence) kombo.LinkType {
	return kombo.LinkType(in.oneOf("link_type", needed, string(kombo.LinkTypeEmbedded),
		string(kombo.LinkTypeEmbedded), string(kombo.LinkTypeMagicLink)))
}

func (in *input) tool(field string, tools toolset) string {
	var slug string
	if in.read(field, nullable, &slug, "a string or null") && !tools.knows(slug) {
		in.reject(field, fmt.Sprintf("there is no tool %q; see Config.Tools", slug))
	}
	return slug
}

func (in *input) flag(field string, needed presence) bool {
	var flag bool
	in.read(field, needed, &flag, "true or false")
	return flag
}
