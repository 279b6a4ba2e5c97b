// "Sturen testbericht": a message of the relay's own, followed until it has left.

import { get, inLanguage, post } from "../api.js";
import { h, replace } from "../dom.js";
import { seconds, t } from "../i18n.js";
import { card, explanation, field, replyText, stateBadge, word } from "../parts.js";
import { href } from "../router.js";

export const follows = ["queue"];

export async function open(root) {
  const to = h("input", { id: "to", type: "email", autocomplete: "email", required: true });
  const from = h("input", { id: "from", type: "email", autocomplete: "off" });
  const problem = h("p.problem", { role: "alert" });
  const result = h("div", { "aria-live": "polite" });
  let id = null;

  const form = h("form", { onsubmit: send },
    h("div.search", null, field(t("test.to"), to, t("test.to.help")), field(t("test.from"), from, t("test.from.help"))), problem,
    h("p.actions", null, h("button.primary", { type: "submit" }, t("test.do"))));

  async function send(event) {
    event.preventDefault();
    problem.replaceChildren();
    try {
      ({ id } = await post("/test-message", { to: to.value.trim(), from: from.value.trim() || undefined, lang: inLanguage().lang }));
      await refresh();
    } catch (error) {
      if (error.status === undefined) throw error;
      problem.replaceChildren(error.message);
    }
  }

  async function refresh() {
    if (!id) return;
    const found = await get(`/queue/${encodeURIComponent(id)}`, inLanguage());
    if (!found.unknown) replace(result, follow(found));
  }

  replace(root, card(null, h("p", null, t("test.text")), form), result);
  return { refresh };
}

function follow(message) {
  const last = message.attempts.at(-1);
  return card(t("test.result"),
    h("p.state", null, stateBadge(message.state), message.waiting_for && h("span", null, word("waiting", message.waiting_for))),
    h("p", null, t(`test.state.${message.state}`, { to: message.recipients[0].address })),
    last && h("p.quiet", null, t("message.attempt", { smarthost: last.smarthost }), last.seconds !== null ? ` · ${seconds(last.seconds)}` : ""),
    last && replyText(last.reply), last && explanation(last.explanation),
    h("p.actions", null, h("a.button", { href: href("messages", message.id), "data-key": "life" }, t("test.life"))));
}
