// All mail, the newest first: search it, and act on what is chosen.

import { get } from "../api.js";
import { h, replace } from "../dom.js";
import { bytes, t } from "../i18n.js";
import { ACTIONS, perform } from "../queue.js";
import { address, button, empty, field, select, stateBadge, table, time, word } from "../parts.js";
import { amend, href } from "../router.js";

export const follows = ["queue"];

const STATES = ["queued", "held", "delivered", "failed", "deleted"];
const FIELDS = ["q", "state", "recipient", "sender", "client"];
const TYPING_MS = 300;
const PAGE = 50;

export async function open(root, { route }) {
  const wanted = Object.fromEntries(FIELDS.map((name) => [name, route.query.get(name) ?? ""]));
  const chosen = new Set();
  const region = h("div", { "aria-live": "off" });
  const bar = h("div.bulk", { hidden: true, role: "group", "aria-label": t("messages.chosen") });
  let pages = 1; // how many pages of 50 the reader asked for
  let timer = null;
  let rows = [];

  async function refresh() {
    const found = { messages: [], next: null };
    for (let page = 0; page < pages; page++) {
      const part = await get("/messages", { ...wanted, before: found.next, limit: PAGE });
      found.messages.push(...part.messages);
      found.next = part.next;
      if (!part.next) break;
    }
    rows = found.messages;
    const there = new Set(rows.map((message) => message.id));
    [...chosen].filter((id) => !there.has(id)).forEach((id) => chosen.delete(id));
    draw(found.next);
  }

  function draw(next) {
    const searched = FIELDS.some((name) => wanted[name]);
    replace(region,
      rows.length ? table(t("messages.title"), columns(), rows)
        : searched ? empty(t("messages.nothing"), t("messages.nothing.advice"), button(t("messages.all"), clear))
          : empty(t("messages.none"), t("messages.none.advice"), h("a.button", { href: href("test") }, t("test.title"))),
      next && h("p.more", null, button(t("messages.older"), () => { pages += 1; refresh(); })));
    drawBar();
  }

  const columns = () => [
    [everyBox(), (message) => h("input", { type: "checkbox", checked: chosen.has(message.id), "data-key": `box ${message.id}`,
      "aria-label": t("messages.choose", { to: message.recipients[0] ?? "" }), onchange: (event) => choose(message.id, event.target.checked) }), "box"],
    [t("messages.when"), (message) => time(message.received_at), "when"],
    [t("messages.to"), (message) => h("a.main", { href: href("messages", message.id), "data-key": message.id },
      h("span", null, to(message)), message.subject && h("span.quiet.subject", null, message.subject))],
    [t("messages.from"), (message) => h("span", null, message.sender ? address(message.sender) : h("span.wrap", null, t("message.nobody")), h("small.quiet", null, message.client)), "from"],
    [t("messages.state"), (message) => h("span.state", null, stateBadge(message.state),
      message.state === "queued" && message.waiting_for && h("small.quiet", null, word("waiting", message.waiting_for)),
      message.state === "held" && message.waiting_for && message.waiting_for !== "hold" && h("small.quiet", null, word("waiting", message.waiting_for)))],
    [t("messages.size"), (message) => bytes(message.size), "number"],
  ];

  function everyBox() {
    const every = rows.length > 0 && rows.every((message) => chosen.has(message.id));
    return h("input", { type: "checkbox", checked: every, "data-key": "box all", "aria-label": t("messages.choose.all"), onchange: (event) => {
      rows.forEach((message) => (event.target.checked ? chosen.add(message.id) : chosen.delete(message.id)));
      refresh();
    } });
  }

  function choose(id, yes) {
    if (yes) chosen.add(id);
    else chosen.delete(id);
    drawBar();
  }

  function drawBar() {
    const selected = rows.filter((message) => chosen.has(message.id));
    bar.hidden = selected.length === 0;
    const able = ACTIONS.filter((action) => selected.some((message) => action.states.includes(message.state)));
    replace(bar, h("span.strong", { role: "status" }, t("messages.count", { count: selected.length })),
      able.map((action) => button(t(`queue.${action.name}`), () => perform(action, selected, refresh), { drawing: action.drawing, look: action.danger ? "danger" : "" })));
  }

  function search(name, value, wait) {
    wanted[name] = value;
    pages = 1;
    clearTimeout(timer);
    timer = setTimeout(() => { amend("messages", null, wanted); refresh(); }, wait);
  }

  function clear() {
    for (const control of form.querySelectorAll("input, select")) control.value = "";
    FIELDS.forEach((name) => { wanted[name] = ""; });
    search("q", "", 0);
    form.querySelector("input").focus();
  }

  const input = (name, type = "text") => field(t(`messages.${name}`), h("input", { id: `search-${name}`, type, value: wanted[name], autocomplete: "off",
    oninput: (event) => search(name, event.target.value.trim(), TYPING_MS) }));
  const states = [["", t("messages.any")], ...STATES.map((state) => [state, word("state", state)])];
  const form = h("form.search", { role: "search", onsubmit: (event) => event.preventDefault() },
    input("q", "search"),
    field(t("messages.state"), select({ id: "search-state", onchange: (event) => search("state", event.target.value, 0) }, states, wanted.state)),
    h("details", { open: Boolean(wanted.recipient || wanted.sender || wanted.client) },
      h("summary", null, t("messages.more")),
      h("div.search", null, input("recipient"), input("sender"), input("client"))));

  await refresh();
  replace(root, form, bar, h("section.card.flush", { "aria-label": t("messages.title") }, region));
  return { refresh, close: () => clearTimeout(timer) };
}

function to({ recipients, recipients_count: count }) {
  const more = count - recipients.length;
  const named = recipients.flatMap((each, at) => (at ? [", ", address(each)] : [address(each)]));
  return more > 0 ? [...named, t("messages.to.more", { more })] : named;
}
