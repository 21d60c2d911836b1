/* The live page of a run or a rollout: one websocket, resumed by cursor after a loss; cells, bars, rows and tail follow its events. */
(function () {
  "use strict";
  const box = document.querySelector("[data-live]");
  if (!box || !box.dataset.run || box.dataset.run === "None") return;
  const FINAL = new Set(["succeeded", "failed", "cancelled"]);
  const SETTLED = new Set(["succeeded", "stays", "differs", "skipped", "failed", "cancelled"]);
  const SHAPE = { succeeded: "ok", failed: "bad", cancelled: "skip", skipped: "skip", running: "run", waiting: "run", held: "hold", paused: "hold", warning: "warn" };
  const WORD = { succeeded: "Succeeded", failed: "Failed", cancelled: "Cancelled", running: "Running", waiting: "Waiting", held: "Held", pending: "Waiting to start", paused: "Paused", skipped: "Skipped" };
  const QUIET = 20000; // ms without a word from the server before we ask whether it is there
  const OVERLAP = 3000; // ms: events of one moment may be committed in another order than numbered
  const $ = (id) => document.getElementById(id);
  const top = Number(box.dataset.run);
  const tail = $("tail");
  const stale = $("stale");
  const names = JSON.parse(($("names") || { textContent: "{}" }).textContent);

  /* ---------- the connection ---------- */
  let cursor = Number(box.dataset.cursor || 0); // all events up to here are applied, whatever comes late
  let recent = []; // [id, time] of events that are too young for the cursor
  let applied = new Set();
  const listed = new Set([...document.querySelectorAll("#tail [data-id]")].map((item) => Number(item.dataset.id)));
  let heardAt = Date.now();
  let socket = null;
  let pause = 300;
  let isRefused = false;
  let ended = FINAL.has(box.dataset.state);

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/ws/runs/${top}/?after=${cursor}`);
    socket.onmessage = (message) => { heard(); pause = 300; take(JSON.parse(message.data)); };
    socket.onclose = (event) => {
      if ([4401, 4403, 4404].includes(event.code)) {
        isRefused = true;
        say(`${event.reason || "You may not follow this run any more."} Reload the page.`);
        return;
      }
      tellAge();
      setTimeout(connect, pause + Math.random() * 200);
      pause = Math.min(pause * 2, 10000);
    };
  }

  function heard() { heardAt = Date.now(); stale.classList.remove("on"); }
  function say(text) { stale.querySelector("span").textContent = text; stale.classList.add("on"); }
  function tellAge() { say(`Last update ${Math.round((Date.now() - heardAt) / 1000)} s ago, retrying. What is shown may be old.`); }

  setInterval(() => {
    if (isRefused) return;
    if (!socket || socket.readyState !== WebSocket.OPEN) { tellAge(); return; }
    if (Date.now() - heardAt < QUIET) return;
    // Nothing happens, or the line is dead without having said so: ask.
    const asked = socket;
    fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(5000) })
      .then((reply) => { if (reply.ok) heard(); else throw new Error("not well"); })
      .catch(() => { tellAge(); asked.close(); });
  }, 5000);

  function take(message) {
    for (const event of message.events || []) {
      if (applied.has(event.id)) continue;
      applied.add(event.id);
      recent.push([event.id, Date.parse(event.at)]);
      apply(event);
    }
    if (message.events) moveCursor();
    // The cursor of a snapshot is the server's own: what lies before it is still on its way to us.
    if (message.type === "progress" || message.type === "snapshot") headline(message);
    draw();
  }

  function moveCursor() {
    const newest = recent.reduce((latest, entry) => Math.max(latest, entry[1]), 0);
    recent.sort((one, other) => one[0] - other[0]);
    while (recent.length && recent[0][1] < newest - OVERLAP) cursor = Math.max(cursor, recent.shift()[0]);
    if (applied.size > 50000) applied = new Set([...applied].slice(-10000));
  }

  /* ---------- what an event changes ---------- */
  const states = new Map(); // cell or row key -> state
  document.querySelectorAll(".wall a").forEach((cell) => states.set(cell.id.slice(5), cell.className.slice(2)));

  function apply(event) {
    const [scope, state] = event.kind.split(".");
    if (scope === "run") {
      if (event.run === top) whole(state, event); else paint(event.run, state, event);
    }
    if (event.kind === "progress") bar(event.run, event.data);
    if (scope === "step") step(event, state);
    line(event, state || event.kind);
    refreshSoon();
  }

  function glyph(state) {
    const shape = SHAPE[state] || "wait";
    const look = shape === "skip" ? "skipd" : shape;
    return `<svg class="g ${look}${shape === "run" ? " spin" : ""}" viewBox="0 0 16 16" aria-hidden="true"><use href="${box.dataset.sprite}#s-${shape}"/></svg>`;
  }

  function lookOf(state) { const shape = SHAPE[state] || "wait"; return shape === "skip" ? "skipd" : shape; }

  function paint(run, state, event) {
    const why = event.message && event.message !== WORD[state] && state !== "succeeded" ? event.message : "";
    const name = names[run] || `R-${run}`;
    const cell = $(`cell-${run}`);
    if (cell) {
      states.set(String(run), state);
      cell.className = `c-${state}`;
      cell.setAttribute("aria-label", `${name}, ${WORD[state] || state}`);
      cell.title = `${name}: ${WORD[state] || state}${why ? `, ${why}` : ""}`;
    }
    const row = $(`row-${run}`);
    if (!row) return;
    const place = row.querySelector("[data-state]");
    place.innerHTML = `<span class="st ${lookOf(state)}">${glyph(state)}<b></b>${why ? '<span class="why"></span>' : ""}</span>`;
    place.querySelector("b").textContent = WORD[state] || state;
    if (why) { place.querySelector(".why").textContent = why; place.querySelector(".why").title = why; }
    const prog = row.querySelector(".prog");
    if (prog) {
      prog.className = `prog ${lookOf(state)}`;
      if (FINAL.has(state)) prog.firstElementChild.style.width = "100%";
    }
    if (state === "running" && !row.dataset.began) row.dataset.began = event.at;
    const seconds = row.querySelector("[data-seconds]");
    if (FINAL.has(state) && row.dataset.began && seconds && prog) {
      seconds.textContent = ((Date.parse(event.at) - Date.parse(row.dataset.began)) / 1000).toFixed(1);
    }
  }

  function bar(run, data) {
    const row = $(`row-${run}`);
    if (!row || !data.total || !row.querySelector(".prog")) return;
    row.querySelector(".prog i").style.width = `${Math.min(99, Math.round((100 * data.finished) / data.total))}%`;
    row.querySelector("[data-progress]").textContent = `${data.finished} of ${data.total}`;
  }

  function step(event, state) {
    const row = $(`step-${event.step}`);
    if (!row) return;
    row.querySelector("[data-glyph]").innerHTML = glyph(state);
    const why = row.querySelector(".why");
    const title = row.children[1].textContent;
    why.textContent = state === "succeeded" || event.message === title ? "" : event.message.replace(`${title}: `, "");
    if (state === "running" && !row.dataset.began) row.dataset.began = event.at;
    if ((FINAL.has(state) || state === "skipped") && row.dataset.began) {
      row.querySelector("[data-seconds]").textContent = `${((Date.parse(event.at) - Date.parse(row.dataset.began)) / 1000).toFixed(1)} s`;
    }
  }

  function whole(state, event) {
    const pill = $("pill");
    if (pill && WORD[state]) {
      pill.className = `pill ${lookOf(state)}`;
      pill.innerHTML = glyph(state) + WORD[state];
    }
    const isEnd = FINAL.has(state);
    if (isEnd && !ended) setTimeout(() => htmx.trigger(document.body, "live-end"), 300);
    else if (!isEnd) setTimeout(() => htmx.trigger(document.body, "live-state"), 300);
    if (isEnd && event.message) polite(`${WORD[state]}. ${event.message}`);
    ended = isEnd;
  }

  function headline(progress) {
    const note = $("why-note");
    if (!note || progress.why === undefined) return;
    note.hidden = !progress.why || progress.state === "succeeded";
    $("why").textContent = progress.why;
    if (progress.state) note.className = `note ${lookOf(progress.state)}`;
  }

  /* ---------- the whole, at most once a frame ---------- */
  let isDue = false;
  function draw() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => { isDue = false; drawLines(); count(); });
  }

  function count() {
    if (!states.size) return;
    const counts = {};
    states.forEach((state) => { counts[state] = (counts[state] || 0) + 1; });
    const sum = (text) => text.split(" ").reduce((all, state) => all + (counts[state] || 0), 0);
    const done = [...SETTLED].reduce((all, state) => all + (counts[state] || 0), 0);
    const share = (100 * done) / states.size;
    $("percent").textContent = share.toFixed(states.size < 100 || share === 100 ? 0 : 1);
    $("finished").textContent = `${done.toLocaleString("en")} of ${states.size.toLocaleString("en")} finished`;
    $("bar").setAttribute("aria-label", `${Math.round(share)} percent finished, ${counts.failed || 0} failed`);
    document.querySelectorAll("[data-part-of]").forEach((part) => { part.style.width = `${(100 * sum(part.dataset.partOf)) / states.size}%`; });
    document.querySelectorAll("[data-legend]").forEach((part) => {
      part.querySelector("b").textContent = sum(part.dataset.legend).toLocaleString("en");
      part.hidden = sum(part.dataset.legend) === 0;
    });
    document.querySelectorAll("[data-sum]").forEach((part) => { part.textContent = sum(part.dataset.sum).toLocaleString("en"); });
    budget(counts.failed || 0);
    left(sum("succeeded failed cancelled"), sum("running waiting held pending paused"));
    announce(Math.floor(share / 10));
  }

  function budget(failed) {
    const place = $("budget");
    if (!place) return;
    const most = Number(box.dataset.budget);
    place.textContent = `Failure budget ${most.toLocaleString("en")}, used ${failed.toLocaleString("en")}`
      + (ended ? "." : failed > most ? ": nothing new starts." : `: ${most - failed + 1} more and nothing new starts.`);
    place.classList.toggle("bad", failed >= most && failed > 0);
    place.classList.toggle("tx", failed >= most && failed > 0);
  }

  function left(finished, open) {
    const place = $("left");
    const since = Date.parse(box.dataset.started);
    if (!place) return;
    if (ended || !since || finished < 5 || !open) { place.textContent = ""; return; }
    const seconds = ((Date.now() - since) / 1000 / finished) * open;
    place.textContent = `about ${seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`} left, `;
  }

  let tenth = -1;
  function announce(now) {
    if (now === tenth) return;
    if (tenth >= 0) polite(`${now * 10} percent finished`);
    tenth = now;
  }
  function polite(text) { const place = $("polite"); if (place) place.textContent = text; }

  let refreshing = 0;
  function refreshSoon() {
    if (!refreshing) refreshing = setTimeout(() => { refreshing = 0; htmx.trigger(document.body, "live-refresh"); }, 1500);
  }

  /* ---------- the tail of events ---------- */
  const hold = $("hold");
  const only = $("only-failures");
  let isHeld = false;
  let heldBack = [];

  const LINES = 300; // that the tail holds
  let fresh = []; // [event, state] of lines that are not drawn yet

  function line(event, state) {
    if (listed.has(event.id)) return;
    listed.add(event.id);
    if (isHeld) { heldBack.push([event, state]); hold.querySelector("span").textContent = `${heldBack.length} new`; return; }
    fresh.push([event, state]);
    if (fresh.length > 2 * LINES) fresh = fresh.slice(-LINES); // nothing is drawn while the page is in the background
  }

  function lineOf(event, state) {
    const item = document.createElement("li");
    item.dataset.kind = state;
    item.dataset.id = event.id;
    item.hidden = only.checked && state !== "failed" && state !== "warning";
    item.innerHTML = `<span class="sub"></span>${glyph(state)}<span class="b"></span><span class="sub"></span>`;
    const [time, name, text] = item.querySelectorAll("span");
    time.textContent = event.at.slice(11, 19);
    name.textContent = name.title = names[event.run] || (event.run === top && Object.keys(names).length ? "all" : "");
    text.textContent = text.title = event.message;
    return item;
  }

  /* Once a frame, in one go: lines that would push each other out are not made at all. */
  function drawLines() {
    if (!fresh.length) return;
    const made = document.createDocumentFragment();
    fresh.slice(-LINES).forEach(([event, state]) => made.prepend(lineOf(event, state)));
    fresh = [];
    tail.prepend(made);
    while (tail.children.length > LINES) tail.lastChild.remove();
    const none = $("tail-none");
    if (none) none.remove();
  }

  hold.onclick = () => {
    isHeld = !isHeld;
    hold.setAttribute("aria-pressed", isHeld);
    hold.querySelector("span").textContent = isHeld ? "Held" : "Hold the tail";
    const waiting = heldBack;
    heldBack = [];
    waiting.forEach(([event, state]) => { listed.delete(event.id); line(event, state); });
    drawLines();
  };
  only.onchange = () => [...tail.children].forEach((item) => {
    item.hidden = only.checked && item.dataset.kind !== "failed" && item.dataset.kind !== "warning";
  });

  /* ---------- the wall: one tab stop, arrow keys move ---------- */
  document.querySelectorAll(".wall").forEach((wall) => {
    const cells = [...wall.children];
    wall.addEventListener("keydown", (event) => {
      const perRow = getComputedStyle(wall).gridTemplateColumns.split(" ").length;
      const from = cells.indexOf(document.activeElement);
      const to = from + ({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow, ArrowUp: -perRow }[event.key] || 0);
      if (from < 0 || to === from || !cells[to]) return;
      event.preventDefault();
      cells[from].tabIndex = -1;
      cells[to].tabIndex = 0;
      cells[to].focus();
    });
  });

  /* A retry, here or by somebody else, makes another run: follow that one. */
  document.body.addEventListener("htmx:afterSwap", () => {
    const now = document.querySelector("[data-run-now]");
    if (now && now.dataset.runNow !== String(top)) location.reload();
  });

  count();
  connect();
})();
