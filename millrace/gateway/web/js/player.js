/**
 * The player: media-chrome's controls around hls-video. It opens a source, and swaps it in place
 * for a better one: players don't read a master playlist twice, so a video that was opened while
 * it grew gets its further rungs by a new source, at the same place.
 */

import "/web/vendor/media-chrome-4.19.4.min.js";
import "/web/vendor/hls-video-element-1.5.11.min.js";
import { byId, find } from "./page.js";

/**
 * @typedef {(name: string, error: {fatal: boolean}) => void} HeardError
 * @typedef {{on: (name: "hlsError", heard: HeardError) => void}} HlsApi
 * @typedef {HTMLVideoElement & {config: object, nativeEl: HTMLVideoElement, api: HlsApi | null}}
 *   HlsVideo
 */

// hls.js never comes to the end where it starts in the last quarter of a second (measured).
const EDGE_S = 1;

export class Player {
  #controller = byId("player", HTMLElement);
  #onBroken = () => {};
  /** The custom element: it stays while sources come and go. */
  video = /** @type {HlsVideo} */ (byId("video", HTMLElement));

  /**
   * @param {string} url of an HLS master playlist
   * @param {string | null} posterUrl
   * @param {() => void} onBroken the source can't be played any further: its address has expired,
   *   or it was taken away
   */
  open(url, posterUrl, onBroken) {
    this.#onBroken = onBroken;
    this.#controller.hidden = false;
    if (posterUrl) {
      const poster = byId("poster", HTMLElement);
      poster.setAttribute("src", posterUrl);
      poster.hidden = false;
    }
    this.#load(url, 0);
  }

  /**
   * The same video from another playlist, at the same place. The last picture stands still on top
   * until the new source shows one. At the end there is no next picture to wait for: then the new
   * source serves whoever watches it again.
   * @param {string} url
   */
  async swap(url) {
    const { video } = this;
    if (video.ended) await once(video, "play");
    const wasPlaying = !video.paused;
    const atS = Math.min(video.currentTime, Math.max(0, video.duration - EDGE_S));
    const still = this.#hold();
    this.#load(url, atS);
    await once(video, "loadedmetadata");
    if (Math.abs(video.currentTime - atS) > 0.3) video.currentTime = atS;
    if (wasPlaying) await video.play();
    if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
      await Promise.race([once(video, "loadeddata"), once(video, "ended")]);
    }
    still.remove();
  }

  async play() {
    const { video } = this;
    if (video.readyState < HTMLMediaElement.HAVE_METADATA) await once(video, "loadedmetadata");
    try {
      await video.play();
    } catch (problem) {
      // The browser wants a click first: the controls are there for it.
      if (!(problem instanceof DOMException && problem.name === "NotAllowedError")) throw problem;
    }
  }

  /**
   * @param {string} url
   * @param {number} startS
   */
  #load(url, startS) {
    // A growing playlist is no live stream here: it has a length, and is watched from its start.
    this.video.config = { liveDurationInfinity: false, startPosition: startS };
    this.video.setAttribute("src", url);
    // hls-video makes its hls.js a microtask after the source is set.
    queueMicrotask(() => {
      this.video.api?.on("hlsError", (_, error) => {
        if (error.fatal) this.#onBroken();
      });
    });
  }

  /** A still of what is shown, over the player. */
  #hold() {
    const still = document.createElement("canvas");
    const native = this.video.nativeEl;
    still.className = "still";
    still.width = native.videoWidth;
    still.height = native.videoHeight;
    still.getContext("2d")?.drawImage(native, 0, 0);
    find(document, ".stage", HTMLElement).append(still);
    return still;
  }
}

/**
 * @param {EventTarget} target
 * @param {string} name
 */
function once(target, name) {
  return new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
}
