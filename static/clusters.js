/* While a cluster is described: rows of its table of hosts are added and removed, a CA that was fetched is taken over; one host alone needs no balancer. */
(function () {
  "use strict";

  document.addEventListener("change", (event) => {
    if (event.target.name !== "topology") return;
    const wanted = event.target.value === "all_in_one" ? "none" : "ours";
    const present = document.querySelector("[name=balancing]:checked");
    if (!present || present.value === "none" || wanted === "none") document.querySelector(`[name=balancing][value=${wanted}]`).checked = true;
  }, true);

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-add-row]")) {
      const table = document.getElementById("hosts-table");
      const total = table.querySelector("[name$=TOTAL_FORMS]");
      const row = document.createElement("tbody");
      row.innerHTML = table.querySelector("[data-row-template]").innerHTML.replaceAll("__prefix__", total.value);
      total.value = Number(total.value) + 1;
      const added = table.querySelector("[data-rows]").appendChild(row.firstElementChild);
      added.querySelector("input").focus();
    }
    const take = event.target.closest("[data-take]");
    if (take) {
      document.querySelector(`[name=${take.dataset.take}]`).value = take.dataset.text;
      take.textContent = "Taken over";
      take.setAttribute("aria-disabled", "true");
    }
    const gone = event.target.closest("[data-remove-row]");
    if (gone) {
      const row = gone.closest("[data-row]");
      row.querySelector("[data-gone]").checked = true;
      row.hidden = true;
      document.querySelector("[data-add-row]").focus();
    }
  });
})();
