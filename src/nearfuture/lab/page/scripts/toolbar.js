// The bar above the figures: axis, smoothing, scale, zoom, runs and methods; and the theme of the page.
// Not here: the figures themselves (figure.js).
const AXIS_NAMES = { step: "step", total_steps: "total steps", tokens: "tokens", seconds: "seconds" };
const MANY = 12;

function remembered(key, value) {
  try {
    if (value !== undefined) localStorage.setItem(`nearfuture-${key}`, value);
    return localStorage.getItem(`nearfuture-${key}`);
  } catch {
    return null; // a page opened from a file may have no storage
  }
}

class Toolbar {
  constructor(figures, view) {
    Object.assign(this, { figures, view });
    this.box = element("div", "toolbar");
    this.box.setAttribute("role", "toolbar");
    this.box.setAttribute("aria-label", "What the figures show");
    this.box.append(...[this.axes(), this.smoothing(), this.scale(), this.zoom(), this.names()].filter(Boolean));
  }

  redraw() {
    for (const figure of this.figures) figure.draw();
  }

  choice(words, options, chosen, act) {
    const label = element("label", "", `${words} `), select = element("select");
    select.name = words.toLowerCase();
    for (const [value, name] of Object.entries(options)) {
      const option = element("option", "", name);
      option.value = value;
      option.selected = value === chosen;
      select.append(option);
    }
    select.addEventListener("change", () => act(select.value));
    label.append(select);
    return label;
  }

  axes() {
    const known = Object.keys(AXIS_NAMES).filter((name) => this.figures.some((f) => name in f.plot.axes));
    if (known.length < 2) return null;
    if (!known.includes(this.view.axis)) this.view.axis = known[0];
    return this.choice("Axis", Object.fromEntries(known.map((name) => [name, AXIS_NAMES[name]])), this.view.axis, (axis) => {
      this.view.axis = axis;
      this.redraw();
    });
  }

  smoothing() {
    const windows = this.figures.map((f) => f.plot.window).filter(Boolean);
    if (!windows.length) return null;
    const label = element("label", "", "Smoothing "), range = element("input"), said = element("output");
    const tell = () => (said.textContent = range.value === "1" ? "off" : `${range.value} points`);
    Object.assign(range, { type: "range", min: 1, max: 50, name: "smoothing", value: this.view.window ?? Math.max(...windows) });
    range.addEventListener("input", () => {
      this.view.window = Number(range.value);
      tell();
      this.redraw();
    });
    tell();
    label.append(range, said);
    return label;
  }

  scale() {
    return this.choice("Scale", { linear: "linear", log: "log" }, this.view.isLog ? "log" : "linear", (scale) => {
      this.view.isLog = scale === "log";
      this.redraw();
    });
  }

  zoom() {
    const button = element("button", "zoom", "Reset zoom");
    button.type = "button";
    const show = () => (button.disabled = !Object.keys(this.view.range).length && !this.figures.some((f) => Object.keys(f.own ?? {}).length));
    button.addEventListener("click", () => {
      this.view.range = {};
      for (const figure of this.figures) figure.reset();
      show();
    });
    this.view.onZoom = show;
    show();
    return button;
  }

  // A switch for each method and run: a click shows or hides it, a double click shows it alone, and again all.
  names() {
    const lines = new Map(), groups = new Map(), parts = new Set();
    for (const { plot } of this.figures) for (const line of plot.lines) {
      if (!lines.has(line.name)) lines.set(line.name, line);
      if (line.group && !groups.has(line.group)) groups.set(line.group, line);
      if (line.part) parts.add(line.part);
    }
    if (lines.size < 2 && !parts.size) return null;
    const box = element("div", "switches");
    if (groups.size > 1) box.append(this.chips(new Map([...groups].map(([name, line]) => [`${name}-*`, line])), (name) => name.slice(0, -2)));
    if (lines.size > 1) box.append(this.chips(lines, (name) => name));
    if (parts.size) {
      const part = this.chip([...parts].join(", "), "--soft", () => {
        this.view.hasParts = !this.view.hasParts;
        part.setAttribute("aria-pressed", this.view.hasParts);
        this.redraw();
      });
      part.setAttribute("aria-pressed", this.view.hasParts);
      (box.lastElementChild ?? box).append(part);
    }
    return box;
  }

  chips(lines, words) {
    const row = element("div", lines.size > MANY ? "names many" : "names"), chips = new Map();
    for (const [name, line] of lines) chips.set(name, this.chip(words(name), line.colour, () => this.toggle(name, chips), () => this.only(name, chips)));
    row.append(...chips.values());
    this.press(chips);
    return row;
  }

  chip(name, colour, act, alone) {
    const button = element("button", "chip"), key = element("i", "swatch");
    button.type = "button";
    key.style.background = `var(${colour})`;
    button.append(key, name);
    button.title = alone ? "Click: show or hide. Double click: show alone." : "Click: show or hide.";
    button.addEventListener("click", act);
    if (alone) button.addEventListener("dblclick", alone);
    return button;
  }

  press(chips) {
    for (const [name, chip] of chips) chip.setAttribute("aria-pressed", !this.view.hidden.has(name));
  }

  toggle(name, chips) {
    const { hidden } = this.view;
    if (!hidden.delete(name)) hidden.add(name);
    this.press(chips);
    this.redraw();
  }

  only(name, chips) {
    const { hidden } = this.view, isAlone = this.wasAlone === name;
    for (const other of chips.keys()) if (isAlone || other === name) hidden.delete(other); else hidden.add(other);
    this.wasAlone = isAlone ? null : name;
    this.press(chips);
    this.redraw();
  }
}

// The theme: that of the system, unless the reader chose one.
function themeButton(redraw) {
  const button = element("button", "theme"), order = ["auto", "light", "dark"];
  button.type = "button";
  let theme = document.documentElement.dataset.theme || "auto";
  const tell = () => {
    button.textContent = `Theme: ${theme}`;
    if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  };
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    remembered("theme", theme);
    tell();
    redraw();
  });
  tell();
  return button;
}
