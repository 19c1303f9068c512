// What the page's scripts compute, without a page: means, readings, ticks, filters, and the files one can save.
// Not here: what is shown and handled (figure.js, toolbar.js, samples.js).
const core = (() => {
  const MARGIN = { left: 62, right: 16, top: 44, bottom: 46 };
  const LINE_HEIGHT = 15;

  // Each value averaged with the `window - 1` before it; `before` holds those that precede the curve's own.
  // A missing value stays missing and counts for no mean.
  function smooth(values, window, before = []) {
    if (window <= 1) return values;
    const all = before.slice(-(window - 1)).concat(values);
    const own = all.length - values.length;
    return values.map((value, i) => {
      if (value === null) return null;
      const seen = all.slice(Math.max(0, own + i - window + 1), own + i + 1).filter((v) => v !== null);
      return seen.reduce((a, b) => a + b, 0) / seen.length;
    });
  }

  // The index of the number nearest to x in ascending numbers.
  function nearest(xs, x) {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle; else high = middle;
    }
    return Math.abs(xs[high] - x) < Math.abs(xs[low] - x) ? high : low;
  }

  // What every curve says at x, highest first: its nearest point, unless x lies outside the curve.
  function readings(curves, x, reach = 0) {
    const found = [];
    for (const curve of curves) {
      const { xs, ys } = curve;
      if (!xs.length || x < xs[0] - reach || x > xs[xs.length - 1] + reach) continue;
      const at = nearest(xs, x);
      if (ys[at] === null) continue;
      const bounds = curve.low && curve.high ? [curve.low[at], curve.high[at]] : null;
      found.push({ name: curve.name, part: curve.part, colour: curve.colour, x: xs[at], y: ys[at], bounds });
    }
    return found.sort((a, b) => b.y - a.y);
  }

  // From 0 unless all values lie in the upper half, with a little room above; a logarithmic axis has its own end.
  // Bands may widen it by a quarter of what the values span; the rest is cut off.
  function limits(values, isLog, bands = []) {
    const known = values.filter((v) => v !== null && Number.isFinite(v) && (!isLog || v > 0));
    if (!known.length) return isLog ? [0.1, 1] : [0, 1];
    const least = Math.min(...chunked(known, Math.min)), most = Math.max(...chunked(known, Math.max));
    const reach = 0.25 * (most - least || 0.2 * Math.abs(most));
    const bounds = bands.filter((v) => v !== null && Number.isFinite(v));
    const low = Math.max(Math.min(least, ...chunked(bounds, Math.min)), least - reach);
    const high = Math.min(Math.max(most, ...chunked(bounds, Math.max)), most + reach);
    if (isLog) return low === high ? [low / 2, high * 2] : [low / 1.15, high * 1.15];
    const room = 0.05 * (high - low) || 0.05;
    return [least > most / 2 && low > 0 ? low - room : Math.min(0, least < 0 ? low - room : 0), high + room];
  }

  function* chunked(values, pick) {
    for (let i = 0; i < values.length; i += 10000) yield pick(...values.slice(i, i + 10000));
  }

  // Round numbers between two ends, about as many as wanted; decades on a logarithmic axis.
  function ticks(low, high, wanted, isLog = false) {
    if (isLog) {
      const found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
        for (const digit of Math.log10(high / low) > 2 ? [1] : [1, 2, 5])
          if (digit * 10 ** power >= low && digit * 10 ** power <= high) found.push(digit * 10 ** power);
      return found;
    }
    const raw = (high - low) / wanted || 1, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((d) => d * power).find((s) => s >= raw * 0.999);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(+(i * step).toPrecision(12));
    return found;
  }

  // A number as a reader expects it: 1.2 M, 20 k, 0.83.
  function told(value) {
    if (value === null || !Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    for (const [unit, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (size >= Math.max(unit, 1e4)) return `${+(value / unit).toPrecision(3)} ${letter}`;
    return Number.isInteger(value) ? String(value) : String(+value.toPrecision(size < 1 ? 3 : 4));
  }

  // Rows of a figure as it is shown: a line for each point.
  function rows(curves, axis, title) {
    return curves.flatMap((c) => c.xs.map((x, i) => ({
      run: c.name, part: c.part || "kept", [axis]: x, [title]: c.ys[i], ...(c.low && c.high ? { low: c.low[i], high: c.high[i] } : {}),
    })));
  }

  function csv(table) {
    const columns = [...new Set(table.flatMap(Object.keys))];
    const cell = (v) => (v === null || v === undefined ? "" : /[",\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : String(v));
    return [columns, ...table.map((row) => columns.map((name) => row[name]))].map((r) => r.map(cell).join(",") + "\n").join("");
  }

  // Whether a sample is one of those asked for; `words` must all stand in it, whatever their case.
  function matches(sample, filter) {
    const { run, source, family, verdict, guided, from, to, words } = filter;
    if (run && sample.run !== run) return false;
    if (source && sample.source !== source) return false;
    if (family && sample.family !== family) return false;
    if (verdict && !sample.answers.some((answer) => answer.verdict === verdict)) return false;
    if (guided && (guided === "yes") !== Boolean(sample.guidance)) return false;
    if (Number.isFinite(from) && sample.step < from) return false;
    if (Number.isFinite(to) && sample.step > to) return false;
    const asked = (words || "").toLowerCase().split(/\s+/).filter(Boolean);
    if (!asked.length) return true;
    const text = [sample.prompt, sample.expected, sample.prompt_id, sample.guidance?.text, ...sample.answers.flatMap((a) => [a.text, a.read])]
      .join("\n").toLowerCase();
    return asked.every((word) => text.includes(word));
  }

  const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

  // The figure as it is shown, as an SVG that stands alone. `colours` gives ink, soft, hair and paper.
  function svg({ title, unit, label, curves, range, limits: [low, high], isLog, tickWords, colours, width = 720, height = 400 }) {
    const named = [...new Map(curves.filter((c) => !c.part).map((c) => [c.name, c])).values()];
    const perRow = Math.max(1, Math.floor((width - MARGIN.left) / 150));
    const legendHeight = named.length > 1 ? Math.ceil(named.length / perRow) * LINE_HEIGHT + 8 : 0;
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const scale = isLog ? Math.log10 : (v) => v;
    const x = (v) => MARGIN.left + ((v - range[0]) / (range[1] - range[0] || 1)) * inner.width;
    const y = (v) => MARGIN.top + inner.height * (1 - (scale(v) - scale(low)) / (scale(high) - scale(low) || 1));
    const text = (at, words, more = "") => `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${escaped(words)}</text>`;
    const parts = [
      `<rect width="${width}" height="${height + legendHeight}" fill="${colours.paper}"/>`,
      text([MARGIN.left, 18], title, `fill="${colours.ink}" font-weight="600" font-size="14"`),
      text([8, 36], unit, `fill="${colours.soft}"`),
      text([width - MARGIN.right, height - 8], label, `fill="${colours.soft}" text-anchor="end"`),
    ];
    for (const at of ticks(low, high, 5, isLog))
      parts.push(`<path d="M${MARGIN.left} ${y(at).toFixed(1)}h${inner.width}" stroke="${colours.hair}"/>`,
        text([MARGIN.left - 6, y(at) + 4], told(at), `fill="${colours.soft}" text-anchor="end"`));
    const below = tickWords && tickWords.length ? tickWords : ticks(range[0], range[1], 6).map((v) => [v, told(v)]);
    for (const [at, words] of below)
      if (at >= range[0] && at <= range[1]) parts.push(text([x(at), height - MARGIN.bottom + 18], words, `fill="${colours.soft}" text-anchor="middle"`));
    parts.push(`<clipPath id="c"><rect x="${MARGIN.left}" y="${MARGIN.top - 4}" width="${inner.width}" height="${inner.height + 8}"/></clipPath><g clip-path="url(#c)" fill="none">`);
    for (const curve of curves) {
      const shown = curve.xs.map((v, i) => [v, curve.ys[i]]).filter(([, v]) => v !== null && (!isLog || v > 0));
      const path = shown.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
      const dashes = curve.dashes ? ` stroke-dasharray="${curve.dashes.join(" ")}"` : "";
      if (path) parts.push(`<path d="${path}" stroke="${curve.colour}" stroke-width="${curve.width}"${dashes}/>`);
      if (curve.isMarked) for (const [a, b] of shown) parts.push(`<circle cx="${x(a).toFixed(1)}" cy="${y(b).toFixed(1)}" r="3" fill="${curve.colour}"/>`);
    }
    parts.push("</g>");
    if (legendHeight) named.forEach((curve, i) => {
      const at = [MARGIN.left + (i % perRow) * 150, height + 8 + Math.floor(i / perRow) * LINE_HEIGHT];
      parts.push(`<path d="M${at[0]} ${at[1] - 4}h18" stroke="${curve.colour}" stroke-width="2"/>`, text([at[0] + 24, at[1]], curve.name, `fill="${colours.ink}"`));
    });
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + legendHeight}" font-family="system-ui, sans-serif" font-size="12">${parts.join("")}</svg>`;
  }

  return { smooth, nearest, readings, limits, ticks, told, rows, csv, matches, svg };
})();
