/** What a video waits for, in words: for what, since when, who holds it, what happens next. */

import { explainVideo } from "./api.js";
import { formatClock, formatSpan } from "./format.js";
import { make } from "./page.js";
import { eventWords } from "./words.js";

/** @typedef {import("./api.js").Wait} Wait */

/**
 * @param {HTMLElement} fold
 * @param {{video: import("./api.js").Video}} card
 * @returns {() => void} reads and shows it again
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
  return () => void refresh();
}

/** @param {Wait[]} waiting */
function waitingPart(waiting) {
  const part = make("div");
  part.append(make("h4", "What it waits for"));
  if (!waiting.length) part.append(make("p", "Nothing: nothing is left to be done by itself."));
  const list = make("ul");
  for (const wait of waiting) list.append(make("li", waitWords(wait)));
  if (waiting.length) part.append(list);
  return part;
}

/**
 * @param {Wait} wait
 * @returns {string}
 */
function waitWords(wait) {
  const nowMs = Date.now();
  const name = wait.topology.charAt(0).toUpperCase() + wait.topology.slice(1);
  const span = formatSpan(nowMs - wait.sinceMs);
  const sentences = [`${name} has waited ${span} for ${wait.waitsFor}.`];
  if (wait.holder) sentences.push(`It is in the hands of ${wait.holder}.`);
  if (wait.next) sentences.push(`Next: ${wait.next}.`);
  if (wait.deadlineAtMs) {
    const left = formatSpan(wait.deadlineAtMs - nowMs);
    sentences.push(`If nothing happens in ${left}, its deadline (${wait.deadlineName}) acts.`);
  }
  return sentences.join(" ");
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
