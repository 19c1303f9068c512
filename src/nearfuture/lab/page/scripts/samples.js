// The samples of a page: searched and filtered by family, verdict, guidance, step, run and source, a few at a time.
// Not here: whether a sample is one of those asked for (core.js).
const AT_ONCE = 10;

class Samples {
  constructor(host, samples, filter) {
    Object.assign(this, { host, samples, filter, num: AT_ONCE });
    host.classList.add("is-live");
    this.bar = element("form", "filters");
    this.bar.addEventListener("submit", (event) => event.preventDefault());
    this.count = element("p", "where");
    this.list = element("div", "list");
    this.more = element("button", "", "Show more");
    this.more.type = "button";
    this.more.addEventListener("click", () => { this.num += AT_ONCE; this.show(); });
    this.fields();
    const box = element("div", "live");
    box.append(this.bar, this.count, this.list, this.more);
    host.append(box);
    this.show();
  }

  fields() {
    this.input("search", "words", "Search", "prompt, answer, response");
    this.select("run", "Run", (s) => [s.run]);
    this.select("source", "From", (s) => [s.source]);
    this.select("family", "Family", (s) => [s.family]);
    this.select("verdict", "Verdict", (s) => s.answers.map((a) => a.verdict));
    if (this.samples.some((s) => s.guidance)) this.options("guided", "Guided", { yes: "guided", no: "not guided" });
    if (new Set(this.samples.map((s) => s.step)).size > 1) {
      this.input("number", "from", "From step", "");
      this.input("number", "to", "to step", "");
    }
  }

  input(type, name, words, placeholder) {
    const label = element("label", "", `${words} `), input = element("input");
    Object.assign(input, { type, name, placeholder, value: this.filter[name] ?? "" });
    input.addEventListener("input", () => this.change(name, type === "number" ? (input.value === "" ? NaN : Number(input.value)) : input.value));
    label.append(input);
    this.bar.append(label);
  }

  select(name, words, of) {
    const known = [...new Set(this.samples.flatMap(of).filter(Boolean))].sort();
    if (known.length > 1) this.options(name, words, Object.fromEntries(known.map((value) => [value, value.replaceAll("_", " ")])));
  }

  options(name, words, options) {
    const label = element("label", "", `${words} `), select = element("select");
    select.name = name;
    for (const [value, shown] of [["", "all"], ...Object.entries(options)]) {
      const option = element("option", "", shown);
      option.value = value;
      option.selected = value === (this.filter[name] ?? "");
      select.append(option);
    }
    select.addEventListener("change", () => this.change(name, select.value));
    label.append(select);
    this.bar.append(label);
  }

  change(name, value) {
    this.filter[name] = value;
    this.num = AT_ONCE;
    this.show();
  }

  show() {
    const found = this.samples.filter((sample) => core.matches(sample, this.filter));
    this.count.textContent = `${found.length} of ${this.samples.length} samples`;
    this.list.textContent = "";
    for (const sample of found.slice(0, this.num)) this.list.append(this.one(sample));
    this.more.hidden = found.length <= this.num;
  }

  one(sample) {
    const box = element("article", "sample");
    box.append(element("p", "where", sample.where));
    if (sample.images?.length) {
      const pictures = element("div", "pictures");
      for (const image of sample.images) {
        const picture = element("img", image.is_small ? "enlarged" : "");
        Object.assign(picture, { src: image.data, alt: image.words, title: image.words });
        pictures.append(picture);
      }
      box.append(pictures);
    }
    box.append(element("pre", "prompt", sample.prompt));
    if (sample.expected) box.append(this.fact("expected", sample.expected));
    const beside = element("div", "beside");
    for (const answer of sample.answers) beside.append(this.answer("response", answer));
    if (sample.guidance) beside.append(this.answer(sample.guidance.who, sample.guidance, `guidance ${sample.look ?? ""}`));
    box.append(beside);
    return box;
  }

  fact(name, value) {
    const line = element("p", "fact", `${name} `);
    line.append(element("code", "", value));
    return line;
  }

  answer(who, { text, verdict, mark, read }, look = "rollout") {
    const box = element("figure", `trajectory ${look}`), caption = element("figcaption", "", who);
    caption.append(element("span", `verdict ${{ "✓": "good", "✗": "bad" }[mark] ?? "open"}`, `${mark} ${verdict.replaceAll("_", " ")}`));
    box.append(caption, element("pre", "", text));
    if (read !== null && read !== undefined) box.append(this.fact("read as", read));
    return box;
  }
}
