// The settings page of Rosterly. The server renders the connections. This script opens Kombo's flow, asks for
// confirmation before anything that cannot be undone, and updates the page when the server reports a change.

'use strict';

(() => {
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const live = find('#live');

  // An error whose message is for the customer. The status is 0 if the server did not respond.
  class Failure extends Error {
    constructor(message, status = 0) {
      super(message);
      this.status = status;
    }
  }

  // ---- forms, here and on the sign-in page: submitted once ----

  let sent = false;
  document.addEventListener('submit', (event) => {
    if (event.target.method !== 'post') return;
    if (sent) return event.preventDefault();
    sent = true;
    event.submitter?.setAttribute('aria-busy', 'true');
  });
  window.addEventListener('pageshow', (event) => {
    if (!event.persisted) return;
    // Back in the history: the session may have ended since.
    location.reload();
  });

  if (!live) return;

  // ---- the server ----

  const timeout = 90_000; // some links take Kombo long

  async function post(path, body) {
    let response;
    try {
      response = await fetch(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
        body: JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.timeout(timeout),
      });
    } catch (error) {
      throw new Failure(error.name === 'TimeoutError'
        ? 'This takes too long. Please try again.'
        : 'Rosterly cannot be reached. Check your connection and try again.');
    }
    if (signedOut(response)) return toSignIn();
    // Error texts are for developers. Customers get other texts.
    if (!response.ok) throw new Failure(words(response.status), response.status);
    return await response.json().catch(() => ({}));
  }

  const signedOut = (response) => response.status === 401 || response.type === 'opaqueredirect';

  // The promise stays pending: the page ends before it.
  function toSignIn() {
    location.reload();
    return new Promise(() => {});
  }

  function words(status) {
    if (status === 403) return 'You are not allowed to do this.';
    if (status === 404) return 'This is not there any more. Reload the page to see what is.';
    if (status === 429) return 'That was too often. Please wait a minute and try again.';
    if (status === 502) return 'The connection service is not available. Please try again.';
    if (status >= 500) return 'Something went wrong on our side. Please try again.';
    return 'This did not work. Please try again.';
  }

  // ---- toasts ----

  function toast(kind, text) {
    const region = find(kind === 'bad' ? '#toasts-bad' : '#toasts-ok');
    for (const old of all('.toast', region)) if (find('p', old).textContent === text) old.remove();
    // A success message replaces the last one, because on a phone several would cover the page.
    while (region.childElementCount > (kind === 'bad' ? 2 : 0)) region.firstElementChild.remove();

    const box = document.createElement('div');
    box.className = 'toast';
    box.dataset.toast = kind;
    const message = document.createElement('p');
    message.textContent = text;
    const close = document.createElement('button');
    close.type = 'button';
    close.className = 'toast-close';
    close.dataset.action = 'close-toast';
    close.setAttribute('aria-label', 'Close this message');
    close.append(icon('close'));
    close.addEventListener('click', () => box.remove());
    box.append(icon(kind === 'bad' ? 'alert' : 'ok'), message, close);
    region.append(box);

    if (kind === 'bad') return; // stays until it is closed
    let timer;
    const start = () => { timer = setTimeout(() => box.remove(), 7000); };
    const stop = () => clearTimeout(timer);
    for (const name of ['pointerenter', 'focusin']) box.addEventListener(name, stop);
    for (const name of ['pointerleave', 'focusout']) box.addEventListener(name, () => { stop(); start(); });
    start();
  }

  function icon(name) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('class', 'icon');
    svg.setAttribute('aria-hidden', 'true');
    const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
    use.setAttribute('href', '#i-' + name);
    svg.append(use);
    return svg;
  }

  function report(error) {
    if (!(error instanceof Failure)) console.warn('Rosterly:', error);
    toast('bad', error instanceof Failure ? error.message : 'Something went wrong. Please try again.');
  }

  // ---- one action at a time ----

  let working = false;

  async function run(button, task) {
    if (working) return;
    working = true;
    const menu = button.closest('.menu');
    const shown = menu ? find('summary', menu) : button;
    shown.setAttribute('aria-busy', 'true');
    try {
      await task();
    } catch (error) {
      report(error);
    } finally {
      working = false;
      shown.removeAttribute('aria-busy');
      keepFocus(shown);
    }
  }

  // Focus never moves to the body: it moves to the nearest control.
  function keepFocus(preferred) {
    if (document.activeElement && document.activeElement !== document.body) return;
    if (find('dialog[open]')) return;
    const place = preferred?.isConnected ? preferred : find('#attention-title') ?? find('#page-title');
    place.focus({ preventScroll: true });
  }

  // ---- what the page knows about a connection ----

  function connection(key) {
    const row = find(`[data-connection="${CSS.escape(key)}"]`, live);
    return row && {
      key,
      row,
      name: find('[data-name]', row).textContent,
      state: row.dataset.state,
      badge: find('.badge', row).textContent.trim(),
      meta: find('[data-meta]', row).textContent.replace(/\s+/g, ' ').trim(),
    };
  }

  const card = (category) => find(`[data-category="${CSS.escape(category)}"]`, live);
  const inCategory = (category) => all('[data-connection]', card(category) ?? undefined).map((row) => connection(row.dataset.connection));
  const list = (names) => new Intl.ListFormat('en', { type: 'conjunction' }).format(names);

  // ---- dialogs ----

  // open resolves with the value of the button that closed the dialog, or "" if it was cancelled.
  function open(dialog) {
    dialog.returnValue = '';
    dialog.showModal();
    return new Promise((resolve) => {
      // The event is late: when the dialog is open again, it may belong to the previous time.
      const closed = () => {
        if (dialog.open) return;
        dialog.removeEventListener('close', closed);
        resolve(dialog.returnValue);
      };
      dialog.addEventListener('close', closed);
    });
  }

  const busy = (dialog) => find('[aria-busy="true"]', dialog) !== null;

  for (const dialog of all('dialog')) {
    let pressedOutside = false;
    dialog.addEventListener('mousedown', (event) => {
      pressedOutside = event.target === dialog;
      // The second click of a double click must not take the focus away.
      if (event.detail > 1 && event.target.localName !== 'input') event.preventDefault();
    });
    dialog.addEventListener('click', (event) => {
      const outside = event.target === dialog && pressedOutside && event.detail === 1;
      if ((outside || event.target.closest('[data-action="cancel"]')) && !busy(dialog)) dialog.close('');
    });
    dialog.addEventListener('cancel', (event) => {
      if (busy(dialog)) event.preventDefault();
    });
  }

  // ---- connecting ----

  async function flow(path, body, again) {
    const library = window.KomboConnect;
    if (typeof library?.showKomboConnect !== 'function') {
      throw new Failure('The connection window could not be loaded. Turn off what may block it, such as an ad blocker, and reload this page.');
    }
    const { link } = await post(path, body);
    const token = await show(library, link);
    if (token === null) return;

    let result;
    try {
      result = await post('/integrations/kombo/activate', { token });
    } catch (error) {
      // The connection exists all the same: a webhook also reports it to the server.
      if (error.status > 0 && error.status < 500) throw error;
      throw new Failure('The system is connected, but Rosterly could not confirm it. It appears here as soon as that is done.', error.status);
    }
    await refresh();
    const row = result.tool ? find(`[data-tool="${CSS.escape(result.tool)}"] [data-name]`, live) : null;
    const name = row?.textContent ?? (result.tool ? result.tool[0].toUpperCase() + result.tool.slice(1) : 'The system');
    const rest = {
      INCOMPLETE: ' Some setup steps are left to do.',
      FINAL_SYNC_PENDING: ' The first sync is running.',
    }[result.setup_status] ?? '';
    toast('ok', `${name} is ${again ? 'connected again' : 'connected'}.${rest}`);
  }

  // show resolves with the token, or null if the customer has closed the flow.
  async function show(library, link) {
    const app = find('#app');
    const before = document.activeElement;
    try {
      const done = library.showKomboConnect(link);
      // The page behind the frame is not reachable by keyboard, and screen readers get a name for the frame.
      const frame = find('body > iframe:last-of-type');
      if (frame) {
        frame.title = 'Connect a system';
        app.inert = true;
        document.documentElement.classList.add('flow-open');
        frame.focus();
      }
      return await done;
    } catch (error) {
      if (error?.name === 'KomboConnectCancelledError') return null;
      if (error?.name === 'KomboConnectAlreadyOpenError') throw new Failure('The connection window is open already.');
      throw error;
    } finally {
      app.inert = false;
      document.documentElement.classList.remove('flow-open');
      if (before?.isConnected) before.focus({ preventScroll: true });
    }
  }

  const connect = (button, category) => run(button, () => flow('/integrations/kombo/init', { category }, false));

  // Before a second connection to a category, the customer is told about the first one.
  async function offer(button, category) {
    const there = inCategory(category);
    if (there.length === 0) return connect(button, category);
    there.sort((a, b) => (b.state === 'INVALID') - (a.state === 'INVALID'));

    const dialog = find('#dialog-connect');
    const names = list([...new Set(there.map((c) => c.name))]);
    find('#connect-title').textContent = `${names} ${names === there[0].name ? 'is' : 'are'} already connected`;
    find('#connect-text').textContent = 'Connecting the same system twice brings everybody into Rosterly twice. If something stopped working or has to change, reconnect it instead.';
    find('#connect-choices').replaceChildren(...there.map((c, i) => {
      const choice = document.createElement('button');
      choice.type = 'button';
      choice.className = 'choice' + (i === 0 ? ' primary' : '');
      choice.dataset.action = 'reconnect';
      choice.dataset.for = c.key;
      choice.dataset.tool = c.row.dataset.tool;
      const text = document.createElement('span');
      const name = document.createElement('strong');
      name.textContent = `Reconnect ${c.name}`;
      const more = document.createElement('span');
      more.className = 'small';
      more.textContent = c.meta.startsWith(c.badge) ? c.meta : `${c.badge} · ${c.meta}`;
      text.append(name, ' ', more);
      choice.append(find('.monogram', c.row).cloneNode(true), text);
      choice.addEventListener('click', (event) => {
        event.stopPropagation();
        if (event.detail <= 1) dialog.close(c.key);
      });
      return choice;
    }));
    find('[data-action="connect-another"]', dialog).onclick = (event) => {
      if (event.detail <= 1) dialog.close('another');
    };
    // A key never equals "another".
    const answer = await open(dialog);
    const chosen = there.find((c) => c.key === answer);
    if (chosen) return reconnect(button, chosen.key, chosen.name);
    if (answer === 'another') return connect(button, category);
  }

  async function reconnect(button, key, name) {
    let scope = '';
    const dialog = find('#dialog-scopes');
    if (dialog) {
      const form = find('#scopes-form');
      form.reset();
      find('#scopes-title').textContent = `Reconnect ${name}`;
      form.onsubmit = (event) => {
        event.preventDefault();
        dialog.close('go');
      };
      if (await open(dialog) !== 'go') return;
      scope = new FormData(form).get('scope') ?? '';
    }
    return run(button, () => flow('/integrations/kombo/relink', { connection: key, scope_config_id: scope }, true));
  }

  async function disconnect(key) {
    const c = connection(key);
    if (!c) return;
    const dialog = find('#dialog-disconnect');
    const confirm = find('[data-action="confirm"]', dialog);
    find('#disconnect-title').textContent = `Disconnect ${c.name}?`;
    find('#disconnect-tool').textContent = c.name;
    find('#disconnect-which').textContent = c.meta;
    confirm.onclick = (event) => {
      if (event.detail > 1) return;
      run(confirm, async () => {
        try {
          await post('/integrations/disconnect', { connection: key });
        } finally {
          confirm.removeAttribute('aria-busy');
          dialog.close('');
        }
        await refresh();
        toast('ok', `${c.name} is disconnected.`);
      });
    };
    await open(dialog);
  }

  function magicLink(button, category) {
    return run(button, async () => {
      const { link } = await post('/integrations/magic-link', { category });
      const field = find('#link-field');
      const label = find('[data-label]', card(category) ?? undefined)?.textContent ?? '';
      find('#link-title').textContent = label ? `A link for a colleague: ${label}` : 'A link for a colleague';
      field.value = link;
      copied('');
      const closed = open(find('#dialog-link'));
      field.focus();
      field.select();
      field.scrollLeft = 0;
      closed.then(() => { field.value = ''; });
    });
  }

  function copied(text, done = false) {
    find('#copy-status').textContent = text;
    find('#copy-text').textContent = done ? 'Copied' : 'Copy';
    find('[data-action="copy"] use').setAttribute('href', done ? '#i-ok' : '#i-copy');
  }

  async function copy() {
    const field = find('#link-field');
    field.select();
    let done = false;
    try {
      await navigator.clipboard.writeText(field.value);
      done = true;
    } catch {
      done = document.execCommand?.('copy') ?? false; // where the page is not served over https
    }
    copied(done ? 'The link is in your clipboard.' : 'The browser does not let us copy. The link is selected: copy it with your keyboard.', done);
  }

  const dismiss = (button, key) => run(button, async () => {
    await post('/attention/dismiss', { key });
    await refresh();
    find('#announce').textContent = 'The alert is dismissed.';
  });

  // ---- clicks ----

  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('[data-action]');
    for (const menu of all('.menu[open]')) if (!menu.contains(event.target)) menu.open = false;
    // The second click of a double click is ignored, because it may hit another control.
    if (!button || event.detail > 1) return;
    const target = button.dataset.for;
    const menu = button.closest('.menu');
    if (menu && button.localName !== 'summary') {
      menu.open = false;
      find('summary', menu).focus({ preventScroll: true });
    }
    if (working && ['connect', 'reconnect', 'disconnect', 'magic-link', 'dismiss'].includes(button.dataset.action)) {
      // An action in progress may not be visible: a live update may have replaced its button.
      if (button.getAttribute('aria-busy') !== 'true') toast('ok', 'One moment, please: the last step is not finished yet.');
      return;
    }
    switch (button.dataset.action) {
      case 'connect': return offer(button, target);
      case 'reconnect': return reconnect(button, target, connection(target)?.name ?? button.dataset.name ?? '');
      case 'disconnect': return disconnect(target);
      case 'magic-link': return magicLink(button, target);
      case 'dismiss': return dismiss(button, target);
      case 'copy': return copy();
    }
  });

  document.addEventListener('keydown', (event) => {
    // Auto-repeat of a key counts once.
    if (event.repeat && event.key === 'Enter' && event.target.closest?.('button')) event.preventDefault();
    if (event.key !== 'Escape') return;
    const menu = find('.menu[open]');
    if (menu) {
      menu.open = false;
      find('summary', menu).focus();
    }
  });

  document.addEventListener('focusin', (event) => {
    for (const menu of all('.menu[open]')) if (!menu.contains(event.target)) menu.open = false;
  });

  // ---- times ----

  const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'short' });
  const units = [['year', 31_556_952], ['month', 2_629_746], ['week', 604_800], ['day', 86_400], ['hour', 3600], ['minute', 60]];

  function times() {
    for (const time of all('time', live)) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const seconds = (at - Date.now()) / 1000;
      const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) ?? [];
      const text = unit ? relative.format(Math.trunc(seconds / size), unit) : 'just now';
      if (time.textContent !== text) time.textContent = text;
      if (!time.title) time.title = absolute.format(at);
    }
  }

  // ---- updating #live ----

  const own = new Set(['open', 'aria-busy']); // attributes that are the page's, not the server's
  const keyOf = (node) => node.nodeType === Node.ELEMENT_NODE ? node.dataset.key ?? '' : '';

  // morph makes a node equal to another one. Equal parts are not replaced, so focus, menus and scroll positions stay.
  function morph(from, to) {
    if (from.nodeType !== Node.ELEMENT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    if (from.localName === 'time' && from.dateTime === to.dateTime) return;
    for (const { name } of [...from.attributes]) if (!own.has(name) && !to.hasAttribute(name)) from.removeAttribute(name);
    for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    morphChildren(from, to);
  }

  function morphChildren(from, to) {
    const wanted = new Set([...to.children].map(keyOf));
    for (const child of [...from.children]) if (keyOf(child) && !wanted.has(keyOf(child))) child.remove();
    let next = from.firstChild;
    for (const fresh of [...to.childNodes]) {
      const key = keyOf(fresh);
      let match = null;
      if (key) match = [...from.children].find((child) => keyOf(child) === key) ?? null;
      else if (next && !keyOf(next) && next.nodeName === fresh.nodeName) match = next;
      if (!match || match.nodeName !== fresh.nodeName) {
        if (fresh.matches?.('.row, .alert')) fresh.classList.add('arrived');
        from.insertBefore(fresh, next);
        if (match === next) next = next?.nextSibling ?? null;
        match?.remove();
        continue;
      }
      if (match === next) next = next.nextSibling;
      else from.insertBefore(match, next);
      morph(match, fresh);
    }
    while (next) {
      const rest = next;
      next = next.nextSibling;
      rest.remove();
    }
  }

  function update(html) {
    const template = document.createElement('template');
    template.innerHTML = html;
    const fresh = document.createElement('div');
    fresh.append(template.content);
    const focused = document.activeElement;
    const within = live.contains(focused);
    morphChildren(live, fresh);
    times();
    for (const count of all('[data-count]')) {
      const number = inCategory(count.dataset.count).length;
      count.firstElementChild.textContent = number;
      count.lastElementChild.textContent = `: ${number} connected`;
    }
    if (!within) return;
    if (focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
    keepFocus();
  }

  let refreshing = null;
  let stale = false;

  // refresh resolves when the page shows the state at the time of the call. It never rejects.
  function refresh() {
    stale = true;
    refreshing ??= (async () => {
      while (stale) {
        stale = false;
        try {
          const response = await fetch('/settings/connections', { redirect: 'manual', cache: 'no-store', signal: AbortSignal.timeout(timeout) });
          if (signedOut(response)) await toSignIn();
          if (response.ok) {
            update(await response.text());
            if (stream?.readyState === EventSource.OPEN) offline(false);
          }
          else console.warn('Rosterly: loading the connections failed with status', response.status);
        } catch (error) {
          console.warn('Rosterly:', error);
          offline(true);
        }
      }
      refreshing = null;
    })();
    return refreshing;
  }

  // ---- events from the server ----

  let stream = null;
  let retry = 0;
  let retryTimer;
  let hintTimer;

  // A short interruption needs no hint.
  function offline(is) {
    clearTimeout(hintTimer);
    if (!is) find('#offline').hidden = true;
    else hintTimer = setTimeout(() => { find('#offline').hidden = false; }, 2000);
  }

  function listen() {
    clearTimeout(retryTimer);
    stream?.close();
    stream = new EventSource('/settings/stream');
    let first = true;
    stream.addEventListener('open', () => {
      // The page may have missed an event, unless it has just been loaded.
      if (!first || retry > 0) refresh();
      first = false;
      retry = 0;
      offline(false);
    });
    stream.addEventListener('change', refresh);
    stream.addEventListener('error', () => {
      offline(true);
      first = false;
      if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again
      // The server refused. If the session has ended, the response for the fragment shows that.
      retry += 1;
      refresh();
      clearTimeout(retryTimer);
      retryTimer = setTimeout(listen, Math.min(1000 * 2 ** retry, 30_000));
    });
  }

  window.addEventListener('online', () => { if (!find('#offline').hidden) listen(); });
  window.addEventListener('pagehide', () => { clearTimeout(retryTimer); stream?.close(); });

  times();
  setInterval(times, 20_000);
  listen();
})();
