// Package conformance holds tests that ask others whether kombotest answers as Kombo does: a validator
// with Kombo's OpenAPI document, Kombo's TypeScript SDK, and Kombo's browser library in a browser.
//
// The OpenAPI tests run everywhere; KOMBO_OPENAPI names a document to take in place of the extract in
// testdata. The others skip themselves unless node, Chromium and Kombo's packages are there:
//
//	npm ci --prefix conformance/typescript
package conformance
