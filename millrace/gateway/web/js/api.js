/**
 * The HTTP API as the pages use it: one function an address, problem details as exceptions. It
 * must never touch the page.
 */

import { randomId } from "./ids.js";
import { token } from "./token.js";

/**
 * @typedef {{code: string, text: string}} Failure
 * @typedef {object} Video
 * @property {string} videoId
 * @property {string} [uploadSessionId] lists leave it out, and what only the owner sees
 * @property {string} title
 * @property {string} description
 * @property {"public" | "unlisted" | "private"} visibility
 * @property {string} state UPLOADING UPLOADED PROCESSING READY FAILED BLOCKED DELETED or EXPIRED
 * @property {boolean} complete true once every rung is there
 * @property {string} creatorId
 * @property {Failure | null} error
 * @property {string} blockReason
 * @property {number} sizeBytes
 * @property {number} durationMs 0 until probed
 * @property {number} height 0 until probed
 * @property {string | null} posterUrl
 * @property {number} createdAtMs
 *
 * @typedef {{step: string, state: string, worker: string, attempt: number}} StepStatus
 * @typedef {{rung: string, chunksDone: number, chunksTotal: number | null}} RungStatus
 * @typedef {object} Status
 * @property {string} state
 * @property {boolean} complete
 * @property {Failure | null} error
 * @property {StepStatus[]} steps
 * @property {RungStatus[]} rungs
 * @property {number | null} estimatedCompletionAtMs
 *
 * @typedef {object} Wait
 * @property {string} topology
 * @property {string} step
 * @property {string} waitsFor
 * @property {number} sinceMs
 * @property {string} holder
 * @property {string} next
 * @property {string} deadlineName
 * @property {number} deadlineAtMs
 * @typedef {{event: string, atMs: number}} Happening
 * @typedef {{waiting: Wait[], history: Happening[]}} Explanation
 *
 * @typedef {{number: number, url: string}} PartUrl
 * @typedef {{number: number, sizeBytes: number, etag: string}} StoredPart
 * @typedef {object} UploadSession
 * @property {string} videoId
 * @property {string} uploadSessionId
 * @property {number} sizeBytes
 * @property {number} partSizeBytes
 * @property {number} parts
 * @property {PartUrl[]} partUrls
 * @property {StoredPart[]} stored
 * @property {number | null} nextPart
 *
 * @typedef {object} Playback
 * @property {boolean} complete
 * @property {string} hlsUrl
 * @property {string | null} posterUrl
 *
 * @typedef {object} ClientEvent
 * @property {string} eventId
 * @property {string} videoId
 * @property {string} sessionId
 * @property {string} kind
 * @property {number} positionMs
 * @property {number} watchedMs
 * @property {number} clientAtMs
 */

/** An answer that is not 2xx, in the server's own words. */
export class ApiProblem extends Error {
  /**
   * @param {number} status
   * @param {{code?: string, title?: string, detail?: string, retry?: string,
   *   state?: string}} details
   */
  constructor(status, details) {
    super(details.detail ?? details.title ?? `The server answered ${status}.`);
    this.status = status;
    this.code = details.code ?? "";
    /** Whether the same request may succeed later. */
    this.mayPass = details.retry === "later";
    /** The state that the video is in, where that is what refused us. */
    this.state = details.state ?? "";
  }
}

/** The server did not answer at all: the network, or it is not running. */
export class Unreachable extends Error {
  constructor() {
    super("The server can't be reached. Is it running, and are you online?");
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>} of status 2xx
 */
export async function request(path, init = {}) {
  const headers = new Headers(init.headers);
  const bearer = token();
  if (bearer) headers.set("Authorization", `Bearer ${bearer}`);
  let response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (reason) {
    if (init.signal?.aborted) throw reason;
    throw new Unreachable();
  }
  if (response.ok) return response;
  const isProblem = response.headers.get("Content-Type")?.includes("json") ?? false;
  throw new ApiProblem(response.status, isProblem ? await response.json() : {});
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
async function read(path) {
  return (await request(path)).json();
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>} the answer's body, null where it has none
 */
async function write(method, path, body, headers = {}) {
  const init =
    body === undefined
      ? { method, headers }
      : {
          method,
          headers: { ...headers, "Content-Type": "application/json" },
          body: JSON.stringify(body),
        };
  const text = await (await request(path, init)).text();
  return text ? JSON.parse(text) : null;
}

/** @param {string} id */
const video = (id) => `/v1/videos/${encodeURIComponent(id)}`;
/** @param {string} id */
const upload = (id) => `/v1/uploads/${encodeURIComponent(id)}`;

/**
 * @param {{title: string, description: string, visibility: string, contentType: string,
 *   sizeBytes: number, fileName: string}} body
 * @returns {Promise<UploadSession>}
 */
export const startUpload = (body) =>
  write("POST", "/v1/uploads", body, { "Idempotency-Key": randomId() });

/**
 * @param {string} id
 * @param {number} [afterPart]
 * @returns {Promise<UploadSession>}
 */
export const readUpload = (id, afterPart = 0) => read(`${upload(id)}?afterPart=${afterPart}`);

/**
 * @param {string} id
 * @param {{number: number, etag: string}[]} parts
 */
export const completeUpload = (id, parts) => write("POST", `${upload(id)}/complete`, { parts });

/** @param {string} id */
export const cancelUpload = (id) => write("DELETE", upload(id));

/**
 * @param {string | null} cursor
 * @returns {Promise<{items: Video[], nextCursor: string | null}>}
 */
export const myVideos = (cursor) =>
  read(`/v1/creators/me/videos?limit=20${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);

/** @returns {Promise<{items: Video[]}>} */
export const publicVideos = () => read("/v1/videos?limit=9");

/**
 * @param {string} id
 * @returns {Promise<Video>}
 */
export const readVideo = (id) => read(video(id));

/**
 * @param {string} id
 * @param {{title?: string, description?: string, visibility?: string}} changes
 * @returns {Promise<Video>}
 */
export const editVideo = (id, changes) => write("PATCH", video(id), changes);

/** @param {string} id */
export const deleteVideo = (id) => write("DELETE", video(id));

/** @param {string} id */
export const cancelVideo = (id) => write("POST", `${video(id)}/cancel`);

/** @param {string} id */
export const retryVideo = (id) => write("POST", `${video(id)}/retry`);

/**
 * @param {string} id
 * @returns {Promise<Explanation>}
 */
export const explainVideo = (id) => read(`${video(id)}/explain`);

/**
 * @param {string} id
 * @returns {Promise<Playback>}
 */
export const readPlayback = (id) => read(`${video(id)}/playback`);

/**
 * @param {string} id
 * @returns {Promise<{counted: number}>}
 */
export const readViews = (id) => read(`${video(id)}/views`);

/**
 * @param {string} id
 * @returns {Promise<{name: string, avatarUrl: string}>}
 */
export const readCreator = (id) => read(`/v1/creators/${encodeURIComponent(id)}`);

/**
 * Sends playback events; `keepalive` lets the request outlive a page that is being left.
 * @param {ClientEvent[]} events
 */
export const sendPlaybackEvents = (events) =>
  request("/v1/playback-events", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ events }),
    keepalive: true,
  });
