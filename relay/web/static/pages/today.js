// Did everything leave? One sentence, the counts, what each account may still send, two charts.

import { get } from "../api.js";
import { chart } from "../charts.js";
import { h, replace } from "../dom.js";
import { clock, day, number, pick, relative, t } from "../i18n.js";
import { icon } from "../icons.js";
import { badge, card, empty, levelTone, meter, table, time } from "../parts.js";
import { href } from "../router.js";

export const follows = ["queue", "device", "account", "health"];

export async function open(root) {
  const top = h("div.stack", null);
  const drawn = h("div.two", null);
  let charts = [];
  let shown = "";

  async function refresh() {
    const found = await get("/today");
    replace(top, health(found.health), found.counts && counts(found.counts), found.counts && accounts(found.accounts), nodes(found.nodes));
    drawn.hidden = !found.counts;
    const points = JSON.stringify([found.hours, found.days]);
    if (points === shown) return; // bars that stay as they are need not be drawn again
    shown = points;
    charts.forEach((each) => each.close());
    charts = [
      chart(t("today.hours"), found.hours.map((each) => ({ ...each, label: clock(each.at) }))),
      chart(t("today.days"), found.days.map((each) => ({ ...each, label: day(`${each.date}T12:00`) }))),
    ];
    replace(drawn, charts.map((each) => h("section.card", null, each.element)));
  }

  await refresh();
  replace(root, top, h("h2.unseen", null, t("today.charts")), drawn);
  return { refresh, close: () => charts.forEach((each) => each.close()) };
}

function health({ level, text, causes }) {
  const [tone, drawing] = levelTone(level);
  return h(`section.health.${tone}`, { "aria-label": t("today.health") },
    h("span.disc", null, icon(drawing)),
    h("div", null,
      h("p.sentence", { role: "status" }, h("span.unseen", null, `${t(`level.${level}`)}: `), pick(text)),
      causes.length > 0 && h("ul.causes", null, causes.map((each) => cause(each, causes.length > 1)))));
}

/** One cause with the page that shows more; a single one stands in the sentence already. */
const cause = ({ slug, text, page }, told) =>
  h("li", null, told && h("span", null, pick(text)), page && [" ", h("a", { href: href(page), "data-key": slug }, t(`today.go.${page}`))]);

function counts(found) {
  const tile = (name, value, tone, query) =>
    h(`a.tile.${value ? tone : "quiet"}`, { href: href("messages", null, query), "data-key": name },
      h("span.figure", null, number(value)), h("span", null, t(`today.${name}`)));
  return h("section.tiles", { "aria-label": t("today.counts") },
    tile("accepted", found.accepted_today, "plain", {}),
    tile("delivered", found.delivered_today, "good", { state: "delivered" }),
    tile("waiting", found.waiting, "busy", { state: "queued" }),
    tile("held", found.held, "warn", { state: "held" }),
    tile("failed", found.failed_today, "bad", { state: "failed" }));
}

function accounts(found) {
  if (!found.length) return card(t("today.accounts"), empty(t("accounts.none"), t("accounts.none.advice")));
  return card(t("today.accounts"), h("div.quotas", null, found.map(quota)));
}

function quota(account) {
  const { messages, recipients } = account;
  return h("article.quota", null,
    h("h3", null, account.username ?? account.host,
      account.paused && badge("bad", "pause", t("accounts.paused"))),
    h("p.quiet", null, account.smarthosts.join(", ")),
    limit("messages", messages), recipients.limit_now !== null && limit("recipients", recipients),
    h("p", null, forecast(account)));
}

export function limit(name, { used, left, limit_now: most, warning }) {
  if (most === null) return h("p", null, t(`quota.${name}.free`, { count: used }));
  const tone = left === 0 ? "bad" : warning ? "warn" : "accent";
  return h("div", null,
    h("p.between", null, h("span", null, t(`quota.${name}`, { used, most })), h("span", null, t("quota.left", { left }))),
    meter(t(`quota.${name}`, { used, most }), used, most, tone));
}

/** The processes that share the spool; nothing where there is one alone. */
function nodes(found) {
  if (!found.length) return null;
  return card(t("nodes.title"), table(t("nodes.title"), [
    [t("nodes.node"), (node) => h("span", null, h("strong", null, node.host), h("small.quiet", null, ` ${node.pid}${node.here ? ` (${t("nodes.here")})` : ""}`)), "main"],
    [t("nodes.state"), nodeState],
    [t("nodes.version"), (node) => node.version],
    [t("nodes.leases"), (node) => number(node.leases), "number"],
    [t("nodes.connections"), (node) => number(node.connections), "number"],
    [t("nodes.rate"), (node) => number(node.messages_per_minute), "number"],
    [t("nodes.seen"), (node) => h("span", null, time(node.seen_at), h("small.quiet", null, ` ${relative(node.seen_at)}`))],
  ], found));
}

function nodeState(node) {
  if (node.gone) return badge("quiet", "quiet", t("nodes.gone"));
  return node.differs ? badge("bad", "warn", t("nodes.differs")) : badge("good", "check", t("nodes.good"));
}

/** When its mail will have left. */
export function forecast({ waiting, empty_at: at }) {
  if (!waiting) return t("quota.nothing");
  if (!at) return t("quota.stuck", { count: waiting });
  return [t("quota.waiting", { count: waiting }), " ", t("quota.empty"), " ", time(at), ` (${relative(at)}).`];
}
