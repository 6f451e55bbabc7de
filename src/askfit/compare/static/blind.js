// Two answers with no names, picked by keys. DOM built only from text: what a model wrote never becomes markup.

const BANDS = { strong: "●", moderate: "◐", gap: "○" };
const VERDICTS = { strong: "Strong fit", moderate: "Moderate fit", stretch: "A stretch", misfit: "Misfit", insufficient_information: "Too little to judge" };
const KINDS = { must: "must", preferred: "preferred", responsibility: "task" };
const HANDS = { left: "A is better", tie: "A tie", right: "B is better" };
const WHYS = [["too_shallow", "1", "Too shallow"], ["too_much", "2", "Too much"], ["wrong", "3", "Wrong"], ["", "Enter", "Nothing, go on"]];
const OTHER = { left: "What is wrong with B?", right: "What is wrong with A?", tie: "What is wrong with both?" };

const at = id => document.getElementById(id);
let now = null;
let busy = false;

function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key === "onclick") node.addEventListener("click", value);
    else if (value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter(child => child != null && child !== ""));
  return node;
}

const of = (name, kind, ...children) => el(name, { class: kind }, ...children);

// ---- an answer's words

function inline(text) {
  const out = [];
  let from = 0;
  for (const match of text.matchAll(/\*\*([^*\n]+)\*\*|`([^`\n]+)`/g)) {
    out.push(text.slice(from, match.index), match[1] ? el("strong", {}, match[1]) : el("code", {}, match[2]));
    from = match.index + match[0].length;
  }
  return [...out, text.slice(from)];
}

function rich(text) {
  const nodes = [];
  let list = null;
  for (const line of text.split("\n")) {
    const item = line.match(/^\s*(?:[-*•]|\d+[.)])\s+(.*)$/);
    if (item) {
      if (!list) nodes.push(list = el("ul"));
      list.append(el("li", {}, inline(item[1])));
    } else if (line.trim()) {
      list = null;
      nodes.push(el("p", {}, inline(line)));
    }
  }
  return nodes.length ? nodes : [of("p", "soft", "(It says nothing.)")];
}

function requirement(one) {
  const told = [...one.evidence, one.reason].filter(Boolean).join(" · ");
  return of("li", `row b-${one.band}`,
    el("span", { class: "mark", "aria-hidden": "true" }, BANDS[one.band]),
    of("span", "text", of("span", "vh", `${one.band}: `), one.text),
    of("span", "weight", `${KINDS[one.kind]} ${Math.round(one.weight * 100)}%`),
    told && of("span", "told", told));
}

const listed = (title, texts) => texts.length ? [of("h3", "", title), el("ul", {}, texts.map(text => el("li", {}, text)))] : [];

function assessment(given) {
  return [
    of("p", `verdict v-${given.verdict}`, VERDICTS[given.verdict] || given.verdict, of("span", "score", ` ${given.score} of 100`)),
    el("p", {}, given.headline),
    given.why && el("p", {}, given.why),
    el("ul", { class: "rows", "aria-label": "Requirements, the heaviest first" }, given.requirements.map(requirement)),
    ...listed("What speaks against it", given.misfits),
    ...listed("To be settled on paper", given.gates),
    ...listed("Questions to ask", given.questions),
  ];
}

// Titles in both, or in neither; where only one cites, the other says so in the same place.
const cited = titles => [of("h3", "", "Sources"), titles.length
  ? el("ul", { class: "cites" }, titles.map(title => el("li", {}, title)))
  : of("p", "cites", "none")];

const side = (letter, key, given, kind) => el("article", { "aria-labelledby": `side-${letter}`, class: kind },
  el("h2", { id: `side-${letter}` }, letter, el("kbd", { "aria-hidden": "true" }, key)),
  "text" in given ? [...rich(given.text), ...("cites" in given ? cited(given.cites) : [])] : assessment(given));

function asked(given) {
  if ("posting" in given) {
    return [el("h2", { tabindex: "-1", id: "asked" }, "The posting"),
      el("div", { class: "posting", tabindex: "0", role: "region", "aria-label": "The posting's text" }, given.posting)];
  }
  const earlier = given.history.map(turn => of("div", "earlier", of("p", "q", turn.question), of("p", "", turn.answer)));
  return [...(earlier.length ? [of("p", "soft", "Before that:"), ...earlier] : []),
    el("h2", { tabindex: "-1", id: "asked" }, given.question)];
}

// ---- what is on screen

function counted({ judged, most, needed, phase }) {
  const done = `${judged} judged`;
  if (phase === "decided" || phase === "through" || phase === "left") return done;
  const more = needed ? `about ${Math.min(needed, most - judged)} more would decide` : `at most ${most - judged} more`;
  return needed > most - judged ? `${done}, at most ${most - judged} more (about ${needed} would decide)` : `${done}, ${more}`;
}

const ENDS = {
  decided: ["That is enough to decide.", "The result comes in the terminal."],
  through: ["You have judged them all.", "How the two stand comes in the terminal."],
  left: ["You can close this page.", "The result is in the terminal. What you picked is on file: the same command goes on from here."],
};

const button = (label, key, step, kind = "") => el("button", { type: "button", class: kind, "aria-keyshortcuts": key, onclick: step },
  el("kbd", { "aria-hidden": "true" }, { ArrowLeft: "←", ArrowRight: "→", ArrowDown: "↓" }[key] || key), label);

function bar(state) {
  const undo = state.can_undo ? [button("Undo", "u", () => step("undo"), "quiet")] : [];
  const more = [...undo, button("Keys", "?", help, "quiet"), button("Stop", "q", () => step("leave"), "quiet")];
  if (state.phase === "pick") {
    return [of("div", "main", button(HANDS.left, "ArrowLeft", () => pick("left")), button(HANDS.tie, "ArrowDown", () => pick("tie")), button(HANDS.right, "ArrowRight", () => pick("right"))), of("div", "more", ...more)];
  }
  if (state.phase === "why") {
    return [el("p", { id: "why", tabindex: "-1" }, of("strong", "", `${HANDS[state.picked]}. `), OTHER[state.picked]),
      of("div", "main", WHYS.map(([why, key, label]) => button(label, key, () => step("why", { why })))), of("div", "more", ...more)];
  }
  return state.phase === "left" ? [] : [of("div", "main", button("Finish", "Enter", () => step("leave"))), of("div", "more", ...undo)];
}

function show(state) {
  const before = now;
  now = state;
  const { phase, turn, picked } = state;
  at("count").textContent = counted(state);
  at("track").firstElementChild.style.width = `${100 * state.judged / Math.max(1, Math.min(state.most, state.needed ? state.judged + state.needed : state.most))}%`;
  const kind = hand => picked === hand || picked === "tie" ? "picked" : picked ? "passed" : "";
  const same = before && before.phase === "pick" && phase === "why" || before && before.phase === "why" && phase === "why";
  if (same) document.querySelectorAll("article").forEach((node, number) => { node.className = kind(number ? "right" : "left"); });
  else if (turn) {
    at("main").replaceChildren(of("section", "asked", asked(turn.asked)),
      of("div", "sides", side("A", "←", turn.left, kind("left")), side("B", "→", turn.right, kind("right"))));
  } else {
    at("main").replaceChildren(of("section", "end", el("h2", { tabindex: "-1", id: "asked" }, ENDS[phase][0]), el("p", {}, ENDS[phase][1])));
  }
  at("keys").replaceChildren(...bar(state));
  at("keys").hidden = phase === "left";
  if (phase === "why") at("why").focus();
  else { at("asked").focus({ preventScroll: true }); scrollTo(0, 0); }
  if (before) at("said").textContent = phase === "why" ? "" : counted(state);
  if (phase === "decided" || phase === "through") setTimeout(refresh, 1000);
}

// ---- steps

async function call(path, body) {
  const answer = await fetch(path, body ? { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {});
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function step(name, more = {}) {
  if (busy || !now) return;
  busy = true;
  try { show(await call(`step/${name}`, { judged: now.judged, ...more })); }
  catch { gone(); }
  finally { busy = false; }
}

const pick = hand => step("pick", { hand });
const help = () => at("help").showModal();

// The session ends by itself a little after the last choice: then nobody answers any more.
async function refresh() {
  if (now.phase !== "decided" && now.phase !== "through") return;
  try {
    const state = await call("state");
    if (state.phase !== now.phase) show(state);
    else setTimeout(refresh, 1000);
  } catch { show({ ...now, phase: "left", turn: null, picked: null }); }
}

function gone() {
  if (now && now.phase === "left") return;
  at("main").replaceChildren(of("section", "end", el("h2", { tabindex: "-1", id: "asked" }, "The terminal no longer answers."),
    el("p", {}, "What you picked is on file. Run the same command again to go on.")));
  at("keys").hidden = true;
  at("asked").focus();
}

const PICKS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie" };

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("help").open || !now) return;
  const phase = now.phase, key = event.key;
  const why = phase === "why" && WHYS.find(one => one[1] === key);
  const onButton = event.target.closest?.("button, .posting");
  if (key === "ArrowDown" && event.target.closest?.(".posting")) return;  // it scrolls there
  if (PICKS[key] && (phase === "pick" || phase === "why")) pick(PICKS[key]);
  else if (why && !(key === "Enter" && onButton)) step("why", { why: why[0] });
  else if (key === "Enter" && !onButton && (phase === "decided" || phase === "through")) step("leave");
  else if (key === "u" && now.can_undo) step("undo");
  else if (key === "q" && phase !== "left") step("leave");
  else if (key === "?") help();
  else return;
  event.preventDefault();
});

call("state").then(show, gone);
