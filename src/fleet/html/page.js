"use strict";
const { hosts, page } = JSON.parse(document.getElementById("data").textContent);
const { words, summary, checks, titles, states } = page;
const WEIGHTS = ["advice", "warning", "blocker", "unknown"];
const HEIGHT = 30;
const id = (name) => document.getElementById(name);
const number = (value) => value.toLocaleString("en");

/** An element of that class with what is in it; text is always text. */
function make(tag, kind, ...inside) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.append(...inside);
  return element;
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// What is searched, made once: lower-case words of each host. A search then costs one look into each.
const haystack = hosts.map((host) =>
  [host[0], host[1] ?? "", host[4], host[6] ?? "", ...host[5].map((mark) => checks[mark >> 2])].join(" ").toLowerCase());

const filter = { state: null, check: null, weight: null, system: null, text: "" };
let found = [];
let open = null;

function choose() {
  const needles = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  found = [];
  for (let at = 0; at < hosts.length; at++) {
    const [, , state, , system, marks] = hosts[at];
    if (filter.state !== null && state !== filter.state) continue;
    if (filter.system !== null && (system !== filter.system || states[state] === "unreached")) continue;
    if (filter.check !== null) {
      const has = (mark) => mark >> 2 === filter.check && (filter.weight === 3) === ((mark & 3) === 3);
      if (!marks.some(has)) continue;
    }
    if (needles.every((needle) => haystack[at].includes(needle))) found.push(at);
  }
  // From bad to good, then as they come: by name.
  found.sort((a, b) => hosts[b][2] - hosts[a][2] || a - b);
  id("space").style.height = `${found.length * HEIGHT}px`;
  id("view").scrollTop = 0;
  id("count").textContent = fill(words.shown, { shown: number(found.length), all: number(hosts.length) });
  pressed();
  paint();
}

/** The rows that are to be seen, and some beyond. */
function paint() {
  const view = id("view");
  const first = Math.max(0, Math.floor(view.scrollTop / HEIGHT) - 10);
  const last = Math.min(found.length, first + Math.ceil(view.clientHeight / HEIGHT) + 20);
  const rows = id("rows");
  rows.style.transform = `translateY(${first * HEIGHT}px)`;
  rows.replaceChildren(...found.slice(first, last).map(row));
}

function row(at) {
  const [name, , state, , system, marks, reason] = hosts[at];
  const what = make("span");
  if (reason) what.append(reason);
  for (const mark of worst(marks)) what.append(make("code", WEIGHTS[mark & 3], checks[mark >> 2]), "  ");
  const line = make("div", at === open ? "row open" : "row",
    make("span", "", name), make("span", states[state], words.states[state]), make("span", "", system), what);
  line.onclick = () => { open = open === at ? null : at; detail(); paint(); };
  return line;
}

/** Blockers first, then warnings, unknown, advice. */
function worst(marks) {
  const rank = [3, 1, 0, 2];
  return [...marks].sort((a, b) => rank[a & 3] - rank[b & 3]);
}

function detail() {
  if (open === null) return id("detail").replaceChildren();
  const [name, instance, state, started, system, marks, reason] = hosts[open];
  const head = [words.states[state], instance, system, new Date(started * 1000).toISOString().replace(".000", ""), reason];
  id("detail").replaceChildren(
    make("h2", "", name), make("p", "", head.filter(Boolean).join(" · ")),
    table(worst(marks).map((mark) => [
      make("span", WEIGHTS[mark & 3], words.weights[mark & 3]), make("code", "", checks[mark >> 2]), titles[mark >> 2]])));
}

function table(lines) {
  return make("table", "plain", ...lines.map((cells) =>
    make("tr", "", ...cells.map((cell) => make("td", "", cell)))));
}

const buttons = [];
/** A button that sets parts of the filter, and takes them back when it is pressed again. */
function button(sets, ...inside) {
  const element = make("button", "", ...inside);
  element.type = "button";
  const holds = () => Object.entries(sets).every(([key, value]) => filter[key] === value);
  element.onclick = () => {
    const was = holds();
    for (const [key, value] of Object.entries(sets)) filter[key] = was ? null : value;
    choose();
  };
  buttons.push([element, holds]);
  return element;
}

function pressed() {
  for (const [element, holds] of buttons) element.setAttribute("aria-pressed", holds());
  const chosen = [];
  const tag = (text, keys) => {
    const element = make("button", "", `${text} ×`);
    element.onclick = () => { for (const key of keys) filter[key] = null; choose(); };
    chosen.push(element);
  };
  if (filter.state !== null) tag(words.states[filter.state], ["state"]);
  if (filter.check !== null) tag(checks[filter.check], ["check", "weight"]);
  if (filter.system !== null) tag(filter.system, ["system"]);
  id("chosen").replaceChildren(...chosen);
}

function section(name, title, ...inside) {
  if (inside.length) id(name).append(make("h2", "", title), ...inside);
}

/** The first lines of a list, and the others behind a click. */
function folded(lines, kind, shown = 12) {
  const list = make("div", `list ${kind}`, ...lines.slice(0, shown));
  if (lines.length > shown) {
    list.append(make("details", "", make("summary", "", `+ ${number(lines.length - shown)}`), ...lines.slice(shown)));
  }
  return lines.length ? [list] : [];
}

function share(part) {
  const answered = summary.hosts - summary.verdicts.unreached;
  return answered ? (100 * part) / answered : 0;
}

function checkLines() {
  const one = (check, weight, count) => {
    const bar = make("i", WEIGHTS[weight]);
    bar.style.width = `${share(count)}%`;
    const percent = share(count) < 1 ? "<1%" : `${Math.floor(share(count))}%`;
    return button({ check: checks.indexOf(check.id), weight }, make("span", WEIGHTS[weight], words.weights[weight]),
      make("span", "number", `${number(count)}  ${percent}`), make("code", "", check.id), make("span", "title", check.title), bar);
  };
  const failing = summary.checks.filter((check) => check.severity);
  const unknown = summary.checks.filter((check) => check.unknown);
  return [...failing.map((check) => one(check, WEIGHTS.indexOf(check.severity), check.hosts)),
    ...unknown.map((check) => one(check, 3, check.unknown))];
}

function systemLines() {
  return summary.systems.map((system) => {
    const name = [system.os, system.version_id].filter(Boolean).join(" ") || "?";
    const cell = (kind) => make("span", `number ${system.verdicts[kind] ? kind : "title"}`, number(system.verdicts[kind]));
    return button({ system: name }, make("span", "", name), make("span", "number", number(system.hosts)),
      cell("not-ready"), cell("undetermined"), cell("ready"));
  });
}

function driftLines(drift) {
  const moved = (change) => [change.from === change.to ? "" : `${word(change.from)} → ${word(change.to)}`,
    ...change.failing.map((check) => `+${check}`), ...change.mended.map((check) => `−${check}`)].filter(Boolean).join("  ");
  const word = (state) => words.states[states.indexOf(state)];
  const [worse, better, appeared, gone] = words.changes;
  return [
    ...drift.worse.map((change) => [worse, change.host, moved(change)]),
    ...drift.better.map((change) => [better, change.host, moved(change)]),
    ...drift.appeared.map((host) => [appeared, host, ""]), ...drift.gone.map((host) => [gone, host, ""]),
  ].slice(0, 200);
}

function main() {
  const answer = id("answer");
  answer.textContent = words.states[page.verdict];
  answer.className = states[page.verdict];
  id("head").textContent = hosts.length ? page.head.join(" · ") : words.nobody;
  const order = [3, 2, 1, 0].filter((state) => page.counts[state]);
  id("states").append(...order.map((state) =>
    button({ state }, make("b", states[state], number(page.counts[state])), words.states[state])));
  section("checks", words.checks, ...folded(checkLines(), ""));
  section("systems", words.systems, ...folded(systemLines(), "systems"));
  const differ = summary.outliers.map((one) =>
    [one.host, [one.os, one.version_id].filter(Boolean).join(" "), one.checks.join("  ")]);
  if (differ.length) section("outliers", words.outliers, table(differ.slice(0, 10)));
  const drift = page.drift;
  if (drift) {
    const count = (list) => number(list.length);
    section("drift", fill(words.drift, { since: drift.since ?? "-", worse: count(drift.worse), better: count(drift.better),
      appeared: count(drift.appeared), gone: count(drift.gone), same: number(drift.same) }), table(driftLines(drift)));
  }
  if (page.fault_count) {
    section("faults", fill(words.faults, { count: number(page.fault_count) }), table(page.faults.map((fault) =>
      [fault.line ? `${fault.source}:${fault.line}` : fault.source, fault.reason])));
  }
  const search = id("search");
  search.placeholder = words.search;
  search.setAttribute("aria-label", words.search);
  search.oninput = () => { filter.text = search.value; choose(); };
  let waits = false;
  id("view").onscroll = () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => { waits = false; paint(); });
  };
  addEventListener("resize", paint);
  choose();
}

main();
