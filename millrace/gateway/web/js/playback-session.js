/**
 * Tells the server how a video is watched (CNT-1). Played time is what the media advanced while
 * it played: seeking, stalling and waiting add nothing. Events carry ids, so that sending one
 * again is harmless; what could not be sent goes with the next batch.
 */

import { sendPlaybackEvents } from "./api.js";
import { randomId } from "./ids.js";

/** @typedef {import("./api.js").ClientEvent} ClientEvent */

const PROGRESS_EVERY_MS = 5000;
// The API takes 500 at once; a page that was offline for long keeps the newest.
const UNSENT_MAX = 200;
// Media advances no faster than the wall clock times the speed; the rest is a seek.
const SLACK_MS = 400;

export class PlaybackSession {
  #sessionId = randomId();
  #watchedMs = 0;
  #reportedMs = 0;
  #lastPositionMs = 0;
  #lastAtMs = 0;
  #isPlaying = false;
  #isSending = false;
  /** @type {ClientEvent[]} */
  #unsent = [];

  /**
   * @param {string} videoId
   * @param {HTMLVideoElement} video
   */
  constructor(videoId, video) {
    this.videoId = videoId;
    this.video = video;
    video.addEventListener("playing", () => this.#begin());
    video.addEventListener("timeupdate", () => this.#advance());
    video.addEventListener("seeking", () => this.#anchor());
    video.addEventListener("waiting", () => this.#stall());
    video.addEventListener("pause", () => this.#halt(video.ended ? "" : "pause"));
    video.addEventListener("ended", () => this.#halt("ended"));
    video.addEventListener("error", () => this.#halt("error"));
    // Both, since phones may throw a page away without ever saying pagehide.
    addEventListener("pagehide", () => this.#leave());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.#leave();
    });
  }

  get watchedMs() {
    return Math.round(this.#watchedMs);
  }

  get #positionMs() {
    return this.video.currentTime * 1000;
  }

  #begin() {
    if (this.#isPlaying) return;
    this.#isPlaying = true;
    this.#anchor();
    this.#report("play");
  }

  #anchor() {
    this.#lastPositionMs = this.#positionMs;
    this.#lastAtMs = performance.now();
  }

  #advance() {
    if (!this.#isPlaying || this.video.seeking) return;
    const playedMs = this.#positionMs - this.#lastPositionMs;
    const possibleMs = (performance.now() - this.#lastAtMs) * this.video.playbackRate + SLACK_MS;
    if (playedMs > 0 && playedMs <= possibleMs) this.#watchedMs += playedMs;
    this.#anchor();
    if (this.#watchedMs - this.#reportedMs >= PROGRESS_EVERY_MS) this.#report("progress");
  }

  #stall() {
    if (!this.#isPlaying || this.video.seeking) return;
    this.#advance();
    this.#report("stall");
  }

  /** @param {"" | "pause" | "ended" | "error"} kind */
  #halt(kind) {
    this.#advance();
    if (this.#isPlaying && kind !== "ended") this.#isPlaying = false;
    if (kind === "ended") this.#isPlaying = false;
    if (kind) this.#report(kind);
  }

  #leave() {
    if (this.#isPlaying) {
      this.#advance();
      this.#report("progress");
    } else {
      void this.#send();
    }
  }

  /** @param {string} kind */
  #report(kind) {
    this.#reportedMs = this.#watchedMs;
    this.#unsent.push({
      eventId: randomId(),
      videoId: this.videoId,
      sessionId: this.#sessionId,
      kind,
      positionMs: Math.max(0, Math.round(this.#positionMs)),
      watchedMs: this.watchedMs,
      clientAtMs: Date.now(),
    });
    this.#unsent.splice(0, this.#unsent.length - UNSENT_MAX);
    void this.#send();
  }

  async #send() {
    if (this.#isSending || !this.#unsent.length) return;
    this.#isSending = true;
    const batch = [...this.#unsent];
    try {
      await sendPlaybackEvents(batch);
      this.#unsent = this.#unsent.filter((event) => !batch.includes(event));
    } catch {
      // Nothing is lost: they stay, and go with the next batch.
      return;
    } finally {
      this.#isSending = false;
    }
    void this.#send();
  }
}
