package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
)

// category is a kind of HR system that the product supports.
type category struct {
	ID, Label, Description string
	Connections            []connection
}

var offeredCategories = []category{
	{ID: string(kombo.CategoryHRIS), Label: "HR system", Description: "Employees, teams and absences"},
	{ID: string(kombo.CategoryATS), Label: "Applicant tracking", Description: "Open positions and hires"},
	{ID: string(kombo.CategoryLMS), Label: "Learning", Description: "Courses and certificates"},
}

// scope is a scope config that a reconnection can select. Real ones are created in Kombo's dashboard.
type scope struct{ ID, Label string }

var offeredScopes = []scope{
	{"rosterly-basic", "Names and teams only"},
	{"rosterly-full", "Names, teams, absences and working hours"},
}

func offersScope(id string) bool {
	for _, offered := range offeredScopes {
		if offered.ID == id {
			return true
		}
	}
	return false
}

// connection is a row of the settings page.
type connection struct {
	Key, Tool, ToolLabel, State, SetupStatus, ConnectedBy string

	ConnectedAt, ChangedAt time.Time
	// Duplicate reports whether the same tool is connected more than once.
	Duplicate bool
}

// page is the data of the settings page.
type page struct {
	Company                company
	Categories             []category
	Attention              []store.Alert
	Scopes                 []scope
	LibraryURL, SandboxURL string
	LibraryIntegrity       string // "" if the product serves the file itself
}

func (a *app) page(ctx context.Context, signedIn company) (*page, error) {
	connections, err := a.store.Connections(ctx, signedIn.ID)
	if err != nil {
		return nil, err
	}
	attention, err := a.store.Attention(ctx, signedIn.ID)
	if err != nil {
		return nil, err
	}
	for i := range attention {
		attention[i].Tool = label(attention[i].Tool)
	}
	p := &page{Company: signedIn, Attention: attention, LibraryURL: libraryCDN, LibraryIntegrity: libraryIntegrity, SandboxURL: a.Dashboard}
	if a.library != "" {
		p.LibraryURL, p.LibraryIntegrity = "/static/kombo-connect.js", ""
	}
	if a.Dashboard != "" {
		p.Scopes = offeredScopes // they do not exist in the real Kombo
	}
	tools := map[string]int{}
	for _, c := range connections {
		tools[c.Tool]++
	}
	p.Categories = append(p.Categories, offeredCategories...)
	for _, c := range connections {
		// Before integration-created reports the category, the connection is shown in the first one.
		index := 0
		for i := range p.Categories {
			if p.Categories[i].ID == string(c.Category) {
				index = i
			}
		}
		p.Categories[index].Connections = append(p.Categories[index].Connections, connection{
			Key: c.Key, Tool: c.Tool, ToolLabel: label(c.Tool),
			// A connection without a known state works: the customer has just connected it.
			State:       string(cmp.Or(c.State, kombo.StateActive)),
			SetupStatus: string(cmp.Or(c.SetupStatus, kombo.SetupStatusCompleted)),
			ConnectedBy: c.CreatedBy, ConnectedAt: c.ConnectedAt, ChangedAt: c.ChangedAt, Duplicate: tools[c.Tool] > 1,
		})
	}
	return p, nil
}

// label returns the display name of a tool. A real product would store the names that [kombo.ConnectService.Tools] lists.
func label(tool string) string {
	known := map[string]string{
		"personio": "Personio", "bamboohr": "BambooHR", "hibob": "HiBob", "workday": "Workday", "factorial": "Factorial",
		"hrworks": "HRworks", "lucca": "Lucca", "successfactors": "SAP SuccessFactors", "talentlms": "TalentLMS", "udemy": "Udemy",
		"linkedinlearning": "LinkedIn Learning", "ashby": "Ashby", "smartrecruiters": "SmartRecruiters", "workable": "Workable",
		"greenhouse": "Greenhouse", "lever": "Lever", "moodle": "Moodle", "360learning": "360Learning",
	}
	if name, ok := known[tool]; ok {
		return name
	}
	return tool
}

func (a *app) showSignIn(w http.ResponseWriter, r *http.Request) {
	switch _, err := a.signedIn(r); {
	case errors.Is(err, kombo.ErrFlowNotSignedIn):
		a.render(w, r, "signin.html", map[string]any{"Companies": companies})
	default:
		a.redirect(w, r, "/settings", err)
	}
}

// showPage serves the settings page, or the part of it that changes.
func (a *app) showPage(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		signedIn, err := a.signedIn(r)
		if errors.Is(err, kombo.ErrFlowNotSignedIn) {
			if name == "settings.html" {
				http.Redirect(w, r, "/", http.StatusSeeOther)
			} else {
				http.Error(w, "sign in first", http.StatusUnauthorized)
			}
			return
		}
		var p *page
		if err == nil {
			p, err = a.page(r.Context(), signedIn)
		}
		if err != nil {
			a.failed(w, r, err)
			return
		}
		a.render(w, r, name, p)
	}
}

func (a *app) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil { // otherwise the browser has left the page
		a.log.ErrorContext(r.Context(), "page", "error", err)
	}
	http.Error(w, "something went wrong", http.StatusInternalServerError)
}

func (a *app) render(w http.ResponseWriter, r *http.Request, name string, data any) {
	var content bytes.Buffer
	if err := a.templates.ExecuteTemplate(&content, name, data); err != nil {
		a.failed(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(content.Bytes())
}

func (a *app) static(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	switch file := r.PathValue("file"); {
	case file == "app.js":
		http.ServeFileFS(w, r, webFiles, "web/app.js")
	case file == "app.css":
		http.ServeFileFS(w, r, webFiles, "web/app.css")
	case file == "kombo-connect.js" && a.library != "":
		http.ServeFile(w, r, a.library)
	default:
		http.NotFound(w, r)
	}
}

// securityHeaders allows pages to load only their own files, and Kombo's pages in a frame.
func (a *app) securityHeaders(next http.Handler) http.Handler {
	scripts := "'self'"
	if a.library == "" {
		scripts += " " + libraryCDN
	}
	policy := fmt.Sprintf("default-src 'none'; script-src %s; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src %s; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'", scripts, a.Pages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// notify wakes the streams of this process.
func (a *app) notify() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *app) listen() <-chan struct{} {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.changed
}

// stream sends an event to a page when its data has changed, on any replica.
func (a *app) stream(w http.ResponseWriter, r *http.Request) {
	signedIn, err := a.signedIn(r)
	if errors.Is(err, kombo.ErrFlowNotSignedIn) {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	} else if err != nil {
		a.failed(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	controller := http.NewResponseController(w)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last := int64(-1)
	for asked := 0; ; asked++ {
		changed := a.listen()
		version, err := a.store.Version(r.Context(), signedIn.ID)
		if err == nil {
			_, err = a.signedIn(r) // the session may have ended
		}
		if err != nil {
			return // the page reconnects
		}
		line := ""
		switch {
		case version != last:
			last, line = version, "event: change\ndata: {}\n\n"
		case asked%20 == 0:
			line = ": still here\n\n" // for proxies that close idle connections
		}
		if line != "" {
			// Do not wait for a page that does not read.
			_ = controller.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if _, err := fmt.Fprint(w, line); err != nil || controller.Flush() != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-a.streams.Done():
			return
		case <-r.Context().Done():
			return
		}
	}
}
