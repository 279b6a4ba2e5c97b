// The password, where the relay is reached from other machines.

import { login } from "../api.js";
import { h, replace } from "../dom.js";
import { t } from "../i18n.js";
import { field } from "../parts.js";

export async function open(root, { route, session, signedIn }) {
  if (session.logged_in) return signedIn(route.query.get("to"));
  const password = h("input", { id: "password", name: "password", type: "password", autocomplete: "current-password", required: true });
  const problem = h("p.problem", { role: "alert" });
  const form = h("form.card.narrow", { onsubmit: submit },
    h("p", null, t("login.text")), field(t("login.password"), password), problem,
    h("p.actions", null, h("button.primary", { type: "submit" }, t("login.do"))));
  replace(root, form);
  password.focus();

  async function submit(event) {
    event.preventDefault();
    problem.replaceChildren();
    try {
      await login(password.value);
      await signedIn(route.query.get("to"));
    } catch (error) {
      if (error.status === undefined) throw error;
      problem.replaceChildren(error.message);
      password.select();
    }
  }
}
