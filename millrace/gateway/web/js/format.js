/** Numbers as people read them, in the browser's language. Pure but for the clock it is given. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/**
 * @param {number} bytes
 * @returns {string} such as "12.4 MB"
 */
export function formatBytes(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 100 ? 1 : 0;
  return `${value.toLocaleString(undefined, { maximumFractionDigits: digits })} ${UNITS[unit]}`;
}

/**
 * @param {number} ms
 * @returns {string} a video's length, such as "1:05:09" or "0:30"
 */
export function formatLength(ms) {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  if (seconds >= 3600) parts.unshift(Math.floor(seconds / 3600));
  return parts.map((part, n) => (n ? String(part).padStart(2, "0") : String(part))).join(":");
}

/**
 * @param {number} ms
 * @returns {string} a time span in words, such as "40 seconds" or "3 minutes"
 */
export function formatSpan(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return plural(seconds, "second");
  if (seconds < 90 * 60) return plural(Math.round(seconds / 60), "minute");
  if (seconds < 36 * 3600) return plural(Math.round(seconds / 3600), "hour");
  return plural(Math.round(seconds / 86400), "day");
}

/**
 * @param {number} ms
 * @returns {string}
 */
export function formatAgo(ms) {
  return ms < 2000 ? "just now" : `${formatSpan(ms)} ago`;
}

/**
 * @param {number} count
 * @param {string} noun
 * @returns {string}
 */
export function plural(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * @param {number} atMs
 * @returns {string}
 */
export function formatDate(atMs) {
  return new Date(atMs).toLocaleDateString(undefined, {
    year: "numeric",
    month: "short",
    day: "numeric",
  });
}

/**
 * @param {number} atMs
 * @returns {string}
 */
export function formatClock(atMs) {
  return new Date(atMs).toLocaleTimeString();
}
