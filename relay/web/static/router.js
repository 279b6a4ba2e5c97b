// Pages by the part behind the #: "#/messages/ID?state=held" is page "messages" with an id.

/** {page, id, query} of the address as it is now. */
export function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/");
  return {
    page: page || "today",
    id: rest.length ? decodeURIComponent(rest.join("/")) : null,
    query: new URLSearchParams(query),
  };
}

export function href(page, id = null, query = null) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value);
  const tail = given.length ? `?${new URLSearchParams(given)}` : "";
  return `#/${page}${id === null ? "" : `/${encodeURIComponent(id)}`}${tail}`;
}

export function go(page, id = null, query = null) {
  location.hash = href(page, id, query);
}

/** Keeps the address in step with a search, without a new page in the history. */
export function amend(page, id, query) {
  history.replaceState(null, "", href(page, id, query));
}

export function onRoute(listener) {
  addEventListener("hashchange", () => {
    if (location.hash === "" || location.hash.startsWith("#/")) listener(route());
  });
}
