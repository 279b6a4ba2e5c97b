// Who sends mail, who was refused, and the window in which new devices are let in.

import { get, post, remove } from "../api.js";
import { act, ask, tell } from "../dialog.js";
import { h, replace } from "../dom.js";
import { bytes, number, pick, relative, t } from "../i18n.js";
import { badge, button, card, empty, field, replyText, table, time } from "../parts.js";

export const follows = ["device", "queue"];

const WINDOW_MINUTES = 30;

export async function open(root) {
  const region = h("div.stack", null);

  async function refresh() {
    const found = await get("/devices");
    replace(region, refused(found.refused), clients(found.devices), learning(found.learning_until));
  }

  function refused(devices) {
    if (!devices.length) return null;
    return card(t("devices.refused"), h("p", null, t("devices.refused.text")),
      table(t("devices.refused"), [
        [t("devices.address"), (device) => h("strong", null, device.address)],
        [t("devices.tries"), (device) => number(device.count), "number"],
        [t("devices.last_try"), (device) => h("span", null, time(device.last_at), h("small.quiet", null, ` ${relative(device.last_at)}`))],
        [t("devices.reply"), (device) => replyText({ text: pick(device.last_reply) })],
        [t("devices.do"), (device) => button(t("devices.allow"), () => allow(device), { look: "primary", key: `allow ${device.address}`, "aria-label": t("devices.allow.one", { address: device.address }) }), "do"],
      ], devices));
  }

  async function allow(device) {
    const name = h("input", { id: "device-name", name: "name", value: device.address, maxlength: 64, required: true, autocomplete: "off" });
    const values = await ask({
      title: t("devices.allow.ask", { address: device.address }), text: t("devices.allow.text"),
      action: t("devices.allow"), fields: [field(t("devices.name"), name, t("devices.name.help"))],
    });
    if (!values) return;
    await act(() => post("/clients", { address: device.address, name: values.name.trim() }), (answer) => ({
      text: answer.released.length ? t("devices.allowed.released", { name: answer.name, count: answer.released.length }) : t("devices.allowed", { name: answer.name }),
      undo: answer.adopted ? () => forget(device.address) : null,
    }));
    await refresh();
  }

  async function forget(address) {
    await act(() => remove(`/clients/${encodeURIComponent(address)}`), () => t("queue.undone"));
    await refresh();
  }

  function clients(devices) {
    const none = empty(t("devices.none"), t("devices.none.advice"));
    return card(t("devices.known"), devices.length ? table(t("devices.known"), [
      [t("devices.name"), (device) => h("span", null, h("strong", null, device.name), h("small.quiet.wrap", null, [...device.networks, ...device.addresses].join(", "))), "main"],
      [t("devices.state"), state],
      [t("devices.last_mail"), (device) => (device.last_mail_at ? h("span", null, time(device.last_mail_at)) : t("devices.never"))],
      [t("devices.day"), (device) => number(device.messages_24h), "number"],
      [t("devices.month"), (device) => h("span", null, number(device.messages_30d), h("small.quiet", null, bytes(device.bytes_30d))), "number"],
      [t("devices.tls"), (device) => (device.tls === null ? "–" : t(device.tls ? "yes" : "no"))],
      [t("devices.do"), (device) => (device.source === "adopted" ? button(t("devices.remove"), () => take(device), { key: `remove ${device.name}`, "aria-label": t("devices.remove.one", { name: device.name }) }) : h("small.quiet", null, t(`devices.source.${device.source}`))), "do"],
    ], devices) : none);
  }

  function state(device) {
    if (device.errors_24h > 0) return badge("warn", "warn", t("devices.errors", { count: device.errors_24h }));
    if (device.silent_alarm) return badge("warn", "clock", t("devices.silent", { count: device.silent_days }));
    if (!device.last_mail_at) return badge("quiet", "quiet", t("devices.never"));
    return badge("good", "check", t("devices.good"));
  }

  async function take(device) {
    const values = await ask({ title: t("devices.remove.ask", { name: device.name }), text: t("devices.remove.text"), action: t("devices.remove"), danger: true });
    if (!values) return;
    const each = (change) => Promise.all(device.addresses.map(change));
    await act(() => each((address) => remove(`/clients/${encodeURIComponent(address)}`)), () => ({
      text: t("devices.removed", { name: device.name }),
      undo: async () => {
        await act(() => each((address) => post("/clients", { address, name: device.name })), () => t("queue.undone"));
        await refresh();
      },
    }));
    await refresh();
  }

  function learning(until) {
    return card(t("devices.learning"),
      h("p", null, until ? t("devices.learning.open") : t("devices.learning.text", { minutes: WINDOW_MINUTES })),
      until && h("p.strong", { role: "status" }, t("devices.learning.until"), " ", time(until), ` (${relative(until)})`),
      h("p.actions", null, until ? button(t("devices.learning.close"), () => learn(0)) : button(t("devices.learning.start", { minutes: WINDOW_MINUTES }), () => learn(WINDOW_MINUTES))));
  }

  async function learn(minutes) {
    await act(() => post("/clients/learn", { minutes }), () => ({
      text: minutes ? t("devices.learning.opened") : t("devices.learning.closed"),
      undo: minutes ? async () => { await post("/clients/learn", { minutes: 0 }); tell(t("queue.undone")); await refresh(); } : null,
    }));
    await refresh();
  }

  await refresh();
  replace(root, region);
  return { refresh };
}
