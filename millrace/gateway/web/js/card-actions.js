/** The buttons of a card: what can be done with a video in the state it is in. */

import { cancelUpload, cancelVideo, deleteVideo, retryVideo } from "./api.js";
import { confirmed } from "./confirm.js";
import { copyLink, make, makeButton } from "./page.js";

/** @typedef {import("./card.js").Card} Card */
/** @typedef {{name: string, build: (card: Card) => HTMLElement}} Action */

/** @type {Record<string, (card: Card) => HTMLElement>} */
const BUILD = {
  watch: (card) => {
    const link = make("a", "Watch", "button primary");
    link.href = `/watch/${card.video.videoId}`;
    return link;
  },
  copy: (card) => {
    const link = new URL(`/watch/${card.video.videoId}`, location.href).href;
    const button = makeButton("Copy link", () => void copyLink(link, button));
    return button;
  },
  pause: (card) => makeButton("Pause", () => card.transfer?.pause()),
  continue: (card) => makeButton("Continue", () => void card.transfer?.run(), "primary"),
  resume: resumeButton,
  explain: (card) => foldButton("Explain", "explain", card),
  edit: (card) => foldButton("Edit", "edit", card),
  retry: (card) => makeButton("Try again", () => void run(card, retryVideo), "primary"),
  cancel: (card) => makeButton("Cancel", () => void cancelProcessing(card)),
  discard: (card) => makeButton("Cancel upload", () => void discard(card), "danger"),
  delete: (card) => makeButton("Delete", () => void remove(card), "danger"),
};

/** @type {Record<string, string[]>} */
const OF_STATE = {
  UPLOADED: ["explain", "edit", "cancel", "delete"],
  PROCESSING: ["copy", "explain", "edit", "cancel", "delete"],
  READY: ["watch", "copy", "explain", "edit", "delete"],
  FAILED: ["retry", "explain", "edit", "delete"],
  BLOCKED: ["explain", "edit", "delete"],
};

/**
 * Shows the card's buttons. One that stays keeps its element, and with it the focus.
 * @param {HTMLElement} container
 * @param {Card} card
 */
export function cardActions(container, card) {
  const names = namesOf(card);
  const hadFocus = container.contains(document.activeElement);
  for (const child of [...container.children]) {
    if (!names.includes(nameOf(child))) child.remove();
  }
  names.forEach((name, place) => {
    const there = container.children[place];
    if (!there || nameOf(there) !== name) {
      const button = BUILD[name](card);
      button.dataset.action = name;
      container.insertBefore(button, there ?? null);
    }
  });
  for (const child of container.children) {
    const name = nameOf(child);
    if (name !== "explain" && name !== "edit") continue;
    child.setAttribute("aria-expanded", String(card.openFold === name));
  }
  if (hadFocus && !container.contains(document.activeElement)) {
    container.querySelector("button")?.focus();
  }
}

/** @param {Element} element */
const nameOf = (element) => (element instanceof HTMLElement ? (element.dataset.action ?? "") : "");

/**
 * @param {Card} card
 * @returns {string[]}
 */
function namesOf(card) {
  const { video, transfer } = card;
  if (video.state !== "UPLOADING") return OF_STATE[video.state] ?? [];
  if (!transfer) return ["resume", "edit", "discard"];
  if (transfer.state === "sending") return ["pause", "edit", "discard"];
  if (transfer.isOver || transfer.state === "paused") return ["continue", "edit", "discard"];
  return [];
}

/**
 * @param {string} text
 * @param {"explain" | "edit"} name
 * @param {Card} card
 */
function foldButton(text, name, card) {
  return makeButton(text, () => card.toggleFold(name));
}

/**
 * A button that opens the browser's file dialog: after a reload the file must be picked again.
 * @param {Card} card
 */
function resumeButton(card) {
  const input = make("input");
  input.type = "file";
  input.hidden = true;
  const button = makeButton("Choose file and continue", () => input.click(), "primary");
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    input.value = "";
    if (file) await attempt(card, () => card.resume(file));
  });
  const wrap = make("span");
  wrap.append(button, input);
  return wrap;
}

/** @param {Card} card */
async function cancelProcessing(card) {
  const text = "Encoding stops. The original is kept, and you can try again later.";
  if (await confirmed("Cancel processing?", text, "Cancel processing")) {
    await run(card, cancelVideo);
  }
}

/** @param {Card} card */
async function remove(card) {
  const title = `Delete “${card.video.title}”?`;
  const text = "Nobody can watch it any more, and its link stops working.";
  if (!(await confirmed(title, text, "Delete"))) return;
  await attempt(card, async () => {
    await deleteVideo(card.video.videoId);
    card.remove();
  });
}

/** @param {Card} card */
async function discard(card) {
  const text = "What has been sent so far is thrown away.";
  if (!(await confirmed("Cancel this upload?", text, "Cancel upload"))) return;
  card.transfer?.pause();
  await attempt(card, async () => {
    await cancelUpload(card.uploadSessionId);
    await deleteVideo(card.video.videoId);
    card.remove();
  });
}

/**
 * @param {Card} card
 * @param {(videoId: string) => Promise<unknown>} command
 */
async function run(card, command) {
  await attempt(card, async () => {
    await command(card.video.videoId);
    await card.refresh();
  });
}

/**
 * @param {Card} card
 * @param {() => Promise<void>} action
 */
async function attempt(card, action) {
  try {
    await action();
  } catch (problem) {
    card.complain(problem instanceof Error ? problem.message : String(problem));
  }
}
