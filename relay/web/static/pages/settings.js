// The configuration with the origin of each value, and a check of a changed file: looking only.

import { get, post } from "../api.js";
import { h, download, replace } from "../dom.js";
import { pick, t } from "../i18n.js";
import { badge, button, card, empty, failure, field, table } from "../parts.js";

const FILE = "relay.toml";

export async function open(root) {
  const found = await get("/settings");
  const listed = h("div", null);
  const result = h("div", { "aria-live": "polite" });
  const only = h("input", { type: "checkbox", id: "only", checked: true, onchange: list });
  const text = h("textarea", { id: "file-text", rows: 16, spellcheck: "false", autocomplete: "off", value: found.file ?? "", oninput: () => replace(result) });
  const file = h("input", { id: "file", type: "file", accept: ".toml,text/plain", onchange: read });

  function list() {
    const entries = only.checked ? found.entries.filter((entry) => entry.changed) : found.entries;
    replace(listed, entries.length ? table(t("settings.title"), [
      [t("settings.path"), (entry) => h("code.wrap", null, entry.path)],
      [t("settings.value"), (entry) => h("span.wrap", null, value(entry.value))],
      [t("settings.origin"), (entry) => origin(entry.origin), "origin"],
    ], entries) : empty(t("settings.none"), t("settings.none.advice")));
  }

  async function read() {
    const [chosen] = file.files;
    if (!chosen) return;
    text.value = await chosen.text();
    await check();
  }

  async function check(event) {
    event?.preventDefault();
    try {
      replace(result, outcome(await post("/settings/check", { text: text.value })));
    } catch (error) {
      if (error.status === undefined) throw error;
      replace(result, failure(error));
    }
  }

  list();
  replace(root,
    card(t("settings.inforce"), h("p", null, t("settings.text")), found.in_force === false && h("p.note.warn", null, t("settings.stale")),
      h("label.choice", null, only, t("settings.only")), listed),
    card(t("settings.check"), h("p", null, t("settings.check.text")),
      h("form", { onsubmit: check },
        field(t("settings.file"), file), field(t("settings.edit"), text, found.masked ? t("settings.masked") : null),
        h("p.actions", null, h("button.primary", { type: "submit" }, t("settings.do")),
          button(t("settings.download"), () => download(FILE, text.value, "application/toml"), { drawing: "file" }))),
      result));
}

function value(given) {
  if (given === null || given === undefined) return "–";
  if (typeof given === "boolean") return t(given ? "yes" : "no");
  if (Array.isArray(given)) return given.length ? given.map(value).join(", ") : "–";
  if (typeof given === "object") return Object.entries(given).map(([name, one]) => `${name}: ${value(one)}`).join(", ");
  return String(given);
}

function origin(text) {
  const [kind, ...rest] = text.split(":");
  return rest.length ? t(`origin.${kind}`, { where: rest.join(":") }) : t(`origin.${kind}`);
}

function outcome({ faults, warnings, diff, needs_restart: restart }) {
  return h("div.stack", null,
    faults.length ? h("div.note.bad", { role: "alert" }, h("p.strong", null, t("settings.faults", { count: faults.length })), places(faults))
      : h("div.note.good", { role: "status" }, h("p.strong", null, badge("good", "check", t("settings.good")), " ", t("settings.good.text"))),
    warnings.length > 0 && h("div.note.warn", null, h("p.strong", null, t("settings.warnings", { count: warnings.length })), places(warnings)),
    restart.length > 0 && h("div.note.warn", null, t("settings.restart", { what: restart.join(", ") })),
    h("h3", null, t("settings.diff")),
    diff.length ? h("pre.diff", { tabindex: 0, "aria-label": t("settings.diff") }, diff.map(line)) : h("p.quiet", null, t("settings.same")));
}

const places = (faults) => h("ul", null, faults.map((fault) =>
  h("li", null, [fault.line && t("settings.line", { line: fault.line }), fault.key].filter(Boolean).join(", "), fault.line || fault.key ? ": " : "", pick(fault))));

function line(text) {
  const kind = text.startsWith("+") ? "added" : text.startsWith("-") ? "removed" : "same";
  return h(`span.${kind}`, null, `${text.replace(/\n$/, "")}\n`);
}
