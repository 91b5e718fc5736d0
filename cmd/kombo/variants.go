package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
)

// secretVariant is a secret that may have been meant.
type secretVariant struct{ problem, value string }

// secretVariants returns the secret itself, and then others that it may have been mistaken for.
func secretVariants(secret, apiKey string) []secretVariant {
	trimmed := strings.TrimSpace(secret)
	variants := []secretVariant{{"", secret}}
	if trimmed != secret {
		// The SDK rejects such a secret, so it is never right.
		variants = []secretVariant{
			{varWebhookSecret + " has white space around it; remove it", trimmed},
			{varWebhookSecret + " has white space around it, which the sender used, too; remove it in both places", secret},
		}
	}
	add := func(problem, value string) {
		if value != "" && value != secret && value != trimmed {
			variants = append(variants, secretVariant{problem, value})
		}
	}
	add(varWebhookSecret+" has quotes around it; remove them", strings.Trim(trimmed, `"'`))
	add("the sender's secret has a line break at its end that "+varWebhookSecret+" does not have", trimmed+"\n")
	if unquoted, err := strconv.Unquote(`"` + trimmed + `"`); err == nil {
		add(varWebhookSecret+" has escapes, such as \\n; replace them", strings.TrimSpace(unquoted))
	}
	add("the webhook is signed with the value of "+varAPIKey+", which is not the webhook secret", apiKey)
	return variants
}

// bodyVariant is a body that may have been sent.
type bodyVariant struct {
	problem string
	body    []byte
}

const reencoded = "the body was decoded and encoded again. Verify the raw bytes, before a framework decodes them"

// bodyVariants returns the body itself, and then others that it may have been made of.
func bodyVariants(body []byte) []bodyVariant {
	variants := []bodyVariant{{"", body}}
	add := func(problem string, other []byte) {
		if !bytes.Equal(other, body) {
			variants = append(variants, bodyVariant{problem, other})
		}
	}
	unix := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	add("a line break was added to the end of the body, as echo and editors do", bytes.TrimRight(body, "\r\n"))
	add("the line break at the end of the body was removed", append(bytes.Clone(body), '\n'))
	add("the line breaks of the body were changed to CR LF", unix)
	add("the line breaks of the body were changed to CR LF, and one was added to its end", bytes.TrimRight(unix, "\n"))
	add("the line breaks of the body were changed from CR LF", bytes.ReplaceAll(unix, []byte("\n"), []byte("\r\n")))
	add("a byte order mark was added to the body", bytes.TrimPrefix(body, []byte("\ufeff")))
	for _, document := range [][]byte{body, withoutEscapes(body)} {
		var compact bytes.Buffer
		if json.Compact(&compact, document) != nil {
			break
		}
		add(reencoded, indented(document))
		add(reencoded, append(indented(document), '\n'))
		add(reencoded, compact.Bytes())
		add(reencoded, document)
	}
	return variants
}

// hasKomboForm reports whether a body is JSON in the form that Kombo writes.
func hasKomboForm(body []byte) bool { return bytes.Equal(body, indented(body)) }

// indented returns JSON as Kombo writes it, or nil if document is not JSON.
func indented(document []byte) []byte {
	var compact, result bytes.Buffer
	if json.Compact(&compact, document) != nil || json.Indent(&result, compact.Bytes(), "", "  ") != nil {
		return nil
	}
	return result.Bytes()
}

// withoutEscapes returns JSON whose strings contain only the escapes that are necessary: some encoders escape
// what is not ASCII, or what is special in HTML.
func withoutEscapes(document []byte) []byte {
	var result bytes.Buffer
	for len(document) > 0 {
		start := bytes.IndexByte(document, '"')
		if start < 0 {
			break
		}
		result.Write(document[:start])
		end := start + 1
		for end < len(document) && document[end] != '"' {
			if document[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(document))
		literal := document[start:end]
		var text string
		var encoded bytes.Buffer
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false)
		if json.Unmarshal(literal, &text) == nil && encoder.Encode(text) == nil {
			literal = bytes.TrimSuffix(encoded.Bytes(), []byte("\n"))
		}
		result.Write(literal)
		document = document[end:]
	}
	result.Write(document)
	return result.Bytes()
}

func decodeHex(text string) (sum []byte, ok bool) {
	sum, err := hex.DecodeString(text)
	return sum, err == nil && len(sum) == signatureSize
}
