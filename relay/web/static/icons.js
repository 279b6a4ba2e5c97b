// Small drawings beside words; they say nothing that the word does not.

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  check: "M5 12.5l4.5 4.5L19 7.5",
  clock: "M12 3.5a8.5 8.5 0 100 17 8.5 8.5 0 000-17zM12 7.5V12l3 2",
  warn: "M12 4L2.8 19.5h18.4L12 4zM12 10v4.5M12 17v.4",
  cross: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  pause: "M9 6v12M15 6v12",
  bin: "M5 7h14M9.5 7V4.5h5V7M7 7l1 13h8l1-13",
  quiet: "M6 12h12",
  question: "M9 9.2a3 3 0 114.6 2.6c-1 .7-1.6 1.3-1.6 2.5M12 17.6v.4",
  today: "M4 11l8-7 8 7v9h-5.5v-6h-5v6H4z",
  mail: "M3.5 6h17v12.5h-17zM3.5 6.5l8.5 7 8.5-7",
  device: "M6 9V4h12v5M4 9h16v8h-3M7 17H4V9M7 14h10v6.5H7z",
  account: "M12 4a4 4 0 110 8 4 4 0 010-8zM4.5 20.5c.6-4 3.6-6 7.5-6s6.9 2 7.5 6",
  pulse: "M3 12.5h4l2.5-7 4.5 13 2.5-6h4.5",
  send: "M3.5 11.5L20.5 4l-5.5 16.5-3.5-7zM11.5 13.5L20.5 4",
  gear: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  tray: "M3.5 13l3-8.5h11l3 8.5v6.5h-17zM3.5 13.5H8.5l1 2.5h5l1-2.5h5",
  menu: "M4 7h16M4 12h16M4 17h16",
  next: "M9 5.5l6.5 6.5L9 18.5",
  file: "M6 3.5h8l4.5 4.5v12.5H6zM14 3.5V8h4.5",
  undo: "M8.5 5L4 9.5 8.5 14M4.5 9.5H14a5 5 0 010 10h-4",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name] ?? PATHS.quiet);
  svg.append(path);
  return svg;
}
