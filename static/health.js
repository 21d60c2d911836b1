/* Looks at the health of a cluster every few seconds while the page is in view, and says so when it cannot. */
(function () {
  "use strict";
  const SECONDS = 5;
  const card = document.querySelector("[data-health]");
  if (!card) return;
  const stale = card.querySelector(".health-stale");

  setInterval(() => { if (!document.hidden) htmx.trigger(card, "look"); }, SECONDS * 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) htmx.trigger(card, "look"); });
  card.addEventListener("htmx:afterRequest", (event) => { stale.hidden = event.detail.successful; });
})();
