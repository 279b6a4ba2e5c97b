// What a program handed in, as a reader would see it: the sandbox's captured mail.

import { address, get } from "../api.js";
import { h, replace } from "../dom.js";
import { bytes, pick, t } from "../i18n.js";
import { icon } from "../icons.js";
import { card, empty, facts, time } from "../parts.js";
import { href } from "../router.js";

export const follows = ["queue"];

const SHOWN = ["From", "To", "Cc", "Reply-To", "Subject", "Date"];

export async function open(root, { route }) {
  return route.id ? message(root, route.id) : messages(root);
}

async function messages(root) {
  const region = h("div", null);

  async function refresh() {
    const found = await get("/inbox", { limit: 50 });
    replace(region, found.messages.length ? h("ul.inbox", null, found.messages.map(entry)) : empty(t("inbox.none"), t("inbox.none.advice")));
  }

  await refresh();
  replace(root, h("p", null, t("inbox.text")), h("section.card.flush", { "aria-label": t("inbox.title") }, region));
  return { refresh };
}

const entry = (each) => h("li", null, h("a", { href: href("inbox", each.id), "data-key": each.id },
  h("span.between", null, h("span.strong", null, each.subject || t("inbox.no_subject")), time(each.received_at)),
  h("span.quiet.wrap", null, t("inbox.line", { from: each.sender || t("message.nobody"), to: (each.recipients ?? []).join(", ") })),
  h("small.quiet", null, [each.client, each.size !== undefined && bytes(each.size)].filter(Boolean).join(" · "))));

async function message(root, id) {
  const found = await get(`/inbox/${encodeURIComponent(id)}`);
  const part = (tail) => address(`/inbox/${encodeURIComponent(id)}/${tail}`);
  const short = found.headers.filter(([name]) => SHOWN.some((one) => one.toLowerCase() === name.toLowerCase()));
  replace(root,
    h("p", null, h("a.back", { href: href("inbox") }, t("inbox.back"))),
    card(t("inbox.headers"), facts(short.map(([name, value]) => [name, h("span.wrap", null, value)])),
      h("details", null, h("summary", null, t("inbox.headers.all")),
        h("dl.facts.raw", null, found.headers.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))))),
    found.problem && h("p.note.warn", null, pick(found.problem)),
    found.attachments.length > 0 && card(t("inbox.attachments"), h("ul.files", null, found.attachments.map((file) =>
      h("li", null, icon("file"), h("a", { href: part(`attachment/${file.index}`), download: file.filename || "" }, file.filename || t("inbox.no_name")),
        h("span.quiet", null, `${file.type} · ${bytes(file.size)}`))))),
    found.has_html && card(t("inbox.html"), h("p.quiet", null, t("inbox.html.text")),
      h("iframe", { src: part("html"), sandbox: "", title: t("inbox.html"), referrerpolicy: "no-referrer" })),
    found.text !== null && card(t("inbox.plain"), h("pre.mail", { tabindex: 0, "aria-label": t("inbox.plain") }, found.text)),
    h("p", null, h("a", { href: href("messages", id) }, t("inbox.life"))));
}
