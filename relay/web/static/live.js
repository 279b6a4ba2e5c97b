// What changes in the relay, as it happens: server-sent events, and a new try when they end.

import { address } from "./api.js";

const KINDS = ["queue", "device", "account", "health"];
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

/**
 * Follows the events. `onChange(kind)` for each, `onState(live)` when the line comes and goes; each
 * time it comes every kind is told, as anything may have changed before. `again` is awaited before a
 * new try, and false ends it. Returns what ends it.
 */
export function follow(onChange, onState, again) {
  let source = null;
  let timer = null;
  let wait = FIRST_WAIT_MS;

  function open() {
    source = new EventSource(address("/events"));
    source.addEventListener("open", () => {
      wait = FIRST_WAIT_MS;
      onState(true);
      KINDS.forEach(onChange);
    });
    source.addEventListener("error", () => {
      // The browser itself tries again after a lost line, but not after a refusal.
      source.close();
      onState(false);
      timer = setTimeout(retry, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    });
    for (const kind of KINDS) source.addEventListener(kind, () => onChange(kind));
  }

  async function retry() {
    if (await again()) open();
  }

  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
