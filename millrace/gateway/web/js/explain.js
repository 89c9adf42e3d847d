/** What a video waits for, in words: for what, since when, who holds it, what happens next. */

import { explainVideo } from "./api.js";
import { formatAgo, formatClock, formatSpan } from "./format.js";
import { make } from "./page.js";
import { eventWords } from "./words.js";

/** @typedef {import("./api.js").Wait} Wait */

const REFRESH_MS = 4000;

/**
 * @param {HTMLElement} fold
 * @param {{video: import("./api.js").Video}} card
 * @returns {import("./card.js").Fold}
 */
export function openExplanation(fold, card) {
  let isAsking = false;
  const refresh = async () => {
    if (isAsking) return;
    isAsking = true;
    try {
      const { waiting, history } = await explainVideo(card.video.videoId);
      fold.replaceChildren(waitingPart(waiting), historyPart(history));
    } catch (problem) {
      const text = problem instanceof Error ? problem.message : String(problem);
      fold.replaceChildren(make("p", text, "problem"));
    } finally {
      isAsking = false;
    }
  };
  void refresh();
  // How long it has waited changes without anything else happening.
  const timer = setInterval(refresh, REFRESH_MS);
  return { refresh: () => void refresh(), close: () => clearInterval(timer) };
}

/** @param {Wait[]} waiting */
function waitingPart(waiting) {
  const part = make("div");
  part.append(make("h4", "What it waits for"));
  if (!waiting.length) part.append(make("p", "Nothing: nothing is left to be done by itself."));
  for (const wait of waiting) part.append(waitPart(wait));
  return part;
}

/** @param {Wait} wait */
function waitPart(wait) {
  const nowMs = Date.now();
  const list = make("dl");
  const name = wait.topology.charAt(0).toUpperCase() + wait.topology.slice(1);
  const rows = [
    [`${name} waits for`, wait.waitsFor],
    ["Since", formatAgo(nowMs - wait.sinceMs)],
    ["In the hands of", wait.holder],
    ["Next", wait.next],
    ["At the latest", deadlineWords(wait, nowMs)],
  ];
  for (const [term, text] of rows) {
    if (text) list.append(make("dt", term), make("dd", text));
  }
  return list;
}

/**
 * @param {Wait} wait
 * @param {number} nowMs
 * @returns {string}
 */
function deadlineWords(wait, nowMs) {
  if (!wait.deadlineAtMs) return "";
  const leftMs = wait.deadlineAtMs - nowMs;
  const when = leftMs > 0 ? `in ${formatSpan(leftMs)}` : `${formatSpan(-leftMs)} overdue`;
  return `${when} (${wait.deadlineName})`;
}

/** @param {import("./api.js").Happening[]} history */
function historyPart(history) {
  const part = make("div", "", "history");
  if (!history.length) return part;
  part.append(make("h4", "What has happened"));
  const list = make("ol");
  for (const { event, atMs } of history) {
    const time = make("time", formatClock(atMs));
    time.dateTime = new Date(atMs).toISOString();
    const item = make("li");
    item.append(time, make("span", eventWords(event)));
    list.append(item);
  }
  part.append(list);
  return part;
}
