/** What stands in the player's place while there is nothing to play, and why. */

import { byId, setText } from "./page.js";

/**
 * @param {string} title
 * @param {string} [text]
 * @param {{isWorking?: boolean, asksForToken?: boolean}} [show]
 */
export function drawCurtain(title, text = "", { isWorking = false, asksForToken = false } = {}) {
  byId("curtain", HTMLElement).hidden = false;
  setText(byId("curtain-title", HTMLElement), title);
  setText(byId("curtain-text", HTMLElement), text);
  byId("curtain-bar", HTMLElement).hidden = !isWorking;
  byId("curtain-token", HTMLElement).hidden = !asksForToken;
}

export function liftCurtain() {
  byId("curtain", HTMLElement).hidden = true;
}

/** @type {Record<string, string>} */
const WAITING = {
  UPLOADING: "The file is still being uploaded.",
  UPLOADED: "The file has arrived; encoding begins in a moment.",
  PROCESSING: "The first part is being encoded. It starts by itself as soon as it can be watched.",
};

/**
 * @param {import("./api.js").ApiProblem} problem of asking for the playback
 * @param {string} state the video's, empty where it is not known
 * @param {boolean} isSignedIn
 */
export function explainProblem(problem, state, isSignedIn) {
  if (problem.status === 409 && WAITING[state]) {
    drawCurtain("Almost there", WAITING[state], { isWorking: true });
    return;
  }
  const asksForToken = problem.status === 401 || (problem.status === 403 && !isSignedIn);
  drawCurtain(TITLES[problem.status] ?? "It can't be played", problem.message, { asksForToken });
}

/** @type {Record<number, string>} */
const TITLES = {
  401: "Sign in to watch",
  403: "You can't watch this video",
  404: "There is no such video",
  409: "It can't be played",
  410: "This video is gone",
  429: "Too many requests",
  451: "Not available where you are",
};
