// The widget: <ask-ai>, <fit-check>, <askfit-launcher>. One module, no dependencies, no innerHTML.
// On askfit's own pages the elements wrap a server-rendered form and enhance it. On another page they stand empty and
// build themselves inside a shadow root, so that neither page can break the other.

const HOME = new URL(import.meta.url).origin;
const WORDS = { strong: "Strong fit", moderate: "Moderate fit", stretch: "A stretch", misfit: "Misfit", insufficient_information: "Too little to judge" };
const REASONS = [["too_shallow", "Too shallow"], ["too_much", "Too much"], ["wrong", "Wrong"], ["other", "Other"]];

// ------------------------------------------------------------------ DOM, built only from text

function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

function safeUrl(text) {
  try {
    const url = new URL(text, location.href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : "";
  } catch { return ""; }
}

function foundUrl(citation) {
  const url = citation.url && safeUrl(citation.url);
  if (!url || citation.quote.length > 200) return url;
  const words = encodeURIComponent(citation.quote.replace(/\s+/g, " ").trim()).replace(/-/g, "%2D");
  return `${url}${url.includes("#") ? "" : "#"}:~:text=${words}`;
}

function place(citation) {
  try {
    const url = new URL(citation.url);
    return decodeURI(url.host + url.pathname).replace(/\/$/, "");
  } catch { return citation.document; }
}

// Bold, code, links and list items; everything else is text.
const INLINE = /\*\*([^*\n]+)\*\*|`([^`\n]+)`|\[([^\]\n]+)\]\(([^)\s]+)\)|((?:https?:\/\/|mailto:)[^\s<>"')\]]*[^\s<>"')\].,;:!?])/g;

function inline(text) {
  const out = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    out.push(text.slice(at, match.index));
    const [whole, bold, code, label, target, bare] = match;
    const href = safeUrl(target || bare || "");
    if (bold) out.push(el("strong", {}, bold));
    else if (code) out.push(el("code", {}, code));
    else out.push(href && (target || bare) ? el("a", { href, rel: "noopener nofollow" }, label || bare.replace(/^mailto:/, "")) : whole);
    at = match.index + whole.length;
  }
  out.push(text.slice(at));
  return out.filter((part) => part !== "");
}

function rich(text) {
  const nodes = [];
  let list = null;
  for (const line of text.split("\n")) {
    const item = line.match(/^\s*(?:[-*•]|\d+[.)])\s+(.*)$/);
    if (item) {
      if (!list) nodes.push(list = el("ul"));
      list.append(el("li", {}, ...inline(item[1])));
    } else if (line.trim()) {
      list = null;
      nodes.push(el("p", {}, ...inline(line)));
    }
  }
  return nodes;
}

// ------------------------------------------------------------------ events over fetch

class Problem extends Error {
  constructor(told) { super(told.detail || told.message || "The site did not answer."); this.told = told; }
}

async function* events(url, body, signal) {
  let last = "", retried = false;
  for (;;) {
    try {
      const headers = { "content-type": "application/json", accept: "text/event-stream" };
      if (last) headers["last-event-id"] = last;
      const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal });
      if (!answer.ok) throw new Problem(await answer.json().catch(() => ({})));
      for await (const event of parse(answer.body)) {
        if (event.id) last = event.id;
        yield event;
        if (event.name === "done" || event.name === "error") return;
      }
      throw new TypeError("the stream ended early");
    } catch (error) {
      if (error instanceof Problem || signal.aborted || retried || !last) throw error;
      retried = true;                       // once: the server keeps the events for a minute
    }
  }
}

async function* parse(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      held += value;
      let end;
      while ((end = held.indexOf("\n\n")) >= 0) {
        const fields = {};
        for (const line of held.slice(0, end).split("\n")) {
          const cut = line.indexOf(":");
          if (cut > 0) fields[line.slice(0, cut)] = line.slice(cut + 1).trimStart();
        }
        held = held.slice(end + 2);
        if (fields.data) yield { name: fields.event, id: fields.id, data: JSON.parse(fields.data) };
      }
    }
  } finally { reader.cancel().catch(() => {}); }
}

// ------------------------------------------------------------------ what the elements share

class Feature extends HTMLElement {
  connectedCallback() {
    if (this.built) return;
    this.built = true;
    this.url = new URL(this.getAttribute("endpoint") || this.constructor.path, this.getAttribute("endpoint") ? location.href : HOME).href;
    this.root = this;
    if (!this.querySelector("form")) {
      this.root = this.attachShadow({ mode: "open" });
      this.root.append(el("link", { rel: "stylesheet", href: new URL("/askfit.css", this.url).href }));
      if (this.hasAttribute("theme")) this.style.colorScheme = this.getAttribute("theme");
      this.root.append(...this.frame());
    }
    this.enhance();
  }

  disconnectedCallback() { this.stop(); }

  stop() { this.abort?.abort(); this.abort = null; }

  failure(error, again) {
    const told = error instanceof Problem ? error.told : {};
    const next = told.next_step ? ` ${told.next_step}` : "";
    const retry = again && el("button", { type: "button", class: "quiet small", onclick: again }, "Try again");
    return el("div", { class: "error", role: "alert" }, el("p", {}, el("strong", {}, error instanceof Problem ? error.message : "The connection broke."), next), retry);
  }

  thumbs(answer) {
    const tools = el("div", { class: "tools" });
    const send = async (rating, reason) => {
      const body = reason ? { answer, rating, reason } : { answer, rating };
      tools.replaceChildren(el("span", { class: "notice" }, "Thank you."));
      await fetch(new URL("/feedback", this.url), { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }).catch(() => {});
    };
    const why = () => tools.replaceChildren(el("span", { class: "notice" }, "What was wrong?"), ...REASONS.map(([reason, label]) =>
      el("button", { type: "button", class: "quiet small", onclick: () => send("down", reason) }, label)));
    tools.append(
      el("button", { type: "button", class: "quiet small", onclick: () => send("up") }, "Helpful"),
      el("button", { type: "button", class: "quiet small", onclick: why }, "Not helpful"));
    return tools;
  }
}

// ------------------------------------------------------------------ <ask-ai>

class AskAi extends Feature {
  static path = "/ask-ai";
  history = [];

  frame() {
    return [el("div", { class: "turns", "data-turns": true, "aria-live": "polite" }),
      el("form", { class: "ask" }, el("label", { for: "question" }, "Your question"),
        el("div", { class: "row" }, el("textarea", { id: "question", name: "question", rows: 2, maxlength: 4000, required: true }), el("button", {}, "Ask")))];
  }

  enhance() {
    this.turns = this.root.querySelector("[data-turns]");
    this.form = this.root.querySelector("form.ask");
    this.box = this.form.querySelector("textarea");
    try { this.history = JSON.parse(this.form.elements.history?.value || "[]"); } catch { this.history = []; }
    this.conversation = this.form.elements.conversation?.value;
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.ask(this.box.value); });
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.form.requestSubmit(); }
    });
    for (const chip of this.root.querySelectorAll(".chip")) chip.addEventListener("click", (event) => { event.preventDefault(); this.ask(chip.value); });
  }

  async ask(question) {
    question = question.trim();
    if (!question) return;
    this.stop();
    this.abort = new AbortController();
    const abort = this.abort;
    this.root.querySelector(".suggestions")?.remove();
    const text = el("div", { class: "a busy" });
    const tools = el("div", { class: "tools" }, el("button", { type: "button", class: "quiet small", onclick: () => abort.abort() }, "Stop"));
    const turn = el("article", { class: "turn" }, el("h2", { class: "q" }, question), text, tools);
    this.turns.append(turn);
    this.box.value = "";
    const state = { text: "", citations: [], notices: [] };
    const body = { question, history: this.history.slice(-6) };
    if (this.conversation) body.conversation = this.conversation;
    try {
      for await (const { name, data } of events(this.url, body, abort.signal)) this.take(name, data, state, turn, text);
      this.history.push({ question, answer: state.text });
      tools.replaceWith(this.thumbs(state.answer));
    } catch (error) {
      tools.remove();
      if (abort.signal.aborted) turn.append(el("p", { class: "notice" }, "Stopped."));
      else { turn.append(this.failure(error, () => { turn.remove(); this.ask(question); })); this.box.value ||= question; }
    } finally { text.classList.remove("busy"); }
    this.box.focus({ preventScroll: true });
  }

  take(name, data, state, turn, text) {
    if (name === "start") { state.answer = data.answer; this.conversation = data.conversation || this.conversation; }
    else if (name === "delta") state.text += data.text;
    else if (name === "retract") state.text = state.text.slice(0, data.from);
    else if (name === "citation") state.citations.push(data);
    else if (name === "notice") state.notices.push(data.message);
    else if (name === "error") throw new Problem(data);
    else if (name === "done") { turn.classList.toggle("abstained", data.abstained); state.follow = data.follow_ups || []; }
    const numbers = new Map();
    for (const citation of state.citations) if (!numbers.has(citation.section)) numbers.set(citation.section, citation);
    text.replaceChildren(...rich(state.text),
      ...(numbers.size ? [el("ul", { class: "sources" }, ...[...numbers.values()].map((citation) => {
        const href = foundUrl(citation);
        const said = state.text.includes(citation.quote);      // quoted above already: the place is enough
        return el("li", {}, href ? el("a", { href, rel: "noopener" }, place(citation)) : citation.document, said ? null : el("q", {}, citation.quote));
      }))] : []),
      ...state.notices.map((message) => el("p", { class: "notice" }, message)),
      ...(state.follow?.length ? [el("div", { class: "suggestions" }, ...state.follow.map((question) =>
        el("button", { type: "button", class: "chip", onclick: () => this.ask(question) }, question)))] : []));
  }
}

// ------------------------------------------------------------------ <fit-check>

class FitCheck extends Feature {
  static path = "/fit-check";

  frame() {
    return [el("form", { class: "fit" }, el("label", { for: "posting" }, "The job posting"),
      el("textarea", { id: "posting", name: "posting", rows: 10, required: true }), el("div", { class: "row end" }, el("button", {}, "Check the fit"))),
      el("div", { "data-result": true, "aria-live": "polite" })];
  }

  enhance() {
    this.form = this.root.querySelector("form.fit");
    this.result = this.root.querySelector("[data-result]");
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.check(this.form.elements.posting.value); });
  }

  async check(posting) {
    if (!posting.trim()) return;
    this.stop();
    this.abort = new AbortController();
    const abort = this.abort;
    const head = el("p", { class: "notice busy" }, "Reading the posting ");
    const stop = el("button", { type: "button", class: "quiet small", onclick: () => abort.abort() }, "Stop");
    const verdict = el("div", { class: "verdict", hidden: true });
    const list = el("ol", { class: "requirements" });
    this.result.replaceChildren(el("div", { class: "tools" }, head, stop), verdict, list);
    let count = 0, answer;
    try {
      for await (const { name, data } of events(this.url, { posting }, abort.signal)) {
        if (name === "start") answer = data.answer;
        else if (name === "requirement") { list.append(requirement(data)); head.textContent = `${++count} requirements judged `; }
        else if (name === "summary") { verdict.hidden = !data.headline; verdict.replaceChildren(el("h2", {}, data.headline || "")); }
        else if (name === "error") throw new Problem(data);
        else if (name === "done") this.result.replaceChildren(assessment(data), this.thumbs(answer));
      }
    } catch (error) {
      stop.remove(); head.classList.remove("busy");
      if (abort.signal.aborted) head.textContent = "Stopped.";
      else this.result.append(this.failure(error, () => this.check(posting)));
    }
  }
}

const percent = (share) => `${Math.round(share * 100)}%`;

function requirement(data) {
  const rows = data.evidence.map((row) => el("span", {}, `row ${row.row} · ${row.skill} · level ${row.level}${row.relation === "exact" ? "" : ` (${row.relation})`}`));
  const plain = (text) => text.replace(/[\s.;:…]+/g, " ").trim();
  return el("li", { class: `requirement b-${data.band}` },
    el("div", { class: "head" }, el("span", { class: "band" }, data.band), el("span", { class: "text" }, data.text),
      el("span", { class: "weight", title: `Share of the posting's emphasis (${data.emphasis_from})` }, percent(data.emphasis))),
    el("meter", { min: 0, max: 0.4, value: data.emphasis }, percent(data.emphasis)),
    el("details", {}, el("summary", {}, data.reason || "Evidence"),
      rows.length ? el("p", { class: "rows" }, ...rows) : null,
      plain(data.quote) !== plain(data.text) ? el("blockquote", {}, data.quote) : null));
}

function assessment(data) {
  const part = (title, items) => items.length ? [el("h3", {}, title), el("ul", {}, ...items.map((item) => el("li", {}, item)))] : [];
  const score = data.verdict === "insufficient_information" ? null : el("span", { class: "score" }, `${data.score}/100`);
  const sorted = [...data.requirements].sort((a, b) => b.emphasis - a.emphasis);
  return el("section", { class: "assessment", "aria-label": "Assessment" },
    el("div", { class: `verdict v-${data.verdict}` }, el("p", { class: "label" }, WORDS[data.verdict] || data.verdict, " ", score), el("h2", {}, data.headline), el("p", {}, data.why)),
    ...data.notices.map((notice) => el("p", { class: "notice" }, notice.message)),
    ...part("Where it does not fit", data.misfits.map((misfit) => misfit.text)),
    ...(sorted.length ? [el("h3", {}, "What the posting asks, by its weight"), el("ol", { class: "requirements" }, ...sorted.map(requirement))] : []),
    ...part("Conditions", data.gates.map((gate) => `${gate.text} — ${gate.status}`)),
    ...part("Contested", data.disagreements.map((each) => `${each.requirement}: the model says ${each.model_band}, the rows say ${each.rows_band}`)),
    ...part("Worth asking", data.questions_to_ask),
    el("details", { class: "method" }, el("summary", {}, "How this was judged"),
      el("p", {}, `Each requirement is a line of the posting, weighed by where and how it stands there. Evidence is a row of a self-rated skills matrix (levels 0–5); every row and quote was checked by code. Judged by ${data.model}. What the matrix does not cover is not guessed.`)));
}

// ------------------------------------------------------------------ <askfit-launcher>

class Launcher extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: "open" });
    const home = this.getAttribute("endpoint") ? new URL(this.getAttribute("endpoint"), location.href).origin : HOME;
    const sheet = el("link", { rel: "stylesheet", href: `${home}/askfit.css` });
    const own = el("style");
    own.textContent = ":host{position:fixed;right:1rem;bottom:1rem;z-index:2147483000}dialog{width:min(30rem,calc(100vw - 2rem));max-height:80vh;border:1px solid var(--line);border-radius:14px;background:var(--paper);color:var(--ink);font:1rem/1.5 var(--sans);margin:auto 1rem 5rem auto}";
    const close = el("button", { type: "button", class: "quiet small", onclick: () => dialog.close() }, "Close");
    const dialog = el("dialog", { "aria-label": "Ask a question" }, el("div", { class: "row end" }, close));
    const open = el("button", { type: "button", onclick: () => {
      if (!dialog.querySelector("ask-ai")) dialog.append(el("ask-ai", { endpoint: `${home}/ask-ai` }));
      dialog.showModal();
    } }, this.getAttribute("label") || "Ask me anything");
    root.append(sheet, own, open, dialog);
  }
}

customElements.define("ask-ai", AskAi);
customElements.define("fit-check", FitCheck);
customElements.define("askfit-launcher", Launcher);
