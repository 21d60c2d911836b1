/* The map of environments: sites on outlines. A mark is a ring split by state with the count inside; marks that would overlap become one. */
(function () {
  "use strict";
  const COLOURS = { unreachable: "--on-bad", degraded: "--on-warn", maintenance: "--on-hold", unknown: "--on-idle", ready: "--on-ok" };
  const LOOKS = { unreachable: "bad", degraded: "warn", maintenance: "hold", unknown: "idle", ready: "ok" };
  const STATES = Object.keys(COLOURS); // worst first
  const number = (count) => count.toLocaleString("en");
  const sum = (counts) => STATES.reduce((all, state) => all + (counts[state] || 0), 0);
  const told = (counts) => STATES.filter((state) => counts[state]).map((state) => `${number(counts[state])} ${state}`).join(", ");

  /* Shares have a floor: 2 unreachable of 900 are still seen. */
  function arcs(counts, centre, radius, width) {
    const total = sum(counts), there = STATES.filter((state) => counts[state]);
    const shares = there.map((state) => (state === "ready" ? counts[state] / total : Math.max(counts[state] / total, 0.07)));
    const whole = shares.reduce((all, share) => all + share, 0);
    if (there.length === 1) return `<circle cx="${centre}" cy="${centre}" r="${radius}" fill="none" stroke="var(${COLOURS[there[0]]})" stroke-width="${width}"/>`;
    let angle = -Math.PI / 2;
    return there.map((state, place) => {
      const end = angle + (shares[place] / whole) * 2 * Math.PI;
      const at = (turn) => `${(centre + radius * Math.cos(turn)).toFixed(1)} ${(centre + radius * Math.sin(turn)).toFixed(1)}`;
      const path = `<path d="M${at(angle + 0.035)}A${radius} ${radius} 0 ${end - angle > Math.PI ? 1 : 0} 1 ${at(end - 0.035)}" fill="none" stroke="var(${COLOURS[state]})" stroke-width="${width}"/>`;
      angle = end;
      return path;
    }).join("");
  }

  function mark(group, sprite) {
    const total = sum(group.counts), radius = Math.max(13, Math.min(25, 8 + Math.sqrt(total) * 0.42));
    const size = 2 * (radius + 7), centre = size / 2;
    const text = total >= 1000 ? `${(total / 1000).toFixed(1)}k` : total;
    // A badge must be earned: at least 5, or 1 in 20.
    const loud = STATES.find((state) => state !== "ready" && (group.counts[state] >= 5 || group.counts[state] / total >= 0.05));
    const badge = loud ? `<g transform="translate(${centre + radius * 0.86 - 5.5} ${centre - radius * 0.86 - 8})"><rect x="-1.5" y="-1.5" width="16" height="16" rx="5" fill="var(--on-surface)"/><svg width="13" height="13" viewBox="0 0 16 16" class="g ${LOOKS[loud]}"><use href="${sprite}#s-${LOOKS[loud]}"/></svg></g>` : "";
    const several = group.pins.length > 1 ? `<circle cx="${centre}" cy="${centre}" r="${radius + 5.5}" fill="none" stroke="var(--on-line-strong)" stroke-width="1.2" stroke-dasharray="2 3"/>` : "";
    const ring = arcs(group.counts, centre, radius, group.counts.ready === total ? 3 : 4.5);
    return { size, html: `<svg class="mk${group.isSelected ? " on" : ""}" width="${size}" height="${size}" viewBox="0 0 ${size} ${size}">${several}<circle class="disc" cx="${centre}" cy="${centre}" r="${radius + 2}"/>${ring}<text x="${centre}" y="${centre + 4}" text-anchor="middle">${text}</text>${badge}</svg>` };
  }

  /* Pins that would overlap at this zoom are one group; a site with a selected row stays alone. */
  function grouped(pins, map, selected) {
    const groups = [];
    const apart = matchMedia("(max-width:760px)").matches ? 46 : 50;
    for (const pin of [...pins].sort((one, other) => sum(other.counts) - sum(one.counts))) {
      const point = map.project(pin.at), isSelected = selected.has(pin.site);
      let group = isSelected ? null : groups.find((other) => !other.isSelected && Math.hypot(other.point.x - point.x, other.point.y - point.y) < apart);
      if (!group) groups.push((group = { point, at: pin.at, pins: [], counts: {}, isSelected }));
      group.pins.push(pin);
      STATES.forEach((state) => { if (pin.counts[state]) group.counts[state] = (group.counts[state] || 0) + pin.counts[state]; });
    }
    return groups;
  }

  const rowsAt = (site) => [...document.querySelectorAll("input[name=selected]")].filter((box) => box.dataset.site === site);

  /* What a site's mark opens: its counts, and the ways on from there. */
  function card(pin) {
    const box = document.createElement("div"), here = rowsAt(pin.site);
    const title = box.appendChild(document.createElement("b"));
    title.textContent = pin.site;
    box.appendChild(document.createElement("p")).textContent = told(pin.counts);
    const only = box.appendChild(document.createElement("a"));
    const address = new URL(location.href);
    address.searchParams.set("site", pin.site);
    address.searchParams.delete("page");
    only.href = address;
    only.className = "bt s";
    only.textContent = `Show only these ${number(sum(pin.counts))}`;
    if (here.length) {
      const pick = box.appendChild(document.createElement("button"));
      pick.type = "button";
      pick.className = "bt s";
      pick.textContent = `Select ${here.length} on this page`;
      pick.addEventListener("click", () => {
        here.forEach((row) => { row.checked = true; });
        here[0].dispatchEvent(new Event("change", { bubbles: true }));
        here[0].closest("tr").scrollIntoView({ block: "center" });
      });
    }
    return box;
  }

  async function show(frame) {
    const place = frame.querySelector("#map");
    const pins = JSON.parse(frame.querySelector("#pins").textContent);
    if (!place || place.dataset.shown || !pins.length) return;
    place.dataset.shown = "1";
    const map = await onMaps.draw(place);
    const everything = L.latLngBounds(pins.map((pin) => pin.at)).pad(0.15);
    map.fitBounds(everything, { maxZoom: 4.5 });
    const layer = L.layerGroup().addTo(map);
    const selected = () => new Set([...document.querySelectorAll("input[name=selected]:checked")].map((box) => box.dataset.site));

    function draw() {
      layer.clearLayers();
      for (const group of grouped(pins, map, selected())) {
        const { size, html } = mark(group, place.dataset.sprite);
        const name = group.pins.length > 1 ? `${group.pins[0].site} and ${group.pins.length - 1} more sites` : group.pins[0].site;
        const label = document.createElement("span");
        label.innerHTML = "<b></b><br>";
        label.firstChild.textContent = name;
        label.append(told(group.counts));
        const marker = L.marker(group.at, { icon: L.divIcon({ html, className: "", iconSize: [size, size] }), keyboard: true, zIndexOffset: group.counts.unreachable ? 1000 : 0 });
        marker.on("add", () => marker.getElement().setAttribute("aria-label", `${number(sum(group.counts))} environments, ${name}: ${told(group.counts)}`));
        marker.bindTooltip(label, { direction: "top", offset: [0, 4 - size / 2] });
        if (group.pins.length === 1) marker.bindPopup(() => card(group.pins[0]), { closeButton: false, offset: [0, -size / 3] }).on("popupopen", () => marker.closeTooltip());
        else marker.on("click", () => map.fitBounds(L.latLngBounds(group.pins.map((pin) => pin.at)).pad(0.4), { maxZoom: 6.5 }));
        marker.addTo(layer);
      }
    }

    const outside = frame.querySelector("[data-outside]"), area = frame.querySelector("[data-area]");
    function tellOutside() {
      const hidden = pins.filter((pin) => !map.getBounds().contains(pin.at));
      const count = hidden.reduce((all, pin) => all + sum(pin.counts), 0), bad = hidden.reduce((all, pin) => all + (pin.counts.unreachable || 0), 0);
      outside.textContent = count ? `${number(count)} outside this view${bad ? `, ${number(bad)} of them unreachable` : ""}` : "";
      frame.querySelector("[data-world]").hidden = !count;
      area.hidden = !count;
    }
    frame.querySelector("[data-world]").addEventListener("click", () => map.fitBounds(everything));
    area.addEventListener("click", () => {
      const bounds = map.getBounds(), address = new URL(location.href);
      const isWhole = bounds.getEast() - bounds.getWest() >= 360;
      const parts = [Math.max(-90, bounds.getSouth()), isWhole ? -180 : onMaps.turned(bounds.getWest()), Math.min(90, bounds.getNorth()), isWhole ? 180 : onMaps.turned(bounds.getEast())]; // the view may lie on a copy of the world
      address.searchParams.set("area", parts.map((part) => part.toFixed(4)).join(","));
      address.searchParams.delete("page");
      location.assign(address);
    });
    map.on("zoomend", draw);
    map.on("moveend", tellOutside);
    document.addEventListener("change", (event) => { if (event.target.matches("[name=selected], [data-select-all], [data-all-of]")) draw(); });
    draw();
    tellOutside();
  }

  const toggle = document.querySelector("[data-map-toggle]");
  const frame = document.getElementById("where");
  const remember = (isOpen) => { try { localStorage.setItem("on-map", isOpen ? "open" : "closed"); } catch (error) { /* private window */ } };
  function open(isOpen) {
    frame.hidden = !isOpen;
    toggle.setAttribute("aria-expanded", String(isOpen));
    toggle.querySelector("span").textContent = isOpen ? "Hide map" : "Show map";
    if (isOpen && !frame.childElementCount) htmx.ajax("GET", frame.dataset.address, { target: frame, swap: "innerHTML" });
  }
  if (!toggle || !frame) return;
  let isOpen = !matchMedia("(max-width:760px)").matches; // on a phone the list comes first
  try { isOpen = (localStorage.getItem("on-map") || (isOpen ? "open" : "closed")) === "open"; } catch (error) { /* private window */ }
  toggle.hidden = false;
  toggle.addEventListener("click", () => { isOpen = !isOpen; remember(isOpen); open(isOpen); });
  frame.addEventListener("htmx:afterSwap", () => show(frame));
  open(isOpen);
})();
