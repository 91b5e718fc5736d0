package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSession(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v := p.visitor("")
	wantStatus(t, "the first page", v.get("/"), http.StatusOK)
	for _, unknown := range []string{"", "nobody", "ACME", "acme "} {
		got := v.signIn(unknown)
		wantStatus(t, "signing in as "+unknown, got, http.StatusBadRequest)
		if got.header.Get("Set-Cookie") != "" {
			t.Errorf("%q gets a cookie", unknown)
		}
	}

	got := v.signIn("acme")
	wantStatus(t, "signing in", got, http.StatusSeeOther)
	wantSame(t, "Location", "/settings", got.header.Get("Location"))
	cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 12*60*60 {
		t.Errorf("cookie = %+v", cookie)
	}
	got = v.get("/settings")
	wantStatus(t, "/settings", got, http.StatusOK)
	if !strings.Contains(got.body, "Acme, Inc.") || strings.Contains(got.body, "Globex Corporation") {
		t.Errorf("the page of Acme is\n%s", got.body)
	}
	got = v.get("/")
	wantStatus(t, "the first page", got, http.StatusSeeOther)
	wantSame(t, "Location", "/settings", got.header.Get("Location"))

	// An open stream has ended, and a copy of the cookie is worthless.
	session := sessionCookie + "=" + cookie.Value
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.server.URL+"/settings/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := v.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	wantStatus(t, "the copy", p.visitor("").get("/settings", "Cookie", session), http.StatusOK)
	got = v.do(http.MethodPost, "/sign-out", "")
	wantStatus(t, "signing out", got, http.StatusSeeOther)
	wantSame(t, "Location", "/", got.header.Get("Location"))
	if ended, err := http.ParseSetCookie(got.header.Get("Set-Cookie")); err != nil || ended.MaxAge >= 0 || ended.Value != "" || ended.Path != "/" || !ended.HttpOnly {
		t.Errorf("signing out sets the cookie %q", got.header.Get("Set-Cookie"))
	}
	wantStatus(t, "/settings afterwards", v.get("/settings"), http.StatusSeeOther)
	wantStatus(t, "the copy afterwards", p.visitor("").get("/settings/connections", "Cookie", session), http.StatusUnauthorized)
	p.app.notify()
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
	wantStatus(t, "signing out again", v.do(http.MethodPost, "/sign-out", "", "Cookie", session), http.StatusSeeOther)
}

// Signing in starts a new session and ends the previous one.
func TestSigningInTwice(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	v := p.visitor("acme")
	before := v.session()
	v.signIn("globex")
	if v.session().Value == before.Value {
		t.Error("both sessions are the same")
	}
	wantStatus(t, "the session before", p.visitor("").get("/settings/connections", "Cookie", before.String()), http.StatusUnauthorized)
	// An ID that the client made up does not become a session.
	got := p.visitor("").do(http.MethodPost, "/sign-in", "company=acme", "Content-Type", "application/x-www-form-urlencoded", "Cookie", sessionCookie+"=MADEUP")
	if cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie")); err != nil || len(cookie.Value) < 20 {
		t.Errorf("the cookie is %q", got.header.Get("Set-Cookie"))
	}
	wantStatus(t, "a made-up session", p.visitor("").get("/settings/connections", "Cookie", sessionCookie+"=MADEUP"), http.StatusUnauthorized)
}

func TestSecureCookie(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, forwarded string
		https, want     bool
	}{
		{name: "on loopback"}, {name: "a proxy that sends the scheme", forwarded: "https", want: true}, {name: "a plain proxy", forwarded: "http"}, {name: "-url", https: true, want: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := startService(t, func(config *appConfig) { config.https = test.https }).visitor("")
			got := v.do(http.MethodPost, "/sign-in", "company=acme", "Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-Proto", test.forwarded)
			cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
			if err != nil || cookie.Secure != test.want || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
				t.Errorf("the cookie is %q", got.header.Get("Set-Cookie"))
			}
		})
	}
}

// A cookie that the product did not set, or that has expired, is not a session.
func TestTamperedCookie(t *testing.T) {
	t.Parallel()
	p := startService(t, nil)
	start := func(companyID string, lifetime time.Duration) string {
		t.Helper()
		id, err := p.store.StartSession(t.Context(), companyID, lifetime)
		if err != nil {
			t.Fatal(err)
		}
		p.keepSecret(id)
		return id
	}
	session := start("acme", time.Hour)
	wantStatus(t, "the right one", p.visitor("").get("/settings", "Cookie", sessionCookie+"="+session), http.StatusOK)
	for name, value := range map[string]string{
		"empty":              "",
		"a company":          "acme",
		"as it was signed":   "acme.mFpcgCUrVk4bGmbcXHbT2XSCHgMmY1rDFKT4rE0YqwE",
		"a shorter one":      session[:len(session)-1],
		"a longer one":       session + "A",
		"another case":       strings.ToLower(session),
		"another company":    "globex." + session,
		"an unknown company": start("nobody", time.Hour),
		"no company":         start("", time.Hour),
		"over":               start("acme", 0),
	} {
		v := p.visitor("")
		got := v.get("/settings", "Cookie", sessionCookie+"="+value)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != "/" {
			t.Errorf("%s: /settings = %d to %q", name, got.status, got.header.Get("Location"))
		}
		wantStatus(t, name+": the connections", v.get("/settings/connections", "Cookie", sessionCookie+"="+value), http.StatusUnauthorized)
		wantStatus(t, name+": the stream", v.get("/settings/stream", "Cookie", sessionCookie+"="+value), http.StatusUnauthorized)
		wantStatus(t, name+": the first page", v.get("/", "Cookie", sessionCookie+"="+value), http.StatusOK)
	}
}
