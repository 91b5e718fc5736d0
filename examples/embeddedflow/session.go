package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// company is a customer of the product. ID is what Kombo knows as the end user's origin id.
type company struct {
	ID, Name, Initials, Email string
}

// companies can sign in without a password: this is a demo.
var companies = []company{
	{"acme", "Acme, Inc.", "AC", "ada@acme.example"},
	{"globex", "Globex Corporation", "GX", "hank@globex.example"},
	{"mueller", "Müller & Söhne GmbH", "MS", "karla@mueller.example"},
}

const sessionCookie = "rosterly_session"

// signedIn returns who is signed in. The cookie holds who it is, and proof that this product wrote it, so that
// every replica knows it.
func (a *app) signedIn(r *http.Request) (company, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return company{}, false
	}
	id, signature, _ := strings.Cut(cookie.Value, ".")
	if !hmac.Equal([]byte(signature), []byte(a.sign(id))) {
		return company{}, false
	}
	i := slices.IndexFunc(companies, func(c company) bool { return c.ID == id })
	if i < 0 {
		return company{}, false
	}
	return companies[i], true
}

func (a *app) sign(id string) string {
	mac := hmac.New(sha256.New, a.sessionKey)
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	id := r.PostFormValue("company")
	if !slices.ContainsFunc(companies, func(c company) bool { return c.ID == id }) {
		http.Error(w, "there is no such company", http.StatusBadRequest)
		return
	}
	a.setCookie(w, r, id+"."+a.sign(id), 12*time.Hour)
	http.Redirect(w, r, "/settings", http.StatusSeeOther)
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	a.setCookie(w, r, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) setCookie(w http.ResponseWriter, r *http.Request, value string, lifetime time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS, which a demo on loopback has not
		Name: sessionCookie, Value: value, Path: "/", MaxAge: int(lifetime.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}
