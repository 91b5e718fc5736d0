// Package conformance contains tests in which others judge whether kombotest responds as Kombo does: a validator
// with Kombo's OpenAPI document, Kombo's TypeScript SDK, and Kombo's browser library in a browser.
//
// TestEveryOperation judges the SDK itself: it calls every operation of Kombo's API against Prism, which knows the whole
// OpenAPI document.
//
// The OpenAPI tests run everywhere; KOMBO_OPENAPI names a document to take in place of the extract in
// testdata, and KOMBO_OPENAPI_FULL the whole one for Prism. The others skip themselves unless node, Chromium
// and the packages are there:
//
//	npm ci --prefix conformance/typescript
//	npm ci --prefix conformance/prism
package conformance
