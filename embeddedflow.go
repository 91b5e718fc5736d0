package kombo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Errors with which the functions of an [EmbeddedFlowConfig] refuse a request, wrapped or not. Any other
// error of theirs leads to a 500.
var (
	// ErrFlowNotSignedIn leads to a 401: no customer is signed in.
	ErrFlowNotSignedIn = errors.New("kombo: not signed in")
	// ErrFlowForbidden leads to a 403: the person who is signed in may not do this.
	ErrFlowForbidden = errors.New("kombo: forbidden")
	// ErrFlowBadRequest leads to a 400: the request asks for something that does not exist, such as an
	// unknown category.
	ErrFlowBadRequest = errors.New("kombo: bad request")
)

const (
	// maxFlowBody is how much of a request's body the handlers of an [EmbeddedFlow] read. Tokens and
	// choices are far shorter.
	maxFlowBody = 64 << 10
	// activationTimeout is the time limit of each of the two steps that go on after the browser has left:
	// exchanging the token, and Connected.
	activationTimeout = 2 * time.Minute
	// preflightSeconds is how long a browser may remember the response to a preflight.
	preflightSeconds = "600"
	// statusClientClosedRequest is the status that access logs know from nginx. The client never sees it.
	statusClientClosedRequest = 499
)

// EmbeddedFlowConfig configures an [EmbeddedFlow].
//
// SignedIn, Link and Relink can each read the body of the request from its beginning. Their request has the
// path values and the context of the router around the handler. [http.Request.PathValue] is empty with routers
// that do not set it, such as echo and gin: call [http.Request.SetPathValue] before the handler, or use the
// query or the body.
type EmbeddedFlowConfig struct {
	// SignedIn returns the caller's own ID of the customer who is signed in. Required. Take it from the
	// session, never from what the browser sends. Every handler calls it first, except for preflights.
	SignedIn func(r *http.Request) (originID string, err error)
	// Link returns what a link connects, and for whom. Required. Leave EndUserOriginID empty: it becomes
	// originID, which SignedIn has returned; a different one leads to a 500. LinkType must not be
	// [LinkTypeMagicLink], whose flow ends without a token.
	Link func(r *http.Request, originID string) (CreateLinkRequest, error)
	// Relink returns which integration to reconnect. It must check that the integration belongs to the
	// customer originID. Required by [EmbeddedFlow.RelinkHandler] only.
	Relink func(r *http.Request, originID string) (integrationID string, request RelinkRequest, err error)
	// Connected stores the integration, which belongs to the customer who is signed in. Required. It is
	// called again if a token is posted again, and after a reconnection with an integration that is
	// stored already; integration-created may have arrived before: storing twice must do no harm.
	//
	// Its context has the values of the request's, but does not end with it: a browser that leaves does not
	// interrupt it. It ends after two minutes.
	Connected func(ctx context.Context, integration *ConnectedIntegration) error

	// TrustedOrigins lists other origins whose pages may use the handlers, as browsers send them:
	// "https://app.example.com", or "http://localhost:3000". Their requests get CORS headers (cookies
	// included) and responses to preflights. Pages of the handlers' own origin need no entry, except behind
	// a proxy that rewrites Host: X-Forwarded-Host is not trusted, so list the public origin there.
	TrustedOrigins []string
	// OnError is called with every error response except a 405: its status, and the reason. Status 499 means
	// that the browser left before the response; it is no failure. If OnError is nil, 500 and 502 are logged
	// to [slog.Default] at level error, 403 at level warn, and others not at all. No error of this package
	// contains a link or a token; those of the functions above are passed on as they are. The context does
	// not end with the request. It must not panic.
	OnError func(ctx context.Context, status int, err error)
}

// EmbeddedFlow is the back end's half of the embedded connection flow: the endpoints for a page that opens a
// link in an iframe with @kombo-api/connect, and posts the activation token that it gets. It ensures that no
// customer attaches another's integration, and that pages of other origins cannot use it.
//
//	mux.Handle("/integrations/kombo/init", flow.InitHandler())
//	mux.Handle("/integrations/kombo/activate", flow.ActivateHandler())
//
// Mount the handlers for all methods, as above: they also respond to preflights, and to the GET of the page in
// Kombo's guide. All of them respond
//
//   - 400 if the body cannot be read (it breaks off, is too slow for the server's ReadTimeout, or is badly
//     chunked), or a function of the config returns [ErrFlowBadRequest];
//   - 401 for [ErrFlowNotSignedIn];
//   - 403 to a request from an origin that is neither the handlers' own nor one of TrustedOrigins, for
//     [ErrFlowForbidden], and if the customer who is signed in has no origin ID, each with a text of its own;
//   - 405 to other methods than POST, OPTIONS of a preflight, and the GET of [EmbeddedFlow.InitHandler];
//   - 413 to a body over 64 KiB;
//   - 500 if a function of the config fails or panics, or what it returns cannot be sent;
//   - 502 if Kombo fails, its rate limit included.
//
// The headers Sec-Fetch-Site and Origin, which pages cannot forge, show the origin of a request. A request
// without both, such as that of a native app, is trusted. Error responses are JSON with fixed texts,
// {"error": "…"}; no response may be stored by caches. The handlers wait as long as the calls of the client may
// take, unless the request's context ends: see [WithTimeout]. A function that panics with
// [http.ErrAbortHandler] aborts the response, as everywhere in net/http.
type EmbeddedFlow struct {
	client      *Client
	config      EmbeddedFlowConfig
	crossOrigin *http.CrossOriginProtection
}

// NewEmbeddedFlow returns an error if the client was not made by [NewClient], SignedIn, Link or Connected is
// nil, or one of TrustedOrigins is not an origin. It makes no request.
func NewEmbeddedFlow(client *Client, config EmbeddedFlowConfig) (*EmbeddedFlow, error) {
	reason := ""
	switch {
	case client == nil || client.Connect == nil:
		reason = "the client is nil, or was not made by NewClient"
	case config.SignedIn == nil:
		reason = "SignedIn is required"
	case config.Link == nil:
		reason = "Link is required"
	case config.Connected == nil:
		reason = "Connected is required"
	}
	config.TrustedOrigins = slices.Clone(config.TrustedOrigins)
	crossOrigin := http.NewCrossOriginProtection()
	for i, origin := range config.TrustedOrigins {
		if !isOrigin(origin) || crossOrigin.AddTrustedOrigin(origin) != nil {
			reason = fmt.Sprintf("TrustedOrigins[%d] is %q, want an origin as browsers send it: scheme://host[:port] in lower case, without path, wildcard and default port", i, origin)
		}
	}
	if reason != "" {
		return nil, errors.New("kombo: NewEmbeddedFlow: " + reason)
	}
	return &EmbeddedFlow{client: client, config: config, crossOrigin: crossOrigin}, nil
}

// isOrigin reports whether a browser can send s in the header Origin. Any other entry would match no request.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || s != u.Scheme+"://"+u.Host {
		return false
	}
	defaultPort := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return !strings.HasSuffix(u.Host, ":") && (u.Port() == "" || u.Port() != defaultPort) &&
		strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") == ""
}

// InitHandler begins a flow: it responds {"link": "…"} for showKomboConnect, and static_ips if the link was made
// with them. It also accepts a GET if the browser proves that a page of the same origin, or of a trusted one,
// sends it: the page in Kombo's guide does so. Browsers prove nothing for a GET over plain http, except on
// localhost; use POST there.
func (f *EmbeddedFlow) InitHandler() http.Handler {
	return f.handler("init", true, func(r *flowRequest) (any, error) {
		originID, err := f.signedIn(r)
		if err != nil {
			return nil, err
		}
		request, err := f.config.Link(r.rewound(), originID)
		if err != nil {
			return nil, refused(err)
		}
		switch {
		case request.EndUserOriginID != "" && request.EndUserOriginID != originID:
			return nil, errors.New("Link returned an EndUserOriginID that differs from the customer who is signed in; leave it empty")
		case request.LinkType == LinkTypeMagicLink:
			return nil, errors.New("a magic link gives no token; use LinkTypeEmbedded")
		}
		request.EndUserOriginID = originID
		return r.link(f.client.Connect.CreateLink(r.Context(), request))
	})
}

// RelinkHandler begins a flow to reconnect. It accepts and responds what [EmbeddedFlow.InitHandler] does, and 404 if
// Kombo knows no such integration. It panics if the config has no Relink.
func (f *EmbeddedFlow) RelinkHandler() http.Handler {
	if f.config.Relink == nil {
		panic("kombo: EmbeddedFlow.RelinkHandler: the config has no Relink")
	}
	return f.handler("relink", true, func(r *flowRequest) (any, error) {
		originID, err := f.signedIn(r)
		if err != nil {
			return nil, err
		}
		integrationID, request, err := f.config.Relink(r.rewound(), originID)
		if err != nil {
			return nil, refused(err)
		}
		switch {
		case integrationID == "":
			return nil, errors.New("Relink returned no integration ID (PathValue is empty with routers such as echo and gin)")
		case request.LinkType == LinkTypeMagicLink:
			return nil, errors.New("a magic link gives no token; use LinkTypeEmbedded")
		}
		return r.link(f.client.Integrations.Relink(r.Context(), integrationID, request))
	})
}

// ActivateHandler ends a flow. It takes {"token": "…"} as application/json, exchanges the token, and calls the
// config's Connected with the integration unless it belongs to another customer: 403 if its end_user_origin_id is
// not that of the customer who is signed in. A token that Kombo does not accept, or that no token of Kombo can be,
// leads to a 400. The response contains the tool and the setup_status, but not the integration's ID, which is not
// for browsers.
//
// Another Content-Type leads to a 415. Only if the browser proves that a page of the same origin, or of a trusted
// one, sends the request, text/plain is accepted, too: fetch sends it unless it is given a Content-Type, as by the
// page in Kombo's guide.
//
// A browser that leaves after SignedIn has returned interrupts nothing: the token may be usable only once (Kombo
// does not document it), and the integration exists already. The exchange and Connected take up to two minutes
// each, even if the context of the request ends.
func (f *EmbeddedFlow) ActivateHandler() http.Handler {
	return f.handler("activate", false, func(r *flowRequest) (any, error) {
		token, err := r.token()
		if err != nil {
			return nil, err
		}
		originID, err := f.signedIn(r)
		if err != nil {
			return nil, err
		}
		var integration *ConnectedIntegration
		err = outliving(r.Context(), func(ctx context.Context) error {
			integration, err = f.client.Connect.IntegrationByToken(ctx, token)
			return err
		})
		switch {
		case errors.Is(err, ErrInvalidInput):
			return nil, &flowError{http.StatusBadRequest, "the token is not valid", err}
		case err != nil:
			return nil, komboFailed(err)
		case integration.EndUserOriginID != originID:
			return nil, &flowError{http.StatusForbidden, "the integration belongs to another customer", errors.New("the token is of another customer's integration")}
		}
		err = outliving(r.Context(), func(ctx context.Context) error { return f.config.Connected(ctx, integration) })
		if err != nil {
			err = refused(err)
			if _, ok := errors.AsType[*flowError](err); !ok {
				// Also if the browser has left: the customer's integration is not stored.
				err = failed(err)
			}
			return nil, err
		}
		return struct {
			Tool        string      `json:"tool"`
			SetupStatus SetupStatus `json:"setup_status"`
		}{integration.Tool, integration.SetupStatus}, nil
	})
}

// outliving calls a function with a context that does not end with ctx.
func outliving(ctx context.Context, function func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), activationTimeout)
	defer cancel()
	return function(ctx)
}

func (f *EmbeddedFlow) signedIn(r *flowRequest) (string, error) {
	originID, err := f.config.SignedIn(r.rewound())
	if err == nil && originID == "" {
		// Fail now, because at the end of the flow the integration would belong to no customer.
		err = fmt.Errorf("%w: the customer who is signed in has no origin ID", ErrFlowForbidden)
	}
	return originID, refused(err)
}

// flowRequest is a request whose body was read.
type flowRequest struct {
	*http.Request

	body []byte
	// sameOrigin means that the browser proves that a page of the same origin, or of a trusted one, sends it.
	sameOrigin bool
}

// rewound returns the request with its whole body, for one of the caller's functions.
func (r *flowRequest) rewound() *http.Request {
	r.Body = io.NopCloser(bytes.NewReader(r.body))
	return r.Request
}

// left reports whether the browser has left. The end of a deadline is something else: the client waits.
func (r *flowRequest) left() bool { return errors.Is(r.Context().Err(), context.Canceled) }

func (r *flowRequest) link(link *Link, err error) (any, error) {
	kerr, _ := errors.AsType[*Error](err)
	switch {
	case err == nil:
		return link, nil
	case r.left():
		return nil, err
	case errors.Is(err, ErrIntegrationNotFound):
		return nil, &flowError{http.StatusNotFound, "the integration does not exist any more", err}
	case kerr != nil && kerr.Attempts == 0 && errors.Is(err, ErrInvalidInput):
		return nil, err // what SignedIn, Link or Relink returned is wrong
	}
	return nil, komboFailed(err)
}

// token returns the token that a page has posted.
func (r *flowRequest) token() (string, error) {
	// Without proof, the type has to be one that a form of another site's page cannot send. The parameters
	// do not matter.
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "application/json":
	case "text/plain", "":
		if r.sameOrigin {
			break
		}
		fallthrough
	default:
		return "", &flowError{http.StatusUnsupportedMediaType, "use application/json", errors.New("the content type is not application/json")}
	}
	var activation struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(r.body, &activation) != nil || activation.Token == "" {
		return "", &flowError{http.StatusBadRequest, "the body is not {\"token\": \"…\"}", errors.New("the body contains no token")}
	}
	// Servers and proxies on the way to Kombo would take a slash for a part of the path.
	if strings.ContainsFunc(activation.Token, func(c rune) bool { return c <= ' ' || c > '~' || c == '/' || c == '\\' }) {
		return "", &flowError{http.StatusBadRequest, "the token is not valid", errors.New("the token contains characters that no token has")}
	}
	return activation.Token, nil
}

// flowError is an error with its response.
type flowError struct {
	status int
	text   string
	err    error
}

func (e *flowError) Error() string { return e.err.Error() }
func (e *flowError) Unwrap() error { return e.err }

// refused adds the response to an error with which a function of the config refuses a request.
func refused(err error) error {
	tooLarge, ok := errors.AsType[*http.MaxBytesError](err)
	switch {
	case ok:
		return &flowError{http.StatusRequestEntityTooLarge, "the body is too large", tooLarge}
	case errors.Is(err, ErrFlowNotSignedIn):
		return &flowError{http.StatusUnauthorized, "sign in first", err}
	case errors.Is(err, ErrFlowForbidden):
		return &flowError{http.StatusForbidden, "this is not allowed", err}
	case errors.Is(err, ErrFlowBadRequest):
		return &flowError{http.StatusBadRequest, "this cannot be done", err}
	}
	return err
}

func failed(err error) *flowError {
	return &flowError{http.StatusInternalServerError, "something went wrong", err}
}

func komboFailed(err error) *flowError {
	return &flowError{http.StatusBadGateway, "the connection service is not available; try again", err}
}

// handler returns a handler that responds with what serve returns.
func (f *EmbeddedFlow) handler(name string, acceptsGet bool, serve func(*flowRequest) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header, origin := w.Header(), r.Header.Get("Origin")
		header.Set("Cache-Control", "no-store")
		header.Add("Vary", "Origin")
		trusted := slices.Contains(f.config.TrustedOrigins, origin)
		if trusted {
			header.Set("Access-Control-Allow-Origin", origin)
			header.Set("Access-Control-Allow-Credentials", "true")
		}
		sameOrigin, err := f.checkOrigin(r)
		switch {
		case err != nil:
			// This may be a preflight, after which the page's own request never comes, so report it, too.
			f.fail(w, r, name, err)
			return
		case trusted && r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "":
			header.Set("Access-Control-Allow-Methods", "GET, POST")
			if headers := r.Header.Get("Access-Control-Request-Headers"); headers != "" {
				header.Set("Access-Control-Allow-Headers", headers)
			}
			header.Set("Access-Control-Max-Age", preflightSeconds)
			header.Add("Vary", "Access-Control-Request-Headers")
			w.WriteHeader(http.StatusNoContent)
			return
		case r.Method != http.MethodPost && (r.Method != http.MethodGet || !acceptsGet || !sameOrigin):
			header.Set("Allow", http.MethodPost)
			writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "use POST"})
			return
		}
		body, err := readFlowBody(w, r)
		if err != nil {
			f.fail(w, r, name, err)
			return
		}
		// The request is a copy, whose body is ours to replace.
		request := &flowRequest{Request: r.WithContext(r.Context()), body: body, sameOrigin: sameOrigin}
		var result any
		panicked := true
		err = safely(func() error {
			var err error
			result, err = serve(request)
			panicked = false
			return err
		})
		if err == nil {
			writeJSON(w, http.StatusOK, result)
			return
		}
		if _, ok := errors.AsType[*flowError](err); !ok {
			if !panicked && request.left() {
				err = &flowError{statusClientClosedRequest, "the client has left", err}
			} else {
				err = failed(err)
			}
		}
		f.fail(w, r, name, err)
	})
}

// checkOrigin reports whether the browser proves that a page of the same origin, or of a trusted one, sends the
// request. It fails if a page of another origin does.
func (f *EmbeddedFlow) checkOrigin(r *http.Request) (proven bool, err error) {
	// CrossOriginProtection allows every GET, but here a GET makes a link.
	post := *r
	post.Method = http.MethodPost
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if f.crossOrigin.Check(&post) != nil || origin == "null" && site == "" {
		return false, &flowError{
			http.StatusForbidden, "this origin is not allowed; see TrustedOrigins",
			fmt.Errorf("a request from another origin, %q (Sec-Fetch-Site: %q, Host: %q); if it is yours, add it to TrustedOrigins", singleLine(origin), singleLine(site), singleLine(r.Host)),
		}
	}
	// No proof: Sec-Fetch-Site "none" (a typed address or a bookmark), or neither header.
	return site == "same-origin" || site != "none" && origin != "", nil
}

func readFlowBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch {
	case r.Body == nil: // only outside a server
		return nil, nil
	case r.ContentLength > maxFlowBody:
		return nil, refused(&http.MaxBytesError{Limit: maxFlowBody})
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFlowBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, refused(err)
	} else if err != nil {
		return nil, &flowError{http.StatusBadRequest, "the body cannot be read", fmt.Errorf("reading the body: %w", err)}
	}
	return body, nil
}

// fail reports an error, and sends the response of the *flowError in it.
func (f *EmbeddedFlow) fail(w http.ResponseWriter, r *http.Request, name string, err error) {
	failure, _ := errors.AsType[*flowError](err)
	err = fmt.Errorf("kombo: EmbeddedFlow: %s: %w", name, err)
	ctx := context.WithoutCancel(r.Context())
	switch {
	case f.config.OnError != nil:
		f.config.OnError(ctx, failure.status, err)
	case failure.status >= http.StatusInternalServerError:
		slog.Default().ErrorContext(ctx, "kombo: embedded flow failed", "status", failure.status, "error", err)
	case failure.status == http.StatusForbidden:
		slog.Default().WarnContext(ctx, "kombo: embedded flow refused a request", "status", failure.status, "error", err)
	}
	writeJSON(w, failure.status, map[string]string{"error": failure.text})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
