// What Kombo's official SDK makes of the answers of a fake Kombo. typescript_test.go runs this; it also plays
// the customer, breaks the API, and looks at what has come. The first step that goes wrong ends it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Kombo } from "@kombo-api/sdk";
import { HTTPClient } from "@kombo-api/sdk/lib/http.js";
import * as models from "@kombo-api/sdk/models";
import * as errors from "@kombo-api/sdk/models/errors";

const { KOMBOTEST_BASE_URL: server_url, KOMBOTEST_API_KEY: api_key, KOMBOTEST_CONTROL_URL } = process.env;

// answers are the bodies as they came; each is there before the SDK has read it.
const answers = [];
const http_client = new HTTPClient().addHook("response", async (response) => {
  answers.push(await response.clone().text().catch(() => ""));
});
const kombo = new Kombo({ api_key, server_url, http_client });
const { general, connect } = kombo;

async function step(name, run) {
  try {
    await run();
    console.log(`ok: ${name}`);
  } catch (error) {
    // Of an answer that the SDK does not take, this tells the fields.
    console.log(`FAILED: ${name}\n${error.pretty?.() ?? ""}`);
    throw error;
  }
}

// control has the test do something.
async function control(action, input = {}) {
  const response = await fetch(KOMBOTEST_CONTROL_URL + action, { method: "POST", body: JSON.stringify(input) });
  const text = await response.text();
  assert.ok(response.ok, `${action}: ${text}`);
  return JSON.parse(text);
}

const complete = async (link, completion) => (await control("complete", { link, ...completion })).token;

// comparable is a reviver for what came: without what Kombo documents and the SDK does not know.
const comparable = (name, value) => (["customer_id", "next_cursor"].includes(name) ? undefined : value);

// understood fails where the SDK does not know a part of what came. It refuses what its schemas do not allow,
// but drops what they do not have.
function understood(value, body) {
  assert.deepEqual(JSON.parse(JSON.stringify(value)), JSON.parse(body, comparable));
}

// accepted returns the data of an answer.
async function accepted(call) {
  const result = await call;
  understood(result, answers.at(-1));
  return result.data;
}

// failed returns the error of a call that has to fail with a class: exactly that, as an answer that the SDK
// cannot read is a KomboError as well.
async function failed(call, type) {
  const error = await call.then(
    (result) => assert.fail(`it succeeds: ${JSON.stringify(result)}`),
    (reason) => reason,
  );
  assert.equal(error.constructor.name, type.name, error.pretty?.() ?? error.stack);
  return error;
}

async function refused(call, status, code) {
  const error = await failed(call, errors.KomboGeneralError);
  assert.deepEqual([error.statusCode, error.error.code, error.status], [status, code, "error"]);
  assert.deepEqual({ status: error.status, error: error.error }, JSON.parse(error.body));
  assert.ok(error.message);
  return error;
}

const minimal = { end_user_email: "ada@acme.example", end_user_organization_name: "Müller & Söhne <HR>" };

// connected makes an integration.
async function connected(request, completion) {
  const { link } = await accepted(connect.createConnectionLink({ ...minimal, ...request }));
  const token = await complete(link, completion);
  return { token, ...(await accepted(connect.getIntegrationByToken({ token }))) };
}

const details = (integration_id) => accepted(general.getIntegrationDetails({ integration_id }));

await step("the key", async () => {
  const { environment_id } = await accepted(general.checkApiKey());
  assert.ok(environment_id);
});

await step("a link with next to nothing", async () => {
  const { token, ...integration } = await connected({}, { tool: "workday" });
  assert.deepEqual(integration, {
    id: integration.id,
    tool: "workday",
    end_user_origin_id: null,
    end_user_organization_name: minimal.end_user_organization_name,
    end_user_email: minimal.end_user_email,
    setup_status: "COMPLETED",
  });
  assert.match(integration.id, /^workday:\w+$/);
});

await step("a link with everything", async () => {
  const integration = await connected(
    {
      end_user_origin_id: "42",
      remote_environment: "sandbox",
      integration_category: "ATS",
      integration_tool: "smartrecruiters",
      language: "de",
      scope_config_id: "9Pv6aCFwNDEzPNmwjSsY9SQx",
      enable_filtering: true,
      enable_field_mapping: true,
      link_type: "EMBEDDED",
    },
    { tool: "personio" }, // does not count: the link names one
  );
  assert.deepEqual([integration.tool, integration.end_user_origin_id], ["smartrecruiters", "42"]);
});

await step("a link with every null that the SDK sends", async () => {
  const integration = await connected({
    end_user_origin_id: null,
    remote_environment: null,
    integration_tool: null,
    language: null,
    scope_config_id: null,
  });
  assert.equal(integration.end_user_origin_id, null);
});

const { IntegrationTool } = models;
const valuesOf = (name) => Object.values(models[`PostConnectCreateLinkRequestBody${name}`]);
for (const [field, values] of [
  ["integration_tool", Object.values(IntegrationTool)],
  ["integration_category", valuesOf("IntegrationCategory")],
  ["language", valuesOf("Language")],
  ["link_type", valuesOf("LinkType")],
]) {
  await step(`a link with each ${field} that the SDK knows`, async () => {
    assert.ok(values.length > 1);
    for (const value of values) {
      await accepted(connect.createConnectionLink({ ...minimal, [field]: value }));
    }
  });
}

// filled fails where there is nothing to check in the models and actions. Only HRIS has to have both.
function filled(category, { read_models, write_actions }) {
  const parts = [...read_models, ...write_actions];
  assert.ok(parts.length > 0 && parts.every(({ fields }) => fields.length > 0), category);
  assert.ok((read_models.length > 0 && write_actions.length > 0) || category.toUpperCase() !== "HRIS", category);
}

await step("the integration, of each category", async () => {
  for (const integration_category of valuesOf("IntegrationCategory")) {
    const { id } = await connected({ integration_category, end_user_origin_id: "42" });
    const data = await details(id);
    assert.deepEqual([data.id, data.category, data.status], [id, integration_category, "ACTIVE"]);
    assert.deepEqual(data.end_user, {
      organization_name: minimal.end_user_organization_name,
      creator_email: minimal.end_user_email,
      origin_id: "42",
    });
    assert.ok(data.created_at instanceof Date && Math.abs(Date.now() - data.created_at) < 600_000);
    filled(integration_category, data);
  }
});

await step("each status and setup status", async () => {
  const { id, token } = await connected();
  const of = (name) => Object.values(models[`GetIntegrationsIntegrationIdPositiveResponse${name}`]);
  for (const state of of("Status")) {
    for (const setup_status of of("SetupStatus")) {
      await control("state", { id, state, setup_status });
      const data = await details(id);
      assert.deepEqual([data.status, data.setup_status], [state, setup_status]);
      const same = await accepted(connect.getIntegrationByToken({ token }));
      assert.equal(same.setup_status, setup_status);
    }
  }
});

await step("off and on", async () => {
  const { id: integration_id } = await connected();
  for (const [value, status] of [[false, "INACTIVE"], [true, "ACTIVE"]]) {
    assert.deepEqual(await accepted(general.setIntegrationEnabled({ integration_id, body: { value } })), {});
    assert.equal((await details(integration_id)).status, status);
  }
});

await step("reconnecting", async () => {
  const { id: integration_id } = await connected();
  for (const body of [
    {},
    { language: null, scope_config_id: null },
    { language: "fr", scope_config_id: "9Pv6aCFwNDEzPNmwjSsY9SQx", link_type: "EMBEDDED" },
    { link_type: "MAGIC_LINK" },
  ]) {
    await control("state", { id: integration_id, state: "INVALID" });
    const { link } = await accepted(general.createReconnectionLink({ integration_id, body }));
    const token = await complete(link);
    if (body.link_type === "MAGIC_LINK") {
      assert.equal(token, ""); // there is no page of ours to get one
    } else {
      assert.equal((await accepted(connect.getIntegrationByToken({ token }))).id, integration_id);
    }
    assert.equal((await details(integration_id)).status, "ACTIVE");
  }
});

await step("the setup flow", async () => {
  for (const language of [undefined, null, "es"]) {
    const { id: integration_id, setup_status } = await connected(
      { enable_filtering: true, enable_field_mapping: true },
      { leaveSetup: true },
    );
    assert.equal(setup_status, "INCOMPLETE");
    const body = { link_type: "EMBEDDED", language };
    const { link } = await accepted(general.createSetupLink({ integration_id, body }));
    const token = await complete(link);
    const { id, setup_status: after } = await accepted(connect.getIntegrationByToken({ token }));
    assert.deepEqual([id, after], [integration_id, "COMPLETED"]);
  }
});

await step("the tools of each category", async () => {
  for (const category of Object.values(models.GetToolsCategoryParameterCategory)) {
    const { tools } = await accepted(general.getTools({ category }));
    assert.ok(tools.length > 0);
    for (const { id, coverage } of tools) {
      assert.ok(Object.values(IntegrationTool).includes(id), `${id} is no tool`);
      filled(category, coverage);
    }
  }
});

// paged returns the results of a list whose pages are fetched one by one.
async function paged(call) {
  const results = [];
  for await (const { result } of await call) {
    understood(result, answers.at(-1));
    results.push(...result.data.results);
  }
  return results;
}

await step("the fields of each category, in pages of each size", async () => {
  for (const integration_category of valuesOf("IntegrationCategory")) {
    const { id: integration_id } = await connected({ integration_category });
    for (const list of ["getIntegrationFields", "getCustomFields"]) {
      const all = await paged(general[list]({ integration_id }));
      assert.ok(all.length > 1);
      for (let page_size = 1; page_size <= all.length; page_size++) {
        const before = answers.length;
        assert.deepEqual(await paged(general[list]({ integration_id, page_size })), all);
        assert.equal(answers.length - before, Math.ceil(all.length / page_size));
      }
    }
  }
});

await step("fields that are passed through, and mapped", async () => {
  const { id: integration_id } = await connected();
  const fields = () => paged(general.getIntegrationFields({ integration_id }));
  const customs = () => paged(general.getCustomFields({ integration_id }));
  const { id: integration_field_id } = (await fields())[1];
  for (const enable_passthrough of [true, false]) {
    const body = { enable_passthrough };
    const field = await accepted(general.updateIntegrationField({ integration_id, integration_field_id, body }));
    assert.deepEqual([field.id, field.is_passthrough_enabled], [integration_field_id, enable_passthrough]);
    assert.deepEqual((await fields())[1], field);
  }
  const { id: custom_field_id } = (await customs())[1];
  for (const mapped of [integration_field_id, null]) {
    const body = { integration_field_id: mapped };
    const custom = await accepted(general.updateCustomFieldMapping({ integration_id, custom_field_id, body }));
    assert.deepEqual([custom.id, custom.integration_field?.id ?? null], [custom_field_id, mapped]);
    assert.deepEqual((await customs())[1], custom);
  }
});

// of names the integration of an operation that has it in a header.
const of = (integration_id) => new Kombo({ api_key, server_url, http_client, integration_id }).general;

await step("a sync", async () => {
  const { id } = await connected();
  const first = await accepted(of(id).triggerSync({ type: "DELTA" }));
  assert.deepEqual([first.already_queued, first.type], [false, "DELTA"]);
  const second = await accepted(of(id).triggerSync({ type: "DELTA" }));
  assert.deepEqual(second, { ...first, already_queued: true });
  const other = await accepted(of(id).triggerSync({})); // one of each type can be queued
  assert.deepEqual([other.already_queued, other.type, other.sync_id === first.sync_id], [false, "FULL", false]);
});

await step("a passthrough", async () => {
  const { id } = await connected({}, { tool: "workday" });
  const requests = [
    { method: "GET", path: "/company/employees", headers: { "X-A": "b" }, params: { limit: "1" } },
    { method: "POST", path: "/", data: { a: [1, null] }, api_options: { a: "b" } },
    { method: "PATCH", path: "/", data: "text" },
    {
      method: "PUT",
      path: "/",
      multipart_form_data: [
        { name: "a", value: "text" },
        { name: "b", value: { name: "b.pdf", content_type: "application/pdf", data: "AAEC" } },
        { name: "c", value: { name: "c.pdf", data_url: "https://files.acme.example/c.pdf" } },
      ],
    },
  ];
  for (const body of requests) {
    const { status, data } = await accepted(of(id).sendPassthroughRequest({ tool: "workday", api: "rest", body }));
    assert.deepEqual([status, data], [200, body]);
  }
  const body = { method: "DELETE", path: "/a", response_as_base64: true };
  const { data } = await accepted(of(id).sendPassthroughRequest({ tool: "workday", api: "rest", body }));
  assert.deepEqual(JSON.parse(atob(data)), body);
  await refused(of(id).sendPassthroughRequest({ tool: "personio", api: "rest", body }), 400, "PLATFORM.INPUT_INVALID");
});

await step("deleting", async () => {
  const { id: integration_id, token } = await connected();
  assert.deepEqual(await accepted(general.deleteIntegration({ integration_id, body: {} })), {});
  await refused(general.deleteIntegration({ integration_id, body: {} }), 404, "PLATFORM.INTEGRATION_NOT_FOUND");
  await refused(connect.getIntegrationByToken({ token }), 400, "PLATFORM.INPUT_INVALID");
});

await step("the examples in the SDK's doc comments", async () => {
  const { id: integration_id } = await connected();
  const calls = [
    ["connect", (body) => connect.createConnectionLink(body)],
    ["general", (body) => general.createReconnectionLink({ integration_id, body })],
  ];
  for (const [file, call] of calls) {
    const text = readFileSync(new URL(`node_modules/@kombo-api/sdk/esm/sdk/${file}.d.ts`, import.meta.url), "utf8");
    const examples = [...text.matchAll(/```json\n([^`]*)```/g)];
    assert.equal(examples.length, 1, `examples in ${file}`);
    const { link } = await accepted(call(JSON.parse(examples[0][1].replaceAll(/^ *\*/gm, ""))));
    assert.ok(await complete(link));
  }
});

await step("the webhooks of all this", async () => {
  const { link } = await accepted(connect.createConnectionLink(minimal));
  await control("fail", link);
  // Not Kombo.validateWebhook: it expects the header X-Kombo-Signature in the body.
  const readers = {
    "connection-flow-failed": models.connectionFlowFailedWebhookPayloadFromJSON,
    "integration-created": models.integrationCreatedWebhookPayloadFromJSON,
    "integration-deleted": models.integrationDeletedWebhookPayloadFromJSON,
    "integration-state-changed": models.integrationStateChangedWebhookPayloadFromJSON,
  };
  const types = new Set();
  for (const body of await control("webhooks")) {
    const { type } = JSON.parse(body);
    const read = readers[type](body);
    if (!read.ok) {
      throw read.error;
    }
    understood(read.value, body);
    types.add(type);
  }
  assert.deepEqual([...types].sort(), Object.keys(readers));
});

// inHeader names the integration for one call.
const inHeader = (id) => ({ headers: { "X-Integration-Id": id } });

// operations are all that the fake has, with an input that it takes.
const { id: integration_id, token } = await connected({ enable_field_mapping: true }, { tool: "personio" });
const integration_field_id = (await paged(general.getIntegrationFields({ integration_id })))[0].id;
const custom_field_id = (await paged(general.getCustomFields({ integration_id })))[0].id;
const operations = {
  "GET /check-api-key": (k) => k.general.checkApiKey(),
  "POST /connect/create-link": (k) => k.connect.createConnectionLink(minimal),
  "GET /connect/integration-by-token/{token}": (k) => k.connect.getIntegrationByToken({ token }),
  "GET /tools/{category}": (k) => k.general.getTools({ category: "hris" }),
  "GET /integrations/{integration_id}": (k, id) => k.general.getIntegrationDetails({ integration_id: id }),
  "PUT /integrations/{integration_id}/enabled": (k, id) =>
    k.general.setIntegrationEnabled({ integration_id: id, body: { value: true } }),
  "POST /integrations/{integration_id}/relink": (k, id) =>
    k.general.createReconnectionLink({ integration_id: id, body: {} }),
  "POST /integrations/{integration_id}/setup-link": (k, id) =>
    k.general.createSetupLink({ integration_id: id, body: { link_type: "EMBEDDED" } }),
  "GET /integrations/{integration_id}/integration-fields": (k, id) => paged(k.general.getIntegrationFields({ integration_id: id })),
  "PATCH /integrations/{integration_id}/integration-fields/{integration_field_id}": (k, id) =>
    k.general.updateIntegrationField({ integration_id: id, integration_field_id, body: { enable_passthrough: true } }),
  "GET /integrations/{integration_id}/custom-fields": (k, id) => paged(k.general.getCustomFields({ integration_id: id })),
  "PUT /integrations/{integration_id}/custom-fields/{custom_field_id}": (k, id) =>
    k.general.updateCustomFieldMapping({ integration_id: id, custom_field_id, body: { integration_field_id } }),
  "POST /force-sync": (k, id) => k.general.triggerSync({}, inHeader(id)),
  "POST /passthrough/{tool}/{api}": (k, id) =>
    k.general.sendPassthroughRequest({ tool: "personio", api: "personnel", body: { method: "GET", path: "/" } }, inHeader(id)),
  "DELETE /integrations/{integration_id}": (k, id) => k.general.deleteIntegration({ integration_id: id, body: {} }),
};

await step("a wrong key, and none", async () => {
  for (const options of [{ api_key: "wrong" }, {}]) {
    const stranger = new Kombo({ server_url, ...options });
    for (const call of Object.values(operations)) {
      await refused(call(stranger, integration_id), 401, "PLATFORM.AUTHENTICATION_INVALID");
    }
  }
});

await step("an unknown integration", async () => {
  for (const [op, call] of Object.entries(operations)) {
    if (op.includes("{integration_id}") || op.includes("force-sync") || op.includes("passthrough/")) {
      await refused(call(kombo, "workday:1234/5?#%"), 404, "PLATFORM.INTEGRATION_NOT_FOUND");
    }
  }
});

await step("input that only the server refuses", async () => {
  for (const invalid of [
    { end_user_email: "ada" },
    { end_user_organization_name: "" },
    { end_user_origin_id: "" },
    { remote_environment: "sandbox" }, // of no tool
  ]) {
    await refused(connect.createConnectionLink({ ...minimal, ...invalid }), 400, "PLATFORM.INPUT_INVALID");
  }
  await refused(connect.getIntegrationByToken({ token: "unknown" }), 400, "PLATFORM.INPUT_INVALID");
  await refused(general.triggerSync({}), 400, "PLATFORM.INPUT_INVALID"); // of no integration
  for (const list of ["getIntegrationFields", "getCustomFields"]) {
    await refused(paged(general[list]({ integration_id, cursor: "unknown" })), 400, "PLATFORM.INPUT_INVALID");
    await refused(paged(general[list]({ integration_id, page_size: 2001 })), 400, "PLATFORM.INPUT_INVALID");
  }
  const { id } = await connected(); // without setup steps
  const body = { link_type: "EMBEDDED" };
  await refused(general.createSetupLink({ integration_id: id, body }), 400, "PLATFORM.INPUT_INVALID");
});

await step("an operation that the fake does not have", async () => {
  await failed(kombo.hris.getEmployees({}), errors.KomboHrisError);
});

// The statuses are those of kombotest; the SDK takes any.
const statuses = {
  "PLATFORM.RATE_LIMIT_EXCEEDED": 429,
  "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED": 429,
  "PLATFORM.INTEGRATION_NOT_FOUND": 404,
  "PLATFORM.INPUT_INVALID": 400,
  "PLATFORM.UNKNOWN_ERROR": 500,
  "PLATFORM.IP_NOT_WHITELISTED": 403,
  "PLATFORM.AUTHENTICATION_INVALID": 401,
  "PLATFORM.TASK_TIMED_OUT": 504,
};

await step("each operation with each error code that the SDK knows", async () => {
  for (const code of Object.values(models.KomboGeneralErrorCode)) {
    for (const [op, call] of Object.entries(operations)) {
      await control("fault", { op, code, message: `${code} of ${op}`, retryAfter: 7e9 });
      const error = await refused(call(kombo, integration_id), statuses[code], code);
      assert.deepEqual([error.message, error.headers.get("retry-after")], [`${code} of ${op}`, "7"]);
    }
  }
});

await step("the limits", async () => {
  await control("limits", { rate: 1, per: 3600e9 });
  await accepted(general.checkApiKey());
  const error = await refused(general.checkApiKey(), 429, "PLATFORM.RATE_LIMIT_EXCEEDED");
  assert.match(error.headers.get("retry-after"), /^[1-9]\d*$/);
  await control("limits", {});
});

await step("no answer of Kombo's", async () => {
  await control("fault", { status: 502, body: "<html>down</html>" });
  assert.equal((await failed(general.checkApiKey(), errors.KomboDefaultError)).statusCode, 502);
  await control("fault", { status: 503 });
  assert.equal((await failed(general.checkApiKey(), errors.KomboDefaultError)).statusCode, 503);
  await control("fault", { cut: true });
  await failed(general.checkApiKey(), errors.ConnectionError);
  await control("fault", { delay: 3600e9 });
  await failed(general.checkApiKey({ timeout_ms: 50 }), errors.RequestTimeoutError);
});

await step("the SDK's repetitions", async () => {
  const backoff = { initialInterval: 1, maxInterval: 1, exponent: 1, maxElapsedTime: 60_000 };
  const retry_config = { strategy: "backoff", backoff, retryConnectionErrors: true };
  const stubborn = new Kombo({ api_key, server_url, http_client, retry_config });
  const op = "POST /connect/create-link";
  for (const fault of [
    { status: 503 },
    { code: "PLATFORM.RATE_LIMIT_EXCEEDED", retryAfter: 7e9 },
    { code: "PLATFORM.TASK_TIMED_OUT" },
  ]) {
    const before = answers.length;
    await control("fault", { op, times: 2, ...fault });
    await accepted(operations[op](stubborn));
    assert.equal(answers.length - before, 3);
  }
  await control("fault", { op, times: 2, cut: true });
  await accepted(operations[op](stubborn));
  // What cannot get better is not repeated.
  const before = answers.length;
  await control("fault", { op, code: "PLATFORM.INPUT_INVALID" });
  await refused(operations[op](stubborn), 400, "PLATFORM.INPUT_INVALID");
  assert.equal(answers.length - before, 1);
});

console.log("done");
