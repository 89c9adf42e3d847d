/** A bar for each rung of a video: how many of its chunks are encoded. */

import { find, make, setText } from "./page.js";

/**
 * @param {HTMLElement} container
 * @param {import("./api.js").RungStatus[]} rungs lowest first
 */
export function showRungs(container, rungs) {
  container.hidden = !rungs.length;
  for (const rung of rungs) {
    const total = rung.chunksTotal ?? 0;
    const isDone = total > 0 && rung.chunksDone >= total;
    const row = rowOf(container, rung.rung);
    const bar = find(row, "progress", HTMLProgressElement);
    row.classList.toggle("done", isDone);
    if (total) {
      bar.max = total;
      bar.value = rung.chunksDone;
    }
    const words = isDone ? "done" : `${rung.chunksDone}/${total || "?"}`;
    setText(find(row, ".of", HTMLElement), words);
  }
}

/**
 * @param {HTMLElement} container
 * @param {string} rung
 * @returns {HTMLElement}
 */
function rowOf(container, rung) {
  for (const row of container.children) {
    if (row instanceof HTMLElement && row.dataset.rung === rung) return row;
  }
  const row = make("div", "", "rung");
  const bar = make("progress");
  row.dataset.rung = rung;
  bar.setAttribute("aria-label", `Chunks of ${rung} that are encoded`);
  row.append(make("span", rung, "name"), bar, make("span", "", "of"));
  container.append(row);
  return row;
}
