/**
 * One video of the studio: its state, its progress while it is made, and what its creator can do
 * with it. It follows the video by itself until the video is settled.
 */

import { readVideo, readViews, readUpload } from "./api.js";
import { cardActions } from "./card-actions.js";
import { openEdit } from "./edit.js";
import { openExplanation } from "./explain.js";
import { formatBytes, formatDate, formatLength, formatSpan, plural } from "./format.js";
import { announce, find, fromTemplate, setText } from "./page.js";
import { showRungs } from "./rungs.js";
import { followStatus, isSettled } from "./status-stream.js";
import { Transfer } from "./transfer.js";
import { forgetUpload, recallUpload, whyNotTheFile } from "./upload-memory.js";
import { VISIBILITIES, nowWords, stateWords } from "./words.js";

/** @typedef {import("./api.js").Video} Video */
/** @typedef {import("./api.js").Status} Status */
/** @typedef {{refresh: () => void, close: () => void}} Fold what is folded out under a card */

export class Card {
  /** @type {Transfer | null} */
  transfer = null;
  /** @type {Status | null} */
  #status = null;
  #views = "";
  #isFollowing = false;
  #isAsking = false;
  #asksAgain = false;
  #removed = new AbortController();
  /** @type {(Fold & {name: string}) | null} */
  #fold = null;

  /**
   * @param {Video} video
   * @param {() => void} onRemoved
   */
  constructor(video, onRemoved) {
    this.video = video;
    this.onRemoved = onRemoved;
    this.element = fromTemplate("card-template");
    this.element.dataset.videoId = video.videoId;
    this.part("title").id = `title-${video.videoId}`;
    find(this.element, "article", HTMLElement).setAttribute(
      "aria-labelledby",
      this.part("title").id,
    );
    this.#show();
    this.#follow();
    void this.#ask();
  }

  get uploadSessionId() {
    return this.video.uploadSessionId ?? "";
  }

  /**
   * @param {string} name
   * @returns {HTMLElement}
   */
  part(name) {
    return find(this.element, `[data-part="${name}"]`, HTMLElement);
  }

  remove() {
    this.#removed.abort();
    this.#fold?.close();
    this.transfer?.pause();
    forgetUpload(this.uploadSessionId);
    this.element.remove();
    this.onRemoved();
  }

  /** @param {string} text */
  complain(text) {
    const problem = this.part("problem");
    if (text && text !== problem.textContent) announce(`${this.video.title}: ${text}`);
    problem.hidden = !text;
    setText(problem, text);
  }

  /** What a list leaves out is asked for; without it the card says what the list said. */
  async #ask() {
    // News that comes meanwhile may be the last: it must not be lost.
    this.#asksAgain = this.#isAsking;
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      do {
        this.#asksAgain = false;
        await this.refresh();
      } while (this.#asksAgain);
      if (this.video.state === "UPLOADING") await this.#showStored();
    } catch (problem) {
      this.complain(problem instanceof Error ? problem.message : String(problem));
    } finally {
      this.#isAsking = false;
    }
  }

  /** Reads the video again: after a command, or as its state changed. */
  async refresh() {
    const before = this.video.state;
    this.video = await readVideo(this.video.videoId);
    if (this.video.state === "DELETED") this.remove();
    if (this.video.state !== before) {
      const words = stateWords(this.video.state, this.video.complete).text;
      announce(`${this.video.title}: ${words}`);
    }
    this.#show();
    this.#follow();
    if (this.video.state === "READY") await this.#showViews();
  }

  /** @param {Transfer} transfer */
  attach(transfer) {
    this.transfer = transfer;
    this.complain("");
    transfer.addEventListener("change", () => this.#showTransfer());
    void transfer.run();
  }

  /**
   * Goes on with an interrupted upload, with the file that the visitor picked again.
   * @param {File} file
   */
  async resume(file) {
    const mark = recallUpload(this.uploadSessionId);
    const why = whyNotTheFile(file, mark, this.video.sizeBytes);
    if (why) {
      this.complain(why);
      return;
    }
    this.attach(new Transfer(await readUpload(this.uploadSessionId), file));
  }

  /** @param {"explain" | "edit"} name */
  toggleFold(name) {
    const fold = this.part("fold");
    const wasOpen = this.#fold?.name === name;
    this.#fold?.close();
    this.#fold = null;
    fold.replaceChildren();
    fold.hidden = wasOpen;
    if (!wasOpen) {
      const open = name === "explain" ? openExplanation : openEdit;
      this.#fold = { name, ...open(fold, this) };
    }
    this.#showActions();
  }

  get openFold() {
    return this.#fold?.name ?? "";
  }

  #show() {
    const { video } = this;
    const words = stateWords(video.state, video.complete);
    const badge = this.part("badge");
    setText(this.part("title"), video.title);
    setText(badge, words.text);
    badge.dataset.tone = words.tone;
    setText(this.part("length"), video.durationMs ? formatLength(video.durationMs) : "");
    setText(this.part("meta"), this.#metaWords());
    this.#showPoster();
    this.#showProgress();
    this.#showActions();
    this.complain(video.error?.text || video.blockReason || "");
  }

  #metaWords() {
    const { video } = this;
    const facts = [VISIBILITIES[video.visibility], formatDate(video.createdAtMs)];
    if (video.height) facts.push(`${video.height}p`);
    if (video.sizeBytes) facts.push(formatBytes(video.sizeBytes));
    if (this.#views) facts.push(this.#views);
    return facts.join(" · ");
  }

  #showPoster() {
    const image = /** @type {HTMLImageElement} */ (this.part("poster-image"));
    const link = /** @type {HTMLAnchorElement} */ (this.part("poster"));
    if (this.video.posterUrl && !image.src) {
      image.src = this.video.posterUrl;
      image.hidden = false;
    }
    if (this.video.state === "READY") link.href = `/watch/${this.video.videoId}`;
    else link.removeAttribute("href");
  }

  #showProgress() {
    const isMade = ["UPLOADED", "PROCESSING"].includes(this.video.state);
    const isGrowing = this.video.state === "READY" && !this.video.complete;
    const status = isMade || isGrowing ? this.#status : null;
    showRungs(this.part("rungs"), status?.rungs ?? []);
    const now = this.part("now");
    const words = status ? nowWords(status) : "";
    const endMs = status?.estimatedCompletionAtMs;
    const rest = endMs ? `about ${formatSpan(endMs - Date.now())} left` : "";
    now.hidden = !words;
    setText(now, [words, rest].filter(Boolean).join(" · "));
  }

  #showActions() {
    cardActions(this.part("actions"), this);
  }

  #showTransfer() {
    const transfer = this.transfer;
    if (!transfer) return;
    this.part("transfer").hidden = transfer.state === "done";
    this.#showBytes(transfer.sentBytes, transfer.file.size, TRANSFER_WORDS[transfer.state]);
    this.#showActions();
    this.complain(transfer.problem);
    if (transfer.state === "done") {
      forgetUpload(transfer.uploadSessionId);
      announce(`${this.video.title}: upload complete`);
      this.transfer = null;
      void this.#ask();
    }
  }

  /** Of an upload that was interrupted: what the store has. */
  async #showStored() {
    if (this.transfer) return;
    const session = await readUpload(this.uploadSessionId);
    if (this.transfer) return;
    const stored = session.stored.reduce((sum, part) => sum + part.sizeBytes, 0);
    const mark = recallUpload(this.uploadSessionId);
    const file = mark ? `“${mark.fileName}”` : "the same file";
    this.part("transfer").hidden = false;
    this.#showBytes(stored, this.video.sizeBytes, `Interrupted. Choose ${file} to go on`);
  }

  /**
   * @param {number} bytes
   * @param {number} ofBytes
   * @param {string} words
   */
  #showBytes(bytes, ofBytes, words) {
    const share = ofBytes ? bytes / ofBytes : 0;
    const bar = /** @type {HTMLProgressElement} */ (this.part("transfer-bar"));
    bar.value = share;
    bar.setAttribute("aria-label", `Upload of ${this.video.title}`);
    setText(this.part("transfer-words"), words);
    const numbers = `${formatBytes(bytes)} of ${formatBytes(ofBytes)}`;
    setText(this.part("transfer-percent"), `${numbers} · ${Math.floor(share * 100)} %`);
  }

  async #showViews() {
    const { counted } = await readViews(this.video.videoId);
    this.#views = plural(counted, "view");
    setText(this.part("meta"), this.#metaWords());
  }

  #follow() {
    const { video } = this;
    // A video that is being uploaded changes by what this page does, or not at all.
    if (video.state === "UPLOADING" || isSettled(video.state, video.complete)) return;
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    void followStatus(video.videoId, this.#removed.signal, (status) => this.#take(status)).then(
      () => (this.#isFollowing = false),
    );
  }

  /** @param {Status} status */
  #take(status) {
    this.#status = status;
    const { video } = this;
    const isNews = status.state !== video.state || status.complete !== video.complete;
    if (isNews || !video.posterUrl || !video.durationMs) void this.#ask();
    this.#showProgress();
    this.#fold?.refresh();
  }
}

/** @type {Record<import("./transfer.js").TransferState, string>} */
const TRANSFER_WORDS = {
  sending: "Uploading",
  paused: "Paused",
  completing: "Checking what arrived",
  done: "Uploaded",
  failed: "Stopped",
};
