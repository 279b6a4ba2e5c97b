// The examiner: one check at a time with its findings, and the whole report for the help desk.

import { address, get, inLanguage, post } from "../api.js";
import { h, replace } from "../dom.js";
import { seconds, t } from "../i18n.js";
import { icon } from "../icons.js";
import { button, card, empty, failure, field, levelBadge, select, waiting, word } from "../parts.js";

const OF_SMARTHOST = ["connect", "tls", "auth"];
const OF_DOMAIN = ["spf", "dkim", "dmarc"];
const CHECKS = [...OF_SMARTHOST, ...OF_DOMAIN];

export async function open(root, { session }) {
  const { accounts } = await get("/today");
  const names = [...new Set(accounts.flatMap((account) => account.smarthosts))];
  const result = h("div.stack", { "aria-live": "polite" });
  const help = h("p.help", { id: "check-help" });
  const check = select({ id: "check", "aria-describedby": "check-help", onchange: suit }, CHECKS.map((name) => [name, t(`check.${name}`)]), names.length ? "connect" : "spf");
  const smarthost = select({ id: "smarthost" }, names.map((name) => [name, name]), names[0]);
  const domain = h("input", { id: "domain", type: "text", autocomplete: "off", spellcheck: "false", value: session.hostname.split(".").slice(-2).join(".") });
  const ofSmarthost = field(t("diagnose.smarthost"), smarthost);
  const ofDomain = field(t("diagnose.domain"), domain, t("diagnose.domain.help"));
  const made = h("div.stack", { "aria-live": "polite" });
  const make = button(t("diagnose.report.make"), () => whole(), { drawing: "file" });
  const run = h("button.primary", { type: "submit" }, t("diagnose.run"));
  const form = h("form", { onsubmit: one }, h("div.search", null, h("div.field", null, h("label", { for: "check" }, t("diagnose.check")), check, help), ofSmarthost, ofDomain), h("p.actions", null, run));

  function suit() {
    ofSmarthost.hidden = !OF_SMARTHOST.includes(check.value);
    ofDomain.hidden = !OF_DOMAIN.includes(check.value);
    help.replaceChildren(t(`check.${check.value}.help`));
  }

  function one(event) {
    event.preventDefault();
    const about = ofDomain.hidden ? { smarthost: smarthost.value } : { domain: domain.value.trim() };
    return examine(run, result, { check: check.value, ...about }, outcome);
  }

  const whole = () => examine(make, made, { check: "report" }, (found) => [files(), outcome(found)]);

  suit();
  replace(root, card(t("diagnose.ask"), h("p", null, t("diagnose.text")), form), result,
    card(t("diagnose.report"), h("p", null, t("diagnose.report.text")), h("p.actions", null, make)), made);
}

/** Runs a check, and shows in `place` what came of it; `button` waits meanwhile. */
async function examine(button, place, inquiry, show) {
  button.disabled = true;
  replace(place, card(null, waiting(), h("p.quiet", null, t("diagnose.patience"))));
  try {
    const { document: found } = await post("/diagnose", inLanguage(inquiry));
    replace(place, show(found));
  } catch (error) {
    if (error.status === undefined) throw error;
    replace(place, failure(error));
  } finally {
    button.disabled = false;
  }
}

const files = () => h("p.actions", null, ["html", "markdown"].map((format) =>
  h("a.button", { href: address("/diagnose/report", { format }), download: "" }, icon("file"), t(`diagnose.report.${format}`))));

function outcome(found) {
  if (!found) return card(null, empty(t("diagnose.nothing"), t("diagnose.nothing.advice")));
  return (found.parts ?? [found]).map(part);
}

function part(found) {
  const order = ["error", "unknown", "warning", "info", "ok"];
  const findings = [...found.findings].sort((one, other) => order.indexOf(one.severity) - order.indexOf(other.severity));
  return card(`${word("check", found.command)}: ${found.target ?? ""}`,
    h("p", null, h("span.strong", null, t(`verdict.${found.verdict}`)), h("span.quiet", null, ` ${seconds(found.seconds)}`)),
    h("ul.findings", null, findings.map(finding)),
    found.suggestion?.record && h("div", null, h("h3", null, t("diagnose.record")), h("code.reply", null, found.suggestion.record)));
}

function finding(each) {
  return h("li", null,
    h("p.between", null, h("span.strong", null, each.title), levelBadge(each.severity)),
    each.detail && h("p", null, each.detail),
    each.remedy.length > 0 && h("ol", null, each.remedy.map((step) => h("li", null, step))));
}
