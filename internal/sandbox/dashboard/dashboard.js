// The dashboard of the sandbox. It shows /_sandbox/state, fetches it again whenever
// /_sandbox/stream says that something has changed, and turns buttons into calls of the control API.
//
// Two rules: what comes from outside enters the page as text only, and a live update touches only
// what has changed, so that typed input, focus, scroll positions and open rows stay as they are.
"use strict";

// ---------------------------------------------------------------------------------------------
// Small tools

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const list = (value) => (Array.isArray(value) ? value : []); // Go writes null for an empty slice
const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** h makes an element: h("p.note", {title: "…"}, "text", child). */
function h(what, props = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const el = document.createElement(tag);
  if (classes.length) el.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (value === true) el.setAttribute(name, "");
    else if (value !== false && value != null) el.setAttribute(name, value);
  }
  el.append(...children.filter((child) => child != null));
  return el;
}

function icon(name) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(ns, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

const setIcon = (button, name) => $("use", button).setAttribute("href", `#i-${name}`);

function setText(el, text) {
  text = text == null ? "" : String(text);
  if (el.textContent !== text) el.textContent = text;
}

function setAttr(el, name, value) {
  if (value == null || value === false) {
    if (el.hasAttribute(name)) el.removeAttribute(name);
  } else {
    value = value === true ? "" : String(value);
    if (el.getAttribute(name) !== value) el.setAttribute(name, value);
  }
}

function setClass(el, className) {
  if (el.className !== className) el.className = className;
}

function setHidden(el, hidden) {
  if (el.hidden !== hidden) el.hidden = hidden;
}

/** td makes a table cell; the roles keep the table a table where CSS lays it out as cards. */
const td = (className, ...children) => h(`td.${className}`, { role: "cell" }, ...children);

const button = (label, action, onclick, props = {}) =>
  h(`button.btn.small${props.kind ? `.${props.kind}` : ""}`,
    { type: "button", "data-action": action, "aria-label": props.label, title: props.title, onclick }, label);

const iconButton = (name, label, action, onclick) =>
  h("button.icon", { type: "button", "data-action": action, "aria-label": label, title: label, onclick }, icon(name));

/** reindent lays JSON out without decoding it, so that numbers and escapes stay as they were sent. */
function reindent(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === "{" || token === "[") {
      depth++;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth--;
      out = /[{[]\s*$/.test(out) ? out.trimEnd() + token : out + line() + token;
    } else if (token === ",") out += token + line();
    else if (token === ":") out += ": ";
    else out += token;
  }
  return out;
}

/** webURL is url where it is safe to open, or "". */
function webURL(url) {
  try {
    const { protocol } = new URL(url);
    return protocol === "http:" || protocol === "https:" ? url : "";
  } catch {
    return "";
  }
}

// ---------------------------------------------------------------------------------------------
// Times

const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const fullFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

function format(formatter, time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "–" : formatter.format(date);
}

function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function relative(time, kind) {
  const date = new Date(time).getTime();
  if (Number.isNaN(date)) return "–";
  if (kind === "until") return date <= Date.now() ? "expired" : `in ${span(date - Date.now())}`;
  return Date.now() - date < 3000 ? "just now" : `${span(Date.now() - date)} ago`;
}

function setTime(el, time, kind) {
  setAttr(el, "datetime", time);
  setAttr(el, "title", format(fullFormat, time));
  if (kind === "clock") {
    setText(el, format(clockFormat, time));
    return;
  }
  setAttr(el, "data-relative", kind);
  setText(el, relative(time, kind));
}

setInterval(() => {
  for (const el of $$("time[data-relative]")) {
    setText(el, relative(el.getAttribute("datetime"), el.dataset.relative));
  }
}, 1000);

const took = (ms) => (ms == null ? "" : ms < 10 ? `${Number(ms).toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

// ---------------------------------------------------------------------------------------------
// Results of actions

const toasts = $("#toasts");

/** toast shows a result: {kind: "ok|warn|bad", title, detail, actions: [[label, action, run]]}. */
function toast({ kind = "ok", title, detail, actions = [] }) {
  const el = h(`div.toast.${kind}`, { "data-toast": kind });
  const close = () => {
    clearTimeout(timer);
    el.remove();
  };
  const text = h("div.toast-text", {}, h("p.toast-title", {}, title));
  if (detail) text.append(h("p.toast-detail", {}, detail));
  if (actions.length) {
    text.append(h("div.toast-actions", {}, ...actions.map(([label, action, run]) => button(label, action, run))));
  }
  el.append(text, iconButton("close", "Dismiss", "dismiss", close));
  let timer;
  const lasting = kind === "ok" ? (actions.length ? 20000 : 4000) : 12000;
  const start = () => {
    clearTimeout(timer);
    timer = setTimeout(close, lasting);
  };
  el.addEventListener("pointerenter", () => clearTimeout(timer));
  el.addEventListener("pointerleave", start);
  el.addEventListener("focusin", () => clearTimeout(timer));
  el.addEventListener("focusout", start);
  start();
  toasts.append(el);
  while (toasts.children.length > 3) toasts.firstElementChild.remove();
}

async function copy(text, what, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch (err) {
    toast({ kind: "bad", title: `${what} could not be copied`, detail: `${err.message || err} The clipboard needs https or a loopback address.` });
    return;
  }
  toast({ title: `${what} copied` });
  if (from?.classList.contains("icon")) {
    setIcon(from, "check");
    setTimeout(() => setIcon(from, "copy"), 1500);
  }
}

// ---------------------------------------------------------------------------------------------
// The control API

async function call(method, path, body) {
  let response, text;
  try {
    response = await fetch(`/_sandbox/${path}`, {
      method,
      headers: { "Content-Type": "application/json" },
      body: method === "DELETE" || method === "GET" ? undefined : typeof body === "string" ? body : JSON.stringify(body ?? {}),
    });
    text = await response.text();
  } catch {
    throw new Error("The sandbox does not respond. Is it still running?");
  }
  let data = {};
  try {
    data = JSON.parse(text) ?? {};
  } catch {
    // an empty body is fine, and of an error that is not JSON the status is shown
  }
  if (!response.ok) throw new Error(data.error || `The sandbox responded with ${response.status}.`);
  return data;
}

/**
 * act runs one call for a button: it shows that the button is busy, ignores a second click
 * meanwhile, and shows the outcome. done is the toast of a success, or a function that makes it.
 */
async function act(from, run, done) {
  if (from?.getAttribute("aria-busy") === "true") return undefined;
  from?.setAttribute("aria-busy", "true");
  try {
    const response = await run();
    const result = typeof done === "function" ? done(response) : { title: done };
    if (response.warning) {
      result.kind = "warn";
      result.detail = result.detail ? `${result.detail}\n${response.warning}` : response.warning;
    }
    toast(result);
    refresh();
    return response;
  } catch (err) {
    toast({ kind: "bad", title: "That did not work", detail: err.message });
    return undefined;
  } finally {
    from?.removeAttribute("aria-busy");
  }
}

const linkOf = (response) => (typeof response.link === "string" ? response.link : response.link?.url ?? "");

function linkResult(title, response) {
  const link = linkOf(response);
  const actions = [];
  if (webURL(link)) actions.push(["Open", "toast-open", () => window.open(link, "_blank", "noopener")]);
  if (link) actions.push(["Copy link", "toast-copy", () => copy(link, "Link")]);
  return { title, actions };
}

// ---------------------------------------------------------------------------------------------
// Live updates

let state = null;
let fetching = false;
let again = false;
let lastFetch = 0;
let wait = 0;
let streamUp = false;
let stateUp = false;
let troubled = false; // something has failed since the page was opened
let lastSeen = null;

/** refresh fetches the state soon; many calls in a burst become one or two. */
function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  if (wait) return;
  wait = setTimeout(fetchState, Math.max(0, 120 - (Date.now() - lastFetch)));
}

async function fetchState() {
  wait = 0;
  fetching = true;
  again = false;
  lastFetch = Date.now();
  let fresh = null;
  try {
    const response = await fetch("/_sandbox/state", { cache: "no-store" });
    if (response.ok) fresh = await response.json();
  } catch {
    // the indicator shows it
  }
  fetching = false;
  stateUp = fresh !== null;
  if (stateUp) {
    const first = state === null;
    state = fresh;
    lastSeen = new Date();
    render(first);
    if (again) refresh();
  } else {
    troubled = true;
    setTimeout(refresh, 2000);
  }
  showLive();
}

function connect() {
  const stream = new EventSource("/_sandbox/stream");
  stream.addEventListener("open", () => {
    streamUp = true;
    refresh();
    showLive();
  });
  stream.addEventListener("change", refresh);
  stream.addEventListener("error", () => {
    streamUp = false;
    troubled = true;
    refresh(); // shows whether the sandbox is gone, or only its stream
    showLive();
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 2000); // it has given up
  });
}

function showLive() {
  const what = streamUp && stateUp ? "live" : troubled ? "disconnected" : "connecting";
  const el = $(".live");
  setAttr(el, "data-live", what);
  setText($(".live-text", el), { live: "Live", connecting: "Connecting", disconnected: "Disconnected" }[what]);
  const offline = $(".top .offline");
  setHidden(offline, what !== "disconnected");
  const trouble = stateUp ? "Live updates are interrupted; trying again." : "The sandbox does not respond; trying again.";
  setText(offline, what !== "disconnected" ? "" : lastSeen ? `${trouble} What you see is from ${format(clockFormat, lastSeen)}.` : trouble);
}

// ---------------------------------------------------------------------------------------------
// Keyed lists

/**
 * sync makes the rows of parent those of items: it makes missing ones, updates the others in place,
 * and removes what is gone. Rows that stay are not moved without need, and focus does not get lost.
 */
function sync(parent, rows, items, keyOf, make, first) {
  const focused = document.activeElement;
  const hadFocus = parent.contains(focused);
  const keys = new Set(items.map(keyOf));
  for (const [key, row] of rows) {
    if (!keys.has(key)) {
      row.el.remove();
      rows.delete(key);
    }
  }
  let cursor = $$(":scope > .entry", parent)[0] ?? null;
  for (const [index, item] of items.entries()) {
    const key = keyOf(item, index);
    let row = rows.get(key);
    if (!row) {
      row = make(item);
      row.el.classList.add("entry");
      if (!first) row.el.classList.add("fresh");
      rows.set(key, row);
    }
    row.item = item;
    row.update(item);
    if (row.el === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(row.el, cursor);
  }
  if (!hadFocus || document.activeElement === focused) return;
  if (focused.isConnected) focused.focus({ preventScroll: true });
  else $("h2", parent.closest("section"))?.focus({ preventScroll: true });
}

/** keepPlace runs change and keeps the rows of a log that is scrolled down where they are. */
function keepPlace(log, change) {
  if (log.scrollTop < 4) {
    change();
    return;
  }
  const top = log.getBoundingClientRect().top;
  const anchor = $$("tbody.entry", log).find((row) => row.getBoundingClientRect().bottom > top + 30);
  const before = anchor?.getBoundingClientRect().top;
  change();
  if (anchor?.isConnected) log.scrollTop += anchor.getBoundingClientRect().top - before;
}

/** syncOptions makes the options of a select those of [value, label] pairs; the choice stays. */
function syncOptions(select, pairs) {
  const now = [...select.options];
  if (now.length === pairs.length && pairs.every(([value, label], i) => now[i].value === value && now[i].textContent === label)) return;
  const chosen = select.value;
  const byValue = new Map(now.map((option) => [option.value, option]));
  const wanted = pairs.map(([value, label]) => {
    const option = byValue.get(value) ?? h("option", { value });
    setText(option, label);
    return option;
  });
  select.replaceChildren(...wanted);
  if (now.length && pairs.some(([value]) => value === chosen)) select.value = chosen;
}

let rowIDs = 0;

/** disclosure wires a row's button, and clicks on the row, to its details. fill runs when they open. */
function disclosure(toggle, summary, details, fill) {
  details.id = `details-${++rowIDs}`;
  details.hidden = true;
  toggle.setAttribute("aria-expanded", "false");
  toggle.setAttribute("aria-controls", details.id);
  const set = (open) => {
    if (open) fill?.();
    toggle.setAttribute("aria-expanded", String(open));
    details.hidden = !open;
    summary.parentElement?.classList.toggle("open", open);
  };
  toggle.addEventListener("click", () => set(details.hidden));
  summary.addEventListener("click", (event) => {
    if (event.target.closest("button, a, input, select, label") || !getSelection().isCollapsed) return;
    set(details.hidden);
  });
}

// ---------------------------------------------------------------------------------------------
// Words

const toolLabel = (id) => list(state.tools).find((tool) => tool.id === id)?.label || id;
const toolsOf = (category) => list(state.tools).filter((tool) => !category || !list(tool.categories).length || tool.categories.includes(category));
const organization = (user) => user?.organization_name || "(no organization)";
const linkTypes = { EMBEDDED: "Embedded", MAGIC_LINK: "Magic link" };
const states = { ACTIVE: ["Active", "ok"], INVALID: ["Invalid", "bad"], INACTIVE: ["Inactive", "mute"] };
const setups = { INCOMPLETE: ["Incomplete", "warn"], FINAL_SYNC_PENDING: ["Final sync pending", "warn"], COMPLETED: ["Completed", "mute"] };
const kinds = { connect: "Connect", relink: "Reconnect", setup: "Setup" };

// ---------------------------------------------------------------------------------------------
// Integrations

const integrationPath = (id) => `integrations/${encodeURIComponent(id)}`;

function changeIntegration(from, item, change, done) {
  return act(from, () => call("POST", `${integrationPath(item.id)}/state`, change), done);
}

async function deleteIntegration(item) {
  const sure = await confirmed({
    title: "Delete this integration?",
    text: `${toolLabel(item.tool)} of ${organization(item.end_user)} ends, as if it were deleted in Kombo's dashboard. Your service gets an integration-deleted webhook. This cannot be undone.`,
    confirm: "Delete integration",
  });
  if (sure) await act(null, () => call("DELETE", integrationPath(item.id)), `Deleted ${item.id}`);
}

function integrationRow(first) {
  const tool = h("span.strong");
  const id = h("code.id.clip");
  const org = h("span.clip");
  const origin = h("code.sub.clip");
  const badge = h("span.badge");
  const setup = h("span.setup");
  const updated = h("time");
  const quick = button("", "quick-state", () => {
    const active = row.item.state === "ACTIVE";
    changeIntegration(quick, row.item, { state: active ? "INVALID" : "ACTIVE" }, active ? "Credentials broken: the state is INVALID" : "The state is ACTIVE");
  });
  const manage = h("button.btn.small.disclose", { type: "button", "data-action": "manage" }, "Manage", icon("chevron"));

  const stateButtons = Object.entries({
    ACTIVE: ["Active", "set-active", "The state is ACTIVE"],
    INVALID: ["Invalid: credentials broken", "set-invalid", "Credentials broken: the state is INVALID"],
    INACTIVE: ["Inactive: switched off", "set-inactive", "Switched off: the state is INACTIVE"],
  }).map(([value, [label, action, done]]) => {
    const el = button(label, action, () => changeIntegration(el, row.item, { state: value }, done));
    return [value, el];
  });
  const setupButtons = Object.entries({
    INCOMPLETE: ["Incomplete", "setup-incomplete"],
    FINAL_SYNC_PENDING: ["Final sync pending", "setup-final-sync-pending"],
    COMPLETED: ["Completed", "setup-completed"],
  }).map(([value, [label, action]]) => {
    const el = button(label, action, () => changeIntegration(el, row.item, { setup_status: value }, `The setup status is ${value}`));
    return [value, el];
  });
  const relink = (label, action, type) => {
    const el = button(label, action, () => act(el, () => call("POST", `${integrationPath(row.item.id)}/relink`, { link_type: type }),
      (response) => linkResult(`Reconnect link for ${organization(row.item.end_user)}`, response)));
    return el;
  };
  const issue = (label, action, change, done) => {
    const el = button(label, action, () => act(el, () => call("POST", `${integrationPath(row.item.id)}/issue`, { change }), done));
    return el;
  };
  const data = recordEditor(() => row.item);
  const event = button("Send an event about it", "event-about", () => {
    $("#ev-integration").value = row.item.id;
    $("#webhooks").scrollIntoView({ block: "start" });
    $("#ev-type").focus({ preventScroll: true });
  });
  const remove = button("Delete…", "delete", () => deleteIntegration(row.item), { kind: "danger" });

  const facts = h("dl.facts");
  const fact = (name) => {
    const value = h("dd");
    facts.append(h("div", {}, h("dt", {}, name), value));
    return value;
  };
  const fullID = fact("Id");
  const email = fact("Connected by");
  const scope = fact("Scope config");
  const createdTime = h("time");
  fact("Created").append(createdTime);
  const updatedTime = h("time");
  fact("Updated").append(updatedTime);

  const group = (name, ...buttons) => h("div.group", { role: "group", "aria-label": name }, h("span.group-name", { "aria-hidden": "true" }, name), h("div.group-buttons", {}, ...buttons));
  const summary = h("tr.summary", { role: "row" },
    td("c-tool", tool, h("span.with-copy", {}, id, iconButton("copy", "Copy the id", "copy-id", (e) => copy(row.item.id, "Id", e.currentTarget)))),
    td("c-customer", org, origin),
    td("c-state", badge),
    td("c-setup", setup),
    td("c-updated", updated),
    td("c-actions", h("div.buttons", {}, quick, manage)));
  const details = h("tr.details", { role: "row" }, h("td", { role: "cell", colspan: 6 },
    h("div.inset", {},
      facts,
      h("div.groups", {},
        group("State", h("div.seg", {}, ...stateButtons.map(([, el]) => el))),
        group("Setup", h("div.seg", {}, ...setupButtons.map(([, el]) => el))),
        group("Reconnect", relink("Embedded link", "relink", "EMBEDDED"), relink("Magic link", "relink-magic", "MAGIC_LINK")),
        group("Issue", issue("Raise: authentication failed", "raise-issue", "raised", "The issue is raised"), issue("Resolve", "resolve-issue", "resolved", "The issue is resolved")),
        group("Data", ...data.buttons),
        group("More", event, remove)),
      data.el)));
  const el = h("tbody", { role: "rowgroup", "data-integration": first.id }, summary, details);
  disclosure(manage, summary, details, data.load);

  const row = {
    el,
    update(item) {
      const [stateName, stateKind] = states[item.state] ?? [item.state, "mute"];
      const [setupName, setupKind] = setups[item.setup_status] ?? [item.setup_status, "mute"];
      setAttr(el, "data-state", item.state);
      setAttr(el, "data-setup-status", item.setup_status);
      setText(tool, toolLabel(item.tool));
      setAttr(tool, "title", item.category);
      setText(id, item.id);
      setAttr(id, "title", item.id);
      setText(org, organization(item.end_user));
      setAttr(org, "title", organization(item.end_user));
      setText(origin, item.end_user?.origin_id || "no origin id");
      setAttr(origin, "title", item.end_user?.origin_id ? `Origin id ${item.end_user.origin_id}` : null);
      setText(badge, stateName);
      setClass(badge, `badge ${stateKind}`);
      setAttr(badge, "title", item.state);
      setText(setup, setupName);
      setClass(setup, `setup ${setupKind}`);
      setAttr(setup, "title", item.setup_status);
      setTime(updated, item.updated_at, "ago");
      setText(quick, item.state === "ACTIVE" ? "Break" : "Activate");
      setAttr(quick, "title", item.state === "ACTIVE" ? "Break the credentials: the state becomes INVALID" : "Make it ACTIVE");
      setAttr(quick, "aria-label", `${item.state === "ACTIVE" ? "Break the credentials" : "Activate"}: ${toolLabel(item.tool)} of ${organization(item.end_user)}`);
      setAttr(manage, "aria-label", `Manage ${toolLabel(item.tool)} of ${organization(item.end_user)}`);
      for (const [value, btn] of stateButtons) setAttr(btn, "aria-pressed", String(value === item.state));
      for (const [value, btn] of setupButtons) setAttr(btn, "aria-pressed", String(value === item.setup_status));
      setText(fullID, item.id);
      setText(email, item.end_user?.creator_email || "–");
      setText(scope, item.scope_config_id || "–");
      setTime(createdTime, item.created_at, "ago");
      setTime(updatedTime, item.updated_at, "ago");
      if (!details.hidden) data.load();
    },
  };
  return row;
}

/** recordEditor shows the records of an integration, one at a time, to change and delete them. */
function recordEditor(item) {
  let lists = [];
  let loading = false;
  let again = false;
  let shown = ""; // the text of the record as it is there: another one in the field is an edit
  const id = `records-${++rowIDs}`;
  const listField = h("select", { id: `${id}-list`, "data-action": "record-list", onchange: () => show(true) });
  const recordField = h("select", { id: `${id}-record`, "data-action": "record", onchange: () => show(true) });
  const text = h("textarea.mono", { rows: "12", spellcheck: "false", "aria-label": "The record", "data-value": "record" });
  const note = h("p.note");
  const path = () => `${integrationPath(item().id)}/records`;
  const put = button("Put sample records", "put-records", () => act(put, () => call("POST", path()),
    (response) => ({ title: `${plural(response.records, "sample record")} put` })));
  const sync = button("Finish a sync", "finish-sync", () => act(sync, () => call("POST", `${integrationPath(item().id)}/finish-sync`), "The sync is finished"),
    { title: "Your service gets sync-finished, and data-changed if records have changed" });
  const save = button("Save the record", "save-record", () => act(save, async () => {
    try {
      JSON.parse(text.value);
    } catch (err) {
      throw new Error(`This is not JSON. ${err.message}`);
    }
    // As it was typed: decoded and encoded, numbers could change.
    const response = await call("POST", path(), `{"path":${JSON.stringify(listField.value)},"record":${text.value}}`);
    shown = text.value;
    return response;
  }, "The record is saved"));
  const remove = button("Delete the record", "delete-record", () => act(remove, () =>
    call("DELETE", `${path()}?${new URLSearchParams({ path: listField.value, record: recordField.value })}`), "The record is deleted"), { kind: "danger" });
  const el = h("div.form.records", { hidden: true },
    h("div.grid", {},
      h("div.field.w2", {}, h("label", { for: listField.id }, "List"), listField),
      h("div.field.w2", {}, h("label", { for: recordField.id }, "Record"), recordField)),
    text, note, h("div.row", {}, save, remove));

  const label = (record) => [record.name, record.display_full_name, [record.first_name, record.last_name].filter(Boolean).join(" "), record.id]
    .find((name) => typeof name === "string" && name) + (record.remote_deleted_at ? " (deleted)" : "");

  /** show shows the chosen record; an edit stays, unless another record was chosen. */
  function show(chosen) {
    const chosenList = lists.find((l) => l.path === listField.value);
    setHidden(el, !chosenList);
    if (!chosenList) return;
    const records = chosenList.records.map((record) => JSON.parse(record));
    syncOptions(recordField, records.map((record) => [record.id, label(record)]));
    setText(note, chosenList.total > records.length ? `The first ${records.length} of ${chosenList.total} are shown.` : "");
    setHidden(note, !note.textContent);
    const index = records.findIndex((record) => record.id === recordField.value);
    setHidden(remove, index < 0 || Boolean(records[index].remote_deleted_at));
    if (!chosen && text.value !== shown) return;
    text.value = index < 0 ? "" : reindent(chosenList.records[index]);
    shown = text.value;
  }

  async function load() {
    again = loading;
    if (loading) return;
    loading = true;
    try {
      lists = list((await call("GET", path())).lists);
      syncOptions(listField, lists.map((l) => [l.path, `${l.path} (${l.total})`]));
      show(false);
    } catch {
      // the integration is gone, or the indicator shows that the sandbox is
    }
    loading = false;
    if (again) load();
  }
  return { el, load, buttons: [put, sync] };
}

// ---------------------------------------------------------------------------------------------
// Links

function linkRow(first) {
  const org = h("span.clip");
  const origin = h("code.sub.clip");
  const kind = h("span");
  const tool = h("span.sub.clip");
  const type = h("span");
  const expires = h("time");
  const open = h("a.btn.small", { target: "_blank", rel: "noopener noreferrer", "data-action": "open-link" }, "Open");
  const complete = button("Complete…", "complete", () => completeFlow(row.item));
  const fail = button("Fail", "fail", () => act(fail, () => call("POST", "flows/fail", { link: row.item.url }), "The flow has failed"),
    { title: "The customer gives up: your service gets connection-flow-failed" });
  const el = h("tbody", { role: "rowgroup", "data-link": first.url },
    h("tr.summary", { role: "row" },
      td("c-customer", org, origin),
      td("c-kind", kind, tool),
      td("c-type", type),
      td("c-expires", expires),
      td("c-actions", h("div.buttons", {},
        iconButton("copy", "Copy the link", "copy-link", (e) => copy(row.item.url, "Link", e.currentTarget)), open, complete, fail))));
  const row = {
    el,
    update(item) {
      setAttr(el, "data-kind", item.kind);
      setText(org, organization(item.end_user));
      setAttr(org, "title", organization(item.end_user));
      setText(origin, item.end_user?.origin_id || "no origin id");
      setText(kind, kinds[item.kind] ?? item.kind);
      setText(tool, item.integration_id || (item.tool ? toolLabel(item.tool) : `any ${item.category || ""} tool`));
      setAttr(tool, "title", item.integration_id || item.category);
      setText(type, linkTypes[item.link_type] ?? item.link_type);
      setTime(expires, item.expires_at, "until");
      setAttr(open, "href", webURL(item.url) || null);
      setAttr(open, "title", item.url);
    },
  };
  return row;
}

// ---------------------------------------------------------------------------------------------
// Logs

/** bodyBlock is a body with its copy button. */
function bodyBlock(text, what) {
  if (!text) return h("p.note", {}, `No ${what.toLowerCase()}.`);
  return h("div.body", {},
    h("pre", { tabindex: "0", "aria-label": what }, h("code", {}, text)),
    iconButton("copy", `Copy the ${what.toLowerCase()}`, "copy-body", (e) => copy(text, what, e.currentTarget)));
}

function factList(pairs) {
  return h("dl.facts", {}, ...pairs.filter(([, value]) => value !== "" && value != null)
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
}

function logRow(props, toggleLabel, cells, columns, fill) {
  const toggle = h("button.icon.disclose", { type: "button", "data-action": "toggle", "aria-label": toggleLabel }, icon("chevron"));
  const summary = h("tr.summary", { role: "row" }, td("c-toggle", toggle), ...cells);
  const inside = h("div.inset");
  const details = h("tr.details", { role: "row" }, h("td", { role: "cell", colspan: columns }, inside));
  const el = h("tbody", { role: "rowgroup", ...props }, summary, details);
  let filled = null;
  const refill = () => {
    const parts = fill();
    const now = JSON.stringify(parts.key);
    if (now !== filled) inside.replaceChildren(...parts.content());
    filled = now;
  };
  disclosure(toggle, summary, details, refill);
  return { el, changed: () => { if (!details.hidden) refill(); } };
}

const statusKind = (status) => (status === 0 || status >= 500 ? "bad" : status >= 400 ? "warn" : status >= 300 ? "mute" : "ok");

function requestRow(first) {
  const time = h("time");
  const method = h("span.method");
  const path = h("span.path");
  const note = h("span.sub.bad-text.mono");
  const status = h("code.status");
  const fault = h("span.tag.warn", { hidden: true, title: "A fault caused this response" }, "fault");
  const ms = h("span.dim");
  const { el, changed } = logRow({ "data-request": first.number }, `Details of request ${first.number}`, [
    td("c-time", time),
    td("c-op", h("div.op", {}, h("code", {}, method), h("div", {}, h("span.tags", {}, h("code", {}, path), fault), note))),
    td("c-status", status),
    td("c-ms", ms),
  ], 5, () => ({
    key: row.item,
    content: () => {
      const { number, time: at, error_code: code, duration_ms: duration, body, fault: faulty, status: got } = row.item;
      return [
        factList([["Number", number], ["Time", format(fullFormat, at)], ["Status", got || "connection cut"], ["Took", took(duration)], ["Error code", code], ["Fault", faulty ? "injected" : ""]]),
        bodyBlock(reindent(body || ""), "Body"),
      ];
    },
  }));
  const row = {
    el,
    update(item) {
      const [verb, ...rest] = String(item.op ?? "").split(" ");
      el.classList.toggle("failed", item.status === 0 || item.status >= 400);
      setTime(time, item.time, "clock");
      setText(method, verb);
      setText(path, rest.join(" "));
      setAttr(path, "title", item.op);
      setText(note, item.error_code);
      setHidden(note, !item.error_code);
      setText(status, item.status || "cut");
      setClass(status, `status ${statusKind(item.status)}`);
      setAttr(el, "data-status", item.status);
      setHidden(fault, !item.fault);
      setText(ms, took(item.duration_ms));
      changed();
    },
  };
  return row;
}

/** outcome returns the result of a delivery. A forged one should be rejected. */
function outcome(item) {
  if (item.lost) return ["lost", "warn", "Kept from being sent by a fault"];
  if (!item.url) return ["no URL", "mute", "There was nowhere to deliver to"];
  const response = item.status ? String(item.status) : "";
  if (item.forged && item.accepted) return [`${response} accepted`, "bad", "Your service accepted a forged webhook: it does not check the signature"];
  if (item.forged && item.status) return [`${response} rejected`, "ok", "Rightly rejected: the signature was forged"];
  if (item.accepted) return [`${response} accepted`, "ok", ""];
  if (item.status) return [`${response} rejected`, item.status >= 500 ? "bad" : "warn", item.error || ""];
  return ["not delivered", "bad", item.error || "It never arrived"];
}

function deliveryRow(first) {
  const time = h("time");
  const type = h("code.type");
  const id = h("code.sub.clip");
  const attempt = h("span.tag", { hidden: true });
  const forged = h("span.tag.warn", { hidden: true }, "forged");
  const result = h("span.status");
  const note = h("span.sub.bad-text");
  const repeat = button("Send again", "repeat", () => act(repeat, () => call("POST", `deliveries/${encodeURIComponent(row.item.event_id)}/repeat`), `Sent ${row.item.type} again`));
  const { el, changed } = logRow({ "data-delivery": first.number, "data-event": first.event_id }, `Details of delivery ${first.number}`, [
    td("c-time", time),
    td("c-event", type, h("span.tags", {}, id, attempt, forged), note),
    td("c-result", result),
    td("c-actions", repeat),
  ], 5, () => ({
    key: row.item,
    content: () => {
      const item = row.item;
      return [
        factList([["Number", item.number], ["Event id", item.event_id], ["Attempt", item.attempt], ["Time", format(fullFormat, item.time)],
          ["To", item.url || "nowhere: set the webhook URL above"], ["Status", item.status || ""], ["Error", item.error], ["Took", item.url ? took(item.duration_ms) : ""],
          ["Accepted", item.accepted ? "yes" : "no"], ["Forged", item.forged ? "yes" : ""], ["Signature", item.signature]]),
        bodyBlock(item.body, "Body"),
      ];
    },
  }));
  const row = {
    el,
    update(item) {
      const [text, kind, hint] = outcome(item);
      el.classList.toggle("failed", kind !== "ok");
      setTime(time, item.time, "clock");
      setText(type, item.type);
      setAttr(type, "title", item.type);
      setText(id, item.event_id);
      setAttr(id, "title", item.event_id);
      setText(attempt, `attempt ${item.attempt}`);
      setHidden(attempt, !(item.attempt > 1));
      setHidden(forged, !item.forged);
      setText(result, text);
      setClass(result, `status ${kind}`);
      setAttr(result, "title", hint || null);
      const detail = item.forged && item.accepted ? "signature not checked" : item.error || "";
      setText(note, detail);
      setAttr(note, "title", detail || null);
      setHidden(note, !detail);
      setAttr(el, "data-status", item.status);
      setAttr(el, "data-accepted", String(Boolean(item.accepted)));
      changed();
    },
  };
  return row;
}

// ---------------------------------------------------------------------------------------------
// Faults

const seconds = (ms) => (ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`);

/** target describes what a fault affects: "Each of the next 2 POST /connect/create-link requests". */
function target(n, scope, one, many) {
  const which = scope ? `${scope} ` : "";
  if (n < 0) return `Until cleared, every ${which}${one}`;
  return n === 1 ? `The next ${which}${one}` : `Each of the next ${n} ${which}${many}`;
}

/** faultText describes what a fault does to the response. */
function faultText(fault) {
  const parts = [];
  if (fault.delay_ms > 0) parts.push(`waits ${seconds(fault.delay_ms)}`);
  if (fault.executed) parts.push("takes effect");
  if (fault.cut) parts.push("loses its connection");
  else {
    const extras = [];
    if (fault.code) extras.push(fault.code);
    for (const [name, value] of Object.entries(fault.header ?? {})) extras.push(`${name}: ${value}`);
    if (fault.retry_after_seconds > 0) extras.push(`Retry-After ${fault.retry_after_seconds} s`);
    if (fault.body) extras.push(/^\s*</.test(fault.body) ? "an HTML body" : "a body of its own");
    const response = [fault.status || "", extras.join(", ")].filter(Boolean).join(" with ");
    if (response) parts.push(fault.status ? `gets ${response}` : `gets a response with ${response}`);
    if (fault.truncate) parts.push("gets half a response");
  }
  return parts.join(", then ");
}

function webhookFaultText(fault) {
  const parts = [];
  if (fault.forged) parts.push("has a forged signature");
  if (fault.delay_ms > 0) parts.push(`comes ${seconds(fault.delay_ms)} late`);
  if (fault.lost) parts.push("never arrives");
  else if (fault.copies > 0) parts.push(fault.copies === 1 ? "is delivered twice" : `is delivered ${fault.copies + 1} times`);
  return parts.join(" and ");
}

const noFault = { status: 0, code: "", body: "", retry_after_seconds: 0, delay_ms: 0, cut: false, truncate: false, executed: false };
const noWebhookFault = { copies: 0, delay_ms: 0, lost: false, forged: false };

const presets = [
  ["503-html", "503 HTML", { status: 503, body: "<html><body><h1>503 Service Unavailable</h1></body></html>\n" }],
  ["429", "429, Retry-After 2 s", { status: 429, code: "PLATFORM.RATE_LIMIT_EXCEEDED", retry_after_seconds: 2 }],
  ["500", "500 JSON", { status: 500, code: "PLATFORM.UNKNOWN_ERROR" }],
  ["409", "409 not ready", { status: 409, code: "INTEGRATION.SETUP_INCOMPLETE" }],
  ["401", "401 bad key", { status: 401, code: "PLATFORM.AUTHENTICATION_INVALID" }],
  ["slow", "Slow 5 s", { delay_ms: 5000 }],
  ["truncated", "Truncated response", { truncate: true }],
  ["cut", "Cut connection", { cut: true }],
  ["answer-lost", "Response lost after it took effect", { executed: true, cut: true }],
];
const webhookPresets = [
  ["duplicate", "Duplicate", { copies: 1 }],
  ["delay", "Delay 5 s", { delay_ms: 5000 }],
  ["lose", "Lose", { lost: true }],
  ["forge", "Forge", { forged: true }],
];

/** faultForm wires a form of faults: the fields say what is sent, presets only fill them in. */
function faultForm({ form, chips, choices, none, path, scope, nouns, text, preview }) {
  const read = () => {
    const values = {};
    for (const [name, zero] of Object.entries(none)) {
      const field = form.elements[name];
      values[name] = typeof zero === "boolean" ? field.checked : typeof zero === "number" ? Number(field.value) || 0 : field.value;
    }
    return values;
  };
  const count = () => (form.elements.forever.checked ? -1 : Math.max(1, Number(form.elements.times.value) || 1));
  const same = (a, b) => Object.keys(none).every((name) => a[name] === b[name]);
  const show = () => {
    const values = read();
    for (const [chip, wanted] of buttons) setAttr(chip, "aria-pressed", String(same(values, wanted)));
    form.elements.times.disabled = form.elements.forever.checked;
    const what = text(values);
    setText(preview, what ? `${target(count(), form.elements[scope].value, ...nouns)} ${what}.` : "This changes nothing yet.");
  };
  const fill = (values) => {
    for (const name of Object.keys(none)) {
      const field = form.elements[name];
      if (typeof none[name] === "boolean") field.checked = values[name];
      else field.value = values[name];
    }
    show();
  };
  const buttons = choices.map(([id, label, values]) => {
    const wanted = { ...none, ...values };
    const chip = h("button.chip", { type: "button", "data-action": `preset-${id}`, "aria-pressed": "false", onclick: () => fill(wanted) }, label);
    chips.append(chip);
    return [chip, wanted];
  });
  form.addEventListener("input", show);
  form.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = read();
    if (!text(values)) {
      toast({ kind: "bad", title: "This fault changes nothing", detail: "Choose what happens, or fine-tune it." });
      return;
    }
    act($("[type=submit]", form), () => call("POST", path, { [scope]: form.elements[scope].value, times: count(), ...values }),
      () => ({ title: "Fault injected", detail: preview.textContent }));
  });
  fill(buttons[0][1]);
  return show;
}

const showFault = faultForm({
  form: $("#fault-form"), chips: $("[data-presets=faults]"), choices: presets, none: noFault,
  path: "faults", scope: "op", nouns: ["request", "requests"], text: faultText, preview: $("[data-value=fault-preview]"),
});
const showWebhookFault = faultForm({
  form: $("#webhook-fault-form"), chips: $("[data-presets=webhook-faults]"), choices: webhookPresets, none: noWebhookFault,
  path: "webhook-faults", scope: "type", nouns: ["event", "events"], text: webhookFaultText, preview: $("[data-value=webhook-fault-preview]"),
});

/** activeFault makes the rows of a list of active faults. */
function activeFault(attribute, nouns, scope, text) {
  return () => {
    const left = h("span.badge.warn");
    const what = h("span");
    const where = h("code");
    const el = h("li", { [attribute]: true }, left, h("span.fault-text", {}, where, what));
    return {
      el,
      update(fault) {
        setText(left, fault.times < 0 ? "∞" : `${fault.times}×`);
        setAttr(left, "title", fault.times < 0 ? "until cleared" : `${plural(fault.times, "time")} left`);
        setText(what, text(fault) || "changes nothing");
        setText(where, fault[scope] || `Any ${nouns[0]}`);
      },
    };
  };
}

// ---------------------------------------------------------------------------------------------
// Dialogs

function confirmed({ title, text, confirm }) {
  const dialog = $("#confirm-dialog");
  setText($("#confirm-title"), title);
  setText($("#confirm-text"), text);
  setText($("[data-action=dialog-confirm]", dialog), confirm);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

$("[data-action=dialog-confirm]").addEventListener("click", () => $("#confirm-dialog").close("yes"));
for (const dialog of $$("dialog")) {
  $("[data-action=dialog-cancel]", dialog).addEventListener("click", () => dialog.close(""));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(""); // the backdrop
  });
}

let completing = null;

function completeFlow(link) {
  completing = link;
  const dialog = $("#complete-dialog");
  const form = $("#complete-form");
  form.reset();
  const choose = link.kind === "connect" && !link.tool;
  setText($("#complete-title"), { relink: "Complete the reconnection", setup: "Complete the setup" }[link.kind] ?? "Complete the connection");
  setText($("#complete-text"), choose
    ? `What ${organization(link.end_user)} would do in the flow, in one click.`
    : `What ${organization(link.end_user)} would do in the flow for ${toolLabel(link.tool) || link.integration_id}, in one click.`);
  setHidden($("[data-part=tool]", form), !choose);
  setHidden($("[data-part=leave-setup]", form), link.kind !== "connect");
  syncOptions(form.elements.tool, toolsOf(link.category).map((tool) => [tool.id, tool.label || tool.id]));
  if (choose) form.elements.tool.selectedIndex = 0;
  dialog.showModal();
}

$("#complete-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const link = completing;
  const body = { link: link.url };
  if (link.kind === "connect" && !link.tool && form.elements.tool.value) body.tool = form.elements.tool.value;
  if (link.kind === "connect" && form.elements.leave_setup.checked) body.leave_setup = true;
  await act($("[type=submit]", form), () => call("POST", "flows/complete", body), (response) => ({
    title: `${organization(link.end_user)} has completed the flow`,
    detail: response.activation_token ? "The activation token is what the browser hands to your service." : "",
    actions: response.activation_token ? [["Copy token", "toast-copy", () => copy(response.activation_token, "Activation token")]] : [],
  }));
  $("#complete-dialog").close("");
});

// ---------------------------------------------------------------------------------------------
// The strip at the top

const secrets = {
  "api-key": { name: "API key", read: () => state?.api?.api_key ?? "", shown: false },
  "webhook-secret": { name: "Webhook secret", read: () => state?.api?.webhook_secret ?? "", shown: false },
};

function showSecrets() {
  for (const [id, secret] of Object.entries(secrets)) {
    setText($(`[data-value=${id}]`), secret.shown ? secret.read() || "none" : "••••••••••••");
  }
}

for (const [id, secret] of Object.entries(secrets)) {
  const reveal = $(`[data-action=reveal-${id}]`);
  reveal.addEventListener("click", () => {
    secret.shown = !secret.shown;
    setAttr(reveal, "aria-pressed", String(secret.shown));
    setAttr(reveal, "title", secret.shown ? "Hide" : "Reveal");
    setIcon(reveal, secret.shown ? "eye-off" : "eye");
    showSecrets();
  });
  const copyButton = $(`[data-action=copy-${id}]`);
  copyButton.addEventListener("click", () => copy(secret.read(), secret.name, copyButton));
}

$("[data-action=copy-base-url]").addEventListener("click", (event) => copy(state?.api?.base_url ?? "", "API base URL", event.currentTarget));
for (const snippet of $$(".snippet")) {
  $("button", snippet).addEventListener("click", (event) => copy($("code", snippet).textContent, "Go code", event.currentTarget));
}

const urlField = $("#webhook-url");
let serverURL = null;

function showWebhookURL(url) {
  const untouched = serverURL === null ? urlField.value === "" : urlField.value === serverURL;
  serverURL = url;
  if (untouched && urlField.value !== url) urlField.value = url;
  markURL();
}

function markURL() {
  $("#webhook-url-form").classList.toggle("dirty", serverURL !== null && urlField.value.trim() !== serverURL);
}

urlField.addEventListener("input", markURL);
urlField.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && serverURL !== null) {
    urlField.value = serverURL;
    markURL();
  }
});
$("#webhook-url-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const url = urlField.value.trim();
  act($("[data-action=save-webhook-url]"), async () => {
    const response = await call("PUT", "webhooks", { url });
    serverURL = url;
    markURL();
    return response;
  }, url ? "Webhooks go to the new URL" : "Webhooks go nowhere now");
});

// ---------------------------------------------------------------------------------------------
// Forms

const linkForm = $("#link-form");
const newLink = $("[data-action=new-link]");
let linkFormTouched = false;

function openLinkForm(open, focus) {
  linkForm.hidden = !open;
  newLink.setAttribute("aria-expanded", String(open));
  setHidden(newLink, open);
  if (open && focus) linkForm.elements.end_user_organization_name.focus();
  if (!open && focus) newLink.focus();
}

newLink.addEventListener("click", () => {
  linkFormTouched = true;
  openLinkForm(true, true);
});
$("[data-action=close-link-form]").addEventListener("click", () => {
  linkFormTouched = true;
  openLinkForm(false, true);
});
$("[data-action=go-new-link]").addEventListener("click", (event) => {
  event.preventDefault();
  openLinkForm(true, false);
  $("#links").scrollIntoView({ block: "nearest" });
  linkForm.elements.end_user_organization_name.focus({ preventScroll: true });
});

function showLinkTools() {
  const tools = toolsOf(linkForm.elements.integration_category.value);
  syncOptions(linkForm.elements.integration_tool, [["", "The customer chooses"], ...tools.map((tool) => [tool.id, tool.label || tool.id])]);
}

linkForm.elements.integration_category.addEventListener("change", showLinkTools);
linkForm.addEventListener("input", () => { linkFormTouched = true; });
linkForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = linkForm.elements;
  const body = {};
  for (const name of ["end_user_email", "end_user_organization_name", "end_user_origin_id", "integration_category", "integration_tool", "language", "link_type"]) {
    const value = fields[name].value.trim();
    if (value) body[name] = value;
  }
  for (const name of ["enable_filtering", "enable_field_mapping"]) if (fields[name].checked) body[name] = true;
  act($("[data-action=create-link]"), () => call("POST", "links", body), (response) => linkResult(`New link for ${body.end_user_organization_name}`, response));
});

const eventForm = $("#event-form");
const eventData = $("#ev-data");

/** checkData returns the JSON object that was typed, undefined for none, and throws where it is not one. */
function checkData() {
  const text = eventData.value.trim();
  if (!text) return undefined;
  let data;
  try {
    data = JSON.parse(text);
  } catch (err) {
    throw new Error(`This is not JSON. ${err.message}`);
  }
  if (data === null || typeof data !== "object" || Array.isArray(data)) throw new Error("This is JSON, but not an object: start with { and end with }.");
  return data;
}

function showDataError(message) {
  const el = $("#ev-data-error");
  setHidden(el, !message);
  setText(el, message);
  setAttr(eventData, "aria-invalid", message ? "true" : null);
}

eventData.addEventListener("input", () => {
  if (eventData.getAttribute("aria-invalid")) tryData();
});
eventData.addEventListener("blur", tryData);

function tryData() {
  try {
    checkData();
    showDataError("");
  } catch (err) {
    showDataError(err.message);
  }
}

eventForm.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = eventForm.elements;
  let data;
  try {
    data = checkData();
  } catch (err) {
    showDataError(err.message);
    eventData.focus();
    return;
  }
  const body = { type: fields.type.value };
  if (fields.integration_id.value) body.integration_id = fields.integration_id.value;
  if (data) body.data = data;
  if (fields.forged.checked) body.forged = true;
  if (Number(fields.copies.value) > 0) body.copies = Number(fields.copies.value);
  act($("[data-action=send-event]"), () => call("POST", "events", body), (response) => ({ title: state?.webhooks?.holding ? `${body.type} is held` : `Sent ${body.type}`, detail: response.event_id ?? "" }));
});

const hold = $("[data-action=hold]");
hold.addEventListener("click", () => act(hold, () => call("POST", "webhooks/hold"), "Deliveries are held from now on"));

const releaseForm = $("#release-form");
releaseForm.addEventListener("submit", (event) => {
  event.preventDefault();
  act($("[data-action=release]"), () => call("POST", "webhooks/release", { order: releaseForm.elements.order.value }), "Released");
});

for (const path of ["faults", "webhook-faults"]) {
  const clear = $(`[data-action=clear-${path}]`);
  clear.addEventListener("click", () => act(clear, () => call("DELETE", path), path === "faults" ? "The API works again" : "Webhooks arrive again"));
}

for (const what of ["requests", "deliveries"]) {
  const only = $(`[data-action=only-failed-${what}]`);
  only.addEventListener("change", () => {
    $(`#${what} table`).classList.toggle("only-failed", only.checked);
    if (state) showLog(what);
  });
}

// ---------------------------------------------------------------------------------------------
// Everything

const rows = { integrations: new Map(), links: new Map(), requests: new Map(), deliveries: new Map(), faults: new Map(), webhookFaults: new Map() };

function count(name, n) {
  const el = $(`[data-count=${name}]`);
  setText(el, n || "");
  setHidden(el, !n);
}

function showLog(name) {
  const section = $(`#${name}`);
  const items = list(state[name]);
  const only = $(`[data-action=only-failed-${name}]`).checked;
  setHidden($("table", section), items.length === 0);
  setHidden($(".empty", section), items.length > 0);
  setHidden($(".only", section), items.length === 0);
  setHidden($(".none", section), items.length === 0 || !only || $("tbody.failed", section) !== null);
}

function render(first) {
  const { api = {}, webhooks = {} } = state;
  const integrations = list(state.integrations);
  const links = list(state.links);
  const requests = list(state.requests);
  const deliveries = list(state.deliveries);
  const faults = list(state.faults);
  const webhookFaults = list(state.webhook_faults);

  setText($("[data-value=base-url]"), api.base_url);
  setAttr($("[data-value=base-url]"), "title", api.base_url);
  showSecrets();
  showWebhookURL(webhooks.url ?? "");
  setText($("[data-value=snippet]"), `client, err := kombo.NewClient(apiKey,\n\tkombo.WithBaseURL("${api.base_url ?? ""}"))`);

  count("integrations", integrations.length);
  count("links", links.length);
  count("requests", requests.length);
  count("deliveries", deliveries.length);
  count("faults", faults.length + webhookFaults.length);
  count("held", webhooks.holding ? webhooks.held || "on" : 0);

  sync($("table.integrations"), rows.integrations, integrations, (item) => item.id, integrationRow, first);
  setHidden($("table.integrations"), integrations.length === 0);
  setHidden($("#integrations .empty"), integrations.length > 0);

  sync($("table.links"), rows.links, links, (item) => item.url, linkRow, first);
  setHidden($("table.links"), links.length === 0);
  if (first && !linkFormTouched) openLinkForm(links.length === 0, false);
  setHidden($("#links .empty"), links.length > 0);

  keepPlace($("#requests .log"), () => sync($("table.requests"), rows.requests, requests, (item) => item.number, requestRow, first));
  showLog("requests");
  keepPlace($("#deliveries .log"), () => sync($("table.deliveries"), rows.deliveries, deliveries, (item) => item.number, deliveryRow, first));
  showLog("deliveries");
  setText($("[data-value=deliveries-empty-title]"), webhooks.url ? "No webhook has been sent yet." : "Webhooks have nowhere to go yet.");
  setText($("[data-value=deliveries-empty]"), webhooks.url
    ? "Complete a link, or send an event from the webhook tools. Your service checks it with the webhook secret from above:"
    : "Set the webhook URL of your service at the top, and let your service check webhooks with the secret from there:");

  const held = webhooks.held ?? 0;
  setText($("[data-value=hold-note]"), webhooks.holding ? `Holding: ${plural(held, "delivery waits", "deliveries wait")}.` : "Deliveries go out as they happen.");
  $("[data-value=hold-note]").classList.toggle("on", Boolean(webhooks.holding));
  setHidden(hold.parentElement, Boolean(webhooks.holding));
  setHidden(releaseForm, !webhooks.holding && !held);
  setText($("[data-value=held-badge]"), `holding ${held}`);
  setHidden($("[data-value=held-badge]"), !webhooks.holding);

  sync($("[data-list=faults]"), rows.faults, faults, (item, index) => index, activeFault("data-fault", ["request"], "op", faultText), first);
  sync($("[data-list=webhook_faults]"), rows.webhookFaults, webhookFaults, (item, index) => index, activeFault("data-webhook-fault", ["event"], "type", webhookFaultText), first);
  for (const [name, path, items] of [["faults", "faults", faults], ["webhook_faults", "webhook-faults", webhookFaults]]) {
    setHidden($(`[data-list=${name}]`), items.length === 0);
    setHidden($(`[data-empty=${name}]`), items.length > 0);
    setHidden($(`[data-action=clear-${path}]`), items.length === 0);
  }

  syncOptions($("#fa-op"), [["", "every operation"], ...list(state.operations).map((op) => [op, op])]);
  syncOptions($("#wf-type"), [["", "every event"], ...list(state.event_types).map((type) => [type, type])]);
  syncOptions($("#ev-type"), list(state.event_types).map((type) => [type, type]));
  syncOptions($("#ev-integration"), [["", "A made-up integration"], ...integrations.map((item) => [item.id, `${toolLabel(item.tool)}, ${organization(item.end_user)} (${item.id})`])]);
  const categories = [...new Set(list(state.tools).flatMap((tool) => list(tool.categories)))];
  syncOptions(linkForm.elements.integration_category, (categories.length ? categories : ["HRIS", "ATS", "ASSESSMENT", "LMS"]).map((category) => [category, category]));
  if (first && categories.includes("HRIS")) linkForm.elements.integration_category.value = "HRIS";
  showLinkTools();
  if (first) {
    showFault();
    showWebhookFault();
  }
}

showLive();
refresh();
connect();
