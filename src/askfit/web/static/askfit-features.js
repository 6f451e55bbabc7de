// Features that an owner declares: <askfit-feature name="…">, and what it becomes: <ask-choices>, <askfit-form>, or one
// of the two of askfit.js, which this stands on. No innerHTML here either.

import "./askfit.js";

const BASE = new URL(".", import.meta.url);
const AskAi = customElements.get("ask-ai");
const Feature = Object.getPrototypeOf(AskAi);
const ELEMENTS = { chat: "ask-ai", choices: "ask-choices", assessment: "fit-check", form: "askfit-form" };

function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) if (value) node.setAttribute(key, value === true ? "" : value);
  node.append(...children.flat().filter(Boolean));
  return node;
}

const of = (name, kind, ...children) => el(name, { class: kind }, ...children);

function safeUrl(text) {
  try {
    const { href } = new URL(text, location.href);
    return text && /^(https?|mailto):/.test(href) ? href : "";
  } catch { return ""; }
}

// A shadow root's own sheet beside the widget's.
const dress = (host) => host.shadowRoot?.prepend(el("link", { rel: "stylesheet", href: new URL("askfit-features.css", BASE).href }));

// ---- <ask-choices choices="A|B">: a chat whose questions the owner has chosen

class AskChoices extends AskAi {
  connectedCallback() {
    if (this.root) return;
    super.connectedCallback();
    dress(this);
  }

  frame() {
    const choices = (this.getAttribute("choices") || "").split("|").filter(Boolean);
    const buttons = choices.map((value) => el("button", { name: "question", value }, value));
    const label = this.getAttribute("label") || "Who is asking?";
    // The unseen box is what the chat writes its questions into.
    return [of("form", "choices", of("p", "who", label), of("div", "row", buttons), el("textarea", { hidden: true })), of("div", "out")];
  }

  focus() { this.root.querySelector("form button")?.focus(); }

  send(choice) {
    if (!choice) return undefined;
    this.history = [];
    this.out.replaceChildren();
    for (const each of this.root.querySelectorAll(".choices button")) {
      if (each.value === choice) each.setAttribute("aria-current", "true");  // an empty one means false
      else each.removeAttribute("aria-current");
    }
    return super.send(choice);
  }
}

// ---- <askfit-form>: a form of the owner's, filled

class FilledForm extends Feature {
  static path = "";

  connectedCallback() {
    if (this.root) return;
    super.connectedCallback();
    dress(this);
  }

  frame() {
    const label = this.getAttribute("label") || "The text", act = this.getAttribute("act") || "Find the match";
    const box = el("textarea", { id: "posting", name: "posting", rows: 8, required: true, placeholder: this.getAttribute("placeholder") });
    return [of("div", "out"), el("form", {}, el("label", { for: "posting" }, label), box, of("div", "row end", el("button", {}, act)))];
  }

  async send(posting) {
    if (!posting) return;
    const tools = this.tools(of("p", "notice busy", this.status.textContent = "Reading the text."));
    this.out.replaceChildren(tools);
    this.box.rows = 4;
    this.out.scrollIntoView({ block: "nearest" });
    const failure = await this.run({ posting }, (name, data) => {
      if (name !== "done") return;
      const held = this.holds(tools);
      this.out.replaceChildren(filled(data), this.thumbs(data.id));
      this.status.textContent = data.shown.slice(0, 2).map(({ items }) => items[0]?.[0].text).join(". ");
      this.out.scrollIntoView();
      if (held) this.out.querySelector("h2")?.focus();
    }, () => { this.send(posting); this.focus(); });
    if (!failure) return;
    const held = this.holds(tools);
    tools.replaceWith(failure);
    if (held) this.focus();
  }
}

const filled = (data) => el("section", { class: "assessment filled", "aria-label": "Result" },
  data.shown.flatMap(({ title, items }) => [el("h2", { tabindex: "-1" }, title), of("ul", "parts", ...items.map((item) => el("li", {}, item.map(part))))]),
  data.notices.map((notice) => of("p", "notice", notice.message)));

function part({ kind, text, label, url }) {
  const href = safeUrl(url);
  const said = href ? el("a", { href, rel: "noopener" }, text) : text;
  if (kind === "quote") return el("blockquote", {}, said);
  if (kind === "grade") return of("p", "grade", text);
  return of("p", kind === "text" ? "" : "text", said, label && " ", label && of("span", "notice", label));
}

// ---- <askfit-feature name="…">

class Declared extends HTMLElement {
  async connectedCallback() {
    if (this.begun) return;
    this.begun = true;
    const name = this.getAttribute("name");
    let features;
    try { ({ features } = await (await fetch(new URL("features.json", BASE))).json()); } catch { return; }  // its link stays
    const found = features.find((each) => each.name === name);
    if (!found) { this.replaceChildren(of("p", "notice", `This site has no feature “${name}”.`)); return; }
    const { work, path, label, act, choices } = found;
    const kept = Object.fromEntries(["theme", "placeholder"].map((key) => [key, this.getAttribute(key)]));
    const more = { bare: this.hasAttribute("bare"), label, act, choices: choices.join("|") };
    this.replaceWith(el(ELEMENTS[work], { ...kept, ...more, endpoint: new URL(path, BASE).href }));
  }
}

customElements.define("ask-choices", AskChoices);
customElements.define("askfit-form", FilledForm);
customElements.define("askfit-feature", Declared);
