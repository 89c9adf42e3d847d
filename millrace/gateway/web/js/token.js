/**
 * The visitor's token: taken from a link once, kept in this browser, never left in the address
 * bar, where it would be copied along with the page's address.
 */

const KEY = "millrace.token";

/** Moves `?token=` or `#token=` of this page's address into storage. */
export function takeTokenFromAddress() {
  const address = new URL(location.href);
  const fragment = new URLSearchParams(address.hash.slice(1));
  const token = address.searchParams.get("token") ?? fragment.get("token");
  if (token === null) return;
  address.searchParams.delete("token");
  if (fragment.has("token")) address.hash = "";
  history.replaceState(null, "", address);
  keepToken(token);
}

/** @returns {string | null} */
export function token() {
  return localStorage.getItem(KEY);
}

/** @param {string} value */
export function keepToken(value) {
  localStorage.setItem(KEY, value.trim());
}

export function forgetToken() {
  localStorage.removeItem(KEY);
}

/**
 * Whose token it is, read for display alone: only the server can tell whether it is genuine.
 * @param {string} value
 * @returns {{subject: string, expired: boolean} | null} null where it is not a JWT
 */
export function describeToken(value) {
  const body = value.split(".")[1];
  if (!body) return null;
  try {
    const text = atob(body.replaceAll("-", "+").replaceAll("_", "/"));
    const claims = JSON.parse(text);
    const expired = typeof claims.exp === "number" && claims.exp * 1000 < Date.now();
    return { subject: String(claims.sub ?? ""), expired };
  } catch {
    return null;
  }
}
