// The logins at the smarthosts: whether they work, until when, what they may send, and consent.

import { get, inLanguage, post, remove } from "../api.js";
import { act, ask, tell } from "../dialog.js";
import { h, replace } from "../dom.js";
import { date, number, pick, relative, seconds, t } from "../i18n.js";
import { badge, button, card, empty, explanation, facts, field, replyText, time, word } from "../parts.js";
import { forecast, limit } from "./today.js";

export const follows = ["account", "queue"];

const POLL_MS = 3_000;

export async function open(root) {
  const region = h("div.stack", null);
  const tests = new Map(); // what the last test of each account said
  const consents = new Map(); // the consents that were started here
  const timers = new Map(); // the next look at each of them

  async function refresh() {
    const { accounts } = await get("/accounts", inLanguage());
    replace(region, accounts.length ? accounts.map(account) : card(null, empty(t("accounts.none"), t("accounts.none.advice"))));
  }

  function account(each) {
    const name = each.smarthosts[0];
    return h("section.card", { "aria-label": each.username },
      h("div.bar", null, h("h2", null, each.username, " ", state(each)),
        h("div.actions", null,
          each.paused ? button(t("accounts.resume"), () => resume(name), { look: "primary", drawing: "check", key: `resume ${name}` })
            : button(t("accounts.pause"), () => pause(name), { drawing: "pause", key: `pause ${name}` }),
          button(t("accounts.test"), () => test(name), { drawing: "pulse", key: `test ${name}` }),
          each.consent !== "not-needed" && each.auth === "oauth2" && button(t(each.consent === "needed" ? "accounts.consent" : "accounts.consent.again"), () => consent(name), { look: each.consent === "needed" ? "primary" : "", drawing: "account", key: `consent ${name}` }))),
      each.paused && pausedText(each),
      started(name),
      tested(tests.get(name)),
      facts([
        [t("accounts.server"), `${each.host} (${each.smarthosts.join(", ")})`],
        [t("accounts.login"), each.auth === "oauth2" ? `OAuth2${each.issuer ? ` · ${each.issuer}` : ""}` : word("auth", each.auth)],
        [t("accounts.until"), until(each)],
        each.refreshed_at && [t("accounts.refreshed"), time(each.refreshed_at)],
        each.vault_error && [t("accounts.vault"), each.vault_error],
      ]),
      each.usage && usage(each.usage));
  }

  function state(each) {
    if (each.paused) return badge("bad", "pause", t("accounts.paused"));
    if (each.consent === "needed") return badge("warn", "warn", t("accounts.consent.needed"));
    if (each.vault_error) return badge("warn", "question", t("accounts.unknown"));
    return badge("good", "check", t("accounts.works"));
  }

  async function pause(name) {
    await act(() => post("/accounts/pause", { name }), () => ({ text: t("accounts.pause.done"), undo: () => resume(name) }));
    await refresh();
  }

  async function resume(name) {
    await act(() => post("/accounts/resume", { name }), () => t("accounts.resume.done"));
    tests.delete(name);
    await refresh();
  }

  async function test(name) {
    tests.set(name, "running");
    await refresh();
    try {
      tests.set(name, await post("/accounts/test" + `?lang=${document.documentElement.lang}`, { name }));
    } catch (error) {
      if (error.status === undefined) throw error;
      tests.delete(name);
      tell(error.message);
    }
    await refresh();
  }

  async function consent(name) {
    const answer = await act(() => post("/accounts/consent", inLanguage({ name })), () => null);
    if (!answer) return;
    consents.set(name, answer);
    await refresh();
    poll(name);
  }

  function poll(name) {
    clearTimeout(timers.get(name));
    timers.set(name, setTimeout(async () => {
      try {
        const found = await get(`/accounts/consent/${encodeURIComponent(name)}`);
        if (!consents.has(name)) return; // called off meanwhile, or the page was left
        consents.set(name, found);
        if (found.state === "waiting") poll(name);
        else await refresh();
      } catch (error) {
        if (error.status === undefined) throw error;
        tell(error.message);
      }
    }, POLL_MS));
  }

  function started(name) {
    const found = consents.get(name);
    if (!found) return null;
    if (found.state !== "waiting") return h(`div.note.${found.state === "done" ? "good" : "bad"}`, { role: "status" }, h("p", null, pick(found.text)),
      pick(found.steps)?.length > 0 && h("ol", null, pick(found.steps).map((step) => h("li", null, step))));
    const link = found.verification_url ?? found.url;
    return h("div.note.busy", { role: "status" },
      h("p", null, pick(found.text)),
      found.user_code && h("p", null, h("code.code", null, found.user_code)),
      link?.startsWith("https://") || link?.startsWith("http://127.0.0.1") ? h("p", null, h("a.button", { href: link, target: "_blank", rel: "noopener noreferrer", "data-key": `go ${name}` }, t("accounts.consent.go"))) : null,
      found.expires_at && h("p.quiet", null, t("accounts.consent.expires"), " ", time(found.expires_at)),
      h("p.actions", null,
        found.redirect && button(t("accounts.consent.paste"), () => paste(name), { key: `paste ${name}` }),
        button(t("accounts.consent.cancel"), () => cancel(name), { key: `cancel ${name}` })));
  }

  /** Where the browser is on another machine: the address that it ended at. */
  async function paste(name) {
    const redirect = h("input", { id: "redirect", name: "redirect", required: true, autocomplete: "off" });
    const values = await ask({
      title: t("accounts.consent.paste"), text: t("accounts.consent.paste.text"), action: t("accounts.consent.paste.do"),
      fields: [field(t("accounts.consent.address"), redirect)],
    });
    if (!values) return;
    const found = await act(() => post(`/accounts/consent/${encodeURIComponent(name)}`, { redirect: values.redirect.trim() }), () => null);
    if (found) consents.set(name, found);
    await refresh();
  }

  async function cancel(name) {
    clearTimeout(timers.get(name));
    consents.delete(name);
    await act(() => remove(`/accounts/consent/${encodeURIComponent(name)}`), () => t("accounts.consent.cancelled"));
    await refresh();
  }

  await refresh();
  replace(root, region);
  return { refresh, close: () => { timers.forEach((each) => clearTimeout(each)); consents.clear(); } };
}

function pausedText(each) {
  return h("div.note.bad", null,
    h("p.strong", null, each.explanation ? each.explanation.meaning : word("cause", each.cause)),
    replyText(each.reply),
    each.steps.length > 0 && h("ol", null, each.steps.map((step) => h("li", null, step))),
    h("p.quiet", null, t("accounts.paused.since"), " ", time(each.paused_at), ". ",
      each.paused_until ? [t("accounts.paused.until"), " ", time(each.paused_until), "."] : t("accounts.paused.forever")));
}

function until(each) {
  const end = each.auth === "oauth2" ? each.works_until : each.deadline;
  if (!end) return t("accounts.no_end");
  return h("span", null, h("time", { datetime: end }, date(end)), ` (${relative(end)})`, each.works_until_why && h("small.quiet", null, ` ${each.works_until_why}`));
}

function usage(found) {
  const rates = ["messages_per_minute", "max_recipients", "max_connections"].filter((name) => found[name]?.limit_now);
  return h("div.quotas", null, h("article.quota", null,
    h("h3", null, t("accounts.usage")),
    limit("messages", found.messages), found.recipients.limit_now !== null && limit("recipients", found.recipients),
    h("p", null, forecast(found)),
    rates.length > 0 && h("p.quiet", null, rates.map((name) => t(`rate.${name}`, { most: number(found[name].limit_now) })).join(" · "))));
}

function tested(found) {
  if (!found) return null;
  if (found === "running") return h("p.waiting", { role: "status" }, t("accounts.test.running"));
  const tone = found.accepted ? "good" : "bad";
  const text = found.accepted ? t("accounts.test.accepted", { address: found.address ?? found.host, seconds: seconds(found.seconds) })
    : t(found.tested ? "accounts.test.refused" : "accounts.test.paused");
  return h(`div.note.${tone}`, { role: "status" }, h("p.strong", null, text), replyText(found.reply), found.detail && h("p", null, found.detail), explanation(found.explanation));
}
