// The pieces that every page is made of: badges, buttons, times, tables, empty and error states.

import { h } from "./dom.js";
import { fullMoment, known, moment, t } from "./i18n.js";
import { icon } from "./icons.js";

// Tone and drawing of each state; its word is in the catalogue.
const STATES = {
  queued: ["busy", "clock"],
  held: ["warn", "pause"],
  delivered: ["good", "check"],
  failed: ["bad", "cross"],
  deleted: ["quiet", "bin"],
  deferred: ["warn", "clock"],
};
const LEVELS = {
  ok: ["good", "check"],
  info: ["busy", "quiet"],
  warning: ["warn", "warn"],
  alarm: ["bad", "cross"],
  error: ["bad", "cross"],
  unknown: ["quiet", "question"],
};

/** A state as colour, drawing and word together. */
export const badge = (tone, drawing, word) => h(`span.badge.${tone}`, null, icon(drawing), word);

export function stateBadge(state) {
  const [tone, drawing] = STATES[state] ?? LEVELS.unknown;
  return badge(tone, drawing, word("state", state));
}

export function levelBadge(level) {
  const [tone, drawing] = LEVELS[level] ?? LEVELS.unknown;
  return badge(tone, drawing, word("level", level));
}

export const levelTone = (level) => LEVELS[level] ?? LEVELS.unknown;

/** The catalogue's word for a slug of the relay, else the slug itself. */
export const word = (group, slug) => (known(`${group}.${slug}`) ? t(`${group}.${slug}`) : String(slug ?? "–"));

export function button(label, onclick, { look = "", drawing = null, key = label, ...more } = {}) {
  return h(`button${look ? `.${look}` : ""}`, { type: "button", onclick, "data-key": key, ...more }, drawing && icon(drawing), label);
}

export function time(iso, show = moment) {
  return iso ? h("time", { datetime: iso, title: fullMoment(iso) }, show(iso)) : "–";
}

export const card = (title, ...children) =>
  h("section.card", null, title && h("h2", null, title), children);

/** Names and values, beside each other where there is room. `rows`: [name, value], null left out. */
export const facts = (rows) =>
  h("dl.facts", null, rows.filter(Boolean).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));

/**
 * A mail address, its letters kept apart from those around it. Other letters than ASCII can look like
 * what they are not: they are flagged, with the domain as name servers know it.
 */
export function address(text) {
  if (/^[\x20-\x7e]*$/.test(text)) return h("span.wrap", null, text);
  return h("span.wrap", null, h("bdi", null, text), " ", badge("warn", "warn", t("address.letters", { domain: asciiDomain(text) })));
}

function asciiDomain(text) {
  const domain = text.slice(text.lastIndexOf("@") + 1);
  return URL.canParse(`http://${domain}`) ? new URL(`http://${domain}`).hostname : "?";
}

/** A reply of a server, letter for letter. */
export function replyText(reply) {
  if (!reply) return null;
  const text = [reply.code || null, reply.enhanced, reply.text].filter(Boolean).join(" ");
  return h("code.reply", null, text);
}

/** What a reply means, and the steps that help. */
export function explanation(found) {
  if (!found) return null;
  const steps = found.steps ?? [];
  return h("div.explanation", null,
    h("p", null, found.meaning),
    steps.length > 0 && h("ol", null, steps.map((step) => h("li", null, step))));
}

/**
 * A table that becomes a list of cards on a small screen. `columns`: [label, cell(row), class].
 * The roles stay said, as the small layout takes them from the elements.
 */
export function table(caption, columns, rows) {
  const head = columns.map(([label, , look]) => h(`th${look ? `.${look}` : ""}`, { scope: "col", role: "columnheader" }, label));
  const body = rows.map((row) => h("tr", { role: "row" }, columns.map(([label, cell, look]) =>
    h(`td${look ? `.${look}` : ""}`, { role: "cell", "data-label": typeof label === "string" ? label : null }, cell(row)))));
  return h("table", { role: "table" },
    h("caption.unseen", null, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    h("tbody", { role: "rowgroup" }, body));
}

/** Nothing to show: why, and what brings something. */
export const empty = (title, advice, ...actions) =>
  h("div.empty", null, icon("tray"), h("p.strong", null, title), advice && h("p", null, advice), actions.length > 0 && h("p.actions", null, actions));

/** Something went wrong: what, and what to do. */
export const failure = (error, retry) =>
  h("div.failure", { role: "alert" }, icon("warn"),
    h("div", null,
      h("p.strong", null, t("error.title")),
      h("p", null, error.message),
      retry && h("p.actions", null, button(t("error.retry"), retry))));

export const waiting = () => h("p.waiting", { role: "status" }, t("loading"));

/** A labelled field; `control` is an input, select or textarea with an id. */
export function field(label, control, help = null) {
  if (help) control.setAttribute("aria-describedby", `${control.id}-help`);
  return h("div.field", null,
    h("label", { for: control.id }, label), control,
    help && h("p.help", { id: `${control.id}-help` }, help));
}

export const select = (attributes, options, chosen) =>
  h("select", attributes, options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));

/** How much of a limit is used. */
export function meter(label, used, most, tone) {
  const share = most ? Math.min(1, used / most) : 0;
  const fill = h(`span.fill.${tone}`);
  fill.style.width = `${share * 100}%`;
  return h("div.meter", { role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": most, "aria-valuenow": Math.min(used, most) }, fill);
}
