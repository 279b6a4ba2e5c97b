// What can be done with a message, and how it is taken back where it can be.

import { get, post } from "./api.js";
import { act, ask } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { field, select } from "./parts.js";

/** Each action: the states it makes sense in, whether it asks first, and what takes it back. */
export const ACTIONS = [
  { name: "retry", states: ["queued"], drawing: "send" },
  { name: "hold", states: ["queued"], drawing: "pause", undo: "release" },
  { name: "release", states: ["held"], drawing: "send", asks: true },
  { name: "reroute", states: ["queued", "held"], drawing: "next", asks: true },
  { name: "delete", states: ["queued", "held"], drawing: "bin", asks: true, danger: true },
];

/** Does `action` with those of `messages` that are in its states; asks first where it must. */
export async function perform(action, messages, after) {
  const able = messages.filter((message) => action.states.includes(message.state));
  const ids = able.map((message) => message.id);
  const count = ids.length;
  const question = {
    title: t(`queue.${action.name}.ask`, { count }),
    text: t(`queue.${action.name}.text`, { count }),
    action: t(`queue.${action.name}`),
    danger: action.danger,
    fields: [],
  };
  if (action.name === "reroute") question.fields = [await smarthosts()];
  const values = action.asks ? await ask(question) : {};
  if (!values) return;
  await act(() => post("/queue/actions", { action: action.name, ids, to: values.to || undefined }), (answer) => {
    const { changed, refused } = answer;
    const undo = action.undo && changed.length > 0 && (() => back(action.undo, changed, after));
    const text = refused.length > 0 ? t("queue.sandbox", { count: refused.length }) : t(`queue.${action.name}.done`, { count: changed.length });
    return { text, undo };
  });
  await after();
}

async function back(undo, ids, after) {
  await act(() => post("/queue/actions", { action: undo, ids }), () => t("queue.undone"));
  await after();
}

async function smarthosts() {
  const { accounts } = await get("/today");
  const names = [...new Set(accounts.flatMap((account) => account.smarthosts))];
  return field(t("queue.reroute.to"), select({ id: "reroute-to", name: "to" }, names.map((name) => [name, name]), names[0]));
}
