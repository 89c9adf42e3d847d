/**
 * Random ids made in the page. `crypto.randomUUID` exists on https and localhost alone, and
 * Millrace may be opened by a plain address in a home network.
 */

/** @returns {string} 128 random bits as 32 hex digits */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
