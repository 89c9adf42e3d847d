/**
 * A video's status as it changes, by server-sent events. EventSource can't send a token, so the
 * stream is read with fetch. A browser opens six connections to a host: streams take turns, so
 * that a page of many videos still has connections left for everything else.
 */

import { ApiProblem, request } from "./api.js";

/** @typedef {import("./api.js").Status} Status */

const STREAMS_MAX = 3;
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 15000;

let running = 0;
/** @type {(() => void)[]} */
const queue = [];

/**
 * @param {string} state
 * @param {boolean} complete
 * @returns {boolean} true where nothing more will happen by itself
 */
export function isSettled(state, complete) {
  return state === "READY" ? complete : !["UPLOADING", "UPLOADED", "PROCESSING"].includes(state);
}

/**
 * Calls back with each status until the video is settled or the signal aborts. A lost connection
 * is made again, later each time; an answer that refuses us ends it.
 * @param {string} videoId
 * @param {AbortSignal} signal
 * @param {(status: Status) => void} onStatus
 */
export async function followStatus(videoId, signal, onStatus) {
  await turn();
  try {
    let delayMs = RETRY_MS_MIN;
    let settled = false;
    while (!settled && !signal.aborted) {
      try {
        for await (const status of statuses(videoId, signal)) {
          delayMs = RETRY_MS_MIN;
          onStatus(status);
          settled = isSettled(status.state, status.complete);
        }
      } catch (problem) {
        if (signal.aborted) return;
        if (problem instanceof ApiProblem && problem.status < 500 && problem.status !== 429) return;
      }
      if (settled) return;
      await pause(delayMs, signal);
      delayMs = Math.min(delayMs * 2, RETRY_MS_MAX);
    }
  } finally {
    const next = queue.shift();
    if (next) next();
    else running -= 1;
  }
}

/** Waits for one of the places; whoever leaves hands his place on. */
async function turn() {
  if (running < STREAMS_MAX) running += 1;
  else await new Promise((resolve) => queue.push(() => resolve(undefined)));
}

/**
 * @param {string} videoId
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Status>}
 */
async function* statuses(videoId, signal) {
  const response = await request(`/v1/videos/${encodeURIComponent(videoId)}/events`, {
    headers: { Accept: "text/event-stream" },
    signal,
  });
  if (!response.body) return;
  for await (const { event, data } of parseEvents(response.body)) {
    if (event === "status") yield JSON.parse(data);
  }
}

/**
 * Server-sent events of a byte stream: lines of `event:` and `data:`, ended by an empty line. Our
 * own server ends lines with a line feed, one of the three ways that the standard allows.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{event: string, data: string}>}
 */
export async function* parseEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = field(block, "event").join("") || "message";
        const data = field(block, "data").join("\n");
        if (data) yield { event, data };
      }
    }
  } finally {
    await reader.cancel();
  }
}

/**
 * @param {string} block
 * @param {string} name
 * @returns {string[]}
 */
function field(block, name) {
  return block
    .split("\n")
    .filter((line) => line.startsWith(`${name}:`))
    .map((line) => line.slice(name.length + 1).replace(/^ /, ""));
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
