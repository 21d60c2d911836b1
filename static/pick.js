/* Picks latitude and longitude on a map: by a click, by dragging the mark, or by the keys. The two fields stay what is sent. */
(function () {
  "use strict";
  const box = document.querySelector("[data-pick]");
  if (!box) return;
  const place = box.querySelector(".on-map"), told = box.querySelector("[data-told]");
  const latitude = document.getElementById(box.dataset.latitude), longitude = document.getElementById(box.dataset.longitude);
  const shown = (value) => value.toLocaleString("en", { maximumFractionDigits: 3 });
  const round = (value) => Math.round(value * 1000) / 1000;

  function typed() {
    const [north, east] = [latitude, longitude].map((field) => (field.value.trim() === "" ? NaN : Number(field.value)));
    return Math.abs(north) <= 90 && Math.abs(east) <= 180 ? [north, east] : null;
  }

  function dots(map) {
    for (const site of JSON.parse(document.getElementById("known-sites").textContent)) {
      L.circleMarker(site.at, { radius: 4, className: "known", keyboard: false }).bindTooltip(textOf(site.name), { direction: "top" }).addTo(map);
    }
  }

  function textOf(words) {
    const node = document.createElement("span");
    node.textContent = words;
    return node;
  }

  async function start() {
    box.hidden = false;
    const map = await onMaps.draw(place, { keyboardPanDelta: 16, zoomDelta: 1 });
    const begun = typed();
    if (begun) map.setView(begun, 3);
    else map.fitBounds(onMaps.HOME);
    dots(map);
    const icon = L.divIcon({ html: `<svg class="i" aria-hidden="true"><use href="${place.dataset.sprite}#i-map-pin"/></svg>`, className: "picked", iconSize: [30, 30], iconAnchor: [15, 27] });
    const mark = L.marker([0, 0], { icon, draggable: true, keyboard: false });

    function put(at) {
      if (at) mark.setLatLng(at).addTo(map);
      else mark.remove();
    }
    function pick(at) {
      const north = round(Math.max(-90, Math.min(90, at.lat))), east = round(onMaps.turned(at.lng));
      latitude.value = north;
      longitude.value = east;
      put([north, at.lng]); // on the copy of the world that was clicked
      told.textContent = `Picked: latitude ${shown(north)}, longitude ${shown(east)}.`;
    }
    map.on("click", (event) => pick(event.latlng));
    mark.on("dragend", () => pick(mark.getLatLng()));
    place.addEventListener("pointerdown", () => place.classList.remove("by-keys"));
    place.addEventListener("keydown", (event) => {
      place.classList.add("by-keys"); // shows the cross
      if (event.target !== place || (event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      pick(map.getCenter());
    });
    for (const field of [latitude, longitude]) {
      field.addEventListener("input", () => {
        const at = typed();
        put(at);
        if (at) map.panTo(at);
      });
    }
    put(begun);
    place.dataset.ready = "1";
  }

  start();
})();
