/** The list of the creator's videos, newest first. */

import { ApiProblem, myVideos, readVideo } from "./api.js";
import { Card } from "./card.js";
import { plural } from "./format.js";
import { byId } from "./page.js";

/** @typedef {import("./transfer.js").Transfer} Transfer */

export class Studio {
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** @type {string | null} */
  #cursor = null;
  #list = byId("videos", HTMLUListElement);
  #more = byId("videos-more", HTMLButtonElement);

  /** @param {(problem: string) => void} onRefused the token is no good, in the server's words */
  constructor(onRefused) {
    this.onRefused = onRefused;
    this.#more.addEventListener("click", () => void this.load());
    // Leaving the page would stop what is on its way; the browser asks, in its own words.
    addEventListener("beforeunload", (event) => {
      const sending = [...this.#cards.values()].some((card) => card.transfer?.state === "sending");
      if (sending) event.preventDefault();
    });
  }

  /** Shows the next page of videos. */
  async load() {
    const problem = byId("videos-problem", HTMLElement);
    this.#more.disabled = true;
    problem.textContent = "";
    try {
      const page = await myVideos(this.#cursor);
      this.#cursor = page.nextCursor;
      for (const item of page.items) {
        if (item.state === "DELETED" || this.#cards.has(item.videoId)) continue;
        this.#list.append(this.#cardOf(item).element);
      }
    } catch (reason) {
      const text = reason instanceof Error ? reason.message : String(reason);
      if (reason instanceof ApiProblem && [401, 403].includes(reason.status)) this.onRefused(text);
      problem.textContent = text;
    }
    this.#more.disabled = false;
    this.#count();
  }

  /**
   * Puts an upload that has just begun on top.
   * @param {Transfer} transfer
   */
  async add(transfer) {
    const card = this.#cardOf(await readVideo(transfer.videoId));
    this.#list.prepend(card.element);
    card.attach(transfer);
    this.#count();
  }

  /** @param {import("./api.js").Video} video */
  #cardOf(video) {
    const card = new Card(video, () => {
      this.#cards.delete(video.videoId);
      this.#count();
      byId("videos-title", HTMLElement).focus();
    });
    this.#cards.set(video.videoId, card);
    return card;
  }

  #count() {
    const count = this.#cards.size;
    byId("videos-empty", HTMLElement).hidden = count > 0;
    byId("videos-count", HTMLElement).textContent = count ? plural(count, "video") : "";
    this.#more.hidden = this.#cursor === null;
  }
}
