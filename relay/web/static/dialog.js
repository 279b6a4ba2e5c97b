// Asking before what cannot be taken back, telling what was done, and taking back what can be.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";

const TOAST_MS = 12_000;
const MOST_TOASTS = 3;

/**
 * Asks in a dialog; null where the reader goes back, else the values of `fields` by their name
 * (an empty object without fields).
 */
export function ask({ title, text, action, danger = false, fields = [] }) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog", onsubmit: (event) => finish(event, true) },
      h("h2", { id: "dialog-title" }, title),
      [text].flat().map((line) => h("p", null, line)),
      fields,
      h("p.actions", null,
        h("button", { type: "button", onclick: (event) => finish(event, false) }, t("dialog.back")),
        h(danger ? "button.danger" : "button.primary", { type: "submit" }, action)));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    const opener = document.activeElement;
    dialog.addEventListener("cancel", (event) => finish(event, false));
    document.body.append(dialog);
    dialog.showModal();

    function finish(event, agreed) {
      event.preventDefault();
      const values = agreed ? Object.fromEntries(new FormData(form)) : null;
      dialog.close();
      dialog.remove();
      if (opener?.isConnected) opener.focus();
      resolve(values);
    }
  });
}

/** Says in a corner what was done; `undo` offers to take it back while it stands there. */
export function tell(text, undo = null) {
  const toast = h("div.toast", null, h("p", null, text));
  const gone = () => toast.remove();
  let timer = setTimeout(gone, TOAST_MS);
  if (undo) {
    toast.append(h("button", { type: "button", onclick: () => { gone(); undo(); } }, icon("undo"), t("dialog.undo")));
  }
  toast.append(h("button.plain", { type: "button", onclick: gone, "aria-label": t("dialog.close") }, icon("cross")));
  // Whoever is reading or reaching for it gets the time.
  const stay = () => clearTimeout(timer);
  const leave = () => { stay(); timer = setTimeout(gone, TOAST_MS); };
  toast.addEventListener("pointerenter", stay);
  toast.addEventListener("focusin", stay);
  toast.addEventListener("pointerleave", leave);
  toast.addEventListener("focusout", leave);
  const place = document.getElementById("toasts");
  place.append(toast);
  while (place.children.length > MOST_TOASTS) place.firstElementChild.remove();
}

/** Does something, and says what came of it: `done(answer)` gives {text, undo} or a text. */
export async function act(doing, done) {
  try {
    const answer = await doing();
    const said = done(answer);
    if (typeof said === "string") tell(said);
    else if (said) tell(said.text, said.undo);
    return answer;
  } catch (error) {
    if (error.status === undefined) throw error;
    tell(error.message);
    return null;
  }
}
