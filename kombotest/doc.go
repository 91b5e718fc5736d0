// Package kombotest is a fake Kombo for tests and local work: it serves the API on a loopback
// address, plays the customer's part of the connection flow (or shows the customer's pages in a
// browser), and delivers signed webhooks. It needs no account, no tunnel and no network.
//
//	srv, client := kombotest.Start(t, kombotest.Config{WebhookSecret: "test-secret"})
//	app := httptest.NewServer(newApp(client, "test-secret")) // the service under test
//	defer app.Close()
//	srv.SetWebhookURL(app.URL + "/webhooks/kombo")
//
//	link, err := client.Connect.CreateLink(ctx, request)
//	token, err := srv.CompleteFlow(ctx, link.URL, kombotest.Completion{Tool: "personio"})
//	srv.AwaitDelivery(t, kombo.EventIntegrationCreated)
//
// # The customer
//
// [Server.CompleteFlow] and [Server.FailFlow] do what a customer does who opens a link. In a browser
// the link shows the same flow as a page, in the link's language: choose a tool, type credentials (all
// are accepted but those that contain the word "wrong"), finish the setup steps that the link asks
// for. It speaks the protocol of the browser library @kombo-api/connect 1.3.0; a magic link ends on a
// page of its own. [Server.SetState], [Server.SetSetupStatus], [Server.RaiseIssue], [Server.ResolveIssue], [Server.FinishSync]
// and [Server.DeleteIntegration] do what time, and people in Kombo's dashboard, do. [Config.Passthrough] plays the tool
// behind an integration. [Server.Connect], [Server.CreateLink] and [Server.Relink] make integrations and links without a request
// of the API.
//
// # Webhooks
//
// Events are delivered over HTTP, written and signed as Kombo does it, and repeated with the same id
// and body until they are accepted; see [Redelivery]. [Server.Deliver] sends any event, such as a [Sample],
// [Server.Redeliver] one again, and [Server.DeliverForged] one with a wrong signature. To see whether
// a service stands duplicates, delays, losses and another order, use [Server.InjectWebhookFault] and
// [Server.HoldWebhooks]. [Server.Deliveries] tells what was sent and answered.
//
// # Faults
//
// [Server.InjectFault] breaks the answers of the API: other statuses and bodies, Retry-After, cut
// connections, slow and truncated answers, answers that get lost after the request has taken effect.
// [Server.SetLimits] limits rate and concurrency. [Server.Requests] returns what came.
//
// # What it does not know about the real Kombo
//
// It answers as Kombo's documentation says. Where that is silent it has to choose, and the choice
// proves nothing about the real Kombo:
//
//   - An unknown activation token, and that of a deleted integration, is PLATFORM.INPUT_INVALID. A token
//     can be exchanged more than once and does not expire.
//   - A link works once: when its flow is finished it is used up. A failed attempt leaves it open.
//   - An unknown integration is a 404.
//   - Reconnecting makes an integration active, whatever it was, and is announced by
//     integration-state-changed, as is each finished setup and each switch on or off.
//   - Finished setup steps complete the setup at once: FINAL_SYNC_PENDING comes from [Server.SetSetupStatus]
//     only, and data never expires.
//   - Greenhouse, SCIM and Teamtailor ask for a setup step by themselves; which tools do is not documented otherwise. The
//     flow that connects them leaves it, so the setup stays incomplete until a setup link is finished.
//   - A sync that was asked for stays queued, whatever the state of the integration, until [Server.FinishSync];
//     it succeeds. One of each type can be queued. Only sync-finished reports it: nothing has changed, so there is no data-changed.
//   - Issues are raised and resolved by [Server.RaiseIssue] and [Server.ResolveIssue] only, not by a change of the state. An
//     integration has at most one open issue of a type; its title and message are made up.
//   - A request that lacks X-Integration-Id, and one that names an unknown field, custom field or cursor, is
//     PLATFORM.INPUT_INVALID. enable_passthrough null changes nothing.
//   - A passthrough takes any name of an API, but only the integration's own tool. A parameter whose name is also in the
//     query of the path is sent twice.
//   - Numbers and the order of members are carried as they were given; the real Kombo decodes and encodes what it passes on.
//     A lone surrogate in a name or an id becomes U+FFFD.
//   - A deletion by the API is announced by integration-deleted, after the answer, in the background
//     (see [Server.Wait]); so is a switch on or off by the API, by integration-state-changed; so is what [Server.CompleteFlow] would announce when it happens in a browser.
//   - Which deliveries are repeated, how often and how fast. Background deliveries are begun in the
//     order of their causes, which the real Kombo does not promise.
//   - The rate limit, its window, whether Retry-After comes with it, and which requests it counts.
//   - A passthrough counts as an action for the concurrency limit, whatever its method; the limit is the same for each
//     integration. Concurrency-Remaining is what is left beside the action itself.
//   - The statuses of error codes, but for 409 of the three codes for what is not ready, and 429 of the limits. No code
//     comes by itself because of the state of an integration; see [Server.InjectFault].
//   - The tools, their categories and credentials, the models and actions of an integration, and the
//     names of scope configs, and the fields and custom fields, are samples. The slugs of tools are those of August 2026. Any
//     other of lower-case letters and digits is accepted, unless [Config.StrictTools] is set.
//
// Not simulated: data, what a sync reads, the tools behind a passthrough, scope config contents, IP allow lists,
// environments of a tool.
package kombotest
