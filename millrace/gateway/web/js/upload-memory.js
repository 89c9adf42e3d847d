/**
 * Unfinished uploads that this browser remembers, so that a reload can go on with them. The
 * file itself can't be kept: the visitor picks it again, and name and size say that it is the one.
 */

/** @typedef {{fileName: string, sizeBytes: number, modifiedAtMs: number}} FileMark */

const PREFIX = "millrace.upload.";

/**
 * @param {File} file
 * @returns {FileMark}
 */
function markOf(file) {
  return { fileName: file.name, sizeBytes: file.size, modifiedAtMs: file.lastModified };
}

/**
 * @param {string} uploadSessionId
 * @param {File} file
 */
export function rememberUpload(uploadSessionId, file) {
  localStorage.setItem(PREFIX + uploadSessionId, JSON.stringify(markOf(file)));
}

/** @param {string} uploadSessionId */
export function forgetUpload(uploadSessionId) {
  localStorage.removeItem(PREFIX + uploadSessionId);
}

/**
 * @param {string} uploadSessionId
 * @returns {FileMark | null} null where another browser or device began it
 */
export function recallUpload(uploadSessionId) {
  const kept = localStorage.getItem(PREFIX + uploadSessionId);
  return kept ? JSON.parse(kept) : null;
}

/**
 * Why a file can't be the one of an unfinished upload: empty where it can.
 * @param {File} file
 * @param {FileMark | null} mark
 * @param {number} sizeBytes what the session was opened with
 * @returns {string}
 */
export function whyNotTheFile(file, mark, sizeBytes) {
  if (file.size !== sizeBytes) return "This file has another size than the upload that was begun.";
  if (!mark) return "";
  if (file.name !== mark.fileName) return `The upload was begun with “${mark.fileName}”.`;
  if (file.lastModified !== mark.modifiedAtMs) {
    return "This file was changed after the upload was begun. Delete the upload and start again.";
  }
  return "";
}
