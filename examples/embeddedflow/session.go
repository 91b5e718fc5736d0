package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
)

// company is a customer of the product. ID is the end user's origin ID at Kombo.
type company struct {
	ID, Name, Initials, Email string
}

// companies can sign in without a password, because this is a demo.
var companies = []company{
	{"acme", "Acme, Inc.", "AC", "ada@acme.example"},
	{"globex", "Globex Corporation", "GX", "hank@globex.example"},
	{"mueller", "Müller & Söhne GmbH", "MS", "karla@mueller.example"},
}

func companyByID(id string) (company, bool) {
	i := slices.IndexFunc(companies, func(c company) bool { return c.ID == id })
	if i < 0 {
		return company{}, false
	}
	return companies[i], true
}

const (
	sessionCookie   = "rosterly_session"
	sessionLifetime = 12 * time.Hour
)

// signedIn returns the signed-in company, or [kombo.ErrFlowNotSignedIn]. The cookie contains only a random ID, and the
// store has its company and its end. After the customer signs out, a copy of the cookie is worthless.
func (a *app) signedIn(r *http.Request) (company, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return company{}, kombo.ErrFlowNotSignedIn
	}
	id, err := a.store.Session(r.Context(), cookie.Value)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return company{}, err
	}
	signedIn, ok := companyByID(id)
	if !ok {
		return company{}, kombo.ErrFlowNotSignedIn
	}
	return signedIn, nil
}

func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	signedIn, ok := companyByID(r.PostFormValue("company"))
	if !ok {
		http.Error(w, "unknown company", http.StatusBadRequest)
		return
	}
	err := a.endSession(r) // the previous session
	if err == nil {
		var id string
		if id, err = a.store.StartSession(r.Context(), signedIn.ID, sessionLifetime); err == nil {
			a.setCookie(w, r, id, sessionLifetime)
		}
	}
	a.redirect(w, r, "/settings", err)
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	err := a.endSession(r)
	if err == nil {
		a.setCookie(w, r, "", -time.Second)
	}
	a.redirect(w, r, "/", err)
}

func (a *app) endSession(r *http.Request) error {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil //nolint:nilerr // nobody is signed in
	}
	return uninterrupted(r, func(ctx context.Context) error { return a.store.EndSession(ctx, cookie.Value) })
}

// setCookie sets the session cookie. A negative lifetime deletes it.
func (a *app) setCookie(w http.ResponseWriter, r *http.Request, value string, lifetime time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure if the browser uses TLS, which a demo on loopback does not
		Name: sessionCookie, Value: value, Path: "/", MaxAge: int(lifetime / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || a.https || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

func (a *app) redirect(w http.ResponseWriter, r *http.Request, to string, err error) {
	if err != nil {
		a.failed(w, r, err)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// uninterrupted does work that must be completed even if the browser disconnects.
func uninterrupted(r *http.Request, work func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	defer cancel()
	return work(ctx)
}
