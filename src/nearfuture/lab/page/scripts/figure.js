// A figure that can be handled, drawn by uPlot: read at a step, zoomed, saved; what is shown follows the toolbar.
// Not here: the toolbar (toolbar.js), what is computed without a page (core.js).
const HEIGHT = 250, MOST_READ = 16, MOST_RAW = 6;

const element = (tag, look = "", words = "") => {
  const made = document.createElement(tag);
  if (look) made.className = look;
  if (words) made.textContent = words;
  return made;
};

const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function save(name, content, type) {
  const link = element("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

class Figure {
  // `host` holds the static drawing; `view` is what the toolbar says, one for the whole page.
  constructor(host, plot, arrays, view) {
    Object.assign(this, { host, plot, arrays, view, peers: [] });
    this.box = element("figure", "live");
    const caption = element("figcaption", "", plot.title);
    this.box.append(caption, (this.canvas = element("div", "canvas")));
    caption.append(this.saving());
    this.tip = element("div", "tip");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${plot.title}. Arrow keys move along the axis; drag to zoom, double click to see everything.`);
    this.canvas.addEventListener("keydown", (event) => this.step(event));
    host.append(this.box);
    host.classList.add("is-live");
    this.draw();
    this.observer = new ResizeObserver(() => this.u && this.u.setSize(this.size()));
    this.observer.observe(this.canvas);
  }

  // A page that is renewed for hours must not keep the figures of before, nor their cursors.
  end() {
    this.observer.disconnect();
    this.u.destroy();
  }

  get axis() {
    return this.view.axis in this.plot.axes ? this.view.axis : Object.keys(this.plot.axes)[0];
  }

  get window() {
    return this.plot.window ? this.view.window ?? this.plot.window : 1;
  }

  size() {
    return { width: Math.max(200, this.canvas.clientWidth), height: this.plot.small ? 180 : HEIGHT };
  }

  // The curves that are switched on, on the present axis, smoothed.
  curves() {
    const get = (index) => (index < 0 ? null : this.arrays[index]);
    return this.plot.lines
      .filter((line) => this.axis in line.on && !this.isHidden(line) && (this.view.hasParts || !line.part))
      .map((line) => {
        const [xs, raw, low, high, before] = line.on[this.axis].map(get);
        if (!xs) return null;
        const positive = (values) => (this.view.isLog ? values.map((v) => (v > 0 ? v : null)) : values);
        return {
          name: line.name, part: line.part, colour: colourOf(line.colour), dashes: line.is_dashed ? [4, 3] : null,
          width: line.is_strong ? 2 : 1.3, isMarked: line.is_marked || xs.length === 1,
          xs, raw: positive(raw), ys: positive(core.smooth(raw, this.window, before || [])), low, high,
        };
      })
      .filter(Boolean);
  }

  isHidden({ name, group }) {
    return this.view.hidden.has(name) || (group && this.view.hidden.has(`${group}-*`));
  }

  draw() {
    if (this.u) this.u.destroy();
    this.shown = this.curves();
    const full = this.full();
    const range = (this.sight = this.range() || full);
    const data = this.shown.length ? uPlot.join(this.shown.map((c) => [c.xs, c.ys])) : [[], []];
    this.canvas.textContent = "";
    this.u = new uPlot(this.options(range), data, this.canvas);
    this.u.over.append(this.tip);
    this.tip.hidden = true;
  }

  full() {
    let low = Infinity, high = -Infinity;
    for (const { xs } of this.shown) {
      low = Math.min(low, xs[0]);
      high = Math.max(high, xs[xs.length - 1]);
    }
    if (low > high) return [0, 1];
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  }

  range() {
    return this.plot.shared ? this.view.range[this.axis] : this.own?.[this.axis];
  }

  options(range) {
    const { soft, hair } = { soft: colourOf("--soft"), hair: colourOf("--hair") };
    const font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
    const shared = { stroke: soft, font, ticks: { stroke: hair, size: 4 } };
    const ticks = this.plot.ticks;
    return {
      ...this.size(),
      padding: [28, 12, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: true, y: false, uni: 10 },
        points: { show: this.shown.length <= 12, size: 7 },
        sync: this.plot.shared ? { key: `shared-${this.axis}`, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } } : undefined,
      },
      scales: {
        x: { time: false, range: (u, low, high) => (this.sight = low === null ? range : [low, high]), min: range[0], max: range[1] },
        y: { distr: this.view.isLog ? 3 : 1, range: () => this.limits() },
      },
      axes: [
        { ...shared, grid: { show: false }, size: 30, values: (u, at) => at.map((v) => core.told(v)), ...(ticks.length ? { splits: ticks.map(([at]) => at), values: ticks.map(([, words]) => words) } : {}) },
        { ...shared, grid: { stroke: hair, width: 1 }, size: 52, values: (u, at) => at.map((v) => (v === null ? "" : core.told(v))) },
      ],
      series: [{}, ...this.shown.map((c) => ({ stroke: c.colour, width: c.width, dash: c.dashes || undefined, points: { show: c.isMarked, size: 6, fill: c.colour } }))],
      hooks: {
        drawClear: [() => this.paintSpans()],
        drawAxes: [() => this.paintBehind()],
        draw: [() => this.paintWords()],
        setCursor: [() => this.read()],
        setScale: [(u, key) => key === "x" && this.zoomed()],
      },
    };
  }

  // As high as what is in sight: the values between the ends of the horizontal axis.
  limits() {
    const [low, high] = this.sight, seen = [], bands = [];
    for (const c of this.shown)
      c.xs.forEach((x, i) => {
        if (x >= low && x <= high) {
          seen.push(c.ys[i]);
          if (c.low) bands.push(c.low[i], c.high[i]);
        }
      });
    return core.limits(seen, this.view.isLog, this.view.isLog ? [] : bands);
  }

  zoomed() {
    if (!this.u || this.isTold) return;
    const { min, max } = this.u.scales.x, full = this.full();
    const place = this.plot.shared ? this.view.range : (this.own ??= {});
    const isFull = min <= full[0] && max >= full[1];
    if (isFull) delete place[this.axis]; else place[this.axis] = [min, max];
    this.view.onZoom?.();
    for (const peer of this.plot.shared ? this.peers : [])
      if (peer !== this && peer.plot.shared && peer.axis === this.axis) peer.zoomTo(isFull ? peer.full() : [min, max]);
  }

  zoomTo([min, max]) {
    this.isTold = true;
    this.u.batch(() => this.u.setScale("x", { min, max }));
    this.isTold = false;
  }

  reset() {
    this.own = {};
    this.zoomTo(this.full());
  }

  spans() {
    const hidden = new Set(this.plot.lines.filter((line) => this.isHidden(line)).map((line) => line.name));
    return this.plot.spans.filter((s) => this.axis in s.on && !hidden.has(s.line));
  }

  paintSpans() {
    const { ctx, bbox } = this.u, ratio = devicePixelRatio, spans = this.spans();
    const rows = [...new Set(spans.map((s) => s.line))];
    ctx.save();
    for (const span of spans) {
      const [low, high] = span.on[this.axis];
      const from = Math.max(this.u.valToPos(low, "x", true), bbox.left), to = Math.min(this.u.valToPos(high, "x", true), bbox.left + bbox.width);
      if (to < from || to < bbox.left || from > bbox.left + bbox.width) continue;
      ctx.fillStyle = colourOf(span.colour);
      if (low === high) {
        ctx.globalAlpha = 0.7;
        ctx.fillRect(from, bbox.top, ratio, bbox.height);
        continue;
      }
      ctx.globalAlpha = 0.35;
      ctx.fillRect(from, bbox.top - (4 + 4 * (rows.indexOf(span.line) % 3)) * ratio, Math.max(to - from, ratio), 3 * ratio);
      ctx.globalAlpha = rows.length > 2 ? 0.03 : 0.08;
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
    }
    ctx.restore();
  }

  // Bands, and the single steps behind their means.
  paintBehind() {
    const { ctx, bbox } = this.u;
    const at = (x, y) => [this.u.valToPos(x, "x", true), this.u.valToPos(y, "y", true)];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const c of this.shown) {
      if (c.low && !this.view.isLog && this.shown.length <= 2 * MOST_RAW) {
        ctx.globalAlpha = this.shown.length > MOST_RAW ? 0.05 : 0.14;
        ctx.fillStyle = c.colour;
        ctx.beginPath();
        const known = c.xs.map((x, i) => i).filter((i) => c.low[i] !== null && c.high[i] !== null);
        for (const i of known) ctx.lineTo(...at(c.xs[i], c.low[i]));
        for (const i of known.reverse()) ctx.lineTo(...at(c.xs[i], c.high[i]));
        ctx.fill();
      }
      if (this.window > 1 && !c.part && this.shown.length <= MOST_RAW) {
        ctx.globalAlpha = 0.3;
        ctx.strokeStyle = c.colour;
        ctx.lineWidth = devicePixelRatio * 0.7;
        ctx.beginPath();
        c.xs.forEach((x, i) => c.raw[i] !== null && ctx.lineTo(...at(x, c.raw[i])));
        ctx.stroke();
      }
    }
    ctx.restore();
  }

  paintWords() {
    const { ctx, bbox } = this.u, ratio = devicePixelRatio;
    ctx.save();
    ctx.font = `${10.5 * ratio}px ${getComputedStyle(this.canvas).fontFamily}`;
    ctx.fillStyle = colourOf("--soft");
    ctx.textBaseline = "bottom";
    ctx.textAlign = "left";
    ctx.fillText(this.plot.unit, 2 * ratio, bbox.top - 14 * ratio);
    ctx.textAlign = "center";
    for (const span of this.spans()) {
      const [low, high] = span.on[this.axis];
      const x = this.u.valToPos(low, "x", true);
      if (low !== high || !span.words || x < bbox.left || x > bbox.left + bbox.width) continue;
      if (span.mark) this.paintTriangle(x, bbox.top, span);
      else ctx.fillText(span.words, x, bbox.top - ratio);
    }
    ctx.textAlign = "right";
    ctx.textBaseline = "top";
    ctx.fillText(this.plot.axes[this.axis], bbox.left + bbox.width, bbox.top + bbox.height + 19 * ratio);
    ctx.restore();
  }

  // A triangle that points down at a place, with its number beside it.
  paintTriangle(x, top, { words, mark }) {
    const { ctx } = this.u, side = 4.5 * devicePixelRatio;
    ctx.save();
    ctx.fillStyle = ctx.strokeStyle = colourOf("--ink");
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x - side, top - 2 * side);
    ctx.lineTo(x + side, top - 2 * side);
    ctx.lineTo(x, top - side / 3);
    ctx.closePath();
    if (mark === "full") ctx.fill(); else ctx.stroke();
    ctx.textAlign = "left";
    ctx.fillText(words, x + 1.5 * side, top - side);
    ctx.restore();
  }

  // The reading at the cursor: every curve that is switched on, highest first.
  read() {
    const { left, idx } = this.u.cursor;
    const isHere = this.canvas.matches(":hover") || document.activeElement === this.canvas;
    this.tip.hidden = !isHere || left === null || left < 0 || idx === null || idx === undefined;
    if (this.tip.hidden) return;
    const x = this.u.data[0][idx];
    const found = core.readings(this.shown, x);
    this.tip.textContent = "";
    this.tip.append(element("b", "", `${this.plot.axes[this.axis]} ${this.tickWords(x)}`));
    for (const one of found.slice(0, MOST_READ)) this.tip.append(this.reading(one, x));
    if (found.length > MOST_READ) this.tip.append(element("i", "", `and ${found.length - MOST_READ} more below`));
    for (const span of this.spans().filter((s) => s.on[this.axis][0] !== s.on[this.axis][1] && s.on[this.axis][0] <= x && x <= s.on[this.axis][1]))
      this.tip.append(element("i", "", `${span.line ? span.line + ": " : ""}${span.words}`));
    const isRight = left > this.u.over.clientWidth / 2;
    this.tip.style.left = isRight ? "" : `${left + 14}px`;
    this.tip.style.right = isRight ? `${this.u.over.clientWidth - left + 14}px` : "";
  }

  tickWords(x) {
    const named = this.plot.ticks.find(([at]) => at === x);
    return named ? named[1] : core.told(x);
  }

  reading({ name, part, colour, x, y, bounds }, at) {
    const row = element("span");
    const key = element("i", "swatch");
    key.style.background = colour;
    const where = x === at ? "" : ` at ${core.told(x)}`;
    const said = bounds && bounds[0] !== null ? ` [${core.told(bounds[0])}, ${core.told(bounds[1])}]` : "";
    row.append(key, `${name}${part ? ` (${part})` : ""}${where} `, element("b", "", core.told(y)), said);
    return row;
  }

  step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !this.u.data[0].length) return;
    event.preventDefault();
    const idx = Math.min(Math.max((this.u.cursor.idx ?? 0) + by, 0), this.u.data[0].length - 1);
    this.u.setCursor({ left: this.u.valToPos(this.u.data[0][idx], "x"), top: 10 });
  }

  saving() {
    const menu = element("details", "save");
    menu.append(element("summary", "", "Save"));
    const title = this.plot.title, name = title.replace(/\W+/g, "-").toLowerCase();
    const rows = () => core.rows(this.shown, this.axis, title);
    const choices = {
      CSV: () => save(`${name}.csv`, core.csv(rows()), "text/csv"),
      JSON: () => save(`${name}.json`, JSON.stringify(rows()), "application/json"),
      SVG: () => save(`${name}.svg`, this.svg(), "image/svg+xml"),
      PNG: () => this.png().then((blob) => save(`${name}.png`, blob, "image/png")),
    };
    for (const [words, act] of Object.entries(choices)) {
      const button = element("button", "", words);
      button.type = "button";
      button.addEventListener("click", () => { act(); menu.open = false; });
      menu.append(button);
    }
    return menu;
  }

  svg() {
    const { min, max } = this.u.scales.x;
    const colours = Object.fromEntries(["ink", "soft", "hair", "paper"].map((c) => [c, colourOf(`--${c}`)]));
    return core.svg({
      title: this.plot.title, unit: this.plot.unit, label: this.plot.axes[this.axis], curves: this.shown,
      range: [min, max], limits: this.limits(), isLog: this.view.isLog, tickWords: this.plot.ticks, colours,
    });
  }

  async png() {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(this.svg())}`;
    await image.decode();
    const canvas = element("canvas");
    [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }
}
