package kombotest

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/kombo-go/kombo"
)

//go:embed page
var pageFiles embed.FS

var (
	pageTemplate = sync.OnceValue(func() *template.Template {
		return template.Must(template.ParseFS(pageFiles, "page/*.html"))
	})
	// translations are the texts of the page in each language that a link can have: the only list of languages here. A test
	// compares it with the SDK's.
	translations = sync.OnceValue(func() (translations []translation) {
		file, err := pageFiles.ReadFile("page/texts.json")
		if err == nil {
			err = json.Unmarshal(file, &translations)
		}
		if err != nil {
			panic(err) // it is part of the program
		}
		return translations
	})
)

type translation struct {
	Language string            `json:"language"`
	Texts    map[string]string `json:"texts"`
}

// languages returns the languages of links.
func languages() []string {
	return all(translations(), func(t translation) string { return t.Language })
}

// textsIn returns the texts in a language, and the first, English, if there are none.
func textsIn(language kombo.Language) map[string]string {
	at := slices.Index(languages(), string(language))
	return translations()[max(0, at)].Texts
}

// pageFlow is the flow that the page shows, as its script reads it.
type pageFlow struct {
	Token        string            `json:"token"`
	Kind         string            `json:"kind"` // a LinkKind, or "problem" for a link that cannot be opened
	Problem      linkError         `json:"problem"`
	Embedded     bool              `json:"embedded"`
	Language     kombo.Language    `json:"language"`
	Organization string            `json:"organization"`
	Category     kombo.Category    `json:"category"`
	Tools        []pageTool        `json:"tools"`
	Tool         string            `json:"tool"`
	ScopeConfig  string            `json:"scope_config"`
	Setup        []setupStep       `json:"setup"`
	Texts        map[string]string `json:"texts"`
}

type pageTool struct {
	ID     string   `json:"id"`
	Label  string   `json:"label"`
	Icon   string   `json:"icon"`
	Fields []string `json:"fields"`
}

func (s *Server) servePages() {
	s.mux.HandleFunc("GET /connect/v1", s.showFlow)
	for _, file := range []string{"flow.css", "flow.js", "log.css"} {
		s.mux.HandleFunc("GET /connect/v1/"+file, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, pageFiles, "page/"+file)
		})
	}
	s.mux.HandleFunc("GET /connect/v1/icons/{file}", s.showIcon)
	s.mux.HandleFunc("GET /logs", s.showLog)
	s.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.mux.HandleFunc("POST /connect/v1/connect", s.pageConnect)
	s.mux.HandleFunc("POST /connect/v1/setup", s.pageSetup)
}

// showFlow shows the page that a link leads to.
func (s *Server) showFlow(w http.ResponseWriter, r *http.Request) {
	var page pageFlow
	s.withState(func(st *state) { page = st.page(r.URL.Query().Get("token"), r.Header.Get("Accept-Language")) })
	status := http.StatusOK
	if page.Problem != "" {
		status = http.StatusGone
	}
	// Any site may show the flow in a frame: services embed links.
	s.render(w, status, "flow.html", map[string]any{
		"Language": page.Language, "Title": page.Texts["page_title_"+page.Kind], "Flow": page,
	})
}

func (s *Server) render(w http.ResponseWriter, status int, name string, data any) {
	var page bytes.Buffer
	if err := pageTemplate().ExecuteTemplate(&page, name, data); err != nil {
		panic(err) // it is part of the program
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer") // the address contains the token
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; base-uri 'none'; form-action 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// page returns what the page of a link shows.
func (st *state) page(token, acceptLanguage string) pageFlow {
	f, err := st.openLink(token)
	page := pageFlow{Token: token, Kind: "problem", Language: preferred(acceptLanguage), Tools: []pageTool{}, Setup: []setupStep{}}
	if f != nil {
		page.Embedded, page.Language = f.LinkType == kombo.LinkTypeEmbedded, f.language
	}
	page.Texts = textsIn(page.Language)
	if errors.As(err, &page.Problem) {
		return page
	}
	page.Kind, page.Organization, page.Category, page.Tool = string(f.Kind), f.EndUser.OrganizationName, f.Category, f.Tool
	if f.Kind == LinkKindRelink && st.integrations[f.IntegrationID].ScopeConfigID != f.scopeConfigID {
		page.ScopeConfig = f.scopeConfigID
	}
	page.Setup = append(page.Setup, f.setupSteps...)
	tools := st.tools.of(f.Category)
	if f.Tool != "" {
		tools = []Tool{st.tools.get(f.Tool)}
	}
	for _, tool := range tools {
		page.Tools = append(page.Tools, pageTool{tool.ID, tool.Label, iconPath(tool.ID), tool.Credentials})
	}
	return page
}

// preferred returns the first of a browser's languages that the page has texts for: an unknown link has no language.
func preferred(acceptLanguage string) kombo.Language {
	for part := range strings.SplitSeq(acceptLanguage, ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		tag, _, _ = strings.Cut(tag, "-")
		if tag = strings.ToLower(tag); slices.Contains(languages(), tag) {
			return kombo.Language(tag)
		}
	}
	return kombo.LanguageEN
}

// pageConnect enters the credentials that a customer has typed in.
func (s *Server) pageConnect(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token       string            `json:"token"`
		Tool        string            `json:"tool"`
		Credentials map[string]string `json:"credentials"`
	}
	s.pageCall(w, r, &body, func(st *state) (any, error) {
		for value := range maps.Values(body.Credentials) {
			if strings.Contains(strings.ToLower(value), "wrong") {
				if err := st.failFlow(body.Token, body.Tool); err != nil {
					return nil, err
				}
				return nil, errWrongCredentials
			}
		}
		activation, err := st.connect(body.Token, body.Tool)
		if err != nil {
			return nil, err
		}
		steps := []setupStep{}
		if f := st.flows[body.Token]; f.inSetup {
			steps = f.setupSteps
		}
		return map[string]any{"activation_token": activation, "setup": steps}, nil
	})
}

// pageSetup ends the setup steps: they are finished, or left for later.
func (s *Server) pageSetup(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token  string `json:"token"`
		Finish bool   `json:"finish"`
	}
	s.pageCall(w, r, &body, func(st *state) (any, error) {
		activation, err := st.endSetup(body.Token, body.Finish)
		return map[string]string{"activation_token": activation}, err
	})
}

var (
	errWrongCredentials = errors.New("kombotest: the credentials are wrong")
	errNotJSON          = errors.New("kombotest: the body is not JSON")
)

// pageCall serves a request of the page's script: it reads the body, runs f with the state and writes its data or error.
func (s *Server) pageCall(w http.ResponseWriter, r *http.Request, body any, f func(*state) (data any, err error)) {
	done, ok := s.begin()
	if !ok {
		panic(http.ErrAbortHandler)
	}
	defer done()
	responded := make(chan struct{})
	defer close(responded)
	data, err := any(nil), errNotJSON
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimit)).Decode(body) == nil {
		events := s.gate.run(func(st *state) { data, err = f(st) })
		_ = s.enqueueAll(s.context, responded, events) // fails only if the server is being closed
	}
	s.onChange()
	response := jsonResponse(http.StatusOK, data)
	if err != nil {
		response = pageError(err)
	}
	response.header.Set("Cache-Control", "no-store")
	response.write(w, Fault{})
}

// pageError returns the response to a request of the page that failed.
func pageError(err error) response {
	if reason, ok := errors.AsType[linkError](err); ok {
		return jsonResponse(http.StatusGone, map[string]string{"problem": string(reason)})
	}
	if errors.Is(err, errWrongCredentials) {
		return jsonResponse(http.StatusUnprocessableEntity, map[string]string{"problem": "refused"})
	}
	return jsonResponse(http.StatusBadRequest, map[string]string{"problem": "invalid"})
}

func iconPath(tool string) string { return "/connect/v1/icons/" + url.PathEscape(tool) + ".svg" }

// showIcon draws the first letter of a tool, on a color that depends on its slug. The real icons belong to their makers.
func (s *Server) showIcon(w http.ResponseWriter, r *http.Request) {
	slug, ok := strings.CutSuffix(r.PathValue("file"), ".svg")
	if !ok || !s.tools.knows(slug) {
		http.NotFound(w, r)
		return
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(slug))
	letter, _ := utf8.DecodeRuneInString(s.tools.get(slug).Label)
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" rx="9" fill="hsl(%d 45%% 42%%)"/>`+
		`<text x="20" y="27.5" text-anchor="middle" font-family="system-ui,sans-serif" font-size="21" font-weight="600" fill="#fff">%s</text></svg>`,
		hash.Sum32()%360, template.HTMLEscapeString(strings.ToUpper(string(letter))))
}

// showLog shows the page of log_url in connection-flow-failed.
func (s *Server) showLog(w http.ResponseWriter, r *http.Request) {
	var failed failedFlow
	var ok bool
	s.withState(func(st *state) { failed, ok = st.failedFlows[r.URL.Query().Get("flowId")] })
	if !ok {
		http.NotFound(w, r)
		return
	}
	s.render(w, http.StatusOK, "log.html", map[string]string{
		"Tool": s.tools.get(failed.tool).Label, "Organization": failed.organization, "At": timeText(failed.at),
	})
}
