// The reader's language: texts from a catalogue, numbers and dates by Intl.

const LANGUAGES = ["nl", "en"];
const REMEMBERED = "language";

let chosen = "en";
let texts = {};
let format = {};

export const language = () => chosen;

/** The language that the reader chose before, else the relay's own. */
export function preferred(fallback) {
  const kept = localStorage.getItem(REMEMBERED);
  return LANGUAGES.includes(kept) ? kept : LANGUAGES.includes(fallback) ? fallback : "en";
}

export async function use(name, remember = false) {
  texts = await (await fetch(new URL(`texts.${name}.json`, import.meta.url))).json();
  chosen = name;
  if (remember) localStorage.setItem(REMEMBERED, name);
  document.documentElement.lang = name;
  const locale = name === "nl" ? "nl-NL" : "en-GB";
  format = {
    number: new Intl.NumberFormat(locale),
    plural: new Intl.PluralRules(locale),
    relative: new Intl.RelativeTimeFormat(locale, { numeric: "auto" }),
    full: new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" }),
    short: new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
    clock: new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }),
    second: new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
    day: new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" }),
    date: new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", year: "numeric" }),
    unit: (unit, digits, unitDisplay = "long") => new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay, maximumFractionDigits: digits }),
  };
}

/** The text `key` with {name} filled in; with a `count`, its form for that many (.one, .other). */
export function t(key, values = {}) {
  const full = "count" in values ? `${key}.${format.plural.select(values.count)}` : key;
  const text = texts[full] ?? texts[`${key}.other`] ?? texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : String(value);
  });
}

/** Whether the catalogue has this text: slugs of the relay may be newer than the page. */
export const known = (key) => key in texts;

/** A text that the relay gives in both languages, or in one. */
export const pick = (text) => (typeof text === "string" ? text : (text?.[chosen] ?? text?.en ?? ""));

export const number = (value) => format.number.format(value);

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(3, value < 1000 ? 0 : Math.floor(Math.log10(value) / 3));
  return format.unit(units[step], step > 1 ? 1 : 0, step ? "short" : "long").format(value / 1000 ** step);
}

export const seconds = (value) => format.unit("second", value < 10 ? 1 : 0).format(value);

/** A moment, the shorter the nearer: the clock today, the day and the clock before. */
export function moment(iso) {
  const at = new Date(iso);
  return (at.toDateString() === new Date().toDateString() ? format.clock : format.short).format(at);
}

export const fullMoment = (iso) => format.full.format(new Date(iso));
export const clock = (iso) => format.clock.format(new Date(iso));
export const exactClock = (iso) => format.second.format(new Date(iso));
export const day = (iso) => format.day.format(new Date(iso));
export const date = (iso) => format.date.format(new Date(iso));

/** "in 5 minutes", "3 days ago". */
export function relative(iso, now = Date.now()) {
  const away = (new Date(iso).getTime() - now) / 1000;
  for (const [unit, size] of [["day", 86_400], ["hour", 3_600], ["minute", 60]]) {
    if (Math.abs(away) >= size) return format.relative.format(Math.round(away / size), unit);
  }
  return format.relative.format(Math.round(away), "second");
}
