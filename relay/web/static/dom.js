// Elements built by hand: what comes from outside only ever becomes a text node or a property.

/** h("p.note", {id: "x", onclick: f}, "text", child): one element. null and false are left out. */
export function h(selector, attributes, ...children) {
  const [name, ...classes] = selector.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) set(element, key, value);
  add(element, children);
  return element;
}

function set(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "value" || key === "checked") element[key] = value;
  else element.setAttribute(key, value === true ? "" : value);
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Puts `children` in `element`, in place of what was there. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
}

/**
 * Puts new content in `region`, and keeps what the reader was doing there: the focus, open details
 * and the checked boxes of elements that carry the same `data-key`.
 */
export function replace(region, ...children) {
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.dataset.key;
  const open = keys(region, "details[open][data-key]");
  const replacement = document.createDocumentFragment();
  add(replacement, children);
  region.replaceChildren(replacement);
  for (const details of region.querySelectorAll("details[data-key]")) {
    if (open.has(details.dataset.key)) details.open = true;
  }
  if (!focused) return;
  const same = key && [...region.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  const target = same ?? region;
  if (!same) region.tabIndex = -1;
  target.focus({ preventScroll: true });
}

function keys(region, selector) {
  return new Set([...region.querySelectorAll(selector)].map((one) => one.dataset.key));
}

/** Offers text or bytes as a file to keep. */
export function download(name, content, type) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
