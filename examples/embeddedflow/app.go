package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kombo-go/kombo"
	"github.com/kombo-go/kombo/examples/embeddedflow/store"
	"github.com/kombo-go/kombo/examples/internal/demo"
)

//go:embed web
var webFiles embed.FS

// Kombo's browser library on the CDN from its documentation: a fixed version and the hash of its file, so browsers run
// no other code. For another version:
//
//	npm pack @kombo-api/connect@1.3.0 && tar xzf kombo-api-connect-1.3.0.tgz
//	openssl dgst -sha384 -binary package/dist/index.js | base64
const (
	libraryCDN       = "https://unpkg.com/@kombo-api/connect@1.3.0/dist/index.js"
	libraryIntegrity = "sha384-PRcmq7sGVhl5RyIOl4opIbAh10eQrKgHXE2llghN0CprYkimwirx/KRS99PTgTaN"
)

type appConfig struct {
	demo.Kombo

	store   *store.Store
	log     *slog.Logger
	hosts   []string // host names of the product, in addition to loopback
	https   bool     // whether browsers use TLS, which may end at a proxy
	library string   // file of the browser library, or "" for the CDN
}

// app is the product.
type app struct {
	appConfig
	http.Handler

	templates *template.Template
	// streams ends when the server shuts down, because open streams would block that.
	streams    context.Context //nolint:containedctx // it lives as long as the app
	endStreams context.CancelFunc
	// changed wakes the streams of this process. They poll the store for changes by other replicas.
	mutex   sync.Mutex
	changed chan struct{}
}

func newApp(config appConfig) (*app, error) {
	a := &app{appConfig: config, changed: make(chan struct{})}
	a.streams, a.endStreams = context.WithCancel(context.Background())
	var err error
	if a.templates, err = template.ParseFS(webFiles, "web/*.html"); err != nil {
		return nil, err
	}
	flow, err := kombo.NewEmbeddedFlow(config.Client, kombo.EmbeddedFlowConfig{
		Link: a.link, SignedIn: a.signedInID, Relink: a.relink, Connected: a.connected,
		OnError: func(ctx context.Context, status int, err error) {
			if status != 499 { // 499: the browser has left, which is not a failure
				a.log.WarnContext(ctx, "embedded flow", "status", status, "error", err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.showSignIn)
	mux.HandleFunc("POST /sign-in", a.signIn)
	mux.HandleFunc("POST /sign-out", a.signOut)
	mux.HandleFunc("GET /settings", a.showPage("settings.html"))
	mux.HandleFunc("GET /settings/connections", a.showPage("connections.html"))
	mux.HandleFunc("GET /settings/stream", a.stream)
	mux.Handle("/integrations/kombo/init", flow.InitHandler())
	mux.Handle("/integrations/kombo/relink", flow.RelinkHandler())
	mux.Handle("/integrations/kombo/activate", flow.ActivateHandler())
	mux.HandleFunc("POST /integrations/magic-link", jsonHandler(a, a.magicLink))
	mux.HandleFunc("POST /integrations/disconnect", jsonHandler(a, a.disconnect))
	mux.HandleFunc("POST /attention/dismiss", jsonHandler(a, a.dismiss))
	mux.HandleFunc("GET /static/{file}", a.static)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	// Kombo is not a browser: the signature protects its requests.
	root := http.NewServeMux()
	root.Handle("/webhooks/kombo", config.Verifier.Handler(a.events()))
	root.Handle("/", a.securityHeaders(http.NewCrossOriginProtection().Handler(mux)))
	a.Handler = a.knownHosts(root)
	return a, nil
}

// knownHosts rejects requests for other hosts with a 421. Otherwise a page of another site could point its own host name
// here (DNS rebinding) and have the same origin.
func (a *app) knownHosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := strings.ToLower((&url.URL{Host: r.Host}).Hostname())
		ip, err := netip.ParseAddr(host)
		if r.Method == http.MethodGet && r.URL.Path == "/healthz" {
			return // a probe uses the IP address of the process, and learns only that it runs
		}
		if host == "localhost" || err == nil && ip.IsLoopback() || host != "" && slices.Contains(a.hosts, host) {
			next.ServeHTTP(w, r)
			return
		}
		a.log.WarnContext(r.Context(), "unknown host; if it is the product's, set -url", "host", host)
		http.Error(w, "unknown host", http.StatusMisdirectedRequest)
	})
}

// events returns the handlers of webhooks. The store decides if an event is new.
func (a *app) events() kombo.EventHandlers {
	return kombo.EventHandlers{
		IntegrationStateChanged: func(ctx context.Context, e *kombo.IntegrationStateChangedEvent) error {
			changed, err := a.apply(ctx, e)
			if changed && e.Data.State == kombo.StateInvalid {
				a.log.WarnContext(ctx, "a customer has to reconnect", "customer", e.Data.EndUser.OriginID, "tool", e.Data.IntegrationTool)
			}
			return err
		},
		ConnectionFlowFailed: func(ctx context.Context, e *kombo.ConnectionFlowFailedEvent) error {
			changed, err := a.apply(ctx, e)
			if changed { // not a warning, because the customer may still finish the flow
				a.log.InfoContext(ctx, "an attempt to connect failed", "customer", e.Data.EndUser.OriginID, "tool", e.Data.IntegrationTool, "log", e.Data.LogURL)
			}
			return err
		},
		IssueStatusChanged: func(ctx context.Context, e *kombo.IssueStatusChangedEvent) error {
			changed, err := a.apply(ctx, e)
			if changed {
				a.logIssue(ctx, e.Data)
			}
			return err
		},
		Fallback: func(ctx context.Context, e kombo.Event) error {
			_, err := a.apply(ctx, e)
			return err
		},
		OnError: func(ctx context.Context, err error) { a.log.ErrorContext(ctx, "webhook", "error", err) },
	}
}

// logIssue logs an issue for the vendor. Customers see the connection's state instead.
func (a *app) logIssue(ctx context.Context, data kombo.IssueStatusChangedData) {
	level, customer := slog.LevelInfo, "" // an issue of the whole environment has no customer
	if data.Change == kombo.IssueChangeRaised {
		level = slog.LevelWarn
	}
	if data.Integration != nil {
		customer = data.Integration.EndUser.OriginID
	}
	a.log.Log(ctx, level, "Kombo reports an issue", "change", data.Change, "type", data.Issue.Type, "title", data.Issue.Title, "customer", customer)
}

func (a *app) apply(ctx context.Context, event kombo.Event) (changed bool, err error) {
	changed, err = a.store.Apply(ctx, event)
	if changed {
		a.notify()
	}
	return changed, err
}

// link returns the customer and the category of a new flow.
func (a *app) link(r *http.Request, companyID string) (kombo.CreateLinkRequest, error) {
	var choice struct {
		Category kombo.Category `json:"category"`
	}
	if err := json.NewDecoder(r.Body).Decode(&choice); err != nil {
		return kombo.CreateLinkRequest{}, fmt.Errorf("%w: %w", kombo.ErrFlowBadRequest, err)
	}
	signedIn, _ := companyByID(companyID)
	return linkFor(signedIn, choice.Category)
}

func linkFor(signedIn company, chosen kombo.Category) (kombo.CreateLinkRequest, error) {
	for _, offered := range offeredCategories {
		if string(chosen) == offered.ID {
			return kombo.CreateLinkRequest{
				EndUserEmail: signedIn.Email, EndUserOrganizationName: signedIn.Name, EndUserOriginID: signedIn.ID,
				IntegrationCategory: chosen,
			}, nil
		}
	}
	return kombo.CreateLinkRequest{}, fmt.Errorf("%w: no category %q", kombo.ErrFlowBadRequest, chosen)
}

func (a *app) signedInID(r *http.Request) (string, error) {
	signedIn, err := a.signedIn(r)
	return signedIn.ID, err
}

// relink returns the integration of a connection, if the connection belongs to the signed-in customer.
func (a *app) relink(r *http.Request, companyID string) (integrationID string, request kombo.RelinkRequest, err error) {
	var choice struct {
		Connection    string `json:"connection"`
		ScopeConfigID string `json:"scope_config_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&choice); err != nil {
		return "", request, fmt.Errorf("%w: %w", kombo.ErrFlowBadRequest, err)
	}
	if choice.ScopeConfigID != "" && !offersScope(choice.ScopeConfigID) {
		return "", request, fmt.Errorf("%w: no scope config %q", kombo.ErrFlowBadRequest, choice.ScopeConfigID)
	}
	connection, err := a.store.Connection(r.Context(), companyID, choice.Connection)
	if errors.Is(err, store.ErrNotFound) {
		return "", request, fmt.Errorf("%w: %w", kombo.ErrFlowBadRequest, err)
	}
	return connection.IntegrationID, kombo.RelinkRequest{ScopeConfigID: choice.ScopeConfigID}, err
}

// connected stores a new or reconnected integration. EmbeddedFlow has checked that it belongs to the signed-in customer.
//
// The token exchange returns neither the category nor the state, so after a reconnection the row still has the state
// INVALID. A webhook will report the new state; Get returns it now. If Get fails, the row is already stored.
func (a *app) connected(ctx context.Context, integration *kombo.ConnectedIntegration) error {
	defer a.notify()
	connection, err := a.store.Connected(ctx, integration.EndUserOriginID, "", integration)
	if errors.Is(err, store.ErrOtherCustomer) {
		return fmt.Errorf("%w: %w", kombo.ErrFlowForbidden, err)
	} else if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 10*time.Second) // the customer is waiting
	defer cancel()
	now, err := a.Client.Integrations.Get(limited, integration.ID)
	if err == nil {
		err = a.store.Read(ctx, connection, now)
	}
	if err != nil {
		a.log.WarnContext(ctx, "connected; the state is not known yet", "error", err)
	}
	return nil
}

// problem is an error with the status and text of its response.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

var (
	errNotSignedIn = &problem{http.StatusUnauthorized, "sign in first"}
	errMalformed   = &problem{http.StatusBadRequest, "the request is malformed"}
	errGone        = &problem{http.StatusNotFound, "this no longer exists"}
	errInternal    = &problem{http.StatusInternalServerError, "something went wrong"}
	errKombo       = &problem{http.StatusBadGateway, "the connection service is not available; try again"}
)

// jsonHandler returns a handler for a function that takes and returns JSON.
func jsonHandler[In any](a *app, serve func(r *http.Request, in In) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		result, err := any(nil), error(errMalformed)
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		if body.Decode(&in) == nil && !body.More() {
			result, err = serve(r, in)
		}
		status := http.StatusOK
		if err != nil {
			known, ok := errors.AsType[*problem](err)
			switch {
			case ok:
			case errors.Is(err, kombo.ErrFlowNotSignedIn):
				known = errNotSignedIn
			default:
				known = errInternal
			}
			if known.status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) { // canceled: the browser has left
				a.log.ErrorContext(r.Context(), "request", "path", r.URL.Path, "error", err)
			}
			status, result = known.status, map[string]string{"error": known.text}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(result)
	}
}

// magicLink creates a link for an administrator of the customer who has no account here.
func (a *app) magicLink(r *http.Request, in struct {
	Category kombo.Category `json:"category"`
},
) (any, error) {
	signedIn, err := a.signedIn(r)
	if err != nil {
		return nil, err
	}
	request, err := linkFor(signedIn, in.Category)
	if err != nil {
		return nil, errMalformed
	}
	request.LinkType = kombo.LinkTypeMagicLink
	link, err := a.Client.Connect.CreateLink(r.Context(), request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKombo, err)
	}
	return link, nil
}

func (a *app) disconnect(r *http.Request, in struct {
	Connection string `json:"connection"`
},
) (any, error) {
	signedIn, err := a.signedIn(r)
	if err != nil {
		return nil, err
	}
	connection, err := a.store.Connection(r.Context(), signedIn.ID, in.Connection)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errGone
	} else if err != nil {
		return nil, err
	}
	// After Kombo has deleted the integration, the row must be deleted, too. If the process ends between the two, the
	// customer can try again: ErrIntegrationNotFound counts as deleted.
	err = uninterrupted(r, func(ctx context.Context) error { return a.Client.Integrations.Delete(ctx, connection.IntegrationID) })
	if err != nil && !errors.Is(err, kombo.ErrIntegrationNotFound) {
		return nil, fmt.Errorf("%w: %w", errKombo, err)
	}
	defer a.notify()
	return struct{}{}, uninterrupted(r, func(ctx context.Context) error {
		return a.store.Disconnected(ctx, signedIn.ID, connection.Key, time.Now())
	})
}

func (a *app) dismiss(r *http.Request, in struct {
	Key string `json:"key"`
},
) (any, error) {
	signedIn, err := a.signedIn(r)
	if err != nil {
		return nil, err
	}
	defer a.notify()
	err = a.store.Dismiss(r.Context(), signedIn.ID, in.Key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errGone
	}
	return struct{}{}, err
}
