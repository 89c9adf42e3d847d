/**
 * One part's PUT to the object store. XMLHttpRequest, since fetch says nothing of an upload's
 * progress. The answer's body is read to its end, so that the connection is used again.
 */

/** The object store's answer to a part, or its silence: status 0. */
export class PartProblem extends Error {
  /** @param {number} status */
  constructor(status) {
    super(status ? `The object store answered ${status}.` : "The object store can't be reached.");
    this.status = status;
  }
}

/**
 * @param {string} url presigned
 * @param {Blob} bytes
 * @param {AbortSignal} signal
 * @param {(sentBytes: number) => void} onProgress
 * @returns {Promise<string>} the part's ETag, without quotes
 */
export function putPart(url, bytes, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open("PUT", url);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      const etag = request.getResponseHeader("ETag");
      if (request.status === 200 && etag) resolve(etag.replaceAll('"', ""));
      else reject(new PartProblem(request.status));
    };
    request.onerror = () => reject(new PartProblem(0));
    request.onabort = () => reject(new DOMException("paused", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.send(bytes);
  });
}
