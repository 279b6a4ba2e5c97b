// The relay's own API, as the signed-in reader. Every refusal is an ApiError with text to show.

import { language, pick, t } from "./i18n.js";

const PREFIX = "/api/v1";
const PATIENCE_MS = 150_000; // a diagnosis may take two minutes

let csrf = null;

export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** Who is looking, and what may be shown; keeps the token that every change needs. */
export async function session() {
  const found = await request("GET", "/session");
  csrf = found.csrf;
  return found;
}

export async function login(password) {
  const found = await request("POST", "/session", { password });
  csrf = found.csrf ?? csrf;
}

export async function logout() {
  await request("DELETE", "/session");
  csrf = null;
}

export const get = (path, query) => patiently("GET", withQuery(path, query));
export const post = (path, body) => patiently("POST", path, body ?? {});
export const remove = (path) => patiently("DELETE", path);

/** The address of a document that the browser itself fetches: a file, a frame, the events. */
export const address = (path, query) => PREFIX + withQuery(path, query);

/** One request; where the session ended with the relay's restart, a new one and once more. */
async function patiently(method, path, body) {
  try {
    return await request(method, path, body);
  } catch (error) {
    if (error.status !== 401 && !(error.status === 403 && method !== "GET")) throw error;
    const before = csrf;
    if (!(await renew()) || (error.status === 403 && csrf === before)) throw error;
    return request(method, path, body);
  }
}

/** A session without a password is given by the front page itself. */
async function renew() {
  await fetch("/", { credentials: "same-origin", cache: "no-store" }).catch(() => null);
  return (await session()).logged_in;
}

async function request(method, path, body) {
  const headers = { Accept: "application/json" };
  if (csrf && method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(PREFIX + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    throw new ApiError(0, t("error.silent"));
  }
  const document = await response.json().catch(() => null);
  if (response.ok && document) return document;
  throw new ApiError(response.status, pick(document?.error) || t("error.status", { status: response.status }));
}

function withQuery(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** The query that asks for explanations in the reader's language. */
export const inLanguage = (query) => ({ ...query, lang: language() });
