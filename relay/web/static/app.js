// The page's frame: who is looking, the navigation, and the one page that is open.

import { logout, session } from "./api.js";
import { fill, h, replace } from "./dom.js";
import { language, preferred, t, use } from "./i18n.js";
import { icon } from "./icons.js";
import { follow } from "./live.js";
import { button, failure, waiting } from "./parts.js";
import { go, href, onRoute, route } from "./router.js";
import * as accounts from "./pages/accounts.js";
import * as devices from "./pages/devices.js";
import * as diagnose from "./pages/diagnose.js";
import * as inbox from "./pages/inbox.js";
import * as login from "./pages/login.js";
import * as message from "./pages/message.js";
import * as messages from "./pages/messages.js";
import * as missing from "./pages/missing.js";
import * as settings from "./pages/settings.js";
import * as test from "./pages/test.js";
import * as today from "./pages/today.js";

const PAGES = { accounts, devices, diagnose, inbox, login, message, messages, missing, settings, test, today };

// What stands in the navigation, with its drawing.
const ENTRIES = [
  ["today", "today"],
  ["messages", "mail"],
  ["devices", "device"],
  ["accounts", "account"],
  ["diagnose", "pulse"],
  ["test", "send"],
  ["inbox", "tray"],
  ["settings", "gear"],
];
const LANGUAGES = { nl: "Nederlands", en: "English" };
const REFRESH_WAIT_MS = 250;
const REFRESH_MS = 60_000; // "5 minutes ago" grows old by itself

let who = null;
let open = null; // {page, refresh, close} of the page that shows
let turn = 0; // counts the pages opened: what comes late for an earlier one is dropped
let unfollow = null;
let live = true;

async function start() {
  await use(preferred(navigator.language.slice(0, 2)));
  try {
    who = await session();
  } catch (error) {
    document.body.replaceChildren(h("main", null, failure(error, () => location.reload())));
    return;
  }
  await use(preferred(who.language));
  frame();
  onRoute(show);
  setInterval(() => document.hidden || refresh(), REFRESH_MS);
  show(route(), { first: true });
}

function frame() {
  fill(document.body,
    h("a.skip", { href: "#main", onclick: skip }, t("frame.skip")),
    h("header", null, h("div.rail", null,
      h("a.brand", { href: href("today") }, icon("mail"), h("span", null, t("frame.name"), h("small", null, who.hostname))),
      h("button.menu", { type: "button", "aria-expanded": "false", "aria-controls": "nav", onclick: (event) => toggleMenu(event.currentTarget) }, icon("menu"), t("frame.menu")),
      h("div", { id: "nav" },
        h("nav", { "aria-label": t("frame.pages") }, h("ul", null, entries().map(entry))),
        h("div.tools", null, liveMark(), languages(), who.logged_in && who.needs_password && button(t("frame.logout"), leave, { look: "plain" }))))),
    who.sandbox && h("p.banner", null, icon("tray"), h("span", null, t("frame.sandbox"), " ", h("a", { href: href("inbox") }, t("frame.sandbox.look")))),
    h("main", { id: "main", tabindex: "-1" }),
    h("footer", null, t("frame.version", { version: who.version })),
    h("div", { id: "toasts", role: "status", "aria-live": "polite" }));
}

const entries = () => (who.logged_in ? ENTRIES.filter(([page]) => page !== "inbox" || who.sandbox || who.show_bodies) : []);

const entry = ([page, drawing]) => h("li", null, h("a", { href: href(page), "data-page": page }, icon(drawing), t(`${page}.title`)));

function liveMark() {
  const words = live ? "frame.live" : "frame.lost";
  return h(`span.live${live ? "" : ".lost"}`, { id: "live", role: "status", hidden: !who.logged_in }, h("span.dot", null), t(words));
}

const languages = () =>
  h("div.languages", { role: "group", "aria-label": t("frame.language") }, Object.entries(LANGUAGES).map(([name, label]) =>
    h("button.plain", { type: "button", lang: name, "aria-pressed": String(name === language()), onclick: () => speak(name) }, label)));

async function speak(name) {
  await use(name, true);
  frame();
  await show(route(), { first: true });
  document.querySelector(`.languages [lang=${name}]`).focus();
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function toggleMenu(menu) {
  const opens = menu.getAttribute("aria-expanded") !== "true";
  menu.setAttribute("aria-expanded", String(opens));
}

async function leave() {
  await logout();
  who = await session();
  unfollow?.();
  unfollow = null;
  frame();
  go("login");
}

/** Opens the page of a route; `first` leaves the focus where it is. */
async function show(to, { first = false } = {}) {
  const mine = ++turn;
  open?.close?.();
  open = null;
  if (!who.logged_in && to.page !== "login") return go("login", null, { to: location.hash });
  const page = to.page === "messages" && to.id ? "message" : Object.hasOwn(PAGES, to.page) ? to.page : "missing";
  const heading = h("h1", { tabindex: "-1" }, t(`${page}.title`));
  const root = h("div.page", null, waiting());
  const main = document.getElementById("main");
  main.replaceChildren(heading, root);
  mark(to.page);
  document.title = `${t(`${page}.title`)} · ${t("frame.name")}`;
  document.querySelector("button.menu").setAttribute("aria-expanded", "false");
  scrollTo(0, 0);
  if (!first) heading.focus();
  try {
    const opened = await PAGES[page].open(root, { route: to, session: who, heading: (text) => heading.replaceChildren(text), signedIn });
    if (mine !== turn) return opened?.close?.();
    open = { follows: PAGES[page].follows ?? [], ...opened };
  } catch (error) {
    if (mine !== turn) return;
    await trouble(error, root, to);
  }
  if (who.logged_in) unfollow ??= follow(changed, connected, stillIn);
}

async function trouble(error, root, to) {
  if (error.status === undefined) console.error(error);
  if (error.status === 401) {
    who = await session().catch(() => ({ ...who, logged_in: false }));
    if (!who.logged_in) {
      frame();
      return go("login", null, { to: location.hash });
    }
  }
  replace(root, failure(error.status === undefined ? new Error(t("error.page")) : error, () => show(to)));
}

async function signedIn(to) {
  who = await session();
  await use(preferred(who.language));
  frame();
  location.replace(to?.startsWith("#/") ? to : href("today"));
}

function mark(page) {
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// What changes while a page is open.

let due = null;
let busy = false;

function changed(kind) {
  if (!open?.follows.includes(kind)) return;
  due ??= setTimeout(refresh, REFRESH_WAIT_MS);
}

async function refresh() {
  clearTimeout(due);
  due = null;
  const page = open;
  if (!page?.refresh) return;
  if (busy) {
    due = setTimeout(refresh, REFRESH_WAIT_MS);
    return;
  }
  busy = true;
  try {
    await page.refresh();
  } catch (error) {
    if (error.status === undefined) throw error;
    connected(false); // what stands there is old, and says so
  } finally {
    busy = false;
  }
}

/** After a restart of the relay a new session is needed; without a password it is given at once. */
async function stillIn() {
  const before = who;
  who = await session().catch(() => who);
  if (who.version !== before.version) location.reload();
  if (who.logged_in) return true;
  unfollow = null;
  frame();
  go("login", null, { to: location.hash });
  return false;
}

function connected(now) {
  if (now === live) return;
  live = now;
  document.getElementById("live")?.replaceWith(liveMark());
}

start();
