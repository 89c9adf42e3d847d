/**
 * The form that begins an upload: a file chosen or dropped, a title, who may see it. What happens
 * to the bytes is transfer.js's.
 */

import { startUpload } from "./api.js";
import { byId } from "./page.js";
import { formatBytes } from "./format.js";
import { Transfer } from "./transfer.js";
import { rememberUpload } from "./upload-memory.js";

/**
 * @param {(transfer: Transfer) => void} onStart
 */
export function setUpUploadForm(onStart) {
  const form = byId("upload-form", HTMLFormElement);
  const input = byId("file", HTMLInputElement);
  const problem = byId("upload-problem", HTMLElement);

  input.addEventListener("change", () => showFile(input.files?.[0] ?? null));
  form.addEventListener("reset", () => {
    showFile(null);
    problem.textContent = "";
  });
  setUpDrop(input);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const file = input.files?.[0];
    if (!file) return;
    problem.textContent = "";
    setBusy(form, true);
    try {
      const session = await startUpload(describeUpload(file, new FormData(form)));
      rememberUpload(session.uploadSessionId, file);
      onStart(new Transfer(session, file));
      form.reset();
    } catch (reason) {
      problem.textContent = reason instanceof Error ? reason.message : String(reason);
    } finally {
      setBusy(form, false);
    }
  });
}

/**
 * @param {File} file
 * @param {FormData} fields
 */
function describeUpload(file, fields) {
  return {
    title: String(fields.get("title")).trim(),
    description: String(fields.get("description")).trim(),
    visibility: String(fields.get("visibility")),
    contentType: file.type || "application/octet-stream",
    sizeBytes: file.size,
    fileName: file.name,
  };
}

/** @param {File | null} file */
function showFile(file) {
  const name = byId("file-name", HTMLElement);
  const title = byId("title", HTMLInputElement);
  byId("upload-fields", HTMLElement).hidden = !file;
  name.textContent = file
    ? `${file.name} · ${formatBytes(file.size)}`
    : "Choose a video or drop it here";
  if (file) {
    title.value = titleFrom(file.name);
    title.focus();
    title.select();
  }
}

/**
 * @param {string} fileName
 * @returns {string} a first guess at a title
 */
function titleFrom(fileName) {
  return fileName.replace(/\.[^.]+$/, "").replace(/[_.]+/g, " ").trim().slice(0, 200);
}

/** @param {HTMLInputElement} input */
function setUpDrop(input) {
  const zone = byId("drop", HTMLElement);
  // A file dropped beside the zone would otherwise replace the page.
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => event.preventDefault());
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, () => zone.classList.add("over"));
  }
  for (const kind of ["dragleave", "drop"]) {
    zone.addEventListener(kind, () => zone.classList.remove("over"));
  }
  zone.addEventListener("drop", (event) => {
    const files = event.dataTransfer?.files;
    if (!files?.length) return;
    input.files = files;
    input.dispatchEvent(new Event("change"));
  });
}

/**
 * @param {HTMLFormElement} form
 * @param {boolean} busy
 */
function setBusy(form, busy) {
  for (const button of form.querySelectorAll("button")) button.disabled = busy;
}
