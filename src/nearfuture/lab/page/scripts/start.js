// Brings the page to life; where `nearfuture watch` serves it, asks for news and keeps what the reader has set.
// Not here: what the parts do (figure.js, toolbar.js, samples.js).
const view = { axis: "step", window: null, isLog: false, hidden: new Set(), hasParts: true, range: {} };
const filters = new Map();
let figures = [], hasAxis = false;

function bringToLife() {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  figures = [...document.querySelectorAll("[data-plot]")].map((host) => new Figure(host, data.plots[host.dataset.plot], data.arrays, view));
  for (const figure of figures) figure.peers = figures;
  if (figures.length && !hasAxis) {
    view.axis = Object.keys(figures[0].plot.axes)[0];
    hasAxis = true;
    figures.forEach((figure) => figure.draw());
  }
  if (figures.length) {
    const first = figures[0].host.closest("section");
    first.parentNode.insertBefore(new Toolbar(figures, view).box, first);
    if (data.every > 1) first.querySelector("h2").insertAdjacentElement("afterend", element("p", "aside", `The page is kept small: one point in ${data.every} is shown of long curves.`));
  }
  for (const host of document.querySelectorAll("[data-samples]")) {
    const [from, to] = host.dataset.samples.split("-").map(Number);
    if (!filters.has(host.dataset.name)) filters.set(host.dataset.name, {});
    new Samples(host, data.samples.slice(from, to), filters.get(host.dataset.name));
  }
  document.querySelector("nav.bar").append(themeButton(() => figures.forEach((figure) => figure.draw())));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figures.forEach((figure) => figure.draw()));

// --- live

let version = null, typedAt = 0;
document.addEventListener("input", () => (typedAt = Date.now()));

function replaceWith(text) {
  const focused = document.activeElement?.name, found = new DOMParser().parseFromString(text, "text/html");
  const open = new Set([...document.querySelectorAll("main details[open] > summary")].map((s) => s.textContent));
  const at = scrollY;
  for (const figure of figures) figure.end();
  for (const part of ["nav.bar", "header", "main", "footer", "#page-data"]) document.querySelector(part).replaceWith(found.querySelector(part));
  document.title = found.title;
  for (const summary of document.querySelectorAll("main details > summary")) if (open.has(summary.textContent)) summary.parentNode.open = true;
  bringToLife();
  if (focused) document.querySelector(`[name="${focused}"]`)?.focus({ preventScroll: true });
  scrollTo({ top: at, behavior: "instant" });
}

async function lookForNews(seconds) {
  const isBusy = Date.now() - typedAt < 3000 || document.querySelector(".save[open]") || document.hidden;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", headers: version ? { "If-None-Match": version } : {} });
    document.documentElement.dataset.link = "on";
    if (answer.status === 200 && !isBusy) {
      version = answer.headers.get("ETag");
      replaceWith(await answer.text());
    }
  } catch {
    document.documentElement.dataset.link = "off";
  }
  setTimeout(() => lookForNews(seconds), 1000 * seconds);
}

bringToLife();
if (document.documentElement.dataset.live) {
  const seconds = Number(document.documentElement.dataset.live);
  version = document.documentElement.dataset.version || null;
  setTimeout(() => lookForNews(seconds), 1000 * seconds);
}
