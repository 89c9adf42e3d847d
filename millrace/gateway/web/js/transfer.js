/**
 * A file on its way to the object store in parts (ING-1 to ING-3): parallel, paused and continued,
 * tried again. What the store says it has is the truth; a part it has is never sent again.
 */

import { completeUpload, readUpload, ApiProblem } from "./api.js";
import { PartProblem, putPart } from "./part-request.js";

/** @typedef {import("./api.js").UploadSession} UploadSession */

const PARALLEL_PARTS = 4;
const ATTEMPTS_MAX = 6;
const RETRY_MS = 800;

/** @typedef {"sending" | "paused" | "completing" | "done" | "failed"} TransferState */

/** Fires `change` whenever something shown has changed. */
export class Transfer extends EventTarget {
  /** @type {TransferState} */
  state = "paused";
  /** Why it failed; empty otherwise. */
  problem = "";

  /** @type {Map<number, string>} ETags of parts that are stored */
  #etags = new Map();
  /** @type {Map<number, string>} presigned addresses not yet used */
  #urls = new Map();
  /** @type {Map<number, number>} bytes sent of parts on their way */
  #sending = new Map();
  #stop = new AbortController();

  /**
   * @param {UploadSession} session as it was opened or read again
   * @param {File} file
   */
  constructor(session, file) {
    super();
    this.file = file;
    this.videoId = session.videoId;
    this.uploadSessionId = session.uploadSessionId;
    this.partSizeBytes = session.partSizeBytes;
    this.partCount = Math.max(1, Math.ceil(file.size / session.partSizeBytes));
    this.#learn(session);
  }

  /** Bytes that are stored or on their way. */
  get sentBytes() {
    let sum = 0;
    for (const number of this.#etags.keys()) sum += this.#slice(number).size;
    for (const [number, bytes] of this.#sending) sum += Math.min(bytes, this.#slice(number).size);
    return sum;
  }

  get isOver() {
    return this.state === "done" || this.state === "failed";
  }

  /** Begins, or goes on after a pause. Ends when the upload is complete, paused or failed. */
  async run() {
    this.#stop = new AbortController();
    this.#become("sending");
    try {
      await this.#sendMissing();
      this.#become("completing");
      await this.#complete();
      this.#become("done");
    } catch (problem) {
      if (this.#stop.signal.aborted && this.state === "paused") return;
      this.#stop.abort();
      this.problem = problem instanceof Error ? problem.message : String(problem);
      this.#become("failed");
    }
  }

  pause() {
    if (this.state !== "sending") return;
    this.#become("paused");
    this.#stop.abort();
  }

  /** @param {TransferState} state */
  #become(state) {
    this.state = state;
    if (state !== "failed") this.problem = "";
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** @param {UploadSession} session */
  #learn(session) {
    for (const part of session.stored ?? []) this.#etags.set(part.number, part.etag);
    for (const part of session.partUrls) this.#urls.set(part.number, part.url);
  }

  async #sendMissing() {
    const numbers = Array.from({ length: this.partCount }, (_, n) => n + 1);
    const missing = numbers.filter((number) => !this.#etags.has(number));
    const lanes = Array.from({ length: PARALLEL_PARTS }, async () => {
      for (let number = missing.shift(); number; number = missing.shift()) {
        await this.#send(number);
      }
    });
    await Promise.all(lanes);
  }

  /** @param {number} number */
  async #send(number) {
    const { signal } = this.#stop;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const url = await this.#urlOf(number);
        signal.throwIfAborted();
        const etag = await putPart(url, this.#slice(number), signal, (bytes) => {
          this.#sending.set(number, bytes);
          this.#changed();
        });
        this.#etags.set(number, etag);
        return;
      } catch (problem) {
        if (signal.aborted || attempt === ATTEMPTS_MAX || isFinal(problem)) throw problem;
        await backoff(attempt, signal);
      } finally {
        this.#sending.delete(number);
        this.#urls.delete(number);
        this.#changed();
      }
    }
  }

  /**
   * A presigned address of the part; a page of them is asked for where none is at hand.
   * @param {number} number
   * @returns {Promise<string>}
   */
  async #urlOf(number) {
    const known = this.#urls.get(number);
    if (known) return known;
    this.#learn(await readUpload(this.uploadSessionId, number - 1));
    const url = this.#urls.get(number);
    if (!url) throw new PartProblem(404);
    return url;
  }

  /** @param {number} number */
  #slice(number) {
    const start = (number - 1) * this.partSizeBytes;
    return this.file.slice(start, start + this.partSizeBytes);
  }

  /** Says that all parts are there. Where the store disagrees, its missing parts are sent once. */
  async #complete() {
    try {
      await completeUpload(this.uploadSessionId, this.#parts());
    } catch (problem) {
      if (!(problem instanceof ApiProblem && problem.code === "parts_wrong")) throw problem;
      this.#etags.clear();
      await this.#learnStored();
      await this.#sendMissing();
      await completeUpload(this.uploadSessionId, this.#parts());
    }
  }

  async #learnStored() {
    for (let after = 0; ; ) {
      const session = await readUpload(this.uploadSessionId, after);
      this.#learn(session);
      if (session.nextPart === null) return;
      after = session.nextPart - 1;
    }
  }

  #parts() {
    const entries = [...this.#etags].sort(([left], [right]) => left - right);
    return entries.map(([number, etag]) => ({ number, etag }));
  }
}

/**
 * Whether another attempt can't help. 403 is an address that has expired: a new one is asked for.
 * @param {unknown} problem
 */
function isFinal(problem) {
  if (problem instanceof ApiProblem) return problem.status < 500 && problem.status !== 429;
  if (problem instanceof PartProblem) return problem.status === 404;
  return false;
}

/**
 * Waits longer each time; a browser that knows it is offline waits for the network instead.
 * @param {number} attempt
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function backoff(attempt, signal) {
  return new Promise((resolve, reject) => {
    if (navigator.onLine) setTimeout(resolve, RETRY_MS * 2 ** (attempt - 1));
    else addEventListener("online", () => resolve(), { once: true });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
