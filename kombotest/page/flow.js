// The flow page of the fake Kombo: it leads the end customer through connecting their system, calls the
// fake server, and posts the outcome of the flow to the embedding page (@kombo-api/connect).

"use strict";

(() => {
  const flow = JSON.parse(document.getElementById("flow").textContent);
  const tools = flow.tools ?? [];
  const framed = window.parent !== window;
  // An unknown link may have been an embedded one: the customer must be able to close the frame.
  const embedded = flow.embedded || (framed && flow.kind === "problem");

  const secrets = ["client_secret", "api_key", "password"];
  const patience = 30_000; // milliseconds until a response counts as lost
  const searchable = 7; // tools, and more

  const card = document.getElementById("card");
  const bar = document.getElementById("bar");
  const screen = document.getElementById("screen");
  const status = document.getElementById("status");

  let tool = tools.find(({ id }) => id === flow.tool) ?? (tools.length === 1 ? tools[0] : undefined);
  const choice = tool === undefined;
  let setup = flow.setup ?? []; // the steps that follow
  let connected = false; // by this page
  let token = null; // for the embedding page, once there is something to hand over
  let busy = false;
  const typed = {}; // by tool and field

  // Texts and elements. Texts reach the document as text nodes and attributes only.

  const values = () => ({
    tool: tool?.label ?? "",
    organization: flow.organization?.trim() || flow.texts.organization_unknown,
    category: flow.texts["category_" + flow.category] ?? flow.texts.category_HRIS,
    scope_config: flow.scope_config,
  });

  /** The text of a key as a list of strings and, for names that stand out, elements. */
  function parts(key, more = {}) {
    const all = { ...values(), ...more };
    const result = [];
    for (let part of (flow.texts[key] ?? key).split(/(\{\w+\})/)) {
      const name = /^\{(\w+)\}$/.exec(part)?.[1];
      const last = result.at(-1);
      if (name in all) {
        part = name === "organization" ? element("strong", {}, String(all[name])) : String(all[name]);
      } else if (part.startsWith(".") && (last?.textContent ?? last)?.endsWith(".")) {
        part = part.slice(1); // "Acme, Inc." ends the sentence already
      }
      if (part !== "") {
        result.push(part);
      }
    }
    return result;
  }

  const text = (key, more) => parts(key, more).map((part) => part.textContent ?? part).join("");

  function element(name, attributes = {}, ...children) {
    const created = document.createElement(name);
    for (const [attribute, value] of Object.entries(attributes)) {
      if (attribute.startsWith("on")) {
        created.addEventListener(attribute.slice(2), value);
      } else if (value !== false && value !== undefined) {
        created.setAttribute(attribute, value === true ? "" : value);
      }
    }
    created.append(...children.filter((child) => child !== undefined));
    return created;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", "#icon-" + name);
    svg.append(use);
    return svg;
  }

  const heading = (key) => element("h1", { id: "heading", tabindex: "-1" }, text(key));
  const lead = (key) => element("p", { class: "lead" }, ...parts(key));
  const initial = (name) => Array.from(name.trim())[0]?.toUpperCase() ?? "";

  function button(action, key, onclick, first) {
    const attributes = { type: onclick ? "button" : "submit", class: first ? "button first" : "button", "data-action": action };
    return element("button", onclick ? { ...attributes, onclick } : attributes, text(key));
  }

  function roundButton(action, iconName, label, onclick) {
    return element("button", { type: "button", class: "round", "data-action": action, "aria-label": label, onclick }, icon(iconName));
  }

  function tile(of) {
    const created = element("span", { class: "tile", "aria-hidden": "true" });
    if (of.icon) {
      created.append(element("img", { src: of.icon, alt: "", onerror: () => created.replaceChildren(initial(of.label)) }));
    } else {
      created.append(initial(of.label));
    }
    return created;
  }

  function bridge(state) {
    return element("div", { class: "bridge", "data-state": state, "aria-hidden": "true" },
      element("span", { class: "tile own" }, initial(values().organization)),
      element("span", { class: "span" }, icon("check")),
      tool && tile(tool));
  }

  function notice(kind, iconName, attributes, ...children) {
    return element("div", { class: "notice " + kind }, icon(iconName), element("p", attributes, ...children));
  }

  // Screens.

  function show(name, { back, state, close = embedded }, ...children) {
    screen.dataset.screen = name;
    screen.replaceChildren(...children);
    window.scrollTo(0, 0);
    const progress = progressOf(name);
    bar.replaceChildren(...[
      back && roundButton("back", "back", text("back"), back),
      state && bridge(state),
      progress && element("p", { class: "step" }, progress),
      close && roundButton("close", "close", text("close"), leave),
    ].filter(Boolean));
    status.textContent = "";
    screen.querySelector("h1").focus({ preventScroll: true });
  }

  function progressOf(name) {
    const screens = flow.kind === "setup" ? ["setup"] : [choice && "tools", "credentials", setup.length > 0 && "setup"].filter(Boolean);
    return screens.length > 1 && screens.includes(name) ? text("step", { step: screens.indexOf(name) + 1, steps: screens.length }) : undefined;
  }

  function showTools() {
    tool = undefined;
    const plain = (value) => value.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
    const items = tools.map((of) => element("li", {},
      element("button", { type: "button", class: "tool", "data-tool": of.id, onclick: () => choose(of) }, tile(of), element("span", {}, of.label))));
    const empty = element("p", { class: "empty", hidden: tools.length > 0 }, text("tools_none"));

    const filter = ({ target }) => {
      const query = plain(target.value);
      let found = 0;
      tools.forEach((of, index) => {
        items[index].hidden = !plain(of.label).includes(query) && !of.id.includes(query);
        found += items[index].hidden ? 0 : 1;
      });
      empty.hidden = found > 0;
      status.textContent = found > 0 ? text("search_results", { count: found }) : text("tools_none");
    };
    const enter = (event) => {
      const left = items.filter(({ hidden }) => !hidden);
      if (event.key === "Enter" && !event.isComposing && left.length === 1) {
        event.preventDefault();
        left[0].firstChild.click();
      }
    };

    show("tools", {}, element("div", { class: "body" },
      heading("tools_title"),
      lead("tools_lead"),
      tools.length >= searchable ? element("div", { class: "with search" },
        icon("search"),
        element("input", { type: "search", class: "input", name: "search", placeholder: text("search"), "aria-label": text("search"),
          autocomplete: "off", spellcheck: "false", enterkeyhint: "search", oninput: filter, onkeydown: enter })) : undefined,
      element("ul", { class: "tools", role: "list" }, ...items),
      empty));
  }

  function choose(of) {
    tool = of;
    showCredentials();
  }

  function showCredentials() {
    const relink = flow.kind === "relink";
    const fields = tool.fields ?? [];
    const form = element("form", { novalidate: true, autocomplete: "off", onsubmit: connect },
      element("div", { class: "body" },
        heading(relink ? "credentials_title_relink" : "credentials_title"),
        lead(relink ? "credentials_lead_relink" : "credentials_lead"),
        relink && flow.scope_config ? notice("", "info", { "data-notice": "scope" }, ...parts("scope_notice")) : undefined,
        element("div", { role: "alert", class: "alert" }),
        ...fields.map(field),
        fields.length > 0 ? element("p", { class: "small" }, text("credentials_hint")) : undefined),
      element("div", { class: "actions" }, button("connect", relink ? "reconnect" : "connect", undefined, true)));
    const back = () => {
      if (!busy) {
        showTools();
      }
    };
    show("credentials", { back: choice ? back : undefined, state: "open" }, form);
  }

  function field(name) {
    const id = "field-" + name;
    const secret = secrets.includes(name);
    const label = flow.texts["field_" + name] ?? name;
    const values = (typed[tool.id] ??= {});
    const input = element("input", { id, name, class: "input", type: secret ? "password" : "text", required: true,
      autocomplete: "off", autocapitalize: "none", autocorrect: "off", spellcheck: "false", inputmode: name === "url" ? "url" : undefined });
    input.value = values[name] ?? "";
    input.addEventListener("input", () => {
      values[name] = input.value;
      complain(input, false);
    });

    const wrapped = element("div", { class: secret ? "with secret" : "with" }, input);
    if (secret) {
      const reveal = roundButton("reveal", "show", text("show", { field: label }), () => {
        const hidden = input.type === "text";
        input.type = hidden ? "password" : "text";
        reveal.setAttribute("aria-label", text(hidden ? "show" : "hide", { field: label }));
        reveal.replaceChildren(icon(hidden ? "show" : "hide"));
      });
      reveal.setAttribute("aria-controls", id);
      wrapped.append(reveal);
    }
    return element("div", { class: "field" }, element("label", { for: id }, label), wrapped);
  }

  /** Marks a field as missing, or as fine. */
  function complain(input, missing) {
    const parent = input.closest(".field");
    parent.querySelector(".wrong")?.remove();
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
    if (missing) {
      const id = "error-" + input.name;
      parent.append(element("p", { id, class: "wrong", "data-error": "required" }, icon("alert"), text("error_required")));
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", id);
    }
  }

  function showSetup() {
    const body = element("div", { class: "body" },
      heading("setup_title"),
      lead(connected ? "setup_lead_connected" : "setup_lead"),
      element("div", { role: "alert", class: "alert" }),
      setup.includes("filtering") ? filtering() : undefined,
      setup.includes("field_mapping") ? mapping() : undefined,
      setup.includes("tool") ? part("tool") : undefined,
      element("p", { class: "small" }, text("setup_hint")));
    const finish = button("finish-setup", "finish_setup", undefined, true);
    const later = button("later", "later", () => endSetup(false, later));
    const submit = (event) => {
      event.preventDefault();
      endSetup(true, finish);
    };
    show("setup", { state: "done" }, element("form", { novalidate: true, onsubmit: submit }, body, element("div", { class: "actions" }, finish, later)));
  }

  function part(name, ...children) {
    return element("section", { class: "part", "data-setup": name, "aria-labelledby": "setup-" + name },
      element("h2", { id: "setup-" + name }, text(name + "_title")),
      element("p", { class: "small" }, text(name + "_lead")),
      ...children);
  }

  function filtering() {
    const group = (legend, names) => element("fieldset", {},
      element("legend", {}, text(legend)),
      element("div", { class: "checks" }, ...names.map((name) => element("label", { class: "check" },
        element("input", { type: "checkbox", name, checked: name !== "contract_external" }), text(name)))));
    return part("filtering",
      group("departments", ["department_engineering", "department_sales", "department_people", "department_finance"]),
      group("contracts", ["contract_full_time", "contract_part_time", "contract_external"]));
  }

  function mapping() {
    const select = (name, options) => element("div", { class: "field" },
      element("label", { for: "field-" + name }, text(name)),
      element("div", { class: "with select" },
        element("select", { id: "field-" + name, name, class: "input" }, ...options.map((option) => element("option", { value: option }, text(option)))),
        icon("down")));
    return part("field_mapping",
      select("employee_number", ["source_personnel_number", "source_external_id", "source_none"]),
      select("cost_center", ["source_cost_center", "source_department_code", "source_none"]));
  }

  function showSuccess(finished) {
    let title = "success_title";
    let explanation = finished ? "success_lead" : "success_lead_later";
    if (flow.kind === "relink") {
      title = "success_title_relink";
    } else if (flow.kind === "setup") {
      title = finished ? "success_title_setup" : "success_title_later";
    }
    show("success", { close: false },
      element("div", { class: "body end" }, bridge("done"), heading(title), lead(explanation), embedded ? undefined : lead("success_close")),
      embedded ? element("div", { class: "actions" }, button("done", "done", handOver, true)) : "");
  }

  function showProblem(problem) {
    const known = flow.texts["problem_" + problem + "_title"] ? problem : "unknown";
    if (known === "gone") {
      token = null;
    }
    document.title = text("page_title_problem");
    screen.dataset.problem = known;
    show("problem", {},
      element("div", { class: "body end" },
        element("div", { class: "badge" }, icon(known)),
        heading("problem_" + known + "_title"),
        lead("problem_" + known)),
      embedded && framed ? element("div", { class: "actions" }, button("close", "close", leave, true)) : "");
  }

  function showLeft() {
    show("left", { close: false },
      element("div", { class: "body end" }, element("div", { class: "badge" }, icon("left")), heading("left_title"), lead("left")));
  }

  // What happens.

  /** Posts to the fake server: {ok}, {refused}, {problem} or, with anything else, {}. */
  async function post(path, body) {
    try {
      const response = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify({ token: flow.token, ...body }),
        signal: AbortSignal.timeout(patience),
      });
      const data = await response.json();
      switch (response.status) {
        case 200:
          return { ok: { setup: data.setup ?? [], activation_token: data.activation_token ?? "" } };
        case 422:
          return { refused: data.problem === "refused" };
        case 410:
          return { problem: data.problem || "unknown" };
      }
    } catch {
      // No response, too late, or not JSON: the same to the customer.
    }
    return {};
  }

  /** Calls work once at a time; until it is done, the button says so and nothing else reacts. */
  async function whileBusy(pressed, key, work) {
    if (busy) {
      return;
    }
    busy = true;
    screen.querySelector(".alert")?.replaceChildren();
    const label = pressed?.textContent;
    if (pressed) {
      pressed.textContent = text(key);
      pressed.classList.add("busy");
      status.textContent = text(key);
    }
    screen.setAttribute("aria-busy", "true");
    const controls = [...card.querySelectorAll("[data-action]:not([data-action=reveal])")];
    const inputs = [...screen.querySelectorAll("input")];
    controls.forEach((control) => control.setAttribute("aria-disabled", "true"));
    inputs.forEach((input) => { input.readOnly = true; });
    try {
      return await work();
    } finally {
      busy = false;
      screen.removeAttribute("aria-busy");
      controls.forEach((control) => control.removeAttribute("aria-disabled"));
      inputs.forEach((input) => { input.readOnly = false; });
      status.textContent = "";
      if (pressed) {
        pressed.textContent = label;
        pressed.classList.remove("busy");
      }
    }
  }

  function fail(kind) {
    const alert = screen.querySelector(".alert");
    alert.replaceChildren(notice("bad", "alert", { "data-error": kind }, text("error_" + kind)));
    alert.scrollIntoView({ block: "nearest" });
  }

  async function connect(event) {
    event.preventDefault();
    if (busy) {
      return;
    }
    const inputs = [...event.target.querySelectorAll("input")];
    inputs.forEach((input) => complain(input, input.value.trim() === ""));
    const missing = inputs.find((input) => input.hasAttribute("aria-invalid"));
    if (missing) {
      screen.querySelector(".alert").replaceChildren();
      missing.focus();
      return;
    }

    const between = bar.querySelector(".bridge");
    between.dataset.state = "busy";
    const credentials = Object.fromEntries(inputs.map(({ name, value }) => [name, secrets.includes(name) ? value : value.trim()]));
    const pressed = screen.querySelector("[data-action=connect]");
    const result = await whileBusy(pressed, "connecting", () => post("/connect/v1/connect", { tool: tool.id, credentials }));
    between.dataset.state = "open";

    if (result.ok) {
      connected = true;
      token = result.ok.activation_token;
      setup = result.ok.setup;
      if (setup.length > 0) {
        showSetup();
      } else {
        showSuccess(true);
      }
    } else if (result.problem) {
      showProblem(result.problem);
    } else {
      fail(result.refused ? "refused" : "failed");
      (result.refused && inputs[0] ? inputs[0] : pressed).focus({ preventScroll: true });
    }
  }

  async function endSetup(finish, pressed) {
    if (busy) {
      return;
    }
    const result = await whileBusy(pressed, "saving", () => post("/connect/v1/setup", { finish }));
    if (result.ok) {
      if (!connected) {
        token = result.ok.activation_token;
      }
      showSuccess(finish);
    } else if (result.problem) {
      showProblem(result.problem);
    } else {
      fail("failed");
    }
  }

  /** What × and Escape do. Who has connected already leaves the setup for later, and has succeeded. */
  async function leave() {
    if (busy) {
      return;
    }
    if (connected && screen.dataset.screen === "setup") {
      const result = await whileBusy(undefined, "", () => post("/connect/v1/setup", { finish: false }));
      if (result.problem === "gone") {
        showProblem("gone");
        return;
      }
    }
    handOver();
  }

  function handOver() {
    if (framed) {
      window.parent.postMessage(token === null ? { type: "close" } : { type: "success", data: { activation_token: token } }, "*");
    } else {
      showLeft();
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) {
      return;
    }
    if (event.key === "Escape" && bar.querySelector("[data-action=close]")) {
      const { target } = event;
      if (target.type === "search" && target.value !== "") {
        target.value = "";
        target.dispatchEvent(new Event("input"));
        event.preventDefault();
      } else if (target.tagName !== "SELECT") { // whose list Escape closes
        leave();
      }
    }
    if (event.key === "Tab" && overlay) {
      // The frame covers the embedding page: Tab goes round within the card.
      const stops = [...card.querySelectorAll("button, input, select")].filter((stop) => stop.getClientRects().length > 0);
      const side = event.shiftKey ? Node.DOCUMENT_POSITION_PRECEDING : Node.DOCUMENT_POSITION_FOLLOWING;
      if (!stops.some((stop) => document.activeElement.compareDocumentPosition(stop) & side)) {
        event.preventDefault();
        stops.at(event.shiftKey ? -1 : 0)?.focus();
      }
    }
  });

  const overlay = framed && embedded;
  document.documentElement.dataset.mode = overlay ? "overlay" : "page";
  if (overlay) {
    card.setAttribute("role", "dialog");
    card.setAttribute("aria-modal", "true");
    card.setAttribute("aria-labelledby", "heading");
  }
  document.getElementById("fake").textContent = text("fake");
  card.hidden = false;

  if (flow.kind === "problem") {
    showProblem(flow.problem);
  } else if (flow.kind === "setup") {
    showSetup();
  } else if (choice) {
    showTools();
  } else {
    showCredentials();
  }
})();
