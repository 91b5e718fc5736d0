// Package kombotest is a fake Kombo for tests and local work: it serves the API on a loopback
// address, plays the customer's part of the connection flow, and delivers signed webhooks. It needs
// no account, no tunnel and no network.
//
//	srv := kombotest.NewServer(kombotest.Config{WebhookSecret: "test-secret"})
//	defer srv.Close()
//	client, err := srv.Client()
//	app := httptest.NewServer(newApp(client, "test-secret")) // the service under test
//	defer app.Close()
//	srv.SetWebhookURL(app.URL + "/webhooks/kombo")
//
//	link, err := client.Connect.CreateLink(ctx, request)
//	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"})
//
// It answers as Kombo's documentation says. Where that is silent it has to choose, and the choice
// proves nothing about the real Kombo: an unknown activation token is invalid input; a token can be
// exchanged more than once; a link works once and does not expire; a deletion by the API is announced
// by integration-deleted, after the answer, in the background (see [Server.Wait]).
//
// Each webhook is delivered once. Setup steps, scope configs, rate limits and faults are not
// simulated.
package kombotest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kombo-go/kombo"
)

// Config says what a [Server] knows of the service under test. The zero value is fine.
type Config struct {
	// APIKey is the only key that the API accepts; "" means one that is made up.
	APIKey string
	// WebhookURL is where webhooks are delivered; "" means nowhere, until [Server.SetWebhookURL].
	WebhookURL string
	// WebhookSecret signs the webhooks; "" means one that is made up.
	WebhookSecret string
}

// Server is a fake Kombo. It is safe for concurrent use.
type Server struct {
	url     string
	config  Config
	http    http.Server
	webhook http.Client

	// background is what Close waits for; stop ends it.
	background sync.WaitGroup
	context    context.Context //nolint:containedctx // it is the server's life, not a call's
	stop       context.CancelFunc

	mutex        sync.Mutex
	closed       bool
	webhookURL   string
	announcing   int // deliveries in the background
	announced    *sync.Cond
	failed       []error // of those
	flows        map[string]flow
	activations  map[string]string
	integrations map[string]*integration
}

// flow is what a link leads to: a new integration, or an existing one to reconnect.
type flow struct {
	request       createLinkBody
	integrationID string
	linkType      kombo.LinkType
}

type integration struct {
	id, tool string
	category kombo.Category
	endUser  kombo.EndUser
}

// NewServer starts a server on a loopback address. Close it when it is no longer needed. It panics
// where no loopback address can be listened on, as [net/http/httptest.NewServer] does.
func NewServer(config Config) *Server {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("kombotest: %v", err))
	}
	if config.APIKey == "" {
		config.APIKey = "kombotest-" + rand.Text()
	}
	if config.WebhookSecret == "" {
		config.WebhookSecret = "kombotest-" + rand.Text()
	}
	s := &Server{
		url:    "http://" + listener.Addr().String(),
		config: config,
		webhook: http.Client{
			Timeout: 10 * time.Second, Transport: &http.Transport{},
			// A receiver that redirects, to its login page say, has not taken the webhook.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		flows:        map[string]flow{},
		activations:  map[string]string{},
		integrations: map[string]*integration{},
		webhookURL:   config.WebhookURL,
	}
	s.announced = sync.NewCond(&s.mutex)
	s.context, s.stop = context.WithCancel(context.Background())
	s.http = http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.background.Go(func() { _ = s.http.Serve(listener) })
	return s
}

// Close stops the server, deliveries under way included, and waits until nothing of it is left.
func (s *Server) Close() {
	s.mutex.Lock()
	s.closed = true
	s.mutex.Unlock()
	s.stop()
	_ = s.http.Close()
	s.background.Wait()
	s.webhook.CloseIdleConnections()
}

// begin counts something that Close has to wait for, which ends with a call of done. It is not ok
// once the server is closed.
func (s *Server) begin() (done func(), ok bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return nil, false
	}
	s.background.Add(1)
	return s.background.Done, true
}

// BaseURL returns the address of the API, for [kombo.WithBaseURL].
func (s *Server) BaseURL() string { return s.url + "/v1" }

// APIKey returns the key that the API accepts.
func (s *Server) APIKey() string { return s.config.APIKey }

// WebhookSecret returns the secret that signs the webhooks, for [kombo.NewWebhookVerifier].
func (s *Server) WebhookSecret() string { return s.config.WebhookSecret }

// String describes the server without its secrets.
func (s *Server) String() string { return "kombotest.Server(" + s.url + ")" }

// GoString describes the server without its secrets.
func (s *Server) GoString() string { return s.String() }

// SetWebhookURL changes where webhooks are delivered: a service that needs a client before it can
// start has no address yet when the server is made.
func (s *Server) SetWebhookURL(webhookURL string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.webhookURL = webhookURL
}

// Client returns a client that talks to the server. It retries as every client does, but waits next
// to nothing in between.
func (s *Server) Client(options ...kombo.Option) (*kombo.Client, error) {
	return kombo.NewClient(s.config.APIKey, append([]kombo.Option{
		kombo.WithBaseURL(s.BaseURL()),
		kombo.WithRetry(kombo.RetryPolicy{BaseDelay: time.Millisecond}),
	}, options...)...)
}

// Completion is what the customer enters in the connection flow.
type Completion struct {
	// Tool is the slug of the tool that the customer chooses; "" means "personio". It does not
	// count where the link names one.
	Tool string
}

// CompleteFlow plays the customer who opens a link and finishes the flow. It returns the activation
// token that the browser would get, or "" for a magic link, whose flow ends on a page of Kombo's.
//
// A connection link makes an integration, which is announced by integration-created; a reconnection
// link makes its integration active again, announced by integration-state-changed. CompleteFlow
// returns once the webhook is delivered. Where the service does not accept it, the error says so; the
// flow is finished, and the token valid, nevertheless.
func (s *Server) CompleteFlow(ctx context.Context, linkURL string, completion Completion) (token string, err error) {
	flow, err := s.takeFlow(linkURL)
	if err != nil {
		return "", err
	}
	if flow.integrationID != "" {
		return s.activate(flow, flow.integrationID), s.SetState(ctx, flow.integrationID, kombo.StateActive)
	}
	tool := first(flow.request.IntegrationTool, completion.Tool, "personio")
	created := &integration{
		id:       tool + ":" + rand.Text()[:24],
		tool:     tool,
		category: flow.request.category(),
		endUser:  flow.request.endUser(),
	}
	s.mutex.Lock()
	s.integrations[created.id] = created
	s.mutex.Unlock()
	return s.activate(flow, created.id), s.Deliver(ctx, &kombo.IntegrationCreatedEvent{
		EventHeader: newHeader(kombo.EventIntegrationCreated),
		Data: kombo.IntegrationCreatedData{
			ID: created.id, Tool: created.tool, Category: created.category, EndUser: created.endUser,
		},
	})
}

// FailFlow plays the customer who opens a link and cannot connect. It returns once
// connection-flow-failed is delivered. The link stays valid.
func (s *Server) FailFlow(ctx context.Context, linkURL string) error {
	s.mutex.Lock()
	_, flow, err := s.findFlow(linkURL)
	if err != nil {
		s.mutex.Unlock()
		return err
	}
	data := kombo.ConnectionFlowFailedData{
		IntegrationTool:     first(flow.request.IntegrationTool, "personio"),
		IntegrationCategory: flow.request.category(),
		EndUser:             flow.request.endUser(),
		LogURL:              "https://app.kombo.dev/env/kombotest/logs?flowId=" + rand.Text()[:24],
	}
	if existing, ok := s.integrations[flow.integrationID]; ok {
		data.IntegrationTool, data.IntegrationCategory, data.EndUser = existing.tool, existing.category, existing.endUser
	}
	s.mutex.Unlock()
	return s.Deliver(ctx, &kombo.ConnectionFlowFailedEvent{
		EventHeader: newHeader(kombo.EventConnectionFlowFailed), Data: data,
	})
}

// SetState announces another state of an integration, as when its credentials break
// ([kombo.StateInvalid]), and returns once integration-state-changed is delivered.
func (s *Server) SetState(ctx context.Context, integrationID string, state kombo.State) error {
	s.mutex.Lock()
	changed, ok := s.integrations[integrationID]
	if !ok {
		s.mutex.Unlock()
		return fmt.Errorf("kombotest: no integration %q", integrationID)
	}
	event := &kombo.IntegrationStateChangedEvent{
		EventHeader: newHeader(kombo.EventIntegrationStateChanged),
		Data: kombo.IntegrationStateChangedData{
			IntegrationID: changed.id, IntegrationTool: changed.tool, IntegrationCategory: changed.category,
			EndUser: changed.endUser, State: state, QAStatus: kombo.QAStatusPassed,
			SetupStatus: kombo.SetupStatusCompleted, UpdatedAt: now(),
		},
	}
	s.mutex.Unlock()
	return s.Deliver(ctx, event)
}

// takeFlow finds the flow that a link leads to, which the link can enter once.
func (s *Server) takeFlow(linkURL string) (flow, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	token, found, err := s.findFlow(linkURL)
	delete(s.flows, token)
	return found, err
}

// findFlow finds the flow that a link leads to. The caller holds the mutex.
func (s *Server) findFlow(linkURL string) (token string, found flow, err error) {
	link, err := url.Parse(linkURL)
	if err != nil || linkURL == "" {
		return "", flow{}, errors.New("kombotest: the link is empty, or no URL")
	}
	if link.Host != strings.TrimPrefix(s.url, "http://") {
		return "", flow{}, errors.New("kombotest: the link is not one of this server")
	}
	token = link.Query().Get("token")
	found, ok := s.flows[token]
	if !ok {
		return "", flow{}, errors.New("kombotest: the link is unknown or used up")
	}
	if _, ok := s.integrations[found.integrationID]; found.integrationID != "" && !ok {
		return "", flow{}, errors.New("kombotest: the integration of the link is deleted")
	}
	return token, found, nil
}

func (s *Server) newLink(f flow) string {
	token := newToken()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.flows[token] = f
	return s.url + "/connect/v1?token=" + token
}

// activate returns a token for the browser that went through the flow.
func (s *Server) activate(f flow, integrationID string) string {
	if f.linkType == kombo.LinkTypeMagicLink {
		return ""
	}
	token := newToken()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.activations[token] = integrationID
	return token
}

// announce delivers event in the background, for Wait to wait for.
func (s *Server) announce(event kombo.Event) {
	done, ok := s.begin()
	if !ok {
		return
	}
	s.mutex.Lock()
	s.announcing++
	s.mutex.Unlock()
	go func() {
		defer done()
		err := s.Deliver(s.context, event)
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.announcing--
		if err != nil {
			s.failed = append(s.failed, err)
		}
		s.announced.Broadcast()
	}()
}

// Wait returns once all webhooks that are delivered in the background have arrived. The error tells
// which of them the service did not accept since the last call.
func (s *Server) Wait(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.announced.Broadcast()
	})()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.announcing > 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("kombotest: waiting for webhooks: %w", ctx.Err())
		}
		s.announced.Wait()
	}
	err := errors.Join(s.failed...)
	s.failed = nil
	return err
}

// Deliver sends one webhook, as Kombo writes and signs it, and returns once it has arrived: an event
// that a test has made, or one again that came before (encoded anew, so without what its struct does
// not hold). The error says where the service does not accept it.
func (s *Server) Deliver(ctx context.Context, event kombo.Event) error {
	if event == nil {
		return errors.New("kombotest: the event is nil")
	}
	if event.EventID() == "" || event.EventType() == "" {
		return errors.New("kombotest: the event has no ID or no Type")
	}
	done, ok := s.begin()
	if !ok {
		return errors.New("kombotest: the server is closed")
	}
	defer done()
	s.mutex.Lock()
	webhookURL := s.webhookURL
	s.mutex.Unlock()
	if webhookURL == "" {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.context, func() { cancel(errors.New("the server was closed")) })()
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(event); err != nil {
		return fmt.Errorf("kombotest: %w", err)
	}
	body.Truncate(body.Len() - 1)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, webhookURL, bytes.NewReader(body.Bytes()))
	if err != nil {
		return fmt.Errorf("kombotest: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(kombo.SignatureHeader, kombo.SignWebhook(s.config.WebhookSecret, body.Bytes()))
	response, err := s.webhook.Do(request)
	if err != nil {
		return fmt.Errorf("kombotest: delivering %s: %w", event.EventType(), err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("kombotest: delivering %s: the receiver answered %s; does it verify with Config.WebhookSecret?", event.EventType(), response.Status)
	case response.StatusCode < 200 || response.StatusCode > 299:
		return fmt.Errorf("kombotest: delivering %s: the receiver answered %s", event.EventType(), response.Status)
	}
	return nil
}

func newHeader(eventType kombo.EventType) kombo.EventHeader {
	return kombo.EventHeader{ID: rand.Text()[:24], Type: eventType}
}

// newToken returns a token in the form of a JSON Web Token, which nobody can guess.
func newToken() string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		encode([]byte(`{"jti":"`+rand.Text()+`"}`)) + "." + encode([]byte(rand.Text()))
}

// now is the time in the precision in which Kombo tells it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func orNull(value string) any {
	if value == "" {
		return nil
	}
	return value
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

// createLinkBody is the body of create-link as the documentation has it.
type createLinkBody struct {
	EndUserEmail            string         `json:"end_user_email"`
	EndUserOrganizationName string         `json:"end_user_organization_name"`
	EndUserOriginID         string         `json:"end_user_origin_id"`
	IntegrationCategory     kombo.Category `json:"integration_category"`
	IntegrationTool         string         `json:"integration_tool"`
	RemoteEnvironment       string         `json:"remote_environment"`
	EnableStaticIPs         bool           `json:"enable_static_ips"`
	linkBody
}

func (b createLinkBody) problem() string {
	switch {
	case !strings.Contains(b.EndUserEmail, "@"):
		return "end_user_email: an e-mail address is required"
	case b.EndUserOrganizationName == "":
		return "end_user_organization_name: a name is required"
	case b.RemoteEnvironment != "" && b.IntegrationTool == "":
		return "remote_environment: only together with integration_tool"
	}
	switch b.IntegrationCategory {
	case "", kombo.CategoryHRIS, kombo.CategoryATS, kombo.CategoryAssessment, kombo.CategoryLMS:
		return b.linkBody.problem()
	}
	return "integration_category: not one of HRIS, ATS, ASSESSMENT, LMS"
}

func (b createLinkBody) category() kombo.Category {
	return kombo.Category(first(string(b.IntegrationCategory), string(kombo.CategoryHRIS)))
}

func (b createLinkBody) endUser() kombo.EndUser {
	return kombo.EndUser{
		OrganizationName: b.EndUserOrganizationName, CreatorEmail: b.EndUserEmail, OriginID: b.EndUserOriginID,
	}
}

// linkBody is what the bodies of create-link and relink have in common.
type linkBody struct {
	Language kombo.Language `json:"language"`
	LinkType kombo.LinkType `json:"link_type"`
}

func (b linkBody) problem() string {
	switch b.Language {
	case "", kombo.LanguageEN, kombo.LanguageDE, kombo.LanguageFR, kombo.LanguageIT, kombo.LanguageES:
	default:
		return "language: not one of en, de, fr, it, es"
	}
	switch b.LinkType {
	case "", kombo.LinkTypeEmbedded, kombo.LinkTypeMagicLink:
		return ""
	}
	return "link_type: not one of EMBEDDED, MAGIC_LINK"
}
