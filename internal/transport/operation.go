package transport

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Operation is one endpoint of the API: its route, and whether it is safe to retry.
type Operation struct {
	Method string
	// Path is the route below the base URL, such as "/integrations/{integration_id}/relink".
	Path string
	// NonIdempotent marks an operation that is not idempotent. It is retried only if the request was not
	// executed, or if the response was classified as SafeToRetry.
	NonIdempotent bool
	// Secret marks an operation whose path values are credentials.
	Secret bool
}

// String returns the route, never the values that fill it.
func (o Operation) String() string {
	return o.Method + " " + o.Path
}

// expand fills the placeholders of the path with values, in order, each escaped as one segment.
func (o Operation) expand(values []string) (string, error) {
	rest := o.Path
	if len(values) == 0 && !strings.Contains(rest, "{") {
		return rest, nil
	}
	var path strings.Builder
	for {
		before, after, found := strings.Cut(rest, "{")
		path.WriteString(before)
		if !found {
			break
		}
		name, after, _ := strings.Cut(after, "}")
		if len(values) == 0 {
			return "", fmt.Errorf("no value for %s", name)
		}
		segment, err := escapeSegment(name, values[0])
		if err != nil {
			return "", err
		}
		path.WriteString(segment)
		values, rest = values[1:], after
	}
	if len(values) > 0 {
		return "", fmt.Errorf("%d path values too many", len(values))
	}
	return path.String(), nil
}

// MaxValue is the length in bytes of the longest path value or header value. Activation tokens come from
// browsers, which can send anything.
const MaxValue = 8 << 10

// escapeSegment escapes everything except unreserved characters: url.PathEscape leaves colons as they
// are, and integration ids contain one.
func escapeSegment(name, value string) (string, error) {
	switch {
	case value == "":
		return "", fmt.Errorf("%s is empty", name)
	case len(value) > MaxValue:
		return "", fmt.Errorf("%s is longer than %d bytes", name, MaxValue)
	case !utf8.ValidString(value):
		return "", fmt.Errorf("%s is not valid UTF-8", name)
	}
	for step := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '/' || r == '\\' }) {
		if step == "." || step == ".." {
			// Servers and proxies resolve these as steps in the path, some of them even escaped: a
			// DELETE would hit another resource.
			return "", fmt.Errorf("%s must not contain the path step %s", name, step)
		}
	}
	return strings.ReplaceAll(url.QueryEscape(value), "+", "%20"), nil
}

// checkHeaderValue rejects values that are not allowed in a header. net/http rejects them too, but as a
// failed attempt.
func checkHeaderValue(name, value string) error {
	switch {
	case len(value) > MaxValue:
		return fmt.Errorf("%s is longer than %d bytes", name, MaxValue)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("%s contains characters that are not allowed in a header", name)
	}
	return nil
}
