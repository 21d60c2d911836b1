/* Small manners of every page: theme, "/" to search, copy buttons, selects that submit, confirmations. The live tail is in live.js. */
(function () {
  "use strict";
  const root = document.documentElement;

  document.addEventListener("click", (event) => {
    const theme = event.target.closest("[data-theme-toggle]");
    if (theme) {
      const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
      root.dataset.bsTheme = next;
      try { localStorage.setItem("on-theme", next); } catch (error) { /* private window: the choice lasts for this page */ }
      document.dispatchEvent(new Event("on:theme"));
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => { copy.setAttribute("aria-label", "Copied"); copy.classList.add("done"); copy.title = "Copied"; });
    }
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      dialog.showModal();
      const calm = dialog.querySelector("[data-cancel]");
      if (calm) calm.focus();
    }
    if (event.target.closest("[data-cancel]")) event.target.closest("dialog").close();
    if (event.target.closest("[aria-disabled=true]")) event.preventDefault();
    const time = event.target.closest("time[title]");
    if (time && matchMedia("(hover: none)").matches) { [time.title, time.textContent] = [time.textContent, time.title]; }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
    if (event.target.matches("[data-shows]")) showParts(event.target);
    if (event.target.matches("[data-select-all]")) {
      document.querySelectorAll("input[name=selected]").forEach((box) => { box.checked = event.target.checked; });
    }
    if (event.target.matches("[data-all-of]") && event.target.checked) {
      document.querySelectorAll("input[name=selected]").forEach((box) => { box.checked = true; });
    }
    if (event.target.matches("[data-select-all], [data-all-of], input[name=selected]")) countSelected();
  });

  /* Parts of a form that only hold for one choice: <div data-part="token"> for <input data-shows value="token">; may be nested. */
  function showParts(control) {
    const group = control.closest("[data-choice]");
    if (!group) return;
    const own = (selector) => [...group.querySelectorAll(selector)].filter((part) => part.parentElement.closest("[data-choice]") === group);
    const chosen = own("[data-shows]:checked")[0] || own("select[data-shows]")[0];
    own("[data-part]").forEach((part) => { part.hidden = !part.dataset.part.split(" ").includes(chosen ? chosen.value : ""); });
  }
  document.querySelectorAll("[data-shows]").forEach((control) => showParts(control));

  function countSelected() {
    const boxes = [...document.querySelectorAll("input[name=selected]")];
    const chosen = boxes.filter((box) => box.checked).length;
    const all = document.querySelector("[data-all-of]");
    if (all && chosen < boxes.length) all.checked = false;
    const shown = all && all.checked ? Number(all.dataset.allOf) : chosen;
    document.querySelectorAll("[data-selected]").forEach((part) => { part.hidden = chosen === 0; });
    document.querySelectorAll("[data-count]").forEach((part) => { part.textContent = shown.toLocaleString("en"); });
    const head = document.querySelector("[data-select-all]");
    if (head) { head.checked = chosen === boxes.length && chosen > 0; head.indeterminate = chosen > 0 && chosen < boxes.length; }
    boxes.forEach((box) => { const row = box.closest("tr"); if (row) row.setAttribute("aria-selected", box.checked ? "true" : "false"); });
  }
  countSelected(); // the browser may have kept the ticks of an earlier visit

  /* What is wrong with a form is in view, and the first wrong field has the focus, also where the form stands below a long list. */
  const wrong = document.querySelector("main form [aria-invalid=true]") || document.querySelector("main form .note.bad[role=alert]");
  if (wrong) {
    if (wrong.matches("[aria-invalid=true]") && document.activeElement === document.body) wrong.focus({ preventScroll: true });
    const place = wrong.getBoundingClientRect();
    if (place.top < 60 || place.bottom > window.innerHeight - 70) wrong.scrollIntoView({ block: "center", behavior: "instant" }); // the page has only just come: nothing glides
  }

  document.addEventListener("keydown", (event) => {
    const typing = /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing) {
      const search = document.getElementById("q");
      if (search) { event.preventDefault(); search.focus(); }
    }
    if (event.key === "Escape" && document.activeElement.id === "q") document.activeElement.blur();
    if (event.key === "Escape") document.querySelectorAll("details.menu[open]").forEach((menu) => { if (menu.contains(document.activeElement)) menu.querySelector("summary").focus(); menu.open = false; });
  });
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });

  /* "40 s ago" must not stay when an hour has gone by. */
  setInterval(() => document.querySelectorAll("time").forEach((time) => {
    if (!/( ago|just now)$/.test(time.textContent)) return;
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    if (seconds > 2 && seconds < 86400) time.textContent = seconds < 90 ? `${Math.round(seconds)} s ago` : seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
  }), 10000);

  const clock = document.querySelector(".clock");
  if (clock) setInterval(() => { clock.textContent = new Date().toISOString().slice(11, 16) + " UTC"; }, 10000);
})();
