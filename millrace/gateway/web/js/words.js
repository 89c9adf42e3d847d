/** What states, steps and events are called on the pages. Codes of the API stay in the API. */

/** @typedef {"good" | "busy" | "bad" | "calm"} Tone */

/**
 * @param {string} state
 * @param {boolean} complete
 * @returns {{text: string, tone: Tone}}
 */
export function stateWords(state, complete) {
  if (state === "READY" && !complete) return { text: "Ready, growing", tone: "good" };
  return STATES[state] ?? { text: state, tone: "calm" };
}

/** @type {Record<string, {text: string, tone: Tone}>} */
const STATES = {
  UPLOADING: { text: "Uploading", tone: "busy" },
  UPLOADED: { text: "Received", tone: "busy" },
  PROCESSING: { text: "Processing", tone: "busy" },
  READY: { text: "Ready", tone: "good" },
  FAILED: { text: "Failed", tone: "bad" },
  BLOCKED: { text: "Blocked", tone: "bad" },
  DELETED: { text: "Deleted", tone: "calm" },
  EXPIRED: { text: "Upload expired", tone: "calm" },
};

/** @type {Record<string, string>} */
export const VISIBILITIES = {
  public: "Everyone",
  unlisted: "Anyone with the link",
  private: "Only you",
};

/** @type {Record<string, string>} */
const STEPS = {
  probe: "looking at the file",
  cut: "cutting it into chunks",
  audio: "encoding the sound",
  poster: "choosing a picture",
};

/**
 * @param {import("./api.js").Status} status
 * @returns {string} what is being done now, a sentence without its full stop
 */
export function nowWords(status) {
  const busy = status.steps.filter((step) => step.state === "running");
  const doing = busy.map((step) => STEPS[step.step] ?? step.step);
  if (!doing.length || status.rungs.some(isGrowing)) doing.push("encoding the picture");
  const sentence = doing.join(", ");
  return sentence[0].toUpperCase() + sentence.slice(1);
}

/** @param {import("./api.js").RungStatus} rung */
function isGrowing(rung) {
  return rung.chunksTotal === null || rung.chunksDone < rung.chunksTotal;
}

/** @type {Record<string, string>} */
const EVENTS = {
  VideoUploading: "The upload began",
  VideoUploaded: "The file arrived",
  VideoProcessing: "Processing began",
  VideoPlayable: "It can be watched",
  VideoPublished: "All qualities are ready",
  VideoEdited: "It was edited",
  VideoRetried: "It is tried again",
  VideoFailed: "It failed",
  VideoBlocked: "A moderator blocked it",
  VideoRestored: "A moderator restored it",
  VideoDeleted: "It was deleted",
  VideoExpired: "The upload expired",
  ObjectsDeleted: "Files that are no longer needed were removed",
};

/**
 * @param {string} event such as VideoPlayable
 * @returns {string} such as "It can be watched"; of an event that this page is older than, its name
 */
export function eventWords(event) {
  if (EVENTS[event]) return EVENTS[event];
  const words = event.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
