// An address that is no page of this relay.

import { h, replace } from "../dom.js";
import { t } from "../i18n.js";
import { empty } from "../parts.js";
import { href } from "../router.js";

export async function open(root) {
  replace(root, empty(t("missing.text"), null, h("a.button", { href: href("today") }, t("missing.home"))));
}
