package kombo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
)

// Errors with which the functions of an [EmbeddedFlowConfig] refuse a request. Any other error of theirs
// is answered 500.
var (
	// ErrNotSignedIn is answered 401: nobody is signed in.
	ErrNotSignedIn = errors.New("kombo: not signed in")
	// ErrForbidden is answered 403: who is signed in may not do this.
	ErrForbidden = errors.New("kombo: forbidden")
	// ErrBadRequest is answered 400: the request asks for something that there is not, such as an
	// unknown category.
	ErrBadRequest = errors.New("kombo: bad request")
)

// maxFlowBody is how much of a request's body the handlers of an [EmbeddedFlow] read. Tokens and choices are
// far shorter.
const maxFlowBody = 64 << 10

// EmbeddedFlowConfig says how an [EmbeddedFlow] fits into a service.
type EmbeddedFlowConfig struct {
	// Link tells for whom a link is, and what it connects. Required. It finds out who is signed in, and
	// returns [ErrNotSignedIn], [ErrForbidden] or [ErrBadRequest] (wrapped or not) where that does not
	// work out. EndUserOriginID must be set, and LinkType must not be [LinkTypeMagicLink], whose flow
	// ends without a token.
	//
	// It is asked for both: when a flow begins, and when it has ended, to learn whose integration the
	// token may name. Then only EndUserOriginID counts, and the request is the one with the token;
	// where Link cannot do with that, set SignedIn.
	Link func(r *http.Request) (CreateLinkRequest, error)
	// SignedIn tells the EndUserOriginID of the customer who is signed in, with the same errors as
	// Link. nil means to ask Link.
	SignedIn func(r *http.Request) (originID string, err error)
	// Relink tells which integration to reconnect, having checked that it belongs to the customer who
	// is signed in, with the same errors as Link. Required by [EmbeddedFlow.RelinkHandler] only.
	Relink func(r *http.Request) (integrationID string, request RelinkRequest, err error)
	// Connected stores the integration, which belongs to the customer who is signed in. Required. It is
	// called again when a token is posted again, and after a reconnection with an integration that is
	// stored already; integration-created may have come before: storing twice must do no harm.
	Connected func(ctx context.Context, integration *ConnectedIntegration) error

	// CrossOrigin guards against requests that another site makes a customer's browser send; nil means
	// that only pages of the handlers' own origin are let in. Set it to trust others.
	CrossOrigin *http.CrossOriginProtection
	// OnError is told of every POST that is not answered 200, with the status that it is answered. nil
	// means that 500 and 502 are logged to [slog.Default], and others nowhere. No error of this package
	// holds a link or a token; those of the functions above are passed on as they are. It must not panic.
	OnError func(ctx context.Context, status int, err error)
}

// EmbeddedFlow is the back end's half of the embedded connection flow: what a page calls that opens a
// link in an iframe with @kombo-api/connect, and posts the activation token that it gets. It makes sure
// that no customer attaches another's integration, and that other sites' pages cannot use it.
//
//	mux.Handle("POST /integrations/kombo/init", flow.InitHandler())
//	mux.Handle("POST /integrations/kombo/activate", flow.ActivateHandler())
//
// Its handlers answer 405 for a method other than POST; 403 for requests that other sites' pages make; 413
// for a body over 64 KiB; 401, 403 and 400 where a function of the config says so; 502 where Kombo fails, its
// rate limit included; 500 where a function fails or panics. They wait as long as the calls of the client may
// take, unless the request's context ends: see [WithTimeout]. Errors are JSON with fixed texts, {"error": "…"}, and no answer may be
// stored by caches.
type EmbeddedFlow struct {
	client *Client
	config EmbeddedFlowConfig
}

// NewEmbeddedFlow returns an error where the client was not made by [NewClient], or Link or Connected is nil. It makes no request.
func NewEmbeddedFlow(client *Client, config EmbeddedFlowConfig) (*EmbeddedFlow, error) {
	switch {
	case client == nil || client.Connect == nil:
		return nil, errors.New("kombo: NewEmbeddedFlow: the client is nil, or was not made by NewClient")
	case config.Link == nil:
		return nil, errors.New("kombo: NewEmbeddedFlow: Link is required")
	case config.Connected == nil:
		return nil, errors.New("kombo: NewEmbeddedFlow: Connected is required")
	}
	if config.SignedIn == nil {
		config.SignedIn = func(r *http.Request) (string, error) {
			request, err := config.Link(r)
			return request.EndUserOriginID, err
		}
	}
	if config.CrossOrigin == nil {
		config.CrossOrigin = http.NewCrossOriginProtection()
	}
	return &EmbeddedFlow{client: client, config: config}, nil
}

// InitHandler begins a flow: it answers {"link": "…"} for showKomboConnect, and static_ips where the link
// was made with them. The body of the request is for the config's Link to read.
func (f *EmbeddedFlow) InitHandler() http.Handler {
	return f.handler("init", func(r *http.Request) (any, error) {
		request, err := f.config.Link(r)
		if err != nil {
			return nil, refused(err)
		}
		switch {
		case request.EndUserOriginID == "":
			// Better now than at the end of the flow, when nobody could tell whose the integration is.
			return nil, errors.New("the link has no EndUserOriginID")
		case request.LinkType == LinkTypeMagicLink:
			return nil, errors.New("a magic link gives no token; use LinkTypeEmbedded")
		}
		return f.link(f.client.Connect.CreateLink(r.Context(), request))
	})
}

// RelinkHandler begins a flow to reconnect, and answers as [EmbeddedFlow.InitHandler] does, and 404 where Kombo
// knows no such integration. It panics where the config has no Relink.
func (f *EmbeddedFlow) RelinkHandler() http.Handler {
	if f.config.Relink == nil {
		panic("kombo: EmbeddedFlow.RelinkHandler: the config has no Relink")
	}
	return f.handler("relink", func(r *http.Request) (any, error) {
		integrationID, request, err := f.config.Relink(r)
		if err != nil {
			return nil, refused(err)
		}
		if request.LinkType == LinkTypeMagicLink {
			return nil, errors.New("a magic link gives no token; use LinkTypeEmbedded")
		}
		return f.link(f.client.Integrations.Relink(r.Context(), integrationID, request))
	})
}

func (f *EmbeddedFlow) link(link *Link, err error) (any, error) {
	kerr, _ := errors.AsType[*Error](err)
	switch {
	case err == nil:
		return link, nil
	case errors.Is(err, ErrIntegrationNotFound):
		return nil, &flowError{http.StatusNotFound, "the integration does not exist any more", err}
	case kerr != nil && kerr.Attempts == 0 && errors.Is(err, ErrInvalidInput):
		return nil, err // what Link or Relink returned is wrong
	}
	return nil, komboFailed(err)
}

// ActivateHandler ends a flow. It takes {"token": "…"} as application/json (415 otherwise), exchanges the
// token, and calls the config's Connected with the integration unless it belongs to another customer: 403 where
// its end_user_origin_id is not that of the customer who is signed in, or where either is empty. A token that
// Kombo does not accept is answered 400. The answer tells the tool and the setup_status, but not the
// integration's id, which is not for browsers.
func (f *EmbeddedFlow) ActivateHandler() http.Handler {
	return f.handler("activate", func(r *http.Request) (any, error) {
		token, err := readToken(r)
		if err != nil {
			return nil, err
		}
		originID, err := f.config.SignedIn(r)
		switch {
		case err != nil:
			return nil, refused(err)
		case originID == "":
			return nil, refused(fmt.Errorf("%w: the customer who is signed in has no origin id", ErrForbidden))
		}
		integration, err := f.client.Connect.IntegrationByToken(r.Context(), token)
		switch {
		case errors.Is(err, ErrInvalidInput):
			return nil, &flowError{http.StatusBadRequest, "the token is not valid", err}
		case err != nil:
			return nil, komboFailed(err)
		case integration.EndUserOriginID != originID:
			return nil, refused(fmt.Errorf("%w: the token is of another customer's integration", ErrForbidden))
		}
		if err := f.config.Connected(r.Context(), integration); err != nil {
			return nil, refused(err)
		}
		return struct {
			Tool        string      `json:"tool"`
			SetupStatus SetupStatus `json:"setup_status"`
		}{integration.Tool, integration.SetupStatus}, nil
	})
}

// readToken reads the token that a page has posted, and leaves the body for others to read.
func readToken(r *http.Request) (string, error) {
	// Forms of other sites' pages cannot send this type, whatever browser they run in.
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return "", &flowError{http.StatusUnsupportedMediaType, "use application/json", errors.New("the content type is not application/json")}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", refused(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var activation struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(body, &activation) != nil || activation.Token == "" {
		return "", &flowError{http.StatusBadRequest, "the body is not {\"token\": \"…\"}", errors.New("the body holds no token")}
	}
	return activation.Token, nil
}

// flowError is an error with its answer.
type flowError struct {
	status int
	text   string
	err    error
}

func (e *flowError) Error() string { return e.err.Error() }
func (e *flowError) Unwrap() error { return e.err }

// refused gives an error of a function of the config the answer that it asks for.
func refused(err error) error {
	tooLarge, ok := errors.AsType[*http.MaxBytesError](err)
	switch {
	case ok:
		return &flowError{http.StatusRequestEntityTooLarge, "the body is too large", tooLarge}
	case errors.Is(err, ErrNotSignedIn):
		return &flowError{http.StatusUnauthorized, "sign in first", err}
	case errors.Is(err, ErrForbidden):
		return &flowError{http.StatusForbidden, "this is not allowed", err}
	case errors.Is(err, ErrBadRequest):
		return &flowError{http.StatusBadRequest, "this cannot be done", err}
	}
	return err
}

func komboFailed(err error) error {
	return &flowError{http.StatusBadGateway, "Kombo does not answer as it should; try again", err}
}

// handler answers with what serve returns.
func (f *EmbeddedFlow) handler(name string, serve func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"error": "use POST"})
			return
		}
		r = r.WithContext(r.Context()) // a copy, whose body is ours to replace
		r.Body = http.MaxBytesReader(w, r.Body, maxFlowBody)
		var result any
		err := f.config.CrossOrigin.Check(r)
		switch {
		case err != nil:
			err = refused(fmt.Errorf("%w: %w", ErrForbidden, err))
		case r.ContentLength > maxFlowBody: // also where nobody reads it
			err = refused(&http.MaxBytesError{Limit: maxFlowBody})
		default:
			err = safely(func() error {
				var err error
				result, err = serve(r)
				return err
			})
		}
		if err == nil {
			writeJSON(w, http.StatusOK, result)
			return
		}
		failure, ok := errors.AsType[*flowError](err)
		if !ok {
			failure = &flowError{status: http.StatusInternalServerError, text: "something went wrong"}
		}
		err = fmt.Errorf("kombo: EmbeddedFlow: %s: %w", name, err)
		if f.config.OnError != nil {
			f.config.OnError(r.Context(), failure.status, err)
		} else if failure.status >= http.StatusInternalServerError {
			slog.Default().ErrorContext(r.Context(), "kombo: embedded flow failed", "status", failure.status, "error", err)
		}
		writeJSON(w, failure.status, map[string]string{"error": failure.text})
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
