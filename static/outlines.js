/* The outlines of the countries, for every map: read once, drawn without borders that run across 180°. */
window.onMaps = (function () {
  "use strict";
  let outlines;

  /* Countries that cross 180° are drawn on both sides, so that no line runs across the map. */
  function uncrossed(countries) {
    const crosses = (polygon) => polygon[0].some((point, place, all) => place && Math.abs(point[0] - all[place - 1][0]) > 180);
    const shifted = (polygon, by) => polygon.map((line) => line.map(([x, y]) => [(x < 0 ? x + 360 : x) + by, y]));
    return countries.features.filter((country) => country.properties.name !== "Antarctica").map((country) => {
      const { type, coordinates } = country.geometry;
      const polygons = (type === "Polygon" ? [coordinates] : coordinates).flatMap((polygon) =>
        crosses(polygon) ? [shifted(polygon, 0), shifted(polygon, -360)] : [polygon]);
      return { type: "Feature", properties: {}, geometry: { type: "MultiPolygon", coordinates: polygons } };
    });
  }

  async function landOf(address) {
    if (!outlines) outlines = fetch(address).then((reply) => reply.json());
    const atlas = await outlines;
    return uncrossed(topojson.feature(atlas, atlas.objects.countries));
  }

  /* A map with the land on it and nothing else; the wheel zooms once it has the focus, so that a page can be scrolled past it. */
  async function draw(place, more) {
    const land = await landOf(place.dataset.outlines);
    const map = L.map(place, { zoomSnap: 0.1, zoomDelta: 0.6, attributionControl: false, minZoom: 0.6, maxZoom: 8, worldCopyJump: true, scrollWheelZoom: false, ...more });
    map.getContainer().addEventListener("focusin", () => map.scrollWheelZoom.enable());
    L.geoJSON(land, { interactive: false, style: { className: "land", fillOpacity: 1 } }).addTo(map);
    return map;
  }

  return { draw, HOME: [[-48, -130], [68, 160]], turned: (east) => ((((east + 180) % 360) + 360) % 360) - 180 };
})();
