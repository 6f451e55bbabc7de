// <ask-ai>, <fit-check>, <askfit-launcher>. No innerHTML. With `page` they enhance the server's form, else a shadow root.

const BASE = new URL(".", import.meta.url);
const WORDS = { strong: "Strong fit", moderate: "Moderate fit", stretch: "A stretch", misfit: "Misfit", insufficient_information: "Too little to judge" };
const OFFERS = { looks_like_posting: ["fit-check", "Check the fit"], looks_like_question: ["ask-ai", "Ask it"] };
const REASONS = { too_shallow: "Too shallow", too_much: "Too much", wrong: "Wrong", other: "Other" };

// ---- DOM, built only from text

function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value != null) node.setAttribute(key, value);
  }
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

function place(citation) {
  try {
    const { host, pathname, hash } = new URL(citation.url.replace(/#?:~:.*/, ""));
    return decodeURI(host + pathname).replace(/\/$/, "") + decodeURIComponent(hash).replace("#", " › ").replaceAll("-", " ");
  } catch { return citation.title || citation.document; }
}

// Bold, code, links, mail; else text. A citation's number stands between U+E000 and U+E001.
const INLINE = /\*\*([^*\n]+)\*\*|`([^`\n]+)`|\[([^\]\n]+)\]\(([^)\s]+)\)|((?:https?:\/\/|mailto:)[^\s<>"')\]]*[^\s<>"')\].,;:!?]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)|\uE000(\d+)\uE001/g;

function inline(text, sources) {
  const out = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    out.push(text.slice(at, match.index));
    const [whole, bold, code, label, target, bare, number] = match;
    const href = safeUrl(target || bare?.replace(/^[^:]+@/, "mailto:$&"));
    const source = sources[number - 1];
    if (bold) out.push(el("strong", {}, inline(bold, sources)));
    else if (code) out.push(el("code", {}, code));
    else if (number) out.push(el("a", { class: "cite", href: safeUrl(source.url) || null, title: source.quote, "aria-label": `Source ${number}`, rel: "noopener" }, number));
    else out.push(href ? el("a", { href, rel: "noopener nofollow" }, label || bare.replace(/^mailto:/, "")) : whole);
    at = match.index + whole.length;
  }
  return [...out, text.slice(at)];
}

function rich(text, sources) {
  const nodes = [];
  let list;
  for (const line of text.split("\n")) {
    const item = line.match(/^\s*(?:[-*•]|\d+[.)])\s+(.*)$/);
    if (item) {
      if (!list) nodes.push(list = el("ul"));
      list.append(el("li", {}, inline(item[1], sources)));
    } else if (line.trim()) {
      list = null;
      nodes.push(el("p", {}, inline(line, sources)));
    }
  }
  return nodes;
}

// ---- events over fetch

class Problem extends Error {
  constructor(told) { super(told.detail || told.message || "The site did not answer."); this.told = told; }
}

const post = (url, body, more, signal) =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json", ...more }, body: JSON.stringify(body), signal });

async function* events(url, body, signal) {
  let last = "", retried = false;
  for (;;) {
    try {
      const answer = await post(url, body, { accept: "text/event-stream", ...(last && { "last-event-id": last }) }, signal);
      if (!answer.ok) throw new Problem(await answer.json().catch(() => ({})));
      for await (const event of parse(answer.body)) {
        if (event.id) last = event.id;
        yield event;
        if (event.name === "done" || event.name === "error") return;
      }
      throw new TypeError("the stream ended early");
    } catch (error) {
      if (error instanceof Problem || signal.aborted || retried || !last) throw error;
      retried = true;  // the server keeps events for a minute
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

// ---- what the elements share

// Shown with its sheet. No inline style: a CSP may forbid it.
function boxed(host, name, ...content) {
  const box = el("div", { class: `askfit ${name}`, hidden: "" }, ...content);
  const theme = host.getAttribute("theme");
  if (theme) box.style.colorScheme = theme === "auto" ? "light dark" : theme;
  const sheet = el("link", { rel: "stylesheet", href: new URL("askfit.css", BASE).href });
  sheet.onload = sheet.onerror = () => { box.hidden = false; };
  host.attachShadow({ mode: "open" }).append(sheet, box);
  return box;
}

const button = (label, onclick, kind = "quiet") => el("button", { type: "button", class: kind, onclick }, label);

class Feature extends HTMLElement {
  connectedCallback() {
    if (this.root) return;
    const endpoint = this.getAttribute("endpoint");
    this.url = endpoint ? new URL(endpoint, location.href) : new URL(this.constructor.path, BASE);
    this.root = this.hasAttribute("page") ? this : boxed(this, this.hasAttribute("bare") ? "" : "card", ...this.frame());
    this.out = this.root.querySelector(".out");
    this.box = this.root.querySelector("textarea");
    this.status = el("p", { class: "vh", role: "status", "aria-live": "polite" });
    this.root.append(this.status);
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.abort) { event.preventDefault(); event.stopPropagation(); this.stop(); }
    });
    this.root.addEventListener("submit", (event) => {
      if (event.target.target) return;
      event.preventDefault();
      this.send((event.submitter?.value || this.box.value).trim());
    });
    this.enhance?.();
  }

  frame() {
    const { name, label, rows, act } = this.constructor.form;
    const box = el("textarea", { id: name, name, rows, required: "", placeholder: this.getAttribute("placeholder") });
    return [of("div", "out"), el("form", {}, el("label", { for: name }, label), box, of("div", "row end", el("button", {}, act)))];
  }

  disconnectedCallback() { this.stop(); }

  focus() { this.box.focus(); }

  stop() { this.abort?.abort(); this.abort = null; }

  tools(...before) { return of("div", "tools", ...before, button("Stop", () => this.stop())); }

  // Is the focus in what is about to go?
  holds(node) { return node.contains((this.shadowRoot || document).activeElement); }

  // Each event to `take`; gives what is said where it failed or was stopped.
  async run(body, take, again) {
    this.stop();
    const abort = this.abort = new AbortController();
    let begun, failure = null;
    try {
      for await (const { name, data } of events(this.url, body, abort.signal)) {
        if (name === "error") throw new Problem(data);
        begun = true;
        take(name, data);
      }
    } catch (error) {
      failure = abort.signal.aborted ? of("p", "notice", "Stopped.") : this.failure(error, begun, again);
      this.status.textContent = failure.querySelector("p, span")?.textContent || failure.textContent;
    }
    if (this.abort === abort) this.abort = null;
    return failure;
  }

  failure(error, begun, again) {
    const { next_step, status } = error.told || {};
    // Refused: no use in trying again.
    const retry = status < 500 && status !== 429 ? null : button("Try again", again);
    if (error instanceof Problem) return of("div", "error", el("p", {}, el("strong", {}, error.message), " ", inline(next_step || "")), retry);
    return of("p", "notice", el("span", {}, `${begun ? "The answer broke off" : "No answer came"}: the connection failed.`), " ", retry);
  }

  // The other feature, with the same text.
  hand(notices, text) {
    const [name, label] = notices.map(({ code }) => OFFERS[code]).find(Boolean) || [];
    return name ? button(label, ({ target }) => {
      const other = el(name, { bare: "", endpoint: this.getAttribute("other") });
      target.replaceWith(other);
      other.send(other.box.value = text);
    }, "") : "";
  }

  thumbs(answer) {
    const tools = of("div", "tools");
    const show = (text, ...more) => tools.replaceChildren(of("span", "notice", text), ...more);
    const send = (rating, reason) => {
      show(this.status.textContent = "Thank you.");
      const base = this.url.origin === BASE.origin ? BASE : this.url.origin;
      post(new URL("feedback", base), { answer, rating, reason }).catch(() => {});
    };
    const why = () => {
      show("What was wrong?", ...Object.entries(REASONS).map(([reason, label]) => button(label, () => send("down", reason))));
      tools.querySelector("button").focus();
    };
    tools.append(button("Helpful", () => send("up")), button("Not helpful", why));
    return tools;
  }
}

// ---- <ask-ai>

class AskAi extends Feature {
  static path = "ask-ai";
  static form = { name: "question", label: "Your question", rows: 2, act: "Ask" };
  history = [];

  enhance() {
    const { history, conversation } = this.box.form.elements;
    try { this.history = JSON.parse(history?.value || "[]"); } catch { /* a form without one */ }
    this.conversation = conversation?.value;
    this.box.maxLength = 60000;  // a posting is not cut
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.box.form.requestSubmit(); }
    });
  }

  async send(question) {
    if (!question) return;
    const earlier = [...this.root.querySelectorAll(".suggestions, [role=alert]")];
    const led = earlier.some((each) => this.holds(each));
    for (const each of earlier) each.remove();
    const text = of("div", "a busy");
    const tools = this.tools();
    const turn = of("article", "turn", el("h2", { class: "q", tabindex: -1 }, question), text, tools);
    const lead = () => turn.firstChild.focus({ preventScroll: true });
    this.out.append(turn);
    if (led) lead();
    turn.scrollIntoView({ block: "nearest" });
    this.box.value = "";
    this.status.textContent = "Looking through the site.";
    const body = { question, history: this.history.slice(-6), conversation: this.conversation };
    const state = {};
    const failure = await this.run(body, (name, data) => {
      this.take(name, data, state, turn);
      text.replaceChildren(...this.shown(state));
    }, () => { turn.remove(); this.send(question); this.focus(); });
    const held = this.holds(tools);
    text.classList.remove("busy");
    tools.replaceWith(failure || this.thumbs(state.answer));
    if (failure) this.box.value ||= this.abort ? "" : question;
    else {
      if (!/^(hostile|off|looks)/.test(state.abstain_reason)) this.history.push({ question, answer: state.text });
      text.after(this.hand(state.notices, question));
      this.status.textContent = state.text;
      if (state.follow_ups.length) turn.append(of("div", "suggestions", state.follow_ups.map((next) => button(next, () => this.send(next), "chip"))));
    }
    if (held) lead();
  }

  take(name, data, state, turn) {
    if (name === "start") {  // or it begins anew
      Object.assign(state, { answer: data.answer, text: "", marks: [], notices: [] });
      this.conversation = data.conversation;
    } else if (name === "delta") state.text += data.text.replace(/[\uE000\uE001]/g, "\uFFFD");
    else if (name === "retract") { state.text = state.text.slice(0, data.from); state.marks = state.marks.filter(({ at }) => at <= data.from); }
    else if (name === "citation") state.marks.push({ at: state.text.trimEnd().length, data });
    else if (name === "notice") state.notices.push(data);
    else if (name === "done") {
      if (data.abstained) turn.classList.add("abstained");
      Object.assign(state, data);
    }
  }

  shown(state) {
    const sources = [];
    let marked = "", from = 0;
    for (const { at, data } of state.marks) {
      let number = sources.findIndex((source) => source.section === data.section) + 1;
      if (!number) number = sources.push(data);
      if (state.abstained) continue;  // this is the nearest page
      marked += `${state.text.slice(from, at)}\uE000${number}\uE001`;
      from = at;
    }
    const listed = sources.map((source) => {
      const href = safeUrl(source.url);
      const said = state.abstained || state.text.includes(source.quote);
      return el("li", {}, href ? el("a", { href, rel: "noopener" }, place(source)) : place(source), !said && [" ", el("q", {}, source.quote)]);
    });
    return [...rich(marked + state.text.slice(from), sources), listed.length ? el("ol", { class: "sources", "aria-label": "Sources" }, listed) : "",
      ...state.notices.map(({ code, message }) => OFFERS[code] ? "" : of("p", "notice", message))];
  }
}

// ---- <fit-check>

class FitCheck extends Feature {
  static path = "fit-check";
  static form = { name: "posting", label: "The job posting", rows: 8, act: "Check the fit" };

  async send(posting) {
    if (!posting) return;
    const head = of("p", "notice busy", this.status.textContent = "Reading the posting.");
    const tools = this.tools(head);
    const verdict = el("div", { class: "verdict", hidden: "" });
    const list = of("ol", "requirements");
    let answer;
    this.out.replaceChildren(tools, verdict, list);
    this.box.rows = 4;  // the verdict comes first
    this.box.scrollTop = 0;
    this.out.scrollIntoView({ block: "nearest" });
    const failure = await this.run({ posting }, (name, data) => {
      if (name === "start") { answer = data.answer; list.replaceChildren(); }
      else if (name === "requirement") { list.append(requirement(data)); head.textContent = `${list.children.length} requirements judged.`; }
      else if (name === "summary") { verdict.hidden = !data.headline; verdict.replaceChildren(el("h2", {}, data.headline)); }
      else if (name === "done") {
        const held = this.holds(tools);
        this.out.replaceChildren(assessment(data), this.hand(data.notices, posting), this.report(data), this.thumbs(answer));
        this.status.textContent = `${WORDS[data.verdict]}. ${headline(data)}`;
        this.out.scrollIntoView();
        if (held) this.out.querySelector("h2").focus();
      }
    }, () => { this.send(posting); this.focus(); });
    if (!failure) return;
    const held = this.holds(tools);
    tools.replaceWith(failure);
    if (held) this.focus();
  }

  // Drawn by the server, in a tab of its own.
  report(data) {
    return data.seal && el("form", { method: "post", action: `${this.url}/report`, target: "_blank", class: "tools" },
      of("button", "quiet", "Report"), el("input", { type: "hidden", name: "assessment", value: JSON.stringify(data) }));
  }
}

const fold = (kind, title, ...more) => of("details", kind, el("summary", {}, title), ...more);
const list = (items) => el("ul", {}, items.map((item) => el("li", {}, item)));
const percent = (share) => `${Math.round(share * 100)}%`;

function requirement(data) {
  const rows = data.evidence.map(({ skill, level, relation, sheet, sheet_row }) =>
    el("li", {}, `${sheet && `${sheet}, `}row ${sheet_row} · ${skill} · level ${level}${relation === "exact" ? "" : ` (${relation})`}`));
  const plain = (text) => text.replace(/[\s.;:…]+/g, " ").trim();
  return of("li", `requirement b-${data.band}`,
    of("div", "head", of("span", "band", data.band), of("span", "text", data.text), of("span", "weight", percent(data.emphasis))),
    fold(null, data.reason || "Evidence", rows[0] && of("ul", "rows", rows),
      plain(data.quote) !== plain(data.text) && el("blockquote", {}, data.quote)));
}

function weights(requirements) {
  const bar = el("div", { class: "bar", "aria-hidden": "true" });
  const tally = of("p", "tally", "Of the posting’s weight: ");
  for (const band of ["strong", "moderate", "gap"]) {
    const share = requirements.reduce((sum, each) => sum + (each.band === band && each.emphasis), 0);
    bar.append(of("i", `b-${band}`));
    bar.lastChild.style.flexGrow = share;
    tally.append(of("span", `b-${band}`, of("span", "band", `${percent(share)} ${band}`)));
  }
  return [bar, tally];
}

function assessment(data) {
  const part = (title, items) => items[0] && [el("h3", {}, title), list(items)];
  const misfits = data.misfits.map((misfit) => misfit.text);
  const sorted = [...data.requirements].sort((a, b) => b.emphasis - a.emphasis);
  const [judged] = sorted;
  return el("section", { class: "assessment", "aria-label": "Assessment" },
    of("div", `verdict v-${data.verdict}`,
      of("p", "label", WORDS[data.verdict], " ", judged && of("span", "score", `${data.score}/100`)),
      el("h2", { tabindex: -1 }, headline(data)), judged ? weights(sorted) : of("p", "why", data.why)),
    data.notices.map((notice) => of("p", "notice", notice.message)),
    part("Where it does not fit", misfits.slice(0, 3)),
    judged && [fold("why", "Why", el("p", {}, data.why), misfits[3] && list(misfits.slice(3))),
      el("h3", {}, "What is asked, by weight"), of("ol", "requirements", sorted.map(requirement))],
    part("Conditions", data.gates.map((gate) => `${gate.text} — ${gate.status}`)),
    part("Contested", data.disagreements.map((each) => `“${sorted.find(({ id }) => id === each.requirement)?.text}”: the model says ${each.model_band}, the rows say ${each.rows_band}`)),
    part("Worth asking", data.questions_to_ask),
    judged && fold("method", "How this was judged", el("p", {}, `A requirement is a line of the posting, weighed by how it stands there; evidence is a row of a self-rated matrix (0–5). Judged by ${data.model}. What no row covers is not guessed.`)));
}

// The label above says the verdict.
const headline = ({ headline, verdict }) =>
  headline.replace(new RegExp(`^(?:Not a fit|Not enough to judge|${WORDS[verdict]}): (.)`), (_, first) => first.toUpperCase());

// ---- <askfit-launcher>

class Launcher extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const opens = this.getAttribute("opens") === "fit-check" ? "fit-check" : "ask-ai";
    const label = this.getAttribute("label") || (opens === "ask-ai" ? "Ask me anything" : "Do I fit your job?");
    const feature = el(opens, { bare: "", endpoint: this.getAttribute("endpoint"), placeholder: this.getAttribute("placeholder") });
    const dialog = el("dialog", { "aria-label": label, onclose: () => feature.stop() }, of("div", "row end", button("Close", () => dialog.close())), feature);
    boxed(this, "launch", button(label, () => { dialog.showModal(); feature.focus(); }, ""), dialog);
  }
}

customElements.define("ask-ai", AskAi);
customElements.define("fit-check", FitCheck);
customElements.define("askfit-launcher", Launcher);
