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
// the link shows the same flow as a page, in the link's language: choose a tool, enter credentials (all
// are accepted except those that contain the word "wrong"), finish the setup steps that the link enables.
// The page speaks the protocol of the browser library @kombo-api/connect 1.3.0; a magic link ends on a
// page of its own. [Server.SetState], [Server.SetSetupStatus], [Server.RaiseIssue], [Server.ResolveIssue], [Server.FinishSync]
// and [Server.DeleteIntegration] do what otherwise takes time, or is done in Kombo's dashboard. [Config.Passthrough] plays the tool
// behind an integration. [Server.Connect], [Server.CreateLink] and [Server.Relink] make integrations and links without a request
// of the API.
//
// # Data
//
// [Server.PutRecord] and [Server.DeleteRecord] change the data of an integration, which the lists of the API serve ([Lists], such as
// "/hris/employees"): with pages, filters, changed_at and remote_deleted_at. [SampleRecords] are ready-made ones. [Server.FinishSync] delivers data-changed with the models
// that have changed since. Data can be read at once, unless [Config.FirstSyncPending] is set. [Server.HandleFunc] serves everything
// else that is about data: actions such as "POST /ats/jobs/{job_id}/applications".
//
// # Webhooks
//
// Events are delivered over HTTP, written and signed as Kombo does it, and retried with the same id
// and body until they are accepted; see [Redelivery]. [Server.Deliver] sends any event, such as a [Sample],
// [Server.Redeliver] sends one again, and [Server.DeliverForged] sends one with a wrong signature. To test
// a service with duplicates, delays, losses and another order, use [Server.InjectWebhookFault] and
// [Server.HoldWebhooks]. [Server.Deliveries] returns the attempts and their responses.
//
// # Faults
//
// [Server.InjectFault] changes responses of the API: other statuses and bodies, Retry-After, cut
// connections, slow and truncated responses, responses that are lost after the request was executed.
// [Server.SetLimits] limits rate and concurrency. [Server.Requests] returns the requests.
//
// # What it does not know about the real Kombo
//
// It does what Kombo's documentation describes. If the documentation is silent it has to choose, and the choice
// proves nothing about the real Kombo:
//
//   - An unknown activation token, and that of a deleted integration, is PLATFORM.INPUT_INVALID. A token
//     can be exchanged more than once and does not expire.
//   - A link works once: when its flow is finished it is used up. A failed attempt leaves it open.
//   - An unknown integration is a 404.
//   - Reconnecting makes an integration active, whatever its state was, and causes
//     integration-state-changed, as does each finished setup, and each time an integration is enabled or disabled.
//   - Finished setup steps complete the setup at once: FINAL_SYNC_PENDING is set by [Server.SetSetupStatus] and
//     [Config.FirstSyncPending] only, and data never expires.
//   - Greenhouse, SCIM and Teamtailor require a setup step by themselves; no other tool is documented to. The
//     flow that connects them does not contain it, so the setup stays incomplete until the flow of a setup link is finished.
//   - A triggered sync stays queued, whatever the state of the integration, until [Server.FinishSync];
//     it succeeds. One of each type can be queued. After sync-finished there is a data-changed, if records have changed since the
//     last one and can be read. A change does not wait for a sync to be read.
//   - Issues are raised and resolved by [Server.RaiseIssue] and [Server.ResolveIssue] only, not by a change of the state. An
//     integration has at most one open issue of a type; its title and message are samples.
//   - A request without X-Integration-Id, or with an unknown field, custom field or cursor, is
//     PLATFORM.INPUT_INVALID. enable_passthrough null changes nothing.
//   - A passthrough accepts any name of an API, but only the integration's own tool. A parameter whose name is also in the
//     query of the path is sent twice.
//   - Numbers and the order of members are kept as they were sent; the real Kombo decodes and encodes them.
//     A lone surrogate in a name or an id becomes U+FFFD.
//   - A deletion by the API causes integration-deleted, which is delivered after the response, in the background
//     (see [Server.Wait]). So are the events of enabling and disabling an integration by the API, and of a flow in a browser.
//   - Which deliveries are retried, how often and how fast. Background deliveries begin in the
//     order of their events, which the real Kombo does not promise.
//   - The rate limit, its window, whether Retry-After comes with it, and which requests it counts.
//   - A passthrough counts as an action for the concurrency limit, whatever its method, and so does every operation of
//     [Server.HandleFunc] that is not a GET and not of AI Apply; the limit is the same for each
//     integration. Concurrency-Remaining does not count the action itself.
//   - The statuses of error codes, except 409 of the three codes for integrations that are not ready, and 429 of the limits. Data
//     cannot be read, and actions fail, until the setup status is COMPLETED. No other code is caused by the state of an integration; see [Server.InjectFault].
//   - The records of a list are in the order in which they were put first. A cursor expires after an hour, and is valid for the same
//     integration, list and filters only. Records that are put or deleted meanwhile shift no page.
//   - updated_after selects what has changed after the time, not at it. A change after a read is at least a millisecond later than the
//     read, even if the clock stands still. Records are independent: a change of a group is not a change of the employees in it.
//   - An unknown parameter of a list, and one that is given twice, is PLATFORM.INPUT_INVALID; a blank filter selects everything. A filter is
//     not supported by the integration, as ignore_unsupported_filters has it, if no record of the list has the field.
//   - Every integration has all lists, whatever its category. What their records contain is not checked.
//   - The tools, their categories and credentials, the models and actions of an integration, the
//     names of scope configs, and the fields and custom fields are samples. The slugs of tools are those of August 2026. Every
//     other slug of lower-case letters and digits is accepted, unless [Config.StrictTools] is set.
//
// Not simulated: what a sync reads, the tools behind a passthrough, scope config contents, IP allow lists,
// environments of a tool.
package kombotest
