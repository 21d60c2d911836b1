/* The live tail of a run or a rollout: one websocket, resumed by cursor after a loss; cells, bars and rows follow the events. */
(function () {
  "use strict";
  const box = document.querySelector("[data-live]");
  if (!box) return;
  const FINAL = new Set(["succeeded", "failed", "cancelled"]);
  const GLYPH = { succeeded: "ok", failed: "bad", cancelled: "skip", running: "run", waiting: "run", held: "wait", pending: "wait", paused: "hold", skipped: "skip" };
  const WORD = { succeeded: "Succeeded", failed: "Failed", cancelled: "Cancelled", running: "Running", waiting: "Waiting", held: "Held", pending: "Waiting to start", paused: "Paused" };
  const sprite = box.dataset.sprite;
  const top = Number(box.dataset.run);
  let cursor = Number(box.dataset.cursor || 0);
  let seen = new Set();
  let heardAt = Date.now();
  let pause = 500;
  let isHeld = false;
  let heldBack = [];
  let ended = FINAL.has(box.dataset.state);
  const tail = document.getElementById("tail");
  const stale = document.getElementById("stale");
  const names = JSON.parse((document.getElementById("names") || { textContent: "{}" }).textContent);

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/runs/${top}/?after=${cursor}`);
    socket.onopen = () => { pause = 500; heard(); };
    socket.onmessage = (message) => { heard(); take(JSON.parse(message.data)); };
    socket.onclose = (event) => {
      if (event.code === 4403 || event.code === 4404 || event.code === 4401) {
        say("You may not follow this run any more. Reload the page to sign in again.");
        return;
      }
      setTimeout(connect, pause + Math.random() * 300);
      pause = Math.min(pause * 2, 15000);
    };
  }

  function heard() { heardAt = Date.now(); stale.classList.remove("on"); }
  function say(text) { stale.querySelector("span").textContent = text; stale.classList.add("on"); }
  setInterval(() => {
    const quiet = Math.round((Date.now() - heardAt) / 1000);
    if (quiet > 20 && !ended) say(`Last update ${quiet} s ago, retrying. What is shown may be old.`);
  }, 5000);

  function take(message) {
    if (message.type === "events" || message.type === "snapshot") {
      for (const event of message.events || []) {
        if (seen.has(event.id)) continue;
        seen.add(event.id);
        apply(event);
      }
      if (seen.size > 20000) seen = new Set([...seen].slice(-5000));
      if (message.cursor) cursor = Math.max(cursor, message.cursor);
    }
    if (message.type === "progress" || message.type === "snapshot") headline(message.progress || message);
  }

  function apply(event) {
    const [scope, state] = event.kind.split(".");
    if (scope === "run" && event.run !== top) paint(event.run, state, event.message);
    if (scope === "run" && event.run === top) whole(state);
    if (event.kind === "progress") bar(event.run, event.data);
    if (scope === "step") step(event, state);
    line(event, scope === "run" || scope === "step" ? state : event.kind);
    refreshSoon();
  }

  function glyph(state) {
    const shape = GLYPH[state] || "wait";
    const look = { ok: "ok", bad: "bad", run: "run", hold: "hold", skip: "skipd" }[shape] || "wait";
    const spin = shape === "run" ? "spin" : "";
    return `<svg class="g ${look} ${spin}" viewBox="0 0 16 16" aria-hidden="true"><use href="${sprite}#s-${shape}"/></svg>`;
  }

  function paint(run, state, why) {
    const cell = document.getElementById(`cell-${run}`);
    if (cell) { cell.className = `c-${state}`; cell.setAttribute("aria-label", `${names[run] || run}, ${WORD[state] || state}`); cell.title = `${names[run] || run}: ${WORD[state] || state}${why ? ", " + why : ""}`; }
    const row = document.getElementById(`row-${run}`);
    if (row) {
      const look = (GLYPH[state] || "wait").replace("skip", "skipd");
      const box = row.querySelector("[data-state]");
      box.innerHTML = `<span class="st ${look}">${glyph(state)}<b></b><span class="why"></span></span>`;
      box.querySelector("b").textContent = WORD[state] || state;
      box.querySelector(".why").textContent = why && why !== WORD[state] ? why : "";
      const bar = row.querySelector(".prog");
      if (bar) {
        bar.className = `prog ${look}`;
        if (FINAL.has(state)) bar.firstElementChild.style.width = "100%";
      }
    }
    count();
  }

  function bar(run, data) {
    const row = document.getElementById(`row-${run}`);
    if (!row || !data.total) return;
    const share = Math.min(99, Math.round((100 * data.finished) / data.total));
    row.querySelector(".prog i").style.width = `${share}%`;
    row.querySelector("[data-progress]").textContent = `${data.finished} of ${data.total}`;
  }

  function step(event, state) {
    const row = document.getElementById(`step-${event.step}`);
    if (!row) return;
    row.querySelector("[data-glyph]").innerHTML = glyph(state);
    const why = row.querySelector(".why");
    if (why) why.textContent = FINAL.has(state) && state === "succeeded" ? "" : event.message;
  }

  function count() {
    const cells = [...document.querySelectorAll(".wall a")];
    if (!cells.length) return;
    const counts = {};
    cells.forEach((cell) => { const state = cell.className.replace("c-", ""); counts[state] = (counts[state] || 0) + 1; });
    const done = ["succeeded", "stays", "differs", "skipped", "failed", "cancelled"].reduce((sum, state) => sum + (counts[state] || 0), 0);
    const percent = document.getElementById("percent");
    if (percent) percent.firstChild.textContent = ((100 * done) / cells.length).toFixed(cells.length < 100 ? 0 : 1);
    const text = document.getElementById("finished");
    if (text) text.textContent = `${done.toLocaleString("en")} of ${cells.length.toLocaleString("en")} finished`;
    document.querySelectorAll("[data-part-of]").forEach((part) => {
      const sum = part.dataset.partOf.split(" ").reduce((all, state) => all + (counts[state] || 0), 0);
      part.style.width = `${(100 * sum) / cells.length}%`;
    });
    document.querySelectorAll("[data-legend]").forEach((part) => {
      const sum = part.dataset.legend.split(" ").reduce((all, state) => all + (counts[state] || 0), 0);
      part.querySelector("b").textContent = sum.toLocaleString("en");
      part.hidden = sum === 0;
    });
    announce(Math.floor((10 * done) / cells.length));
  }

  let tenth = -1;
  function announce(now) {
    if (now === tenth) return;
    tenth = now;
    const polite = document.getElementById("polite");
    if (polite) polite.textContent = `${now * 10} percent finished`;
  }

  function whole(state) {
    const pill = document.getElementById("pill");
    if (pill) {
      const look = { succeeded: "ok", failed: "bad", cancelled: "skipd", paused: "hold", held: "hold" }[state] || "run";
      pill.className = `pill ${look}`;
      pill.innerHTML = glyph(state) + (WORD[state] || state);
    }
    if (FINAL.has(state)) { ended = true; setTimeout(() => htmx.trigger(document.body, "live-end"), 400); }
    if (!FINAL.has(state) && ended) ended = false;
  }

  function headline(progress) {
    const why = document.getElementById("why");
    if (why && progress.why !== undefined) why.textContent = progress.why;
  }

  function line(event, state) {
    if (!tail) return;
    if (isHeld) { heldBack.push([event, state]); hold.querySelector("span").textContent = `${heldBack.length} new`; return; }
    const only = document.getElementById("only-failures");
    const item = document.createElement("li");
    item.dataset.kind = state;
    item.hidden = Boolean(only && only.checked && state !== "failed" && state !== "warning");
    item.innerHTML = `<span class="sub"></span>${glyph(state)}<span class="b"></span><span class="sub"></span>`;
    const [time, name, text] = item.querySelectorAll("span");
    time.textContent = event.at.slice(11, 19);
    name.textContent = names[event.run] || (event.run === top ? "all" : `run ${event.run}`);
    name.title = name.textContent;
    text.textContent = event.message;
    text.title = event.message;
    tail.prepend(item);
    while (tail.children.length > 300) tail.lastChild.remove();
    const none = document.getElementById("tail-none");
    if (none) none.remove();
  }

  const hold = document.getElementById("hold");
  if (hold) hold.onclick = () => {
    isHeld = !isHeld;
    hold.setAttribute("aria-pressed", isHeld);
    hold.querySelector("span").textContent = isHeld ? "Held" : "Hold the tail";
    if (!isHeld) { const waiting = heldBack; heldBack = []; waiting.forEach(([event, state]) => line(event, state)); }
  };
  const only = document.getElementById("only-failures");
  if (only) only.onchange = () => [...tail.children].forEach((item) => {
    item.hidden = only.checked && item.dataset.kind !== "failed" && item.dataset.kind !== "warning";
  });

  let due = 0;
  function refreshSoon() {
    if (due) return;
    due = setTimeout(() => { due = 0; htmx.trigger(document.body, "live-refresh"); }, 1500);
  }

  document.querySelectorAll(".wall").forEach((wall) => {
    const cells = [...wall.children];
    cells.forEach((cell, index) => { cell.tabIndex = index ? -1 : 0; });
    wall.addEventListener("keydown", (event) => {
      const perRow = Math.max(1, Math.floor((wall.clientWidth + 2) / 18));
      const from = cells.indexOf(document.activeElement);
      const to = from + ({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow, ArrowUp: -perRow }[event.key] || 0);
      if (to !== from && cells[to]) { event.preventDefault(); cells[from].tabIndex = -1; cells[to].tabIndex = 0; cells[to].focus(); }
    });
  });
  count();
  connect();
})();
