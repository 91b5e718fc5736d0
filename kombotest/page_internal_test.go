package kombotest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/internal/sdksource"
)

// The page falls back to English for a language without texts, which the API does not accept.
func TestLanguageWithoutTexts(t *testing.T) {
	t.Parallel()
	s, _ := Start(t, Config{})
	s.withState(func(st *state) {
		linkURL := st.newLink(flow{OpenLink: OpenLink{Kind: LinkKindConnect}, language: "nl"})
		token, err := s.tokenOf(linkURL)
		if page := st.page(token, ""); err != nil || page.Texts["connect"] != "Connect" {
			t.Errorf("texts = %v, %v", page.Texts, err)
		}
	})
}

// The page has a text for each value that it shows by name, and its lists match those of the SDK.
func TestLists(t *testing.T) {
	t.Parallel()
	want := sdksource.Values(t, "..", "Category")
	if diff := cmp.Diff(want, categories); diff != "" {
		t.Errorf("categories (-of the SDK +of the fake):\n%s", diff)
	}
	keys := all(want, func(category string) string { return "category_" + category })
	for _, reason := range sdksource.Values(t, ".", "linkError") {
		keys = append(keys, "problem_"+reason, "problem_"+reason+"_title")
	}
	for _, step := range sdksource.Values(t, ".", "setupStep") {
		keys = append(keys, step+"_title", step+"_lead")
	}
	for _, kind := range sdksource.Values(t, ".", "LinkKind") {
		keys = append(keys, "page_title_"+kind)
	}
	for _, tool := range catalog {
		keys = append(keys, all(tool.Credentials, func(name string) string { return "field_" + name })...)
	}
	for _, key := range keys {
		if textsIn(kombo.LanguageEN)[key] == "" {
			t.Errorf("page/texts.json has no %s", key)
		}
	}
}
