/* Two forms that help while they are filled in: pinning the certificate that was shown, and the rules of a rollout. */
(function () {
  "use strict";
  const usualPorts = { https: "443", http: "80" };

  document.addEventListener("change", (event) => {
    if (event.target.name === "protocol") {
      const port = document.getElementById("id_port");
      if (port && (port.value === "" || Object.values(usualPorts).includes(port.value))) port.value = usualPorts[event.target.value];
    }
    if (event.target.matches("[data-rule-type]")) {
      const key = event.target.closest(".rule").querySelector("[name=rule_key]");
      key.setAttribute("list", event.target.value === "attribute" ? "rule-attributes" : "rule-keys");
    }
  });

  document.addEventListener("click", (event) => {
    const pin = event.target.closest("[data-pin]");
    if (pin) {
      const radio = document.querySelector("input[name=trust][value=fingerprint]");
      radio.checked = true;
      radio.dispatchEvent(new Event("change", { bubbles: true }));
      const field = document.getElementById("id_fingerprint");
      field.value = pin.dataset.pin;
      field.focus();
      pin.textContent = "Pinned; check again";
      pin.setAttribute("aria-disabled", "true");
    }
    if (event.target.closest("[data-add-rule]")) {
      const rules = document.getElementById("rules");
      rules.append(document.getElementById("rule-template").content.cloneNode(true));
      rules.lastElementChild.querySelector("[name=rule_key]").focus();
    }
    const gone = event.target.closest("[data-remove-rule]");
    if (gone) {
      gone.closest(".rule").remove();
      document.querySelector("[data-add-rule]").focus();
      htmx.trigger(document.body, "rules-changed");
    }
  });
})();
