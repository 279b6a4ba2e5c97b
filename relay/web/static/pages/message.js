// One message's whole life: how it came, what was changed, each attempt and what the reply meant.

import { get, inLanguage, post } from "../api.js";
import { act, ask } from "../dialog.js";
import { h, replace } from "../dom.js";
import { bytes, exactClock, moment, relative, seconds, t } from "../i18n.js";
import { icon } from "../icons.js";
import { address, badge, button, card, empty, explanation, facts, field, replyText, stateBadge, time, word } from "../parts.js";
import { ACTIONS, perform } from "../queue.js";
import { href } from "../router.js";

export const follows = ["queue", "account"];

const OUTCOMES = { delivered: ["good", "check"], deferred: ["warn", "clock"], held: ["warn", "pause"], failed: ["bad", "cross"] };

export async function open(root, { route, heading }) {
  const region = h("div.stack", null);

  async function refresh() {
    const found = await get(`/queue/${encodeURIComponent(route.id)}`, inLanguage());
    if (found.unknown) return replace(region, empty(t("message.unknown"), t("message.unknown.advice"), back()));
    heading(found.subject || t("message.to", { to: found.recipients[0]?.address ?? "" }));
    replace(region, top(found), cures(found), about(found), life(found));
  }

  function top(message) {
    const able = ACTIONS.filter((action) => action.states.includes(message.state));
    return h("div.bar", null,
      h("p.state", null, stateBadge(message.state), message.waiting_for && h("span", null, word("waiting", message.waiting_for))),
      h("div.actions", null, able.map((action) =>
        button(t(`queue.${action.name}`), () => perform(action, [message], refresh), { drawing: action.drawing, look: action.danger ? "danger" : "" }))));
  }

  /** What would let a message leave that its account may not send as its sender. */
  function cures(message) {
    const found = message.cures ?? [];
    if (!found.length) return null;
    return card(t("message.cure"), found.map((cure) => h("div", null,
      h("p", null, t(`message.cure.${cure.remedy}`, { smarthost: cure.smarthost, sender: cure.sender ?? "–", address: cure.address ?? "–" })),
      cure.remedy !== "release" && h("p.actions", null, button(t("message.cure.do"), () => adopt(cure, message), { look: "primary", drawing: "check" })))));
  }

  async function adopt(cure, message) {
    const address = h("input", { id: "cure-as", name: "as", type: "email", value: cure.address ?? "", required: true });
    const domain = h("input", { id: "cure-domain", name: "domain", type: "checkbox", value: "yes" });
    const values = await ask({
      title: t("message.cure.ask"), text: t("message.cure.text"), action: t("message.cure.do"),
      fields: [field(t("message.cure.as"), address), h("label.choice", null, domain, t("message.cure.domain"))],
    });
    if (!values) return;
    const body = { as: values.as === cure.address ? undefined : values.as, domain: values.domain === "yes" };
    await act(() => post(`/queue/${encodeURIComponent(message.id)}/cure`, body), (answer) =>
      answer.reason ? t("message.cure.not") : t("message.cure.done", { count: answer.released.length }));
    await refresh();
  }

  await refresh();
  replace(root, h("p", null, back()), region);
  return { refresh };
}

const back = () => h("a.back", { href: href("messages") }, t("message.back"));

function about(message) {
  return card(t("message.about"),
    facts([
      [t("messages.from"), message.sender ? address(message.sender) : t("message.nobody")],
      [t("messages.client"), `${message.client}${message.client_address ? ` (${message.client_address})` : ""}`],
      [t("message.received"), time(message.received_at)],
      [t("messages.size"), bytes(message.bytes)],
      message.message_id && [t("message.message_id"), h("span.wrap", null, message.message_id)],
      [t("message.id"), message.id],
    ]),
    h("h3", null, t("message.recipients", { count: message.recipients.length })),
    h("ul.recipients", null, message.recipients.map((recipient) => h("li", null,
      address(recipient.address), stateBadge(recipient.state),
      recipient.origin === "bcc" && h("small.quiet", null, t("message.copy")),
      recipient.smarthost && h("small.quiet", null, t("message.by", { smarthost: recipient.smarthost })),
      replyText(recipient.reply)))));
}

/** From the first moment down to what comes next. */
function life(message) {
  const rewritten = (message.leaves ?? []).filter((each) => each.rewritten);
  return card(t("message.life"), h("ol.life", null,
    step("mail", "accent", message.received_at, t("message.accepted", { client: message.client })),
    message.repairs.map(({ repair, detail }) => step("gear", "quiet", null, [word("repair", repair), detail && h("span.quiet.wrap", null, ` ${detail}`)])),
    rewritten.map((each) => step("gear", "quiet", null, t("message.rewritten", { smarthost: each.smarthost, to: each.sender || t("message.nobody") }))),
    message.attempts.map(attempt),
    ends(message)));
}

function attempt(each) {
  const [tone, drawing] = OUTCOMES[each.outcome] ?? ["busy", "clock"];
  const where = t("message.attempt", { smarthost: each.smarthost });
  return step(drawing, tone, each.at, [
    h("span", null, where), " ", badge(tone, drawing, each.outcome ? word("outcome", each.outcome) : t("message.running")),
    each.in_doubt && badge("warn", "question", t("message.doubt"))],
  h("p.quiet", null, [each.address, each.phase && word("phase", each.phase), each.seconds !== null && seconds(each.seconds)].filter(Boolean).join(" · ")),
  replyText(each.reply), explanation(each.explanation));
}

function ends(message) {
  if (message.state === "queued" && message.next_attempt_at) {
    return step("clock", "busy", message.next_attempt_at, [t("message.next"), " ", relative(message.next_attempt_at)]);
  }
  if (message.state === "queued") return step("clock", "busy", null, word("waiting", message.waiting_for));
  if (message.state === "held") return step("pause", "warn", null, t("message.held"));
  return step(message.state === "delivered" ? "check" : "cross", message.state === "delivered" ? "good" : "bad", null, t(`message.end.${message.state}`));
}

function step(drawing, tone, at, title, ...more) {
  return h(`li.${tone}`, null, h("span.mark", null, icon(drawing)),
    h("div", null, h("p.between", null, h("span.strong", null, title), at && time(at, both)), more));
}

const both = (iso) => (moment(iso).length > 8 ? moment(iso) : exactClock(iso));
